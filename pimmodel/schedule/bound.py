"""Lower bounds of the time of one training step: what no schedule on host, PIM and their shared memory can beat."""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx
import numpy as np

from pimmodel.roofline.host import Floats


@dataclass(frozen=True)
class Bound:
    """Three bounds of a step [s]; the largest holds.

    work : host and PIM share the eligible work perfectly and never wait
    memory : host and PIM take turns on the memory, each at its full bandwidth
    path : the longest chain of dependent tasks, chunks of channelwise edges overlapping perfectly
    """

    work: float
    memory: float
    path: float

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
    least = np.fmin(host, pim)
    memory = float(np.fmin(host_memory, pim).sum())
    return Bound(_shared_work(host, pim), memory, _longest_path(graph, least))


def _shared_work(host: Floats, pim: Floats) -> float:
    """Least max(host, PIM) busy time where eligible work may be split at will (a fractional knapsack).

    min over x in [0,1]^T of max(sum (1 - x) host, sum x pim): take tasks in the order of host / pim, the ones that
    gain most by moving first, until both sides balance.
    """
    fixed = float(host[np.isnan(pim)].sum())
    eligible = ~np.isnan(pim)
    h, p = host[eligible], pim[eligible]
    order = np.argsort(-h / np.maximum(p, 1e-30))
    h, p = h[order], p[order]
    left = fixed + h.sum() - np.concatenate([[0.0], np.cumsum(h)])  # host time with the first i tasks moved
    moved = np.concatenate([[0.0], np.cumsum(p)])
    i = int(np.argmax(moved >= left)) if (moved >= left).any() else len(moved) - 1
    if moved[i] < left[i] or i == 0:
        return float(max(left[i], moved[i]))
    # Task i - 1 is split: left[i-1] - x h = moved[i-1] + x p
    x = (left[i - 1] - moved[i - 1]) / (h[i - 1] + p[i - 1])
    return float(left[i - 1] - x * h[i - 1])


def _longest_path(graph: nx.DiGraph, times: Floats) -> float:
    """Longest dependency path when every channelwise edge is pipelined without end.

    start(t) = max over barriers finish(p), over channelwise edges start(p); finish(t) = max(start(t) + time(t), finish
    of channelwise producers): no chunk leaves before the producer's last one has come.
    """
    start: dict[str, float] = {}
    finish: dict[str, float] = {}
    for index, name in enumerate(graph):
        begin = end = 0.0
        for producer, _, kind in graph.in_edges(name, data="kind"):
            if kind == "barrier":
                begin = max(begin, finish[producer])
            else:
                begin, end = max(begin, start[producer]), max(end, finish[producer])
        start[name] = begin
        finish[name] = max(begin + float(times[index]), end)
    return max(finish.values(), default=0.0)
