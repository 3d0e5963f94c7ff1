"""A schedule of one step, and what can be read out of it: critical path, what each side waited for, memory's owner."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pimmodel.schedule.bound import Bound, longest_path
from pimmodel.schedule.order import Order, followed
from pimmodel.schedule.rates import PairRate
from pimmodel.schedule.tasks import Bools, Floats, Ints, TaskTable, needed_chunks

if TYPE_CHECKING:
    import pandas as pd

Side = Literal["host", "pim"]
Cause = Literal["start", "dependency", "order", "resource"]
Strings = NDArray[np.str_]


class Link(NamedTuple):
    """One chunk on the critical path, and why it did not start earlier.

    cause : "start" of the step; "dependency", a chunk that it needs ended then; "order", the backward task that it
        follows under `serial` did; "resource", its side was busy until then
    """

    task: int
    chunk: int
    start: float
    end: float
    cause: Cause


@dataclass(frozen=True, eq=False)
class Segments:
    """S spans of time in which the same tasks run.

    start, end : shape (S,) [s]
    host, pim : running task of either side, -1 where it waits, shape (S,)
    host_rate, pim_rate : progress of either side, shape (S,) [1]
    host_memory, pim_memory : share of the time that each holds the memory, shape (S,) [1]
    """

    start: Floats
    end: Floats
    host: Ints
    pim: Ints
    host_rate: Floats
    pim_rate: Floats
    host_memory: Floats
    pim_memory: Floats


@dataclass(frozen=True, eq=False)
class Waits:
    """K intervals of one side, without gaps from 0 to the makespan.

    start, end : shape (K,) [s]
    task : running task, -1 where there is none, shape (K,)
    state : "busy", or why it waits: "dependency" (work that it needs is not there yet), "order" (it is, but the order
        has another task first), "done" (no work left), shape (K,)
    rate : progress, shape (K,) [1]; while busy, 1 - rate of the time is waiting for the memory
    """

    start: Floats
    end: Floats
    task: Ints
    state: Strings
    rate: Floats

    @property
    def seconds(self) -> dict[str, float]:
        """Time by what was waited for [s]; the parts add up to the makespan.

        compute : progress at the speed that the task has alone
        memory : running, but without the authority to access the memory
        dependency, order, done : as in `state`
        """
        length = self.end - self.start
        busy = self.state == "busy"
        parts = {
            "compute": float((length * self.rate)[busy].sum()),
            "memory": float((length * (1 - self.rate))[busy].sum()),
        }
        return parts | {one: float(length[self.state == one].sum()) for one in ("dependency", "order", "done")}


@dataclass(frozen=True, eq=False)
class Schedule:
    """Start and end of every chunk of T tasks, C chunks in all.

    tasks : the tasks
    order : "rearranged" or "serial"
    on_pim : placement, shape (T,)
    times : time of each task alone on its side, shape (T,) [s]
    chunks : number of chunks of each task, shape (T,) [1]
    chunk_start, chunk_end : task by task, shape (C,) [s]
    pim_sequence : places in these of the PIM's chunks, in the order in which it ran them
    pair_rates : rates of the pairs that met
    host_memory : time that the memory is busy when a task runs on the host, shape (T,) [s]
    """

    tasks: TaskTable
    order: Order
    on_pim: Bools = field(repr=False)
    times: Floats = field(repr=False)
    chunks: Ints = field(repr=False)
    chunk_start: Floats = field(repr=False)
    chunk_end: Floats = field(repr=False)
    pim_sequence: Ints = field(repr=False)
    pair_rates: dict[tuple[int, int], PairRate] = field(repr=False)
    host_memory: Floats = field(repr=False)

    def __repr__(self) -> str:
        return f"Schedule({len(self.tasks)} tasks, order={self.order!r}, makespan={self.makespan:.6g} s)"

    @functools.cached_property
    def makespan(self) -> float:
        """Time of the step [s]."""
        return float(self.chunk_end.max(initial=0.0))

    @functools.cached_property
    def offsets(self) -> Ints:
        """Place of each task's first chunk in `chunk_start`, and the number of all chunks, shape (T + 1,)."""
        return np.concatenate(([0], np.cumsum(self.chunks)))

    @functools.cached_property
    def chunk_task(self) -> Ints:
        """Task of each chunk, shape (C,)."""
        return np.repeat(np.arange(len(self.tasks)), self.chunks)

    @property
    def start(self) -> Floats:
        """Start of each task's first chunk, shape (T,) [s]."""
        return self.chunk_start[self.offsets[:-1]]

    @property
    def end(self) -> Floats:
        """End of each task's last chunk, shape (T,) [s]."""
        return self.chunk_end[self.offsets[1:] - 1]

    @functools.cached_property
    def bound(self) -> Bound:
        """What no schedule with this placement can beat.

        work : the busier side; memory : host tasks for as long as they need it, PIM tasks for all of their time, in
        turns (holds where a PIM task progresses only while it has the memory, and was told `host_memory`); path : the
        longest chain of dependent tasks, chunks without end
        """
        host, pim = self.times[~self.on_pim].sum(), self.times[self.on_pim].sum()
        memory = self.host_memory[~self.on_pim].sum() + pim
        path = longest_path(self.tasks.producers, self.times.tolist())
        return Bound(float(max(host, pim)), float(memory), path, self.on_pim.astype(float))

    # What a chunk waited for

    def _needed(self, task: int, chunk: int) -> list[int]:
        """Places of the chunks that complete what a chunk needs."""
        own, found = int(self.chunks[task]), []
        for producer, barrier in self.tasks.producers[task]:
            total = int(self.chunks[producer])
            need = needed_chunks(chunk, own, total, barrier)
            found.append(int(self.offsets[producer]) + need - 1)
        return found

    @functools.cached_property
    def _sequence(self) -> dict[Side, Ints]:
        """Places of the chunks of either side in the order in which it ran them."""
        return {"host": np.flatnonzero(~self.on_pim[self.chunk_task]), "pim": self.pim_sequence}

    @functools.cached_property
    def critical_path(self) -> tuple[Link, ...]:
        """Chunks without gaps from 0 to the makespan, each starting when the one before it ends."""
        if not self.chunk_end.size:
            return ()
        before = np.full(len(self.chunk_end), -1)
        for sequence in self._sequence.values():
            before[sequence[1:]] = sequence[:-1]
        after = followed(self.tasks, self.order)
        place, links = int(np.argmax(self.chunk_end)), []
        while place >= 0:
            task = int(self.chunk_task[place])
            chunk = place - int(self.offsets[task])
            start = self.chunk_start[place]
            found: tuple[Cause, int] = ("start", -1)
            candidates: list[tuple[Cause, int]] = [("dependency", one) for one in self._needed(task, chunk)]
            if after[task] >= 0:
                candidates.append(("order", int(self.offsets[after[task] + 1]) - 1))
            candidates.append(("resource", int(before[place])))
            if start > 0:
                found = next(one for one in candidates if one[1] >= 0 and self.chunk_end[one[1]] == start)
            links.append(Link(task, chunk, float(start), float(self.chunk_end[place]), found[0]))
            place = found[1]
        return tuple(reversed(links))

    # Who ran, and who had the memory

    @functools.cached_property
    def segments(self) -> Segments:
        """Spans of time in which the same tasks run."""
        cuts = np.unique(np.concatenate(([0.0], self.chunk_start, self.chunk_end)))
        running = {}
        for side, sequence in self._sequence.items():
            at = np.searchsorted(self.chunk_start[sequence], cuts[:-1], side="right") - 1
            places = sequence[np.maximum(at, 0)] if len(sequence) else np.zeros(len(at), dtype=int)
            runs = (at >= 0) & (self.chunk_end[places] > cuts[:-1]) if len(sequence) else np.zeros(len(at), dtype=bool)
            running[side] = np.where(runs, self.chunk_task[places], -1)
        host, pim = running["host"], running["pim"]
        first = np.ones(len(host), dtype=bool)
        first[1:] = (host[1:] != host[:-1]) | (pim[1:] != pim[:-1])
        host, pim, start = host[first], pim[first], cuts[:-1][first]
        rates = np.array([self._rates(*pair) for pair in zip(host.tolist(), pim.tolist(), strict=True)])
        return Segments(start, np.append(start[1:], cuts[-1]), host, pim, *rates.reshape(-1, 4).T)

    def _rates(self, host: int, pim: int) -> tuple[float, float, float, float]:
        """Progress of both, and shares of the time that each holds the memory [1]."""
        if host >= 0 and pim >= 0:
            rate = self.pair_rates[host, pim]
            return rate.host, rate.pim, *rate.holders
        alone = (float(host >= 0), float(pim >= 0))
        return *alone, *alone

    def waits(self, side: Side) -> Waits:
        """What the "host" or the "pim" did and waited for, from 0 to the makespan."""
        parts = self.segments
        task, rate = (parts.host, parts.host_rate) if side == "host" else (parts.pim, parts.pim_rate)
        sequence = self._sequence[side]
        starts = self.chunk_start[sequence]
        rows: list[tuple[float, float, int, str, float]] = []
        for begin, end, one, speed in zip(parts.start.tolist(), parts.end.tolist(), task.tolist(), rate.tolist(),
                                          strict=True):  # fmt: skip
            if one >= 0:
                rows.append((begin, end, one, "busy", speed))
                continue
            following = int(np.searchsorted(starts, end))
            if following == len(starts):
                rows.append((begin, end, -1, "done", 0.0))
                continue
            place = int(sequence[following])
            number = int(self.chunk_task[place])
            needed = self._needed(number, place - int(self.offsets[number]))
            there = min(max((self.chunk_end[one] for one in needed), default=0.0), end)
            if there > begin:
                rows.append((begin, float(there), -1, "dependency", 0.0))
            if end > there:
                rows.append((max(begin, float(there)), end, -1, "order", 0.0))
        begins, ends, running, states, speeds = list(zip(*rows, strict=True)) or [()] * 5
        return Waits(
            np.array(begins), np.array(ends), np.array(running, dtype=np.int64), np.array(states, dtype=np.str_),
            np.array(speeds),
        )  # fmt: skip

    # Tables

    def to_frame(self) -> pd.DataFrame:
        """One row per task: where it ran, alone and in the schedule, times in s."""
        import pandas as pd

        critical = {link.task for link in self.critical_path}
        rows = {
            "task": self.tasks.names,
            "runs_on": np.where(self.on_pim, "PIM", "GPU"),
            "chunks": self.chunks,
            "alone_s": self.times,
            "start_s": self.start,
            "end_s": self.end,
            "critical": [task in critical for task in range(len(self.tasks))],
        }
        return pd.DataFrame(rows).set_index("task")

    def chunks_to_frame(self) -> pd.DataFrame:
        """One row per chunk, times in s."""
        import pandas as pd

        number = np.arange(len(self.chunk_task)) - self.offsets[self.chunk_task]
        rows = {
            "task": np.array(self.tasks.names)[self.chunk_task],
            "chunk": number,
            "start_s": self.chunk_start,
            "end_s": self.chunk_end,
        }
        return pd.DataFrame(rows).set_index(["task", "chunk"])
