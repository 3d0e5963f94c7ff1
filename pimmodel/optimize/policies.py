"""Every sharing policy for a whole step, with the placement and chunks of the optimum, and what each idea buys.

Numbers of the comparison policies are those of public work: queue watermarks 28 and 16 and a bypass cap with a PIM
slowdown of 2 (Sacusa/GPGPU-Sim-4.0.1, branch ISPASS_2025; the cap of 64 is ours, as many as the queue holds), and time
slices of 600 and 400 clocks (ours). `partitioned` copies every tensor that one side writes and the other reads: both
partitions hold what they need, and the host's task pays for reading and writing it once more.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np

from pimmodel.errors import UnknownNameError
from pimmodel.optimize.search import Optimum
from pimmodel.roofline.host import host_bandwidth
from pimmodel.scenario import Policy
from pimmodel.schedule.plan import SERIAL, Plan, chunk_counts, run
from pimmodel.schedule.result import Schedule
from pimmodel.schedule.tasks import Bools, Floats
from pimmodel.schedule.workload import Workload

Scheduled = Literal[
    "partitioned", "uncoordinated", "time-slice", "watermark", "bypass-cap", "host-first", "exclusive-single",
    "exclusive",
]  # fmt: skip
SCHEDULED: tuple[Scheduled, ...] = get_args(Scheduled)


def policy_of(name: str, system_room: int) -> Policy:
    """Numbers of a comparison policy on a controller that can hold `system_room` requests.

    Raises
    ------
    UnknownNameError : no comparison policy of this name.
    """
    high = min(28, system_room)
    numbers: dict[str, dict[str, float]] = {
        "partitioned": {}, "uncoordinated": {}, "host-first": {},
        "time-slice": {"slice_host": 600, "slice_pim": 400},
        "watermark": {"theta_low": min(16, high - 1), "theta_high": high},
        "bypass-cap": {"bypass_cap": system_room, "slowdown": 2.0},
    }  # fmt: skip
    if name not in numbers:
        raise UnknownNameError("policy", name, numbers)
    return Policy.model_validate({"kind": name, **numbers[name]})


def schedule_policy(work: Workload, name: Scheduled, optimum: Optimum) -> Schedule:
    """Schedule of a step under one policy, all else as in the optimum.

    Raises
    ------
    UnknownNameError : no such policy.
    """
    if name == "exclusive":
        return optimum.schedule
    if name == "exclusive-single":
        return optimum.uniform_schedule
    plan = optimum.plan.with_policies(policy_of(name, work.system.controller.room))
    return run(with_copies(work, plan.on_pim) if name == "partitioned" else work, plan)


def with_copies(work: Workload, on_pim: Bools) -> Workload:
    """The workload with the time of copying shared tensors from one partition to the other added to host tasks [s].

    `on_pim` says which tasks run there, shape (T,).
    """
    copied = copied_bytes(work, on_pim)
    seconds = 2 * copied / host_bandwidth(work.system)
    host = {
        count: dataclasses.replace(use, time=use.time + seconds, memory=use.memory + seconds,
                                   dram_bytes=use.dram_bytes + 2 * copied)
        for count, use in work.host.items()
    }  # fmt: skip
    changed = replace(work)
    changed.__dict__["host"] = host
    return changed


def copied_bytes(work: Workload, on_pim: Bools) -> Floats:
    """Bytes of tensors that cross from one side to the other, each once, at the host task that makes or takes it [B].

    `on_pim` says which tasks run there, shape (T,); the result has the same shape.
    Weights that the PIM updates go back to the host's side for the next step; their gradient's host task pays.
    """
    copied = np.zeros(len(work))
    seen: set[tuple[str, int]] = set()
    index = {name: number for number, name in enumerate(work.table.names)}
    sizes = {operand.tensor: operand.bytes for task in work.tasks for one in task.passes
             for operand in (*one.reads, *one.writes)}  # fmt: skip
    for before, after, tensor in work.graph.edges(data="tensor"):
        producer, consumer = index[before], index[after]
        if on_pim[producer] == on_pim[consumer]:
            continue
        host = consumer if on_pim[producer] else producer
        if (tensor, bool(on_pim[producer])) not in seen:
            seen.add((tensor, bool(on_pim[producer])))
            copied[host] += sizes[tensor]
        if work.table.update[consumer] and on_pim[consumer]:
            copied[host] += sizes[tensor]
    return copied


@dataclass(frozen=True, eq=False)
class Idea:
    """One idea of the flow taken away from, or added to, the optimum: what is it worth on its own?

    name : of the variant; time : of a step under it [s]; change : its time over the optimum's, less one [1]
    """

    name: str
    time: float
    change: float
    schedule: Schedule = field(repr=False)


def ideas(work: Workload, optimum: Optimum) -> list[Idea]:
    """The optimum, and variants with one thing less: each thing's worth."""
    plan = optimum.plan
    whole = chunk_counts(work, plan.on_pim, np.ones(len(work), dtype=np.int64))
    variants: dict[str, Plan] = {
        "thresholds per CONV": plan,
        "one threshold pair for all": optimum.uniform,
        "one chunk per CONV (no pipelining by channels)": replace(plan, chunks=whole),
        "backward pass in serial order": replace(plan, order="serial"),
        "neither pipelined nor rearranged": replace(plan, chunks=whole, order="serial"),
        "host and PIM one after the other": replace(plan, chunks=whole, policies=(SERIAL,) * len(work)),
    }
    found = []
    for name, variant in variants.items():
        schedule = optimum.schedule if variant is plan else run(work, variant)
        found.append(Idea(name, schedule.makespan, schedule.makespan / optimum.schedule.makespan - 1, schedule))
    return found
