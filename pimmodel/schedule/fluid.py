"""Event-driven fluid schedule: rates are constant between chunk completions, and events are chunk completions.

Only this module runs through time; what is read out of a schedule lies in `pimmodel.schedule.result`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappop, heappush, heapreplace

import numpy as np

from pimmodel.errors import PimModelError
from pimmodel.schedule.order import Order, check_order, ordered_producers, pim_ranks
from pimmodel.schedule.rates import PairRate, PairRates, checked
from pimmodel.schedule.result import Schedule
from pimmodel.schedule.tasks import Bools, Floats, Ints, Producers, TaskTable, needed_chunks

_NEVER = 1 << 60  # chunks
_SAME = 1e-12  # share of a chunk: completions closer than this are one event


def fluid_schedule(
    tasks: TaskTable,
    host: Floats,
    pim: Floats,
    on_pim: Bools,
    rates: PairRates,
    *,
    chunks: int | Ints = 1,
    order: Order = "rearranged",
    host_memory: Floats | None = None,
) -> Schedule:
    """Schedule of one step on host and PIM.

    Parameters
    ----------
    tasks : table of T tasks
    host, pim : time of each task alone on either side, shape (T,) [s]; where a task is not placed it is not looked at
    on_pim : placement, shape (T,)
    rates : progress rates of a host task and a PIM task that run at once; alone, each runs at rate 1
    chunks : equal chunks of channels of each task, shape (T,); one number: as many for all, at most their channels
    order : "rearranged" or "serial", see `pimmodel.schedule.order`
    host_memory : time that the memory is busy when a task runs on the host, shape (T,) [s], for the lower bound

    Returns
    -------
    Schedule. Chunk j of m of a task starts when of every channelwise producer, of n chunks, ceil((j + 1) n / m) are
    complete, and all of every barrier producer. (The channels of a concatenation are not told apart by where they come
    from: its first chunks wait for the first chunks of all its inputs.)

    Raises
    ------
    UnknownNameError : no such order.
    PimModelError : a CONV on the PIM, a time that is not positive, a chunk count that a task cannot have, rates that
        are no shares.
    """
    check_order(order)
    on_pim = np.asarray(on_pim, dtype=bool)
    for what, array in (("host times", host), ("PIM times", pim), ("placement", on_pim)):
        if np.shape(array) != (len(tasks),):
            raise PimModelError(f"{what} have shape {np.shape(array)}; the step has {len(tasks)} tasks")
    times = np.where(on_pim, pim, host).astype(float)
    counts = tasks.chunk_counts(chunks)
    _check(tasks, times, on_pim)
    run = _Run(tasks, times, on_pim, counts, order, rates)
    run.run()
    chunk_task = np.repeat(np.arange(len(tasks)), counts)
    start, end = np.empty(len(chunk_task)), np.empty(len(chunk_task))
    pim_chunks = on_pim[chunk_task]
    start[~pim_chunks], end[~pim_chunks] = run.host_start, run.host_end  # in the order of the tasks
    by_task = np.argsort(np.array(run.pim_task, dtype=np.int64), kind="stable")
    start[pim_chunks], end[pim_chunks] = np.array(run.pim_start)[by_task], np.array(run.pim_end)[by_task]
    sequence = np.empty(len(by_task), dtype=np.int64)
    sequence[by_task] = np.flatnonzero(pim_chunks)
    memory = np.zeros(len(tasks)) if host_memory is None else np.asarray(host_memory, dtype=float)
    return Schedule(tasks, order, on_pim, times, counts, start, end, sequence, run.pair_rates, memory)


def _check(tasks: TaskTable, times: Floats, on_pim: Bools) -> None:
    for index in np.flatnonzero(on_pim & tasks.host_only)[:1]:
        raise PimModelError(f"task {tasks.names[index]} is placed on the PIM; it can only run on the host")
    for index in np.flatnonzero(~(np.isfinite(times) & (times > 0)))[:1]:
        raise PimModelError(f"time of {tasks.names[index]} is {times[index]} s; allowed: above 0")


@dataclass(eq=False)
class _Run:
    """One run through time; the lists grow by one entry per chunk."""

    tasks: TaskTable
    times: Floats
    on_pim: Bools
    counts: Ints
    order: Order
    rates: PairRates
    host_start: list[float] = field(default_factory=list)
    host_end: list[float] = field(default_factory=list)
    pim_task: list[int] = field(default_factory=list)
    pim_start: list[float] = field(default_factory=list)
    pim_end: list[float] = field(default_factory=list)
    pair_rates: dict[tuple[int, int], PairRate] = field(default_factory=dict)

    def run(self) -> None:
        count = len(self.tasks)
        work: list[float] = (self.times / self.counts).tolist()
        chunks: list[int] = self.counts.tolist()
        rank: list[int] = pim_ranks(self.tasks, self.order).tolist()
        gate = _Gate(ordered_producers(self.tasks, self.order), chunks, self.on_pim.tolist(), rank)
        done, blocked, wake, wake_at, ready, needs = (
            gate.done, gate.blocked, gate.wake, gate.wake_at, gate.ready, gate.needs
        )  # fmt: skip
        host_list = iter([*np.flatnonzero(~self.on_pim).tolist(), -1])
        head = next(host_list)  # the host's next task
        h = head if head >= 0 and not blocked(head) else -1  # the host's running task
        p = -1  # the PIM's
        h_left = work[h]
        p_left = now = 0.0
        pair = (-1, -1)
        host_rate = pim_rate = 1.0
        if h >= 0:
            self.host_start.append(now)
        host_start, host_end = self.host_start.append, self.host_end.append
        pim_task, pim_start, pim_end = self.pim_task.append, self.pim_start.append, self.pim_end.append
        while True:
            if p < 0 and ready:
                p = heappop(ready) % count
                p_left = work[p]
                pim_task(p)
                pim_start(now)
            # Advance to the next completion.
            if p < 0:
                if h < 0:
                    break
                now += h_left
                h_done, p_done = True, False
            elif h < 0:
                now += p_left
                h_done, p_done = False, True
            else:
                if pair != (h, p):
                    pair = (h, p)
                    host_rate, pim_rate = self._rates(h, p)
                if h_left * pim_rate < p_left * host_rate:
                    step = h_left / host_rate
                    p_left -= step * pim_rate
                    h_done, p_done = True, p_left <= _SAME * work[p]
                else:
                    step = p_left / pim_rate
                    h_left -= step * host_rate
                    h_done, p_done = h_left <= _SAME * work[h], True
                now += step
            # Complete chunks, and let those that waited for them go on.
            if h_done:
                host_end(now)
                number = done[h] = done[h] + 1
                if number >= wake_at[h]:
                    wake(h)
                if number == chunks[h]:
                    head = next(host_list)
                    h = head if head >= 0 and not blocked(head) else -1
                elif needs[h] and blocked(h):
                    h = -1
                if h >= 0:
                    h_left = work[h]
                    host_start(now)
            if p_done:
                pim_end(now)
                number = done[p] = done[p] + 1
                if number >= wake_at[p] and wake(p):
                    h = head
                    h_left = work[h]
                    host_start(now)
                if number == chunks[p] or (needs[p] and blocked(p)):
                    p = -1
                    continue
                if ready and ready[0] < rank[p]:
                    p = heapreplace(ready, rank[p]) % count
                p_left = work[p]
                pim_task(p)
                pim_start(now)
        assert done == chunks, "blocked: see the proof in pimmodel.schedule.order"

    def _rates(self, host_task: int, pim_task: int) -> tuple[float, float]:
        rate = self.pair_rates.get((host_task, pim_task))
        if rate is None:
            names = self.tasks.names
            rate = checked(self.rates(host_task, pim_task), names[host_task], names[pim_task])
            self.pair_rates[host_task, pim_task] = rate
        return rate.host, rate.pim


class _Gate:
    """Which chunks may start.

    done : complete chunks of each task
    wake_at : complete chunks of each task that something waits for
    ready : heap of the ranks of PIM tasks whose next chunk may start
    needs : of each task that has begun, the producers that were not complete then, and the chunks of them that each of
        its chunks needs
    """

    def __init__(
        self, producers: tuple[Producers, ...], chunks: list[int], on_pim: list[bool], rank: list[int]
    ) -> None:
        count = len(chunks)
        self.producers, self.chunks, self.on_pim, self.rank = producers, chunks, on_pim, rank
        self.done = [0] * count
        self.wake_at = [_NEVER] * count
        self.ready: list[int] = []
        self._waiting: list[list[tuple[int, int]]] = [[] for _ in range(count)]  # per producer: (chunks, task)
        self.needs: list[list[tuple[int, list[int]]]] = [[]] * count
        self._tables: dict[tuple[int, int, bool], list[int]] = {}
        for task in range(count):
            if on_pim[task]:
                if producers[task]:
                    self._await_last(task)
                else:
                    heappush(self.ready, rank[task])

    def _await_last(self, task: int) -> None:
        """Before anything has run: wait for the last producer; which others are missing shows then."""
        producer, barrier = self.producers[task][-1]
        need = needed_chunks(0, self.chunks[task], self.chunks[producer], barrier)
        self._waiting[producer].append((need, task))
        self.wake_at[producer] = min(need, self.wake_at[producer])

    def blocked(self, task: int) -> bool:
        """Whether the task's next chunk must wait; if so, it is woken when the first thing that is missing is there."""
        done, chunk = self.done, self.done[task]
        needs = self.needs[task]
        if chunk == 0:
            needs = self.needs[task] = self._unfinished(task)
        for producer, table in needs:
            need = table[chunk]
            if done[producer] < need:
                self._waiting[producer].append((need, task))
                if need < self.wake_at[producer]:
                    self.wake_at[producer] = need
                return True
        return False

    def _unfinished(self, task: int) -> list[tuple[int, list[int]]]:
        """Producers that are not complete, the last in order first, with what each chunk of the task needs of them."""
        made = []
        done, chunks, tables, own = self.done, self.chunks, self._tables, self.chunks[task]
        for producer, barrier in reversed(self.producers[task]):
            total = chunks[producer]
            if done[producer] < total:
                table = tables.get((own, total, barrier))
                if table is None:
                    table = [needed_chunks(chunk, own, total, barrier) for chunk in range(own)]
                    tables[own, total, barrier] = table
                made.append((producer, table))
        return made

    def wake(self, producer: int) -> bool:
        """Let go what waited for the producer's chunks so far; whether the host's task is among it."""
        done, waiting = self.done[producer], self._waiting[producer]
        self._waiting[producer] = []
        self.wake_at[producer] = _NEVER
        host = False
        for need, task in waiting:
            if need > done:
                self._waiting[producer].append((need, task))
                if need < self.wake_at[producer]:
                    self.wake_at[producer] = need
            elif not self.blocked(task):
                if self.on_pim[task]:
                    heappush(self.ready, self.rank[task])
                else:
                    host = True
        return host
