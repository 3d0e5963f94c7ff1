"""The numeric parameters of a system: which have a derivative, which only steps, and which no time depends on."""

from __future__ import annotations

import fnmatch
import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pimmodel.errors import PimModelError, UnknownNameError
from pimmodel.hardware.change import kind_of, names_in, replace
from pimmodel.hardware.description import FieldKind
from pimmodel.hardware.system import System
from pimmodel.hardware.values import allowed_in, value_in

# What the time of a step cannot depend on: energies, powers, currents and areas.
_TIMELESS_UNITS = ("J", "J/bit", "W", "A", "V", "m**2")
# Sizes that formulas take as they would a real number; other whole numbers go in steps.
_SMOOTH_SIZES = ("gpu.l2_size",)

_REACH = 4  # steps looked at for a value that the description allows (units divide the banks)

Kind = Literal["real", "whole", "no effect"]


@dataclass(frozen=True)
class Parameter:
    """A numeric parameter of a system.

    name : dotted; value : in `unit` of SI, "clock", or "" for a plain number
    kind : "real" (has a derivative), "whole" (goes in steps), "no effect" (no time depends on it)
    """

    name: str
    value: float | int
    unit: str
    kind: Kind

    def below(self) -> list[int]:
        """Values one step below, the nearest first: the first that is possible is meant; half for sizes in bytes."""
        value = int(self.value)
        return [value // 2] if self.unit == "B" else list(range(value - 1, max(value - _REACH, value // 2) - 1, -1))

    def above(self) -> list[int]:
        """Values one step above; double for sizes in bytes."""
        value = int(self.value)
        return [value * 2] if self.unit == "B" else list(range(value + 1, min(value + _REACH, max(2 * value, 1)) + 1))


def value_in_system(system: System, name: str) -> Any:
    """Value of a dotted name; None where it is not given, or its part is not."""
    return functools.reduce(lambda part, one: None if part is None else getattr(part, one), name.split("."), system)


def parameters(system: System, wanted: Sequence[str] | None = None) -> list[Parameter]:
    """Numeric parameters of a system that have a value.

    Parameters
    ----------
    system : whose parameters
    wanted : dotted names, or patterns such as "memory.timing.*"; None: all

    Raises
    ------
    UnknownNameError : a name or pattern that no numeric parameter has.
    """
    found: list[Parameter] = []
    for name in names_in(system):
        kind, value = kind_of(system, name), value_in_system(system, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        unit = kind.unit or ""
        sort: Kind = "whole" if kind.type is int and name not in _SMOOTH_SIZES else "real"
        found.append(Parameter(name, value, unit, "no effect" if unit in _TIMELESS_UNITS else sort))
    if wanted is None:
        return found
    chosen: dict[str, Parameter] = {}
    for pattern in wanted:
        matching = [one for one in found if fnmatch.fnmatchcase(one.name, pattern)]
        if not matching:
            kind_of(system, pattern)  # says where the name goes wrong
            raise UnknownNameError("numeric parameter", pattern, [one.name for one in found])
        chosen |= {one.name: one for one in matching}
    return list(chosen.values())


def range_in(name: str, given: Sequence[float | str], kind: FieldKind, clock: float) -> tuple[float, float]:
    """A range of a parameter in SI units, both ends allowed by its kind.

    Parameters
    ----------
    name : of the parameter, for errors
    given : least and greatest value, numbers in SI (or clocks) or texts with a unit
    kind : of the parameter
    clock : of the memory, for timings given as times [Hz]

    Raises
    ------
    PimModelError : not two values, one that the parameter cannot have, or the first not below the second.
    """
    try:
        low, high = (value_in(_number(one, kind), kind, clock) for one in given)
    except (TypeError, ValueError):
        raise PimModelError(f"range of {name} is {given!r}; allowed: (low, high), each {allowed_in(kind)}") from None
    if not low < high:
        raise PimModelError(f"range of {name} is {low:g} to {high:g}; allowed: the first less than the second")
    return low, high


def _number(given: float | str, kind: FieldKind) -> float | str:
    """The number that a text is, where a value of this kind needs no unit."""
    try:
        return float(given) if isinstance(given, str) and kind.unit in (None, "clock") else given
    except ValueError:
        return given


def base_system(system: System, name: str) -> System:
    """The system that changes of a parameter start from.

    A stated `memory_bandwidth` is dropped by `replace` as soon as the memory changes: then that is so from the start.
    """
    stated = system.memory_bandwidth is not None
    if not stated or name.split(".")[0] not in ("memory", "memory_channels"):
        return system
    return replace(system, {name: operator.attrgetter(name)(system)})
