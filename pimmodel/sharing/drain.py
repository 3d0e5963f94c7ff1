"""What a host turn serves: the first batch of a fresh backlog, then the drain of the rest.

A backlog built up in a PIM turn lies evenly on the sub-streams, and all rows are closed. The first row opened in each
bank serves its share of it at the pace of activates or columns (`fresh_batch`); many turns are over by then
(`first_columns`). The rest is drained at the service rate of the queue that is left (`DrainCurve`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pimmodel.dram.directions import rows_at_hand
from pimmodel.dram.service import RowTimes, ServiceCurve
from pimmodel.hardware.memory import MemoryTiming
from pimmodel.scenario import Scenario

Floats = NDArray[np.float64]

_NEVER = 1e50  # clocks


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
        """Clocks [clock], and requests served in them [1], from `backlog` down to `level` [1].

        The two are broadcast against each other.
        """
        between = [np.interp(level, self.queued, c) - np.interp(backlog, self.queued, c)
                   for c in (self.clocks, self.served)]  # fmt: skip
        return np.maximum(between[0], 0), np.maximum(between[1], 0)

    def level_after(self, backlog: Floats, *, clocks: Floats | None = None, requests: Floats | None = None) -> Floats:
        """Requests queued [1] when `clocks` [clock] have passed, or `requests` [1] been served, since service began.

        It began with `backlog` requests [1]; all are broadcast against each other.
        """
        above = self.clocks if clocks is not None else self.served
        amount = clocks if clocks is not None else requests
        assert amount is not None
        reached = np.interp(backlog, self.queued, above) + amount
        return np.asarray(np.interp(reached, above[::-1], self.queued[::-1]))


@dataclass(frozen=True)
class FreshBatch:
    """What the first row opened in each bank serves of a fresh backlog; all arrays have the backlog's shape.

    requests : in the batch [1], per_row : of them per row opened [1], change : clocks per request for changes of
    direction [clock]
    """

    requests: Floats
    per_row: Floats
    change: Floats

    def clocks(self, timing: MemoryTiming, count: Floats, *, columns: bool = True) -> Floats:
        """Clocks from the first column to number `count` [1]: activates four by four, or (`columns`) the bus [clock].

        `count` is broadcast against the batch.
        """
        opened = np.maximum(count - 1, 0) / self.per_row
        rounds = np.floor(opened / 4)
        activating = rounds * max(4 * timing.tRRD_S, timing.tFAW) + (opened - 4 * rounds) * timing.tRRD_S
        bus = np.maximum(count - 1, 0) * timing.tCCD_S + count * self.change if columns else 0.0
        return np.asarray(np.maximum(activating, bus))


def fresh_batch(scenario: Scenario, times: RowTimes, backlog: Floats) -> FreshBatch:
    """The first batch of a backlog built up in a PIM turn: evenly on the sub-streams, B/S consecutive requests each.

    `backlog` has any shape [1].
    """
    stream, banks = scenario.stream, scenario.organisation.banks
    opened, wide, rows = rows_at_hand(stream, banks, backlog)
    requests = backlog * np.minimum(1.0, opened / np.maximum(rows, 1e-9))
    w = stream.write_share
    visits = opened / wide
    turns = (1 - w**visits - (1 - w) ** visits) * 2 * (times.turnaround - scenario.timing.tCCD_S)
    return FreshBatch(requests, requests / np.maximum(opened, 1e-9), turns / np.maximum(requests, 1e-9))


def first_columns(
    scenario: Scenario, times: RowTimes, fresh: FreshBatch, wanted: Floats, full: NDArray[np.bool_], residual: float
) -> tuple[Floats, Floats, Floats]:
    """Columns of the fresh batch until the queue is `wanted` requests shorter [1], at most the batch: (columns [1],
    their clocks [clock], requests that arrived meanwhile [1]), arrays of the batch's shape.

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
