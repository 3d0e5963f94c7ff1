"""State of the simulated channel: one numpy record of fixed size, which numba passes by reference.

(Arrays in a tuple would be the obvious choice; numba counts references to each of them in every call, which made
the simulator twenty times slower.)
Everything that changes lives in these records, so a run can be stopped and continued (for the warm-up, and to empty
a full trace buffer). All clocks are absolute, all `next_...` fields are the first clock at which something is allowed.
Banks are numbered bank-group first: bank b is bank b // groups of group b % groups.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from pimmodel.validation.trace import TRACE_DTYPE

from pimmodel.errors import PimModelError

NEVER: Final = 1 << 60
CREDIT_ONE: Final = 1 << 40  # arrival credit is counted in 2^-40 requests, so that skipping clocks adds up exactly
MAX_BANKS: Final = 64  # the planners keep sets of banks in one 64-bit word
LATENCY_BINS: Final = 4096

# policies
GPU_ONLY: Final = 0
SERIAL: Final = 1
CONCURRENT: Final = 2  # partitioned, uncoordinated
EXCLUSIVE: Final = 3
WATERMARK: Final = 4
BYPASS_CAP: Final = 5
TIME_SLICE: Final = 6
HOST_FIRST: Final = 7
PIM_FIRST: Final = 8
PIM_ONLY: Final = 9

# where host requests come from
NO_HOST: Final = 0
STREAM: Final = 1
CLOSED_LOOP: Final = 2
LIST: Final = 3

REFRESH_OFF: Final = 0
REFRESH_ALL: Final = 1
REFRESH_PER_BANK: Final = 2

# what the channel is doing
NORMAL: Final = 0
DRAIN: Final = 1  # waits until every open bank may be precharged
CLOSED: Final = 2  # all banks precharged; refreshes, mode switch, then the (new) owner


def _integers(*names: str) -> list[tuple[str, type]]:
    return [(name, np.int64) for name in names]


TIMING_FIELDS: Final = (
    "CL", "CWL", "tBL", "tRCDRD", "tRCDWR", "tRP", "tRAS", "tRC", "tCCD_S", "tCCD_L", "tRRD_S", "tRRD_L", "tFAW",
    "tRTP", "tRFC", "tRFCpb", "tREFI", "tREFIpb", "tRREFD",
    "read_to_write", "write_to_read_same_group", "write_to_read_other_group", "write_to_precharge",
)  # fmt: skip

PARAMETERS: Final = np.dtype(
    [
        *_integers(*TIMING_FIELDS),
        *_integers("groups", "banks", "columns_per_row", "refresh", "postpone", "activate_clocks"),
        # host: source, queue
        *_integers("source", "credit", "poisson", "substreams", "spread", "columns", "host_banks", "write_threshold"),
        *_integers("window", "capacity", "starvation_cap", "separate", "drain_high", "drain_low"),
        *_integers("window_counts_queued", "host_limit", "n_passes"),
        # PIM
        *_integers("units", "unit_banks", "cadence", "pim_write_to_read", "pim_read_to_write", "pim_columns"),
        *_integers("registers", "same_bank", "hidden", "all_bank_activate", "mode_switch", "pim_limit"),
        # policy
        *_integers("policy", "theta_low", "theta_high", "quota_host", "quota_pim", "slice_host", "slice_pim"),
        *_integers("window_ends_pim_turn", "skip", "stop_when_done", "tracing"),
    ],
    align=True,
)

CHANNEL: Final = np.dtype(
    [
        *_integers("clock", "done"),
        # command timing of the channel
        *_integers("next_row", "next_act", "last_act", "faw_at"),
        ("faw", np.int64, (4,)),
        *_integers("next_rd", "next_wr", "pim_next_rd", "pim_next_wr"),
        # ownership
        *_integers("phase", "owner", "target", "wait_until", "turn_began", "turn_columns"),
        *_integers("refreshes", "refreshes_now", "blocked_bank", "next_refpb"),
        *_integers("last_column_owner", "last_row_owner"),
        # host queue and source
        *_integers("queued", "queued_writes", "busy_banks", "draining", "in_flight", "ring_head"),
        *_integers("credit", "need", "was_stalled", "next_substream", "next_row_label", "generated"),
        *_integers("host_end", "pim_end", "list_next", "list_loaded", "list_more", "logged"),
        ("random", np.uint64),
        # position of the PIM
        *_integers("pass_", "repetition", "row", "batch", "operand", "column", "row_serial", "pim_steps_total"),
        # plans: first clock at which a command can go, and which
        *_integers("host_valid", "host_only", "host_col", "host_col_at", "host_col_own_at"),
        *_integers("host_row", "host_row_at"),
        *_integers("pim_valid", "pim_col_at", "pim_col_own_at", "pim_row_kind", "pim_row_at", "pim_row_unit"),
        *_integers("pim_row_bank", "pim_row_label"),
        *_integers("trace_length"),
    ],
    align=True,
)

STATISTICS: Final = np.dtype(
    [
        *_integers("generated", "served_reads", "served_writes", "pim_steps", "switches"),
        *_integers("row_hits", "row_misses", "row_conflicts", "activates", "pim_activates", "precharges"),
        *_integers("stall_cycles", "refreshes", "host_clocks", "pim_clocks"),
        *_integers("latency_sum", "read_latency_sum"),
        ("latency_histogram", np.int64, (LATENCY_BINS,)),
    ],
    align=True,
)

BANK: Final = np.dtype(
    _integers("open_row", "owner", "served", "group", "queued", "next_act", "next_pre", "next_rd", "next_wr"),
    align=True,
)
# next_...: a host column after columns of either side; own_next_...: after host columns alone; pim_next_...: a step
# after host columns
GROUP: Final = np.dtype(
    _integers("next_act", "next_rd", "next_wr", "own_next_rd", "own_next_wr", "pim_next_rd", "pim_next_wr"), align=True
)
REQUEST: Final = np.dtype(
    _integers("bank", "row", "column", "write", "born", "arrival", "passed", "row_commands"), align=True
)
SUBSTREAM: Final = np.dtype(_integers("first_bank", "label", "write", "step", "column"), align=True)
LOG: Final = np.dtype(_integers("arrival", "born", "issued", "done", "write"), align=True)
PASS: Final = np.dtype(_integers("first_operand", "operands", "rows"), align=True)


IN_FLIGHT: Final = 1024  # ring of outstanding requests; the data bus bounds them by latency / tBL
MOST: Final = {
    "banks": MAX_BANKS,
    "queue": 4096,
    "substreams": 4096,
    "passes": 1024,
    "operands": 4096,
}
TRACE_BUFFER: Final = 1 << 14
REQUEST_BUFFER: Final = 1 << 15

STATE: Final = np.dtype(
    [
        ("parameters", PARAMETERS),
        ("channel", CHANNEL),
        ("statistics", STATISTICS),
        ("banks", BANK, (MAX_BANKS,)),
        ("groups", GROUP, (MAX_BANKS,)),
        ("unit_banks", np.int64, (MAX_BANKS, MAX_BANKS)),  # [unit, j] -> bank
        ("candidates", np.int64, (MAX_BANKS,)),  # scratch of the host's planner
        ("in_flight", np.int64, (IN_FLIGHT,)),  # ring: clocks at which outstanding requests complete
        ("passes", PASS, (MOST["passes"],)),
        ("operand_writes", np.int64, (MOST["operands"],)),
        ("order", np.int64, (MOST["queue"] + 1,)),  # queued requests from the oldest on, then the free places
        ("queue", REQUEST, (MOST["queue"] + 1,)),
        ("substreams", SUBSTREAM, (MOST["substreams"],)),
        ("trace", TRACE_DTYPE, (TRACE_BUFFER,)),
        ("requests", REQUEST, (REQUEST_BUFFER,)),  # source LIST: the part of the list that is loaded
        ("log", LOG, (REQUEST_BUFFER,)),  # source LIST: one entry per served request
    ],
    align=True,
)


def at_most(what: str, value: int) -> int:
    """`value`, if the fixed size of the state has room for it."""
    if value > MOST[what]:
        raise PimModelError(f"the simulator handles up to {MOST[what]} {what}, not {value}")
    return value


def empty_state() -> np.ndarray:
    """State at clock 0, an array of length 1: all banks closed, nothing queued, no constraint running."""
    s = np.zeros(1, STATE)
    s["banks"]["open_row"] = -1
    s["order"] = np.arange(MOST["queue"] + 1)
    channel = s["channel"][0]
    channel["faw"] = -NEVER
    channel["last_act"] = -NEVER
    channel["target"] = -1
    channel["blocked_bank"] = -1
    channel["need"] = CREDIT_ONE
    channel["last_column_owner"] = channel["last_row_owner"] = 1
    return s
