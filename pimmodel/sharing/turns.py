r"""Host and PIM in turns on one channel: the exclusive policy and its relatives, in closed form.

A PIM turn lasts until the host's queue has filled from q_0 to its goal (or the PIM's quota is done); a host turn until
the backlog is drained again. Both begin with a hand-over in which nobody makes progress and requests keep arriving:

* fill: :math:`T_P = \max((q_1 - q_0)/\lambda,\ t_{hand})`, steps done: :math:`\rho_P (T_P - t_{over})`;
* drain: first passage of a birth-death chain from the backlog B to theta_low, births lambda (none at the window),
  deaths mu(q) of `pimmodel.dram.service`: :math:`h(W) = 1/\mu(W),\ h(q) = (1 + \lambda_q h(q+1))/\mu(q)`,
  :math:`T_H = t_{ramp} + \sum_{q=\theta_{low}+1}^{B} h(q)`, which tends to the integral of dq/(mu - lambda) and stays
  finite where mu(q) <= lambda.

Neglected: the spread of the turn lengths, and that a backlog built up in a PIM turn is fresh (evenly over the
sub-streams) where mu(q) assumes steady state. Known error: `pimmodel validate contention`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimmodel.dram.service import RowTimes, ServiceCurve, row_times, service_curve
from pimmodel.formula import formula, sp
from pimmodel.pim.kernel import KernelSpeed, activate_ramp, kernel_speed
from pimmodel.scenario import Scenario

Floats = NDArray[np.float64]

_NEVER = 1e50  # clocks


@formula
def fill_turn(goal: Any, start: Any, rate: Any, overhead: Any) -> Any:
    r"""Clocks of a PIM turn that ends when the host's queue is filled.

    .. math:: T_P = \max((q_1 - q_0)/\lambda,\; t_{over})

    Symbols: q_1 goal [1], q_0 start [1], lambda [1/clock], t_over least clocks of a turn: the hand-over, after which
    the conditions are first looked at [clock]. Returns [clock].
    Validity: even arrivals, no stall before the goal. Source: DESIGN.md section 8.
    """
    return sp.Max((goal - start) / rate, overhead)


@formula
def turn_steps(turn: Any, overhead: Any, work_rate: Any) -> Any:
    r"""Column steps that the PIM makes in a turn.

    .. math:: n = \rho_P \max(T - t_{over}, 0)

    Symbols: T [clock], t_over clocks until its first step [clock], rho_P steps per clock of the kernel alone [1/clock].
    Returns [1]. Validity: turns long against one step; an interrupted row resumes where it was.
    Source: DESIGN.md section 8.
    """
    return work_rate * sp.Max(turn - overhead, 0)


@dataclass(frozen=True)
class Handover:
    """Clocks of the hand-overs.

    to_pim, to_host : from the condition to the new owner's clock: precharge wait, tRP, mode switch [clock]
    host_wait : the precharge wait within to_pim [clock]
    resume : from there to the PIM's first column step [clock]
    ramp : from there until the host's service is what its backlog allows [clock]
    """

    to_pim: Floats
    to_host: float
    host_wait: Floats
    resume: float
    ramp: float


def handover(
    scenario: Scenario, speed: KernelSpeed, times: RowTimes, columns_per_clock: Floats, activates_per_clock: Floats
) -> Handover:
    """Hand-over times of a scenario whose host ends its turns at the given column and activate rates [1/clock].

    The host's banks may be precharged once the last write's tWR, the last activate's tRAS and the last read's tRTP are
    over. The column that ends the turn has just issued; the last write and the last activate lie back by an
    exponential time of their rates: :math:`E[\\max(0, t - X)] = t - (1 - e^{-xt})/x`.
    """
    timing, w = scenario.timing, scenario.stream.write_share

    def remaining(clocks: float, rate: Floats) -> Floats:
        rate = np.maximum(rate, 1e-9)
        return np.maximum(clocks - (1 - np.exp(-rate * clocks)) / rate, 0)

    recent = np.maximum(timing.tRTP, remaining(timing.write_to_precharge, w * np.asarray(columns_per_clock)))
    written = w * timing.write_to_precharge + (1 - w) * recent
    wait = timing.tRP + scenario.kernel.mode_switch
    host_wait = np.maximum(written, remaining(timing.tRAS, np.asarray(activates_per_clock)))
    return Handover(
        to_pim=host_wait + wait + 1,
        to_host=speed.tail + wait + 1,
        host_wait=host_wait,
        resume=speed.resume - speed.saved,
        ramp=times.opening - timing.tRP,
    )


@dataclass(frozen=True)
class Turns:
    """One cycle of a host turn and a PIM turn, and what it brings.

    host_rate [1/clock], pim_steps : steps per clock [1/clock], cycle : clocks of both turns [clock],
    stall_share [1], backlog : requests queued when the host takes over [1], activates_per_request [1]
    """

    host_rate: Floats
    pim_steps: Floats
    cycle: Floats
    stall_share: Floats
    backlog: Floats
    activates_per_request: Floats


class DrainCurve:
    """First-passage times of the queue for one rate lambda: how long to drain from any backlog to any level."""

    def __init__(self, curve: ServiceCurve, rate: float, window: int, data: float) -> None:
        mu = np.maximum(curve.rate, 1e-9)
        queued = np.arange(len(mu), dtype=float)
        # While requests in flight fill up the window, one is generated per one that completes.
        births = np.where(queued + mu * data < window, rate, np.minimum(rate, mu))
        births[-1] = 0.0
        passage, deaths = np.zeros(len(mu) + 1), np.zeros(len(mu) + 1)
        for q in range(len(mu) - 1, 0, -1):
            up = births[q] / mu[q]
            if passage[q + 1] > _NEVER:  # practically never drained: only the ratio, the host's rate, matters
                passage[q], deaths[q] = passage[q + 1], deaths[q + 1]
            else:
                passage[q], deaths[q] = 1 / mu[q] + up * passage[q + 1], 1 + up * deaths[q + 1]
        self.queued = queued
        # Sums from the top, where passages are short: differences of sums from below would lose them.
        self.clocks = np.cumsum(passage[:0:-1])[::-1]
        self.served = np.cumsum(deaths[:0:-1])[::-1]

    def drain(self, backlog: Floats, level: Floats) -> tuple[Floats, Floats]:
        """Clocks, and requests served in them, from `backlog` down to `level`."""
        between = [np.interp(level, self.queued, c) - np.interp(backlog, self.queued, c)
                   for c in (self.clocks, self.served)]  # fmt: skip
        return np.maximum(between[0], 0), np.maximum(between[1], 0)

    def level_after(self, backlog: Floats, *, clocks: Floats | None = None, requests: Floats | None = None) -> Floats:
        """Requests queued when `clocks` have passed, or `requests` been served, since service began with `backlog`."""
        above = self.clocks if clocks is not None else self.served
        amount = clocks if clocks is not None else requests
        assert amount is not None
        reached = np.interp(backlog, self.queued, above) + amount
        return np.asarray(np.interp(reached, above[::-1], self.queued[::-1]))


def fresh_batch(scenario: Scenario, times: RowTimes, backlog: Floats, wanted: Floats) -> tuple[Floats, Floats, Floats]:
    """Up to `wanted` requests of a fresh backlog that the first row opened in each bank serves, and their clocks.

    A backlog built up in a PIM turn lies evenly on the sub-streams, B/S consecutive requests each. Returns (requests,
    clocks, rows opened), shapes of `backlog`.
    """
    stream, banks = scenario.stream, scenario.organisation.banks
    active = np.minimum(stream.substreams, backlog)
    each = backlog / np.maximum(active, 1e-9)
    wide = np.minimum(np.minimum(stream.spread, each), banks - 1e-6)
    rows = np.maximum(active * wide, 1e-9)
    opened = banks * (1 - (1 - wide / banks) ** active)
    requests = np.minimum(backlog * opened / rows, opened * stream.columns)
    w = stream.write_share
    turns = 2 * np.minimum(1.0, requests * w * (1 - w)) * times.turnaround
    served = np.minimum(requests, wanted)
    rows_opened = opened * served / np.maximum(requests, 1e-9)
    # The first four activates of a turn find the four-activate window empty.
    early = np.minimum(rows_opened, 4)
    activating = early * scenario.timing.tRRD_S + (rows_opened - early) * times.activate_gap
    columns = served * scenario.timing.tCCD_S + turns * served / np.maximum(requests, 1e-9)
    return served, np.maximum(activating, columns), rows_opened


def turn_rates(
    scenario: Scenario, theta_low: Any, theta_high: Any, *, quota_host: float = np.inf, quota_pim: float = np.inf,
    host_clocks: float = np.inf, pim_clocks: float = np.inf, host_stays: bool = False,
) -> Turns:  # fmt: skip
    """Rates of all policies in which host and PIM take turns.

    Parameters
    ----------
    scenario : memory, stream, queue and kernel; its policy is not looked at
    theta_low, theta_high : thresholds, numbers or arrays that broadcast [1]
    quota_host, quota_pim : requests and column steps per turn [1]
    host_clocks, pim_clocks : lengths of turns from the hand-over on, where the policy slices time [clock]; a PIM turn
        then ends no sooner than a host request is queued
    host_stays : the host keeps its turn although nothing is queued
    """
    stream, queue = scenario.stream, scenario.queue
    room = min(queue.window, queue.capacity)
    times = row_times(scenario.timing, stream)
    curve = service_curve(scenario.timing, scenario.organisation, stream, room)
    low, high = np.broadcast_arrays(np.asarray(theta_low, float), np.asarray(theta_high, float))
    ending = curve.at(np.minimum(low + 1, room))
    refresh = "off" if scenario.refresh == "all-bank" else scenario.refresh
    speed = kernel_speed(scenario.timing, scenario.organisation, scenario.kernel, refresh)
    hand = handover(scenario, speed, times, ending, ending * float(curve.activates_per_request[1]))
    goal = np.minimum(high, room)
    rate = max(stream.rate, 1e-9)
    drain_curve = DrainCurve(curve, rate, queue.window, times.data)
    limited = bool(np.isfinite([quota_host, quota_pim, host_clocks, pim_clocks]).any())
    start, refreshing = np.minimum(low, room), np.zeros_like(low)
    served_clocks = np.full_like(low, np.inf)
    ramp = activate_ramp(scenario.timing, scenario.organisation, scenario.kernel)
    for _ in range(12 if limited else 3):
        # Rows opened at the beginning of a short turn still have their tRAS to wait for at its end.
        opened_late = np.maximum(0, scenario.timing.tRAS - hand.ramp - served_clocks - hand.host_wait)
        least = hand.to_pim + opened_late + refreshing
        pim = fill_turn(goal=goal, start=start, rate=rate, overhead=least)
        pim = np.minimum(pim, least + hand.resume + quota_pim / speed.rate)
        if np.isfinite(pim_clocks):
            pim = np.maximum(least + pim_clocks, (1 - start) / rate)
        opened_late = np.maximum(0, scenario.timing.tRAS - np.maximum(pim - least - ramp, 0) - speed.tail)
        to_host = hand.to_host + opened_late + refreshing
        arrived = start + rate * (pim + to_host + hand.ramp)
        backlog = np.minimum(arrived, room)
        floor = np.minimum(low, backlog)
        first, first_clocks, rows_opened = fresh_batch(
            scenario, times, backlog, np.minimum(backlog - floor, quota_host)
        )
        # With a full window one request arrives per one whose data are through, none before the first.
        late = np.maximum(first_clocks - np.where(arrived >= queue.window, times.data, 0.0), 0)
        through = np.where(arrived >= queue.window, first * late / np.maximum(first_clocks, 1e-9), np.inf)
        after = np.minimum(backlog - first + np.minimum(rate * late, through), room)
        left = floor
        if limited:
            by_clock = drain_curve.level_after(after, clocks=np.maximum(host_clocks - hand.ramp - first_clocks, 0))
            by_count = drain_curve.level_after(after, requests=np.maximum(quota_host - first, 0))
            left = np.minimum(np.maximum(floor, np.maximum(by_clock, by_count)), after)
        serving, served = drain_curve.drain(after, left)
        idle = np.maximum(host_clocks - first_clocks - serving - hand.ramp, 0) if host_stays else np.zeros_like(low)
        start = 0.5 * (start + left) if limited else left
        served_clocks = first_clocks + serving + idle
        host = to_host + hand.ramp + served_clocks
        cycle = pim + host
        if scenario.refresh == "all-bank":
            refreshing = cycle / scenario.timing.tREFI * scenario.timing.tRFC / 2
    served = first + served + rate * idle
    served = np.minimum(np.minimum(served, rate * cycle), quota_host)
    steady = np.interp((after + floor) / 2, drain_curve.queued, curve.activates_per_request)
    activates = rows_opened + np.maximum(served - first, 0) * steady
    steps = turn_steps(turn=pim, overhead=least + hand.resume, work_rate=speed.rate)
    steps = np.minimum(steps, quota_pim)
    per_request = activates / np.maximum(served, 1e-9)
    return Turns(served / cycle, steps / cycle, cycle, 1 - served / (rate * cycle), backlog, per_request)


def rate_surface(scenario: Scenario, theta_low: Any, theta_high: Any, rates: Any) -> Turns:
    """Rates of the exclusive policy over whole arrays of (theta_low, theta_high, lambda).

    Parameters
    ----------
    scenario : memory, queue, kernel, and the stream but for its rate
    theta_low, theta_high, rates : arrays that broadcast against each other [1], [1], [1/clock]

    Returns
    -------
    Turns with arrays of the broadcast shape. The points of one lambda are evaluated together, since they share the
    first-passage times of the queue.
    """
    low, high, rate = np.broadcast_arrays(*(np.asarray(a, float) for a in (theta_low, theta_high, rates)))
    made = {name: np.empty(low.shape) for name in Turns.__dataclass_fields__}
    for one in np.unique(rate):
        where = rate == one
        stream = scenario.stream.model_copy(update={"rate": float(one)})
        part = turn_rates(scenario.model_copy(update={"stream": stream}), low[where], high[where])
        for name, array in made.items():
            array[where] = getattr(part, name)
    return Turns(**made)
