r"""Per-bank refresh beside turns: what is owed after a hand-over, and what refreshes take from a short turn.

No refresh is issued while the memory changes hands. Those that fall due meanwhile come first when the new owner begins:
:math:`m = t_{hand} / t_{REFIpb}` of them, one per tRREFD, and every activate waits for them. A bank under refresh is
away for tRFCpb; if it is one of those that the kernel has in use, the PIM's steps wait for it. In a turn that is not
much longer than the interval of refreshes it matters when they fall: mean values are taken over that phase
(`BankRefresh.turn`), of which the turns see all, since their lengths have nothing to do with tREFIpb.

Neglected: that banks are refreshed in order, so that some turns meet several refreshes of banks in use, others none (a
share of the turns is taken to meet nothing else); what a refreshed row loses on a kernel that opens rows in advance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pimmodel.pim.kernel import KernelSpeed
from pimmodel.scenario import Scenario
from pimmodel.sharing.steps import StepTable

Floats = NDArray[np.float64]
_SEARCH = 12  # corrections of a length
_PHASES, _FOLLOWED = 8, 4  # phases of the refreshes, and refreshes within a turn that are followed one by one


class BankRefresh:
    """Refreshes of single banks in the turns of one scenario."""

    def __init__(self, scenario: Scenario, alone: KernelSpeed, refreshed: KernelSpeed) -> None:
        timing, kernel, banks = scenario.timing, scenario.kernel, scenario.organisation.banks
        self.interval, self.away, self.apart = float(timing.tREFIpb), float(timing.tRFCpb), float(timing.tRREFD)
        operands = max(len(one.operands) for one in kernel.passes)
        at_once = float(operands) if kernel.placement == "distinct" else 1.0
        if kernel.row_switch == "hidden":  # rows go from bank to bank while one is away
            row_clocks = max(len(one.operands) for one in kernel.passes) * kernel.columns_per_row / alone.rate
            at_once = min(banks / kernel.units, at_once * (1 + self.away / row_clocks))
        in_use = kernel.units * at_once
        self.left = refreshed.rate / alone.rate  # share of a long turn
        lost = (1 - self.left) * self.interval  # clocks per refresh of any bank
        most = self.away + timing.tRP + timing.tRAS + timing.tRCDRD
        self.hit = float(np.clip(max(in_use / banks, lost / most), 1e-6, 1.0))
        self.stop = lost / self.hit
        self.at_once = kernel.all_bank_activate
        self.resume, self.t_rcd, self.t_ras = refreshed.resume, float(timing.tRCDRD), float(timing.tRAS)
        self.rate = alone.rate

    def turn(self, table: StepTable, hand: Floats, owned: Floats, useful: Floats) -> tuple[Floats, Floats]:
        """Mean column steps of a PIM turn, and mean clocks from its end until all rows may be precharged.

        hand : clocks of the hand-over before it; owned : of the turn itself; useful : of it after its first possible
        step [clock]
        """
        steps, waits = np.zeros_like(useful), np.zeros_like(useful)
        for phase in (np.arange(_PHASES) + 0.5) / _PHASES:
            since = phase * self.interval  # the last refresh that fell due before the turn
            late = since < hand  # done as the turn begins
            more = np.maximum(np.ceil((hand - since) / self.interval), 1.0)
            shift = np.where(late, more * self.apart, 0.0)
            wait = np.where(owned > shift, table.wait(useful - shift), 0.0)
            steps = steps + (1 - self.hit) * table.steps(useful - shift)
            waits = waits + (1 - self.hit) * wait
            blocked = np.where(late, self.away, np.maximum(self.away - since, 0))
            made, wait = self._hit(table, owned, useful, blocked, shift, self.interval - since)
            steps, waits = steps + self.hit * made, waits + self.hit * wait
        return steps / _PHASES, waits / _PHASES

    def _hit(
        self, table: StepTable, owned: Floats, useful: Floats, blocked: Floats, shift: Floats, following: float
    ) -> tuple[Floats, Floats]:
        """Steps and wait of a turn in which every refresh takes a bank in use; the first is over at `blocked`."""
        opening = owned - useful
        first = np.maximum(opening + shift, blocked + (opening if self.at_once else self.t_rcd))
        opened = np.where(self.at_once, blocked, shift)
        wait = np.where(owned > opened, np.maximum(self.t_ras - (owned - opened), 0), 0.0)
        steps, begin = np.zeros_like(useful), first
        for i in range(_FOLLOWED + 1):
            due = following + i * self.interval
            length = np.minimum(owned, due) - begin
            if i == _FOLLOWED:  # the rest of a long turn
                steps = steps + np.maximum(owned - begin, 0) * self.rate * self.left
                break
            steps = steps + table.steps(np.where(length > 0, length, -1e9))
            running = (owned <= due) & (length > 0)
            wait = np.where(running, table.wait(length), wait)
            wait = np.where(owned > due, 0.0, wait)
            begin = np.where(length > 0, due + self.stop, np.maximum(begin, due + self.away + self.t_rcd))
        return steps, wait

    def longer(self, table: StepTable, hand: Floats, count: float, plain: Floats, opening: float) -> Floats:
        """Clocks of a turn that makes `count` column steps, which takes `plain` clocks without refresh."""
        clocks = plain / self.left
        for _ in range(_SEARCH):
            made, _ = self.turn(table, hand, clocks, clocks - opening)
            clocks = np.maximum(plain, clocks + (count - made) / self.rate)
        return clocks

    def owed_to_host(self, to_pim: Floats, pim: Floats, to_host: Floats) -> Floats:
        """Mean number of refreshes that are owed when the host takes over."""
        before = to_pim / self.interval
        done = np.minimum(before, 1 + np.maximum(pim - to_pim, 0) / self.apart)
        return np.asarray(before - done + to_host / self.interval)
