"""A schedule as a trace: Chrome-trace JSON for Perfetto. The chart is `pimmodel.plots.gantt`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pimmodel.plots.style import phase_of
from pimmodel.schedule.result import Schedule, Segments, Side

_TRACKS: dict[str, tuple[int, str]] = {"host": (1, "GPU"), "pim": (2, "PIM"), "memory": (3, "memory")}


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
                "pim" if on_pim else "host", name, phase_of(name), start[place], end[place],
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
