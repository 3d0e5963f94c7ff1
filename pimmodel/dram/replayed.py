"""Closed form of the clocks of whole request lists, for comparison with cycle simulators (`pimmodel validate dram`).

Covers lists of one direction with full queues: row conflicts, row locality and sequential patterns. Each is a
backlogged stream of `pimmodel.dram.rows`: k banks in turn, n columns per visit. Returns None for everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pimmodel.dram.refresh import refresh_availability
from pimmodel.dram.rows import backlogged_interval
from pimmodel.hardware.memory import MemoryTiming, Organisation

# Sequential patterns: banks in turn, and whether bank groups take turns column by column (or within the queue's sight).
_SEQUENTIAL = {
    "bg_interleave": (16, True),
    "all_bank_interleave": (16, True),
    "no_bg_interleave_16banks": (16, True),
    "single_bankgroup_4banks": (4, False),
    "single_bank": (1, False),
}


def list_clocks(timing: MemoryTiming, organisation: Organisation, parameters: Mapping[str, Any]) -> float | None:
    """Clocks from the start to the last data beat of a request list.

    Parameters
    ----------
    timing, organisation : the part
    parameters : those of the stream (pattern, k_banks, n_cols, bank_order, write, ...), `requests`, `test`, `refresh`
        ("on" or "off"), `window` (None: full queues)

    Returns
    -------
    Clocks [clock], or None where no closed form applies.
    """
    if parameters.get("window") is not None:
        return None
    test, write = str(parameters["test"]), bool(int(parameters.get("write", 0)))
    groups_turn, tRRD = True, float(timing.tRRD_S)
    if test == "new_row_every_access":
        banks, columns = int(parameters["k_banks"]), 1
        if parameters["bank_order"] == "same_bg_first":
            inside = organisation.banks_per_group
            groups_turn = banks > inside
            tRRD = float(timing.tRRD_L) if banks <= inside else ((inside - 1) * timing.tRRD_L + timing.tRRD_S) / inside
    elif test in ("k_banks_n_cols_block", "k_banks_n_cols_interleaved"):
        banks, columns = int(parameters["k_banks"]), int(parameters["n_cols"])
    elif test in ("seq_read", "seq_write"):
        banks, groups_turn = _SEQUENTIAL[str(parameters["pattern"])]
        columns = organisation.columns_per_row
    else:
        return None
    interval = backlogged_interval(
        columns=columns,
        banks=banks,
        column_gap=timing.tCCD_S if groups_turn and banks > 1 else timing.tCCD_L if columns > 1 else 1,
        tCCD_L=timing.tCCD_L,
        tRCD=timing.tRCDWR if write else timing.tRCDRD,
        tail=timing.write_to_precharge if write else timing.tRTP,
        tRP=timing.tRP,
        tRC=timing.tRC,
        tRRD=tRRD,
        tFAW=timing.tFAW,
    )
    clocks = float(interval) * int(parameters["requests"])
    if parameters.get("refresh") == "on":
        clocks /= float(refresh_availability(tRFC=timing.tRFC, tREFI=timing.tREFI))
    first = (timing.tRCDWR + timing.CWL) if write else (timing.tRCDRD + timing.CL)
    return clocks + first + timing.tBL
