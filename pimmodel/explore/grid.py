"""The stage model of one step at every threshold pair of its controller at once: what threshold sliders move over.

The recurrence is that of :class:`pimmodel.stages.model.StageModel`, with arrays over the G pairs of the grid in place
of numbers. The progress of host and PIM beside each other takes seconds to work out; after that, all that is known of a
pair is a column of these arrays.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from pimmodel.schedule.tasks import Floats, Ints
from pimmodel.sharing.pairs import WRITE_STEPS
from pimmodel.stages.formulas import drain_before, sharing_cost, stage_capacity, stage_time, updates_done, work_done
from pimmodel.stages.model import StageModel
from pimmodel.stages.progress import Mix

Progress = Callable[[int, int], None]
_Beside = tuple[Floats, Floats, Floats]  # capacity [s], cost [1] and progress of the PIM [1], shape (G,) each


@dataclass(frozen=True, eq=False)
class ThresholdGrid:
    """K stages of a step at G pairs of thresholds.

    model : the stages; low, high : thresholds of each pair, shape (G,) [1]
    alone : time of each stage's host task without the PIM, shape (K,) [s]
    wait : of the host before each stage, in which the PIM runs alone; time : of the stage; busy, updating : how long in
        it the PIM runs urgent work and updates. Shape (K, G) each [s]
    left : PIM work after the last stage, shape (G,) [s]
    """

    model: StageModel
    low: Ints
    high: Ints
    alone: Floats = field(repr=False)
    wait: Floats = field(repr=False)
    time: Floats = field(repr=False)
    busy: Floats = field(repr=False)
    updating: Floats = field(repr=False)
    left: Floats = field(repr=False)

    @functools.cached_property
    def total(self) -> Floats:
        """Time of the step at each pair, shape (G,) [s]."""
        return np.asarray(self.wait.sum(axis=0) + self.time.sum(axis=0) + self.left)

    @property
    def best(self) -> int:
        """Place of the pair with the shortest step."""
        return int(np.argmin(self.total))

    @property
    def room(self) -> int:
        """Largest threshold that the controller can have [1]."""
        return int(self.high.max())


def threshold_grid_of(model: StageModel, progress: Progress | None = None) -> ThresholdGrid:
    """Every stage at every threshold pair.

    Parameters
    ----------
    model : the step in stages
    progress : called with the pairs of kernel and write share that are worked out, and all of them
    """
    work, structure, pim = model.work, model.structure, model.pim
    use = work.host_at(model.task_chunks())
    alone, rates = use.time[structure.host], use.rate[structure.host]
    shares = np.round(work.write_share[structure.host] * WRITE_STEPS).astype(int)
    model.fill_table(progress=progress)
    count = len(model.table.low)
    shape = len(structure), count
    wait, time, busy, updating = (np.zeros(shape) for _ in range(4))
    nothing = np.zeros(count)
    backlog, waiting = np.full(count, pim.first), np.zeros(count)
    known: dict[tuple[Mix, int, float, float], _Beside] = {}
    for stage, host in enumerate(alone.tolist()):
        if structure.waits[stage]:
            wait[stage] = drain_before(backlog=backlog, passed_work=float(pim.passed[stage]))
            backlog = backlog - wait[stage]
        mix, updates, done, filled = pim.mixes[stage], pim.update_mix, nothing, nothing
        time[stage] = host
        if mix or updates:
            of = int(shares[stage]), float(rates[stage]), host
            capacity, cost, speed = _beside(model, known, mix or updates, *of)
            room, update_cost, update_speed = _beside(model, known, updates or mix, *of)
            if mix:
                done = work_done(capacity=capacity, backlog=backlog, pim_work=float(pim.under[stage]),
                                 chunks=int(model.chunks[stage]))  # fmt: skip
            filled = updates_done(capacity=capacity, update_capacity=room, done=done, updates=waiting)
            time[stage] = stage_time(host_work=host, done=done, filled=filled, cost=cost, update_cost=update_cost)
            busy[stage], updating[stage] = done / speed, filled / update_speed
        backlog = backlog + pim.under[stage] - done + pim.behind[stage]
        waiting = waiting + pim.updates[stage] - filled
    low, high = model.table.low, model.table.high
    return ThresholdGrid(model, low, high, alone, wait, time, busy, updating, backlog + waiting)


def _beside(
    model: StageModel, known: dict[tuple[Mix, int, float, float], _Beside], mix: Mix, share: int, rate: float,
    host: float,
) -> _Beside:  # fmt: skip
    """What fits beside a host task, its cost, and the PIM's progress, at every pair; equal tasks once."""
    key = mix, share, rate, host
    if key not in known:
        r, rho = model.table.at(mix, share, rate, np.arange(len(model.table.low)))
        known[key] = (
            stage_capacity(host_work=host, host_progress=r, pim_progress=rho),
            sharing_cost(host_progress=r, pim_progress=rho), rho,
        )  # fmt: skip
    return known[key]
