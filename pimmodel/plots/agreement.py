"""Formula against simulator, or against measurements: a scatter around the line on which both agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pimmodel.errors import PimModelError
from pimmodel.plots.style import BLUE, FAINT, TITLE, VERMILION, dress, legend, new_figure, plain_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAND = 0.1  # relative width of the band around the line


class Compared(NamedTuple):
    """One value by formula and by simulator (or measurement), of a quantity in a unit."""

    quantity: str
    unit: str
    formula: float
    simulator: float


def formula_against_simulator(
    rows: Sequence[Compared], quantities: Sequence[str] = (), *, reference: str = "simulator"
) -> Figure:
    """Scatter of formula over simulator with the line of agreement and a band of 10 % around it, a panel per quantity.

    Panels are logarithmic where all values are positive and a factor of ten apart. Values that are not finite (and on
    logarithmic axes zeros) are counted in the title.

    Parameters
    ----------
    rows : what is compared
    quantities : panels in this order, also where a quantity has no row; default: as they come
    reference : what the formula is compared with

    Raises
    ------
    PimModelError : neither rows nor quantities.
    MissingExtraError : matplotlib is not there.
    """
    names = list(quantities) or list(dict.fromkeys(row.quantity for row in rows))
    if not names:
        raise PimModelError("rows is empty; allowed: one comparison or more")
    columns = min(3, len(names))
    lines = math.ceil(len(names) / columns)
    figure = new_figure(4.2 * columns, 3.8 * lines, "the scatter plot")
    for number, name in enumerate(names, start=1):
        _panel(figure.add_subplot(lines, columns, number), name, [row for row in rows if row.quantity == name],
               reference, first=number == 1)  # fmt: skip
    return figure


def _panel(axes: Axes, name: str, rows: list[Compared], reference: str, *, first: bool) -> None:
    if not rows:
        dress(axes, f"{name}: nothing to compare")
        axes.set(xticks=[], yticks=[])
        return
    finite = [
        (row.simulator, row.formula) for row in rows if math.isfinite(row.simulator) and math.isfinite(row.formula)
    ]
    positive = [value for pair in finite for value in pair if value > 0]
    logarithmic = len(positive) > 1.9 * len(finite) and max(positive) > 10 * min(positive)
    points = [pair for pair in finite if min(pair) > 0] if logarithmic else finite
    left_out = len(rows) - len(points)
    handles: list[Any] = []
    if points:
        x, y = zip(*points, strict=True)
        handles.append(axes.scatter(x, y, s=11, alpha=0.6, color=BLUE, linewidths=0, label=f"{len(points)} values"))
        handles += _line(axes, min(*x, *y), max(*x, *y), logarithmic)
    if logarithmic:
        for axis in (axes.xaxis, axes.yaxis):
            plain_numbers(axis)
    axes.set_aspect("equal", adjustable="datalim")
    note = f", {left_out} not drawn" if left_out else ""
    unit = rows[0].unit
    dress(axes, f"{name} ({len(points)}{note})", f"{reference} [{unit}]", f"formula [{unit}]")
    axes.title.set_fontsize(TITLE - 1)
    if first:
        legend(axes, handles[1:], loc="upper left")


def _line(axes: Axes, low: float, high: float, logarithmic: bool) -> list[Any]:
    """The line of agreement and the band around it."""
    if logarithmic:
        from matplotlib.ticker import LogLocator

        axes.set(xscale="log", yscale="log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 3) if high < 1000 * low else (1,)))
    ends = [low, high]
    band = axes.fill_between(ends, [value * (1 - BAND) for value in ends], [value * (1 + BAND) for value in ends],
                             color=FAINT, linewidth=0, zorder=0, label=f"within {BAND:.0%}")  # fmt: skip
    (line,) = axes.plot(ends, ends, color=VERMILION, linewidth=1, zorder=1, label="equal")
    return [line, band]
