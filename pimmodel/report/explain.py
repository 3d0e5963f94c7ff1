"""Why a layer takes its time: formulas with numbers put in, the active bound, and how far the next one is."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from pimmodel.errors import UnknownNameError
from pimmodel.formula import Formula
from pimmodel.optimize.pair import best_thresholds, companion, completion_time
from pimmodel.pim.bandwidth import pim_stream_time
from pimmodel.pim.kernel import kernel_speed
from pimmodel.pim.tasks import column_steps, pim_kernel, pim_operation_rate
from pimmodel.roofline.conv import ALGORITHMS, BOUNDS
from pimmodel.roofline.host import host_bandwidth
from pimmodel.roofline.streams import stream_time
from pimmodel.roofline.tiles import kernel_time, memory_time
from pimmodel.scenario import Policy
from pimmodel.sharing.model import ClosedForm
from pimmodel.sharing.pairs import pair_scenario
from pimmodel.step import Step
from pimmodel.symbols import SYMBOLS
from pimmodel.units import format_quantity

SCHEMA = "pimmodel/explanation/1"
_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


@dataclass(frozen=True)
class Substituted:
    """One formula: name, expression, the same with numbers in SI units, and what comes out."""

    formula: str
    expression: str
    numbers: str
    value: float
    unit: str


@dataclass(frozen=True)
class Explained:
    """One task on one side, or shared.

    title : what it is about; facts : figures in words; formulas : with their numbers
    bounds : candidates for what limits it [s]; the largest is active
    """

    title: str
    facts: dict[str, str]
    bounds: dict[str, float]
    formulas: list[Substituted] = field(default_factory=list)

    @property
    def active(self) -> str:
        """What limits it, and how far the next bound is."""
        if not self.bounds:
            return ""
        (name, most), *rest = sorted(self.bounds.items(), key=lambda one: -one[1])
        if not rest:
            return name
        return f"{name}; next: {rest[0][0]}, at {rest[0][1] / most:.0%} of it"


def substituted(formula: Formula, unit: str, **values: Any) -> Substituted:
    """A formula with numbers put in, from its own sympy expression.

    >>> from pimmodel.roofline.tiles import kernel_time
    >>> one = substituted(kernel_time, "s", compute=3e-3, memory=4e-3, kernels=1, launch=2e-6)
    >>> one.expression, one.numbers, round(one.value, 9)
    ('kernels*launch + sqrt(compute**2 + memory**2)', '1*2e-06 + sqrt(0.003**2 + 0.004**2)', 0.005002)
    """
    expression = str(formula.expression)
    plain = {name: f"{float(value):.4g}" for name, value in values.items()}
    numbers = _NAME.sub(lambda found: plain.get(found.group(), found.group()), expression)
    return Substituted(str(vars(formula)["__name__"]), expression, numbers, float(formula(**values)), unit)


def explain(step: Step, layer: str) -> list[Explained]:
    """Every task of a layer on the GPU, on the PIM where it may run there, and shared where it is a CONV.

    Raises
    ------
    UnknownNameError : the network has no such layer, or the layer has no task of its own.
    """
    chosen = [index for index, task in enumerate(step.tasks) if task.layer == layer]
    if not chosen:
        raise UnknownNameError("layer with tasks", layer, dict.fromkeys(task.layer for task in step.tasks))
    found: list[Explained] = []
    for index in chosen:
        if step.tasks[index].on_host_only:
            found += [_conv(step, index), *_shared(step, index)]
        else:
            found += [_streams(step, index), _pim(step, index)]
    return found


def _conv(step: Step, index: int) -> Explained:
    """The kernel chosen for a CONV task."""
    work, where = step.host_work, int(step.host_tasks.kernel_of[index])
    kernels = work.kernels
    assert kernels is not None
    gpu = step.system.gpu
    part = {name: float(getattr(kernels, name)[where]) for name in ("time", "compute", "dram", "l2", "launch")}
    launch = gpu.kernels.launch_factor * gpu.launch_overhead
    algorithm = ALGORITHMS[kernels.algorithm[where]]
    facts = {
        "kernel": f"{algorithm}, tile {kernels.tile_m[where]:.0f} x {kernels.tile_n[where]:.0f},"
                  f" depth in {kernels.splits[where]:.0f} part(s),"
                  f" {'tensor cores' if kernels.tensor_cores[where] else 'ordinary lanes'}",
        "DRAM traffic": format_quantity(float(kernels.dram_bytes[where]), "B"),
        "L2 traffic": format_quantity(float(kernels.l2_bytes[where]), "B"),
        "arithmetic intensity": f"{float(kernels.intensity[where]):.1f} FLOP/B",
        "memory idle": f"{float(kernels.idle_share[where]):.0%} of the time",
    }  # fmt: skip
    bandwidth = host_bandwidth(step.system) * gpu.kernels.dram_efficiency
    formulas = [
        substituted(memory_time, "s", traffic=kernels.dram_bytes[where], bandwidth=bandwidth,
                    l2_traffic=kernels.l2_bytes[where], l2_bandwidth=gpu.l2_bandwidth)
    ]  # fmt: skip
    if algorithm != "winograd_nonfused":  # its transforms do not overlap with its product
        formulas.append(substituted(kernel_time, "s", compute=part["compute"], memory=max(part["dram"], part["l2"]),
                                    kernels=part["launch"] / launch, launch=launch))  # fmt: skip
    else:
        facts["time"] = "arithmetic plus transforms, which do not overlap, plus launches"
    bounds = dict(zip(BOUNDS, (part["compute"], part["dram"], part["l2"], part["launch"]), strict=True))
    if bias := _stream_formulas(step, index):
        bounds["bias"] = sum(one.value for one in bias)
        formulas += bias
    title = f"{step.tasks[index].name} on the GPU: {format_quantity(float(step.host[index]), 's')}"
    return Explained(title, facts, bounds, formulas)


def _stream_formulas(step: Step, index: int) -> list[Substituted]:
    """The streaming kernels of a task: passes of a non-CONV layer, or the bias of a CONV."""
    tasks, gpu = step.host_tasks, step.system.gpu
    launch = gpu.kernels.launch_factor * gpu.launch_overhead
    formulas = []
    for kernel in np.flatnonzero(tasks.owner == index).tolist():
        reached = host_bandwidth(step.system) * (gpu.kernels.dram_efficiency if tasks.reduces[kernel] else 1.0)
        formulas.append(substituted(
            stream_time, "s", traffic=tasks.moved[kernel], bandwidth=reached, operations=tasks.operations[kernel],
            operation_rate=gpu.fp32_peak, blocks=tasks.blocks[kernel], sms=gpu.sm_count, launch=launch,
        ))  # fmt: skip
    return formulas


def _streams(step: Step, index: int) -> Explained:
    """A non-CONV task on the GPU: one kernel per pass."""
    tasks, gpu = step.host_tasks, step.system.gpu
    mine = tasks.owner == index
    each = tasks.blocks[mine] / gpu.sm_count  # blocks of an SM on average; of the busiest one, the next whole number
    busy = each / np.ceil(each)
    reached = host_bandwidth(step.system) * np.where(tasks.reduces[mine], gpu.kernels.dram_efficiency, 1.0)
    formulas = _stream_formulas(step, index)
    bounds = {
        "DRAM": float((tasks.moved[mine] / reached / busy).sum()),
        "arithmetic": float((tasks.operations[mine] / gpu.fp32_peak / busy).sum()),
        "launch": len(formulas) * gpu.kernels.launch_factor * gpu.launch_overhead,
    }
    facts = {"traffic": format_quantity(float(tasks.moved[mine].sum()), "B"), "kernels": str(len(formulas))}
    return Explained(f"{step.tasks[index].name} on the GPU: {format_quantity(float(step.host[index]), 's')}", facts,
                     bounds, formulas)  # fmt: skip


def _pim(step: Step, index: int) -> Explained:
    """A non-CONV task on the PIM: column steps at the rate of its kernel."""
    system, task = step.system, step.tasks[index]
    memory, signature = system.memory, step.workload.signatures[index]
    assert signature is not None
    kernel = pim_kernel(signature, system)
    speed = kernel_speed(memory.timing, memory.organisation, kernel, system.controller.refresh)
    steps = float(column_steps([task], system)[0])
    rate = pim_operation_rate(system, step.options.precision)
    operations = float(sum(one.operations for one in task.passes))
    formula = substituted(pim_stream_time, "s", traffic=steps, bandwidth=speed.rate * memory.clock,
                          operations=operations, operation_rate=rate)  # fmt: skip
    facts = {
        "column steps": f"{steps:.0f} per channel, one at best per {kernel.cadence} clocks",
        "row openings, turnarounds, refresh": f"take {1 - speed.rate * kernel.cadence:.0%} of the time",
    }
    bounds = {"column steps": steps / (speed.rate * memory.clock), "arithmetic": operations / rate}
    return Explained(
        f"{task.name} on the PIM: {format_quantity(float(step.pim[index]), 's')}", facts, bounds, [formula]
    )


def _shared(step: Step, index: int) -> list[Explained]:
    """A CONV task and the PIM work that follows it channel by channel, under the best thresholds of the pair."""
    work, system = step.workload, step.system
    consumer = companion(work, index)
    if consumer is None:
        return []
    signature = work.signatures[consumer]
    assert signature is not None
    kernel, use = pim_kernel(signature, system), work.host[1]
    host, pim = float(use.time[index]), float(work.pim[consumer])
    rate, share = float(use.rate[index]), float(work.write_share[index])
    best = best_thresholds(system, rate, share, kernel, host, pim)
    policy = Policy(kind="exclusive", theta_low=best.theta_low, theta_high=best.theta_high)
    rates = ClosedForm(follow=False).rates(pair_scenario(system, rate, share, kernel, policy))
    facts = {
        "host stream": f"{rate:.3f} requests per clock and channel, {share:.0%} writes",
        "best thresholds": f"theta_low {best.theta_low}, theta_high {best.theta_high}" if best.shares
                           else "none: one after the other is better",
        "progress": f"host {best.host:.1%}, PIM {best.pim:.1%} of what each does alone",
        "switches": f"{rates.switches_per_kilocycle:.1f} per 1000 clocks; the host stalls"
                    f" {rates.host_stall_share:.1%} of them",
    }  # fmt: skip
    formula = substituted(completion_time, "s", host_work=host, pim_work=pim, host_progress=max(best.host, 1e-12),
                          pim_progress=max(best.pim, 1e-12))  # fmt: skip
    bounds = {"host": host, "PIM": pim}
    title = f"{step.tasks[index].name} with {step.tasks[consumer].name} on the PIM: {format_quantity(best.time, 's')}"
    return [Explained(f"{title}, if all of the latter were there from the start", facts, bounds, [formula])]


def explanation_dict(step: Step, layer: str, found: list[Explained]) -> dict[str, Any]:
    """All of it as a plain document, SI units."""
    parts = [{**asdict(one), "active": one.active} for one in found]
    return {"schema": SCHEMA, "network": step.network.name, "system": step.system.name, "layer": layer, "parts": parts}


def explanation_text(found: list[Explained]) -> str:
    """For people: each part, its formulas, and the symbols at the end."""
    lines: list[str] = []
    names: dict[str, None] = {}
    for one in found:
        lines += [one.title, *(f"  {name}: {text}" for name, text in one.facts.items())]
        if one.bounds:
            lines.append(f"  bound: {one.active}")
        for formula in one.formulas:
            lines += [f"  {formula.formula} = {formula.expression}",
                      f"    = {formula.numbers}",
                      f"    = {format_quantity(formula.value, formula.unit)}"]  # fmt: skip
            names |= dict.fromkeys(name for name in _NAME.findall(formula.expression) if name in SYMBOLS)
        lines.append("")
    lines.append("symbols (numbers are in these units):")
    lines += [f"  {name}: {SYMBOLS[name].meaning} [{SYMBOLS[name].unit}]" for name in names]
    return "\n".join(lines)
