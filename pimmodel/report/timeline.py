"""A schedule as a timeline: Chrome-trace JSON for Perfetto, and a Gantt chart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from pimmodel.errors import MissingExtraError
from pimmodel.schedule.result import Schedule, Segments, Side
from pimmodel.units import format_quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TRACKS: dict[str, tuple[int, str]] = {"host": (1, "GPU"), "pim": (2, "PIM"), "memory": (3, "memory")}
# Phases in the order of a step, with the colour-blind safe palette of Okabe and Ito (2008).
_COLOURS = {
    "FP": "#0072B2", "FWD": "#56B4E9", "LOSS": "#000000", "DX": "#D55E00", "DW": "#E69F00", "BWD": "#009E73",
    "ACC": "#CC79A7", "UPD": "#F0E442",
}  # fmt: skip
_OTHER = "#999999"
_OWNERS = ("#BBBBBB", "#444444")
_LETTER = 0.0053  # width of a letter, share of the chart's


def chrome_trace(schedule: Schedule) -> dict[str, Any]:
    """Trace events of a schedule, to be written as JSON and opened at ui.perfetto.dev or chrome://tracing.

    Tracks: GPU and PIM with one slice per chunk and per wait ("waits: dependency"), and memory, with a slice for every
    span in which the same side holds it, or both in turns ("GPU 70 %, PIM 30 %": turns are far finer than chunks).
    Times in us, as the format has it: Trace Event Format, Google 2016.

    >>> import json, pathlib
    >>> def save(schedule, path):
    ...     pathlib.Path(path).write_text(json.dumps(chrome_trace(schedule)))
    """
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": f"training step, {schedule.order}"}}
    ]
    for number, name in _TRACKS.values():
        events.append({"ph": "M", "name": "thread_name", "pid": 1, "tid": number, "args": {"name": name}})
        events.append({"ph": "M", "name": "thread_sort_index", "pid": 1, "tid": number, "args": {"sort_index": number}})
    events += _chunks(schedule)
    for side in ("host", "pim"):
        events += _idle(schedule, side)
    events += _owners(schedule.segments)
    return {"displayTimeUnit": "ms", "traceEvents": events}


def _slice(track: str, name: str, category: str, start: float, end: float, **args: Any) -> dict[str, Any]:
    return {"ph": "X", "name": name, "cat": category, "pid": 1, "tid": _TRACKS[track][0], "ts": start * 1e6,
            "dur": (end - start) * 1e6, "args": args}  # fmt: skip


def _chunks(schedule: Schedule) -> Iterator[dict[str, Any]]:
    offsets, names = schedule.offsets.tolist(), schedule.tasks.names
    start, end = schedule.chunk_start.tolist(), schedule.chunk_end.tolist()
    for task, (name, on_pim, time, count) in enumerate(
        zip(names, schedule.on_pim.tolist(), schedule.times.tolist(), schedule.chunks.tolist(), strict=True)
    ):
        for chunk in range(count):
            place = offsets[task] + chunk
            yield _slice(
                "pim" if on_pim else "host", name, _phase(name), start[place], end[place],
                chunk=f"{chunk + 1} of {count}", alone_us=time / count * 1e6,
            )  # fmt: skip


def _idle(schedule: Schedule, side: Side) -> Iterator[dict[str, Any]]:
    waits = schedule.waits(side)
    for start, end, state in zip(waits.start.tolist(), waits.end.tolist(), waits.state.tolist(), strict=True):
        if state not in ("busy", "done"):
            yield _slice(side, f"waits: {state}", "wait", start, end)


def _owners(parts: Segments) -> Iterator[dict[str, Any]]:
    shares = np.column_stack((parts.host_memory, parts.pim_memory))
    first = np.ones(len(shares), dtype=bool)
    first[1:] = (shares[1:] != shares[:-1]).any(axis=1)
    starts = parts.start[first].tolist()
    for start, end, (host, pim) in zip(starts, [*starts[1:], *parts.end[-1:].tolist()], shares[first].tolist(),
                                       strict=True):  # fmt: skip
        held = [f"{name} {share:.0%}" for name, share in (("GPU", host), ("PIM", pim)) if share]
        name = held[0].split()[0] if len(held) == 1 else ", ".join(held)
        yield _slice("memory", name, "memory", start, end, host_share=host, pim_share=pim)


def _phase(name: str) -> str:
    return name.partition("(")[0]


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
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("a picture of a schedule", "plot") from None
    begin, end = window or (0.0, schedule.makespan)
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    _draw_sides(axes[0], schedule, begin, end)
    _draw_memory(axes[1], schedule.segments)
    axes[1].set(xlim=(begin * 1e3, end * 1e3), xlabel="time [ms]")
    return figure


def _draw_sides(axes: Axes, schedule: Schedule, begin: float, end: float) -> None:
    from matplotlib.patches import Patch

    parts, names = schedule.segments, schedule.tasks.names
    bars: dict[str, list[tuple[int, float, float]]] = {}  # phase -> (row, start, length) [ms]
    for row, task in ((1, parts.host), (0, parts.pim)):
        for start, stop, one in _runs(parts, task):
            left, right = max(start, begin), min(stop, end)
            if one < 0 or left >= right:
                continue
            bars.setdefault(_phase(names[one]), []).append((row, left * 1e3, (right - left) * 1e3))
            if right - left > _LETTER * len(names[one]) * (end - begin):
                axes.text((left + right) / 2 * 1e3, row, names[one], ha="center", va="center", fontsize="x-small")
    order = [*_COLOURS, *sorted(set(bars) - set(_COLOURS))]
    known = [(phase, _COLOURS.get(phase, _OTHER)) for phase in order if phase in bars]
    for phase, colour in known:
        for row in (0, 1):
            spans = [(left, length) for where, left, length in bars[phase] if where == row]
            axes.broken_barh(spans, (row - 0.4, 0.8), color=colour, linewidth=0)
    axes.set(yticks=[0, 1], yticklabels=["PIM", "GPU"], ylim=(-0.5, 1.5))
    time, bound = (format_quantity(one, "s") for one in (schedule.makespan, schedule.bound.time))
    title = f"{schedule.order}: {time}, lower bound {bound}"
    axes.set_title(title, loc="left", fontsize="medium")
    axes.legend(handles=[Patch(color=colour, label=phase) for phase, colour in known], ncols=len(known) or 1,
                loc="lower right", bbox_to_anchor=(1, 1), frameon=False, fontsize="small")  # fmt: skip


def _runs(parts: Segments, task: Any) -> Iterator[tuple[float, float, int]]:
    """Spans in which one side runs the same task, chunks behind each other put together."""
    first = np.ones(len(task), dtype=bool)
    first[1:] = task[1:] != task[:-1]
    starts = parts.start[first].tolist()
    yield from zip(starts, [*starts[1:], *parts.end[-1:].tolist()], task[first].tolist(), strict=True)


def _draw_memory(axes: Axes, parts: Segments) -> None:
    edges = np.append(parts.start, parts.end[-1:]) * 1e3
    both = parts.host_memory + parts.pim_memory
    axes.stairs(parts.host_memory, edges, fill=True, color=_OWNERS[0], label="GPU")
    axes.stairs(both, edges, baseline=parts.host_memory, fill=True, color=_OWNERS[1], label="PIM")
    axes.set(ylim=(0, 1), yticks=[0, 0.5, 1], ylabel="memory held")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize="small")
