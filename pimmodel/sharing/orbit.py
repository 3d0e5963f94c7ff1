r"""Turns followed one after another: the cycle of `pimmodel.sharing.turns` on a clock, with all that has a period.

A mean cycle takes a mean over the PIM's places in its kernel and over the phases of refresh. But turns begin where the
last one ended: those that end while a row is being opened fall into step with the rows, and where turns are not much
longer than the interval of refreshes, which bank is away when decides how many steps a turn makes. So a few hundred
turns are followed, each by one evaluation of

* the PIM's turn: the kernel's event times from hand-over to its end (`pimmodel.sharing.pim_turns`);
* the host's turn: its means as functions of the requests that are queued when it begins (`pimmodel.sharing.host_turn`),
  read off a table;
* refresh: due on its own clock, done in hand-overs (all banks) or in the turns (one bank).

What varies from turn to turn - the place between two arrivals at which a turn ends, the length of the host's turn -
takes evenly spread values (multiples of irrational numbers, no random ones), so that the mean over the turns is one
over both. It is used for single scenarios; arrays of thresholds have the mean cycle.

Neglected: that a host's turn is of one of two kinds, short or long, rather than of its mean length; what a bank in
refresh costs the host in a short turn, beyond its mean. Known error, on 400 draws of the domain of `pimmodel validate
contention` (seed 616161): host rate where it stalls, median 2.3 %, p95 33 %, worst a factor of 2.6; PIM rate in the
regular region, median 1.4 %, p95 17 %, worst a factor of 2.6, and elsewhere p95 1.2 and worst 14 points of its full
rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from pimmodel.scenario import Scenario
from pimmodel.sharing.host_turn import POSTPONED, HostTurn, TurnLimits
from pimmodel.sharing.pim_turns import PimTurns
from pimmodel.sharing.turns import TurnModel, Turns

Floats = NDArray[np.float64]
# Turns followed: without refresh, and with it, whose phases have to be gone through as well; those of them that lead
# to the orbit.
_TURNS, _TURNS_REFRESHED, _FIRST = 112, 320, 16
_LONG = 300  # column steps of a turn from which the mean cycle is as good
_POINTS = 48  # backlogs at which the host's turn is evaluated
_SPREAD = 0.15  # standard deviation of the host's turns, as a share of their mean
_ENDLESS = 10**9  # clocks
_NEEDED = ("clocks", "served", "left", "residual", "backlog", "rows")  # of the host's turn
_PLACE, _LENGTH = 0.5698402909980532, 0.6180339887498949  # irrational steps, of the arrivals and of the host's turns


@dataclass(frozen=True)
class _HostTable:
    """Host turns by the requests that would be queued at their beginning if the window were not full."""

    queued: Floats
    turn: HostTurn
    to_pim: Floats  # hand-over after the turn [clock]

    def at(self, queued: float) -> dict[str, float]:
        """The turn that begins with `queued` requests."""
        if queued >= self.queued[-1]:
            place, part = len(self.queued) - 2, 1.0
        else:
            place = max(int(np.searchsorted(self.queued[:-1], queued, side="right")) - 1, 0)
            place = min(place, len(self.queued) - 3)
            width = self.queued[place + 1] - self.queued[place]
            part = min(max((queued - self.queued[place]) / width, 0.0), 1.0)

        def mean(values: Floats) -> float:
            return float(values[place] + part * (values[place + 1] - values[place]))

        return {name: mean(getattr(self.turn, name)) for name in _NEEDED} | {"to_pim": mean(self.to_pim)}


def followed(scenario: Scenario, theta_low: float, theta_high: float, limits: TurnLimits) -> Turns:
    """Rates of one scenario, its turns followed one by one; parameters as of `pimmodel.sharing.turns.turn_rates`."""
    model = TurnModel(scenario, np.asarray(float(theta_low)), np.asarray(float(theta_high)), limits)
    cycle = model.settle()
    mean = model.last(cycle)
    steps = float(mean.pim_steps * mean.cycle)
    if steps > _LONG or float(cycle.host) > 1e3 * scenario.timing.tREFI:
        return mean
    return _Orbit(scenario, float(theta_low), float(theta_high), limits, model, model.owed(cycle)).mean(mean)


class _Orbit:
    """The turns of one scenario on one clock."""

    def __init__(
        self, scenario: Scenario, low: float, high: float, limits: TurnLimits, model: TurnModel,
        owed: tuple[Floats, Floats],
    ) -> None:  # fmt: skip
        self.scenario, self.limits = scenario, limits
        self.goal, self.rate, self.residual = min(high, model.room), model.rate, model.host.residual
        self.ramp, away = map(float, owed)
        window = scenario.queue.window
        queued = np.concatenate([np.linspace(min(low, model.room), window - 1e-6, _POINTS), [float(window)]])
        table = TurnModel(scenario, np.full_like(queued, low), np.full_like(queued, high), limits)
        turn = table.host.turn(queued, np.full_like(queued, self.ramp), np.full_like(queued, away))
        self.host = _HostTable(queued, turn, table.to_pim(turn.last_opening, turn.ends))
        self.pim = PimTurns(scenario.timing, scenario.organisation, scenario.kernel,
                            "per-bank" if scenario.refresh == "per-bank" else "off")  # fmt: skip
        self.refreshed = 0  # refreshes of all banks done
        self.closing = float(scenario.timing.tRP + scenario.kernel.mode_switch)  # from the precharge to the new owner

    def mean(self, settled: Turns) -> Turns:
        """Means over the turns, from the mean cycle `settled` on, which also lends the activates."""
        host, clock = self.host.at(float(settled.backlog)), 0.0
        sums = np.zeros(4)  # steps, clocks, requests served, requests queued when the host begins
        turns = _TURNS if self.scenario.refresh == "off" else _TURNS_REFRESHED
        for i in range(turns):
            residual = self._residual(host["residual"], (0.5 + i * _PLACE) % 1)
            made, end, open_rows = self._pim_turn(host, clock, residual)
            start = end + open_rows + self.closing + self._refreshes(end + open_rows)
            queued = host["left"] + self.rate * (start + self.ramp - clock) + self.residual - residual
            host = self.host.at(queued)
            over = start + host["clocks"] * self._deviation((0.5 + i * _LENGTH) % 1)
            self._refreshes_of_host(start, over, host["rows"])
            if i >= _FIRST:
                sums += (made, over - clock, host["served"], host["backlog"])
            clock = over
        turns -= _FIRST
        steps, clocks, requests, backlog = map(float, sums)
        requests = min(requests, self.rate * clocks, self.limits.quota_host * turns)
        return Turns(
            host_rate=np.asarray(requests / clocks),
            pim_steps=np.asarray(steps / clocks),
            cycle=np.asarray(clocks / turns),
            stall_share=np.asarray(1 - requests / (self.rate * clocks)),
            backlog=np.asarray(backlog / turns),
            activates_per_request=settled.activates_per_request,
        )

    def _residual(self, mean: float, place: float) -> float:
        """Part of an interval left until the next arrival, at a place in 0 .. 1 of its range about the mean [1]."""
        if self.scenario.stream.arrival != "even":
            return mean
        return mean + (2 * place - 1) * min(mean, 1 - mean)

    def _deviation(self, place: float) -> float:
        """Length of a host's turn, at a place in 0 .. 1 of its distribution, as a share of the mean [1]."""
        return max(1 + _SPREAD * NormalDist().inv_cdf(0.001 + 0.998 * place), 0.1)

    def _pim_turn(self, host: dict[str, float], clock: float, residual: float) -> tuple[int, int, int]:
        """The PIM's turn after a host turn that ends at `clock`: steps, end, clocks until all rows can be closed."""
        limits, left = self.limits, host["left"]
        refreshes = self._refreshes(clock + max(host["to_pim"] - self.closing, 0))
        begin = round(clock + host["to_pim"] + refreshes)
        one_queued = clock + (residual / self.rate if left < 1 else 0.0)
        until = clock + (self.goal - left - 1 + residual) / self.rate
        if np.isfinite(limits.pim_clocks):
            until = max(begin + limits.pim_clocks, one_queued)
        elif limits.pim_must:
            until = np.inf
        last = max(round(min(until, begin + _ENDLESS)), begin + 1)
        return self.pim.turn(begin, last, limits.quota_pim, round(one_queued))

    def _refreshes(self, clock: float) -> float:
        """Clocks of the refreshes of all banks that are owed at a precharge of all rows."""
        timing = self.scenario.timing
        if self.scenario.refresh != "all-bank":
            return 0.0
        owed = int(clock // timing.tREFI) - self.refreshed
        self.refreshed += owed
        return float(owed * timing.tRFC)

    def _refreshes_of_host(self, start: float, over: float, rows: float) -> None:
        """The refreshes in the host's turn: of single banks, each behind the closing of its row if one is open; of all
        banks those that cannot be postponed (their clocks are part of the turn)."""
        timing, banks = self.scenario.timing, self.scenario.organisation.banks
        opened = 1 - (1 - 1 / banks) ** max(rows, 1.0)
        self.pim.host_turn(round(start), round(over), opened * (timing.tRP + timing.tRTP))
        if self.scenario.refresh == "all-bank":
            self.refreshed = max(self.refreshed, int(over // timing.tREFI) - POSTPONED)
