"""Refresh, as the checker of traces sees it: every one that is due comes, in order, not early and not too late."""

from __future__ import annotations

from dataclasses import dataclass

from pimmodel.hardware.memory import MemoryTiming, Organisation
from pimmodel.scenario import Scenario

from . import trace as t
from .trace_commands import Command, Violation

MOST_POSTPONED = 8  # intervals tREFI
TURNS = ("exclusive", "watermark", "bypass-cap", "time-slice", "host-first", "pim-first")
_KIND = {"all-bank": t.REF, "per-bank": t.REFPB}


@dataclass(frozen=True)
class Refresh:
    """What a trace has to refresh, and how late it may be.

    takes_turns : whether the memory changes hands; only then a refresh may wait for the next precharge-all
    mode_switch : clocks of a change of hands in addition to tRP [clock]
    """

    timing: MemoryTiming
    organisation: Organisation
    mode: str
    takes_turns: bool
    mode_switch: int = 0

    @classmethod
    def of(cls, scenario: Scenario) -> Refresh:
        """Refresh of a scenario."""
        turns = scenario.policy.kind in TURNS
        mode_switch = scenario.kernel.mode_switch if turns else 0
        return cls(scenario.timing, scenario.organisation, scenario.refresh, turns, mode_switch)

    @property
    def interval(self) -> int:
        """Clocks from one due refresh to the next: tREFI, or tREFIpb for one bank at a time [clock]."""
        return self.timing.tREFI if self.mode == "all-bank" else self.timing.tREFIpb

    def due(self, number: int) -> int:
        """When refresh `number`, counted from 0, is due [clock]."""
        return (number + 1) * self.interval

    @property
    def patience(self) -> int:
        """Clocks from due to the last one allowed [clock].

        8 tREFI where the memory changes hands, and in any case the time until open banks may be precharged and
        refreshed (from an activate or a column just issued), the mode switch, and a few clocks for the command bus. A
        refresh of one bank may also find the one before it just issued or, owed together with others, still running.
        """
        p = self.timing
        closing = max(p.tRC, max(p.tRTP, p.CWL + p.tBL + p.tWR) + p.tRP) + self.mode_switch + 4
        queueing = p.tRREFD + p.tRFCpb if self.mode == "per-bank" else 0
        return closing + queueing + (MOST_POSTPONED * p.tREFI if self.takes_turns else 0)

    def bank(self, number: int) -> int:
        """Bank of per-bank refresh `number`, numbered group by group: they go round, the group changing fastest."""
        groups, size = self.organisation.bank_groups, self.organisation.banks_per_group
        place = number % self.organisation.banks
        return (place % groups) * size + place // groups


def check_refresh(commands: list[Command], refresh: Refresh, end: int | None) -> list[Violation]:
    """Violations of the refresh schedule; `end` is the number of clocks that the trace covers."""
    found: list[Violation] = []
    wanted, done = _KIND.get(refresh.mode), 0
    for command in commands:
        if command.kind not in _KIND.values():
            continue
        if command.kind != wanted:
            found.append(Violation("refresh of the wrong kind", command.clock, None, command))
            continue
        due = refresh.due(done)
        latest = due + refresh.patience
        if command.clock < due:
            found.append(Violation("refresh too early", command.clock, None, command, command.clock, due))
        if command.clock > latest:
            found.append(Violation("refresh too late", command.clock, None, command, command.clock, latest))
        if wanted == t.REFPB and command.banks != (refresh.bank(done),):
            expected = refresh.bank(done)
            found.append(Violation("refresh order", command.clock, None, command, command.banks[0], expected))
        done += 1
    if wanted is not None:
        found += _missing(commands, refresh, done, end)
    return found


def _missing(commands: list[Command], refresh: Refresh, done: int, end: int | None) -> list[Violation]:
    """One violation for all refreshes whose last allowed clock lies within the trace, but which did not come."""
    last = max((command.clock for command in commands), default=0) if end is None else end
    needed = max(0, (last - 1 - refresh.patience) // refresh.interval)
    if done >= needed:
        return []
    return [Violation("refresh missing", refresh.due(done) + refresh.patience, None, None, done, needed)]
