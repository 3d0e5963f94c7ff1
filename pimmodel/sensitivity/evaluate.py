"""Step times of one policy on any system, as plain numbers or with their derivatives: what all studies here ask.

`exclusive` is the closed-form stage model (:mod:`pimmodel.stages.model`) at given thresholds or at the best of every
stage; all eligible tasks are on the PIM. `estimate` places tasks and cuts CONV into chunks better, task by task: its
times are up to some per cent shorter.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from pydantic import BaseModel, ValidationError

from pimmodel.dual import Dual, value_of
from pimmodel.errors import PimModelError, UnknownNameError
from pimmodel.hardware.reading import first_problem
from pimmodel.hardware.system import System
from pimmodel.pim.bandwidth import pim_stream_time
from pimmodel.pim.tasks import Signature, pim_kernel, pim_operation_rate, pim_times
from pimmodel.roofline.host import host_work
from pimmodel.scenario import Policy
from pimmodel.schedule.bound import Bound, longest_path, lower_bound
from pimmodel.schedule.energy import placed_energy
from pimmodel.schedule.plan import eligible
from pimmodel.schedule.tasks import Floats, Ints
from pimmodel.schedule.workload import Workload
from pimmodel.sharing.pairs import pair_scenario
from pimmodel.stages.model import Stage, StageModel, stage_model, stage_work
from pimmodel.step import Step, checked_thresholds

StudyPolicy = Literal["gpu-only", "serial", "exclusive", "ideal"]
STUDY_POLICIES: tuple[StudyPolicy, ...] = get_args(StudyPolicy)
Thresholds = tuple[int, int] | None
_ENDLESS = 1e30  # operations per lane and clock of a PIM that is bound by its bandwidth alone


@dataclass(frozen=True, eq=False)
class Point:
    """A step on one system: its time under every policy of a study.

    step : the step; thresholds : of every stage under `exclusive`, None: each stage the best
    slopes : directions of parameters by dotted name, each of shape (D,); then times are dual numbers
    pim_bandwidth : internal bandwidth of the PIM over what its timing gives [1]
    """

    step: Step
    thresholds: Thresholds = None
    slopes: Mapping[str, Floats] = field(default_factory=dict)
    pim_bandwidth: Any = 1.0

    def at(self, system: System) -> Point:
        """The same step on another system."""
        return dataclasses.replace(self, step=self.step.on(system), slopes={})

    @functools.cached_property
    def work(self) -> Workload:
        """Tasks and their times; with the derivatives of `slopes`, where there are some."""
        plain = self.step.workload
        if not self.slopes:
            check_scenarios(plain.system, plain.signatures)
            scaled = isinstance(self.pim_bandwidth, Dual) or self.pim_bandwidth != 1.0
            return dataclasses.replace(plain, pim=self._pim(plain.system)) if scaled else plain
        system = dual_system(plain.system, self.slopes)
        return dataclasses.replace(
            plain, system=system, pim=self._pim(system), _whole=host_work(plain.host_tasks, system)
        )

    def _pim(self, system: System) -> Floats:
        """Time of each task on the PIM with its bandwidth scaled, shape (T,) [s]."""
        work = self.step.workload
        endless = system.pim.model_copy(update={"operations_per_lane": _ENDLESS})
        columns = pim_times(work.tasks, system.model_copy(update={"pim": endless}), work.precision)
        operations = np.array([sum(one.operations for one in task.passes) for task in work.tasks], dtype=float)
        rate = pim_operation_rate(system, work.precision)
        scaled: Floats = pim_stream_time(traffic=columns, bandwidth=self.pim_bandwidth, operations=operations,
                                         operation_rate=rate)  # fmt: skip
        return scaled

    @functools.cached_property
    def model(self) -> StageModel:
        """The stage model."""
        plain, work = stage_model(self.step.workload), self.work
        if work is self.step.workload:
            return plain
        return dataclasses.replace(plain, work=work, pim=stage_work(work.pim, work.signatures, plain.structure))

    @property
    def plain(self) -> Point:
        """The same in plain numbers."""
        dual = self.slopes or isinstance(self.pim_bandwidth, Dual)
        return Point(self.step, self.thresholds, {}, float(value_of(self.pim_bandwidth))) if dual else self

    @functools.cached_property
    def bound(self) -> Bound:
        """Lower bound over all plans, in plain numbers."""
        step, pim = self.step, self.plain.work.pim
        return step.bound if pim is step.workload.pim else lower_bound(step.graph, step.host, pim,
                                                                       step.host_work.memory)  # fmt: skip

    @functools.cached_property
    def pairs(self) -> Ints:
        """Threshold pair of every stage, place in the model's grid, shape (K,) [1]; 0 where nothing runs beside it."""
        plain = self.plain
        table, count = plain.model.table, len(plain.model.structure)
        plain.model.fill_table(None if self.thresholds is None else self._given(plain))
        if self.thresholds is not None:
            return np.full(count, self._given(plain))
        made = plain.model.stages()
        return np.array([max(0, table.pair(one.theta_low, one.theta_high)) if one.theta_low >= 0 else 0
                         for one in made], dtype=np.int64)  # fmt: skip

    def _given(self, plain: Point) -> int:
        assert self.thresholds is not None
        return plain.model.table.pair(*checked_thresholds(self.step.system, self.thresholds))

    @functools.cached_property
    def stages(self) -> list[Stage]:
        """The stages of `exclusive`."""
        return self.model.stages(self.pairs)

    def time(self, policy: str, host_scale: Any = 1.0) -> Any:
        """Time of the step under a policy [s], a dual number where there are slopes.

        `host_scale` : times that the host's tasks take over those of the model [1]; not for `ideal`
        """
        if policy == "exclusive":
            return self.model.time(self.pairs, host_scale)
        if policy == "ideal":
            return ideal_time(self)
        host, pim = self.work.host[1].time, self.work.pim
        if policy == "gpu-only":
            return host.sum() * host_scale
        on_pim = eligible(self.step.workload)
        return np.where(on_pim, 0.0, host).sum() * host_scale + np.where(on_pim, pim, 0.0).sum()

    def energy(self, policy: str) -> float:
        """Energy of the step under `gpu-only`, `serial` or `exclusive` [J].

        The dynamic part is that of the placement; hand-overs of the memory open some rows again, which is not counted.
        """
        work = self.step.workload
        on_pim = np.zeros(len(work), dtype=bool) if policy == "gpu-only" else eligible(work)
        return float(placed_energy(work, on_pim, float(value_of(self.time(policy)))).total)


