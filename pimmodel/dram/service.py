r"""Service rate mu(q) of a host stream when only q requests are queued, and sustained rate of a backlogged one.

A short queue cannot hide row misses. mu(q) is the rate at which the requests that wait (Little's law: rate times
mean wait) are just the q that are queued:

.. math:: q = \mu (1 + t_{issue}) + \sum_m B\,P_m\,m\,a\,(t_{open} + W_m)(1 - K_s/q) \ldots,\quad a = \mu / (S\,b)

summed over the classes of banks by the number m of sub-streams that visit them, P_m binomial with S trials of
probability b/B (S sub-streams, spread b, B banks), plus the wait for the column bus (`pimmodel.dram.queueing`). The
right side grows with mu, so the root is unique; it is found on a grid of mu for all q at once. Changes of direction are
added to the clocks per request (`pimmodel.dram.directions`), and the activate slots, one server for all banks that
works on while the bus turns, limit the result (`slot_limited`). A single sub-stream does not wait at random: where the
queue is shorter than its visit, the sequence of the visit gives the rate (`queueing.single_stream_interval`).

Validity: even arrivals, one unified FR-FCFS queue, open page, starvation cap 16. Neglected: the order in which
sub-streams arrive (neighbours in the round), group conflicts on the column bus, banks that stay overloaded longer than
a visit, refresh (see `refreshed`).

Known error against the reference simulator, 960 random streams of the documented domain not used for the fit (see
`queueing`), refresh off: median 3.6 %, p95 18 %, worst 66 % at a random q; sustained with the window full: median
3.8 %, p95 17 %, worst 39 %. Worst where two to four sub-streams of wide or long visits meet in the same banks for the
whole visit, and for short queues of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pimmodel.dram import queueing as parts
from pimmodel.dram.directions import changes_per_column, mixed_interval
from pimmodel.dram.refresh import refresh_availability
from pimmodel.dram.rows import activate_interval, row_cycle
from pimmodel.hardware.memory import MemoryTiming, Organisation
from pimmodel.scenario import HostStream

Floats = NDArray[np.float64]
_GRID = 400  # points of mu; the root is interpolated between them


@dataclass(frozen=True)
class RowTimes:
    """Clocks of a stream's row visits, averaged over its reads and writes [clock]."""

    opening: float
    switch_row: float
    row_time: float
    visit_time: float
    activate_gap: float
    turnaround: float
    data: float  # column command to last data beat


def row_times(timing: MemoryTiming, stream: HostStream) -> RowTimes:
    """Row times of a stream, from the timing of its part."""
    w = stream.write_share
    tails = (timing.tRTP, timing.write_to_precharge)
    rcds = (timing.tRCDRD, timing.tRCDWR)

    def mean(read: float, write: float) -> float:
        return float((1 - w) * read + w * write)

    def cycle(columns: int) -> float:
        read, write = (
            row_cycle(columns=columns, tCCD_L=timing.tCCD_L, tRCD=rcd, tail=tail, tRP=timing.tRP, tRC=timing.tRC)
            for rcd, tail in zip(rcds, tails, strict=True)
        )
        return mean(read, write)

    opening = timing.tRP + mean(*rcds)
    wtr = (3 * timing.write_to_read_other_group + timing.write_to_read_same_group) / 4
    switch_row = opening + mean(*tails)
    return RowTimes(
        opening=opening,
        switch_row=switch_row,
        row_time=cycle(1),
        visit_time=max(cycle(1), switch_row + (stream.columns - 1) * timing.tCCD_L),
        activate_gap=float(activate_interval(tRRD=timing.tRRD_S, tFAW=timing.tFAW)),
        turnaround=(timing.read_to_write + wtr) / 2,
        data=mean(timing.CL, timing.CWL) + timing.tBL,
    )


