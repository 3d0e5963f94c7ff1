"""The facade: network and system in, time of one training step out."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import networkx as nx
import numpy as np

from pimmodel.errors import PimModelError, UnknownNameError
from pimmodel.hardware.system import System
from pimmodel.network.network import Network
from pimmodel.network.training import Optimizer, Precision, Task, TrainingOptions, training_step
from pimmodel.pim.tasks import pim_times
from pimmodel.roofline.host import Floats, HostTasks, HostWork, host_tasks, host_work
from pimmodel.schedule.bound import Bound, lower_bound
from pimmodel.units import format_quantity

if TYPE_CHECKING:
    import pandas as pd

Policy = Literal["gpu-only", "serial", "ideal"]
POLICIES: tuple[Policy, ...] = ("gpu-only", "serial", "ideal")
SCHEMA = "pimmodel/estimate/1"

_POLICY_NOTES: dict[Policy, str] = {
    "gpu-only": "all tasks on the GPU, one after another",
    "serial": "CONV on the GPU, non-CONV on the PIM, one after another",
    "ideal": "lower bound: GPU and PIM overlap perfectly, memory shared in turns",
}
_BOUND_NOTES = {
    "work": "the busy time of GPU or PIM",
    "memory": "the time that both need the memory for",
    "path": "the longest chain of dependent tasks",
}


# Where a task's time is shown; all others are backward.
_COLUMNS = {"FP": "forward_s", "FWD": "forward_s", "UPD": "update_s"}


@dataclass(frozen=True, eq=False)
class Step:
    """One training step with the time of every task on both sides: what all policies work on."""

    network: Network
    system: System
    options: TrainingOptions
    graph: nx.DiGraph = field(repr=False)

    @functools.cached_property
    def tasks(self) -> list[Task]:
        """All tasks in the order of the graph."""
        return [task for _, task in self.graph.nodes(data="task")]

    @functools.cached_property
    def host_tasks(self) -> HostTasks:
        """The kernels that the host would run for each task."""
        return host_tasks(self.tasks, self.options.precision)

    @functools.cached_property
    def host_work(self) -> HostWork:
        """Time, memory use and kernels of each task on the host."""
        return host_work(self.host_tasks, self.system)

    @property
    def host(self) -> Floats:
        """Time of each task on the host, shape (T,) [s]."""
        return self.host_work.time

    @functools.cached_property
    def pim(self) -> Floats:
        """Time of each task on the PIM, shape (T,), NaN for host tasks [s]."""
        return pim_times(self.tasks, self.system, self.options.precision)

    @functools.cached_property
    def bound(self) -> Bound:
        """Lower bound over all placements and schedules."""
        return lower_bound(self.graph, self.host, self.pim, self.host_work.memory)


@dataclass(frozen=True, eq=False)
class Estimate:
    """Estimated time of one training step under one policy.

    policy : `gpu-only` and `serial` run all tasks one after another, on the GPU alone or with all PIM-eligible tasks on
        the PIM; `ideal` is no schedule but the lower bound of all (:class:`pimmodel.schedule.bound.Bound`)
    time : time of the step [s]
    host_time, pim_time : busy time of GPU and PIM [s]; under `ideal` those of the split that balances the two
    on_pim : share of each task that the PIM does, shape (T,) [1]; fractions occur under `ideal` only
    step : the tasks and their times on both sides
    """

    policy: Policy
    time: float
    host_time: float
    pim_time: float
    on_pim: Floats = field(repr=False)
    step: Step = field(repr=False)

    @property
    def images_per_second(self) -> float:
        """Training throughput [1/s]."""
        return self.step.network.batch / self.time

    def speedup_over(self, policy: Policy) -> float:
        """Time of another policy over this one's, for the same step [1]."""
        return _estimate(self.step, policy).time / self.time

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
        host, pim = (1 - self.on_pim) * step.host, self.on_pim * np.nan_to_num(step.pim)
        for task, share, time in zip(step.tasks, self.on_pim, host + pim, strict=True):
            row = rows[task.layer]
            row[_COLUMNS.get(task.phase, "backward_s")] += float(time)
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
            f"policy {self.policy}: {_POLICY_NOTES[self.policy]}",
            f"training step  {format_quantity(self.time, 's')}   ({self.images_per_second:.0f} images/s)",
            f"GPU busy       {format_quantity(self.host_time, 's')}   ({self.host_time / self.time:.0%})",
            f"PIM busy       {format_quantity(self.pim_time, 's')}   ({self.pim_time / self.time:.0%})",
            f"lower bound    {format_quantity(step.bound.time, 's')}   (set by {_BOUND_NOTES[step.bound.active]})",
        ]
        others: tuple[Policy, ...] = tuple(other for other in POLICIES[:2] if other != self.policy)
        lines += [f"speedup over {other:9} {self.speedup_over(other):.3f}" for other in others]
        if self.policy != "ideal":
            lines.append(f"perfect overlap would be {self.time / step.bound.time:.3f} times as fast")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Estimate({self.step.network.name!r}, {self.policy!r}, time={format_quantity(self.time, 's')})"

    def _repr_html_(self) -> str:
        import html

        return f"<pre>{html.escape(self.summary())}</pre>"


