r"""Host and PIM in turns on one channel: the exclusive policy and its relatives, in closed form.

A PIM turn lasts until the host's queue has filled from q_0 to its goal (or the PIM's quota is done); a host turn until
the backlog is drained again. Both begin with a hand-over in which nobody makes progress and requests keep arriving:

* fill: :math:`T_P = \max((q_1 - q_0 - 1 + r)/\lambda,\ t_{hand} + 1)` (`fill_turn`), steps made in it counted one by
  one (`pimmodel.sharing.steps`);
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

from pimmodel.dram.service import RowTimes, row_times, service_curve
from pimmodel.formula import formula, sp
from pimmodel.pim.kernel import KernelSpeed, kernel_speed
from pimmodel.scenario import Scenario
from pimmodel.sharing.drain import DrainCurve, first_columns, fresh_batch
from pimmodel.sharing.steps import StepTable, timetable

Floats = NDArray[np.float64]


@formula
def fill_turn(goal: Any, start: Any, rate: Any, residual: Any, overhead: Any) -> Any:
    r"""Mean clocks of a PIM turn that ends when the host's queue is filled.

    .. math:: T_P = \max((q_1 - q_0 - 1 + r)/\lambda,\; t_{over})

    A column that ends the host's turn falls anywhere between two even arrivals, r = 1/2; random arrivals have no
    memory, r = 1.

    Symbols: q_1 goal [1], q_0 start [1], lambda [1/clock], r mean part of an interval between arrivals that is left
    when the turn begins [1], t_over least clocks of a turn: the hand-over, after which the conditions are first looked
    at [clock]. Returns [clock].
    Validity: no stall before the goal. Known error: not measured apart; with the rest of the turns, see
    `pimmodel validate contention`. Source: renewal argument; DESIGN.md section 8.
    """
    return sp.Max((goal - start - 1 + residual) / rate, overhead)


@dataclass(frozen=True)
class Handover:
    """Clocks of the hand-overs; arrays have the shape of the scenario's rates.

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

    `columns_per_clock` and `activates_per_clock` are broadcast against each other.

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
    """One cycle of a host turn and a PIM turn, and what it brings; all arrays have one shape.

    host_rate [1/clock], pim_steps : steps per clock [1/clock], cycle : clocks of both turns [clock],
    stall_share [1], backlog : requests queued when the host takes over [1], activates_per_request [1]
    """

    host_rate: Floats
    pim_steps: Floats
    cycle: Floats
    stall_share: Floats
    backlog: Floats
    activates_per_request: Floats


@dataclass
class _Cycle:
    """A cycle of turns, found by going through it a few times; arrays of the shape of the thresholds.

    start : queued when the host's turn ends [1]; residual : part of the interval then left until the next arrival [1]
    host, pim : clocks of each turn, its hand-over first [clock]; useful : of the PIM's after its first possible step
    backlog, after, left : queued when the host begins, after its first batch, and when it ends [1]
    first, served, rows : requests of the first batch and of the turn, rows opened by the first batch [1]
    refresh_host, refresh_pim : clocks of refresh in the hand-over to the host, probability of one in that to the PIM
    """

    start: Floats
    residual: Floats
    host: Floats
    refresh_host: Floats
    refresh_pim: Floats
    last_opening: Floats  # clocks from the host's last activate of its first batch to the end of its turn
    pim: Floats
    useful: Floats
    to_host: Floats
    backlog: Floats
    after: Floats
    first: Floats
    served: Floats
    rows: Floats


