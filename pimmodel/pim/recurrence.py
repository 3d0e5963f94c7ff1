r"""When a kernel's column steps happen: a max-plus recurrence over its segments, with refresh.

A *segment* is a batch of columns of one operand. Its first step waits for the previous segment and for its row; a row
is opened in all units, one activate slot each; a bank is closed when its last column and its last activate allow. Each
of these is a maximum of sums, one formula each in `pimmodel.pim.events`; together they are the event times of a timed
event graph, whose cycle time is the kernel's period. There is one evaluation per segment and per activate, none per
clock.

Refresh enters as further terms. A per-bank refresh that is due takes its bank from the kernel at once: the columns wait
(all units work in lockstep), the bank is closed, away for tRFCpb, and opened again by an activate of its own, while the
other units keep their rows. What it costs depends on where it falls: nothing in a bank that is not wanted meanwhile, up
to tail + tRP + tRFCpb + tRCD in the bank in use. Since every refresh shifts the place at which the next one falls, the
places settle on an orbit (often a closed one), and no average over independent places would do: the recurrence is
followed until its orbit closes.

Neglected: the command bus, but for the commands of a refresh.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pimmodel.hardware.memory import MemoryTiming, Organisation
from pimmodel.pim.events import activate_clock, closable, column_start, refresh_clock
from pimmodel.pim.order import Row, batches_of, rows_of, unit_banks
from pimmodel.scenario import PimKernel

_LONG_AGO = -(10**9)  # clock of what has never happened
_ALL = -1  # "unit" of a command to all units
# Refreshes followed at most, where the orbit does not close before (half of the random kernels of the documented domain
# close it within 100).
MOST_PER_BANK, MOST_ALL_BANK = 1280, 80


@dataclass(frozen=True)
class Delays:
    """What holds the steps back beside the kernel itself; see :class:`Recurrence`."""

    steps: tuple[tuple[float, float], tuple[float, float]] = ((0, 0), (0, 0))
    opening: float = 0


NO_DELAYS = Delays()


@dataclass
class _Bank:
    """One bank index, in all units; clocks."""

    activates: list[int]  # of the row that is open or about to be
    before: list[int]  # those of the row before
    refreshed: list[int]  # until when a refresh keeps it
    label: tuple[int, int] | None = None  # (row, operand) that it holds or is about to
    spent: bool = True  # no column of that row is left
    last: int = _LONG_AGO  # last column plus its tail
    last_before: int = _LONG_AGO  # the same of the row before
    precharge: int = 0  # that closed the row before
    ready: int = 0  # from when it may be activated
    opened: int = _LONG_AGO  # last of the activates


@dataclass(frozen=True)
class Progress:
    """Column steps, clocks, refreshes, half the sum of squared waits for rows, between two moments alike.

    intervals : how often which clocks lay between two steps of which directions: (clocks, write, write): count
    """

    steps: int
    clocks: int
    refreshes: int
    waits: float
    intervals: dict[tuple[float, int, int], int]


@dataclass
class _Moment:
    steps: int = 0
    clock: int = 0
    refreshes: int = 0
    waits: float = 0.0
    intervals: Counter[tuple[float, int, int]] = field(default_factory=Counter)

    def copy(self) -> _Moment:
        return _Moment(self.steps, self.clock, self.refreshes, self.waits, Counter(self.intervals))

    def since(self, earlier: _Moment) -> Progress:
        return Progress(
            self.steps - earlier.steps,
            self.clock - earlier.clock,
            self.refreshes - earlier.refreshes,
            self.waits - earlier.waits,
            dict(self.intervals - earlier.intervals),
        )


@dataclass
class _Slots:
    """Activates issued (the last four, the last per group) and those planned: (clock, bank index, unit)."""

    recent: list[int]
    groups: list[int]
    planned: list[tuple[int, int, int]] = field(default_factory=list)


class Recurrence:
    """Event times of a kernel with exclusive access.

    Parameters
    ----------
    timing, organisation, kernel : the part and the kernel, repeated without end
    refresh : "off", "all-bank" or "per-bank"
    first_bank : lowest bank of each group that the PIM may use
    delays : clocks that each step is held back behind one of the same or the other direction, and behind the opening of
        its row: ((read to read, read to write), (write to read, write to write)), opening [clock]
    """

    def __init__(
        self, timing: MemoryTiming, organisation: Organisation, kernel: PimKernel, refresh: str, first_bank: int = 0,
        delays: Delays = NO_DELAYS,
    ) -> None:  # fmt: skip
        self.timing, self.kernel, self.refresh = timing, kernel, refresh
        units = unit_banks(organisation, kernel, first_bank)
        self.units, self.per_unit, self.all_banks = len(units), len(units[0]), organisation.banks
        self.groups = [[group for group, _ in unit] for unit in units]
        # Refreshes go through the banks group first; None: not a bank of the PIM.
        place = {(bank, group): (u, j) for u, unit in enumerate(units) for j, (group, bank) in enumerate(unit)}
        self.refresh_order = [place.get(divmod(b, organisation.bank_groups)) for b in range(organisation.banks)]
        turn = timing.write_to_read_same_group if kernel.write_to_read is None else kernel.write_to_read
        (read_read, read_write), (write_read, write_write) = delays.steps
        self.apart = (
            (kernel.cadence + read_read, max(kernel.cadence, kernel.read_to_write or 0) + read_write),
            (max(kernel.cadence, turn) + write_read, kernel.cadence + write_write),
        )
        self.tail = (timing.tRTP, timing.write_to_precharge)
        self.tRCD = (timing.tRCDRD + delays.opening, timing.tRCDWR + delays.opening)
        self.banks = [self._closed_bank() for _ in range(self.per_unit)]
        self.slots = _Slots([_LONG_AGO] * 4, [_LONG_AGO] * organisation.bank_groups)
        self.order: list[int] = []  # bank indices in the order in which they are wanted
        self.latest = (0, 0)  # last step: clock, direction
        self.clear = [0, 0]  # next step's clock, read and write
        self.moment = _Moment()
        self.refreshed = self.refresh_precharge = _LONG_AGO  # the last refresh, and the precharge for it
        self.column_start, self.closable = column_start.scalar, closable.scalar
        self.activate_clock, self.refresh_clock = activate_clock.scalar, refresh_clock.scalar

    def _closed_bank(self) -> _Bank:
        never = [_LONG_AGO] * self.units
        return _Bank(list(never), list(never), list(never))

    def run(self, most: int | None = None) -> Progress:
        """Follow the kernel until it repeats itself, or through the largest number of refreshes (of one bank)."""
        rows = rows_of(self.kernel, self.per_unit)
        most = {"off": 0, "per-bank": most or MOST_PER_BANK, "all-bank": MOST_ALL_BANK}[self.refresh]
        row, warm = next(rows), None
        seen: dict[tuple[Any, ...], _Moment] = {}
        while True:
            following = next(rows)
            if row.phase == 0:
                now = self.moment.copy()
                key = self._state()
                if key in seen and now.clock > seen[key].clock:
                    return now.since(seen[key])
                seen[key] = now
                if warm is None and now.refreshes >= most / 4:
                    warm = now
                elif warm and self.refresh != "off" and now.refreshes >= most:
                    return now.since(warm)
            self._row(row, following)
            row = following

    def _state(self) -> tuple[Any, ...]:
        """All that the future depends on, relative to now."""
        now, timing = self.moment.clock, self.timing
        past = now - timing.tRC - timing.tFAW  # older events do not matter any more
        banks = tuple((max(bank.opened, past) - now, max(bank.last, past) - now) for bank in self.banks)
        turn = self.moment.refreshes % self.all_banks if self.refresh == "per-bank" else 0
        due = self._due() - now if self.refresh != "off" else 0
        return banks, turn, due, self.clear[0] - now, self.clear[1] - now

    def _row(self, row: Row, following: Row) -> None:
        """All segments of one row of every operand."""
        batches = batches_of(self.kernel, len(row.banks))
        for n, batch in enumerate(batches):
            final = n == len(batches) - 1
            for i, write in enumerate(row.writes):
                self._segment(row, following, i, write, batch, final)

    def _segment(self, row: Row, following: Row, i: int, write: int, batch: int, final: bool) -> None:
        """The columns of one segment, and the refreshes that are due before its end."""
        cadence, left = self.apart[write][write], batch
        while left:
            self._open(row, following, i, final)
            bank = self.banks[row.banks[i]]
            start = self.column_start(self.clear[write], bank.opened, self.tRCD[write])
            due = self._due()
            end = start + (left - 1) * cadence
            done = left if due > end else max(0, math.ceil((due - start) / cadence))
            if done:
                wait = start - min(self.clear)  # turnarounds count as waits
                self.moment.waits += wait * wait / 2
                self.moment.intervals[start - self.latest[0], self.latest[1], write] += 1
                self.moment.intervals[cadence, write, write] += done - 1
                last = start + (done - 1) * cadence
                self.latest = (last, write)
                left -= done
                self._stepped(row, i, write, last, done, ended=not left, final=final)
            if due <= end:
                self._refresh(due)

    def _stepped(self, row: Row, i: int, write: int, last: Any, done: int, *, ended: bool, final: bool) -> None:
        """What `done` columns of operand i leave behind, the last at clock `last`; `ended`: they end their segment."""
        bank = self.banks[row.banks[i]]
        self.moment.steps += done
        bank.last = last + self.tail[write]
        self.clear = [last + self.apart[write][0], last + self.apart[write][1]]
        if ended:
            self.moment.clock = last + 1
            bank.spent = final or (self.kernel.placement == "same" and len(row.banks) > 1)

    def _open(self, row: Row, following: Row, i: int, final: bool) -> None:
        """Open the rows wanted from now on: of the coming segments, and if hidden of the next row."""
        wanted: dict[int, tuple[int, int]] = {}
        k = len(row.banks)
        for x in range(i, k if final else i + k):
            wanted.setdefault(row.banks[x % k], (row.serial, x % k))
        if self.kernel.row_switch == "hidden":
            for x, j in enumerate(following.banks):
                wanted.setdefault(j, (following.serial, x))
        self.order = list(wanted)
        missing = [j for j, label in wanted.items() if self.banks[j].label != label]
        if not missing:
            return
        self._issue_before(self.moment.clock)
        acts = [(j, u) for _, j, u in self.slots.planned]
        for n, j in enumerate(missing):
            bank, at = self.banks[j], self.moment.clock + n  # one precharge per clock
            if bank.label is None:
                bank.precharge, bank.ready = at - self.timing.tRP, at
            else:
                bank.precharge = max(at, self._closable(bank))
                bank.precharge += bank.precharge in (self.refreshed, self.refresh_precharge)
                bank.ready = bank.precharge + self.timing.tRP
            bank.label, bank.spent = wanted[j], False
            bank.last_before, bank.last = bank.last, _LONG_AGO
            bank.before = list(bank.activates)
            acts += [(j, _ALL)] if self.kernel.all_bank_activate else [(j, u) for u in range(self.units)]
        self._plan(acts)

    def _closable(self, bank: _Bank) -> int:
        return int(self.closable(bank.opened, self.timing.tRAS, bank.last, 0))

    def _issue_before(self, clock: int) -> None:
        """Planned activates before `clock` are history."""
        slots = self.slots
        while slots.planned and slots.planned[0][0] < clock:
            at, j, u = slots.planned.pop(0)
            slots.recent = [*slots.recent[1:], at]
            if u != _ALL:
                slots.groups[self.groups[u][j]] = at

    def _plan(self, acts: list[tuple[int, int]]) -> None:
        """Give the activates their slots: the earliest possible first, of equal ones that which is wanted first."""
        timing, slots = self.timing, self.slots
        recent, groups, made = list(slots.recent), list(slots.groups), []
        acts = sorted(acts, key=lambda act: self.order.index(act[0]))
        touched = {j for j, _ in acts}
        hold = (self.refreshed, self.refreshed + timing.tRREFD)
        while acts:
            best: tuple[int, int, int] | None = None
            free = max(recent[3] + timing.tRRD_S, recent[0] + timing.tFAW)
            for j, u in acts:
                bank = self.banks[j]
                if u == _ALL:
                    at = self.activate_clock(
                        max(bank.ready, *bank.refreshed), max(bank.before), timing.tRC, recent[3], timing.tRRD_L,
                        _LONG_AGO, 0, recent[0], timing.tFAW,
                    )  # fmt: skip
                else:
                    at = self.activate_clock(
                        max(bank.ready, bank.refreshed[u]), bank.before[u], timing.tRC, recent[3], timing.tRRD_S,
                        groups[self.groups[u][j]], timing.tRRD_L, recent[0], timing.tFAW,
                    )  # fmt: skip
                if hold[0] <= at < hold[1]:
                    at = hold[1]
                at += at == self.refresh_precharge
                if best is None or at < best[0]:
                    best = (at, j, u)
                if at <= free:
                    break
            assert best is not None
            at, j, u = best
            made.append(best)
            acts.remove((j, u))
            recent = [*recent[1:], at]
            if u == _ALL:
                self.banks[j].activates = [at] * self.units
            else:
                self.banks[j].activates[u] = at
                groups[self.groups[u][j]] = at
        slots.planned = made
        for j in touched:
            self.banks[j].opened = max(self.banks[j].activates)

    def _due(self) -> int:
        """Clock at which the next refresh takes its bank, or all banks."""
        if self.refresh == "per-bank":
            return max(self.refreshed + 1, (self.moment.refreshes + 1) * self.timing.tREFIpb)
        return (self.moment.refreshes + 1) * self.timing.tREFI if self.refresh == "all-bank" else 10**18

    def _refresh(self, due: int) -> None:
        self._issue_before(due)
        if self.refresh == "all-bank":
            self._refresh_all(due)
        else:
            self._refresh_bank(due)
        self.moment.refreshes += 1

    def _refresh_bank(self, due: int) -> None:
        """Close the bank whose turn it is, refresh it, and if its row is still wanted open it again."""
        timing = self.timing
        place = self.refresh_order[self.moment.refreshes % self.all_banks]
        if place is None:
            self.refreshed = max(due, self.refreshed + timing.tRREFD)
            return
        u, j = place
        bank, planned = self.banks[j], [(k, v) for _, k, v in self.slots.planned]
        activate, coming = bank.activates[u], (j, u) in planned or (j, _ALL) in planned
        away = bank.refreshed[u]
        if coming and due >= bank.precharge:  # between the precharge and the activate of a new row
            closed, activate = max(bank.ready, away), bank.before[u]
        elif coming:  # the row before is still open
            activate = bank.before[u]
            closed = max(due, self.closable(activate, timing.tRAS, bank.last_before, 0)) + timing.tRP
        elif bank.label is None or away > activate:  # closed
            closed = away
        else:
            closed = max(due, self.closable(activate, timing.tRAS, bank.last, 0)) + timing.tRP
        at = int(self.refresh_clock(due, closed, activate, timing.tRC, self.refreshed, timing.tRREFD))
        self.refresh_precharge = at - timing.tRP if at > due else _LONG_AGO
        for k in {k for k, _ in planned}:  # the command bus is taken
            other = self.banks[k]
            if other.precharge >= due and other.precharge in (at, self.refresh_precharge):
                other.precharge += 1
                other.ready += 1
        self.refreshed = at
        bank.refreshed[u] = at + timing.tRFCpb
        if not coming and bank.label is not None and not bank.spent:
            bank.before[u] = bank.activates[u]
            planned.append((j, u))
        if planned:
            self._plan(planned)

    def _refresh_all(self, due: int) -> None:
        """Precharge all banks as soon as their open rows allow, refresh, start with closed banks."""
        timing, at = self.timing, due
        coming = {j for _, j, _ in self.slots.planned}
        for j, bank in enumerate(self.banks):
            if bank.label is None:
                continue
            issued = max((clock for clock in bank.activates if clock < due), default=_LONG_AGO)
            if j not in coming or issued >= bank.ready:
                at = max(at, self.closable(issued, timing.tRAS, bank.last, 0))
            elif bank.precharge >= due:  # the row before is still open
                at = max(at, self.closable(max(bank.before), timing.tRAS, bank.last_before, 0))
        self.banks = [self._closed_bank() for _ in self.banks]
        self.slots = _Slots([_LONG_AGO] * 4, [_LONG_AGO] * len(self.slots.groups))
        self.moment.clock = at + timing.tRP + timing.tRFC