@dataclass(frozen=True)
class ServiceCurve:
    """mu(q) of one stream on one part.

    rate : with q requests queued, q = 0 .. Q, shape (Q + 1,) [1/clock]
    activates_per_request : likewise, shape (Q + 1,) [1]
    """

    rate: Floats
    activates_per_request: Floats

    def at(self, queued: float | Floats) -> Floats:
        """mu at any (also fractional) q, shape of `queued` [1/clock]."""
        return np.asarray(np.interp(queued, np.arange(len(self.rate)), self.rate))


def service_curve(
    timing: MemoryTiming, organisation: Organisation, stream: HostStream, longest: int, banks: int | None = None
) -> ServiceCurve:
    """mu(q) for q = 0 .. longest.

    Parameters
    ----------
    timing, organisation : the part
    stream : the host stream; its rate does not matter
    longest : largest q wanted [1]
    banks : banks that the stream may use (default: all)
    """
    anonymous = stream.model_copy(update={"rate": 0.0, "arrival": "even"})  # one cache entry for all rates
    return _service_curve(timing, anonymous, longest, banks or organisation.banks)


@lru_cache(maxsize=512)
def _service_curve(timing: MemoryTiming, stream: HostStream, longest: int, banks: int) -> ServiceCurve:
    times = row_times(timing, stream)
    spread = min(stream.spread, banks)
    mu = _grid(timing, stream, times, banks)
    q = np.arange(1.0, longest + 1)
    _, per_request = _queue_roots(timing, stream, times, banks, spread, mu, q)
    # Activate slots are one server for all banks: a limit of its own, beside what banks and bus allow without it.
    free = replace(times, activate_gap=1e-3)
    rate, _ = _queue_roots(timing, stream, free, banks, spread, _grid(timing, stream, free, banks), q)
    if 0 < stream.write_share < 1:
        some = np.unique(np.round(np.geomspace(1, longest, 24)))  # the changes vary slowly
        changes = np.interp(q, some, changes_per_column(
            timing, stream, some, np.interp(some, q, 1 / per_request), times.activate_gap, times.row_time,
            times.switch_row, banks,
        ))  # fmt: skip
        rate = 1 / mixed_interval(
            pure=1 / rate, column_gap=float(timing.tCCD_S), changes=changes, turnaround=times.turnaround
        )
    rate = parts.slot_limited(service=rate, activate_gap=times.activate_gap, activates_per_request=per_request)
    if stream.substreams == 1 and stream.columns > 1:
        rate = _single(timing, stream, times, spread, banks, q, rate)
    rate = np.maximum.accumulate(rate)
    return ServiceCurve(np.concatenate([[0.0], rate]), np.concatenate([per_request[:1], per_request]))


def _queue_roots(
    timing: MemoryTiming, stream: HostStream, times: RowTimes, banks: int, spread: int, mu: Floats, q: Floats
) -> tuple[Floats, Floats]:
    """mu at which q requests wait, and activates per request there, for every q."""
    own, waits, activates = _bank_content(timing, stream, times, banks, spread, mu)
    waits += np.where(mu * timing.tCCD_S < 1, parts.bus_wait(service=mu, column_gap=float(timing.tCCD_S)), np.inf)
    content = own + parts.ISSUE * mu + waits * (1 - parts.K_SELF / q[:, None])
    return _roots(np.maximum.accumulate(content, axis=1), q, mu, activates / mu)


def _single(
    timing: MemoryTiming, stream: HostStream, times: RowTimes, spread: int, banks: int, q: Floats, rate: Floats
) -> Floats:
    """Rates of a single sub-stream: those of its visit's sequence where the queue is shorter than a visit."""
    again = spread / banks  # share of a visit's banks that the visit before has just used
    interval = parts.single_stream_interval(
        columns=float(stream.columns), wide=float(spread), queued=q,
        column_gap=float(timing.tCCD_S if spread > 1 else timing.tCCD_L),
        opening=times.opening + again * (times.switch_row - times.opening), turnaround=times.turnaround,
        changes=2 * stream.write_share * (1 - stream.write_share), activate_gap=times.activate_gap,
    )  # fmt: skip
    return np.where(q < stream.columns * spread, 1 / interval, rate)