def prepare(
    network: Network,
    system: System,
    *,
    precision: Precision = "fp32",
    optimizer: Optimizer = "sgd-momentum",
    fuse_activation: bool = False,
) -> Step:
    """Expand the training step once, for estimates under several policies."""
    for what, given, kind in (("network", network, Network), ("system", system, System)):
        if not isinstance(given, kind):
            raise PimModelError(f"{what} is {given!r}; allowed: what load_{what} returns")
    options = TrainingOptions(precision, optimizer, fuse_activation)
    graph = training_step(network, options)
    if not graph:
        raise PimModelError(f"network {network.name}: there is nothing to train")
    return Step(network, system, options, graph)


def estimate(
    network: Network,
    system: System,
    policy: Policy | None = None,
    *,
    precision: Precision = "fp32",
    optimizer: Optimizer = "sgd-momentum",
    fuse_activation: bool = False,
) -> Estimate:
    """Time of one training step.

    Parameters
    ----------
    network : from `load_network`
    system : from `load_system`
    policy : "gpu-only", "serial" or "ideal"; default: the system's own
    precision : "fp32", or "fp16" with fp32 master weights
    optimizer : "sgd", "sgd-momentum" or "adam"
    fuse_activation : whether an activation that alone follows a batch norm is computed in its passes

    Raises
    ------
    UnknownNameError : no such policy.
    NetworkError : no such precision or optimizer, or a network that cannot be trained.
    """
    step = prepare(network, system, precision=precision, optimizer=optimizer, fuse_activation=fuse_activation)
    return _estimate(step, policy or system.controller.policy)


def compare(
    network: Network,
    system: System,
    *,
    precision: Precision = "fp32",
    optimizer: Optimizer = "sgd-momentum",
    fuse_activation: bool = False,
) -> list[Estimate]:
    """The estimates of all policies for the same step, in the order of `POLICIES`; arguments as for `estimate`."""
    step = prepare(network, system, precision=precision, optimizer=optimizer, fuse_activation=fuse_activation)
    return [_estimate(step, policy) for policy in POLICIES]


def _estimate(step: Step, policy: str) -> Estimate:
    if policy not in POLICIES:
        raise UnknownNameError("policy", policy, POLICIES)
    on_pim = _share_on_pim(step, policy)
    host = float(((1 - on_pim) * step.host).sum())
    pim = float((on_pim * np.nan_to_num(step.pim)).sum())
    return Estimate(policy, step.bound.time if policy == "ideal" else host + pim, host, pim, on_pim, step)


def _share_on_pim(step: Step, policy: Policy) -> Floats:
    """Share of each task that runs on the PIM, shape (T,) [1]: all of the eligible ones under `serial`."""
    if policy == "gpu-only":
        return np.zeros(len(step.tasks))
    if policy == "ideal":
        return step.bound.on_pim
    return np.where(np.isnan(step.pim), 0.0, 1.0)
