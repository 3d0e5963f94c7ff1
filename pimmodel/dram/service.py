r"""Service rate mu(q) of a host stream when only q requests are queued, and sustained rate of a backlogged one.

Two pictures, by what the queue holds of each sub-stream:

- *whole visits* (q above 0.7 S n b): rows are jobs of the banks, which are busy or idle by the chance of where visits
  begin; nothing is fitted (`pimmodel.dram.visits`).
- *parts of visits* (q below 0.4 S n b): a short queue cannot hide row misses. mu(q) is the rate at which the requests
  that wait (Little's law: rate times mean wait) are just the q that are queued:

  .. math:: q = \mu (1 + t_{issue}) + \sum_m B\,P_m\,m\,a\,(t_{open} + W_m)(1 - K_s/q) \ldots,\quad a = \mu / (S\,b)

  summed over the classes of banks by the number m of sub-streams that visit them, P_m binomial with S trials of
  probability b/B (S sub-streams, spread b, B banks), plus the wait for the column bus (`pimmodel.dram.queueing`). The
  right side grows with mu, so the root is unique; it is found on a grid of mu for all q at once. A single sub-stream
  does not wait at random: the sequence of its visits gives the rate (`pimmodel.dram.single`).

In between, the geometric mean weighted by the logarithm of q. Changes of direction are added to the clocks per request
(`pimmodel.dram.directions`), and the activate slots, one server for all banks, limit the result
(`queueing.slot_limited`); where they do, all banks fall behind, and rows are opened as seldom as the backlog allows
(`visits.openings_per_visit`).

Validity: even arrivals, one unified FR-FCFS queue, open page, starvation cap 16. Neglected: the order in which
sub-streams arrive (neighbours in the round); that the window stops all sub-streams for one that waits, which makes
arrivals bursty; banks that stay overloaded longer than a visit; refresh (see `refreshed`).

Known error against the reference simulator, 500 random streams of the documented domain (seed 7002; no constant was
fitted to them, but a few served to check `visits.openings_per_visit`), refresh off: median 2.5 %, p95 13 %, worst 31 %
at a random q; sustained with the window full: median 2.0 %, p95 11 %, worst 22 % (one direction 1.2, 7.6 and 16 %,
mixed 2.6, 12 and 22 %). Worst where two or three sub-streams of wide or long visits meet in the same banks for the
whole visit, and for short queues of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pimmodel.dram import queueing as parts
from pimmodel.dram import visits
from pimmodel.dram.directions import changes_per_column, direction_gap, idle_slots, mixed_interval
from pimmodel.dram.refresh import per_bank_share, refresh_availability
from pimmodel.dram.rows import activate_interval, row_cycle
from pimmodel.dram.single import single_rate
from pimmodel.hardware.memory import MemoryTiming, Organisation
from pimmodel.scenario import HostStream

Floats = NDArray[np.float64]
_GRID = 400  # points of mu; the root is interpolated between them
PARTS, WHOLE = 0.4, 0.7  # visits in the queue per sub-stream: below, parts of visits; above, whole visits


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
    return _service_curve(timing, anonymous, longest, banks or organisation.banks, organisation.bank_groups)


@lru_cache(maxsize=512)
def _service_curve(
    timing: MemoryTiming, stream: HostStream, longest: int, banks: int, groups: int, closed: bool = True
) -> ServiceCurve:
    """`service_curve`; closed: q requests are always there, else on average, as many as it may be at times."""
    times, spread, bus = row_times(timing, stream), min(stream.spread, banks), float(timing.tCCD_S)
    q = np.arange(1.0, longest + 1)
    whole = whole_visits(stream, spread, q) if closed else np.zeros_like(q)
    behind = visits.openings_per_request(stream, banks, spread, q)
    short, slots, per_request = _part_visits(timing, stream, times, banks, spread, q, behind)
    bank = visits.deep_bank_rate(
        timing, stream, times.row_time, times.switch_row, times.opening, banks, spread, q, behind
    )  # fmt: skip
    interval = short ** (whole - 1) * parts.bank_and_bus(bank=bank, column_gap=bus) ** whole
    slots = slots ** (1 - whole) * (times.activate_gap * behind) ** whole
    per_request = per_request ** (1 - whole) * behind**whole
    if 0 < stream.write_share < 1:
        changes = changes_per_column(stream, q, per_request, banks)
        opened = np.maximum(interval, slots) / per_request
        some = np.unique(np.round(np.geomspace(1, longest, 24)))  # the gap varies slowly
        gap = np.interp(q, some, direction_gap(timing, stream, groups, banks, some))
        interval = mixed_interval(
            pure=np.maximum(interval, gap), column_gap=gap, changes=changes, turnaround=times.turnaround,
            visit_columns=1 / per_request,
        )  # fmt: skip
        slots = idle_slots(slot_interval=slots, changes=changes, turnaround=times.turnaround, interval=opened)
    bank_share = 1 - whole * parts.bus_share(bank=bank, column_gap=bus)
    rate = 1 / parts.slot_limited(interval=interval, slot_interval=slots, bank_share=bank_share)
    if stream.substreams == 1:
        rate = _alone(timing, stream, times, banks, spread, q) ** (1 - whole) * rate**whole
    rate = np.maximum.accumulate(rate)
    return ServiceCurve(np.concatenate([[0.0], rate]), np.concatenate([per_request[:1], per_request]))


def whole_visits(stream: HostStream, spread: int, queued: Floats) -> Floats:
    """0 where `queued` requests are parts of visits only, 1 where they are whole ones; of the same shape [1]."""
    held = queued / (stream.substreams * spread * stream.columns)
    return np.asarray(np.clip(np.log(held / PARTS) / np.log(WHOLE / PARTS), 0, 1))


def _part_visits(
    timing: MemoryTiming, stream: HostStream, times: RowTimes, banks: int, spread: int, q: Floats, behind: Floats
) -> tuple[Floats, Floats, Floats]:
    """For a queue that holds parts of visits: rate without the limit of the activate slots, clocks per request at that
    limit, and activates per request; for every q.

    Activate slots are one server for all banks: a limit of its own, beside what banks and bus allow without it. Where
    it decides, all banks fall behind, and rows are opened as seldom as the backlog allows.
    """  # fmt: skip
    mu = _grid(timing, stream, times, banks)
    own, waits, activates = _bank_content(timing, stream, times, banks, spread, mu)
    waits += np.where(mu * timing.tCCD_S < 1, parts.bus_wait(service=mu, column_gap=float(timing.tCCD_S)), np.inf)
    content = own + parts.ISSUE * mu + waits * (1 - parts.K_SELF / q[:, None])
    rate = _roots(np.maximum.accumulate(content, axis=1), q, mu)
    fewest = np.minimum(activates / mu, behind[:, None])
    over = mu * times.activate_gap * fewest > 1
    slots = np.where(over.any(axis=1), 1 / mu[over.argmax(axis=1)], 1e-3)
    at = np.clip(np.searchsorted(mu, np.minimum(rate, 1 / slots)), 0, len(mu) - 1)
    return rate, slots, fewest[np.arange(len(q)), at]


def _alone(
    timing: MemoryTiming, stream: HostStream, times: RowTimes, banks: int, spread: int, q: Floats,
    data_latency: float = 0.0,
) -> Floats:  # fmt: skip
    """Rates of a single sub-stream: `single.single_rate`."""
    return single_rate(
        timing, stream, times.opening, times.switch_row, times.turnaround, times.activate_gap, banks, spread, q,
        data_latency,
    )  # fmt: skip


def _grid(timing: MemoryTiming, stream: HostStream, times: RowTimes, banks: int) -> Floats:
    """Rates from almost none to what columns and banks allow, denser towards that end."""
    limit = min(1 / timing.tCCD_S, banks * stream.columns / times.visit_time)
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
        return mu * times.opening, waits, mu.copy()
    m = np.arange(1, substreams + 1)[:, None]
    expected = banks * visits.binomial(substreams, spread / banks)[1:, None]  # banks of each class
    a = mu / (substreams * spread)
    alone = m == 1
    row = {"columns": n, "visit_rate": a, "sharers": m, "switch_row": times.switch_row, "row_time": times.row_time,
           "tCCD_L": float(timing.tCCD_L)}  # fmt: skip
    batch = np.where(alone, n, parts.shared_batch(**row))
    with np.errstate(divide="ignore", invalid="ignore"):
        shared = parts.shared_wait(opening=times.opening, visit_time=times.visit_time, **row)
    first = parts.own_opening_wait(columns=n, visit_rate=a, opening=times.opening, tCCD_L=float(timing.tCCD_L))
    # A saturated bank's openings are inside its cycle; one that keeps up pays one per request.
    own = (expected * m * a * np.where(alone, first, times.opening)).sum(axis=0)
    waits = (expected * m * a * np.where(alone, 0.0, shared)).sum(axis=0)
    activates = (expected * m * a / batch).sum(axis=0)
    return own, waits, activates


def _roots(content: Floats, q: Floats, mu: Floats) -> Floats:
    """For each q the mu at which `content[q]` reaches it, interpolated."""
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
    return rate


def refreshed(timing: MemoryTiming, refresh: str, banks: int, reopen: float) -> float:
    """Share of time that refresh leaves to a backlogged stream [1].

    All-bank: tRFC and the re-opening of the rows (`reopen` clocks) every tREFI. Per-bank: each bank is away for tRFCpb
    plus `reopen` once per `banks` refreshes; the other banks fill most of the gap, so the loss is about that of one
    bank in `banks` (`refresh.per_bank_share` looks closer, for a window).
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
    queued = np.array([np.interp(window, outstanding, q)])
    rate, size = curve.at(queued), banks or organisation.banks
    if stream.substreams == 1 and queued[0] >= 1:  # data in flight follow the stalls, not the mean rate
        spread = min(stream.spread, size)
        alone = _alone(timing, stream, times, size, spread, np.array([float(window)]), times.data)
        alone = np.minimum(alone / _alone(timing, stream, times, size, spread, queued), 1 / rate / timing.tCCD_S)
        rate = rate * alone ** (1 - whole_visits(stream, spread, queued))
    if refresh == "per-bank":
        slots = float(rate[0] * np.interp(queued[0], q, curve.activates_per_request)) * times.activate_gap
        return float(rate[0]) * per_bank_share(
            timing, stream, size, window, curve.rate, outstanding, float(rate[0]) * timing.tCCD_S, min(slots, 1.0)
        )  # fmt: skip
    # A refresh of all banks waits for the row opened last: on average half of tRAS.
    return float(rate[0]) * refreshed(timing, refresh, size, times.opening + timing.tRAS / 2)