def _grid(timing: MemoryTiming, stream: HostStream, times: RowTimes, banks: int) -> Floats:
    """Rates from almost none to what columns, activates and banks allow, denser towards that end."""
    limit = min(
        1 / timing.tCCD_S, stream.columns / times.activate_gap, banks * stream.columns / times.visit_time
    )  # fmt: skip
    x = np.linspace(0, 1, _GRID + 1)[1:-1]
    return limit * np.concatenate([np.geomspace(1e-3, 0.02, 20)[:-1], 0.02 + 0.98 * (1 - (1 - x) ** 2)])


def _bank_content(
    timing: MemoryTiming, stream: HostStream, times: RowTimes, banks: int, spread: int, mu: Floats
) -> tuple[Floats, Floats, Floats]:
    """Requests in the queue at rate mu for their own openings, for others', and activates per clock; shapes of mu."""
    n, substreams = float(stream.columns), stream.substreams
    if stream.columns == 1:
        busy = mu * times.row_time / banks
        waits = mu * times.row_time * busy / (2 * (1 - busy)) * 2 * parts.K_QUEUE
        waits = waits + parts.slot_wait(activates=mu, activate_gap=times.activate_gap)
        return mu * times.opening, waits, mu.copy()
    m = np.arange(1, substreams + 1)[:, None]
    expected = banks * _binomial(substreams, spread / banks)[1:, None]  # banks of each class
    a = mu / (substreams * spread)
    alone = m == 1
    openings = np.where(alone, n, np.clip(m * a * times.row_time, 1, n))
    unloaded = (expected * m * a / openings).sum(axis=0)
    conflicts = float((expected * np.where(alone, 1 / n, 1)).sum())
    loaded = parts.loaded_row(
        row_time=times.row_time, activate_gap=times.activate_gap, activates=unloaded, banks=conflicts
    )
    row = {"columns": n, "visit_rate": a, "sharers": m, "switch_row": times.switch_row, "loaded_row_time": loaded,
           "tCCD_L": float(timing.tCCD_L)}  # fmt: skip
    batch = np.where(alone, n, parts.shared_batch(**row))
    with np.errstate(divide="ignore", invalid="ignore"):
        shared = parts.shared_wait(opening=times.opening, row_time=times.row_time, visit_time=times.visit_time, **row)
    first = parts.own_opening_wait(columns=n, visit_rate=a, opening=times.opening, tCCD_L=float(timing.tCCD_L))
    # A saturated bank's openings are inside its cycle; one that keeps up pays one per request.
    own = (expected * m * a * np.where(alone, first, times.opening)).sum(axis=0)
    waits = (expected * m * a * np.where(alone, 0.0, shared)).sum(axis=0)
    activates = (expected * m * a / batch).sum(axis=0)
    busy = mu * times.visit_time / (banks * n)
    left = np.maximum(0.0, times.opening + n * timing.tCCD_L - n / a)
    waits += parts.K_LEFT * mu * mu / n / banks * left**2 / 2 / (1 - busy)
    waits += parts.slot_wait(activates=mu / n, activate_gap=times.activate_gap)
    capped = np.minimum(activates, 0.9 / times.activate_gap)
    waits += parts.K_ACTIVATE * activates / capped * parts.slot_wait(activates=capped, activate_gap=times.activate_gap)
    return own, waits, activates


def _binomial(trials: int, probability: float) -> Floats:
    """Binomial probabilities of 0 .. trials [1]."""
    if probability >= 1:
        return np.asarray(np.eye(trials + 1)[trials])
    weights = np.ones(trials + 1)
    for k in range(1, trials + 1):
        weights[k] = weights[k - 1] * (trials - k + 1) / k * probability / (1 - probability)
    return np.asarray(weights * (1 - probability) ** trials)


