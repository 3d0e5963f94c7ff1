"""Small task graphs, drawn and by hand, and a readable slow twin of the event-driven schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from pimmodel.schedule.fluid import fluid_schedule
from pimmodel.schedule.rates import PairRate
from pimmodel.schedule.result import Schedule
from pimmodel.schedule.tasks import TaskTable


@dataclass(frozen=True)
class One:
    """A task by hand: its letter says where it runs, H or P; `after` are its producers, "a!" being a barrier."""

    name: str
    side: str
    time: float
    after: str = ""
    backward: bool = False
    update: bool = False


def table(tasks: list[One], channels: int = 64) -> TaskTable:
    index = {one.name: number for number, one in enumerate(tasks)}
    return TaskTable(
        names=tuple(index),
        producers=tuple(
            tuple((index[name.rstrip("!")], name.endswith("!")) for name in one.after.split()) for one in tasks
        ),
        host_only=np.array([one.side == "H" for one in tasks]),
        backward=np.array([one.backward for one in tasks]),
        update=np.array([one.update for one in tasks]),
        channels=np.full(len(tasks), channels),
    )


def scheduled(tasks: list[One], rates: object, **chosen: object) -> Schedule:
    """Schedule of tasks by hand, each on its side."""
    times = np.array([one.time for one in tasks])
    on_pim = np.array([one.side == "P" for one in tasks])
    return fluid_schedule(table(tasks), times, times, on_pim, rates, **chosen)  # type: ignore[arg-type]


def spans(result: Schedule) -> dict[str, tuple[float, float]]:
    return {
        name: (float(start), float(end))
        for name, start, end in zip(result.tasks.names, result.start, result.end, strict=True)
    }


# ---------------------------------------------------------------------- drawn

# Quarters and small whole numbers, so that things often happen at the same time.
lengths = st.integers(1, 12).map(lambda quarters: quarters / 4)
shares = st.integers(0, 4).map(lambda quarters: quarters / 4)
pairs = st.tuples(shares, shares).filter(lambda pair: sum(pair) > 0)


@dataclass(frozen=True)
class Case:
    """T tasks with times, placement, chunks, and rates that depend on both tasks of a pair."""

    tasks: TaskTable
    times: tuple[float, ...]
    on_pim: tuple[bool, ...]
    chunks: tuple[int, ...]
    pair_list: tuple[tuple[float, float], ...]

    def rates(self, host_task: int, pim_task: int) -> PairRate:
        return PairRate(*self.pair_list[(3 * host_task + 5 * pim_task) % len(self.pair_list)])

    def schedule(self, order: str = "rearranged", **change: object) -> Schedule:
        times = np.array(self.times)
        chosen = {"rates": self.rates, "chunks": np.array(self.chunks), "order": order} | change
        return fluid_schedule(self.tasks, times, times, np.array(self.on_pim), **chosen)  # type: ignore[arg-type]


@st.composite
def cases(draw: st.DrawFn, largest: int = 8, rates: st.SearchStrategy[tuple[float, float]] = pairs) -> Case:
    count = draw(st.integers(1, largest))
    producers = []
    for index in range(count):
        chosen = draw(st.sets(st.integers(0, index - 1), max_size=3)) if index else set()
        producers.append(tuple((one, draw(st.booleans())) for one in sorted(chosen)))
    on_pim = tuple(draw(st.booleans()) for _ in range(count))
    backward = draw(st.integers(0, count))  # the tasks from here on
    tasks = TaskTable(
        names=tuple(f"t{index}" for index in range(count)),
        producers=tuple(producers),
        host_only=np.array([not one and draw(st.booleans()) for one in on_pim]),
        backward=np.arange(count) >= backward,
        update=np.array([index >= backward and draw(st.booleans()) for index in range(count)]),
        channels=np.full(count, 64),
    )
    return Case(
        tasks=tasks,
        times=tuple(draw(lengths) for _ in range(count)),
        on_pim=on_pim,
        # Often the same for all, as it is in use.
        chunks=draw(
            st.one_of(st.tuples(*[st.integers(1, 5)] * count), st.integers(1, 9).map(lambda chunks: (chunks,) * count))
        ),
        pair_list=tuple(draw(st.lists(rates, min_size=1, max_size=4))),
    )


# ---------------------------------------------------------------------- slow twin


def twin(case: Case, order: str) -> tuple[list[list[Fraction]], list[list[Fraction]]]:
    """Starts and ends of all chunks, in exact fractions, everything looked up anew at every event.

    From the text of `pimmodel.schedule.order`, not from the code: the host takes its tasks in order, all chunks of one
    before the next task; the PIM the first ready chunk of its list, updates last if rearranged.
    """
    tasks, count = case.tasks, len(case.times)
    work = [Fraction(case.times[i]) / case.chunks[i] for i in range(count)]
    starts: list[list[Fraction]] = [[] for _ in range(count)]
    ends: list[list[Fraction]] = [[] for _ in range(count)]
    left: dict[int, Fraction] = {}  # running task -> work left of its chunk
    host_list = [i for i in range(count) if not case.on_pim[i]]
    pim_list = [i for i in range(count) if case.on_pim[i]]
    if order == "rearranged":
        pim_list.sort(key=lambda i: bool(tasks.update[i]))  # stable

    def unfinished(i: int) -> bool:
        return len(ends[i]) < case.chunks[i]

    def ready(i: int) -> bool:
        fraction = Fraction(len(ends[i]) + 1, case.chunks[i])
        for producer, barrier in tasks.producers[i]:
            needed = Fraction(1) if barrier else fraction
            if len(ends[producer]) < math.ceil(needed * case.chunks[producer]):
                return False
        if order == "serial" and tasks.backward[i]:
            return not any(unfinished(j) for j in range(i) if tasks.backward[j])
        return True

    now = Fraction(0)
    while any(unfinished(i) for i in range(count)):
        for i in [i for i in host_list if unfinished(i)][:1]:
            if i not in left and ready(i):
                left[i] = work[i]
                starts[i].append(now)
        if not any(case.on_pim[i] for i in left):
            for i in [i for i in pim_list if unfinished(i) and ready(i)][:1]:
                left[i] = work[i]
                starts[i].append(now)
        assert left, "nobody can run"
        rate = dict.fromkeys(left, Fraction(1))
        if len(left) == 2:
            h, p = sorted(left, key=lambda i: case.on_pim[i])
            rate[h], rate[p] = (Fraction(one) for one in case.rates(h, p)[:2])
        step = min(left[i] / rate[i] for i in left if rate[i])
        now += step
        for i in list(left):
            left[i] -= step * rate[i]
            if left[i] == 0:
                ends[i].append(now)
                del left[i]
    return starts, ends
