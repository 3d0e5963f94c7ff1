r"""One stage of a step in closed form: a host task, the PIM work that may run beside it, and weight updates in gaps.

A stage is one host task in the host's order. When it begins, the PIM has a backlog L; P seconds of new work follow the
task channel by channel, in c chunks. All that is counted in seconds of either side alone. While both run they progress
at r and rho of what they do alone, so beside host work H fits rho H / r of PIM work.
"""

from __future__ import annotations

from typing import Any

from pimmodel.formula import formula, sp


@formula
def stage_capacity(host_work: Any, host_progress: Any, pim_progress: Any) -> Any:
    r"""PIM work that fits beside a host task, if there is enough of it from the beginning.

    .. math:: K = \rho H / r

    Symbols: H host_work [s], r host_progress [1], rho pim_progress [1]. Returns [s].
    Validity: r > 0. Known error: none in the fluid model.
    Source: both run for H / r.
    """
    return pim_progress * host_work / host_progress


@formula
def work_done(capacity: Any, backlog: Any, pim_work: Any, chunks: Any) -> Any:
    r"""PIM work done beside a host task.

    .. math:: D = \min\left(K,\; L + \frac{c - 1}{c} K,\; L + \frac{c - 1}{c} P\right)

    The task's first chunk has only the backlog beside it, its last chunk's consumers come after it: a queue with
    arrivals P/c at the beginning of chunks 2 to c and capacity K/c per chunk, whose minimum over all starts of a busy
    period is at one of three ends.

    Symbols: K capacity [s], L backlog [s], P pim_work [s], c chunks [1]. Returns [s].
    Validity: one rate for all of the stage's PIM work. Known error: none in the fluid model.
    Source: derived here (Lindley's
    recurrence with equal arrivals); with L = 0 as in `pimmodel.schedule.chain`.
    """
    later = (chunks - 1) / chunks
    return sp.Min(capacity, backlog + later * capacity, backlog + later * pim_work)


@formula
def sharing_cost(host_progress: Any, pim_progress: Any) -> Any:
    r"""Time that the host loses for every second of PIM work beside it.

    .. math:: \kappa = \frac{1 - r}{\rho}

    Symbols: r host_progress [1], rho pim_progress [1]. Returns [1].
    Validity: rho > 0; below 1 where sharing is better than turns. Known error: none in the fluid model.
    Source: a second of PIM work takes 1 / rho, in which the host does r / rho of its own.
    """
    return (1 - host_progress) / pim_progress


@formula
def updates_done(capacity: Any, update_capacity: Any, done: Any, updates: Any) -> Any:
    r"""Weight updates that the PIM does beside a host task while it has nothing more urgent.

    .. math:: f = \min\left(F,\; K' \max\bigl(0,\; 1 - D / K\bigr)\right)

    Symbols: K capacity [s] for the urgent work, K' update_capacity [s] for updates alone, D done [s], F updates [s]
    waiting. Returns [s].
    Validity: K > 0; urgent work first. Known error: none in the fluid model.
    Source: `stage_capacity` of the share of the host task
    that nothing urgent ran beside.
    """
    return sp.Min(updates, update_capacity * sp.Max(0, 1 - done / capacity))


@formula
def stage_time(host_work: Any, done: Any, filled: Any, cost: Any, update_cost: Any) -> Any:
    r"""Time of a stage: the host task, slowed down while the PIM works.

    .. math:: t = H + \kappa D + \kappa' f

    Symbols: H host_work [s], D done [s] and f filled [s], the PIM's urgent work and updates beside it, kappa cost [1]
    and kappa' update_cost [1] of both. Returns [s].
    Validity: the same rates throughout. Known error: none in the fluid model.
    Source: `sharing_cost`.
    """
    return host_work + cost * done + update_cost * filled


@formula
def drain_before(backlog: Any, passed_work: Any) -> Any:
    r"""Time for which the host waits before a task that needs PIM work: the backlog but for what is queued behind it.

    .. math:: w = \max(0,\; L - A)

    Symbols: L backlog [s], A passed_work [s], queued behind the last that is needed. Returns [s].
    Validity: the PIM takes its work in the order in which it came. Known error: none in that order.
    Source: definition of a backlog.
    """
    return sp.Max(0, backlog - passed_work)


@formula
def threshold_value(done: Any, cost: Any) -> Any:
    r"""What thresholds are worth in a stage: PIM work done beside the host task less what the host loses by it.

    .. math:: V = D (1 - \kappa)

    All PIM work that is not done beside a host task is done alone, so a second of it saved is a second of the step as
    long as some is left over.

    Symbols: D done [s], kappa cost [1]. Returns [s].
    Validity: as `stage_time`. Known error: none in the fluid model.
    Source: time of the stage plus the PIM work left after it, H + P + L - V.
    """
    return done * (1 - cost)
