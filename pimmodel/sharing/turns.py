r"""Host and PIM in turns on one channel: the exclusive policy and its relatives, in closed form.

A PIM turn lasts until the host's queue has filled from q_0 to its goal (or the PIM's quota is done); a host turn until
the backlog is drained again. Both begin with a hand-over in which nobody makes progress and requests keep arriving:

* fill: :math:`T_P = \max((q_1 - q_0)/\lambda,\ t_{hand})`, steps done: :math:`\rho_P (T_P - t_{over})`;
* first batch: what the first row opened in each bank serves of a backlog that lies evenly on the sub-streams
  (`fresh_batch`); many turns are over by then;
* drain of the rest: first passage from the backlog B to theta_low, births
  :math:`\lambda_q = \min(\lambda, (W - q)/t_{data})` (behind a full window a request is generated when one in flight
  completes), deaths mu(q) of `pimmodel.dram.service`:
  :math:`h(q) = (1 - r_q)/(\mu(q) - \lambda_q) + r_q h(q+1),\ r_q = (\lambda_q/\mu(q))^{1/c}`; with c = 1 the
  birth-death chain, :math:`h(q) = (1 + \lambda_q h(q+1))/\mu(q)`. It tends to the integral of dq/(mu - lambda) and
  stays finite where mu(q) <= lambda.

Neglected: the spread of the turn lengths; that after the first batch the rest is less even than in steady state; that
refreshes and turns fall into step. Known error: `pimmodel validate contention`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimmodel.dram.service import RowTimes, ServiceCurve, row_times, service_curve
from pimmodel.formula import formula, sp
from pimmodel.hardware.memory import MemoryTiming
from pimmodel.pim.kernel import KernelSpeed, kernel_speed
from pimmodel.scenario import Scenario
from pimmodel.sharing.steps import StepTable, timetable

Floats = NDArray[np.float64]

_NEVER = 1e50  # clocks


@formula
def fill_turn(goal: Any, start: Any, rate: Any, residual: Any, overhead: Any) -> Any:
    r"""Mean clocks of a PIM turn that ends when the host's queue is filled.

    .. math:: T_P = \max((q_1 - q_0 - 1 + r)/\lambda,\; t_{over})

    Symbols: q_1 goal [1], q_0 start [1], lambda [1/clock], r mean part of an interval between arrivals that is left
    when the turn begins [1]: a column that ends the host's turn falls anywhere between two even arrivals, r = 1/2;
    random arrivals have no memory, r = 1. t_over least clocks of a turn: the hand-over, after which the conditions
    are first looked at [clock]. Returns [clock].
    Validity: no stall before the goal. Source: renewal argument; DESIGN.md section 8.
    """
    return sp.Max((goal - start - 1 + residual) / rate, overhead)


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
        to_pim=host_wait + wait,
        to_host=wait,
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
    r"""First-passage times of the queue for one rate lambda: how long to drain from any backlog to any level.

    What arrives and what is served spread less, or more, than two Poisson streams: with variance c of theirs, the
    chain's ratio of births to deaths becomes :math:`(\lambda_q/\mu(q))^{1/c}`, as in the diffusion with that variance.
    Row hits leave k at a time, k requests per activate, which makes the variance of what is served k times that of
    single departures: c = `variability` k, `variability` being 1/2 for even arrivals (no variance), 1 for random ones.
    """

    def __init__(
        self, curve: ServiceCurve, rate: float, window: int, data: float, variability: float = 1.0
    ) -> None:  # fmt: skip
        mu = np.maximum(curve.rate, 1e-9)
        queued = np.arange(len(mu), dtype=float)
        # Behind a full window a request is generated when one in flight completes.
        births = np.minimum(rate, np.maximum(window - queued, 0) / max(data, 1e-9))
        births[-1] = 0.0
        passage, deaths = np.zeros(len(mu) + 1), np.zeros(len(mu) + 1)
        for q in range(len(mu) - 1, 0, -1):
            c = variability / curve.activates_per_request[q]
            up = (births[q] / mu[q]) ** (1 / c)
            net = mu[q] - births[q]
            step = (1 - up) / net if abs(net) > 1e-6 * mu[q] else 1 / (c * mu[q])
            if passage[q + 1] > _NEVER:  # practically never drained: only the ratio, the host's rate, matters
                passage[q], deaths[q] = passage[q + 1], deaths[q + 1]
            else:
                passage[q], deaths[q] = step + up * passage[q + 1], step * mu[q] + up * deaths[q + 1]
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


@dataclass(frozen=True)
class FreshBatch:
    """What the first row opened in each bank serves of a fresh backlog.

    requests : in the batch [1], per_row : of them per row opened [1], change : clocks per request for changes of
    direction [clock]
    """

    requests: Floats
    per_row: Floats
    change: Floats

    def clocks(self, timing: MemoryTiming, count: Floats, *, columns: bool = True) -> Floats:
        """Clocks from the first column to number `count`: activates four by four, or (`columns`) the bus [clock]."""
        opened = np.maximum(count - 1, 0) / self.per_row
        rounds = np.floor(opened / 4)
        activating = rounds * max(4 * timing.tRRD_S, timing.tFAW) + (opened - 4 * rounds) * timing.tRRD_S
        bus = np.maximum(count - 1, 0) * timing.tCCD_S + count * self.change if columns else 0.0
        return np.asarray(np.maximum(activating, bus))


def fresh_batch(scenario: Scenario, times: RowTimes, backlog: Floats) -> FreshBatch:
    """The first batch of a backlog built up in a PIM turn: evenly on the sub-streams, B/S consecutive requests each."""
    stream, banks = scenario.stream, scenario.organisation.banks
    active = np.minimum(stream.substreams, backlog)
    each = np.maximum(backlog / np.maximum(active, 1e-9), 1e-9)
    wide = np.minimum(np.minimum(stream.spread, each), banks - 1e-6)
    # `each` consecutive requests of a sub-stream, beginning anywhere in a visit, lie in so many rows.
    rows = active * np.minimum(each, stream.spread + np.maximum(each - 1, 0) / stream.columns)
    opened = banks * (1 - (1 - wide / banks) ** (rows / wide))
    requests = backlog * np.minimum(1.0, opened / np.maximum(rows, 1e-9))
    w = stream.write_share
    visits = opened / wide
    turns = (1 - w**visits - (1 - w) ** visits) * (2 * times.turnaround)
    return FreshBatch(requests, requests / np.maximum(opened, 1e-9), turns / np.maximum(requests, 1e-9))


def first_columns(
    scenario: Scenario, times: RowTimes, fresh: FreshBatch, wanted: Floats, full: NDArray[np.bool_], residual: float
) -> tuple[Floats, Floats, Floats]:
    """Columns of the fresh batch until the queue is `wanted` requests shorter, at most the batch: (columns, their
    clocks, requests that arrived meanwhile).

    Behind a full window (`full`) nothing arrives before the first column's data are through, then one request per
    request completed at most.
    """
    timing, rate = scenario.timing, scenario.stream.rate
    count = np.minimum(wanted, fresh.requests)
    for _ in range(4):
        clocks = fresh.clocks(timing, count)
        late = np.maximum(clocks - np.where(full, times.data, 0.0), 0)
        behind = np.minimum(np.maximum(rate * late - residual, 0), count * late / np.maximum(clocks, 1e-9))
        arrived = np.where(full, behind, rate * late)
        count = np.minimum(wanted + arrived, fresh.requests)
    return count, clocks, arrived


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
    alone = kernel_speed(scenario.timing, scenario.organisation, scenario.kernel)
    hand = handover(scenario, speed, times, ending, ending * float(curve.activates_per_request[1]))
    goal = np.minimum(high, room)
    rate = max(stream.rate, 1e-9)
    even = stream.arrival == "even"
    drain_curve = DrainCurve(curve, rate, queue.window, times.data, 0.5 if even else 1.0)
    table = StepTable(timetable(scenario.timing, scenario.organisation, scenario.kernel, alone), 1 / rate)
    limited = bool(np.isfinite([quota_host, quota_pim, host_clocks, pim_clocks]).any())
    start, refreshing, refreshing_pim = np.minimum(low, room), np.zeros_like(low), np.zeros_like(low)
    mean_residual = 0.5 if even else 1.0
    residual = np.full_like(low, mean_residual)
    served_clocks, opening_clocks = np.full_like(low, np.inf), np.zeros_like(low)
    for _ in range(12 if limited else 3):
        # Rows opened at the beginning of a short turn still have their tRAS to wait for at its end.
        since_last = np.maximum(hand.ramp + served_clocks - opening_clocks, times.activate_gap / 2)
        opened_late = np.maximum(0, scenario.timing.tRAS - since_last - hand.host_wait)
        least = hand.to_pim + opened_late
        filling = {"goal": goal, "start": start, "rate": rate, "residual": residual}
        pim = fill_turn(**filling, overhead=least + 1)
        delayed = fill_turn(**filling, overhead=least + 1 + scenario.timing.tRFC)
        pim = pim + refreshing_pim * (delayed - pim)
        pim = np.minimum(pim, least + hand.resume + quota_pim / speed.rate)
        if np.isfinite(pim_clocks):
            pim = np.maximum(least + pim_clocks, (1 - start) / rate)
        useful = np.minimum(pim, fill_turn(**filling, overhead=0.0)) - least - speed.resume
        to_host = hand.to_host + table.wait(useful) + refreshing
        arrived = start + rate * (pim + to_host + hand.ramp) + mean_residual - residual
        backlog = np.minimum(arrived, room)
        floor = np.minimum(low, backlog)
        fresh = fresh_batch(scenario, times, backlog)
        full = arrived >= queue.window
        first, first_clocks, joined = first_columns(
            scenario,
            times,
            fresh,
            np.minimum(backlog - floor, quota_host),
            full,
            mean_residual,
        )
        first = np.minimum(first, quota_host)
        after = np.minimum(backlog - first + joined, room)
        left = floor
        if limited:
            by_clock = drain_curve.level_after(after, clocks=np.maximum(host_clocks - hand.ramp - first_clocks, 0))
            by_count = drain_curve.level_after(after, requests=np.maximum(quota_host - first, 0))
            left = np.minimum(np.maximum(floor, np.maximum(by_clock, by_count)), after)
        serving, served = drain_curve.drain(after, left)
        idle = np.maximum(host_clocks - first_clocks - serving - hand.ramp, 0) if host_stays else np.zeros_like(low)
        start = 0.5 * (start + left) if limited else left
        served_clocks = first_clocks + serving + idle
        opening_clocks = fresh.clocks(scenario.timing, fresh.requests, columns=False)
        host = to_host + hand.ramp + served_clocks
        cycle = pim + host
        if scenario.refresh == "all-bank":  # a refresh due in one side's turn is done when it gives the memory up
            refreshing = pim / scenario.timing.tREFI * scenario.timing.tRFC
            refreshing_pim = np.minimum(host / scenario.timing.tREFI, 1)
        if even:  # a host that was held up throughout its turn begins the next interval when its first data are through
            late = 1 - rate * (first_clocks - times.data)
            residual = np.where(full & (after <= left), np.maximum(late, mean_residual), mean_residual)
    served = first + served + rate * idle
    served = np.minimum(np.minimum(served, rate * cycle), quota_host)
    steady = np.interp((after + floor) / 2, drain_curve.queued, curve.activates_per_request)
    activates = first / fresh.per_row + np.maximum(served - first, 0) * steady
    timing = scenario.timing
    late = table.steps(useful - timing.tRFC) if scenario.refresh == "all-bank" else 0.0
    steps = (1 - refreshing_pim) * table.steps(useful) + refreshing_pim * late
    steps = np.minimum(steps * speed.rate / alone.rate, quota_pim)
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
    shape, order = low.shape, np.argsort(rate, axis=None, kind="stable")
    low, high, rate = low.ravel()[order], high.ravel()[order], rate.ravel()[order]
    made = {name: np.empty(low.shape) for name in Turns.__dataclass_fields__}
    begins = np.flatnonzero(np.diff(rate, prepend=np.nan))
    for begin, end in zip(begins, [*begins[1:], len(rate)], strict=True):
        stream = scenario.stream.model_copy(update={"rate": float(rate[begin])})
        part = turn_rates(scenario.model_copy(update={"stream": stream}), low[begin:end], high[begin:end])
        for name, array in made.items():
            array[order[begin:end]] = getattr(part, name)
    return Turns(**{name: array.reshape(shape) for name, array in made.items()})
