"""Policies without sharing at many designs at once: `gpu-only`, `serial`, and the lower bound (`ideal`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pimmodel.roofline.menu import KernelMenu
from pimmodel.schedule.tasks import Bools, Floats
from pimmodel.schedule.workload import Workload
from pimmodel.stages.compiled import compiled
from pimmodel.stages.host import HostSide, HostTimes

_NEVER = 1e300  # s


@dataclass(frozen=True, eq=False)
class Bounds:
    """The three lower bounds at N designs: `work`, `memory` and `path`, arrays of shape (N,) [s].

    See `pimmodel.schedule.bound.Bound`.
    """

    work: Floats
    memory: Floats
    path: Floats

    @property
    def time(self) -> Floats:
        """The bound [s]."""
        return np.maximum(np.maximum(self.work, self.memory), self.path)


class SimpleBatch:
    """Evaluator of one step on designs that differ in rates alone; the numbers are those of `pimmodel.estimate`."""

    def __init__(self, work: Workload, menu: KernelMenu) -> None:
        self.work = work
        every = np.arange(len(work))
        self.host = HostTimes(work, menu, np.ones(len(work), dtype=np.int64), every)
        self.on_pim: Bools = ~np.isnan(work.pim)
        self.pim_time = float(np.nansum(work.pim))
        pim = np.where(self.on_pim, work.pim, _NEVER)
        edges = [
            (task, before, barrier) for task, needed in enumerate(work.table.producers) for before, barrier in needed
        ]
        counts = np.bincount([task for task, _, _ in edges], minlength=len(work)) if edges else np.zeros(len(work), int)
        self._graph = (
            self.host.kind_of, pim, np.cumsum([0, *counts]), np.array([one for _, one, _ in edges], dtype=np.int64),
            np.array([barrier for *_, barrier in edges], dtype=bool),
        )  # fmt: skip
        kinds, number = np.unique(np.stack([self.host.kind_of, pim], axis=1), axis=0, return_counts=True)
        self._kinds = kinds[:, 0].astype(np.int64), kinds[:, 1].copy(), number.astype(float)

    def gpu_only(self, side: HostSide) -> Floats:
        """Time with all tasks on the GPU, shape (N,) [s]."""
        return np.asarray(self.host.weights() @ side.time)

    def serial(self, side: HostSide) -> Floats:
        """Time with all eligible tasks on the PIM, one after another, shape (N,) [s]."""
        return np.asarray(self.host.weights(~self.on_pim) @ side.time + self.pim_time)

    def bounds(self, side: HostSide) -> Bounds:
        """Lower bounds over all placements and schedules."""
        count = side.time.shape[1]
        work, turns, path = (np.empty(count) for _ in range(3))
        compiled()["bound_side"](
            *self._graph, *self._kinds, side.time, self.host.memory(side), *np.empty((2, len(self.work))),
            np.empty(len(self._kinds[0])), work, turns, path,
        )  # fmt: skip
        return Bounds(work, turns, path)
