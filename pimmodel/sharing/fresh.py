r"""The first batch of a host turn: a backlog built up in a PIM turn, all rows closed.

The backlog lies evenly on the sub-streams. One row per bank is opened at the pace of activates, and serves what is
queued for it; most turns are over by then. Three things decide how long that takes and what it brings:

* directions: columns of one direction go on as long as rows of it are opened within the turn of the bus; those of
  the other wait, their rows open, and then follow at the pace of the bus (`FreshBatch.clocks`);
* arrivals: behind a full window nothing arrives before the first column's data are through (`first_columns`);
* chance: how many banks the rows lie in. A batch of fewer requests than the turn needs leaves the rest to the drain of
  `pimmodel.sharing.drain`; batches are taken as normal variates (`FreshBatch.enough`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pimmodel.dram.service import RowTimes
from pimmodel.hardware.memory import MemoryTiming
from pimmodel.scenario import HostStream, Scenario

Floats = NDArray[np.float64]
_GRID = 96  # clocks at which a full window's batch is looked at
_NEAR = 1e-6  # rounding
_ROUNDS = 4  # of columns against the requests that arrive meanwhile


@dataclass(frozen=True)
class FreshBatch:
    """What the first row opened in each bank serves of a fresh backlog; all arrays have the backlog's shape.

    requests, deviation : in the batch, mean and standard deviation [1]; per_row : of them per row opened [1]
    rows, opened : rows wanted, and opened, one a bank [1]
    pace : clocks from column to column when nothing waits for rows [clock]
    change : clocks per request for changes of direction [clock]
    """

    timing: MemoryTiming
    requests: Floats
    deviation: Floats
    per_row: Floats
    rows: Floats
    opened: Floats
    pace: Floats
    change: Floats

    def activates(self, opened: Floats) -> Floats:
        """Clocks from the first activate until `opened` more, four by four, in the shape of `opened` [clock]."""
        rounds = np.floor(opened / 4)
        rest = opened - 4 * rounds
        return np.asarray(rounds * max(4 * self.timing.tRRD_S, self.timing.tFAW) + rest * self.timing.tRRD_S)

    def clocks(self, count: Floats) -> Floats:
        """Mean clocks from the first column to number `count`: activates, or the bus and its changes; `count` is
        broadcast against the batch [clock]."""
        columns = np.maximum(count - 1, 0)
        return np.maximum(self.activates(columns / self.per_row), columns * self.pace + count * self.change)

    def enough(self, count: Floats) -> tuple[Floats, Floats]:
        """Probability that the batch has `count` requests, and its mean size if it has fewer; `count` is broadcast
        against the batch [1]."""
        z = (count - 0.5 * np.minimum(self.per_row, 1.0) - self.requests) / np.maximum(self.deviation, 1e-6)
        below = _normal(z)
        fewer = self.requests - self.deviation * np.exp(-z * z / 2) / np.sqrt(2 * np.pi) / np.maximum(below, 1e-12)
        return 1 - below, np.clip(np.where(z < -6, count - 1, fewer), 0, np.maximum(count - 0.5, 0))


def _normal(z: Floats) -> Floats:
    """Normal distribution function; error below 1e-4 (Abramowitz and Stegun 26.2.19 in shape, by tanh)."""
    return np.asarray(0.5 * (1 + np.tanh(np.clip(0.7978845608 * (z + 0.044715 * z**3), -20, 20))))


def rows_of_backlog(stream: HostStream, banks: int, queued: Floats) -> tuple[Floats, Floats, Floats]:
    r"""Banks with work, banks per visit, and rows, when q consecutive requests wait, evenly on the sub-streams [1].

    `queued` has any shape. A sub-stream's e = q/S consecutive requests, beginning anywhere in a visit of b banks and n
    columns each, lie in :math:`\min(e,\ b + (e - b)/n)` rows: a visit cut off after r requests has touched min(b, r) of
    its rows.
    """
    active = np.minimum(stream.substreams, np.maximum(queued, 1e-9))
    each = queued / active
    wide = np.minimum(np.minimum(stream.spread, np.maximum(each, 1.0)), banks - 1e-6)
    rows = active * np.minimum(each, stream.spread + np.maximum(each - stream.spread, 0) / stream.columns)
    return banks * (1 - (1 - wide / banks) ** (rows / wide)), wide, rows


def fresh_batch(scenario: Scenario, times: RowTimes, backlog: Floats, away: Floats | float = 0.0) -> FreshBatch:
    """The first batch of a backlog built up in a PIM turn: evenly on the sub-streams, B/S consecutive requests each.

    `backlog` has any shape [1]. away : share of the banks that refresh keeps closed, broadcast against it [1]
    """
    stream, banks = scenario.stream, scenario.organisation.banks
    opened, wide, rows = rows_of_backlog(stream, banks, backlog)
    visits = rows / wide
    empty, both = 1 - opened / banks, np.maximum(1 - 2 * wide / banks, 0) ** visits
    variance = banks * empty + banks * (banks - 1) * both - (banks * empty) ** 2
    variance = np.maximum(variance, 0) + opened * away
    opened = opened * (1 - away)
    per_row = backlog / np.maximum(rows, 1.0)
    requests = backlog * np.minimum(1.0, opened / np.maximum(rows, 1.0))
    w, some = stream.write_share, opened / wide
    mixed = 1 - w**some - (1 - w) ** some if 0 < w < 1 else 0.0 * some
    turns = mixed * 2 * (times.turnaround - scenario.timing.tCCD_S)
    timing, groups = scenario.timing, scenario.organisation.bank_groups
    alone = float(groups) ** -np.maximum(opened - 1, 0)
    pace = timing.tCCD_S + (timing.tCCD_L - timing.tCCD_S) * alone
    return FreshBatch(
        timing=timing,
        requests=requests,
        deviation=np.maximum(per_row * np.sqrt(variance), 0.05),
        per_row=np.maximum(per_row, 1e-9),
        rows=rows,
        opened=np.maximum(opened, 1e-9),
        pace=pace,
        change=turns / np.maximum(requests, 1e-9),
    )


def first_columns(
    scenario: Scenario, times: RowTimes, fresh: FreshBatch, wanted: Floats, full: NDArray[np.bool_], residual: float
) -> tuple[Floats, Floats, Floats]:
    """Columns of a large enough batch until the queue is `wanted` requests shorter: (columns [1], their clocks
    [clock], requests that arrived meanwhile [1]), arrays of the batch's shape, as
    `full`: whether the window is full."""
    count = wanted
    for _ in range(_ROUNDS):
        clocks = fresh.clocks(count)
        arrived = arrivals(scenario, times, count, clocks, full, residual)
        count = wanted + arrived
    return count, clocks, arrived


def arrivals(
    scenario: Scenario, times: RowTimes, count: Floats, clocks: Floats, full: NDArray[np.bool_], residual: float
) -> Floats:
    """Requests that arrive in the `clocks` of the first `count` columns [1]; all are broadcast against each other.

    Behind a full window (`full`) nothing arrives before the first column's data are through, then one request per
    request completed at most.
    """
    rate = scenario.stream.rate
    late = np.maximum(clocks - np.where(full, times.data, 0.0), 0)
    behind = np.minimum(np.maximum(rate * late - residual, 0), count * late / np.maximum(clocks, 1e-9))
    return np.where(full, behind, rate * late)


@dataclass(frozen=True)
class _Ending:
    """A full window's batch that begins with one direction; arrays over `wanted`, meanings as of `FullWindow`, but
    clocks and served times the probability that the batch ends the turn."""

    ends: Floats
    clocks: Floats
    served: Floats
    rest: Floats
    again: Floats
    again_clocks: float
    again_served: float


class FullWindow:
    """The first batch behind a full window, by how many requests shorter the queue is to be, `wanted`, of
    shape (K,) as all that follows.

    ends : probability that the batch ends the turn [1]; clocks : from the first column on, if so [clock]
    served : requests, if so [1]; rest : requests of a batch that does not [1]
    again, again_clocks, again_served : probability that so many columns come within the time from a column to the
        request that takes its place, that time, and its columns: later chances to end the turn [1], [clock], [1]
    """

    def __init__(self, scenario: Scenario, fresh: FreshBatch, wanted: Floats) -> None:
        timing, w = scenario.timing, scenario.stream.write_share
        slots = min(scenario.organisation.banks, math.ceil(float(fresh.opened)) + 4)
        # Requests queued before the others have one more request in the row: they belong to sub-streams served first.
        whole = math.floor(float(fresh.per_row) + _NEAR)
        longer = float(fresh.rows) * (float(fresh.per_row) - whole)
        columns = np.maximum(whole + (np.arange(slots) < longer), 1.0)
        slot_clocks = max(timing.tRRD_S, timing.tFAW / 4, float(columns[0] * fresh.pace))
        # Rows to write are ready sooner after their activate; a row to read is served first if none was opened earlier.
        early = max(timing.tRCDRD - timing.tRCDWR, 0) / slot_clocks
        read = (1 - w) ** (1 + early) if w < 1 else 0.0
        rcd = (1 - w) * timing.tRCDRD + w * timing.tRCDWR
        before = (1 - w) / w * (1 - (1 - w) ** early) if w > 0 else 0.0  # rows opened before the first to write
        parts = [
            (share, begin - rcd, _ending(scenario, fresh, wanted, columns, write))
            for write, share, begin in (
                (0, read, float(timing.tRCDRD)),
                (1, 1 - read, timing.tRCDWR + before * slot_clocks),
            )
            if share > _NEAR
        ]

        def mean(name: str) -> Floats:
            return np.asarray(sum(share * getattr(part, name) for share, _, part in parts))

        self.ends = mean("ends")
        total = np.maximum(self.ends, 1e-9)
        shift = np.asarray(sum(share * begin * part.ends for share, begin, part in parts))
        self.clocks, self.served = (mean("clocks") + shift) / total, mean("served") / total
        left = np.asarray(sum(share * (1 - part.ends) * part.rest for share, _, part in parts))
        self.rest = left / np.maximum(1 - self.ends, 1e-9)
        self.again, self.again_clocks, self.again_served = mean("again"), mean("again_clocks"), mean("again_served")


def _ending(scenario: Scenario, fresh: FreshBatch, wanted: Floats, columns_of_row: Floats, write: int) -> _Ending:
    """A batch that begins with a read (0) or a write (1); `columns_of_row` in order of their activates [1]."""
    timing, rate, slots = scenario.timing, max(scenario.stream.rate, 1e-9), len(columns_of_row)
    pace = float(fresh.pace)
    data = float((timing.CWL if write else timing.CL) + timing.tBL)
    waiting, lost = _waiting(timing, scenario.stream.write_share, slots, round(columns_of_row[0] * pace, 1), write)
    opening = fresh.activates(np.arange(slots, dtype=float)) + lost
    horizon = opening[-1] + columns_of_row[0] * timing.tCCD_L + data
    step = max(1.0, horizon / _GRID)
    clock = np.arange(0, horizon + step, step)
    # Columns served by each clock if all rows had one direction; one bus.
    age = clock[:, None] - opening[None, :]
    columns = np.where(age >= 0, np.minimum(columns_of_row, 1 + np.floor(age / timing.tCCD_L)), 0.0).sum(axis=1)
    columns = clock / pace + np.minimum.accumulate(columns - clock / pace)
    slot = np.searchsorted(opening, clock, side="right") - 1
    opened = slot + 1.0
    rows = np.arange(slots + 1)
    mean = columns * (1 - (waiting * rows).sum(axis=1)[slot] / opened)
    none = np.zeros((slots, 1))
    cumulative = np.concatenate([none, np.cumsum(waiting, axis=1)], axis=1)
    moment = np.concatenate([none, np.cumsum(waiting * rows, axis=1)], axis=1)

    def too_many(count: Floats) -> NDArray[np.int64]:
        """Least number of waiting rows with which fewer than `count` columns have been served."""
        spare = opened[None, :] * (1 - count / np.maximum(columns, 1e-9)[None, :])
        return np.asarray(np.clip(np.floor(spare + _NEAR) + 1, 0, slots + 1), dtype=np.int64)

    # What is generated: one request per interval, from when a column's data are through, and one per column. The
    # columns are those of a turn that is not over yet: the mean over the numbers of waiting rows that keep it going.
    back = data + 1 / rate
    earlier = np.searchsorted(clock, clock - back, side="right") - 1
    most = rate * np.maximum(clock - data, 0)[None, :]
    joined = np.zeros((len(wanted), len(clock)))
    for _ in range(min(_ROUNDS, int(horizon / back) + 1)):
        least = too_many(wanted[:, None] + joined)
        among = cumulative[slot, -1][None, :] - cumulative[slot[None, :], least]
        waits = (moment[slot, -1][None, :] - moment[slot[None, :], least]) / np.maximum(among, 1e-9)
        so_far = np.where(among > _NEAR, columns[None, :] * (1 - waits / opened[None, :]), mean[None, :])
        through = np.where(earlier >= 0, so_far[:, np.maximum(earlier, 0)], 0.0)
        joined = np.maximum.accumulate(np.floor(np.minimum(most, through) + _NEAR), axis=1)
    count = wanted[:, None] + joined
    reached = np.where(np.floor(columns + _NEAR) >= count, cumulative[slot[None, :], too_many(count)], 0.0)
    enough, fewer = fresh.enough(count)
    done = np.maximum.accumulate(np.minimum(reached, enough), axis=1)
    made = np.diff(done, axis=1, prepend=0.0)
    small = 1 - enough[:, -1]
    slow = np.maximum(1 - done[:, -1] - small, 0)
    last = int(np.searchsorted(clock, back, side="right")) - 1
    return _Ending(
        ends=done[:, -1],
        clocks=(made * clock).sum(axis=1),
        served=(made * count).sum(axis=1),
        rest=(small * fewer[:, -1] + slow * fresh.requests) / np.maximum(small + slow, 1e-9),
        again=done[:, last],
        again_clocks=back,
        again_served=float(mean[last]),
    )


@lru_cache(maxsize=1024)
def _waiting(timing: MemoryTiming, w: float, slots: int, busy: float, write: int) -> tuple[Floats, Floats]:
    """Rows of the direction not served that wait, after each activate slot: probabilities of 0, 1 .. rows; and clocks
    lost by then to changes of direction that no slot hides.

    w : share of writes; busy : clocks of a row's columns [clock]; write : direction of the first row
    """
    found = np.zeros((slots, slots + 1))
    if not 0 < w < 1:
        found[:, 0] = 1.0
        return found, np.zeros(slots)
    slot = max(timing.tRRD_S, timing.tFAW / 4, busy)
    wtr = (3 * timing.write_to_read_other_group + timing.write_to_read_same_group) / 4
    turn = (float(timing.read_to_write), wtr)
    patience = [min(max(round(t / slot), 1), 12) for t in turn]
    unhidden = [max(t - max(slot * k, slot - busy), 0) if k == 1 else 0.0 for t, k in zip(turn, patience, strict=True)]
    share = (1 - w, w)
    depth = max(patience)
    state = np.zeros((2, depth, slots + 1))
    state[write, 0, 0] = 1.0
    lost, total = np.zeros(slots), 0.0
    for i in range(slots):
        if i:
            following = np.zeros_like(state)
            for d in (0, 1):
                following[d, 0] += share[d] * state[d].sum(axis=0)
                aged = (1 - share[d]) * state[d]
                following[d, 1:, 1:] += aged[:-1, :-1]
                last = patience[d] - 1
                # the batch has dried up: the other direction's rows, all open by now, follow
                dry = aged[last].sum()
                if last + 1 < depth:
                    following[d, last + 1] = 0.0
                following[1 - d, 0, 0] += dry
                total += dry * unhidden[d]
            state = following
        found[i] = state.sum(axis=(0, 1))
        lost[i] = total
    return found, lost
