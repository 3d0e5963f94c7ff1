"""Replay of a list of requests: host only, so that results compare with other DRAM simulators."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pimmodel.errors import PimModelError
from pimmodel.hardware.memory import MemoryTiming, Organisation

from . import build, engine, state

Request = tuple[int, int, int, int, int, int]
"""(arrival clock, write 0 or 1, bank group, bank, row, column)"""


@dataclass(frozen=True)
class ReplayResult:
    """Outcome of :func:`replay`.

    cycles : clock of the last data beat, counted from 0 with all banks closed [clock]
    served, reads, writes : requests served
    n_ACT, n_PRE, n_REF : commands; a precharge-all counts once per bank that it closes
    steady_cycles_per_request : from the (N/10)-th to the last column command [clock]
    read_latencies : acceptance to last beat of every read, in the order of service [clock]
    read_latencies_from_arrival : arrival to last beat of the same reads [clock]
    row_hits, row_misses, row_conflicts : no row command, an activate, a precharge too for the request itself
    trace : command trace, if asked for
    """

    cycles: int
    served: int
    reads: int
    writes: int
    n_ACT: int
    n_PRE: int
    n_REF: int
    steady_cycles_per_request: float
    read_latencies: np.ndarray
    read_latencies_from_arrival: np.ndarray
    row_hits: int
    row_misses: int
    row_conflicts: int
    trace: np.ndarray | None = None


def replay(
    timing: MemoryTiming,
    organisation: Organisation,
    requests: Sequence[Request] | np.ndarray,
    *,
    window: int | None = None,
    queue_capacity: int = 32,
    refresh: Literal["off", "all-bank", "per-bank"] = "off",
    queues: Literal["unified", "separate"] = "unified",
    drain_high: float = 0.8,
    drain_low: float = 0.2,
    starvation_cap: int | None = 16,
    activate_clocks: int = 1,
    trace: bool = False,
) -> ReplayResult:
    """Serve `requests` in open page, FR-FCFS, and count clocks and commands.

    Parameters
    ----------
    timing, organisation : of the channel [clock]
    requests : (arrival clock, write, bank group, bank, row, column), by arrival; each is accepted in this order, in
        the clock of its arrival or as soon after as there is room, and may be scheduled from the next clock on
    window : most requests accepted whose column command has not issued; 1 is strictly in order; None: queues only
    queue_capacity : entries of the unified queue, or of the read and of the write queue each
    refresh : "all-bank" or "per-bank" as the timing has it
    queues, drain_high, drain_low : "separate": writes are drained from over `drain_high` full (share of the capacity)
        to under `drain_low`, or while no read waits
    starvation_cap : columns that may pass the oldest request (None: any number)
    activate_clocks : clocks that an activate occupies the row command bus (Ramulator 2: 2)
    trace : whether to keep every command
    """
    given = _as_records(requests, organisation)
    s = state.empty_state()
    build.set_memory(s, timing, organisation, refresh)
    build.set_queue(s, queue_capacity, min(window or state.NEVER, 2 * queue_capacity), starvation_cap)
    p = s["parameters"][0]
    p["source"], p["stop_when_done"], p["tracing"] = state.LIST, 1, trace
    p["window_counts_queued"], p["activate_clocks"] = 1, activate_clocks
    p["separate"] = queues == "separate"
    p["drain_high"], p["drain_low"] = int(drain_high * queue_capacity), math.ceil(drain_low * queue_capacity)
    log, traces = _run(s, given)
    stats = s["statistics"][0]
    reads = log[log["write"] == 0]
    issued = log["issued"]
    skipped = len(log) // 10
    steady = (issued[-1] - issued[skipped]) / (len(log) - 1 - skipped) if len(log) > skipped + 1 else float("nan")
    return ReplayResult(
        cycles=int(log["done"].max()) if len(log) else 0,
        served=len(log),
        reads=len(reads),
        writes=len(log) - len(reads),
        n_ACT=int(stats["activates"]),
        n_PRE=int(stats["precharges"]),
        n_REF=int(stats["refreshes"]),
        steady_cycles_per_request=float(steady),
        read_latencies=reads["done"] - reads["born"],
        read_latencies_from_arrival=reads["done"] - reads["arrival"],
        row_hits=int(stats["row_hits"]),
        row_misses=int(stats["row_misses"]),
        row_conflicts=int(stats["row_conflicts"]),
        trace=np.concatenate(traces) if trace else None,
    )


def _as_records(requests: Sequence[Request] | np.ndarray, organisation: Organisation) -> np.ndarray:
    """Requests as records of the engine."""
    table = np.asarray(requests, dtype=np.int64).reshape(-1, 6)
    arrival, write, group, bank, row, column = table.T
    limits = {
        "arrival": (arrival, None), "write": (write, 2), "bank group": (group, organisation.bank_groups),
        "bank": (bank, organisation.banks_per_group), "row": (row, None), "column": (column, None),
    }  # fmt: skip
    for name, (values, most) in limits.items():
        wrong = (values < 0) | (most is not None and values >= most)
        if wrong.any():
            allowed = "0 or more" if most is None else f"0 to {most - 1}"
            number = int(wrong.argmax())
            raise PimModelError(f"request {number}: {name} is {values[number]}; allowed: {allowed}")
    if np.any(np.diff(arrival) < 0):
        raise PimModelError("requests must come in the order of their arrival")
    records = np.zeros(len(table), state.REQUEST)
    records["arrival"], records["write"], records["row"], records["column"] = arrival, write, row, column
    records["bank"] = bank * organisation.bank_groups + group
    return records


def _run(s: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Run to the end, feeding the engine's request buffer and emptying its log and trace buffers."""
    channel = s["channel"][0]
    logs, traces = [], []
    fed = 0
    while not channel["done"]:
        left = s["requests"][0, channel["list_next"] : channel["list_loaded"]].copy()
        # the log has room for what is queued and loaded, so load no more than fits
        fresh = given[fed : fed + state.REQUEST_BUFFER - state.MOST["queue"] - len(left)]
        fed += len(fresh)
        loaded = len(left) + len(fresh)
        s["requests"][0, :loaded] = np.concatenate([left, fresh])
        channel["list_next"], channel["list_loaded"], channel["list_more"] = 0, loaded, fed < len(given)
        engine.advance(s, state.NEVER)
        logs.append(s["log"][0, : channel["logged"]].copy())
        traces.append(s["trace"][0, : channel["trace_length"]].copy())
        channel["logged"] = channel["trace_length"] = 0
    return np.concatenate(logs), traces