def _roots(content: Floats, q: Floats, mu: Floats, per_request: Floats) -> tuple[Floats, Floats]:
    """For each q the mu at which `content[q]` reaches it, interpolated; and activates per request there."""
    rate = np.empty(len(q))
    for i, wanted in enumerate(q):
        row = content[i]
        j = int(np.searchsorted(row, wanted))
        if j == 0:
            rate[i] = mu[0] * wanted / row[0]
        elif j >= len(mu) or not np.isfinite(row[j]):
            rate[i] = mu[min(j, len(mu)) - 1]
        else:
            rate[i] = mu[j - 1] + (mu[j] - mu[j - 1]) * (wanted - row[j - 1]) / max(row[j] - row[j - 1], 1e-12)
    return rate, np.interp(rate, mu, per_request)


def refreshed(timing: MemoryTiming, refresh: str, banks: int, reopen: float) -> float:
    """Share of time that refresh leaves to a backlogged stream [1].

    All-bank: tRFC and the re-opening of the rows (`reopen` clocks) every tREFI. Per-bank: each bank is away for tRFCpb
    plus `reopen` once per `banks` refreshes; the other banks fill most of the gap, so the loss is that of one bank in
    `banks`.
    """
    if refresh == "all-bank":
        return float(refresh_availability(tRFC=timing.tRFC + reopen, tREFI=timing.tREFI))
    if refresh == "per-bank":
        return 1 - (timing.tRFCpb + reopen) / (timing.tREFIpb * banks)
    return 1.0


def sustained_rate(
    timing: MemoryTiming, organisation: Organisation, stream: HostStream, window: int, refresh: str = "off",
    banks: int | None = None, capacity: int | None = None,
) -> float:  # fmt: skip
    """Requests per clock of a backlogged stream with at most `window` outstanding [1/clock].

    Outstanding requests are queued or in flight: q + mu(q) x (column to last data beat) = window; the queue holds at
    most `capacity`.
    """
    curve = service_curve(timing, organisation, stream, min(window, capacity or window), banks)
    times = row_times(timing, stream)
    q = np.arange(len(curve.rate), dtype=float)
    outstanding = q + curve.rate * times.data
    queued = float(np.interp(window, outstanding, q))
    reopen = times.opening + timing.tRAS
    return float(curve.at(queued)) * refreshed(timing, refresh, banks or organisation.banks, reopen)


def open_loop_latency(
    timing: MemoryTiming, organisation: Organisation, stream: HostStream, refresh: str = "off"
) -> float:
    """Mean clocks from generation to the last data beat at the stream's own rate, without a window [clock].

    .. math:: T(\\lambda) = q(\\lambda)/\\lambda + t_{data},\\quad \\mu(q(\\lambda)) = \\lambda

    Little's law on the queue: the mean backlog at throughput lambda is the q whose service rate is lambda. A refresh
    delays what arrives in its tRFC by half of it, and what piles up meanwhile. Infinite where lambda cannot be served.

    Validity: even arrivals; random arrivals wait longer. Known error, uniform random reads on 16 banks, 5 to 64 clocks
    apart, against two public simulators: -0.7 to +6.2 % without refresh, -16 to +6.2 % with it (tests/dram).
    Source: Little, Operations Research 9(3), 1961.
    """
    rate, longest = stream.rate, 512
    curve, times = service_curve(timing, organisation, stream, longest), row_times(timing, stream)
    available = refreshed(timing, refresh, organisation.banks, times.opening + timing.tRAS)
    if rate >= curve.rate[-1] * available:
        return float("inf")
    queued = float(np.interp(rate, curve.rate, np.arange(longest + 1.0)))
    latency = queued / rate + times.data
    if refresh == "all-bank":
        # A share tRFC / tREFI of the requests waits tRFC / 2, and as long again for the backlog to drain.
        drain = 1 / max(1e-9, 1 - rate / curve.rate[-1])
        latency += timing.tRFC / timing.tREFI * timing.tRFC / 2 * drain
    return float(latency)
