"""The facade: network and system in, time of one training step under a sharing policy out."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np

from pimmodel.errors import PimModelError, UnknownNameError
from pimmodel.hardware.system import System
from pimmodel.network.network import Network
from pimmodel.network.training import Optimizer, Precision
from pimmodel.roofline.host import Floats
from pimmodel.schedule.bound import BOUND_NOTES
from pimmodel.step import Step, checked_thresholds, prepare
from pimmodel.units import format_quantity

if TYPE_CHECKING:
    import pandas as pd

    from pimmodel.optimize.policies import Scheduled
    from pimmodel.optimize.search import Objective, Optimum
    from pimmodel.schedule.energy import Energy
    from pimmodel.schedule.result import Schedule
    from pimmodel.schedule.tasks import Ints

Policy = Literal[
    "gpu-only", "serial", "partitioned", "uncoordinated", "time-slice", "watermark", "bypass-cap", "host-first",
    "exclusive-single", "exclusive", "ideal",
]  # fmt: skip
POLICIES: tuple[Policy, ...] = get_args(Policy)
# How a step with host and PIM at once is worked out: event by event, or as stages (`pimmodel.stages`).
Model = Literal["schedule", "stages"]
MODELS: tuple[Model, ...] = get_args(Model)
# A file of thresholds per CONV task, or (theta_low, theta_high) of all host tasks.
Thresholds = str | os.PathLike[str] | tuple[int, int]
# Policies without a schedule: sums of task times, and the bound.
SIMPLE: tuple[Policy, ...] = ("gpu-only", "serial", "ideal")
SCHEMA = "pimmodel/estimate/2"

POLICY_NOTES: dict[Policy, str] = {
    "gpu-only": "all tasks on the GPU, one after another",
    "serial": "CONV on the GPU, non-CONV on the PIM, one after another",
    "partitioned": "half of the banks for each side, shared tensors copied",
    "uncoordinated": "host and PIM interleave freely and close each other's rows",
    "time-slice": "exclusive access in turns of fixed length",
    "watermark": "exclusive access; the host's turn from a high to a low mark of its queue",
    "bypass-cap": "exclusive access; so many host columns may pass waiting PIM work",
    "host-first": "the PIM only while no host request is queued",
    "exclusive-single": "exclusive access in turns, the best single threshold pair for all CONV",
    "exclusive": "exclusive access in turns, thresholds per CONV",
    "ideal": "lower bound: GPU and PIM overlap perfectly, memory shared in turns",
}
_PARTS = {"FP": "forward", "FWD": "forward", "UPD": "update"}


def part_of(phase: str) -> str:
    """Part of a step that a task's phase belongs to: "forward", "backward" or "update"."""
    return _PARTS.get(phase, "backward")


