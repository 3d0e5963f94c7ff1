"""`pimmodel validate network`: whole training steps, the fluid schedule against the reference simulator.

Both get the same plan (placement, chunks, thresholds, which pairs share) and the same tasks; from there on they are
independent: the schedule takes pairs' rates from closed forms and lets chunks flow, the simulator issues every command
of one channel (`pimmodel.validation.simulator.step` says what runs when).

Where they differ, and who is wrong (resnet18 and mobilenet_v2, batch 8, 16 chunks, v100-bankgroup-pim): with the
simulator's own steady rates of pairs the fluid schedule is 0.2 to 0.5 % too short, and all else is the rates' error.

- What the fluid form neglects, all of it to its advantage: a host task is over only when its last requests are served
  (40 to 70 clocks), the PIM opens rows anew when it turns to another task (about 40 clocks; tasks of a few column steps
  take nothing else), and who waits for a chunk of the host waits for its last request too, up to a turn of the PIM.
- What the rates neglect: the host alone is taken to need no more than its kernels' own time. On the channel it stalls
  in an all-bank refresh where it generates more than about (window - 10) / (tRFC + 100) requests per clock: 2 % longer
  at 0.15 to 0.2 requests per clock, 5 to 7 % above; and above the sustained rate it takes as much longer as that is
  less. CONVs in 16 chunks that read their maps again and again come there (mobilenet_v2: 4 %), and the optimizer avoids
  them. Under `exclusive` a refresh that falls due in a turn of the PIM is done while the queue is near theta_high: the
  host then stalls for tRFC and a change of hands less (window - theta_high) / lambda.
- At theta_low = 0 the rates of the PIM are far too high (`validate contention`: outside the regular region); steps are
  then 3 to 4 % longer than the formula says, and still among the worst, so no choice depends on it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
from pimmodel.validation.processes import results
from pimmodel.validation.report import Row
from pimmodel.validation.simulator.step import HostChunkTask, Need, PimChunkTask, Step, all_share
from pimmodel.validation.simulator.step_run import run_step

from pimmodel.errors import PimModelError
from pimmodel.files import whole_file
from pimmodel.hardware.load import load_system
from pimmodel.load import load_network
from pimmodel.network.training import Precision, training_step
from pimmodel.optimize.policies import policy_of
from pimmodel.optimize.search import optimize_plan
from pimmodel.pim.kernel import kernel_speed
from pimmodel.pim.tasks import column_steps, pim_kernel
from pimmodel.scenario import PimKernel, Policy
from pimmodel.schedule.order import ordered_producers, pim_ranks
from pimmodel.schedule.plan import Plan, pair_rates, run, uniform_plan
from pimmodel.schedule.rates import TURNS
from pimmodel.schedule.tasks import needed_chunks
from pimmodel.schedule.workload import Workload, workload
from pimmodel.sharing.pairs import pair_scenario

Progress = Callable[[int, int], None]
NETWORKS = ("resnet18", "vgg16", "googlenet", "densenet121", "mobilenet_v2", "resnet50")
TIME_LIMITS = {"median": 0.03, "worst": 0.06}
SWEEP_LIMITS = {"worst": 0.02}
FEW_PAIRS = tuple((low, high) for low in (0, 4, 8, 16, 32) for high in (44, 58, 64))


@dataclass(frozen=True)
class Effort:
    """What is compared per network.

    batch : size of the batch
    policies : comparison policies beside `serial` and `exclusive`
    optimum : whether the optimized plan is compared too
    sweep : pairs (theta_low, theta_high) that are simulated in place of the optimized thresholds
    """

    batch: int = 8
    policies: tuple[str, ...] = ("uncoordinated", "time-slice", "watermark", "bypass-cap", "host-first")
    optimum: bool = True
    sweep: tuple[tuple[int, int], ...] = FEW_PAIRS


FULL, QUICK = Effort(), Effort(batch=1, policies=(), optimum=False, sweep=())


@dataclass(frozen=True)
class Comparison:
    """A step under one plan: its time by the formula and in the simulator [clock].

    best_of_sweep : least simulated time of the sweep, of the plan that it is compared with [clock]
    """

    network: str
    batch: int
    plan: str
    formula: float
    simulator: int
    best_of_sweep: int | None = None

    @property
    def error(self) -> float:
        """Formula over simulator, less one [1]."""
        return self.formula / self.simulator - 1


def step_of(work: Workload, plan: Plan) -> Step:
    """A planned step as the simulator reads it: one channel's share of every task."""
    system, table = work.system, work.table
    memory = system.memory
    use = work.host_at(np.where(plan.on_pim, 1, plan.chunks))
    requests = use.dram_bytes / (system.memory_channels * memory.organisation.bytes_per_column)
    steps = column_steps(work.tasks, system)
    ranks = pim_ranks(table, plan.order)
    rates = pair_rates(work, use, plan)
    tasks: list[HostChunkTask | PimChunkTask] = []
    for index, producers in enumerate(ordered_producers(table, plan.order)):
        chunks = int(plan.chunks[index])
        needs = tuple(
            Need(one, tuple(needed_chunks(j, chunks, int(plan.chunks[one]), barrier) for j in range(chunks)))
            for one, barrier in producers
        )
        signature = work.signatures[index]
        if plan.on_pim[index] and signature is not None:
            kernel = pim_kernel(signature, system)
            extra = extra_clocks(work, index, kernel, float(steps[index]))
            tasks.append(PimChunkTask(kernel, round(steps[index]), int(ranks[index]), chunks, needs, extra))
        else:
            clocks = float(use.time[index] * memory.clock)
            tasks.append(HostChunkTask(clocks, round(requests[index]), float(work.write_share[index]),
                                       plan.policies[index], chunks, needs))  # fmt: skip
    one = pair_scenario(system, 0.1, 0.0, pim_kernel(((False,),), system), plan.policies[0])
    return Step(
        timing=memory.timing, organisation=memory.organisation, queue=one.queue, stream=one.stream, refresh=one.refresh,
        tasks=tuple(tasks),
        shares=lambda host, pim: plan.policies[host].kind != "exclusive" or rates(host, pim) != TURNS,
    )  # fmt: skip


