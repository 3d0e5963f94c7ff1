"""A plan of one step: where each task runs, in how many chunks, and when memory changes hands; and its schedule."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pimmodel.pim.tasks import Signature, pim_kernel
from pimmodel.scenario import Policy
from pimmodel.schedule.fluid import fluid_schedule
from pimmodel.schedule.order import Order
from pimmodel.schedule.rates import TURNS, PairRate, PairRates
from pimmodel.schedule.result import Schedule
from pimmodel.schedule.tasks import Bools, Ints
from pimmodel.schedule.workload import PIM_CHUNKS, HostUse, Workload
from pimmodel.sharing.pairs import SLOW_POLICIES, exclusive_progress, kept_progress

SERIAL = Policy(kind="serial")


@dataclass(frozen=True, eq=False)
class Plan:
    """What is decided for T tasks.

    on_pim : placement, shape (T,)
    chunks : chunks of each task, shape (T,) [1]
    policies : sharing policy while a host task runs, one per task (of PIM tasks not looked at); `serial`: the PIM waits
    order : "rearranged" or "serial", see `pimmodel.schedule.order`
    """

    on_pim: Bools
    chunks: Ints
    policies: tuple[Policy, ...] = field(repr=False)
    order: Order = "rearranged"

    def with_policies(self, policies: Any) -> Plan:
        """The plan with other policies: one for all host tasks, or one per task."""
        if isinstance(policies, Policy):
            policies = (policies,) * len(self.policies)
        return replace(self, policies=tuple(policies))


def eligible(work: Workload) -> Bools:
    """Tasks that may run on the PIM, shape (T,)."""
    return ~np.isnan(work.pim)


def uniform_plan(work: Workload, policy: Policy = SERIAL, *, chunks: int = 1, order: Order = "rearranged",
                 on_pim: Bools | None = None) -> Plan:  # fmt: skip
    """One policy for all; all eligible tasks on the PIM unless told otherwise; `chunks` per CONV where it divides [1].

    `on_pim` tells it otherwise: whether each task runs there, shape (T,).
    """
    placed = eligible(work) if on_pim is None else np.asarray(on_pim, dtype=bool)
    return Plan(placed, chunk_counts(work, placed, np.full(len(work), chunks)), (policy,) * len(work), order)


def chunk_counts(work: Workload, on_pim: Bools, wanted: Ints, pim_chunks: int = PIM_CHUNKS) -> Ints:
    """Chunks of every task: CONV tasks as wanted or the most below that divide their channels; others as fine as goes.

    `on_pim` (whether a task runs there), `wanted` chunks [1] and the result have the shape (T,). Tasks on the PIM have
    up to `pim_chunks`, so that they can follow any CONV; other tasks on the host have one.
    """
    counts = np.ones(len(work), dtype=np.int64)
    for count, use in work.host.items():
        counts = np.where(work.conv & np.isfinite(use.time) & (count <= wanted), count, counts)
    fine = np.minimum(pim_chunks, work.table.channels)
    return np.asarray(np.where(on_pim, fine, counts), dtype=np.int64)


def pair_rates(work: Workload, use: HostUse, plan: Plan) -> PairRates:
    """Progress of every pair under the plan's policies; equal pairs are worked out once per workload."""
    known: dict[tuple[float, float, Signature, Policy], PairRate] = _known(work)

    def rates(host: int, pim: int) -> PairRate:
        policy = plan.policies[host]
        if policy.kind in ("serial", "gpu-only"):
            return TURNS
        kernel = work.signatures[pim]
        assert kernel is not None
        key = *_grain(policy, float(use.rate[host]), float(work.write_share[host])), kernel, policy
        if key not in known:
            known[key] = _rate(work, *key)
        return known[key]

    return rates


def _grain(policy: Policy, rate: float, write_share: float) -> tuple[float, float]:
    """Request rate and write share for which a pair's progress is worked out.

    The slow policies take some tenths of a second for every pair, and are less exact than the others: they are worked
    out to the nearest octave of the rate and half of the share, and kept on disk.
    """
    if policy.kind not in SLOW_POLICIES:
        return rate, write_share
    return 2.0 ** round(math.log2(rate)), round(2 * write_share) / 2


@functools.lru_cache(maxsize=16)
def _known(work: Workload) -> dict[Any, PairRate]:
    """Rates of the pairs of a workload worked out so far (a workload is compared by identity)."""
    return {}


def remember(work: Workload, rates: Mapping[tuple[float, float, Signature, Policy], PairRate]) -> None:
    """Rates of pairs that were worked out elsewhere: by request rate, write share, kernel and policy."""
    _known(work).update(rates)


def _rate(work: Workload, rate: float, write_share: float, signature: Signature, policy: Policy) -> PairRate:
    kernel = pim_kernel(signature, work.system)
    if policy.kind == "exclusive" and policy.quota_host is None and policy.quota_pim is None:
        found = exclusive_progress(work.system, [rate], write_share, kernel, [policy.theta_low], [policy.theta_high])
        host, pim = float(found.host[0, 0]), float(found.pim[0, 0])
    else:
        host, pim = kept_progress(work.system, rate, write_share, kernel, policy)
    if host + pim < 1:  # worse than one after the other
        return TURNS if policy.kind == "exclusive" else PairRate(max(host, 1e-6), pim)
    return PairRate(host, pim)


def run(work: Workload, plan: Plan, *, rates: PairRates | None = None) -> Schedule:
    """Schedule of a plan.

    Parameters
    ----------
    work, plan : T tasks, and what is decided for them
    rates : progress of pairs, where not the plan's policies decide
    """
    use = work.host_at(np.where(plan.on_pim, 1, plan.chunks))
    return fluid_schedule(
        work.table, use.time, work.pim, plan.on_pim, rates or pair_rates(work, use, plan),
        chunks=plan.chunks, order=plan.order, host_memory=use.memory,
    )  # fmt: skip
