"""The smallest (or largest) value that meets a target: in closed form where there is one, else by bracketing.

The range is looked at coarsely first. One change from missed to met (or back) is a boundary between two neighbours of
that scan; more than one means that the quantity is not monotone, which is said, and the first boundary is returned.

- Whole numbers: bisection, and both neighbours of the answer are evaluated.
- Real numbers under `gpu-only` and `serial`: where time is a + b / x or a + b x on the bracket, or near the root (the
  formulas' exact derivatives at both ends tell), x is solved for with sympy.
- Else scipy's Brent on the bracket. At a jump it ends beside the jump, on the side that meets the target.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pimmodel.dual import value_of
from pimmodel.errors import PimModelError
from pimmodel.formula import sp
from pimmodel.hardware.system import System
from pimmodel.network.network import Network
from pimmodel.network.training import Optimizer, Precision
from pimmodel.sensitivity.evaluate import Point, StudyPolicy, Thresholds, check_policy
from pimmodel.solve.target import Target, parse_target
from pimmodel.solve.unknown import Bounds, Unknown, make_unknown
from pimmodel.step import prepare
from pimmodel.units import format_quantity, format_value

SCHEMA = "pimmodel/solution/1"
SOLVED: tuple[StudyPolicy, ...] = ("gpu-only", "serial", "exclusive")
SCAN = 9  # values of the coarse scan
_RELATIVE = 1e-10  # of the root
_NEAR = 1e-3  # part of a root on either side of which a closed form is looked for
Status = Literal["met", "always met", "impossible"]


@dataclass(frozen=True)
class Trial:
    """A value of the unknown, and the target's quantity there."""

    value: float
    result: float


@dataclass(frozen=True)
class Solution:
    """Answer to an inverse question.

    status : "met": `value` is the boundary; "always met" in the whole range; "impossible" in it
    value, result : the smallest value that meets the target (`side` "smallest") or the largest, and the quantity there;
        the value nearest to the target where it is impossible
    unit : of the value; current : value and quantity of the system at hand
    low, high : range that was searched; bracket : neighbours that enclose the boundary; evaluations : of the model
    method : "closed form", "root finding", "whole numbers" or "scan"; expression : of the closed form
    monotone : whether the target is met on one side only
    forbidden_by : where it is impossible: what stands against it
    """

    unknown: str
    unit: str
    target: str
    policy: str
    status: Status
    value: float
    result: float
    current: Trial
    low: float
    high: float
    side: Literal["smallest", "largest"]
    bracket: tuple[Trial, Trial] | None
    evaluations: int
    method: str
    expression: str = ""
    monotone: bool = True
    forbidden_by: str = ""
    text: str = ""

    def to_dict(self) -> dict[str, Any]:
        """All of it in SI units."""
        return {"schema": SCHEMA, **{name: value for name, value in dataclasses.asdict(self).items() if name != "text"}}

    def to_json(self, indent: int | None = 2) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def summary(self) -> str:
        """A few lines for people."""
        return self.text

    def _repr_html_(self) -> str:
        import html

        return f"<pre>{html.escape(self.text)}</pre>"