def check_policy(policy: str, known: tuple[str, ...] = STUDY_POLICIES) -> None:
    """Refuse a policy that studies do not know."""
    if policy not in known:
        raise UnknownNameError("policy of a study", policy, known)


def check_scenarios(system: System, signatures: Sequence[Signature | None]) -> None:
    """Refuse a system whose PIM the sharing model does not know, such as three units on sixteen banks.

    Raises
    ------
    PimModelError : names the value and what is allowed.
    """
    for signature in dict.fromkeys(one for one in signatures if one is not None):
        try:
            pair_scenario(system, 0.1, 0.5, pim_kernel(signature, system), Policy(kind="serial"))
        except ValidationError as error:
            name, value, allowed = first_problem(error)
            raise PimModelError(f"{name} is {value!r}; allowed: {allowed}") from None


def dual_system(system: System, slopes: Mapping[str, Floats]) -> System:
    """A system whose parameters of these dotted names are dual numbers, with `slopes` of shape (D,) [1]."""

    def seeded(part: BaseModel, prefix: str) -> BaseModel:
        update: dict[str, Any] = {}
        for name in type(part).model_fields:
            value, dotted = getattr(part, name), prefix + name
            if dotted in slopes:
                update[name] = Dual(value, slopes[dotted])
            elif isinstance(value, BaseModel) and any(one.startswith(f"{dotted}.") for one in slopes):
                update[name] = seeded(value, f"{dotted}.")
        return part.model_copy(update=update)

    made = seeded(system, "")
    assert isinstance(made, System)
    return made


def ideal_time(point: Point) -> Any:
    """The lower bound of :mod:`pimmodel.schedule.bound` [s]; dual numbers keep the split of the work as it is."""
    bound = point.bound
    pim_times: Any = point.work.pim
    if not isinstance(pim_times, Dual) and not point.slopes:
        return bound.time
    work = point.work
    host, pim = work.host[1].time, np.nan_to_num(work.pim)
    if bound.active == "memory":
        memory, on_pim = work.host[1].memory, eligible(point.step.workload)
        either = np.where(on_pim, np.minimum(memory, pim), memory)
        return either.sum()
    if bound.active == "path":
        on_pim = eligible(point.step.workload)
        return longest_path(work.table.producers, np.where(on_pim, np.minimum(host, pim), host), np.maximum)
    moved, divided = bound.on_pim >= 1, (bound.on_pim > 0) & (bound.on_pim < 1)
    left, done = np.where(moved, 0.0, host).sum(), np.where(moved, pim, 0.0).sum()
    if not divided.any():
        return np.maximum(left, done)
    (task,) = np.flatnonzero(divided).tolist()
    return done + (left - done) / (host[task] + pim[task]) * pim[task]