@dataclass(frozen=True, eq=False)
class Estimate:
    """Estimated time of one training step under one policy.

    policy : `gpu-only` and `serial` run all tasks one after another, on the GPU alone or with all PIM-eligible tasks on
        the PIM; `ideal` is no schedule but the lower bound of all (:class:`pimmodel.schedule.bound.Bound`); all others
        are schedules in which host and PIM share the memory
    time : time of the step [s]
    host_time, pim_time : time that the tasks of GPU and PIM take alone [s]; under `ideal` in the split that balances
        the two
    on_pim : share of each task that the PIM does, shape (T,) [1]; fractions occur under `ideal` only
    step : the tasks and their times on both sides
    schedule : start and end of every task; None under `gpu-only`, `serial` and `ideal`, and in the stage model
    chunks : chunks of the tasks of the stage model, shape (T,) [1]
    """

    policy: Policy
    time: float
    host_time: float
    pim_time: float
    on_pim: Floats = field(repr=False)
    step: Step = field(repr=False)
    schedule: Schedule | None = field(default=None, repr=False)
    chunks: Ints | None = field(default=None, repr=False)

    @property
    def images_per_second(self) -> float:
        """Training throughput [1/s]."""
        return self.step.network.batch / self.time

    def speedup_over(self, policy: Policy) -> float:
        """Time of another policy over this one's, for the same step [1]."""
        return _estimate(self.step, policy).time / self.time

    @functools.cached_property
    def energy(self) -> Energy | None:
        """Energy of the step by part; None under `ideal`, which is no schedule."""
        from pimmodel.optimize.policies import with_copies
        from pimmodel.schedule.energy import placed_energy, step_energy

        work = self.step.workload
        if self.policy == "ideal":
            return None
        if self.schedule is None:
            return placed_energy(work, self.on_pim > 0, self.time, chunks=self.chunks)
        return step_energy(with_copies(work, self.on_pim > 0) if self.policy == "partitioned" else work, self.schedule)

    @functools.cached_property
    def task_times(self) -> tuple[Floats, Floats]:
        """Busy time of GPU and PIM with each task, shape (T,) each [s]; 0 on the side on which it does not run."""
        alone = self.step.host
        if self.schedule is not None:  # chunks make CONV tasks longer
            alone = self.schedule.times
        elif self.chunks is not None:
            alone = self.step.workload.host_at(self.chunks).time
        return (1 - self.on_pim) * alone, self.on_pim * np.nan_to_num(self.step.pim)

    @functools.cached_property
    def layers(self) -> pd.DataFrame:
        """One row per layer: busy times in s, traffic in B, and where its work runs.

        The times of all layers add up to `host_time + pim_time`, which is `time` except under `ideal`.
        """
        import pandas as pd

        return pd.DataFrame(self.layer_rows()).set_index("layer")

    def layer_rows(self) -> list[dict[str, Any]]:
        """The rows of `layers` as plain dicts."""
        step = self.step
        rows: dict[str, dict[str, Any]] = {}
        for layer in step.network:
            rows[layer.name] = {
                "layer": layer.name, "type": layer.op.kind, "output_shape": list(layer.output_shape),
                "parameters": layer.parameters, "macs": layer.macs, "training_flops": 0, "traffic_bytes": 0,
                "forward_s": 0.0, "backward_s": 0.0, "update_s": 0.0, "runs_on": "",
            }  # fmt: skip
        host, pim = self.task_times
        for task, share, time in zip(step.tasks, self.on_pim, host + pim, strict=True):
            row = rows[task.layer]
            row[f"{part_of(task.phase)}_s"] += float(time)
            row["training_flops"] += task.flops
            row["traffic_bytes"] += task.bytes
            places = {place for place, runs in (("GPU", share < 1), ("PIM", share > 0)) if runs}
            row["runs_on"] = "+".join(sorted({*filter(None, row["runs_on"].split("+")), *places}))
        return list(rows.values())

    def to_dict(self) -> dict[str, Any]:
        """All figures in SI units, in the layout of `pimmodel/report/estimate.schema.json`."""
        step, bound = self.step, self.step.bound
        return {
            "schema": SCHEMA,
            "network": {"name": step.network.name, "batch": step.network.batch,
                        "parameters": step.network.parameters, "macs": step.network.macs},
            "system": step.system.name,
            "options": {"precision": step.options.precision, "optimizer": step.options.optimizer,
                        "fuse_activation": step.options.fuse_activation},
            "policy": self.policy,
            "time_s": self.time,
            "images_per_second": self.images_per_second,
            "host_time_s": self.host_time,
            "pim_time_s": self.pim_time,
            "bound_s": {"work": bound.work, "memory": bound.memory, "path": bound.path, "time": bound.time},
            "layers": self.layer_rows(),
        }  # fmt: skip

    def to_json(self, indent: int | None = 2) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def summary(self) -> str:
        """A few lines for people."""
        step = self.step
        lines = [
            f"{step.network.name}, batch {step.network.batch}, {step.options.precision},"
            f" {step.options.optimizer} on {step.system.name}",
            f"policy {self.policy}: {POLICY_NOTES[self.policy]}",
            f"training step  {format_quantity(self.time, 's')}   ({self.images_per_second:.0f} images/s)",
            f"GPU busy       {format_quantity(self.host_time, 's')}   ({self.host_time / self.time:.0%})",
            f"PIM busy       {format_quantity(self.pim_time, 's')}   ({self.pim_time / self.time:.0%})",
            f"lower bound    {format_quantity(step.bound.time, 's')}   (set by {BOUND_NOTES[step.bound.active]})",
        ]
        others: tuple[Policy, ...] = tuple(other for other in SIMPLE[:2] if other != self.policy)
        lines += [f"speedup over {other:9} {self.speedup_over(other):.3f}" for other in others]
        if self.policy != "ideal":
            lines.append(f"perfect overlap would be {self.time / step.bound.time:.3f} times as fast")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Estimate({self.step.network.name!r}, {self.policy!r}, time={format_quantity(self.time, 's')})"

    def _repr_html_(self) -> str:
        import html

        return f'<pre style="font-family: monospace">{html.escape(self.summary())}</pre>'


