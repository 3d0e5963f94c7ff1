"""Checker of command traces: is every command legal by the rules of the part, the refresh and the sharing policy?

It replays a trace (format: `trace`) against the table of timing rules (`rules`), the state of the banks, the buses, the
refresh schedule and the turns of host and PIM (`turns`), and returns every violation. It has no code in common with the
simulator and makes no decision of its own: it only looks back from each command.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pimmodel.hardware.memory import MemoryTiming, Organisation
from pimmodel.scenario import PimKernel, Scenario

from . import rules, turns
from . import trace as t
from .refresh_rules import Refresh, check_refresh
from .trace_commands import Command, Violation, read_commands

Trace = npt.NDArray[np.void]

__all__ = ["Violation", "check", "check_channel"]


def check(
    trace: Trace, scenario: Scenario, *, first_owner: int = t.HOST, end: int | None = None, activate_clocks: int = 1
) -> list[Violation]:
    """Violations of a trace of a scenario, in the order of the commands; an empty list for a legal trace.

    Parameters
    ----------
    trace : commands from clock 0, of `trace.TRACE_DTYPE`, shape (N,) [clock]
    scenario : what was simulated
    first_owner : who has the memory at clock 0 (PIM: the kernel alone, as for its exclusive rate)
    end : clocks that the trace covers, for refreshes that are missing at its end; None: to its last command [clock]
    activate_clocks : clocks that an activate occupies the row command bus [clock]
    """
    partitioned = scenario.policy.kind == "partitioned"
    commands = read_commands(trace, scenario.organisation, scenario.kernel, partitioned=partitioned)
    found = _check(commands, scenario.timing, scenario.organisation, scenario.kernel, activate_clocks)
    found += check_refresh(commands, Refresh.of(scenario), end)
    found += turns.check_turns(commands, scenario, first_owner)
    found += turns.check_kernel_order(commands, scenario)
    return sorted(found, key=lambda violation: violation.clock)


def check_channel(
    trace: Trace,
    timing: MemoryTiming,
    organisation: Organisation,
    *,
    kernel: PimKernel | None = None,
    refresh: str = "off",
    takes_turns: bool = False,
    end: int | None = None,
    activate_clocks: int = 1,
) -> list[Violation]:
    """Violations of the channel's own rules: timing, states of banks, buses, refresh; not of a sharing policy.

    For a trace without a policy, such as a replayed request stream's, or with several, such as a whole step's.

    kernel : any of the PIM's, which differ in their passes at most; None: the trace holds host commands only
    takes_turns : whether the memory changes hands, so that a refresh may be postponed
    """
    commands = read_commands(trace, organisation, kernel)
    found = _check(commands, timing, organisation, kernel, activate_clocks)
    mode_switch = kernel.mode_switch if kernel is not None else 0
    found += check_refresh(commands, Refresh(timing, organisation, refresh, takes_turns, mode_switch), end)
    return sorted(found, key=lambda violation: violation.clock)


def _check(
    commands: list[Command],
    timing: MemoryTiming,
    organisation: Organisation,
    kernel: PimKernel | None,
    activate_clocks: int,
) -> list[Violation]:
    """Violations of timing, bank states and buses."""
    channel = Channel(organisation, rules.constraints(timing, kernel))
    window, buses = ActivateWindow(timing.tFAW), Buses(timing, activate_clocks)
    found: list[Violation] = []
    previous: Command | None = None
    for command in commands:
        if previous is not None and command.clock < previous.clock:
            found.append(Violation("sorted", command.clock, previous, command, command.clock - previous.clock, 0))
        previous = command
        found += [*channel.violations(command), *window.violations(command), *buses.violations(command)]
        channel.record(command)
    return found


@dataclass
class Channel:
    """Banks and the last command of every kind in each of them."""

    organisation: Organisation
    table: list[rules.Constraint]
    open_row: dict[int, int] = field(default_factory=dict)
    last: dict[tuple[int, int], Command] = field(default_factory=dict)

    def violations(self, command: Command) -> Iterator[Violation]:
        """What the command breaks, given everything recorded before it."""
        yield from self._timing(command)
        yield from self._state(command)

    def _timing(self, command: Command) -> Iterator[Violation]:
        banks = self._touched(command)
        for rule in self.table:
            if command.kind in rule.later:
                earlier = self._latest(rule.earlier, self._in_scope(rule.scope, banks))
                if earlier is not None and command.clock - earlier.clock < rule.clocks:
                    waited = command.clock - earlier.clock
                    yield Violation(rule.name, command.clock, earlier, command, waited, rule.clocks)

    def _state(self, command: Command) -> Iterator[Violation]:
        kind, clock = command.kind, command.clock
        for bank in command.banks:
            row = self.open_row.get(bank)
            if kind in rules.COLUMNS and row is None:
                yield Violation("column to a closed bank", clock, None, command)
            elif kind in rules.COLUMNS and row != command.row:
                yield Violation("column to another row", clock, None, command, row, command.row)
            elif kind in rules.ACTIVATES and row is not None:
                yield Violation("activate of an open bank", clock, None, command)
            elif kind == t.REFPB and row is not None:
                yield Violation("refresh of an open bank", clock, None, command)
        if kind == t.REF and self.open_row:
            yield Violation("refresh of an open bank", clock, None, command, len(self.open_row), 0)
        if (kind in rules.HOST_KINDS and command.row >= t.PIM_ROW_BASE) or (
            kind in rules.ACTIVATES - {t.ACT} and command.row < t.PIM_ROW_BASE
        ):
            yield Violation("row of the other side", clock, None, command)

    def _touched(self, command: Command) -> tuple[int, ...]:
        """Banks of the command; for a precharge those that are open, for REF all."""
        if command.kind == t.REF:
            return tuple(range(self.organisation.banks))
        if command.kind == t.PREA:
            return tuple(self.open_row)
        if command.kind == t.PIM_PRE:
            return tuple(bank for bank in command.banks if bank in self.open_row)
        return command.banks

    def _in_scope(self, scope: rules.Scope, banks: Iterable[int]) -> Iterable[int]:
        """Banks whose earlier commands a rule looks at."""
        if scope is rules.Scope.BANK:
            return banks
        everything = range(self.organisation.banks)
        if scope is rules.Scope.CHANNEL:
            return everything
        size = self.organisation.banks_per_group
        groups = {bank // size for bank in banks}
        within = scope is rules.Scope.GROUP
        return [bank for bank in everything if (bank // size in groups) == within]

    def _latest(self, kinds: rules.Kinds, banks: Iterable[int]) -> Command | None:
        found = [self.last[kind, bank] for bank in banks for kind in kinds if (kind, bank) in self.last]
        return max(found, key=lambda command: command.clock, default=None)

    def record(self, command: Command) -> None:
        """Take the command as done, legal or not."""
        for bank in self._touched(command):
            self.last[command.kind, bank] = command
            if command.kind in rules.ACTIVATES:
                self.open_row[bank] = command.row
            elif command.kind in rules.PRECHARGES:
                self.open_row.pop(bank, None)


class ActivateWindow:
    """At most four activates in any tFAW clocks; an all-bank activate counts once."""

    def __init__(self, clocks: int) -> None:
        self.clocks = clocks
        self.recent: deque[Command] = deque(maxlen=4)

    def violations(self, command: Command) -> Iterator[Violation]:
        """The fifth activate within the window; records activates."""
        if command.kind not in rules.ACTIVATES:
            return
        if len(self.recent) == 4 and command.clock - self.recent[0].clock < self.clocks:
            first = self.recent[0]
            yield Violation("tFAW", command.clock, first, command, command.clock - first.clock, self.clocks)
        self.recent.append(command)


class Buses:
    """One row and one column command per clock, and one host burst at a time on the data bus."""

    def __init__(self, timing: MemoryTiming, activate_clocks: int) -> None:
        self.timing, self.activate_clocks = timing, activate_clocks
        self.row: Command | None = None
        self.column: Command | None = None
        self.bursts: deque[tuple[int, Command]] = deque(maxlen=16)  # first clock of the data, command

    def violations(self, command: Command) -> Iterator[Violation]:
        """Commands that come while a bus is taken; records them."""
        if command.kind in rules.ROW_COMMANDS:
            if self.row is not None:
                taken = self.activate_clocks if self.row.kind in rules.ACTIVATES else 1
                yield from self._too_soon("row command bus", self.row, command, taken)
            self.row = command
        elif command.kind in rules.COLUMNS:
            if self.column is not None:
                yield from self._too_soon("column command bus", self.column, command, 1)
            self.column = command
            if command.kind in rules.HOST_COLUMNS:
                yield from self._data(command)

    @staticmethod
    def _too_soon(rule: str, earlier: Command, command: Command, clocks: int) -> Iterator[Violation]:
        if command.clock - earlier.clock < clocks:
            yield Violation(rule, command.clock, earlier, command, command.clock - earlier.clock, clocks)

    def _data(self, command: Command) -> Iterator[Violation]:
        start = command.clock + (self.timing.CL if command.kind == t.RD else self.timing.CWL)
        for other, earlier in self.bursts:
            if abs(start - other) < self.timing.tBL:
                yield Violation("data bus", command.clock, earlier, command, abs(start - other), self.timing.tBL)
        self.bursts.append((start, command))
