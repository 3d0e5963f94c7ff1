"""A host task and a PIM task that run at once, as a contention scenario of one channel, and what they progress.

All channels carry the same load (address interleaving), so one is enough. The host task becomes a reference stream:
its DRAM traffic, spread evenly over its time alone, with the access pattern of the system's controller; the PIM task
becomes its kernel. Progress is counted in shares of what each does alone.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimmodel import cache
from pimmodel.dram.service import sustained_rate
from pimmodel.dual import numbers
from pimmodel.hardware.system import System
from pimmodel.pim.kernel import kernel_speed
from pimmodel.scenario import HostQueue, HostStream, PimKernel, Policy, Scenario
from pimmodel.sharing.model import ClosedForm
from pimmodel.sharing.turns import rate_surface

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WRITE_STEPS = 16  # write shares are taken to the nearest of so many parts, so that tasks share a service curve
SLOW_POLICIES = ("partitioned", "uncoordinated")  # they follow the PIM's kernel command by command for every pair
LEAST_RATE = 1e-4  # requests per clock and channel: a task with less has this much


def request_rate(dram_bytes: Floats, time: Floats, system: System) -> Floats:
    """Requests per clock on one channel of tasks that move `dram_bytes` [B] in `time` [s]; at most one per tCCD_S.

    The two are broadcast against each other.
    """
    column = system.memory.organisation.bytes_per_column
    rate = dram_bytes / np.maximum(time, 1e-30) / (system.memory_channels * column * system.memory.clock)
    clipped: Floats = numbers(np.clip(rate, LEAST_RATE, 1 / system.memory.timing.tCCD_S))
    return clipped


def near_share(write_share: Floats) -> Floats:
    """Each `write_share`, an array of any shape, to the nearest part of `WRITE_STEPS` [1]."""
    return np.asarray(np.round(np.clip(write_share, 0, 1) * WRITE_STEPS) / WRITE_STEPS)


def pair_scenario(system: System, rate: float, write_share: float, kernel: PimKernel, policy: Policy) -> Scenario:
    """Scenario of one channel for a host task of this request rate [1/clock] and write share [1], and a PIM kernel."""
    controller, memory = system.controller, system.memory
    stream = HostStream(
        rate=rate, write_share=write_share, substreams=controller.host_substreams, spread=controller.host_spread,
        columns=controller.host_columns,
    )  # fmt: skip
    queue = HostQueue(capacity=controller.queue_capacity, window=controller.window,
                      starvation_cap=controller.starvation_cap)  # fmt: skip
    return Scenario(timing=memory.timing, organisation=memory.organisation, stream=stream, queue=queue, kernel=kernel,
                    policy=policy, refresh=controller.refresh)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Progress:
    """Progress of pairs: of `host` and `pim`, as shares of what each does alone, arrays of one shape [1]."""

    host: Floats
    pim: Floats


def policy_progress(system: System, rate: float, write_share: float, kernel: PimKernel, policy: Policy) -> Progress:
    """Progress of one pair under any policy, arrays of shape ()."""
    rates = ClosedForm(follow=False).rates(pair_scenario(system, rate, write_share, kernel, policy))
    host = rates.host_rate / rates.host_alone if rates.host_alone > 0 else 1.0
    return Progress(np.asarray(min(host, 1.0)), np.asarray(min(max(rates.pim_rate, 0.0), 1.0)))


def kept_progress(
    system: System, rate: float, write_share: float, kernel: PimKernel, policy: Policy
) -> tuple[float, float]:
    """`policy_progress` of host and PIM; where it takes long it is kept in the on-disk cache."""
    if policy.kind not in SLOW_POLICIES:
        found = policy_progress(system, rate, write_share, kernel, policy)
        return float(found.host), float(found.pim)
    scenario = pair_scenario(system, rate, write_share, kernel, policy).model_dump_json()
    entry = f"pair-progress-{cache.hash_text(_code() + scenario):016x}.txt"
    kept = cache.read(entry)
    if kept is not None:
        host, pim = map(float, kept.split())
        return host, pim
    found = policy_progress(system, rate, write_share, kernel, policy)
    cache.write(entry, f"{float(found.host)!r} {float(found.pim)!r}")
    return float(found.host), float(found.pim)


@functools.lru_cache(maxsize=1)
def _code() -> str:
    """Text of all modules of this package and of those that it builds on: what a kept figure depends on."""
    folder = Path(__file__).parent.parent
    return "".join(
        path.read_text(encoding="utf-8")
        for part in ("sharing", "pim", "dram")
        for path in sorted((folder / part).glob("*.py"))
    )


def threshold_grid(system: System) -> tuple[Ints, Ints]:
    """Every pair theta_low < theta_high that a controller can have, shape (G,) each [1]."""
    low, high = np.triu_indices(system.controller.room + 1, k=1)
    return low, high


def exclusive_progress(
    system: System, rates: Iterable[float], write_share: float, kernel: PimKernel, low: Any, high: Any
) -> Progress:
    """Progress under `exclusive` of R host tasks of one write share with one kernel, at G threshold pairs.

    Parameters
    ----------
    system, kernel : the memory with its controller, and the PIM kernel
    rates : R request rates [1/clock]
    write_share : of the host's requests [1]
    low, high : thresholds, shape (G,) [1]

    Returns
    -------
    Progress of shape (R, G).
    """
    lambdas = np.asarray(list(rates), dtype=float)
    memory, controller = system.memory, system.controller
    scenario = pair_scenario(system, float(lambdas[0]), write_share, kernel, Policy(kind="exclusive", theta_low=0,
                                                                                   theta_high=1))  # fmt: skip
    sustained = sustained_rate(memory.timing, memory.organisation, scenario.stream, controller.window,
                               controller.refresh, capacity=controller.queue_capacity)  # fmt: skip
    turns = rate_surface(scenario, np.asarray(low)[None, :], np.asarray(high)[None, :], lambdas[:, None])
    host = turns.host_rate / np.minimum(lambdas, sustained)[:, None]
    alone = kernel_speed(memory.timing, memory.organisation, kernel, controller.refresh).rate
    return Progress(np.clip(host, 0, 1), np.clip(turns.pim_steps / alone, 0, 1))
