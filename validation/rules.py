"""The timing rules of one channel as a table, in the style of a memory standard's.

Every line says: from any of these commands to any of those, in this scope, at least so many clocks. The checker of
command traces reads nothing else for pairs of commands; the rules on more than two commands (the four-activate
window, the buses, refresh debt, turns) are code beside it. Numbers come from the part's timing and from the PIM kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pimmodel.hardware.memory import MemoryTiming
from pimmodel.scenario import PimKernel

from . import trace as t


class Scope(Enum):
    """Which earlier commands a line of the table looks at, relative to the banks of the later command."""

    BANK = "same bank"
    GROUP = "same bank group"
    OTHER_GROUP = "other bank group"
    CHANNEL = "same channel"


Kinds = frozenset[int]

HOST_COLUMNS: Kinds = frozenset({t.RD, t.WR})
PIM_COLUMNS: Kinds = frozenset({t.PIM_RD, t.PIM_WR})
COLUMNS: Kinds = HOST_COLUMNS | PIM_COLUMNS
READS: Kinds = frozenset({t.RD, t.PIM_RD})
WRITES: Kinds = frozenset({t.WR, t.PIM_WR})
ACTIVATES: Kinds = frozenset({t.ACT, t.PIM_ACT, t.PIM_ACT_ALL})
ALL_BANK_ACTIVATE: Kinds = frozenset({t.PIM_ACT_ALL})
PRECHARGES: Kinds = frozenset({t.PRE, t.PREA, t.PIM_PRE})
REFRESH: Kinds = frozenset({t.REF})
BANK_REFRESH: Kinds = frozenset({t.REFPB})
MARKS: Kinds = frozenset({t.SWITCH, t.GRANT})
ROW_COMMANDS: Kinds = ACTIVATES | PRECHARGES | REFRESH | BANK_REFRESH
PIM_KINDS: Kinds = frozenset({t.PIM_ACT, t.PIM_ACT_ALL, t.PIM_PRE}) | PIM_COLUMNS
HOST_KINDS: Kinds = frozenset({t.ACT}) | HOST_COLUMNS


@dataclass(frozen=True)
class Constraint:
    """One line of the table: `earlier` to `later` within `scope` at least `clocks` [clock]."""

    name: str
    earlier: Kinds
    later: Kinds
    scope: Scope
    clocks: int


def constraints(timing: MemoryTiming, kernel: PimKernel | None = None) -> list[Constraint]:
    """All rules on pairs of commands of a part; with a PIM kernel, those of its column steps too."""
    return [*_bank_rules(timing), *_activate_rules(timing), *_column_rules(timing), *_refresh_rules(timing)] + (
        _pim_rules(timing, kernel) if kernel else []
    )


def _bank_rules(p: MemoryTiming) -> list[Constraint]:
    """The row cycle of one bank. The write recovery counts from the end of the burst."""
    return [
        Constraint("tRCDRD", ACTIVATES, READS, Scope.BANK, p.tRCDRD),
        Constraint("tRCDWR", ACTIVATES, WRITES, Scope.BANK, p.tRCDWR),
        Constraint("tRAS", ACTIVATES, PRECHARGES, Scope.BANK, p.tRAS),
        Constraint("tRC", ACTIVATES, ACTIVATES, Scope.BANK, p.tRC),
        Constraint("tRP", PRECHARGES, ACTIVATES, Scope.BANK, p.tRP),
        Constraint("tRTP", READS, PRECHARGES, Scope.BANK, p.tRTP),
        Constraint("tWR", WRITES, PRECHARGES, Scope.BANK, p.CWL + p.tBL + p.tWR),
    ]


def _activate_rules(p: MemoryTiming) -> list[Constraint]:
    """Activates of different banks; an all-bank activate is one in every group."""
    return [
        Constraint("tRRD_L", ACTIVATES, ACTIVATES, Scope.GROUP, p.tRRD_L),
        Constraint("tRRD_S", ACTIVATES, ACTIVATES, Scope.OTHER_GROUP, p.tRRD_S),
        Constraint("tRRD_L", ALL_BANK_ACTIVATE, ACTIVATES, Scope.CHANNEL, p.tRRD_L),
        Constraint("tRRD_L", ACTIVATES, ALL_BANK_ACTIVATE, Scope.CHANNEL, p.tRRD_L),
    ]


def _column_rules(p: MemoryTiming) -> list[Constraint]:
    """Columns: the path within a group belongs to both sides, the external data bus to the host alone."""
    read, write = frozenset({t.RD}), frozenset({t.WR})
    within_group = p.CWL + p.tBL + p.tWTR_L
    return [
        Constraint("tCCD_L", COLUMNS, COLUMNS, Scope.GROUP, p.tCCD_L),
        Constraint("tCCD_S", HOST_COLUMNS, HOST_COLUMNS, Scope.OTHER_GROUP, p.tCCD_S),
        Constraint("tRTW", read, write, Scope.CHANNEL, p.CL + p.tBL + p.tRTW_gap - p.CWL),
        Constraint("tWTR_L", WRITES, read, Scope.GROUP, within_group),
        Constraint("tWTR_L", write, READS, Scope.GROUP, within_group),
        Constraint("tWTR_S", write, read, Scope.OTHER_GROUP, p.CWL + p.tBL + p.tWTR_S),
    ]


def _refresh_rules(p: MemoryTiming) -> list[Constraint]:
    """Refresh; a bank that is refreshed alone is busy for tRFCpb, the others only for tRREFD."""
    return [
        Constraint("tRP", PRECHARGES, REFRESH, Scope.CHANNEL, p.tRP),
        Constraint("tRP", PRECHARGES, BANK_REFRESH, Scope.BANK, p.tRP),
        Constraint("tRC", ACTIVATES, REFRESH, Scope.CHANNEL, p.tRC),
        Constraint("tRC", ACTIVATES, BANK_REFRESH, Scope.BANK, p.tRC),
        Constraint("tRFC", REFRESH, ACTIVATES | REFRESH | BANK_REFRESH, Scope.CHANNEL, p.tRFC),
        Constraint("tRFCpb", BANK_REFRESH, ACTIVATES | BANK_REFRESH, Scope.BANK, p.tRFCpb),
        Constraint("tRFCpb", BANK_REFRESH, REFRESH, Scope.CHANNEL, p.tRFCpb),
        Constraint("tRREFD", BANK_REFRESH, ACTIVATES | BANK_REFRESH, Scope.CHANNEL, p.tRREFD),
    ]


def _pim_rules(p: MemoryTiming, kernel: PimKernel) -> list[Constraint]:
    """Column steps among each other: all units in lockstep, so the scope is the channel."""
    step_read, step_write = frozenset({t.PIM_RD}), frozenset({t.PIM_WR})
    to_read = p.CWL + p.tBL + p.tWTR_L if kernel.write_to_read is None else kernel.write_to_read
    to_write = kernel.cadence if kernel.read_to_write is None else kernel.read_to_write
    return [
        Constraint("cadence", PIM_COLUMNS, PIM_COLUMNS, Scope.CHANNEL, kernel.cadence),
        Constraint("pim write_to_read", step_write, step_read, Scope.CHANNEL, to_read),
        Constraint("pim read_to_write", step_read, step_write, Scope.CHANNEL, to_write),
    ]
