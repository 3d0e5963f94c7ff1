"""Command trace of the reference simulator: what was issued, when, by whom, and to which bank.

A trace is a one-dimensional numpy array of :data:`TRACE_DTYPE`, sorted by clock; within a clock the order is the order
of issue (at most one column and one row command per clock, see *buses*). It is complete from clock 0, where all banks
are closed and no earlier command constrains anything. The checker of traces and the simulator share this file, the
hardware descriptions and nothing else.

Fields
------
clock : clock of the command [clock]
kind : one of the constants below
owner : :data:`HOST` or :data:`PIM`; for REF and REFPB :data:`NOBODY`; for PRE the side on whose behalf (NOBODY when
    a per-bank refresh needs the bank closed); for PREA NOBODY; for SWITCH the owner that loses the memory, for GRANT
    the owner that receives it
bank_group, bank : the bank, as group and index within the group. For PIM_ACT the one bank that is opened. For
    PIM_ACT_ALL, PIM_PRE, PIM_RD, PIM_WR: `bank_group` is -1 and `bank` is j, the bank index *within a unit*. For
    PREA, REF, SWITCH, GRANT both are -1
row : a *label* of the row: equal labels in one bank are one row, and nothing else follows from the number. A host
    visit has a fresh label >= 0 (in `replay`: the row of the request). PIM rows are labelled from
    :data:`PIM_ROW_BASE` up. For RD, WR, PIM_RD, PIM_WR: the row that has to be open in the bank(s). -1 where there is
    none (PRE, PREA, PIM_PRE, REF, REFPB, SWITCH, GRANT)
column : column (burst) index for RD, WR, PIM_RD, PIM_WR, else -1

Banks of the PIM
----------------
Unit u of U owns per_unit = banks / U banks, group-major: its bank j is number x = u per_unit + j, in bank group
x // banks_per_group with index x % banks_per_group. Under the policy `partitioned` the PIM has only the banks with
index >= banks_per_group - banks_per_group // 2; then bank j of a unit is the j-th of those of its banks, and a unit
that has none takes part in nothing (`unit_banks` below gives the list for both cases).

Rules of the commands
---------------------
- *Buses*: in a clock at most one row command (ACT, PRE, PREA, REF, REFPB, PIM_ACT, PIM_ACT_ALL, PIM_PRE) and at most
  one column command (RD, WR, PIM_RD, PIM_WR). After an ACT, PIM_ACT or PIM_ACT_ALL the row bus is taken for
  `activate_clocks` clocks (1 unless `replay` was told otherwise). SWITCH and GRANT are marks and use no bus.
- ACT, PIM_ACT: bank closed; tRP since its precharge, tRC since its last activate, tRRD_L since the last activate in
  the group, tRRD_S since the last one elsewhere, at most four activates in any tFAW; tRFC after REF, tRFCpb after a
  REFPB of this bank, tRREFD after any REFPB.
- PIM_ACT_ALL opens bank j of every unit: tRP, tRC (and refresh) of each of them, tRRD_L since any earlier activate. It
  counts as *one* activate in the four-activate window, and as one activate in every group for tRRD_L and tRRD_S (a
  part that offers it has the current to do it).
- PRE: tRAS since the activate of the bank, tRTP since its last read, CWL + tBL + tWR since its last write; PIM column
  steps count exactly like reads and writes of each bank they touch. PREA and PIM_PRE: the same for every open bank
  that they touch; banks that are closed (or in a per-bank refresh) do not matter.
- RD, WR (host): row open, tRCDRD or tRCDWR since the activate; tCCD_L since the last column command in the group,
  tCCD_S since the last host column elsewhere; read to write `timing.read_to_write` from any host read; write to read
  `write_to_read_same_group` or `write_to_read_other_group` from the last host write there.
- PIM_RD, PIM_WR: one column in bank j of every (active) unit: the row open in each, tRCDRD or tRCDWR since its
  activate. `kernel.cadence` since the last step; PIM_WR to PIM_RD `kernel.write_to_read` (None:
  `write_to_read_same_group`),
  PIM_RD to PIM_WR `kernel.read_to_write` (None: cadence), both never less than the cadence. A step occupies the column
  path of every bank group it touches: tCCD_L to and from any host column in that group; a write of either side to a
  read of the other in the same group needs `write_to_read_same_group`. It does not use the external data bus, so
  between a step and a host column in an untouched group only the column command bus counts.
- REF: all banks closed since tRP; REFPB: its bank closed since tRP; tRREFD since the last REFPB. Refresh number i
  (from 0) is due at (i + 1) tREFI, of one bank at (i + 1) tREFIpb, in bank order i mod banks, bank b being bank
  b // bank_groups of group b % bank_groups. None is issued early. Postponement: at most 8 tREFI plus the wait for the
  next precharge-all in the policies that take turns.
- SWITCH: from this clock until GRANT no ACT, no column and no REFPB. Then one PREA, at least tRP + `mode_switch` before
  GRANT; refreshes that are owed come between them (REF at tRP after PREA, each tRFC; `mode_switch` after the last).
  From GRANT on only the new owner issues (except in the policies `uncoordinated` and `partitioned`, which have neither
  SWITCH nor GRANT). A trace has no GRANT for the owner at clock 0, which is the host (for a kernel alone, the PIM).
"""