def estimate(
    network: Network,
    system: System,
    policy: Policy | None = None,
    *,
    precision: Precision = "fp32",
    optimizer: Optimizer = "sgd-momentum",
    fuse_activation: bool = False,
    thresholds: Thresholds | None = None,
    model: Model = "schedule",
    chunks: int = 1,
) -> Estimate:
    """Time of one training step.

    Parameters
    ----------
    network : from `load_network`
    system : from `load_system`
    policy : one of `POLICIES`; default: the system's own, or "exclusive" with `thresholds`
    precision : "fp32"; "tf32", fp32 tensors on tensor cores where the GPU has such; or "fp16" with fp32 master weights
    optimizer : "sgd", "sgd-momentum" or "adam"
    fuse_activation : whether an activation that alone follows a batch norm is computed in its passes
    thresholds : for "exclusive": a file of thresholds per CONV task, as `optimize` and `pimmodel optimize` write them,
        or (theta_low, theta_high) of all host tasks; default: chosen for least time
    model : "schedule", event by event; or "stages", the closed form that sweeps evaluate, for "exclusive" (other
        policies than `SIMPLE` have none)
    chunks : chunks of the CONV tasks in the stage model, and in a schedule with one threshold pair for all [1]

    Raises
    ------
    UnknownNameError : no such policy or model.
    NetworkError : no such precision or optimizer, or a network that cannot be trained.
    DescriptionError : a thresholds file that does not fit the step.
    PimModelError : thresholds for another policy than "exclusive", or that the controller cannot have.
    """
    step = prepare(network, system, precision=precision, optimizer=optimizer, fuse_activation=fuse_activation)
    return estimate_step(step, policy, thresholds, model, chunks)


def estimate_step(
    step: Step,
    policy: str | None = None,
    thresholds: Thresholds | None = None,
    model: str = "schedule",
    chunks: int = 1,
) -> Estimate:
    """`estimate` of a prepared step."""
    if model not in MODELS:
        raise UnknownNameError("model", model, MODELS)
    if thresholds is not None and policy not in (None, "exclusive"):
        raise PimModelError(f"thresholds are given for policy '{policy}'; allowed: policy 'exclusive'")
    if policy is None:
        policy = step.system.controller.policy if thresholds is None else "exclusive"
    if model == "stages" and policy not in SIMPLE:
        return _staged(step, policy, thresholds, chunks)
    if thresholds is None:
        return _estimate(step, policy)
    from pimmodel.optimize.table import load_plan
    from pimmodel.scenario import Policy as Sharing
    from pimmodel.schedule.plan import run, uniform_plan

    if isinstance(thresholds, tuple):
        low, high = checked_thresholds(step.system, thresholds)
        plan = uniform_plan(step.workload, Sharing(kind="exclusive", theta_low=low, theta_high=high), chunks=chunks)
    else:
        plan = load_plan(thresholds, step.workload)
    return _scheduled(step, "exclusive", run(step.workload, plan))


