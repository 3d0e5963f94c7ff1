"""A schedule as a Gantt chart: what GPU and PIM run when, and who holds the memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from pimmodel.plots.style import GREY, INK, PALE, PHASES, SMALL, dress, legend, new_figure, phase_of
from pimmodel.schedule.result import Schedule, Segments
from pimmodel.units import format_quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_OWNERS = (PALE, "#555555")
_LETTER = 0.0056  # width of a letter, share of the chart's


def gantt(schedule: Schedule, window: tuple[float, float] | None = None) -> Figure:
    """Gantt chart: what GPU and PIM run, coloured by phase, and which share of the time each holds the memory.

    Parameters
    ----------
    schedule : what to draw
    window : from and to [s]; default all of the step. Tasks that are wide enough in it get their names.

    Returns
    -------
    A matplotlib figure; `figure.savefig("step.png")`.

    Raises
    ------
    MissingExtraError : matplotlib is not there.
    """
    begin, end = window or (0.0, schedule.makespan)
    figure = new_figure(12, 3.6, "a picture of a schedule")
    axes = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    _draw_sides(axes[0], schedule, begin, end)
    _draw_memory(axes[1], schedule.segments, begin, end)
    axes[1].set_xlim(begin * 1e3, end * 1e3)
    return figure


def busiest_window(schedule: Schedule, share: float = 1 / 12) -> tuple[float, float]:
    """The part of a step, `share` of it long [1], in which GPU and PIM work at once most: from and to [s]."""
    parts, length = schedule.segments, schedule.makespan * share
    edges = np.append(parts.start, parts.end[-1:])
    both = np.concatenate(([0.0], np.cumsum((parts.end - parts.start) * ((parts.host >= 0) & (parts.pim >= 0)))))
    begins = np.minimum(parts.start, schedule.makespan - length)  # a best window begins where something begins
    overlap = np.interp(begins + length, edges, both) - np.interp(begins, edges, both)
    begin = float(begins[int(np.argmax(overlap))])
    return begin, begin + length


def _draw_sides(axes: Axes, schedule: Schedule, begin: float, end: float) -> None:
    from matplotlib.patches import Patch

    parts, names = schedule.segments, schedule.tasks.names
    bars: dict[str, list[tuple[int, float, float]]] = {}  # phase -> (row, start, length) [ms]
    for row, task in ((1, parts.host), (0, parts.pim)):
        for start, stop, one in _runs(parts, task):
            left, right = max(start, begin), min(stop, end)
            if one < 0 or left >= right:
                continue
            phase = phase_of(names[one])
            bars.setdefault(phase, []).append((row, left * 1e3, (right - left) * 1e3))
            if right - left > _LETTER * len(names[one]) * (end - begin):
                axes.text((left + right) / 2 * 1e3, row, names[one], ha="center", va="center", fontsize=SMALL - 1,
                          color="white" if phase in ("FP", "LOSS") else "black")  # fmt: skip
    order = [*PHASES, *sorted(set(bars) - set(PHASES))]
    known = [(phase, PHASES.get(phase, GREY)) for phase in order if phase in bars]
    for phase, colour in known:
        for row in (0, 1):
            spans = [(left, length) for where, left, length in bars[phase] if where == row]
            axes.broken_barh(spans, (row - 0.4, 0.8), color=colour, linewidth=0)
    axes.set(yticks=[0, 1], yticklabels=["PIM", "GPU"], ylim=(-0.5, 1.5))
    time, bound = (format_quantity(one, "s") for one in (schedule.makespan, schedule.bound.time))
    dress(axes, f"{schedule.order}: {time}, lower bound {bound}")
    legend(axes, [Patch(color=colour, label=phase) for phase, colour in known], len(known), loc="lower right",
           bbox_to_anchor=(1, 1))  # fmt: skip


def _runs(parts: Segments, task: Any) -> Iterator[tuple[float, float, int]]:
    """Spans in which one side runs the same task, chunks behind each other put together."""
    first = np.ones(len(task), dtype=bool)
    first[1:] = task[1:] != task[:-1]
    starts = parts.start[first].tolist()
    yield from zip(starts, [*starts[1:], *parts.end[-1:].tolist()], task[first].tolist(), strict=True)


def _draw_memory(axes: Axes, parts: Segments, begin: float, end: float) -> None:
    from matplotlib.patches import Patch

    shares = np.column_stack((parts.host_memory, parts.host_memory + parts.pim_memory))
    drawn = (parts.end > begin) & (parts.start < end)
    drawn[1:] &= (shares[1:] != shares[:-1]).any(axis=1) | ~drawn[:-1]  # spans with the same holders are one
    edges = np.append(parts.start[drawn], [end]) * 1e3
    # Each value holds up to the next edge; the last one is needed twice.
    host, both = (np.append(one, one[-1:]) for one in shares[drawn].T)
    axes.fill_between(edges, 0, host, step="post", color=_OWNERS[0], linewidth=0)
    axes.fill_between(edges, host, both, step="post", color=_OWNERS[1], linewidth=0)
    axes.set(ylim=(0, 1), yticks=[0, 0.5, 1])
    dress(axes, "memory held by", "time [ms]", "share [1]")
    axes.title.set_fontsize(SMALL)
    axes.title.set_color(INK)
    legend(axes, [Patch(color=colour, label=name) for name, colour in zip(("GPU", "PIM"), _OWNERS, strict=True)], 2,
           loc="lower right", bbox_to_anchor=(1, 1))  # fmt: skip
