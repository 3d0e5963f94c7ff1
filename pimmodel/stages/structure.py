"""Which PIM work may run beside which host task: the task graph of a step as stages, one per host task.

The PIM's tasks hang on the host's in two places: the last host task that they need (`released`: from its first chunk
on where every edge on the way is channelwise, else once it is complete), and the first that needs them (`deadline`:
the host waits). In between they run beside host tasks, in the order in which they came; weight updates, which no task
of the step needs, run when the PIM has nothing else (order "rearranged" of `pimmodel.schedule.order`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pimmodel.schedule.tasks import Bools, Ints, TaskTable


@dataclass(frozen=True, eq=False)
class Structure:
    """K stages of a step.

    host : task of each stage, shape (K,) [1]
    under : PIM tasks that follow the stage's host task channel by channel
    behind : PIM tasks that need all of it
    updates : weight updates on the PIM that it releases
    first : PIM tasks that need no host task
    waits : whether the host task needs PIM work that may not be complete, shape (K,) [1]
    passed : where it waits, PIM tasks queued behind the last that it needs
    mixed : PIM tasks whose kernels the stage's rates are taken of: `under`, or else those left from the stage before
    """

    host: Ints
    under: tuple[tuple[int, ...], ...] = field(repr=False)
    behind: tuple[tuple[int, ...], ...] = field(repr=False)
    updates: tuple[tuple[int, ...], ...] = field(repr=False)
    first: tuple[int, ...]
    waits: Bools
    passed: tuple[tuple[int, ...], ...] = field(repr=False)
    mixed: tuple[tuple[int, ...], ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.host)


def stages_of(tasks: TaskTable, on_pim: Bools) -> Structure:
    """Stages of a step of T tasks; `on_pim` says where each is placed, shape (T,) [1].

    The host's list is that of :mod:`pimmodel.schedule.order`.
    """
    host = np.flatnonzero(~on_pim)
    released, whole = _released(tasks, on_pim, host)
    deadline = _deadlines(tasks, on_pim, host)
    under: list[list[int]] = [[] for _ in host]
    behind: list[list[int]] = [[] for _ in host]
    updates: list[list[int]] = [[] for _ in host]
    first: list[int] = []
    for task in np.flatnonzero(on_pim).tolist():
        stage = int(released[task])
        if stage < 0:
            first.append(task)
        elif tasks.update[task]:
            updates[stage].append(task)
        else:
            (behind if whole[task] else under)[stage].append(task)
    waits, passed, mixed = _queue(first, under, behind, deadline)
    return Structure(host, _tuples(under), _tuples(behind), _tuples(updates), tuple(first), waits, passed, mixed)


def _tuples(lists: list[list[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, lists))


def _released(tasks: TaskTable, on_pim: Bools, host: Ints) -> tuple[Ints, Bools]:
    """Stage that releases each task, and whether all of its host task is needed; -1: none."""
    stage = np.full(len(tasks), -1)
    stage[host] = np.arange(len(host))
    released, whole = np.full(len(tasks), -1), np.zeros(len(tasks), dtype=bool)
    for task, producers in enumerate(tasks.producers):
        last = (-1, False)
        for producer, barrier in producers:
            if on_pim[producer]:
                last = max(last, (int(released[producer]), bool(whole[producer] or barrier)))
            else:
                last = max(last, (int(stage[producer]), barrier))
        released[task], whole[task] = last
    return released, whole


def _deadlines(tasks: TaskTable, on_pim: Bools, host: Ints) -> Ints:
    """First stage whose host task needs each task, directly or not; the number of stages where none does."""
    deadline = np.full(len(tasks), len(host))
    stage = dict(zip(host.tolist(), range(len(host)), strict=True))
    for task in reversed(range(len(tasks))):
        own = int(deadline[task]) if on_pim[task] else stage[task]
        for producer, _ in tasks.producers[task]:
            deadline[producer] = min(int(deadline[producer]), own)
    return deadline


def _queue(
    first: list[int], under: list[list[int]], behind: list[list[int]], deadline: Ints
) -> tuple[Bools, tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
    """Where the host waits, what is queued behind that which it waits for, and whose rates a stage has."""
    waits = np.zeros(len(under), dtype=bool)
    passed: list[tuple[int, ...]] = []
    mixed: list[tuple[int, ...]] = []
    queue = list(first)
    for stage, new in enumerate(under):
        needed = [place for place, task in enumerate(queue) if deadline[task] <= stage]
        waits[stage] = bool(needed)
        if needed:
            queue = queue[needed[-1] + 1 :]
        passed.append(tuple(queue))
        mixed.append(tuple(new or queue))
        queue += [*new, *behind[stage]]
    return waits, tuple(passed), tuple(mixed)
