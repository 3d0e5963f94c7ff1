"""What a parameter swings (tornado), and which designs no other beats (Pareto front)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pimmodel.errors import PimModelError
from pimmodel.plots.style import (
    BLUE,
    FAINT,
    HEAT,
    INK,
    ORANGE,
    PALE,
    SMALL,
    TEXT,
    VERMILION,
    dress,
    legend,
    new_figure,
    scale_of,
    short,
)
from pimmodel.units import format_quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Swing:
    """A parameter at its low and its high value, and the result with each.

    name : of the parameter; low_value, high_value : of it, numbers in `unit` or words
    low, high : result at these; base : result at the parameter's own value
    """

    name: str
    low_value: float | str
    high_value: float | str
    low: float
    high: float
    base: float
    unit: str = ""

    @property
    def width(self) -> float:
        """Distance between the least and the largest of the three results."""
        return max(self.low, self.high, self.base) - min(self.low, self.high, self.base)


def tornado(rows: Sequence[Swing], result: str = "time of a training step", unit: str = "s") -> Figure:
    """Horizontal bars from the result at a parameter's low value to that at its high value, the widest at the top.

    Parameters
    ----------
    rows : parameters; all have the same base
    result, unit : what the results are, and their SI unit ("" for a plain number)

    Raises
    ------
    PimModelError : no row, or rows with different bases.
    MissingExtraError : matplotlib is not there.
    """
    if not rows:
        raise PimModelError("rows is empty; allowed: one parameter or more")
    bases = {row.base for row in rows}
    if len(bases) > 1:
        raise PimModelError(f"the base result is {min(bases):g} and {max(bases):g}; allowed: one for all rows")
    base = bases.pop()
    figure = new_figure(8, 1.1 + 0.36 * len(rows), "a tornado chart")
    from matplotlib.patches import Patch

    axes = figure.subplots()
    factor, named = scale_of([one for row in rows for one in (row.low, row.high)], unit)
    ordered = sorted(rows, key=lambda row: -row.width)
    for place, row in enumerate(ordered):
        if row.width == 0:
            words = f"{_value(row.low_value, row.unit)} .. {_value(row.high_value, row.unit)}: no change"
            axes.annotate(words, (base / factor, place), xytext=(3, 0), textcoords="offset points", va="center",
                          fontsize=SMALL, color=INK)  # fmt: skip
            continue
        for value, colour, text in ((row.low, ORANGE, row.low_value), (row.high, BLUE, row.high_value)):
            # One-sided pairs overlap: the nearer one is drawn on top.
            axes.barh(place, (value - base) / factor, 0.66, left=base / factor, color=colour,
                      zorder=3 if abs(value - base) <= row.width / 2 else 2)  # fmt: skip
            other = row.high if value == row.low else row.low
            if (value - base) * (other - base) > 0 and abs(value - base) < abs(other - base):
                continue  # its end lies inside the other's bar; the name says its value
            right = value > base or (value == base and other < base)
            axes.annotate(_value(text, row.unit), (value / factor, place), xytext=(3 if right else -3, 0),
                          textcoords="offset points", ha="left" if right else "right", va="center", fontsize=SMALL,
                          color=INK)  # fmt: skip
    axes.axvline(base / factor, color=INK, linewidth=1)
    axes.set_yticks(range(len(ordered)), [short(_name(row), 60) for row in ordered])
    axes.set_ylim(len(ordered) - 0.4, -0.6)
    axes.margins(x=0.16)
    dress(axes, f"base: {format_quantity(base, unit)}", f"{result} [{named or '1'}]", grid="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_color(FAINT)
    legend(axes, [Patch(color=ORANGE, label="low value"), Patch(color=BLUE, label="high value")], 2,
           loc="lower right", bbox_to_anchor=(1, 1))  # fmt: skip
    return figure


def _value(value: float | str, unit: str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:g} {unit}".strip() if unit in ("", "clock") else format_quantity(value, unit)


def _name(row: Swing) -> str:
    """Its name; both values too where the bars lie on one side of the base, so that one end hides the other's label."""
    if (row.low - row.base) * (row.high - row.base) <= 0:
        return row.name
    return f"{row.name} ({_value(row.low_value, row.unit)} .. {_value(row.high_value, row.unit)})"


