r"""One turn of the host: from the backlog that it takes over to the level, or limit, that ends it.

Two kinds of turns are told apart, since their lengths differ by far more than either varies: those that the first batch
ends (`pimmodel.sharing.fresh`; probability `ends`) and those that go on as a drain at the service rate of the queue
that is left (`pimmodel.sharing.drain`). Means are taken over both. Behind a full window a drain ends sooner where
columns come in bursts: every time from a column to the request that takes its place is another chance,
:math:`1/T = 1/T_{drain} + p/(t_{data} + 1/\lambda)`, with p the probability that so many columns come within it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pimmodel.dram.service import RowTimes, ServiceCurve
from pimmodel.scenario import Scenario
from pimmodel.sharing.drain import DrainCurve
from pimmodel.sharing.fresh import FreshBatch, FullWindow, arrivals, first_columns, fresh_batch

Floats = NDArray[np.float64]
POSTPONED = 8  # intervals by which an all-bank refresh may be postponed
_CHANCE = 1e-6  # probability below which a later burst is left out


@dataclass(frozen=True)
class TurnLimits:
    """What ends a turn beside the thresholds.

    quota_host, quota_pim : requests and column steps per turn [1]
    host_clocks, pim_clocks : lengths of turns from the hand-over on, where the policy slices time [clock]; a PIM turn
        then ends no sooner than a host request is queued
    host_stays : the host keeps its turn although nothing is queued
    pim_must : the PIM makes `quota_pim` steps however many requests are queued
    """

    quota_host: float = np.inf
    quota_pim: float = np.inf
    host_clocks: float = np.inf
    pim_clocks: float = np.inf
    host_stays: bool = False
    pim_must: bool = False

    @property
    def any(self) -> bool:
        """Whether any limit is set."""
        return bool(np.isfinite([self.quota_host, self.quota_pim, self.host_clocks, self.pim_clocks]).any())


@dataclass(frozen=True)
class HostTurn:
    """A turn of the host, means; all arrays have the shape of theta_low.

    clocks : from the host's first clock on [clock]; served : requests [1]
    backlog, left : queued when its first column issues, and at its end [1]
    first, rows : requests of the first batch and rows opened for it [1]; after : queued then, if the turn goes on [1]
    ends : probability that the first batch ends the turn [1]
    last_opening : clocks from the last activate to the end of such a turn [clock]
    residual : part of the interval that is then left until the next arrival [1]
    """

    clocks: Floats
    served: Floats
    backlog: Floats
    left: Floats
    first: Floats
    rows: Floats
    after: Floats
    ends: Floats
    last_opening: Floats
    residual: Floats


class HostSide:
    """Turns of one scenario's host for theta_low `low` of any shape [1]; `curve` is mu(q)."""

    def __init__(
        self, scenario: Scenario, times: RowTimes, curve: ServiceCurve, low: Floats, limits: TurnLimits
    ) -> None:
        self.scenario, self.times, self.low, self.limits = scenario, times, low, limits
        self.room = scenario.queue.room
        self.rate = max(scenario.stream.rate, 1e-9)
        # A column that ends a turn falls anywhere between two even arrivals; random ones have no memory.
        self.residual = 0.5 if scenario.stream.arrival == "even" else 1.0
        self.drain = DrainCurve(curve, self.rate, scenario.queue.window, times.data, self.residual)
        wanted = np.maximum(self.room - low, 0)
        self.wanted: Floats = np.unique(wanted)
        self.place: NDArray[np.int64] = np.searchsorted(self.wanted, wanted)
        self._full: tuple[float, FullWindow] | None = None

    def turn(self, arrived: Floats, ramp: Floats, away: Floats | float = 0.0) -> HostTurn:
        """One turn; all arrays have the shape of theta_low.

        Parameters
        ----------
        arrived : requests queued when the first column issues, if the window were not full [1]
        ramp : clocks until then [clock]
        away : share of the banks that refresh keeps closed [1]
        """
        limits = self.limits
        full = arrived >= self.scenario.queue.window
        backlog = np.minimum(arrived, self.room)
        floor = np.minimum(self.low, backlog)
        fresh = fresh_batch(self.scenario, self.times, backlog, away)
        wanted = np.minimum(backlog - floor, limits.quota_host)
        count, clocks, joined = first_columns(self.scenario, self.times, fresh, wanted, full, self.residual)
        over = (count >= limits.quota_host) | (backlog - floor > limits.quota_host)
        if over.any():
            count = np.where(over, limits.quota_host, count)
            clocks = fresh.clocks(count)
            joined = arrivals(self.scenario, self.times, count, clocks, full, self.residual)
        ends, fewer = fresh.enough(count)
        tabled = full & ~over
        behind = self._behind(away) if tabled.any() else None
        if behind is not None:
            clocks, count = (np.where(tabled, a[self.place], b)
                             for a, b in ((behind.clocks, clocks), (behind.served, count)))  # fmt: skip
            ends, fewer = (np.where(tabled, a[self.place], b)
                           for a, b in ((behind.ends, ends), (behind.rest, fewer)))  # fmt: skip
        ended = np.where(over, np.clip(backlog - count + joined, floor, self.room), floor)
        lasting, served, left, after = self._going_on(backlog, fresh, fewer, full, floor, ramp)
        if behind is not None:
            goes_down = tabled & (left <= floor)
            lasting, served = self._bursts(behind, goes_down, fresh.clocks(fewer), fewer, lasting, served)
        idle = np.maximum(limits.host_clocks - clocks - ramp, 0) if limits.host_stays else np.zeros_like(floor)
        opened = np.minimum((ramp + clocks) / self.times.activate_gap, np.maximum(fresh.opened - 1, 0))
        first = ends * count + (1 - ends) * fewer
        return HostTurn(
            clocks=ramp + ends * (clocks + idle) + (1 - ends) * lasting,
            served=ends * (count + self.rate * idle) + (1 - ends) * served,
            backlog=backlog,
            left=ends * ended + (1 - ends) * left,
            first=first,
            rows=first / fresh.per_row,
            after=after,
            ends=ends,
            last_opening=ramp + clocks - fresh.activates(opened),
            residual=self._residual_after(clocks, full * ends),
        )

    def _residual_after(self, clocks: Floats, held: Floats) -> Floats:
        """Part of the interval left at the end: held up throughout its turn (`held`, a share), an even source begins an
        interval when the first column's data are through."""
        if self.scenario.stream.arrival != "even":
            return np.full_like(clocks, self.residual)
        late = 1 - self.rate * np.maximum(clocks - self.times.data, 0)
        return np.asarray(self.residual + held * np.maximum(late - self.residual, 0))

    def _behind(self, away: Floats | float) -> FullWindow:
        """First batch behind a full window, for the mean share of banks away."""
        share = float(np.mean(away))
        if self._full is None or self._full[0] != share:
            fresh = fresh_batch(self.scenario, self.times, np.asarray(float(self.room)), share)
            self._full = (share, FullWindow(self.scenario, fresh, self.wanted))
        return self._full[1]

    def _going_on(
        self, backlog: Floats, fresh: FreshBatch, first: Floats, full: NDArray[np.bool_], floor: Floats, ramp: Floats
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """A turn that goes on after a first batch of `first` requests: clocks and requests from its first column on,
        queued at its end, queued after the batch."""
        limits, timing = self.limits, self.scenario.timing
        clocks = fresh.clocks(first)
        joined = arrivals(self.scenario, self.times, first, clocks, full, self.residual)
        after = np.clip(backlog - first + joined, floor, self.room)
        left = floor
        if limits.any:
            by_clock = self.drain.level_after(after, clocks=np.maximum(limits.host_clocks - ramp - clocks, 0))
            by_count = self.drain.level_after(after, requests=np.maximum(limits.quota_host - first, 0))
            left = np.minimum(np.maximum(floor, np.maximum(by_clock, by_count)), after)
        serving, served = self.drain.drain(after, left)
        idle = np.maximum(limits.host_clocks - clocks - serving - ramp, 0) if limits.host_stays else 0.0
        total = clocks + serving + idle
        if self.scenario.refresh == "all-bank":  # done within the turn once it cannot be postponed any more
            total = total + np.maximum(total - POSTPONED * timing.tREFI, 0) / timing.tREFI * timing.tRFC
        return total, first + served + self.rate * idle, left, after

    def _bursts(
        self,
        behind: FullWindow,
        usable: NDArray[np.bool_],
        batch: Floats,
        first: Floats,
        clocks: Floats,
        served: Floats,
    ) -> tuple[Floats, Floats]:
        """Clocks and requests of a turn that goes on behind a full window, with its later chances to end."""
        chance = behind.again[self.place]
        tried, drained = behind.again_clocks / np.maximum(chance, _CHANCE), np.maximum(clocks - batch, 1e-3)
        rest = 1 / (1 / tried + 1 / drained)
        by_drain, by_burst = (served - first) / drained, behind.again_served / behind.again_clocks
        more = rest * (by_drain * rest / drained + by_burst * rest / tried)
        usable = usable & (chance > _CHANCE)
        return np.where(usable, batch + rest, clocks), np.where(usable, first + more, served)
