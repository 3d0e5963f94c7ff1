"""What a sweep varies: names, values, and the designs made of them.

Any numeric value of a system by its dotted name ("gpu.clock", "memory.timing.tCCD_L"), and of the study itself:
`batch`, `chunks`, `thresholds.low`, `thresholds.high`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pimmodel.errors import PimModelError, UnknownNameError
from pimmodel.hardware.change import kind_of, names_in
from pimmodel.hardware.description import FieldKind
from pimmodel.hardware.system import System
from pimmodel.hardware.values import UnfitError, value_in

Method = Literal["grid", "random", "latin", "sobol"]
METHODS: tuple[Method, ...] = ("grid", "random", "latin", "sobol")
LOW, HIGH = "thresholds.low", "thresholds.high"
# Name to kind: whole numbers of the study itself.
OWN: dict[str, FieldKind] = {
    "batch": FieldKind(int, None, False, 0.0, True),
    "chunks": FieldKind(int, None, False, 0.0, True),
    LOW: FieldKind(int, None, False, 0.0, False),
    HIGH: FieldKind(int, None, False, 0.0, True),
}
_MOST = 10**9  # designs of one study

Numbers = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Axis:
    """One thing that varies: its dotted name, values in SI (of a sampled one: least and greatest), and their unit."""

    name: str
    values: Numbers
    unit: str | None
    whole: bool


@dataclass(frozen=True, eq=False)
class Designs:
    """N designs.

    axes : what varies; shape : of the grid, or (N,) where designs are sampled; method : "grid" or the sampler
    """

    axes: tuple[Axis, ...]
    shape: tuple[int, ...]
    method: Method
    _samples: dict[str, Numbers] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def part(self, begin: int, end: int) -> dict[str, Numbers]:
        """Values of designs `begin` to `end` by name, arrays of shape (end - begin,)."""
        if self.method != "grid":
            return {name: values[begin:end] for name, values in self._samples.items()}
        places = np.unravel_index(np.arange(begin, end), self.shape)
        return {axis.name: axis.values[place] for axis, place in zip(self.axes, places, strict=True)}


def designs(
    system: System, parameters: Mapping[str, Any], method: str = "grid", points: int | None = None, seed: int = 0
) -> Designs:
    """Designs of a study.

    Parameters
    ----------
    system : whose values vary
    parameters : dotted name to values in SI or texts with a unit: rising values for a grid; least and greatest for
        samplers, whole numbers included
    method : "grid" (all combinations, the last name fastest), "random", "latin" (hypercube) or "sobol"
    points : designs to sample
    seed : of the sampler

    Raises
    ------
    UnknownNameError : a name or a method that is not there.
    PimModelError : values that a parameter cannot have, none at all, or not in rising order.
    """
    if method not in METHODS:
        raise UnknownNameError("method", method, METHODS)
    if not parameters:
        raise PimModelError("a sweep needs at least one parameter; such as {'gpu.clock': [1e9, 2e9]}")
    sampled = method != "grid"
    if sampled and (isinstance(points, bool) or not isinstance(points, int) or not 1 <= points <= _MOST):
        raise PimModelError(f"points is {points!r}; allowed with method '{method}': a whole number, 1 to {_MOST}")
    if not sampled and points is not None:
        raise PimModelError(f"points is {points!r}; allowed: nothing with method 'grid', whose values say how many")
    axes = tuple(axis_of(system, name, values, sampled) for name, values in parameters.items())
    if not sampled:
        shape = tuple(len(axis.values) for axis in axes)
        if np.prod(shape, dtype=float) > _MOST:
            raise PimModelError(f"the grid has {np.prod(shape, dtype=float):.3g} designs; allowed: at most {_MOST}")
        return Designs(axes, shape, "grid")
    assert points is not None
    unit = _unit_samples(method, len(axes), points, seed)
    return Designs(axes, (points,), method, {
        axis.name: _scaled(axis, unit[:, place]) for place, axis in enumerate(axes)
    })  # fmt: skip


def _unit_samples(method: str, dimensions: int, points: int, seed: int) -> Numbers:
    from scipy.stats import qmc

    rng = np.random.default_rng(seed)
    if method == "random":
        return np.asarray(rng.random((points, dimensions)))
    if method == "latin":
        return np.asarray(qmc.LatinHypercube(dimensions, rng=rng).random(points))
    # Sobol' points are balanced at powers of two: so many are drawn, and the first of them taken.
    drawn = qmc.Sobol(dimensions, rng=rng).random_base2(max(0, (points - 1).bit_length()))
    return np.asarray(drawn[:points])


def _scaled(axis: Axis, unit: Numbers) -> Numbers:
    least, greatest = axis.values
    if axis.whole:
        return np.asarray(np.minimum(least + np.floor(unit * (greatest - least + 1)), greatest).astype(np.int64))
    return np.asarray(least + unit * (greatest - least))


def axis_of(system: System, name: str, values: Any, sampled: bool) -> Axis:
    """One checked axis; `values` as in `designs`."""
    kind = _kind(system, name)
    listed = _listed(name, values)
    clock = system.memory.clock if name.startswith("memory.timing.") else None
    numbers = _plain(listed, kind)
    if numbers is None:
        numbers = np.array([_number(name, one, kind, clock) for one in listed])
    if sampled and len(numbers) != 2:
        raise PimModelError(f"{name} has {len(numbers)} values; allowed where designs are sampled: least and greatest")
    if not len(numbers):
        raise PimModelError(f"{name} has no values; allowed: one or more, in rising order")
    falls = np.flatnonzero(np.diff(numbers) <= 0)
    if len(falls):
        first, second = (listed[int(falls[0]) + one] for one in (0, 1))
        raise PimModelError(f"{name} goes from {first!r} to {second!r}; allowed: values in rising order, none twice")
    return Axis(name, numbers, kind.unit, kind.type is int)


def _plain(listed: Any, kind: FieldKind) -> Numbers | None:
    """Many plain numbers checked at once; None where they must be looked at one by one."""
    if not isinstance(listed, np.ndarray) or listed.ndim != 1 or listed.dtype.kind not in "iuf" or not len(listed):
        return None
    values = listed.astype(float)
    fits = np.isfinite(values).all() and (kind.type is float or (values == np.round(values)).all())
    if kind.lowest is not None:
        fits = fits and values.min() >= kind.lowest and not (kind.above and values.min() == kind.lowest)
    if not fits:
        return None
    return listed.astype(np.int64) if kind.type is int else values


def _kind(system: System, name: str) -> FieldKind:
    if name in OWN:
        return OWN[name]
    try:
        kind = kind_of(system, name)
    except UnknownNameError as error:
        if "." not in name:
            raise UnknownNameError("parameter", name, [*OWN, *numeric_names(system)]) from None
        raise error
    if kind.part is not None or kind.type not in (int, float):
        known = ", ".join([*OWN, *numeric_names(system)][:6])
        raise PimModelError(f"{name} is not a number; allowed: numeric values of a system, such as {known}")
    return kind


def numeric_names(system: System) -> list[str]:
    """Dotted names of all numeric values of a system."""
    return [name for name in names_in(system) if kind_of(system, name).type in (int, float)]


def _listed(name: str, values: Any) -> Any:
    if isinstance(values, np.ndarray) and values.ndim == 1:
        return values
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise PimModelError(f"{name} is {values!r}; allowed: a list of values")
    return list(values)


def _number(name: str, value: Any, kind: FieldKind, clock: float | None) -> float | int:
    try:
        found: float | int | None = value_in(value, kind, clock)
    except UnfitError as error:
        raise PimModelError(f"{name} has the value {value!r}; allowed: {error}") from None
    if found is None:
        raise PimModelError(f"{name} has the value {value!r}; allowed in a sweep: numbers")
    return found
