"""What each hardware parameter does to a step: derivatives, elasticities, and where it acts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pimmodel.errors import PimModelError
from pimmodel.hardware.change import replace
from pimmodel.sensitivity.evaluate import Point, StudyPolicy
from pimmodel.sensitivity.parameters import Kind, base_system
from pimmodel.units import format_quantity

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = "pimmodel/sensitivity/1"
RESULTS = ("time", "speedup_gpu_only", "speedup_serial")


class Sides(NamedTuple):
    """Something to the left and to the right of a parameter's value; None where there is no such side."""

    left: float | None
    right: float | None


NOTHING = Sides(0.0, 0.0)


@dataclass(frozen=True)
class Effect:
    """What one parameter does.

    name, value, unit, kind : of the parameter (see :class:`pimmodel.sensitivity.parameters.Parameter`)
    derivative : of the step time [s per unit]; of a whole number, difference per step
    time, speedup_gpu_only, speedup_serial : elasticities d ln / d ln, of a whole number ln ratio over ln ratio of one
        step [1]
    change : change of the time with one step down and up, of whole numbers, as a share of it [1]
    steps : values one step down and up, of whole numbers
    active : where it acts: how many tasks, the one that gains most, and what that is bound by
    """

    name: str
    value: float
    unit: str
    kind: Kind
    derivative: Sides = NOTHING
    time: Sides = NOTHING
    speedup_gpu_only: Sides = NOTHING
    speedup_serial: Sides = NOTHING
    change: Sides | None = None
    steps: Sides | None = None
    active: str = ""

    @property
    def size(self) -> float:
        """The larger elasticity of the time, without sign [1]."""
        return max(abs(one or 0.0) for one in self.time)

    @property
    def swing(self) -> float:
        """Change of the time, without sign: with 10 % of a real parameter, with one step of a whole number [1]."""
        return 0.1 * self.size if self.change is None else max(abs(one or 0.0) for one in self.change)

    @property
    def kink(self) -> bool:
        """Whether a real parameter's derivatives to the left and to the right differ."""
        left, right = self.time
        return self.kind == "real" and abs((left or 0.0) - (right or 0.0)) > 1e-9 * max(self.size, 1e-9)

    def row(self) -> dict[str, Any]:
        """All of it in one flat row, SI units."""
        row: dict[str, Any] = {"parameter": self.name, "value": self.value, "unit": self.unit, "kind": self.kind}
        row |= {"derivative_left": self.derivative.left, "derivative_right": self.derivative.right}
        for name in RESULTS:
            left, right = getattr(self, name)
            row |= {f"{name}_elasticity_left": left, f"{name}_elasticity_right": right}
        change, steps = self.change or Sides(None, None), self.steps or Sides(None, None)
        row |= {"value_below": steps.left, "value_above": steps.right}
        row |= {"time_change_below": change.left, "time_change_above": change.right}
        return row | {"kink": self.kink, "active": self.active}


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Effects of all parameters on one step, those with the widest `swing` first.

    network, system, policy : what it is about
    time : of the step [s]; speedup_gpu_only, speedup_serial : over these policies [1]
    effects : one per parameter
    bounds : shares of the step time by what the host is bound by, and of the PIM's work by where it is done [1]
    """

    network: str
    system: str
    policy: StudyPolicy
    time: float
    speedup_gpu_only: float
    speedup_serial: float
    effects: tuple[Effect, ...] = field(repr=False)
    bounds: dict[str, float]
    _point: Point = field(repr=False)

    def __getitem__(self, name: str) -> Effect:
        """The effect of the parameter of a dotted name."""
        for one in self.effects:
            if one.name == name:
                return one
        raise KeyError(name)

    def to_frame(self) -> pd.DataFrame:
        """One row per parameter: value in `unit`, derivatives in s per unit, elasticities."""
        import pandas as pd

        return pd.DataFrame([one.row() for one in self.effects])

    def to_dict(self) -> dict[str, Any]:
        """All figures in SI units."""
        return {
            "schema": SCHEMA, "network": self.network, "system": self.system, "policy": self.policy,
            "time_s": self.time, "speedup_gpu_only": self.speedup_gpu_only, "speedup_serial": self.speedup_serial,
            "bounds": self.bounds, "parameters": [one.row() for one in self.effects],
        }  # fmt: skip

    def to_json(self, indent: int | None = 2) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def _repr_html_(self) -> str:
        table: str = self.to_frame().to_html(index=False, float_format=lambda number: f"{number:.4g}")
        return f"<p>{self.summary()}</p>{table}"

    def summary(self) -> str:
        """A line for people."""
        return (f"{self.network} on {self.system}, policy {self.policy}: {format_quantity(self.time, 's')},"
                f" {self.speedup_gpu_only:.3f} x gpu-only, {self.speedup_serial:.3f} x serial")  # fmt: skip

    def swings(self, top: int = 15, change: float = 0.1) -> list[tuple[Effect, Sides, Sides]]:
        """Values and step times [s] of the `top` parameters: real ones a share `change` [1] up and down, others a step.

        Returns (effect, values, times); a side that the description forbids is the value itself.
        """
        found = []
        for one in self.effects[:top]:
            if one.size == 0:
                break
            if one.kind == "real":
                tried = [(value, self._time_with(one, value)) for value in
                         (one.value * (1 - change), one.value * (1 + change))]  # fmt: skip
                values = tuple(one.value if time is None else value for value, time in tried)
                times = tuple(self.time if time is None else time for _, time in tried)
            else:
                assert one.steps is not None
                assert one.change is not None
                values = tuple(one.value if step is None else step for step in one.steps)
                times = tuple(self.time * (1 + (ratio or 0.0)) for ratio in one.change)
            found.append((one, Sides(*values), Sides(*times)))
        return found

    def _time_with(self, one: Effect, value: float) -> float | None:
        """Time of the step with another value of a parameter [s]; None where the description forbids it."""
        system = self._point.step.system
        base = self._point.at(base_system(system, one.name))
        number = round(value) if one.unit == "B" else value
        try:
            changed = base.at(replace(system, {one.name: number}))
        except PimModelError:
            return None
        ratio = float(changed.time(self.policy)) / float(base.time(self.policy))
        return self.time * ratio