from __future__ import annotations

from typing import Final

import numpy as np

TRACE_DTYPE: Final = np.dtype(
    [
        ("clock", np.int64),
        ("kind", np.int8),
        ("owner", np.int8),
        ("bank_group", np.int16),
        ("bank", np.int16),
        ("row", np.int64),
        ("column", np.int32),
    ]
)

NOBODY: Final = -1
HOST: Final = 0
PIM: Final = 1

ACT: Final = 0
PRE: Final = 1
PREA: Final = 2
RD: Final = 3
WR: Final = 4
REF: Final = 5
REFPB: Final = 6
PIM_ACT: Final = 7
PIM_ACT_ALL: Final = 8
PIM_PRE: Final = 9
PIM_RD: Final = 10
PIM_WR: Final = 11
GRANT: Final = 12
SWITCH: Final = 13

KIND_NAMES: Final = (
    "ACT", "PRE", "PREA", "RD", "WR", "REF", "REFPB", "PIM_ACT", "PIM_ACT_ALL", "PIM_PRE", "PIM_RD", "PIM_WR",
    "GRANT", "SWITCH",
)  # fmt: skip

PIM_ROW_BASE: Final = 1 << 40


def unit_banks(
    bank_groups: int, banks_per_group: int, units: int, *, partitioned: bool = False
) -> list[list[tuple[int, int]]]:
    """Banks (bank group, bank) of every unit that takes part; entry [u][j] is bank j of the u-th of them.

    Units come in the order in which they are activated: by bank index first, then by group, so that consecutive
    activates hit different groups. All units have the same number of banks (the smallest of them, where a partition
    cuts units unevenly).

    >>> unit_banks(2, 2, 2)
    [[(0, 0), (0, 1)], [(1, 0), (1, 1)]]
    >>> unit_banks(2, 2, 4)
    [[(0, 0)], [(1, 0)], [(0, 1)], [(1, 1)]]
    >>> unit_banks(2, 2, 4, partitioned=True)
    [[(0, 1)], [(1, 1)]]
    """
    per_unit = bank_groups * banks_per_group // units
    lowest = banks_per_group - banks_per_group // 2 if partitioned else 0
    found = []
    for u in range(units):
        places = [divmod(x, banks_per_group) for x in range(u * per_unit, (u + 1) * per_unit)]
        mine = [(group, bank) for group, bank in places if bank >= lowest]
        if mine:
            found.append(mine)
    found.sort(key=lambda mine: (mine[0][1], mine[0][0]))
    least = min((len(mine) for mine in found), default=0)
    return [mine[:least] for mine in found]


def names(trace: np.ndarray) -> list[str]:
    """One readable line per command of a `trace` of shape (N,), for tests and error messages; times in [clock].

    >>> row = np.array([(5, ACT, HOST, 1, 2, 7, -1)], dtype=TRACE_DTYPE)
    >>> names(row)
    ['5 ACT g1 b2 row 7']
    """
    lines = []
    for entry in trace:
        text = f"{entry['clock']} {KIND_NAMES[entry['kind']]}"
        if entry["bank_group"] >= 0:
            text += f" g{entry['bank_group']}"
        if entry["bank"] >= 0:
            text += f" b{entry['bank']}"
        if entry["row"] >= 0:
            text += f" row {entry['row']}"
        if entry["column"] >= 0:
            text += f" col {entry['column']}"
        lines.append(text)
    return lines