def _staged(step: Step, policy: str, thresholds: Thresholds | None, chunks: int) -> Estimate:
    """The stage model, with one threshold pair for all host tasks or the best for each."""
    from pimmodel.stages.model import stage_model

    if policy != "exclusive":
        raise PimModelError(f"policy is '{policy}'; allowed in the stage model: {', '.join((*SIMPLE, 'exclusive'))}")
    if thresholds is not None and not isinstance(thresholds, tuple):
        raise PimModelError("the stage model takes (theta_low, theta_high), not a file of thresholds")
    stages = stage_model(step.workload, chunks=chunks)
    pairs = None
    if thresholds is not None:
        pairs = np.full(len(stages.structure), stages.table.pair(*checked_thresholds(step.system, thresholds)))
    on_pim, counts = stages.on_pim.astype(float), stages.task_chunks()
    host = float(step.workload.host_at(counts).time[~stages.on_pim].sum())
    return Estimate("exclusive", stages.time(pairs), host, stages.pim_total, on_pim, step, chunks=counts)


def optimize(
    network: Network,
    system: System,
    objective: Objective = "time",
    *,
    precision: Precision = "fp32",
    optimizer: Optimizer = "sgd-momentum",
    fuse_activation: bool = False,
    thorough: int = 0,
) -> Optimum:
    """Thresholds and chunks per CONV task and placement per non-CONV task that are best for a step.

    Parameters
    ----------
    objective : "time", "energy" or "energy-delay"
    thorough : rounds of the search task by task; each takes seconds, and gains some tenths of a per cent
    others : as for `estimate`

    Returns
    -------
    Optimum with the plan, its schedule, the best single threshold pair, and the gap to the lower bound.
    """
    step = prepare(network, system, precision=precision, optimizer=optimizer, fuse_activation=fuse_activation)
    return optimize_step(step, objective, thorough)


def optimize_step(step: Step, objective: Objective = "time", thorough: int = 0) -> Optimum:
    """`optimize` of a prepared step."""
    from pimmodel.optimize.search import optimize_plan

    return optimize_plan(step.workload, objective, thorough=thorough)


def compare(
    network: Network,
    system: System,
    *,
    precision: Precision = "fp32",
    optimizer: Optimizer = "sgd-momentum",
    fuse_activation: bool = False,
    policies: Sequence[Policy] = POLICIES,
    progress: Callable[[int, int], None] | None = None,
) -> list[Estimate]:
    """The estimates of several policies for the same step.

    Parameters
    ----------
    policies : some of `POLICIES`, or all
    progress : called with the number of policies done, and of all, before the first and after each [1]
    others : as for `estimate`
    """
    step = prepare(network, system, precision=precision, optimizer=optimizer, fuse_activation=fuse_activation)
    estimates: list[Estimate] = []
    for policy in policies:
        if progress:
            progress(len(estimates), len(policies))
        estimates.append(_estimate(step, policy))
    if progress:
        progress(len(policies), len(policies))
    return estimates


def _estimate(step: Step, policy: str) -> Estimate:
    if policy not in POLICIES:
        raise UnknownNameError("policy", policy, POLICIES)
    if policy not in SIMPLE:
        from pimmodel.optimize.policies import schedule_policy

        return _scheduled(step, policy, schedule_policy(step.workload, cast("Scheduled", policy), step.optimum))
    on_pim = _share_on_pim(step, policy)
    host = float(((1 - on_pim) * step.host).sum())
    pim = float((on_pim * np.nan_to_num(step.pim)).sum())
    return Estimate(policy, step.bound.time if policy == "ideal" else host + pim, host, pim, on_pim, step)


def _scheduled(step: Step, policy: Policy, schedule: Schedule) -> Estimate:
    host, pim = (float(schedule.times[side].sum()) for side in (~schedule.on_pim, schedule.on_pim))
    return Estimate(policy, schedule.makespan, host, pim, schedule.on_pim.astype(float), step, schedule)


def _share_on_pim(step: Step, policy: Policy) -> Floats:
    """Share of each task that runs on the PIM, shape (T,) [1]: all of the eligible ones under `serial`."""
    if policy == "gpu-only":
        return np.zeros(len(step.tasks))
    if policy == "ideal":
        return step.bound.on_pim
    return np.where(np.isnan(step.pim), 0.0, 1.0)
