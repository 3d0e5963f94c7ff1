r"""`uncoordinated`: host and PIM share all banks, and each closes the other's rows once a column came from them.

The PIM's work is cut into *cycles*: the steps that it makes between two contests (`pimmodel.sharing.contest`) for the
same set of banks. A set has to be opened again because the PIM itself goes to another row, because the host took a bank
while other operands were at work, or because the host closed it between two steps (`losses_between_steps`). In every
cycle the host opens x rows in each bank of the set, for c requests each. All banks get the same share of its requests,
so that the set paces the host:

.. math:: \lambda_{host} = \frac{B\,c\,x(q)}{T(q)}

with B banks, T clocks of the cycle, q requests waiting for banks of the set. Solved for q: if the host is served all it
asks for with q below what its window holds, it is not held up; else q is what the window holds. Rows opened in advance
(hidden row switch) the host may not close before the PIM has used them; what waits for them fills the window too.

Per-bank refresh takes each bank away for longer than most cycles last, and the PIM, in lockstep, can only step while no
bank of its set is away: the steps that fit between two refreshes of the set, if the set is regained in time.

Neglected: that some banks are starved (see `contest`); the order of a pass's cycles; which of its reads and writes a
host serves first. Known error of a pair's time: see `uncoordinated`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise

import numpy as np

from pimmodel.dram.refresh import stream_availability
from pimmodel.dram.rows import activate_interval
from pimmodel.dram.service import row_times
from pimmodel.pim.kernel import kernel_speed
from pimmodel.pim.order import rows_of
from pimmodel.pim.recurrence import Delays, Recurrence
from pimmodel.scenario import PimPass, Scenario
from pimmodel.sharing.column_path import column_capacity, delays_of, host_pace
from pimmodel.sharing.contest import ROUNDS, Contest, losses_between_steps, regain_time, waiting
from pimmodel.sharing.partition import host_beside

_TURNS, _HALVINGS = 5, 16  # of the two rates against each other; of the interval in which the host's backlog lies
_SHARES = 20  # the PIM's progress is taken to the nearest of so many parts where it decides what the host can have


@dataclass(frozen=True)
class Cycle:
    """Steps between two contests for the same banks.

    count : cycles in a pass [1]; steps : column steps of one [1]; segment : of them without a break in one bank [1]
    own, work : clocks of the segment of one set, and until its next one if nothing is lost [clock]
    reopen : last step to next step, all closed and opened again at once: tail, tRP, tRCD [clock]
    banks : banks of the sets [1]; change : whether the PIM goes to other rows anyway
    ahead : whether these rows are opened behind the steps before
    """

    count: float
    steps: float
    segment: float
    own: float
    work: float
    reopen: float
    banks: int
    change: bool
    ahead: bool = False


@dataclass(frozen=True)
class Ahead:
    """Rows that a pass opens behind the steps of the row before (hidden row switch).

    banks : share of all banks that hold such rows [1]; changes : share of row changes that find their row open [1]
    """

    banks: float = 0.0
    changes: float = 0.0


def rows_ahead(scenario: Scenario) -> list[Ahead]:
    """`Ahead` of every pass: of the banks of the next row, those that the present one does not use."""
    kernel, banks = scenario.kernel, scenario.organisation.banks
    if kernel.row_switch != "hidden":
        return [Ahead() for _ in kernel.passes]
    per_unit, total = banks // kernel.units, sum(one.rows for one in kernel.passes)
    of_row = [i for i, one in enumerate(kernel.passes) for _ in range(one.rows)]
    held, changes = [0.0] * len(kernel.passes), [0.0] * len(kernel.passes)
    for row, following in pairwise(islice(rows_of(kernel, per_unit), per_unit * total + 1)):
        i = of_row[row.serial % total]
        weight = 1 / (per_unit * kernel.passes[i].rows)
        held[i] += weight * len(set(following.banks) - set(row.banks)) / per_unit
        changes[i] += weight * (following.banks[0] not in row.banks)
    return [Ahead(*both) for both in zip(held, changes, strict=True)]


def cycles_of(scenario: Scenario, one: PimPass, delays: Delays, ahead: float = 0.0) -> Iterator[Cycle]:
    """Cycles of a pass, whose steps are held back by the host's columns by `delays`.

    `ahead` is the share of row changes that find their row opened in advance [1].
    """
    timing, kernel = scenario.timing, scenario.kernel
    tails, opens = (timing.tRTP, timing.write_to_precharge), (timing.tRCDRD, timing.tRCDWR)
    turn = timing.write_to_read_same_group if kernel.write_to_read is None else kernel.write_to_read
    least = (
        (kernel.cadence, max(kernel.cadence, kernel.read_to_write or 0)),
        (max(kernel.cadence, turn), kernel.cadence),
    )
    gaps = [[least[a][b] + delays.steps[a][b] for b in (0, 1)] for a in (0, 1)]
    writes = [int(operand.write) for operand in one.operands]
    following = [*writes[1:], writes[0]]
    k, columns = len(writes), kernel.columns_per_row
    batches = 1 if k == 1 else math.ceil(columns / min(kernel.registers, columns))
    batch = columns / batches
    if k > 1 and kernel.placement == "distinct":
        work = sum((batch - 1) * gaps[w][w] + gaps[w][v] for w, v in zip(writes, following, strict=True))
        own = sum((batch - 1) * gaps[w][w] for w in writes) / k
        reopen = sum(tails[w] + opens[w] for w in writes) / k + timing.tRP
        sets = kernel.units * k
        if batches > 1:
            yield Cycle(one.rows * (batches - 1), batch * k, batch, own, work, reopen, sets, False)
        changes, shape = one.rows, (batch * k, batch, work, work, reopen, sets, True)
        yield from (Cycle(changes * part, *shape, early) for part, early in ((ahead, True), (1 - ahead, False)) if part)
        return
    for i, (w, v) in enumerate(zip(writes, following, strict=True)):
        own = (batch - 1) * gaps[w][w]
        shape = (batch, batch, own, own + gaps[w][v], tails[w] + timing.tRP + opens[v], kernel.units, True)
        early = one.rows * ahead if i == k - 1 else 0.0
        if early:
            yield Cycle(early, *shape, True)
        if one.rows * batches > early:
            yield Cycle(one.rows * batches - early, *shape)


class _Meeting:
    """Host and PIM of one scenario in all banks."""

    def __init__(self, scenario: Scenario) -> None:
        timing, kernel, stream = scenario.timing, scenario.kernel, scenario.stream
        self.scenario, self.banks = scenario, scenario.organisation.banks
        self.window = min(scenario.queue.window, scenario.queue.capacity)
        self.slot = float(activate_interval(tRRD=timing.tRRD_S, tFAW=timing.tFAW))
        self.times, w = row_times(timing, stream), stream.write_share
        self.host_opening = (1 - w) * timing.tRCDRD + w * timing.tRCDWR
        self.host_tail = (1 - w) * timing.tRTP + w * timing.write_to_precharge
        operands = [operand for one in kernel.passes for operand in one.operands]
        self.writes = sum(operand.write for operand in operands) / len(operands)
        self.ahead = rows_ahead(scenario)
        self.apart = Recurrence(timing, scenario.organisation, kernel, scenario.refresh).apart
        self.pace = host_pace(timing, stream, scenario.queue.window)
        self.room = column_capacity(timing, scenario.organisation, kernel, scenario.refresh, 0, w, self.pace, 1.0)
        self.alone = kernel_speed(timing, scenario.organisation, kernel, scenario.refresh).rate
        self._served: dict[int, tuple[float, float]] = {}

    def served(self, progress: float) -> tuple[float, float]:
        """Requests per clock of the host beside steps that close none of its rows, and its activates per request.

        `progress` is the share of the PIM's rate alone [1].
        """
        part = round(min(progress, 1.0) * _SHARES)
        if part not in self._served:
            timing, share = self.scenario.timing, part / _SHARES
            room = share * self.room + (1 - share) / timing.tCCD_S
            self._served[part] = host_beside(self.scenario, timing, self.banks, room)
        return self._served[part]

    def columns(self, queued: float, share: float) -> float:
        """Requests per row that the host opens when `queued` wait for `share` of the banks [1].

        Those that wait for the row, spread at random; as long as they follow each other before the row may be
        precharged, else as far as tRAS lasts. A write is through, and another request generated, before its row may be
        precharged: of each S b of them one finds its row still open.
        """
        timing, stream = self.scenario.timing, self.scenario.stream
        each = max(queued / (stream.substreams * stream.spread * share), 1e-6)
        found = min(each / -math.expm1(-each), float(stream.columns))
        if timing.tCCD_L >= self.host_tail:
            found = min(found, 1 + (timing.tRAS - self.host_opening) / timing.tCCD_L)
        fed = 1 - 1 / (stream.substreams * stream.spread)
        written = min(found / fed, float(stream.columns)) if fed else float(stream.columns)
        return (1 - stream.write_share) * found + stream.write_share * written

    def gap_share(self, host: float) -> float:
        """Share of steps behind which a row may be precharged, beside `host` columns per clock [1]."""
        timing, kernel, w = self.scenario.timing, self.scenario.kernel, self.scenario.stream.write_share
        turn, same = timing.write_to_read_same_group, timing.tCCD_L
        between = min(1.0, host * kernel.cadence)  # steps that a host column goes before
        found = 0.0
        for write, share in ((False, 1 - self.writes), (True, self.writes)):
            tail = timing.write_to_precharge if write else timing.tRTP
            if kernel.cadence > tail:
                found += share
                continue
            for host_write, part in ((False, 1 - w), (True, w)):
                gap = (turn if write and not host_write else same) + (turn if host_write and not write else same)
                found += share * part * between * (gap > tail)
        return found

    def cycle(self, cycle: Cycle, queued: float, columns: float, host: float) -> tuple[float, float]:
        """Clocks of a cycle, and host rows opened in each bank meanwhile [1], with `queued` requests waiting [1]."""
        timing, kernel, stream = self.scenario.timing, self.scenario.kernel, self.scenario.stream
        covered = max(1.0, min(cycle.banks, stream.spread * cycle.banks / self.banks))
        contest = Contest.of(waiting(queued / columns / cycle.banks, cycle.banks, covered))
        host_row = self.host_opening + (columns - 1) * timing.tCCD_L + self.host_tail
        host_row = max(float(timing.tRAS), host_row) + timing.tRP
        rounds = np.arange(ROUNDS + 1.0)

        def regained(opened: float, banks: int) -> np.ndarray:
            ramp = (max(opened - 1, 0.0) + min(opened, banks * contest.rows)) * self.slot
            return np.asarray(regain_time(last_step=cycle.reopen, ramp=ramp, rounds=rounds, host_row=host_row))

        lost = 1.0 if cycle.change else contest.lost(cycle.banks)
        opened = cycle.banks * (1.0 if cycle.change else contest.wanted)
        if kernel.all_bank_activate and cycle.change:  # one command for all where the host is not in the way
            quiet = (1 - contest.wanted) ** kernel.units
            opened *= 1 - quiet + quiet / kernel.units
        chance, needed = contest.rounds(cycle.banks, lost), regained(opened, cycle.banks)
        if cycle.change and not cycle.ahead:
            clocks = float(chance @ (cycle.own + needed))
        elif cycle.change:
            clocks = float(chance @ np.maximum(cycle.work, needed))
        else:
            clocks = float(chance @ np.maximum(cycle.work, cycle.own + needed)) + (1 - lost) * cycle.work
        guard = max(0.0, timing.tRAS - (float(needed[0]) - cycle.reopen) - self.host_opening) / kernel.cadence
        losses = cycle.steps / cycle.segment * float(
            losses_between_steps(segment=cycle.segment, guarded=guard, gap_share=self.gap_share(host),
                                 loss=contest.lost(kernel.units))
        )  # fmt: skip
        if losses:
            again = contest.rounds(kernel.units, 1.0) @ regained(kernel.units * contest.wanted, kernel.units)
            clocks += losses * float(again)
        rows = contest.rows * (1 + losses * kernel.units / cycle.banks)
        if self.scenario.refresh == "per-bank":
            turns = float(chance @ np.maximum(1, np.ceil(needed / timing.tREFIpb))) + 1 - lost
            return self.refreshed(cycle, contest, host_row, clocks, rows, turns)
        return clocks, rows

    def refreshed(
        self, cycle: Cycle, contest: Contest, host_row: float, clocks: float, rows: float, turns: float
    ) -> tuple[float, float]:
        """Clocks and rows of a cycle under per-bank refresh, from those without.

        While refreshes go through banks of the set, steps fit only between the return of one bank, which the host may
        take first, and the next refresh; the whole set is regained once in `turns` of these gaps.
        """
        timing, kernel = self.scenario.timing, self.scenario.kernel
        share, every = cycle.banks / self.banks, float(timing.tREFIpb)
        tail = (1 - self.writes) * timing.tRTP + self.writes * timing.write_to_precharge
        tRCD = (1 - self.writes) * timing.tRCDRD + self.writes * timing.tRCDWR
        left = every - timing.tRP - timing.tRFCpb - tail - tRCD - np.arange(ROUNDS + 1) * host_row
        chance = -np.diff(contest.taken, append=0.0)
        one_bank = cycle.segment == cycle.steps
        pace, most = (float(kernel.cadence), cycle.segment) if one_bank else (cycle.work / cycle.steps, cycle.steps)
        made = np.where(left > 0, np.minimum(most, 1 + left / kernel.cadence), 0.0)
        again = np.maximum(left - made * pace, 0) / clocks  # whole cycles that fit in as well
        steps = float(chance @ (made + again * cycle.steps)) / turns / every
        contests = max(float(chance @ ((left > 0) + again)), 0.5) / turns / every
        rate = max((1 - share) * cycle.steps / clocks + share * steps, 1e-7)
        taken = (1 - share) * rows / clocks + share * contest.rows * contests
        return cycle.steps / rate, taken * cycle.steps / rate

    def passed(
        self, cycles: list[Cycle], ahead: float, most: float, host: float, row_clocks: float
    ) -> tuple[float, float, float]:
        """Clocks of a pass, requests per clock of the host in it, at most `most`, and requests per row [1].

        `host` is a guess of the second, `row_clocks` one of the clocks that a row of the PIM takes [clock]. In the
        share `ahead` of the banks rows are opened in advance [1]: what comes there waits together, more requests per
        row of the host, and no more comes in a row of the PIM than until it fills the window.
        """
        contested = max(cycle.banks for cycle in cycles)
        share = contested / self.banks
        gathered, part = 1.0, 0.0
        if ahead and row_clocks:
            most = min(most, self.window / (ahead * row_clocks))
            host = min(host, most)
            gathered = self.columns(min(self.window, host * ahead * row_clocks), ahead)
            part = ahead / (ahead + share)

        def at(queued: float) -> tuple[float, float, float]:
            columns, clocks, rows = self.columns(queued, share), 0.0, 0.0
            columns = 1 / ((1 - part) / columns + part / gathered)
            for cycle in cycles:
                one, opened = self.cycle(cycle, queued, columns, host)
                clocks += cycle.count * one
                rows += cycle.count * opened * cycle.banks / contested
            return clocks, columns * rows * self.banks / clocks, columns

        elsewhere = max(0.0, 1 - share - ahead) * self.times.opening
        high, low = max(1.0, self.window - host * (self.times.data + elsewhere)), 0.0
        found = at(high)
        if found[1] <= most:
            return found
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            found = at(middle)
            low, high = (low, middle) if found[1] > most else (middle, high)
        return found[0], most, found[2]

    def rates(self) -> tuple[float, float, float]:
        """Host requests per clock, column steps per clock, and host activates per request."""
        scenario, kernel = self.scenario, self.scenario.kernel
        share = max(len(one.operands) for one in kernel.passes) if kernel.placement == "distinct" else 1
        contested = min(1.0, share * kernel.units / self.banks)
        steps = [float(one.rows * len(one.operands) * kernel.columns_per_row) for one in kernel.passes]
        progress, row_clocks = 1.0, [0.0] * len(steps)
        host, activates = self.served(progress)
        for turn in range(_TURNS):
            most, activates = self.served(progress)
            delays = delays_of(scenario.timing, self.apart, scenario.stream.write_share, self.pace, max(host, 1e-6))
            clocks = served = opened = 0.0
            for i, (one, ahead) in enumerate(zip(kernel.passes, self.ahead, strict=True)):
                cycles = list(cycles_of(scenario, one, delays, ahead.changes))
                took, rate, columns = self.passed(cycles, ahead.banks, most, min(host, most), row_clocks[i])
                row_clocks[i] = (row_clocks[i] + took / one.rows) / (1 + (turn > 0))
                clocks += took
                served += rate * took
                opened += rate * took / columns
            host = served / clocks if turn == 0 else (host + served / clocks) / 2
            progress = sum(steps) / clocks / self.alone
        available = stream_availability(scenario.timing, scenario.refresh)
        host = min(host, most) * (available if host < 0.97 * most else 1.0)
        pim = min(sum(steps) / clocks * available, self.alone)
        return host, pim, (1 - contested) * activates + contested * opened / served


@lru_cache(maxsize=1024)
def uncoordinated(scenario: Scenario) -> tuple[float, float, float]:
    """Host requests per clock, column steps per clock, and host activates per request under `uncoordinated`."""
    return _Meeting(scenario).rates()
