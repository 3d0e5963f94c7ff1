"""A PIM kernel that makes its steps in turns: the recurrence of `pimmodel.pim.recurrence`, interrupted and resumed.

A turn begins with all rows closed; those that the kernel wants are opened, and it goes on where it was interrupted. It
ends at a given clock, or one clock after a given number of steps; what then holds up the precharge of all rows follows
from the same event times. Per-bank refreshes fall due on their own clock, whoever has the memory: none is done while it
changes hands, those that are owed come first in the next turn, one per tRREFD. A refresh that has taken its bank but
could not begin before the turn's end is owed to the next owner.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from pimmodel.hardware.memory import MemoryTiming, Organisation
from pimmodel.pim.order import Row, batches_of, rows_of
from pimmodel.pim.recurrence import Recurrence
from pimmodel.scenario import PimKernel

_LONG_AGO = -(10**9)  # clock of what has never happened


class PimTurns(Recurrence):
    """Turns of one kernel, one after another on one clock; `refresh` is "off" or "per-bank"."""

    def __init__(self, timing: MemoryTiming, organisation: Organisation, kernel: PimKernel, refresh: str) -> None:
        super().__init__(timing, organisation, kernel, refresh)
        self._begin = self._until = 0
        self._quota = math.inf
        self._claimed: tuple[tuple[int, int] | None, int, int] | None = None
        self._steps = self._follow()

    def turn(self, begin: int, until: int, quota: float = math.inf, least: int = 0) -> tuple[int, int, int]:
        """One turn of the PIM.

        Parameters
        ----------
        begin, until : its first clock, and the first that is not its own any more [clock]
        quota : column steps after which it ends sooner [1]
        least : clock before which it does not end for its quota [clock]

        Returns
        -------
        Column steps made [1], the clock at which the turn ends, and clocks from there until all rows may be precharged.
        """
        self._close_all()
        self._begin, self._until, self._quota = begin, until, quota
        self.clear, self.moment.clock = [begin, begin], begin
        before = self.moment.steps
        if math.isfinite(quota) and least > begin:  # up to `least` no quota holds
            self._until, self._quota = min(least, until), math.inf
            next(self._steps)
            self._quota = quota - (self.moment.steps - before)
            if self._quota > 0:
                self._until = until
        if self._quota > 0:
            next(self._steps)
        self._owe(self._until)
        return self.moment.steps - before, self._until, self._open_until(self._until) - self._until

    def host_turn(self, begin: int, until: int, closing: float) -> None:
        """The refreshes of a host's turn, each `closing` clocks after it is due.

        begin, until : first clock of the turn, and the first that is not its own any more [clock]
        closing : mean clocks until a bank is closed, in which requests are being served [clock]
        """
        if self.refresh != "per-bank":
            return
        timing = self.timing
        due = (self.moment.refreshes + 1) * timing.tREFIpb
        skipped = (until - due) // timing.tREFIpb - 2 * self.all_banks
        if skipped > 0:  # what long ago was refreshed does not matter any more
            self.moment.refreshes += skipped
        while True:
            due = (self.moment.refreshes + 1) * timing.tREFIpb
            at = max(begin, due + (round(closing) if due > begin else 0), self.refreshed + timing.tRREFD)
            if at >= until:
                return
            place = self.refresh_order[self.moment.refreshes % self.all_banks]
            if place is not None:
                self.banks[place[1]].refreshed[place[0]] = at + timing.tRFCpb
            self.refreshed = at
            self.moment.refreshes += 1

    def _follow(self) -> Iterator[None]:
        """The kernel without end; pauses whenever a turn is over."""
        rows = rows_of(self.kernel, self.per_unit)
        row = next(rows)
        while True:
            following = next(rows)
            batches = batches_of(self.kernel, len(row.banks))
            for n, batch in enumerate(batches):
                for i, write in enumerate(row.writes):
                    yield from self._interruptible(row, following, i, write, batch, n == len(batches) - 1)
            row = following

    def _interruptible(
        self, row: Row, following: Row, i: int, write: int, left: int, final: bool
    ) -> Iterator[None]:  # fmt: skip
        """The columns of one segment, with the refreshes and ends of turns that come before its end."""
        cadence = self.apart[write][write]
        while left:
            self._open(row, following, i, final)
            bank = self.banks[row.banks[i]]
            start = self.column_start(self.clear[write], bank.opened, self.tRCD[write])
            due = max(self._begin, self._due())
            limit = min(due, self._until)
            done = left if limit > start + (left - 1) * cadence else max(0, math.ceil((limit - start) / cadence))
            done = int(min(done, self._quota))
            if done:
                last = start + (done - 1) * cadence
                left -= done
                self._quota -= done
                self._stepped(row, i, write, last, done, ended=not left, final=final)
                if self._quota == 0:
                    self._until = min(self._until, last + 1)
            if not left and self._quota > 0:
                return
            if due < self._until:
                place = self.refresh_order[self.moment.refreshes % self.all_banks]
                kept = self.banks[place[1]].refreshed[place[0]] if place is not None else 0
                self._claimed = (place, kept, self.refreshed)
                self._refresh(due)
            else:
                yield

    def _close_all(self) -> None:
        """All rows closed, nothing planned; what refresh has taken stays away."""
        for bank in self.banks:
            fresh = self._closed_bank()
            fresh.refreshed = bank.refreshed
            bank.__dict__.update(fresh.__dict__)
        self.slots.recent = [_LONG_AGO] * len(self.slots.recent)
        self.slots.groups = [_LONG_AGO] * len(self.slots.groups)
        self.slots.planned = []

    def _owe(self, until: int) -> None:
        """Undo a refresh that could not begin before the end of the turn."""
        if self._claimed is None or self.refreshed < until:
            return
        place, kept, self.refreshed = self._claimed
        self.moment.refreshes -= 1
        if place is not None:
            self.banks[place[1]].refreshed[place[0]] = kept
        self._claimed = None

    def _open_until(self, clock: int) -> int:
        """First clock, not before `clock`, at which every open row may be precharged."""
        self._issue_before(clock)
        coming: dict[int, set[int]] = {}
        for _, j, u in self.slots.planned:
            coming.setdefault(j, set()).add(u)
        at = clock
        for j, bank in enumerate(self.banks):
            if bank.label is None:
                continue
            still = coming.get(j, set())
            issued = [] if -1 in still else [
                act for u, act in enumerate(bank.activates) if u not in still and bank.ready <= act < clock
            ]  # fmt: skip
            if issued:
                at = max(at, int(self.closable(max(issued), self.timing.tRAS, bank.last, 0)))
            if still and bank.precharge >= clock:  # the row before is still open
                at = max(at, int(self.closable(max(bank.before), self.timing.tRAS, bank.last_before, 0)))
        return at
