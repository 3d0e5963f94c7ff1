"""Designs that no other beats: the exact non-dominated ones among any number of points."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pimmodel.errors import PimModelError, UnknownNameError
from pimmodel.hardware.system import System

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Front:
    """Points that no other beats.

    places : of them among the points, rising, shape (F,) [1]
    minimise : names of the objectives, all made least
    dropped : points without a number in some objective (NaN), which take no part [1]
    frame : the points of the front, one a row, in the order of the first objective
    """

    places: NDArray[np.int64]
    minimise: tuple[str, ...]
    dropped: int
    frame: pd.DataFrame = field(repr=False)

    def __len__(self) -> int:
        return len(self.places)

    def _repr_html_(self) -> str:
        return str(self.frame._repr_html_())  # type: ignore[operator]


def pareto_front(
    points: pd.DataFrame | Mapping[str, Any], minimise: Sequence[str] = ("time", "energy", "area")
) -> Front:
    """Points that no other beats: none is as good in every objective and better in one. Equal points are all kept.

    Parameters
    ----------
    points : a table with a column per objective, or a mapping of names to arrays of one shape (such as an xarray
        Dataset), whose points are counted in C order
    minimise : objectives, all made least

    Raises
    ------
    PimModelError : no objective, or arrays of different shapes.
    UnknownNameError : no such column.

    Examples
    --------
    >>> pareto_front({"time": [1.0, 2.0, 3.0], "energy": [3.0, 2.0, 2.5]}, ("time", "energy")).places
    array([0, 1])
    """
    import pandas as pd

    if not minimise:
        raise PimModelError("minimise is empty; allowed: one objective or more")
    for name in minimise:
        if name not in points:
            raise UnknownNameError("objective", name, [str(one) for one in points])
    columns = [np.asarray(points[name], dtype=float) for name in minimise]
    if len({one.shape for one in columns}) > 1:
        shapes = ", ".join(f"{name} {one.shape}" for name, one in zip(minimise, columns, strict=True))
        raise PimModelError(f"objectives have different shapes: {shapes}; allowed: one shape")
    costs = np.stack([one.ravel() for one in columns], axis=1)
    known = ~np.isnan(costs).any(axis=1)
    places = np.flatnonzero(known)[undominated(costs[known])]
    if isinstance(points, pd.DataFrame):
        frame = points.iloc[places]
    else:
        frame = pd.DataFrame({name: costs[places, at] for at, name in enumerate(minimise)}, index=places)
    return Front(places, tuple(minimise), int((~known).sum()), frame.sort_values(list(minimise), kind="stable"))


def undominated(costs: Floats) -> NDArray[np.bool_]:
    """Which of P points no other beats in K costs, less is better; `costs` of shape (P, K) in any units [1], no NaN.

    In time P log P for one and two costs; for three a sorted staircase of the other two; above, each point against
    the front so far.
    """
    if not len(costs):
        return np.zeros(0, dtype=bool)
    # Sorted by the first cost, then the second and so on: a point can only be beaten by one before it.
    distinct, which = np.unique(costs, axis=0, return_inverse=True)
    count = distinct.shape[1]
    if count <= 2:
        last = distinct[:, -1]
        best_before = np.minimum.accumulate(np.r_[np.inf, last[:-1]])
        kept = last < best_before
        kept[0] = True
    elif count == 3:
        kept = _staircase(distinct[:, 1:])
    else:
        kept = _against_front(distinct)
    return np.asarray(kept[which.reshape(-1)])


def _staircase(pairs: Floats) -> NDArray[np.bool_]:
    """Points that none before beats or equals in both costs; stairs rise in one, fall in the other."""
    kept = np.zeros(len(pairs), dtype=bool)
    firsts: list[float] = []
    seconds: list[float] = []
    for place, (first, second) in enumerate(pairs.tolist()):
        before = bisect_right(firsts, first) - 1
        if before >= 0 and seconds[before] <= second:
            continue
        kept[place] = True
        begin = end = bisect_left(firsts, first)
        while end < len(firsts) and seconds[end] >= second:
            end += 1
        firsts[begin:end], seconds[begin:end] = [first], [second]
    return kept


def _against_front(distinct: Floats) -> NDArray[np.bool_]:
    kept = np.zeros(len(distinct), dtype=bool)
    front = np.zeros((0, distinct.shape[1]))
    for place, point in enumerate(distinct):
        if not (front <= point).all(axis=1).any():
            kept[place] = True
            front = np.vstack([front, point])
    return kept


def pim_units(system: System) -> int:
    """PIM units of the whole system, a proxy of the area that PIM adds to the memory [1]."""
    return system.memory_channels * system.pim.units_per_channel