def open_loop_latency(
    timing: MemoryTiming, organisation: Organisation, stream: HostStream, refresh: str = "off"
) -> float:
    """Mean clocks from generation to the last data beat at the stream's own rate, without a window [clock].

    .. math:: T(\\lambda) = q(\\lambda)/\\lambda + t_{data},\\quad \\mu(q(\\lambda) - L_{act}) = \\lambda

    Little's law on the queue: the mean backlog at throughput lambda is the q whose service rate is lambda, plus what
    waits for activate slots (`queueing.slot_wait`), which in an open queue are not always fully used or free. A refresh
    delays what arrives in its tRFC by half of it, and what piles up meanwhile. Infinite where lambda cannot be served.

    Validity: even arrivals; random arrivals wait longer. Known error, uniform random reads on 16 banks, 5 to 64 clocks
    apart, against two public simulators: +1.9 to +6.6 % without refresh, -14 to +6.5 % with it (tests/dram).
    Source: Little, Operations Research 9(3), 1961.
    """
    rate, longest = stream.rate, 512
    anonymous, times = stream.model_copy(update={"rate": 0.0, "arrival": "even"}), row_times(timing, stream)
    curve = _service_curve(timing, anonymous, longest, organisation.banks, organisation.bank_groups, closed=False)
    available = refreshed(timing, refresh, organisation.banks, times.opening + timing.tRAS)
    if rate >= curve.rate[-1] * available:
        return float("inf")
    queued = float(np.interp(rate, curve.rate, np.arange(longest + 1.0)))
    activates = float(np.interp(queued, np.arange(longest + 1.0), curve.activates_per_request)) * rate
    activates = min(activates, 0.97 / times.activate_gap)
    queued += float(parts.slot_wait(activates=activates, activate_gap=times.activate_gap))
    latency = queued / rate + times.data
    if refresh == "all-bank":
        # A share tRFC / tREFI of the requests waits tRFC / 2, and as long again for the backlog to drain.
        drain = 1 / max(1e-9, 1 - rate / curve.rate[-1])
        latency += timing.tRFC / timing.tREFI * timing.tRFC / 2 * drain
    return float(latency)
