"""Who may issue what, as the checker of traces sees it: turns of host and PIM, changes of hands, the kernel's order.

For the policies that take turns the checker follows SWITCH, precharge-all and GRANT, and looks at what a trace says
about the conditions for a change. A trace has no requests that wait, so a condition on them is checked by what follows
from it: a host turn that began with so many requests queued must serve at least as many as the lower mark asks for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from pimmodel.scenario import PimKernel, PimPass, Scenario

from . import rules
from . import trace as t
from .refresh_rules import TURNS
from .trace_commands import Command, Violation


def check_turns(commands: list[Command], scenario: Scenario, first_owner: int) -> list[Violation]:
    """Violations of the authority rules and of the conditions for a change."""
    found = [Violation("owner of the command", one.clock, None, one) for one in commands if not _owner_fits(one)]
    kind = scenario.policy.kind
    if kind in TURNS:
        follower = _Turns(scenario, first_owner)
        for command in commands:
            found += follower.violations(command)
        return found
    found += [Violation("change without turns", one.clock, None, one) for one in commands if one.kind in rules.MARKS]
    if kind in ("gpu-only", "serial"):
        others = [one for one in commands if one.owner not in (first_owner, t.NOBODY)]
        found += [Violation("authority", one.clock, None, one) for one in others]
    if kind == "partitioned":
        found += _partition(commands, scenario)
    return found


def _owner_fits(command: Command) -> bool:
    if command.kind in rules.HOST_KINDS:
        return command.owner == t.HOST
    if command.kind in rules.PIM_KINDS:
        return command.owner == t.PIM
    if command.kind in rules.MARKS:
        return command.owner in (t.HOST, t.PIM)
    return command.kind == t.PRE or command.owner == t.NOBODY


def _partition(commands: list[Command], scenario: Scenario) -> Iterator[Violation]:
    """The upper half of each group's banks is the PIM's, the rest the host's."""
    size = scenario.organisation.banks_per_group
    lowest = size - size // 2
    for command in commands:
        if command.owner != t.NOBODY and command.kind not in rules.MARKS:
            wrong = [bank for bank in command.banks if (bank % size >= lowest) != (command.owner == t.PIM)]
            if wrong:
                yield Violation("bank of the other side", command.clock, None, command, wrong[0])