class _TurnModel:
    """Host and PIM turn of one scenario for arrays of thresholds; parameters as in `turn_rates`."""

    def __init__(self, scenario: Scenario, low: Floats, high: Floats, limits: TurnLimits) -> None:
        timing, organisation, stream = scenario.timing, scenario.organisation, scenario.stream
        self.scenario, self.limits = scenario, limits
        self.room = min(scenario.queue.window, scenario.queue.capacity)
        self.times = row_times(timing, stream)
        self.curve = service_curve(timing, organisation, stream, self.room)
        self.speed = kernel_speed(
            timing, organisation, scenario.kernel, "off" if scenario.refresh == "all-bank" else scenario.refresh
        )
        self.alone = kernel_speed(timing, organisation, scenario.kernel)
        ending = self.curve.at(np.minimum(low + 1, self.room))
        self.hand = handover(
            scenario, self.speed, self.times, ending, ending * float(self.curve.activates_per_request[1])
        )
        self.low, self.goal = low, np.minimum(high, self.room)
        self.rate = max(stream.rate, 1e-9)
        self.mean_residual = 0.5 if stream.arrival == "even" else 1.0
        self.drain = DrainCurve(self.curve, self.rate, scenario.queue.window, self.times.data, self.mean_residual)
        self.steps = StepTable(timetable(timing, organisation, scenario.kernel, self.alone), 1 / self.rate)

    def begin(self) -> _Cycle:
        """A first guess: no refresh, a host turn that was long."""
        nothing = np.zeros_like(self.low)
        made = dict.fromkeys(_Cycle.__dataclass_fields__, nothing)
        made |= {
            "start": np.minimum(self.low, self.room),
            "residual": nothing + self.mean_residual,
            "last_opening": nothing + np.inf,
        }
        return _Cycle(**made)

    def pim_turn(self, cycle: _Cycle) -> None:
        """Length of the PIM's turn, and of the hand-over to the host after it."""
        timing, hand, limits = self.scenario.timing, self.hand, self.limits
        # Rows opened at the beginning of a short host turn still have their tRAS to wait for at its end.
        since = np.maximum(cycle.last_opening, self.times.activate_gap / 2)
        least = hand.to_pim + np.maximum(0, timing.tRAS - since - hand.host_wait)
        filling = {"goal": self.goal, "start": cycle.start, "rate": self.rate, "residual": cycle.residual}
        if np.isfinite(limits.pim_clocks):
            cycle.pim = filled = np.maximum(least + limits.pim_clocks, (1 - cycle.start) / self.rate)
        else:
            pim = fill_turn(**filling, overhead=least + 1)
            delayed = fill_turn(**filling, overhead=least + 1 + timing.tRFC)
            pim = pim + cycle.refresh_pim * (delayed - pim)
            cycle.pim = np.minimum(pim, least + hand.resume + limits.quota_pim / self.speed.rate)
            filled = np.minimum(cycle.pim, fill_turn(**filling, overhead=0.0))
        cycle.useful = filled - least - self.speed.resume
        cycle.to_host = hand.to_host + self.steps.wait(cycle.useful) + cycle.refresh_host

    def host_turn(self, cycle: _Cycle) -> None:
        """What the host serves in its turn, how long that takes, and the level at which it ends."""
        limits, ramp = self.limits, self.hand.ramp
        arrived = cycle.start + self.rate * (cycle.pim + cycle.to_host + ramp) + self.mean_residual - cycle.residual
        full = arrived >= self.scenario.queue.window
        cycle.backlog = np.minimum(arrived, self.room)
        floor = np.minimum(self.low, cycle.backlog)
        fresh = fresh_batch(self.scenario, self.times, cycle.backlog)
        wanted = np.minimum(cycle.backlog - floor, limits.quota_host)
        first, clocks, joined = first_columns(self.scenario, self.times, fresh, wanted, full, self.mean_residual)
        cycle.first = np.minimum(first, limits.quota_host)
        cycle.after = np.minimum(cycle.backlog - cycle.first + joined, self.room)
        left = floor
        if limits.any:
            by_clock = self.drain.level_after(cycle.after, clocks=np.maximum(limits.host_clocks - ramp - clocks, 0))
            by_count = self.drain.level_after(cycle.after, requests=np.maximum(limits.quota_host - cycle.first, 0))
            left = np.minimum(np.maximum(floor, np.maximum(by_clock, by_count)), cycle.after)
        serving, served = self.drain.drain(cycle.after, left)
        idle = np.zeros_like(left)
        if limits.host_stays:
            idle = np.maximum(limits.host_clocks - clocks - serving - ramp, 0)
        cycle.start = 0.5 * (cycle.start + left) if limits.any else left
        cycle.host = cycle.to_host + ramp + clocks + serving + idle
        cycle.served = cycle.first + served + self.rate * idle
        cycle.rows = cycle.first / fresh.per_row
        opening = fresh.clocks(self.scenario.timing, fresh.requests, columns=False)
        cycle.last_opening = cycle.host - cycle.to_host - opening
        if self.mean_residual < 1:  # held up throughout its turn, the host begins an interval when data are through
            late = 1 - self.rate * (clocks - self.times.data)
            held = full & (cycle.after <= left)
            cycle.residual = np.where(held, np.maximum(late, self.mean_residual), self.mean_residual)

    def refresh(self, cycle: _Cycle) -> None:
        """All-bank: a refresh due in one side's turn is done when that side gives the memory up."""
        timing = self.scenario.timing
        if self.scenario.refresh == "all-bank":
            cycle.refresh_host = cycle.pim / timing.tREFI * timing.tRFC
            cycle.refresh_pim = np.minimum(cycle.host / timing.tREFI, 1)

    def result(self, cycle: _Cycle) -> Turns:
        """Rates of the cycle."""
        clocks = cycle.pim + cycle.host
        served = np.minimum(np.minimum(cycle.served, self.rate * clocks), self.limits.quota_host)
        level = (cycle.after + np.minimum(self.low, cycle.backlog)) / 2
        steady = np.interp(level, self.drain.queued, self.curve.activates_per_request)
        activates = cycle.rows + np.maximum(served - cycle.first, 0) * steady
        late = self.steps.steps(cycle.useful - self.scenario.timing.tRFC)
        steps = (1 - cycle.refresh_pim) * self.steps.steps(cycle.useful) + cycle.refresh_pim * late
        steps = np.minimum(steps * self.speed.rate / self.alone.rate, self.limits.quota_pim)
        return Turns(
            host_rate=served / clocks,
            pim_steps=steps / clocks,
            cycle=clocks,
            stall_share=1 - served / (self.rate * clocks),
            backlog=cycle.backlog,
            activates_per_request=activates / np.maximum(served, 1e-9),
        )


@dataclass(frozen=True)
class TurnLimits:
    """What ends a turn beside the thresholds; parameters of `turn_rates`."""

    quota_host: float
    quota_pim: float
    host_clocks: float
    pim_clocks: float
    host_stays: bool

    @property
    def any(self) -> bool:
        """Whether any limit is set."""
        return bool(np.isfinite([self.quota_host, self.quota_pim, self.host_clocks, self.pim_clocks]).any())


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
    low, high = np.broadcast_arrays(np.asarray(theta_low, float), np.asarray(theta_high, float))
    limits = TurnLimits(quota_host, quota_pim, host_clocks, pim_clocks, host_stays)
    model = _TurnModel(scenario, low, high, limits)
    cycle = model.begin()
    for _ in range(12 if limits.any else 3):
        model.pim_turn(cycle)
        model.host_turn(cycle)
        model.refresh(cycle)
    return model.result(cycle)


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