def extra_clocks(work: Workload, index: int, kernel: PimKernel, steps: float) -> float:
    """Clocks by which a task's arithmetic lengthens a column step, 0 where its columns take longer anyway [clock]."""
    memory = work.system.memory
    columns = steps / kernel_speed(memory.timing, memory.organisation, kernel, work.system.controller.refresh).rate
    return max(0.0, float(work.pim[index]) * memory.clock - columns) / steps


def simulated_time(work: Workload, plan: Plan, *, seed: int = 0) -> int:
    """Step time of a plan in the simulator [clock]."""
    return run_step(step_of(work, plan), seed=seed).clocks


def threshold_sweep(
    work: Workload, plan: Plan, pairs: Sequence[tuple[int, int]], *, seed: int = 0
) -> dict[tuple[int, int], int]:
    """Simulated step time of a plan with each pair (theta_low, theta_high) for all its host tasks [clock].

    All pairs of tasks share the memory: which are better off in turns is the formulas' word, and is not asked here.
    """
    found = {}
    for low, high in pairs:
        one = plan.with_policies(Policy(kind="exclusive", theta_low=low, theta_high=high))
        found[low, high] = run_step(replace(step_of(work, one), shares=all_share), seed=seed).clocks
    return found


def compare_network(
    name: str,
    system: str = "v100-bankgroup-pim",
    precision: Precision = "fp32",
    *,
    effort: Effort = FULL,
    seed: int = 0,
) -> list[Comparison]:
    """A network's step under several plans, formula and simulator.

    Raises
    ------
    UnknownNameError : no such network or system.
    """
    hardware = load_system(system)
    network = load_network(name, effort.batch, None, "error")
    work = workload(training_step(network), hardware, precision)
    controller, clock = hardware.controller, hardware.memory.clock
    room = controller.room
    shared = Policy(kind="exclusive", theta_low=min(16, room - 1), theta_high=min(58, room))
    plans = {
        "serial": uniform_plan(work),
        "exclusive, 1 chunk": uniform_plan(work, shared),
        "exclusive, 4 chunks": uniform_plan(work, shared, chunks=4),
        "exclusive, 4 chunks, serial order": uniform_plan(work, shared, chunks=4, order="serial"),
    } | {name: uniform_plan(work, policy_of(name, room), chunks=4) for name in effort.policies}
    found = [
        Comparison(name, effort.batch, label, run(work, plan).makespan * clock, simulated_time(work, plan, seed=seed))
        for label, plan in plans.items()
    ]
    if effort.optimum:
        optimum = optimize_plan(work)
        pairs = [(low, high) for low, high in effort.sweep if low < high <= room]
        swept = threshold_sweep(work, optimum.plan, pairs, seed=seed)
        found.append(
            Comparison(name, effort.batch, "optimized", optimum.schedule.makespan * clock,
                       simulated_time(work, optimum.plan, seed=seed), min(swept.values(), default=None))
        )  # fmt: skip
    return found