@dataclass
class _Turns:
    """Follows the changes of hands of one trace."""

    scenario: Scenario
    owner: int
    began: int = 0
    columns: int = 0  # of the owner in this turn
    turns: int = 0
    needed: int = 0  # columns that this host turn must serve before queued <= theta_low can hold
    switch: Command | None = None  # the change under way
    closing: Command | None = None  # its precharge-all
    refresh: Command | None = None  # the last refresh after that
    open_banks: set[int] = field(default_factory=set)
    data_ends: list[int] = field(default_factory=list)  # last data beats of host columns, for those in flight

    def violations(self, command: Command) -> Iterator[Violation]:
        """What the command breaks; follows it."""
        clock, kind = command.clock, command.kind
        if kind == t.SWITCH:
            yield from self._begin_change(command)
        elif kind == t.GRANT:
            yield from self._end_change(command)
        elif self.switch is not None:
            if kind in rules.ACTIVATES | rules.COLUMNS | rules.BANK_REFRESH:
                yield Violation("command during a change", clock, self.switch, command)
            if kind == t.PREA and self.closing is not None:
                yield Violation("order of a change", clock, self.closing, command)
        elif command.owner not in (self.owner, t.NOBODY):
            yield Violation("authority", clock, None, command)
        self._follow(command)
        if kind in rules.COLUMNS:
            yield from self._quota(command)

    def _follow(self, command: Command) -> None:
        if command.kind in rules.ACTIVATES:
            self.open_banks.update(command.banks)
        elif command.kind == t.PREA:
            self.open_banks.clear()
            self.closing = command if self.switch is not None else None
        elif command.kind in rules.PRECHARGES:
            self.open_banks.difference_update(command.banks)
        elif command.kind == t.REF and self.switch is not None:
            self.refresh = command
        elif command.kind in rules.COLUMNS:
            self.columns += command.owner == self.owner
            if command.kind in rules.HOST_COLUMNS:
                p = self.scenario.timing
                self.data_ends.append(command.clock + (p.CL if command.kind == t.RD else p.CWL) + p.tBL)

    def _begin_change(self, command: Command) -> Iterator[Violation]:
        if self.switch is not None or command.owner != self.owner:
            yield Violation("order of a change", command.clock, self.switch, command)
        yield from self._condition(command)
        self.switch, self.closing, self.refresh = command, None, None

    def _end_change(self, command: Command) -> Iterator[Violation]:
        clock, p, mode_switch = command.clock, self.scenario.timing, self.scenario.kernel.mode_switch
        if self.switch is None or self.closing is None or command.owner == self.owner:
            yield Violation("order of a change", clock, self.switch, command)
        if self.open_banks:
            yield Violation("grant with open banks", clock, self.switch, command, len(self.open_banks), 0)
        for earlier, clocks in ((self.closing, p.tRP), (self.refresh, p.tRFC)):
            required = clocks + mode_switch
            if earlier is not None and clock - earlier.clock < required:
                yield Violation("wait of a change", clock, earlier, command, clock - earlier.clock, required)
        self.needed = self._backlog(self.switch) if command.owner == t.HOST and self.switch is not None else 0
        self.owner, self.began, self.columns, self.switch = command.owner, clock, 0, None
        self.turns += 1

    def _quota(self, command: Command) -> Iterator[Violation]:
        """More columns in a host turn than its policy allows; the kernel has no end, so PIM work is waiting always."""
        policy = self.scenario.policy
        most = policy.quota_host if policy.quota_host is not None else policy.bypass_cap
        if command.owner == t.HOST == self.owner and most is not None and self.columns > most:
            yield Violation("columns of a host turn", command.clock, None, command, self.columns, most)

    def _condition(self, command: Command) -> Iterator[Violation]:
        """Whether a change may begin now, as far as the trace tells."""
        policy, host = self.scenario.policy, self.owner == t.HOST
        rule = f"condition to end a {'host' if host else 'PIM'} turn"
        least = self._least_of_host() if host else self._least_of_pim()
        if self.columns < least:
            yield Violation(rule, command.clock, None, command, self.columns, least)
        length, lasted = policy.slice_host if host else policy.slice_pim, command.clock - self.began
        if length is not None and (lasted < length or (lasted > length and host)):
            yield Violation(rule, command.clock, None, command, lasted, length)
        if policy.kind == "pim-first" and not host:
            yield Violation(rule, command.clock, None, command)

    def _least_of_host(self) -> int:
        """Columns that the host must have served in this turn before it may end [columns]."""
        quota = self.scenario.policy.quota_host
        return self.needed if quota is None else min(self.needed, quota)

    def _least_of_pim(self) -> int:
        """Column steps that the PIM must have done in this turn before it may end [column steps]."""
        policy = self.scenario.policy
        if policy.kind == "bypass-cap" and policy.bypass_cap and policy.slowdown:
            return math.ceil(policy.bypass_cap / policy.slowdown)
        return 0

    def _backlog(self, switch: Command) -> int:
        """Columns that separate the queue at the end of a PIM turn from the host's condition to end its own turn.

        queued >= theta_high, or queued + in flight = W; in flight are columns whose last data beat is still to come.
        """
        policy, window = self.scenario.policy, self.scenario.queue.window
        if policy.kind in ("host-first", "bypass-cap"):
            return 1
        if policy.theta_high is None or policy.theta_low is None:
            return 0
        self.data_ends = [end for end in self.data_ends if end > switch.clock]
        queued = max(1, min(policy.theta_high, window - len(self.data_ends)))
        if policy.kind == "watermark" and policy.theta_high <= window:
            queued = policy.theta_high
        if policy.quota_pim is not None and self.columns >= policy.quota_pim:
            queued = 1
        return max(0, queued - policy.theta_low)


def check_kernel_order(commands: list[Command], scenario: Scenario) -> list[Violation]:
    """Violations of the order of column steps: none repeated, none left out, whatever interrupted the kernel."""
    wanted = _steps(scenario.kernel)
    found: list[Violation] = []
    for command in commands:
        if command.kind in rules.PIM_COLUMNS:
            kind, column = next(wanted)
            if (command.kind, command.column) != (kind, column):
                return [Violation("order of the kernel", command.clock, None, command, command.column, column)]
    return found


def _steps(kernel: PimKernel) -> Iterator[tuple[int, int]]:
    """(kind, column) of every column step, without end."""
    while True:
        for one in kernel.passes:
            for _ in range(one.rows):
                yield from _row_steps(one, kernel)


def _row_steps(one: PimPass, kernel: PimKernel) -> Iterator[tuple[int, int]]:
    """Column steps of one row of a pass: `registers` columns of each operand in turn."""
    for first in range(0, kernel.columns_per_row, kernel.registers):
        for operand in one.operands:
            for column in range(first, min(first + kernel.registers, kernel.columns_per_row)):
                yield (t.PIM_WR if operand.write else t.PIM_RD), column
