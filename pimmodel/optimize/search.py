r"""Thresholds per CONV, chunks per CONV and placement per non-CONV task that make a step shortest.

The search, each stage judged by the fluid schedule of the whole step:

1. *Placement and chunks*, with the progress that pairs of whole CONV tasks have: from a few placements (all that may
   to the PIM; those faster there; the split that balances both sides) and chunk rules (a CONV takes the most chunks
   that cost it no more than some per cent; or the c that makes its time plus v P / c least, P being the PIM work that
   follows it channel by channel), the best; then the rule of each phase (FP, DX, DW) on its own, and all tasks of one
   kind moved to the other side.
2. *Candidates* per CONV: over the whole integer grid of thresholds, those that make :math:`(1 - v\,r_P)/r_H` least
   for several values v of PIM progress (v = 0: the host's time is all that counts; v = 1: PIM work done meanwhile
   counts as much as host work), the thresholds that complete the CONV and the PIM work under it soonest
   (`pimmodel.optimize.pair`), and not to share at all.
3. *Choice*: the best v for all; the best single pair for all; from the better of the two, phase by phase.

With `thorough` rounds, chunks and thresholds are then also changed CONV by CONV. It is a local search: the certificate
is the gap to the lower bound over all placements and schedules (`pimmodel.schedule.bound`), which is reported with the
result. It never returns less than the best single pair gives.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from pimmodel.errors import UnknownNameError
from pimmodel.optimize.candidates import UNIFORM, VALUES, Candidates
from pimmodel.schedule.bound import Bound, lower_bound
from pimmodel.schedule.order import Order
from pimmodel.schedule.plan import SERIAL, Plan, chunk_counts, eligible, remember, run
from pimmodel.schedule.rates import PairRates, same_rates
from pimmodel.schedule.result import Schedule
from pimmodel.schedule.tasks import Bools, Floats, Ints
from pimmodel.schedule.workload import CHUNK_COUNTS, Workload

Objective = Literal["time", "energy", "energy-delay"]
OBJECTIVES: tuple[Objective, ...] = ("time", "energy", "energy-delay")

_PRELIMINARY = same_rates(0.97, 0.75)  # progress of all pairs before anything is known
_PRELIMINARY_VALUE = 3  # of VALUES: progress of pairs while placement and chunks are chosen
_CHUNK_COSTS = (0.0, 0.03)
_DRAIN_VALUES = (0.25, 0.5, 0.8, 1.2)
_SEARCH_CHUNKS = 8  # of tasks on the PIM while plans are judged; coarser schedules take less time
_MATTERS = 0.01  # share of the step's time below which a kind of tasks is not tried on the other side
_PHASES = ("FP", "DX", "DW")

Judge = Callable[[Schedule], float]


@dataclass(frozen=True, eq=False)
class Optimum:
    """What was chosen, and what it is worth.

    plan, schedule : the choice
    bound : lower bound over all placements, chunks and schedules
    uniform, uniform_schedule : the best single threshold pair for all CONV tasks, with the same placement and chunks
    objective : what was minimised, and its value [s], [J] or [J s]
    evaluations : schedules that were judged [1]
    """

    plan: Plan = field(repr=False)
    schedule: Schedule
    bound: Bound
    uniform: Plan = field(repr=False)
    uniform_schedule: Schedule = field(repr=False)
    objective: Objective
    value: float
    evaluations: int

    @property
    def gap(self) -> float:
        """Time over the lower bound, less one [1]: no plan at all is shorter by more than this."""
        return self.schedule.makespan / self.bound.time - 1


def optimize_plan(work: Workload, objective: Objective = "time", *, order: Order = "rearranged",
                  thorough: int = 0) -> Optimum:  # fmt: skip
    """The best plan found for a step.

    Parameters
    ----------
    work : the step on its system
    objective : "time", "energy" or "energy-delay"
    order : of the backward pass
    thorough : rounds of the search CONV by CONV

    Raises
    ------
    UnknownNameError : no such objective or order.
    """
    if objective not in OBJECTIVES:
        raise UnknownNameError("objective", objective, OBJECTIVES)
    search = _Search(work, order, _judge(work, objective))
    whole = search.whole()
    first_table = Candidates(work, whole, run(work, whole, rates=_PRELIMINARY))
    preliminary = first_table.rates(first_table.by_value(_PRELIMINARY_VALUE))
    placed = search.place_and_chunk(preliminary, thorough)
    table = Candidates(work, placed, run(work, placed, rates=preliminary), first_table.surfaces)
    plan, uniform = (
        replace(one, chunks=chunk_counts(work, one.on_pim, one.chunks))
        for one in search.thresholds(placed, table, thorough)
    )
    remember(work, table.known_rates(plan) | table.known_rates(uniform))
    schedule, uniform_schedule = run(work, plan), run(work, uniform)
    if search.judge(uniform_schedule) < search.judge(schedule):
        plan, schedule = uniform, uniform_schedule
    first = work.host[1]
    bound = lower_bound(work.graph, first.time, work.pim, first.memory)
    return Optimum(plan, schedule, bound, uniform, uniform_schedule, objective, search.judge(schedule),
                   search.evaluations)  # fmt: skip


def _judge(work: Workload, objective: Objective) -> Judge:
    if objective == "time":
        return lambda schedule: schedule.makespan
    from pimmodel.schedule.energy import step_energy

    if objective == "energy":
        return lambda schedule: step_energy(work, schedule).total
    return lambda schedule: step_energy(work, schedule).delay_product


class _Search:
    """Plans tried, each judged by its schedule."""

    def __init__(self, work: Workload, order: Order, judge: Judge) -> None:
        self.work, self.order, self.judge, self.evaluations = work, order, judge, 0
        self.seen: dict[tuple[bytes, bytes], float] = {}  # of the preliminary progress

    def value(self, plan: Plan, rates: PairRates) -> float:
        """The judge's figure of a plan under given progress of pairs."""
        self.evaluations += 1
        return self.judge(run(self.work, plan, rates=rates))

    def first_value(self, plan: Plan, rates: PairRates) -> float:
        """`value` under the preliminary progress, where different rules often make the same plan."""
        key = plan.on_pim.tobytes(), plan.chunks.tobytes()
        if key not in self.seen:
            self.seen[key] = self.value(plan, rates)
        return self.seen[key]

    def best(self, plans: Iterable[Plan], rates: PairRates) -> tuple[float, Plan]:
        """The best of some plans."""
        return min(((self.first_value(plan, rates), plan) for plan in plans), key=lambda one: one[0])

    # Placement and chunks

    def whole(self) -> Plan:
        """All that may on the PIM, every CONV in one piece."""
        return self._plan(eligible(self.work), np.ones(len(self.work), dtype=np.int64))

    def place_and_chunk(self, rates: PairRates, passes: int) -> Plan:
        """Stage 1."""
        limits = [self._affordable(cost) for cost in _CHUNK_COSTS] + [self._drained(one) for one in _DRAIN_VALUES]
        value, plan = self.best((self._plan(placed, limits[-2]) for placed in self._placements()), rates)
        value, plan = min((value, plan), self.best((self._plan(plan.on_pim, one) for one in limits), rates),
                          key=lambda one: one[0])  # fmt: skip
        for phase in _PHASES:
            members = self._of(phase)
            trials = [replace(plan, chunks=np.where(members, self._plan(plan.on_pim, one).chunks, plan.chunks))
                      for one in limits]  # fmt: skip
            value, plan = min((value, plan), self.best(trials, rates), key=lambda one: one[0])
        for on_pim in self._moves(plan.on_pim):
            moved = self._plan(on_pim, plan.chunks)
            if (found := self.first_value(moved, rates)) < value:
                value, plan = found, moved
        for _ in range(passes):
            for task in self._longest():
                for chunks in self._neighbours(plan.chunks, task):
                    changed = replace(plan, chunks=chunks)
                    if (found := self.first_value(changed, rates)) < value:
                        value, plan = found, changed
        return plan

    def _plan(self, on_pim: Bools, wanted: Ints) -> Plan:
        counts = chunk_counts(self.work, on_pim, wanted, _SEARCH_CHUNKS)
        return Plan(on_pim, counts, (SERIAL,) * len(self.work), self.order)

    def _placements(self) -> list[Bools]:
        may, first = eligible(self.work), self.work.host[1]
        balanced = lower_bound(self.work.graph, first.time, self.work.pim, first.memory).on_pim > 0.5
        return [may, may & (np.nan_to_num(self.work.pim) < first.time), may & balanced]

    def _moves(self, on_pim: Bools) -> list[Bools]:
        """All tasks of one kind moved to the other side; kinds too small to matter are left where they are."""
        host, pim = self.work.host[1].time, np.nan_to_num(self.work.pim)
        least = _MATTERS * host.sum()
        groups: dict[tuple[str, str], list[int]] = {}
        for index, task in enumerate(self.work.tasks):
            if not task.on_host_only:
                groups.setdefault((task.phase, task.op.kind if task.phase in ("FWD", "BWD") else ""), []).append(index)
        moved = []
        for members in groups.values():
            if max(host[members].sum(), pim[members].sum()) < least:
                continue
            other = on_pim.copy()
            other[members] = ~other[members]
            moved.append(other)
        return moved

    def _affordable(self, cost: float) -> Ints:
        """Most chunks of each CONV that cost it no more than a share of its time."""
        whole = self.work.host[1].time
        chosen = np.ones(len(self.work), dtype=np.int64)
        for count, use in self.work.host.items():
            chosen = np.where(use.time <= whole * (1 + cost) * (1 + 1e-12), count, chosen)
        return chosen

    def _drained(self, value: float) -> Ints:
        """Chunks that make time plus `value` times the PIM work behind the last chunk least, for each CONV."""
        costs = np.stack([use.time + value * self._following / count for count, use in self.work.host.items()])
        return np.asarray(np.array(CHUNK_COUNTS)[np.argmin(costs, axis=0)])

    @functools.cached_property
    def _following(self) -> Floats:
        """PIM work that follows each CONV channel by channel, shape (T,) [s]."""
        consumers: list[list[int]] = [[] for _ in self.work.tasks]
        for task, producers in enumerate(self.work.table.producers):
            if not self.work.table.host_only[task] and not self.work.table.update[task]:
                for producer, barrier in producers:
                    if not barrier:
                        consumers[producer].append(task)
        found = np.zeros(len(self.work))
        for task in np.flatnonzero(self.work.conv).tolist():
            seen, waiting = set(), [*consumers[task]]
            while waiting:
                one = waiting.pop()
                # What the forward pass keeps for the backward one does not follow it.
                if one not in seen and self.work.table.backward[one] == self.work.table.backward[task]:
                    seen.add(one)
                    waiting += consumers[one]
            found[task] = sum(self.work.pim[list(seen)])
        return found

    def _of(self, phase: str) -> Bools:
        """Host tasks of one phase, shape (T,)."""
        return np.array([task.phase == phase for task in self.work.tasks])

    def _longest(self) -> Ints:
        """CONV tasks, longest first."""
        order = np.argsort(-np.where(self.work.conv, self.work.host[1].time, 0.0), kind="stable")
        return np.asarray(order[: int(self.work.conv.sum())])

    def _neighbours(self, chunks: Ints, task: int) -> list[Ints]:
        at, found = CHUNK_COUNTS.index(int(chunks[task])), []
        for count in (CHUNK_COUNTS[max(at - 1, 0)], CHUNK_COUNTS[min(at + 1, len(CHUNK_COUNTS) - 1)]):
            if count != chunks[task] and np.isfinite(self.work.host[count].time[task]):
                other = chunks.copy()
                other[task] = count
                found.append(other)
        return found

    # Thresholds

    def thresholds(self, plan: Plan, table: Candidates, passes: int) -> tuple[Plan, Plan]:
        """Stages 2 and 3: plans with thresholds per CONV, and with one pair for all."""
        starts = [table.by_value(index) for index in range(len(VALUES))] + [table.by_pair()]
        singles = [table.single(index) for index in range(UNIFORM)]
        valued = [(self.value(plan, table.rates(choice)), choice) for choice in (*starts, *singles)]
        _, single = min(valued[len(starts) :], key=lambda one: one[0])
        value, choice = min(valued, key=lambda one: one[0])
        for phase in _PHASES:
            members = self._of(phase)
            for start in starts:
                mixed = np.where(members, start, choice)
                if (found := self.value(plan, table.rates(mixed))) < value:
                    value, choice = found, mixed
        choice = choice.copy()
        for _ in range(passes):
            for task in self._longest():
                before = choice[task]
                for other in table.options(task, before):
                    choice[task] = other
                    if (found := self.value(plan, table.rates(choice))) < value:
                        value, before = found, other
                    choice[task] = before
        return plan.with_policies(table.policies(choice)), plan.with_policies(table.policies(single))
