"""Replay of a list of requests: host only, so that results compare with other DRAM simulators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pimmodel.hardware.memory import MemoryTiming, Organisation

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
    requests : (arrival clock, write, bank group, bank, row, column), by arrival; each is accepted in this order, in
        the clock of its arrival or as soon after as there is room, and may be scheduled from the next clock on
    window : most requests accepted whose column command has not issued; 1 is strictly in order; None: queues only
    queue_capacity : entries of the unified queue, or of the read and of the write queue each
    queues : "separate": writes are drained from over `drain_high` full (share of the capacity) to under `drain_low`,
        or while no read waits
    starvation_cap : columns that may pass the oldest request (None: any number)
    activate_clocks : clocks that an activate occupies the row command bus (Ramulator 2: 2)
    """
    raise NotImplementedError
