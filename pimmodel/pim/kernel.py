"""Time of a PIM kernel with exclusive access: rows, registers, operand placement, row switch, turnarounds, refresh.

A pass walks through rows; per row of every operand it makes k C column steps (k operands, C columns), in batches of as
many columns of each operand as the registers hold. Which row openings are exposed depends on placement and row switch
(see `pimmodel.scenario`). Without refresh the steps are the periodic solution of the recurrence in
`pimmodel.pim.recurrence`; refresh takes a mean number of clocks off, which follows from the same recurrence.

Known error of the clocks per step against the reference simulator, on 1000 random kernels of the documented domain
(`pimmodel validate contention --n 500`, seeds 9 and 10, "PIM kernel time"): median 0.00 %, p95 0.2 %, worst 2.1 %.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from dataclasses import dataclass
from functools import lru_cache

from pimmodel import cache
from pimmodel.dram.refresh import refresh_availability
from pimmodel.hardware.memory import MemoryTiming, Organisation
from pimmodel.pim import events
from pimmodel.pim.order import rows_of
from pimmodel.pim.recurrence import Recurrence
from pimmodel.scenario import PimKernel


def activate_times(timing: MemoryTiming, organisation: Organisation, kernel: PimKernel, rows: int) -> list[int]:
    """Clocks, from the first activate on, at which each of `rows` rows is activated in its last unit [clock]."""
    commands = 1 if kernel.all_bank_activate else kernel.units
    starts: list[int] = [0]
    for i in range(1, commands * rows):
        at = starts[-1] + (timing.tRRD_L if organisation.bank_groups == 1 else timing.tRRD_S)
        if i >= organisation.bank_groups and commands > 1:  # the bank group's previous activate
            at = max(at, starts[i - organisation.bank_groups] + timing.tRRD_L)
        if i >= 4:
            at = max(at, starts[i - 4] + timing.tFAW)
        starts.append(at)
    return starts[commands - 1 :: commands]


def activate_ramp(timing: MemoryTiming, organisation: Organisation, kernel: PimKernel) -> int:
    """Clocks from the first to the last activate that opens one row in all units [clock]."""
    return activate_times(timing, organisation, kernel, 1)[0]


@dataclass(frozen=True)
class KernelSpeed:
    """Speed of a kernel alone.

    rate : column steps per clock with exclusive access, refresh included [1/clock]
    resume : clocks from the memory's hand-over (after tRP and mode switch) to the first column step [clock]
    tail : clocks from the last column step to a precharge, mean over the kernel's steps [clock]
    saved : clocks of a resume that an interruption at a random time saves on average, because it fell into a row
        switch that the kernel would have made anyway [clock]
    """

    rate: float
    resume: float
    tail: float
    saved: float


@lru_cache(maxsize=4096)
def kernel_speed(
    timing: MemoryTiming, organisation: Organisation, kernel: PimKernel, refresh: str = "off", first_bank: int = 0
) -> KernelSpeed:
    """Speed of a kernel with exclusive access.

    Parameters
    ----------
    timing, organisation : the part
    kernel : the kernel; repeated without end
    refresh : "off", "all-bank" or "per-bank"
    first_bank : lowest bank of each bank group that it may use; units without such a bank are idle
    """
    steps = writes = 0
    for one in kernel.passes:
        steps += one.rows * len(one.operands)
        writes += one.rows * sum(operand.write for operand in one.operands)
    entry = _cache_entry(timing, organisation, kernel, refresh, first_bank)
    kept = cache.read(entry)
    if kept is not None:
        return KernelSpeed(*map(float, kept.split()))
    share = writes / steps
    tail = (1 - share) * timing.tRTP + share * timing.write_to_precharge
    resume = _resume(timing, organisation, kernel, (1 - share) * timing.tRCDRD + share * timing.tRCDWR)
    alone = Recurrence(timing, organisation, kernel, "off", first_bank).run()
    period, available = alone.clocks / alone.steps, 1.0
    if refresh != "off":
        found = Recurrence(timing, organisation, kernel, refresh, first_bank).run()
        lost = (found.clocks - found.steps * period) / found.refreshes
        interval = timing.tREFI if refresh == "all-bank" else timing.tREFIpb
        available = float(refresh_availability(tRFC=lost, tREFI=interval))
    speed = KernelSpeed(available / period, resume, tail, alone.waits / alone.clocks)
    cache.write(entry, " ".join(map(repr, dataclasses.astuple(speed))))
    return speed


def _cache_entry(
    timing: MemoryTiming, organisation: Organisation, kernel: PimKernel, refresh: str, first_bank: int
) -> str:
    """Name of a speed in the on-disk cache: of all that it depends on, the code included."""
    modules = (__name__, Recurrence.__module__, events.__name__, rows_of.__module__)
    code = "".join(inspect.getsource(sys.modules[name]) for name in modules)
    facts = [part.model_dump_json() for part in (timing, organisation, kernel)]
    return f"kernel-speed-{cache.hash_text('|'.join([code, *facts, refresh, str(first_bank)])):016x}.txt"


def _resume(timing: MemoryTiming, organisation: Organisation, kernel: PimKernel, tRCD: float) -> float:
    """Clocks from a hand-over to the first column step, and those lost until the kernel runs as if never stopped.

    Operands in distinct banks all have their rows opened again, one after another while the first are at work; with a
    hidden row switch the next rows, opened in advance before, come late if the row in progress is nearly through.
    """
    k = max(len(one.operands) for one in kernel.passes)
    if kernel.placement == "same":
        return activate_times(timing, organisation, kernel, 1)[0] + tRCD
    times = activate_times(timing, organisation, kernel, 2 * k)
    segment = min(kernel.registers, kernel.columns_per_row) * kernel.cadence
    first = max(times[i] - i * segment for i in range(k)) + tRCD
    if kernel.row_switch == "exposed":
        return first
    row = k * kernel.columns_per_row * kernel.cadence
    late = min(float(times[-1] + tRCD - first), float(row))
    return first + late**2 / (2 * row)
