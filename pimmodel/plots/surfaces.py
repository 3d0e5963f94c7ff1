"""What the thresholds of one CONV do: its time with the PIM work beside it, over theta_low and theta_high."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pimmodel.errors import PimModelError, UnknownNameError
from pimmodel.optimize.pair import companion, completion
from pimmodel.pim.tasks import pim_kernel
from pimmodel.plots.style import HEAT, INK, SMALL, TEXT, VERMILION, dress, legend, new_figure, scale_of, short
from pimmodel.sharing.pairs import Progress, exclusive_progress, threshold_grid
from pimmodel.step import Step
from pimmodel.units import format_quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEAR = 0.01  # thresholds within so much of the best time are outlined
Show = Literal["time", "host", "pim"]
SHOWN: dict[Show, str] = {
    "time": "time of the pair", "host": "GPU: share of its speed alone [1]", "pim": "PIM: share of its speed alone [1]"
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class PairSurface:
    """A CONV task and the PIM task beside it over G pairs of thresholds.

    conv, beside : names of the two tasks
    low, high : thresholds theta_low < theta_high, shape (G,) [1]
    progress : of both, shape (G,) [1]
    time : until both are done, shape (G,) [s]
    in_turns : the same one after the other [s]
    """

    conv: str
    beside: str
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    progress: Progress
    time: NDArray[np.float64]
    in_turns: float

    @property
    def best(self) -> int:
        """Index of the thresholds that complete the pair soonest."""
        return int(np.argmin(self.time))


def paired(step: Step) -> list[str]:
    """Names of the CONV tasks that PIM work follows channel by channel, those first that it can overlap with most."""
    work = step.workload
    overlap: dict[str, float] = {}
    for index in np.flatnonzero(work.conv).tolist():
        beside = companion(work, index)
        if beside is not None:
            overlap[work.tasks[index].name] = min(float(work.host[1].time[index]), float(work.pim[beside]))
    return sorted(overlap, key=lambda name: -overlap[name])


def pair_surface(step: Step, conv: str | None = None) -> PairSurface:
    """A CONV task with the PIM work that follows it channel by channel, at every pair of thresholds.

    Parameters
    ----------
    step : the prepared step
    conv : name of the task, such as "FP(conv1)"; default: the one of which most can overlap with such work

    Raises
    ------
    UnknownNameError : no such CONV task, or no PIM work follows it.
    PimModelError : nothing in the network runs beside a CONV.
    """
    names = paired(step)
    if not names:
        raise PimModelError(f"network {step.network.name}: no PIM work follows a CONV channel by channel")
    if conv is not None and conv not in names:
        raise UnknownNameError("CONV task with PIM work beside it", conv, names)
    work, system, chosen = step.workload, step.system, conv or names[0]
    index = next(number for number, task in enumerate(work.tasks) if task.name == chosen)
    beside = companion(work, index)
    assert beside is not None
    signature = work.signatures[beside]
    assert signature is not None
    use = work.host[1]
    low, high = threshold_grid(system)
    found = exclusive_progress(system, [float(use.rate[index])], float(work.write_share[index]),
                               pim_kernel(signature, system), low, high)  # fmt: skip
    host, pim = float(use.time[index]), float(work.pim[beside])
    return PairSurface(chosen, work.tasks[beside].name, low, high, Progress(found.host[0], found.pim[0]),
                       np.asarray(completion(found, host, pim))[0], host + pim)  # fmt: skip


def threshold_surface(step: Step, conv: str | None = None, *, show: Show = "time",
                      chosen: tuple[int, int] | None = None) -> Figure:  # fmt: skip
    """Heat map over theta_low and theta_high of one CONV and the PIM work beside it; the optimum is marked.

    Parameters
    ----------
    step : the prepared step
    conv : name of the task; default: the one of which most can overlap with the PIM work beside it
    show : "time" of the pair [s] if all of the PIM work were there from the start, or progress of "host" or "pim" [1]
    chosen : thresholds to mark too, such as those that `optimize` chose for the whole step

    Raises
    ------
    UnknownNameError, PimModelError : as for `pair_surface`, or no such `show`.
    MissingExtraError : matplotlib is not there.
    """
    if show not in SHOWN:
        raise UnknownNameError("quantity", show, SHOWN)
    figure = new_figure(6.4, 4.8, "a surface of thresholds")
    surface = pair_surface(step, conv)
    factor, unit = scale_of([surface.in_turns], "s") if show == "time" else (1.0, "")
    values = {"time": surface.time / factor, "host": surface.progress.host, "pim": surface.progress.pim}[show]
    room = int(surface.high.max())
    grid = np.full((room + 1, room + 1), np.nan)
    grid[surface.high, surface.low] = values
    axes = figure.subplots()
    image = axes.imshow(grid, origin="lower", cmap=f"{HEAT}_r" if show == "time" else HEAT, interpolation="nearest",
                        aspect="auto")  # fmt: skip
    if show != "time":
        image.set_clim(0, 1)
    bar = figure.colorbar(image, ax=axes)
    bar.set_label(f"{SHOWN[show]} [{unit}]" if show == "time" else SHOWN[show], fontsize=TEXT, color=INK)
    bar.ax.tick_params(labelsize=SMALL, colors=INK)
    bar.outline.set_visible(False)
    best = surface.low[surface.best], surface.high[surface.best]
    marks = axes.plot(*best, marker="*", markersize=15, color=VERMILION, markeredgecolor="white", linestyle="none",
                      label=f"best for this pair: {best[0]}, {best[1]}", clip_on=False)  # fmt: skip
    if show == "time":
        marks += _near_best(axes, grid, float(np.nanmin(grid)))
    if chosen is not None:
        marks += axes.plot(*chosen, marker="o", markersize=10, markerfacecolor="none", markeredgecolor=VERMILION,
                           markeredgewidth=2, linestyle="none", label=f"chosen for the step: {chosen[0]}, {chosen[1]}",
                           clip_on=False)  # fmt: skip
    least, turns = float(surface.time.min()), surface.in_turns
    words = f"{format_quantity(least, 's')} at best, {format_quantity(turns, 's')} one after the other"
    dress(axes, f"{short(surface.conv)} with {short(surface.beside)} on the PIM\n{words}", "theta_low [requests]",
          "theta_high [requests]")  # fmt: skip
    legend(axes, marks, loc="lower right")
    return figure


def _near_best(axes: Axes, grid: NDArray[np.float64], best: float) -> list[Any]:
    """Outline of the thresholds that are almost as good as the best, and its handle for the legend."""
    from matplotlib.lines import Line2D

    limit = best * (1 + NEAR)
    if np.nanmax(grid) <= limit:
        return []
    axes.contour(grid, levels=[limit], colors=VERMILION, linewidths=1.2)
    return [Line2D([], [], color=VERMILION, linewidth=1.2, label=f"within {NEAR:.0%} of it")]
