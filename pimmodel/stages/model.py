r"""Time of a step in the stage model, for any number of designs that share one structure.

The recurrence over the host's tasks, with L the backlog of the PIM and F its waiting updates (seconds of its own, both
0 before the first stage but for work that needs no host task):

1. if the task needs PIM work: wait :math:`w = \max(0, L - A)`, then :math:`L \leftarrow L - w`;
2. :math:`D` of the backlog and the new work P, and :math:`f` of the updates, are done beside it, in `stage_time`;
3. :math:`L \leftarrow L + P - D + P_b` (work that needs the whole task), :math:`F \leftarrow F - f + U`.

After the last stage the PIM does the rest alone: :math:`T = \sum (w + t) + L + F`.

Known error against the fluid schedule of the same plan, ten networks at batch 64 with four plans each (`pytest
tests/stages -m slow -s`): median 0.02 %, 90 % of them within 0.2 %, worst 1.4 % (GoogLeNet: a schedule takes the PIM's
tasks in the order of the graph, this model in the order in which they become ready; rates are those of a stage's mean
kernel).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from pimmodel.dual import value_of
from pimmodel.pim.tasks import Signature
from pimmodel.schedule.tasks import Bools, Floats, Ints
from pimmodel.schedule.workload import Workload
from pimmodel.sharing.pairs import WRITE_STEPS
from pimmodel.stages.envelope import useful_pairs
from pimmodel.stages.formulas import (
    drain_before,
    sharing_cost,
    stage_capacity,
    stage_time,
    threshold_value,
    updates_done,
    work_done,
)
from pimmodel.stages.progress import NODES, Mix, ProgressTable, mix_of, progress_table
from pimmodel.stages.structure import Structure, stages_of

NO_MIX: Mix = ()


@dataclass(frozen=True, eq=False)
class StageWork:
    """PIM work of K stages on one system, alone, arrays of shape (K,) [s].

    under, behind, updates : released by each stage; see :class:`pimmodel.stages.structure.Structure`
    passed : queued behind what each stage waits for, 0 where it waits for nothing
    first : that needs no host task [s]
    mixes : kernels beside each stage, empty where there are none
    update_mix : kernels of the updates, empty where the PIM has none
    """

    under: Floats
    behind: Floats
    updates: Floats
    passed: Floats
    first: float
    mixes: tuple[Mix, ...] = field(repr=False)
    update_mix: Mix = field(repr=False)


class Stage(NamedTuple):
    """One stage of one design [s], thresholds [1].

    wait : of the host before it; time : of the stage; done, filled : urgent PIM work and updates beside it
    theta_low, theta_high : thresholds, -1 where it has nothing beside it
    """

    wait: Any
    time: Any
    done: Any
    filled: Any
    theta_low: int
    theta_high: int


@dataclass(frozen=True, eq=False)
class StageModel:
    """A step on a system as stages: where its tasks are placed, in how many chunks.

    work, on_pim : T tasks and their placement; structure : K stages; pim : their PIM work; chunks : shape (K,) [1]
    """

    work: Workload
    on_pim: Bools = field(repr=False)
    structure: Structure = field(repr=False)
    pim: StageWork = field(repr=False)
    chunks: Ints = field(repr=False)
    table: ProgressTable = field(repr=False)

    def stages(self, pairs: Ints | None = None, host_scale: Any = 1.0) -> list[Stage]:
        """Every stage, one after another, the readable way; in :class:`pimmodel.dual.Dual` where the work is.

        Parameters
        ----------
        pairs : threshold pair of each stage, place in the table's grid, shape (K,) [1]; None: each the best
        host_scale : times that the host's tasks take over those of the model [1]
        """
        use = self.work.host_at(self.task_chunks())
        made: list[Stage] = []
        backlog, waiting = self.pim.first, 0.0
        for stage, task in enumerate(self.structure.host.tolist()):
            wait = 0.0
            if self.structure.waits[stage]:
                wait = drain_before(backlog=backlog, passed_work=self.pim.passed[stage])
                backlog = backlog - wait
            share = round(float(self.work.write_share[task]) * WRITE_STEPS)
            rate = use.rate[task] / host_scale
            rate = np.clip(rate, self.table.grid.first, self.table.grid.rate(NODES - 1))
            one = self._one(stage, use.time[task] * host_scale, rate, share, backlog, waiting,
                            None if pairs is None else int(pairs[stage]))  # fmt: skip
            made.append(one._replace(wait=wait))
            backlog = backlog + (self.pim.under[stage] - one.done + self.pim.behind[stage])
            waiting = waiting + (self.pim.updates[stage] - one.filled)
        return made

    def time(self, pairs: Ints | None = None, host_scale: Any = 1.0) -> Any:
        """Time of the step [s], with threshold `pairs`, shape (K,) [1], and `host_scale` [1] as for `stages`."""
        made = self.stages(pairs, host_scale)
        left = self.pim_total - sum(one.done + one.filled + one.wait for one in made)
        return sum(one.wait + one.time for one in made) + left

    def fill_table(self, pair: int | None = None, progress: Callable[[int, int], None] | None = None) -> None:
        """Work out the progress that the stages need, all request rates of a kernel at once: faster than one by one.

        Parameters
        ----------
        pair : the threshold pair of all stages, place in the table's grid; None: every pair
        progress : called with the pairs of kernel and write share that are worked out, and all of them
        """
        use, table = self.work.host_at(self.task_chunks()), self.table
        needed: dict[tuple[Signature, int], set[int]] = {}
        for stage, task in enumerate(self.structure.host.tolist()):
            share = round(float(self.work.write_share[task]) * WRITE_STEPS)
            node = int(table.grid.place(use.rate[task])[0])
            for kernel, _ in (*self.pim.mixes[stage], *self.pim.update_mix):
                needed.setdefault((kernel, share), set()).update((node, node + 1))
        pairs = np.arange(len(table.low)) if pair is None else np.array([pair])
        for done, ((kernel, share), nodes) in enumerate(needed.items()):
            if progress:
                progress(done, len(needed))
            table.kernel(kernel, share, sorted(nodes), pairs)
        if progress:
            progress(len(needed), len(needed))

    @property
    def pim_total(self) -> Any:
        """All PIM work of the step, alone [s]."""
        return self.pim.first + (self.pim.under + self.pim.behind + self.pim.updates).sum()

    def task_chunks(self) -> Ints:
        """Chunks of all T tasks [1]."""
        chunks = np.ones(len(self.work), dtype=np.int64)
        chunks[self.structure.host] = self.chunks
        return chunks

    def _one(self, stage: int, host: Any, rate: Any, share: int, backlog: Any, waiting: Any,
             pair: int | None) -> Stage:  # fmt: skip
        """A stage that begins with this backlog and these updates waiting [s]."""
        mix, updates = self.pim.mixes[stage], self.pim.update_mix
        chunks, arriving = int(self.chunks[stage]), self.pim.under[stage]
        if not mix and not updates:
            return Stage(0.0, host, 0.0, 0.0, -1, -1)
        pairs = useful_pairs(self.table, mix or updates, share, value_of(rate)) if pair is None else np.array([pair])
        capacity, cost = self._beside(mix or updates, share, host, rate, pairs)
        update_capacity, update_cost = self._beside(updates or mix, share, host, rate, pairs)
        done = work_done(capacity=capacity, backlog=backlog, pim_work=arriving, chunks=chunks) if mix else 0 * capacity
        filled = updates_done(capacity=capacity, update_capacity=update_capacity, done=done, updates=waiting)
        value = threshold_value(done=done, cost=cost) + threshold_value(done=filled, cost=update_cost)
        best = int(np.argmax(value))
        time = stage_time(host_work=host, done=done, filled=filled, cost=cost, update_cost=update_cost)
        low, high = (int(one[pairs[best]]) for one in (self.table.low, self.table.high))
        return Stage(0.0, time[best], done[best], filled[best], low, high)

    def _beside(self, mix: Mix, share: int, host: Any, rate: Any, pairs: Ints) -> tuple[Floats, Floats]:
        """PIM work that fits beside a host task [s], and what it costs the host [1], for some threshold pairs."""
        host_progress, pim_progress = self.table.at(mix, share, rate, pairs)
        progress = {"host_progress": host_progress, "pim_progress": pim_progress}
        return stage_capacity(host_work=host, **progress), sharing_cost(**progress)


def stage_model(work: Workload, on_pim: Bools | None = None, chunks: Ints | int = 1) -> StageModel:
    """Stage model of a step.

    Parameters
    ----------
    work : T tasks on a system
    on_pim : placement, shape (T,); default: all that may on the PIM
    chunks : chunks of the CONV tasks, one number or shape (T,) [1]; where they do not divide, the most below that do
    """
    from pimmodel.schedule.plan import chunk_counts, eligible

    placed = eligible(work) if on_pim is None else np.asarray(on_pim, dtype=bool)
    counts = chunk_counts(work, placed, np.broadcast_to(chunks, (len(work),)))
    structure = stages_of(work.table, placed)
    return StageModel(work, placed, structure, stage_work(work.pim, work.signatures, structure),
                      counts[structure.host], progress_table(work.system))  # fmt: skip


def stage_work(pim: Floats, signatures: tuple[tuple[tuple[bool, ...], ...] | None, ...],
               structure: Structure) -> StageWork:  # fmt: skip
    """PIM work of the stages.

    Parameters
    ----------
    pim : time of each task alone on the PIM, shape (T,) [s]
    signatures : kernel of each
    structure : of the stages
    """

    def added(groups: tuple[tuple[int, ...], ...]) -> Floats:
        stage = np.repeat(np.arange(len(groups)), [len(tasks) for tasks in groups])
        flat = np.array([task for tasks in groups for task in tasks], dtype=np.int64)
        whole: Any = np.bincount(stage, weights=pim[flat], minlength=len(groups))  # dual where `pim` is
        return whole  # type: ignore[no-any-return]

    def mixed(tasks: tuple[int, ...]) -> Mix:
        return mix_of([signatures[task] for task in tasks], [pim[task] for task in tasks]) if tasks else NO_MIX

    updates = tuple(task for tasks in structure.updates for task in tasks)
    return StageWork(
        added(structure.under), added(structure.behind), added(structure.updates),
        np.where(structure.waits, added(structure.passed), 0.0), sum((pim[task] for task in structure.first), 0.0),
        tuple(mixed(tasks) for tasks in structure.mixed), mixed(updates),
    )  # fmt: skip
