"""Targets such as "speedup(serial) >= 1.2" or "time <= 100 ms": a quantity, a comparison, a number with its unit.

target     = quantity comparison number [unit]
quantity   = "time" | "images_per_second" | "energy" | "energy_delay" | "speedup" "(" policy ")"
comparison = ">=" | "<=" | "=="
policy     = "gpu-only" | "serial"
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from pimmodel.errors import PimModelError, UnknownNameError
from pimmodel.sensitivity.evaluate import Point
from pimmodel.units import UnitError, format_quantity, parse_quantity

UNITS = {"time": "s", "images_per_second": "1/s", "energy": "J", "energy_delay": "J*s", "speedup": ""}
REFERENCES = ("gpu-only", "serial")
_EXAMPLE = "such as 'speedup(serial) >= 1.2' or 'time <= 100 ms'"
_COMPARISON = re.compile(r"(>=|<=|==)")
_QUANTITY = re.compile(r"([A-Za-z_]\w*)\s*(?:\(\s*([^()]*?)\s*\))?")
_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*)")


@dataclass(frozen=True)
class Target:
    """What is asked for.

    quantity : a name of `UNITS`; reference : policy that a speedup is over; comparison : ">=", "<=" or "=="
    number : in SI units
    """

    quantity: str
    reference: str
    comparison: str
    number: float

    @property
    def unit(self) -> str:
        """SI unit of the quantity, "" for a plain number."""
        return UNITS[self.quantity]

    @property
    def name(self) -> str:
        """The quantity as it is written."""
        return f"{self.quantity}({self.reference})" if self.reference else self.quantity

    def __str__(self) -> str:
        return f"{self.name} {self.comparison} {self.text(self.number)}"

    def text(self, value: float) -> str:
        """A value of the quantity, with its unit."""
        return f"{value:.4g}" if self.unit in ("", "1/s") else format_quantity(value, self.unit.replace("*", " "), 4)

    def of(self, point: Point, policy: str) -> float:
        """The quantity at a point under a policy, in `unit`."""
        if self.quantity == "energy":
            return point.energy(policy)
        time = float(point.time(policy))
        if self.quantity == "energy_delay":
            return point.energy(policy) * time
        if self.quantity == "images_per_second":
            return point.step.network.batch / time
        return float(point.time(self.reference)) / time if self.quantity == "speedup" else time

    def bounded(self, point: Point) -> float | None:
        """The best value that the lower bound of all plans allows at a point; None for energies."""
        if self.quantity.startswith("energy"):
            return None
        return self.of(point, "ideal")

    def met(self, value: float) -> bool:
        """Whether a value is good enough; for "==" whether it is at least the number."""
        return value <= self.number if self.comparison == "<=" else value >= self.number


def parse_target(text: str) -> Target:
    """Target from its text.

    Raises
    ------
    UnknownNameError : no such quantity or policy.
    PimModelError : anything else that is not a target.

    Examples
    --------
    >>> parse_target("time <= 100 ms")
    Target(quantity='time', reference='', comparison='<=', number=0.1)
    >>> str(parse_target("speedup( serial )>=1.2"))
    'speedup(serial) >= 1.2'
    """

    def wrong(what: str) -> PimModelError:
        return PimModelError(f"target is {text!r}: {what}; allowed: {_EXAMPLE}")

    if not isinstance(text, str):
        raise wrong("not a text")
    left, *rest = _COMPARISON.split(text)
    if len(rest) != 2:
        raise wrong("one of >=, <= and == is wanted, once")
    comparison, right = rest
    found = _QUANTITY.fullmatch(left.strip())
    if not found:
        raise wrong(f"{left.strip()!r} is no quantity")
    quantity, reference = found.groups()
    if quantity not in UNITS:
        raise UnknownNameError("quantity", quantity, UNITS)
    if quantity == "speedup" and not reference:
        raise wrong("speedup over which policy? speedup(serial) or speedup(gpu-only)")
    if quantity != "speedup" and reference is not None:
        raise wrong(f"{quantity} takes no policy")
    if reference and reference not in REFERENCES:
        raise UnknownNameError("policy of a speedup", reference, REFERENCES)
    return Target(quantity, reference or "", comparison, _number(right.strip(), UNITS[quantity], wrong))


def _number(text: str, unit: str, wrong: Callable[[str], PimModelError]) -> float:
    found = _NUMBER.fullmatch(text)
    if not found:
        raise wrong("a number is wanted after the comparison")
    number, given = found.groups()
    if given and unit in ("", "1/s"):
        raise wrong(f"{given!r} follows the number; this quantity has no unit to give")
    try:
        value = parse_quantity(text, unit) if given else float(number)
    except UnitError:
        raise wrong(f"{given!r} is no unit of {unit}") from None
    if not math.isfinite(value) or value <= 0:
        raise wrong("the number has to be above 0")
    return value
