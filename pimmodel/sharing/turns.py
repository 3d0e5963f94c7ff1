r"""Host and PIM in turns on one channel: the exclusive policy and its relatives, in closed form.

A PIM turn lasts until the host's queue has filled from q_0 to its goal (or the PIM's quota is done); a host turn until
the backlog is drained again. Both begin with a hand-over in which nobody makes progress and requests keep arriving:

* fill: :math:`T_P = \max((q_1 - q_0 - 1 + r)/\lambda,\ t_{hand} + 1)` (`fill_turn`), steps made in it counted one by
  one (`pimmodel.sharing.steps`);
* first batch: what the first row opened in each bank serves of a backlog that lies evenly on the sub-streams
  (`pimmodel.sharing.fresh`); many turns are over by then;
* drain of the rest: first passage from the backlog B to theta_low, births
  :math:`\lambda_q = \min(\lambda, (W - q)/t_{data})` (behind a full window a request is generated when one in flight
  completes), deaths mu(q) of `pimmodel.dram.service`:
  :math:`h(q) = (1 - r_q)/(\mu(q) - \lambda_q) + r_q h(q+1),\ r_q = (\lambda_q/\mu(q))^{1/c}`; with c = 1 the
  birth-death chain, :math:`h(q) = (1 + \lambda_q h(q+1))/\mu(q)`. It tends to the integral of dq/(mu - lambda) and
  stays finite where mu(q) <= lambda.

This is the mean cycle, for whole arrays of thresholds; `pimmodel.sharing.orbit` follows the turns of one scenario.

Neglected: that refreshes of single banks and turns fall into step. Known error of the mean cycle, on 1000 draws of the
domain of `pimmodel validate contention` (seeds 8001 and 515151): host rate where it stalls, median 2.7 %, p95 34 %,
worst a factor of 3.1; PIM rate in the regular region, median 4.1 %, p95 54 %: without refresh 2.7 and 17 %, with
refresh of all banks 3.1 and 43 %, of single banks 14 and 143 %.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimmodel.dram.service import RowTimes, ServiceCurve, refreshed, row_times, service_curve
from pimmodel.formula import formula, sp
from pimmodel.pim.kernel import KernelSpeed, kernel_speed
from pimmodel.scenario import Scenario
from pimmodel.sharing.host_turn import HostSide, TurnLimits
from pimmodel.sharing.steps import StepTable, timetable

Floats = NDArray[np.float64]
_MOST_AWAY = 0.5  # share of the banks that refresh may take from a host's first batch


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
    `pimmodel validate contention`. Source: renewal argument; the conditions of a switch are in
    `pimmodel.scenario`.
    """
    return sp.Max((goal - start - 1 + residual) / rate, overhead)