def check_names(names: Sequence[str], system: str, batch: int) -> None:
    """Look at all names before the first long run.

    Raises
    ------
    PimModelError : no network, an unknown network or system, or a batch that cannot be.
    """
    if not names:
        raise PimModelError("no network to validate")
    load_system(system)
    for name in names:
        load_network(name, batch, None, "error")


def validate_network(
    names: Sequence[str] = NETWORKS,
    system: str = "v100-bankgroup-pim",
    *,
    effort: Effort = FULL,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> list[Comparison]:
    """Compare formula and simulator on whole steps.

    Parameters
    ----------
    names : built-in networks or ONNX files, one or more
    system : a built-in system or a YAML file
    effort : batch and plans
    seed : of the simulated host's random visits
    workers : processes
    progress : called with (networks done, all)
    """
    check_names(names, system, effort.batch)
    one = partial(compare_network, system=system, effort=effort, seed=seed)
    found: list[Comparison] = []
    for done, comparisons in enumerate(results(one, names, workers), start=1):
        found += comparisons
        if progress:
            progress(done, len(names))
    return found


def rows(comparisons: Sequence[Comparison]) -> list[Row]:
    """Errors of step time against the targets, per network and per plan; then what the plans gain, and the sweep."""
    batch = comparisons[0].batch
    data = f"training steps, batch {batch}"
    table = [Row.of(data, "step time, all", [abs(c.error) for c in comparisons], TIME_LIMITS)]
    for what in ("network", "plan"):
        for name in dict.fromkeys(getattr(c, what) for c in comparisons):
            errors = [abs(c.error) for c in comparisons if getattr(c, what) == name]
            table.append(Row.of(data, f"step time, {name}", errors))
    serial = {c.network: c for c in comparisons if c.plan == "serial"}
    gains = [
        abs(serial[c.network].formula / c.formula / (serial[c.network].simulator / c.simulator) - 1)
        for c in comparisons
        if c.plan != "serial"
    ]
    table.append(Row.of(data, "speedup over serial", gains))
    excess = [max(0.0, c.simulator / c.best_of_sweep - 1) for c in comparisons if c.best_of_sweep]
    if excess:
        table.append(Row.of(data, "optimized thresholds over the best pair of a simulated sweep", excess, SWEEP_LIMITS))
    return table


def write_csv(comparisons: Sequence[Comparison], path: Path) -> None:
    """All comparisons, one a line."""
    with whole_file(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*(one.name for one in fields(Comparison)), "error"])
        writer.writeheader()
        writer.writerows(asdict(one) | {"error": one.error} for one in comparisons)
