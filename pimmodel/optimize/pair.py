"""The best thresholds of one pair: a CONV and the PIM work that runs under it, exact over the controller's grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pimmodel.formula import formula, sp
from pimmodel.hardware.system import System
from pimmodel.scenario import PimKernel
from pimmodel.schedule.workload import Workload
from pimmodel.sharing.pairs import Progress, exclusive_progress, threshold_grid


@formula
def completion_time(host_work: Any, pim_work: Any, host_progress: Any, pim_progress: Any) -> Any:
    r"""Time until both sides of a pair are done: at the pair's rates until one is, the other then alone; or in turns.

    .. math::
        t = \min\Bigl(H + P,\; \max\bigl(P + H \tfrac{1 - r_P}{r_H},\; H + P \tfrac{1 - r_H}{r_P}\bigr)\Bigr)

    If the host is done first, after H / r_H, the PIM has r_P H / r_H of its work behind it, and so the other way
    round; with r_H + r_P >= 1 the larger of the two holds, below that turns are better.

    Symbols: H host_work, alone [s], P pim_work, alone [s], r_H host_progress [1], r_P pim_progress [1]. Returns [s].

    Validity: r_H and r_P in (0, 1], all of the PIM work is there from the beginning.
    Known error: that of the rates (`pimmodel validate contention`). Source: derived here.
    """
    together = sp.Max(
        pim_work + host_work * (1 - pim_progress) / host_progress,
        host_work + pim_work * (1 - host_progress) / pim_progress,
    )
    return sp.Min(host_work + pim_work, together)


@dataclass(frozen=True)
class PairOptimum:
    """The best thresholds of a pair; `shares` is False where the two are better off in turns.

    time : until both are done [s]; host, pim : progress at these thresholds [1]
    """

    theta_low: int
    theta_high: int
    shares: bool
    time: float
    host: float
    pim: float


def best_thresholds(
    system: System, rate: float, write_share: float, kernel: PimKernel, host_time: float, pim_time: float
) -> PairOptimum:
    """Thresholds that complete a pair soonest, over every theta_low < theta_high of the controller.

    Parameters
    ----------
    system : the hardware
    rate, write_share : the host task on one channel [1/clock], [1]
    kernel : of the PIM task
    host_time, pim_time : of both alone [s]

    Quotas are left open: in steady state a quota only makes turns shorter, which costs more hand-overs.
    """
    low, high = threshold_grid(system)
    progress = exclusive_progress(system, [rate], write_share, kernel, low, high)
    times = completion(progress, host_time, pim_time)[0]
    best = int(np.argmin(times))
    shares = bool(times[best] < (host_time + pim_time) * (1 - 1e-9))
    return PairOptimum(int(low[best]), int(high[best]), shares, float(times[best]),
                       float(progress.host[0, best]), float(progress.pim[0, best]))  # fmt: skip


def completion(progress: Progress, host_time: Any, pim_time: Any) -> Any:
    """`completion_time` of pairs with this progress, which may be 0; shapes broadcast [s]."""
    floor = 1e-12  # a side that stands still is done after the other
    return completion_time(
        host_work=host_time, pim_work=pim_time, host_progress=np.maximum(progress.host, floor),
        pim_progress=np.maximum(progress.pim, floor),
    )  # fmt: skip


def companion(work: Workload, conv: int) -> int | None:
    """The longest PIM task that follows a CONV channel by channel in the same direction; None where none does."""
    following = [
        task for task, producers in enumerate(work.table.producers)
        if (conv, False) in producers and work.signatures[task] is not None
        and work.table.backward[task] == work.table.backward[conv]  # not the backward pass that reads it again
    ]  # fmt: skip
    return max(following, key=lambda task: float(work.pim[task]), default=None)