def solve(
    network: Network,
    system: System,
    unknown: str,
    target: str,
    policy: StudyPolicy = "exclusive",
    *,
    bounds: Bounds | None = None,
    thresholds: Thresholds = None,
    precision: Precision = "fp32",
    optimizer: Optimizer = "sgd-momentum",
    fuse_activation: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Solution:
    """The value of a parameter at which a step meets a target.

    Parameters
    ----------
    unknown : dotted name of a numeric parameter, or "pim.bandwidth" (of all PIM units together [B/s])
    target : "time <= 100 ms", "images_per_second >= 500", "speedup(serial) >= 1.2", "energy <= 10 J",
        "energy_delay <= 1 J*s"; with "==" the break-even
    policy : "gpu-only", "serial" or "exclusive" (see :mod:`pimmodel.sensitivity.evaluate`)
    bounds : range that is searched; None: a sixteenth to sixteen times the value, as far as the description allows
    progress : called with values of the scan done, and of all [1]
    others : as for `pimmodel.sensitivity`

    Raises
    ------
    UnknownNameError : no such parameter, quantity or policy.
    PimModelError : a target that cannot be read, or an empty or forbidden range.

    Examples
    --------
    >>> import pimmodel as pm
    >>> network, system = pm.load_network("alexnet", batch=16), pm.load_system("v100-bankgroup-pim")
    >>> found = pm.solve(network, system, "pim.bandwidth", "speedup(gpu-only) == 1", policy="serial")
    >>> found.method, found.expression
    ('closed form', 'time = a + b/x')
    """
    check_policy(policy, SOLVED)
    wanted = parse_target(target)
    step = prepare(network, system, precision=precision, optimizer=optimizer, fuse_activation=fuse_activation)
    point = Point(step, thresholds)
    return _Question(make_unknown(unknown, point, bounds), wanted, policy, progress).answer()


class _Question:
    """One question, with the values tried so far."""

    def __init__(self, unknown: Unknown, target: Target, policy: StudyPolicy, progress: Any) -> None:
        self.unknown, self.target, self.policy, self.progress = unknown, target, policy, progress
        self.tried: dict[float, float] = {}

    def result(self, value: float) -> float:
        """The quantity at a value of the unknown."""
        if value not in self.tried:
            self.tried[value] = self.target.of(self.unknown.point(value), self.policy)
        return self.tried[value]

    def met(self, value: float) -> bool:
        return self.target.met(self.result(value))

    def answer(self) -> Solution:
        current = Trial(self.unknown.current, self.result(self.unknown.current))
        places = self.unknown.places(SCAN)
        if not places:
            raise PimModelError(f"no value of {self.unknown.name} between {self.unknown.low:g} and"
                                f" {self.unknown.high:g} is possible")  # fmt: skip
        scanned = []
        for done, one in enumerate(places):
            if self.progress:
                self.progress(done, len(places))
            scanned.append(self.met(one))
        if self.progress:
            self.progress(len(places), len(places))
        changes = [place for place in range(1, len(places)) if scanned[place] != scanned[place - 1]]
        common = {"current": current, "monotone": len(changes) <= 1}
        if not changes and not scanned[0]:
            return self._impossible(places, common)
        if not changes and self.target.comparison == "==":
            return self._impossible(places, common)
        if not changes:
            return self._made("always met", places[0], "smallest", None, "scan", common)
        first = changes[0]
        return self._boundary(places[first - 1], places[first], common)

    def _boundary(self, low: float, high: float, common: dict[str, Any]) -> Solution:
        """The boundary between two values of which one meets the target."""
        side: Literal["smallest", "largest"] = "smallest" if self.met(high) else "largest"
        if self.unknown.whole:
            method, expression = "whole numbers", ""
            low, high = self._bisected(low, high)
            value = high if side == "smallest" else low
        else:
            solved = self._closed_form(low, high)
            if solved is None:
                low, high = self._root(low, high)
                value = high if side == "smallest" else low
                # Kernels chosen may change within the first bracket, hardly within one part in a thousand.
                solved = self._closed_form(max(self.unknown.low, low * (1 - _NEAR)),
                                           min(self.unknown.high, high * (1 + _NEAR)))  # fmt: skip
            if solved is None:
                method, expression = "root finding", ""
            else:
                method, expression, value = "closed form", solved[1], solved[0]
        bracket = (Trial(low, self.result(low)), Trial(high, self.result(high)))
        return self._made("met", value, side, bracket, method, common | {"expression": expression})

    def _bisected(self, low: float, high: float) -> tuple[float, float]:
        """Neighbouring possible whole numbers, one of which meets the target."""
        at_low = self.met(low)
        while True:
            between = self._possible_between(low, high)
            if between is None:
                return low, high
            low, high = (between, high) if self.met(between) == at_low else (low, between)

    def _possible_between(self, low: float, high: float) -> float | None:
        """A possible whole number between two, the one nearest to the middle; None where there is none."""
        middle = int((low + high) // 2)
        for away in range(int(high - low) + 1):
            for one in (middle - away, middle + away):
                if low < one < high and self.unknown.is_possible(one):
                    return float(one)
        return None

    def _root(self, low: float, high: float) -> tuple[float, float]:
        """Two values beside each other, one of which meets the target."""
        from scipy.optimize import brentq

        start = self.met(low)
        root = float(brentq(lambda value: self.result(float(value)) - self.target.number, low, high,
                            xtol=_RELATIVE * max(abs(low), 1e-12 * abs(high)), rtol=_RELATIVE))  # fmt: skip
        tried = sorted(one for one in self.tried if low <= one <= high)
        same = max(one for one in tried if self.met(one) == start and one <= root * (1 + 2 * _RELATIVE))
        other = min(one for one in tried if self.met(one) != start and one > same)
        return same, other

    def _closed_form(self, low: float, high: float) -> tuple[float, str] | None:
        """Value of the unknown in closed form, where time has one on the whole bracket, and its form."""
        if self.policy == "exclusive" or self.target.quantity.startswith("energy"):
            return None
        terms = [self.policy, self.target.reference] if self.target.quantity == "speedup" else [self.policy]
        ends = [self.unknown.with_slope(one) for one in (low, high)]
        forms = [_form(ends, (low, high), policy) for policy in terms]
        if any(form is None for form in forms):
            return None
        x = sp.Symbol("x", positive=True)
        times = [form[0](x) for form in forms]  # type: ignore[index]
        number = sp.Float(self.target.number)
        if self.target.quantity == "images_per_second":
            equation = self.unknown.point(low).step.network.batch - number * times[0]
        elif self.target.quantity == "speedup":
            equation = times[1] - number * times[0]
        else:
            equation = times[0] - number
        roots = [float(one) for one in sp.solve(sp.together(equation), x) if low <= float(one) <= high]
        if len(roots) != 1:
            return None
        value = roots[0]
        if not self.met(value):  # by rounding alone
            toward = high if self.met(high) else low
            value += (toward - value) * 1e-12
        told = "; ".join(f"{'time' if policy == self.policy else policy} = {form[1]}"
                         for policy, form in zip(terms, forms, strict=True)
                         if form and (form[1] != "a" or policy == self.policy))  # fmt: skip
        return value, told

    def _impossible(self, places: list[float], common: dict[str, Any]) -> Solution:
        """No value of the scan is good enough: the nearest, and what forbids more."""
        target, number = self.target, self.target.number
        best = min(places, key=lambda one: abs(self.result(one) - number))
        said = f"the best is {target.text(self.result(best))}"
        point = self.unknown.point(best)
        most = target.bounded(point)
        if most is not None and not target.met(self.result(best)):
            bound = point.bound
            parts = ", ".join(f"{name} {format_quantity(float(getattr(bound, name)), 's')}"
                              for name in ("work", "memory", "path"))  # fmt: skip
            if target.met(most):
                said += (f"; no lower bound forbids it (at most {target.text(most)}, set by {bound.active}: {parts}),"
                         f" the policy {self.policy} does not get there")  # fmt: skip
            else:
                said += (f"; no plan gives more than {target.text(most)} there: the lower bound of the step is"
                         f" {format_quantity(bound.time, 's')}, set by {bound.active} ({parts})")  # fmt: skip
        return self._made("impossible", best, "smallest", None, "scan", common | {"forbidden_by": said})

    def _made(self, status: Status, value: float, side: Literal["smallest", "largest"],
              bracket: tuple[Trial, Trial] | None, method: str, more: dict[str, Any]) -> Solution:  # fmt: skip
        unknown = self.unknown
        made = Solution(
            unknown.name, unknown.unit, str(self.target), self.policy, status, value, self.result(value),
            low=unknown.low, high=unknown.high, side=side, bracket=bracket, evaluations=len(self.tried), method=method,
            **more,
        )  # fmt: skip
        return dataclasses.replace(made, text=_text(made, self.target))


def _form(ends: list[Point], values: tuple[float, float], policy: str) -> tuple[Callable[[Any], Any], str] | None:
    """Time as a function of the unknown, if it is a + b / x, a + b x or constant between two values; and its form."""
    (low, high), times = values, [one.time(policy) for one in ends]
    plain = [float(value_of(one)) for one in times]
    slopes = [float(one.slope[0]) if hasattr(one, "slope") else 0.0 for one in times]
    backward = [-float(one.slope[1]) if hasattr(one, "slope") else 0.0 for one in times]
    scale = 1e-9 * max(map(abs, plain))

    def close(one: float, other: float) -> bool:
        return abs(one - other) <= scale

    if not (close(slopes[0] * low, backward[0] * low) and close(slopes[1] * high, backward[1] * high)):
        return None
    if close(plain[0], plain[1]) and close(slopes[0] * low, 0) and close(slopes[1] * high, 0):
        return (lambda x: sp.Float(plain[0]), "a")
    b = -slopes[0] * low**2
    a = plain[0] - b / low if low else 0.0
    if low and close(a + b / high, plain[1]) and close(-b / high, slopes[1] * high):
        return (lambda x: a + b / x, "a + b/x")
    straight = slopes[0]
    if close(plain[0] + straight * (high - low), plain[1]) and close(straight * high, slopes[1] * high):
        return (lambda x: plain[0] + straight * (x - low), "a + b x")
    return None


def _text(found: Solution, target: Target) -> str:
    """The answer in words."""

    def shown(number: float) -> str:
        return format_value(float(number), found.unit)

    value, ends, now = shown(found.value), f"{shown(found.low)} and {shown(found.high)}", shown(found.current.value)
    here = f"now: {found.unknown} {now}, {target.name} {target.text(found.current.result)}"
    if found.status == "impossible":
        said = f"{found.forbidden_by} ({found.unknown} {value})"
        return f"{found.target}: impossible with {found.unknown} between {ends}\n{said}\n{here}"
    if found.status == "always met":
        return f"{found.target}: met by every {found.unknown} that was tried between {ends}\n{here}"
    lines = [f"{found.target}: {found.side} {found.unknown} is {value}, {target.name} {target.text(found.result)}"]
    if found.expression:
        lines.append(f"closed form: {found.expression}, {found.evaluations} evaluations")
    elif found.bracket:
        beside = " and ".join(f"{shown(one.value)} ({target.text(one.result)})" for one in found.bracket)
        lines.append(f"{found.method}, {found.evaluations} evaluations, between {beside}")
    if not found.monotone:
        lines.append(
            f"not monotone between {ends}: the target is missed and met more than once; this is the first change"
        )
    return "\n".join([*lines, here])