@dataclass(frozen=True)
class Handover:
    """Clocks of the hand-overs; arrays have the shape of the scenario's rates.

    to_pim, to_host : from the condition to the new owner's clock: precharge wait, tRP, mode switch [clock]
    host_wait : the precharge wait within to_pim [clock]; written : of it what the last columns ask for [clock]
    resume : from there to the PIM's first column step [clock]
    ramp : from there until the host's service is what its backlog allows [clock]
    """

    to_pim: Floats
    to_host: float
    host_wait: Floats
    written: Floats
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
        written=written,
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

    host, pim : clocks of each turn, its hand-over first [clock]; useful : of the PIM's after its first possible step
    steps : column steps of the PIM's turn [1]; to_pim, to_host : clocks of the hand-overs [clock]
    The others are of `pimmodel.sharing.host_turn.HostTurn`: `left` of its end, where the PIM begins, `residual` then.
    """

    host: Floats
    pim: Floats
    useful: Floats
    steps: Floats
    to_pim: Floats
    to_host: Floats
    served: Floats
    backlog: Floats
    left: Floats
    first: Floats
    rows: Floats
    after: Floats
    ends: Floats
    last_opening: Floats
    residual: Floats


class TurnModel:
    """Host and PIM turn of one scenario for thresholds `low` and `high` of one shape [1]."""

    def __init__(self, scenario: Scenario, low: Floats, high: Floats, limits: TurnLimits) -> None:
        timing, organisation, stream = scenario.timing, scenario.organisation, scenario.stream
        self.scenario, self.limits = scenario, limits
        self.room = scenario.queue.room
        self.times = times = row_times(timing, stream)
        self.alone = self.speed = kernel_speed(timing, organisation, scenario.kernel)
        self.curve = service_curve(timing, organisation, stream, self.room)
        if scenario.refresh == "per-bank":
            self.speed = kernel_speed(timing, organisation, scenario.kernel, "per-bank")
            share = refreshed(timing, "per-bank", organisation.banks, times.opening + timing.tRAS)
            self.curve = ServiceCurve(self.curve.rate * share, self.curve.activates_per_request)
        ending = np.minimum(low + 1, self.room)
        rows = np.interp(ending, np.arange(self.room + 1), self.curve.activates_per_request)
        self.hand = handover(scenario, self.speed, times, self.curve.at(ending), self.curve.at(ending) * rows)
        self.low, self.goal = low, np.minimum(high, self.room)
        self.host = HostSide(scenario, times, self.curve, low, limits)
        self.rate = self.host.rate
        self.steps = StepTable(timetable(timing, organisation, scenario.kernel, self.alone), 1 / self.rate)

    def begin(self) -> _Cycle:
        """A first guess: no refresh, a host turn that was long."""
        nothing = np.zeros_like(self.low)
        made = dict.fromkeys(_Cycle.__dataclass_fields__, nothing)
        made |= {
            "left": np.minimum(self.low, self.room),
            "residual": nothing + self.host.residual,
            "last_opening": nothing + np.inf,
            "host": nothing + self.hand.to_host,
        }
        return _Cycle(**made)

    def _quota(self, cycle: _Cycle) -> None:
        """The quota of a PIM's turn, where it ends it sooner; a turn lasts until a host request is queued."""
        limits, count = self.limits, int(self.limits.quota_pim)
        plain, wait = self.steps.quota(count)
        clocks = np.full_like(self.low, self.speed.resume + plain * self.alone.rate / self.speed.rate + 1)
        longer = np.maximum((1 - cycle.left) / self.rate - cycle.to_pim - clocks, 0)
        least = cycle.to_pim + clocks + longer
        ends = (least < cycle.pim) | limits.pim_must
        made = count + longer * self.speed.rate
        cycle.pim = np.where(ends, least, cycle.pim)
        cycle.steps = np.where(ends, made, np.minimum(cycle.steps, count))
        cycle.to_host = np.where(ends, self.hand.to_host + wait, cycle.to_host)

    def to_pim(self, last_opening: Floats, ends: Floats) -> Floats:
        """Hand-over to the PIM after a host turn whose last activate lies `last_opening` back [clock], if it ended with
        its first batch (probability `ends`) [1]; arrays of the thresholds' shape [clock]."""
        hand = self.hand
        # Rows opened at the beginning of a short host turn still have their tRAS to wait for at its end.
        since = np.maximum(last_opening, self.times.activate_gap / 2)
        young = hand.written + np.maximum(0, self.scenario.timing.tRAS - since - hand.written)
        wait = ends * young + (1 - ends) * np.maximum(hand.host_wait, young)
        return np.asarray(hand.to_pim - hand.host_wait + wait)

    def pim_turn(self, cycle: _Cycle, refreshes: Floats | float = 0.0) -> None:
        """The PIM's turn, with `refreshes` of all banks in the hand-over to it [1], and the hand-over after it, in the
        thresholds' shape."""
        timing, hand, limits = self.scenario.timing, self.hand, self.limits
        cycle.to_pim = least = self.to_pim(cycle.last_opening, cycle.ends) + refreshes * timing.tRFC
        filling = {"goal": self.goal, "start": cycle.left, "rate": self.rate, "residual": cycle.residual}
        if np.isfinite(limits.pim_clocks):
            cycle.pim = filled = np.maximum(least + limits.pim_clocks, (1 - cycle.left) / self.rate)
        else:
            cycle.pim, filled = fill_turn(**filling, overhead=least + 1), fill_turn(**filling, overhead=0.0)
        cycle.useful = filled - least - self.speed.resume
        cycle.steps = self.steps.steps(cycle.useful) * self.speed.rate / self.alone.rate
        cycle.to_host = hand.to_host + self.steps.wait(cycle.useful)
        if np.isfinite(limits.quota_pim):
            self._quota(cycle)

    def host_turn(self, cycle: _Cycle) -> None:
        """The host's turn after the PIM's."""
        ramp, away = self.owed(cycle)
        since = cycle.pim + cycle.to_host + ramp
        turn = self.host.turn(cycle.left + self.rate * since + self.host.residual - cycle.residual, ramp, away)
        before = cycle.left
        for name in ("served", "backlog", "left", "first", "rows", "after", "ends", "last_opening", "residual"):
            setattr(cycle, name, getattr(turn, name))
        if self.limits.any:  # a limit makes the level depend on the turns before
            cycle.left = 0.5 * (before + turn.left)
        cycle.host = cycle.to_host + turn.clocks

    def owed(self, cycle: _Cycle) -> tuple[Floats, Floats]:
        """Clocks to the host's first column, and share of the banks that are away then, with the refreshes of single
        banks that are owed after the hand-over: one per tRREFD, the activates behind them."""
        timing = self.scenario.timing
        ramp = np.full_like(self.low, self.hand.ramp)
        if self.scenario.refresh != "per-bank":
            return ramp, np.zeros_like(ramp)
        before = cycle.to_pim / timing.tREFIpb
        done = np.minimum(before, 1 + np.maximum(cycle.pim - cycle.to_pim, 0) / timing.tRREFD)
        owed = before - done + cycle.to_host / timing.tREFIpb
        return ramp + owed * timing.tRREFD, np.minimum(owed / self.scenario.organisation.banks, _MOST_AWAY)

    def settle(self) -> _Cycle:
        """The cycle that repeats itself, but for refreshes of all banks."""
        cycle = self.begin()
        for _ in range(11 if self.limits.any else 2):
            self.through(cycle)
        return cycle

    def through(self, cycle: _Cycle) -> None:
        """Once through the cycle, without refreshes of all banks."""
        self.pim_turn(cycle)
        self.host_turn(cycle)

    def last(self, cycle: _Cycle) -> Turns:
        """Once more through the cycle: with and without refreshes in its hand-overs, in proportion; its rates."""
        timing = self.scenario.timing
        if self.scenario.refresh != "all-bank":
            self.through(cycle)
            return self.result(cycle)
        # A refresh that falls due in one side's turn is done when that side gives the memory up.
        late_pim, late_host = np.minimum(cycle.host / timing.tREFI, 1), np.minimum(cycle.pim / timing.tREFI, 1)
        before = copy.copy(cycle)
        made = []
        for weight, refreshes, after in (
            ((1 - late_pim) * (1 - late_host), 0.0, 0.0),
            (late_pim, np.maximum(cycle.host / timing.tREFI, 1), cycle.pim / timing.tREFI),
            ((1 - late_pim) * late_host, 0.0, np.maximum(cycle.pim / timing.tREFI, 1)),
        ):
            one = copy.copy(before)
            self.pim_turn(one, refreshes)
            one.to_host = one.to_host + after * timing.tRFC
            self.host_turn(one)
            made.append((weight, one))
        for name in _Cycle.__dataclass_fields__:
            with np.errstate(invalid="ignore"):
                setattr(cycle, name, sum(weight * getattr(one, name) for weight, one in made))
        return self.result(cycle)

    def result(self, cycle: _Cycle) -> Turns:
        """Rates of the cycle."""
        clocks = cycle.pim + cycle.host
        served = np.minimum(np.minimum(cycle.served, self.rate * clocks), self.limits.quota_host)
        level = (cycle.after + np.minimum(self.low, cycle.backlog)) / 2
        steady = np.interp(level, np.arange(self.room + 1), self.curve.activates_per_request)
        activates = cycle.rows + np.maximum(served - cycle.first, 0) * steady
        return Turns(
            host_rate=served / clocks,
            pim_steps=cycle.steps / clocks,
            cycle=clocks,
            stall_share=1 - served / (self.rate * clocks),
            backlog=cycle.backlog,
            activates_per_request=activates / np.maximum(served, 1e-9),
        )


def turn_rates(scenario: Scenario, theta_low: Any, theta_high: Any, limits: TurnLimits | None = None) -> Turns:
    """Rates of all policies in which host and PIM take turns, of the mean cycle.

    Parameters
    ----------
    scenario : memory, stream, queue and kernel; its policy is not looked at
    theta_low, theta_high : thresholds, numbers or arrays that broadcast [1]
    limits : what ends a turn beside the thresholds; default: nothing
    """
    low, high = np.broadcast_arrays(np.asarray(theta_low, float), np.asarray(theta_high, float))
    model = TurnModel(scenario, low, high, limits or TurnLimits())
    return model.last(model.settle())


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
