"""Short names for the commands of hand-made traces, and the part and the kernel that they are for."""

from __future__ import annotations

from typing import Any

import numpy as np
from pimmodel.validation import trace as t
from pimmodel.validation.checker import check, check_channel

from pimmodel.hardware.memory import MemoryTiming, Organisation
from pimmodel.scenario import HostQueue, HostStream, PimKernel, PimOperand, PimPass, Policy, Scenario

# Numbers that differ from each other, so that no two rules give the same answer by accident.
TIMING = MemoryTiming(
    CL=14, CWL=5, tBL=2, tRCDRD=13, tRCDWR=11, tRP=15, tRAS=34, tRC=52, tCCD_S=2, tCCD_L=4, tRRD_S=3, tRRD_L=6, tFAW=31,
    tRTP=7, tWR=16, tWTR_S=6, tWTR_L=9, tRTW_gap=2, tRFC=260, tRFCpb=160, tREFI=3900, tREFIpb=244, tRREFD=8,
)  # fmt: skip
ORGANISATION = Organisation(bank_groups=4, banks_per_group=4, rows=32768, columns_per_row=32, bytes_per_column=32)
PIM_ROW = t.PIM_ROW_BASE
Line = tuple[int, ...]

# Derived by hand: read to write 14 + 2 + 2 - 5; write to read 5 + 2 + 9 and 5 + 2 + 6; write to precharge 5 + 2 + 16.
READ_TO_WRITE, WRITE_TO_READ_L, WRITE_TO_READ_S, WRITE_TO_PRECHARGE = 13, 16, 13, 23


def kernel(**changes: Any) -> PimKernel:
    standard: dict[str, Any] = {
        "passes": (PimPass(operands=(PimOperand(), PimOperand(write=True))),),
        "cadence": 5,
        "columns_per_row": 2,
        "row_switch": "exposed",
    }
    return PimKernel(**{**standard, **changes})


def scenario(policy: Policy | None = None, *, refresh: Any = "off", **changes: Any) -> Scenario:
    return Scenario(
        timing=TIMING,
        organisation=ORGANISATION,
        stream=HostStream(rate=0.2, substreams=4, spread=1, columns=4, write_share=0.5),
        queue=HostQueue(capacity=64, window=64),
        kernel=kernel(**changes),
        policy=policy or Policy(kind="uncoordinated"),
        refresh=refresh,
    )


def act(clock: int, group: int = 0, bank: int = 0, row: int = 1) -> Line:
    return (clock, t.ACT, t.HOST, group, bank, row, -1)


def pre(clock: int, group: int = 0, bank: int = 0) -> Line:
    return (clock, t.PRE, t.HOST, group, bank, -1, -1)


def rd(clock: int, group: int = 0, bank: int = 0, row: int = 1) -> Line:
    return (clock, t.RD, t.HOST, group, bank, row, 0)


def wr(clock: int, group: int = 0, bank: int = 0, row: int = 1) -> Line:
    return (clock, t.WR, t.HOST, group, bank, row, 0)


def mark(clock: int, kind: int, owner: int = t.NOBODY) -> Line:
    return (clock, kind, owner, -1, -1, -1, -1)


def refpb(clock: int, group: int = 0, bank: int = 0) -> Line:
    return (clock, t.REFPB, t.NOBODY, group, bank, -1, -1)


def pim_act(clock: int, group: int = 0, bank: int = 0, row: int = 0) -> Line:
    return (clock, t.PIM_ACT, t.PIM, group, bank, PIM_ROW + row, -1)


def pim_act_all(clock: int, bank: int = 0, row: int = 0) -> Line:
    return (clock, t.PIM_ACT_ALL, t.PIM, -1, bank, PIM_ROW + row, -1)


def pim_pre(clock: int, bank: int = 0) -> Line:
    return (clock, t.PIM_PRE, t.PIM, -1, bank, -1, -1)


def step(clock: int, bank: int = 0, column: int = 0, row: int = 0) -> Line:
    """A column step of the kernel: it reads bank 0 and writes bank 1."""
    return (clock, t.PIM_WR if bank else t.PIM_RD, t.PIM, -1, bank, PIM_ROW + row, column)


def trace(*lines: Line) -> np.ndarray:
    return np.array(list(lines), dtype=t.TRACE_DTYPE)


def rules_broken(*lines: Line, channel: bool = False, end: int | None = None, **keywords: Any) -> list[str]:
    if channel:
        return [one.rule for one in check_channel(trace(*lines), TIMING, ORGANISATION, end=end, **keywords)]
    first = keywords.pop("first_owner", t.HOST)
    return [one.rule for one in check(trace(*lines), scenario(**keywords), end=end, first_owner=first)]
