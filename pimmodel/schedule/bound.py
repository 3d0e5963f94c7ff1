"""Lower bounds of the time of one training step: what no schedule on host, PIM and their shared memory can beat."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np

from pimmodel.roofline.host import Floats
from pimmodel.schedule.tasks import Producers, producers_of

# What sets each part of a bound, in words.
BOUND_NOTES = {
    "work": "the busy time of GPU or PIM",
    "memory": "the time that both need the memory for",
    "path": "the longest chain of dependent tasks",
}


@dataclass(frozen=True)
class Bound:
    """Three bounds of a step [s]; the largest holds.

    work : host and PIM share the eligible work perfectly and never wait
    memory : host and PIM take turns on the memory, which each keeps for as long as its task is bound by it; a PIM
        task keeps it for the whole of its exclusive time
    path : the longest chain of dependent tasks, chunks of channelwise edges overlapping perfectly
    on_pim : share of each task that the PIM does in the split behind `work`, shape (T,) [1]
    """

    work: float
    memory: float
    path: float
    on_pim: Floats = field(repr=False, compare=False)

    @property
    def time(self) -> float:
        """The bound [s]."""
        return max(self.work, self.memory, self.path)

    @property
    def active(self) -> str:
        """Which of the three it is."""
        return max(("work", "memory", "path"), key=lambda part: float(getattr(self, part)))


def lower_bound(graph: nx.DiGraph, host: Floats, pim: Floats, host_memory: Floats) -> Bound:
    """Bound over all placements of the PIM-eligible tasks and all schedules with exclusive memory access.

    Parameters
    ----------
    graph : task graph of a step, T tasks
    host : time of each task on the host, shape (T,) [s]
    pim : time of each task on the PIM, shape (T,), NaN where it must run on the host [s]
    host_memory : time that the memory is busy when the task runs on the host, shape (T,) [s]

    Returns
    -------
    Bound; each of its parts is minimised on its own, so their maximum is a bound of the joint optimum.
    """
    on_pim = balanced_split(host, pim)
    work = max(float(((1 - on_pim) * host).sum()), float((on_pim * np.nan_to_num(pim)).sum()))
    memory = float(np.fmin(host_memory, pim).sum())
    return Bound(work, memory, longest_path(producers_of(graph), np.fmin(host, pim).tolist()), on_pim)


def balanced_split(host: Floats, pim: Floats) -> Floats:
    """Share of each task for the PIM that makes the larger of both busy times least, shape (T,) [1].

    min over x in [0, 1]^T of max(sum (1 - x) host, sum x pim), a fractional knapsack: take tasks in the order of
    host / pim, the ones that gain most by moving first, until both sides balance. At most one task is divided.

    >>> balanced_split(np.array([6.0, 3.0, 2.0]), np.array([np.nan, 1.0, 8.0]))  # both then take 6.6
    array([0. , 1. , 0.7])
    """
    order = np.argsort(np.where(np.isnan(pim), np.inf, pim / np.maximum(host, 1e-30)), kind="stable")
    share = np.zeros(len(host))
    left, moved = float(host.sum()), 0.0
    for index in order:
        if np.isnan(pim[index]) or moved >= left:
            break
        whole = left - host[index] >= moved + pim[index]
        share[index] = 1.0 if whole else (left - moved) / (host[index] + pim[index])
        if not whole:
            break
        left, moved = left - host[index], moved + pim[index]
    return share


def longest_path(producers: Sequence[Producers], times: Any, larger: Callable[[Any, Any], Any] = max) -> Any:
    """Longest dependency path when every channelwise edge is pipelined without end.

    start(t) = max over barriers finish(p), over channelwise edges start(p); finish(t) = max(start(t) + time(t), finish
    of channelwise producers): no chunk leaves before the producer's last one has come.

    Parameters
    ----------
    producers : of T tasks in topological order, as in `pimmodel.schedule.tasks.TaskTable`
    times : of the tasks, anything that gives a number by index [s]
    larger : of two of these numbers; `numpy.maximum` for dual numbers

    >>> longest_path([(), ((0, False),), ((1, True),)], [2.0, 3.0, 4.0])  # the second runs along with the first
    7.0
    """
    start: list[Any] = []
    finish: list[Any] = []
    for task, needed in enumerate(producers):
        begin: Any = 0.0
        end: Any = 0.0
        for producer, barrier in needed:
            if barrier:
                begin = larger(begin, finish[producer])
            else:
                begin, end = larger(begin, start[producer]), larger(end, finish[producer])
        start.append(begin)
        finish.append(larger(begin + times[task], end))
    return functools.reduce(larger, finish, 0.0)
