"""The unknown of an inverse question: a parameter of the system, or the bandwidth of its PIM, over a range."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pimmodel.dual import Dual
from pimmodel.errors import PimModelError, UnknownNameError
from pimmodel.hardware.change import kind_of, names_in, replace
from pimmodel.hardware.description import field_kinds
from pimmodel.hardware.system import System
from pimmodel.pim.bandwidth import pim_bandwidth
from pimmodel.pim.tasks import signature
from pimmodel.sensitivity.evaluate import Point, check_scenarios
from pimmodel.sensitivity.parameters import base_system, range_in, value_in_system
from pimmodel.step import checked_thresholds

PIM_BANDWIDTH = "pim.bandwidth"
Bounds = tuple[float | str, float | str]
_REACH = 16.0  # a range that is not given goes from a sixteenth to sixteen times the value
_FROM_ZERO = 1024  # and from 0 to this where the value is 0
_MOST_LISTED = 64  # so many whole numbers are all looked at beforehand


@dataclass(frozen=True, eq=False)
class Unknown:
    """A quantity that is varied.

    name, unit, current : dotted name, SI unit ("" for a plain number), value in the system at hand
    low, high : range that is searched
    whole : whether it is a whole number
    possible : of whole numbers, those of the range that the description allows; None: all
    """

    name: str
    unit: str
    current: float
    low: float
    high: float
    whole: bool
    possible: tuple[int, ...] | None
    _point: Point = field(repr=False)

    @functools.lru_cache(maxsize=256)  # noqa: B019 - as long-lived as the question
    def point(self, value: float) -> Point:
        """The step with this value.

        Raises
        ------
        PimModelError : the description forbids it.
        """
        if self.name == PIM_BANDWIDTH:
            return dataclasses.replace(self._point, pim_bandwidth=value / self.current)
        number = int(value) if self.whole else value
        changed = replace(self._point.step.system, {self.name: number})
        _check(changed, self._point)
        if self._point.thresholds is not None:
            checked_thresholds(changed, self._point.thresholds)
        return self._point.at(changed)

    def with_slope(self, value: float) -> Point:
        """The step with this value as a dual number: one direction up, one down."""
        column = np.array([1.0, -1.0])
        if self.name == PIM_BANDWIDTH:
            scale = Dual(value / self.current, column / self.current)
            return dataclasses.replace(self._point, pim_bandwidth=scale)
        return dataclasses.replace(self.point(value), slopes={self.name: column})

    def is_possible(self, value: float) -> bool:
        """Whether the description allows a value."""
        try:
            self.point(value)
        except PimModelError:
            return False
        return True

    def places(self, count: int) -> list[float]:
        """About `count` possible values from low to high, evenly spaced in their ratio, the current one among them."""
        if self.possible is not None and len(self.possible) <= count:
            return [float(one) for one in self.possible]
        low, high = self.low, self.high
        spaced = np.geomspace(low, high, count) if low > 0 else np.r_[low, np.geomspace(max(1e-3 * high, 1e-300), high,
                                                                                       count - 1)]  # fmt: skip
        values = {float(round(one)) if self.whole else float(one) for one in spaced}
        values |= {low, high} | ({self.current} if low <= self.current <= high else set())
        return sorted(one for one in values if self.is_possible(one))


def _check(system: System, point: Point) -> None:
    check_scenarios(system, [None if task.on_host_only else signature(task) for task in point.step.tasks])


def make_unknown(name: str, point: Point, bounds: Bounds | None) -> Unknown:
    """The unknown of a dotted name.

    Parameters
    ----------
    name : a numeric parameter of the system, or "pim.bandwidth": the peak of all PIM units together, everything else as
        it is (rows, turnarounds and refresh keep their shares of the time)
    point : the step as it is
    bounds : range to search, numbers in SI or texts with a unit; None: a sixteenth to sixteen times the value

    Raises
    ------
    UnknownNameError : no such parameter.
    PimModelError : a parameter without a number, or a range that is empty or forbidden.
    """
    system = point.step.system
    if name == PIM_BANDWIDTH:
        memory = system.memory
        current: Any = float(pim_bandwidth(
            units=system.pim.units_per_channel, channels=system.memory_channels,
            column_bytes=memory.organisation.bytes_per_column, clock=memory.clock, cadence=system.pim_cadence,
        ))  # fmt: skip
        kind = field_kinds(System)["memory_bandwidth"]
    else:
        known = names_in(system)
        if name not in known:
            raise UnknownNameError("parameter", name, [PIM_BANDWIDTH, *known])
        kind, current = kind_of(system, name), value_in_system(system, name)
        if isinstance(current, bool) or not isinstance(current, (int, float)):
            raise PimModelError(f"unknown {name} is {current!r}; allowed: a parameter that has a number")
        point = point.at(base_system(system, name))
    unit, whole = kind.unit or "", kind.type is int
    low, high = _range_around(current, whole) if bounds is None else range_in(name, bounds, kind, system.memory.clock)
    made = Unknown(name, unit, float(current), low, high, whole, None, point)
    if bounds is None:
        low, high = _narrowed(made, low), _narrowed(made, high)
    else:
        for end in (low, high):
            made.point(end)  # says what is forbidden
    made = dataclasses.replace(made, low=low, high=high)
    if whole and high - low < _MOST_LISTED:
        possible = tuple(one for one in range(int(low), int(high) + 1) if made.is_possible(one))
        made = dataclasses.replace(made, possible=possible)
    return made


def _range_around(current: float, whole: bool) -> tuple[float, float]:
    """The range that is searched where none is given, in the unit of the value."""
    low, high = (current / _REACH, current * _REACH) if current else (0.0, float(_FROM_ZERO))
    return (float(max(1 if current else 0, round(low))), float(round(high))) if whole else (low, high)


def _narrowed(unknown: Unknown, end: float) -> float:
    """The end itself, or the farthest possible value between it and the current one, to a hundredth."""
    if unknown.is_possible(end):
        return end
    good, bad = unknown.current, end
    for _ in range(60):
        middle: float = _middle(good, bad, unknown.whole)
        if middle in (good, bad) or abs(middle - good) <= 1e-9 * abs(good):
            break
        if unknown.is_possible(middle):
            good = middle
        else:
            bad = middle
    return good


def _middle(good: float, bad: float, whole: bool) -> float:
    between: Callable[[float, float], float] = lambda a, b: (a * b) ** 0.5 if a > 0 and b > 0 else (a + b) / 2  # noqa: E731
    return float(round(between(good, bad))) if whole else between(good, bad)