@dataclass(frozen=True)
class Design:
    """A design and what it costs: time [s], energy [J], and area or a proxy of it (None: not looked at)."""

    name: str
    time: float
    energy: float
    area: float | None = None


def undominated(costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of P designs no other beats: as good in each of K costs, and better in one; shape (P, K), less is better.

    >>> undominated(np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 3.0], [2.0, 2.0]]))
    array([ True,  True, False,  True])
    """
    no_worse = (costs[:, None, :] <= costs[None, :, :]).all(axis=2)
    better = (costs[:, None, :] < costs[None, :, :]).any(axis=2)
    return np.asarray(~(no_worse & better).any(axis=0))


def pareto(points: Sequence[Design], area_unit: str = "m**2") -> Figure:
    """Scatter of energy over time; designs that another beats are pale, the front of time and energy is a line.

    Where all designs have an area, it is the colour, and counts as a third cost: a design may be worth it for its area
    alone, and then lies off the line.

    Raises
    ------
    PimModelError : no point, or some with an area and some without.
    MissingExtraError : matplotlib is not there.
    """
    if not points:
        raise PimModelError("points is empty; allowed: one design or more")
    areas = [one.area for one in points if one.area is not None]
    if areas and len(areas) < len(points):
        raise PimModelError(f"{len(areas)} of {len(points)} points have an area; allowed: all of them, or none")
    figure = new_figure(7.2, 4.8, "a Pareto front")
    axes = figure.subplots()
    (time_factor, time_unit), (energy_factor, energy_unit) = (
        scale_of([one.time for one in points], "s"), scale_of([one.energy for one in points], "J"))  # fmt: skip
    plane = np.array([(one.time / time_factor, one.energy / energy_factor) for one in points])
    good = undominated(np.column_stack((plane, areas)) if areas else plane)
    front = np.array(sorted({(x, y) for x, y in plane[undominated(plane)].tolist()}))
    (line,) = axes.step(*front.T, where="post", color=VERMILION, linewidth=1.2, zorder=2,
                        label="front of time and energy")  # fmt: skip
    pale = axes.scatter(plane[~good, 0], plane[~good, 1], s=26, color=PALE, label="another is better", zorder=1)
    # Prefixes of a square are no prefixes of the unit: areas of silicon are shown in mm².
    scale, area_name = (1e-6, "mm²") if area_unit == "m**2" else scale_of(areas, area_unit)
    colours = {"c": np.array(areas)[good] / scale, "cmap": HEAT} if areas else {"color": BLUE}
    best = axes.scatter(plane[good, 0], plane[good, 1], s=44, edgecolors=INK, linewidths=0.6, zorder=3,
                        label="none is better", **colours)  # fmt: skip
    if areas:
        bar = figure.colorbar(best, ax=axes)
        bar.set_label(f"area [{area_name}]", fontsize=TEXT, color=INK)
        bar.ax.tick_params(labelsize=SMALL, colors=INK)
        bar.outline.set_visible(False)
    middle = plane[:, 0].mean()
    for number, index in enumerate(sorted(np.flatnonzero(good).tolist(), key=lambda one: plane[one, 0])):
        left = plane[index, 0] > middle  # names point inwards, above and below in turn
        offset = (-5 if left else 5, 6 if number % 2 == 0 else -12)
        axes.annotate(short(points[index].name), plane[index], xytext=offset, textcoords="offset points",
                      ha="right" if left else "left", fontsize=SMALL, color=INK)  # fmt: skip
    axes.margins(x=0.06, y=0.1)
    dress(axes, f"{int(good.sum())} of {len(points)} designs are not beaten", f"time of a training step [{time_unit}]",
          f"energy of a training step [{energy_unit}]", "both")  # fmt: skip
    legend(axes, [best, *([pale] if not good.all() else []), line], loc="best")
    return figure
