"""Time of a PIM kernel with exclusive access: rows, registers, operand placement, row switch, turnarounds, refresh.

A pass walks through rows; per row of every operand it makes k C column steps (k operands, C columns), in batches of as
many columns of each operand as the registers hold. The period of a row is the larger of what the column steps take and
what opening rows takes; which openings are exposed depends on placement and row switch (see `pimmodel.scenario`).

Known error of the rate against the reference simulator: see `pimmodel validate contention`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pimmodel.dram.refresh import refresh_availability
from pimmodel.formula import formula, sp
from pimmodel.hardware.memory import MemoryTiming, Organisation
from pimmodel.scenario import PimKernel, PimPass

# Per-bank refresh in lockstep: all units wait while a bank in use is away (with a hidden row switch, any: the next one
# cannot be opened). Part of the re-opening that is not hidden behind the kernel's own row switches, fitted on 90
# random kernels (seed 11).
K_REOPEN = 0.4


@formula
def column_period(steps: Any, cadence: Any, turnarounds: Any) -> Any:
    r"""Clocks of the column steps of one row of every operand: :math:`T = n_s t_{step} + t_{dir}`.

    Symbols: n_s = k C steps [1], t_step [clock], t_dir extra clocks of direction changes [clock]. Returns [clock].
    Validity: rows open. Exact. Source: lockstep operation, DESIGN.md section 7.
    """
    return steps * cadence + turnarounds


@formula
def reuse_period(
    last: Any, tail: Any, tRP: Any, ramp: Any, tRCD: Any, first: Any, distance: Any, tRC: Any, tRAS: Any
) -> Any:
    r"""Clocks per row that a bank needs which is used again d rows later (hidden row switch).

    .. math:: T = \max(t_{last} + t_{tail} + t_{RP} + t_{ramp} + t_{RCD} - t_{first},\; t_{RC},\;
              t_{RAS} + t_{RP} + t_{ramp}) / d

    Symbols: t_last, t_first clocks from the row's first step to the last step in the bank and to the first step in it
    when it is used again [clock], tail, tRP, tRCD, tRC, ramp [clock], d [1]. Returns [clock].
    Validity: the activates of other banks do not interfere. Source: bank timing (JESD235C).
    """
    return sp.Max(last + tail + tRP + ramp + tRCD - first, tRC, tRAS + tRP + ramp) / distance


@formula
def segment_period(segment: Any, cadence: Any, tail: Any, tRP: Any, ramp: Any, tRCD: Any, tRC: Any, tRAS: Any) -> Any:
    r"""Clocks from a segment's first column step to the next segment's, in another row of the same bank.

    .. math:: T = \max((b - 1) t_{step} + t_{tail} + t_{RP} + t_{ramp} + t_{RCD},\; t_{RC},\;
              t_{RAS} + t_{RP} + t_{ramp})

    All units are closed by one command, so the unit opened last decides when its tRAS is over. Symbols: b steps of
    the segment [1], others [clock]. Returns [clock]. Validity: exposed row switch, one operand's
    row at a time. Source: bank timing (JESD235C).
    """
    return sp.Max((segment - 1) * cadence + tail + tRP + ramp + tRCD, tRC, tRAS + tRP + ramp)


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
    timing: MemoryTiming, organisation: Organisation, kernel: PimKernel, refresh: str = "off", banks: int | None = None
) -> KernelSpeed:
    """Speed of a kernel with exclusive access.

    Parameters
    ----------
    timing, organisation : the part
    kernel : the kernel; repeated without end
    refresh : "off", "all-bank" or "per-bank"
    banks : banks per unit that it may use (default: all of the unit's)
    """
    per_unit = banks or organisation.banks // kernel.units
    ramp = activate_ramp(timing, organisation, kernel)
    steps = clocks = writes = gaps = 0.0
    for one in kernel.passes:
        period, gap = _row_period(timing, kernel, one, per_unit, ramp)
        gaps += one.rows * gap
        steps += one.rows * len(one.operands) * kernel.columns_per_row
        writes += one.rows * sum(operand.write for operand in one.operands) * kernel.columns_per_row
        clocks += one.rows * period
    share = writes / steps
    tail = (1 - share) * timing.tRTP + share * timing.write_to_precharge
    resume = _resume(timing, organisation, kernel, (1 - share) * timing.tRCDRD + share * timing.tRCDWR)
    available = 1.0
    if refresh == "all-bank":
        available = float(refresh_availability(tRFC=timing.tRFC + tail + timing.tRP + resume, tREFI=timing.tREFI))
    elif refresh == "per-bank":
        k = max(len(one.operands) for one in kernel.passes)
        one_bank = kernel.placement == "same" and k > 1
        open_banks = 1 if one_bank else per_unit if kernel.row_switch == "hidden" else min(k, per_unit)
        # A refresh that falls into a row switch runs beside the activates of the other units.
        working = steps / clocks * kernel.cadence
        away = max(0.0, timing.tRFCpb - (1 - working) * ramp) + K_REOPEN * working * (tail + timing.tRP + resume)
        available = max(0.08, 1 - open_banks / per_unit * away / timing.tREFIpb)
    return KernelSpeed(steps / clocks * available, resume, tail, gaps / clocks)


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


def _segments(kernel: PimKernel, one: PimPass) -> list[tuple[int, int]]:
    """(operand, column steps) of every segment of one row."""
    batches = [kernel.registers] * (kernel.columns_per_row // kernel.registers)
    if kernel.columns_per_row % kernel.registers:
        batches.append(kernel.columns_per_row % kernel.registers)
    return [(i, batch) for batch in batches for i in range(len(one.operands))]


def _row_period(timing: MemoryTiming, kernel: PimKernel, one: PimPass, per_unit: int, ramp: int) -> tuple[float, float]:
    """Clocks per row of every operand of a pass in steady state [clock], and half the sum of its squared gaps."""
    k, t = len(one.operands), kernel.cadence
    write = [operand.write for operand in one.operands]
    tail = [timing.write_to_precharge if w else timing.tRTP for w in write]
    rcd = [timing.tRCDWR if w else timing.tRCDRD for w in write]
    wtr = kernel.write_to_read if kernel.write_to_read is not None else timing.write_to_read_same_group
    rtw = kernel.read_to_write if kernel.read_to_write is not None else t
    segments = _segments(kernel, one)

    def extra(a: int, b: int) -> int:
        if write[a] == write[b]:
            return 0
        return max(0, (wtr if write[a] else rtw) - t)

    first, last, clock = [-1] * k, [0] * k, 0
    for j, (i, batch) in enumerate(segments):
        if j:
            clock += extra(segments[j - 1][0], i)
        first[i] = clock if first[i] < 0 else first[i]
        last[i] = clock + (batch - 1) * t
        clock += batch * t
    work = float(column_period(steps=k * kernel.columns_per_row, cadence=t, turnarounds=clock + extra(
        segments[-1][0], segments[0][0]) - k * kernel.columns_per_row * t))  # fmt: skip
    slots = k * (max(timing.tRRD_S, timing.tFAW / 4) * (1 if kernel.all_bank_activate else kernel.units))

    def switch(batch: int, a: int, b: int) -> float:
        return float(segment_period(segment=batch, cadence=t, tail=tail[a], tRP=timing.tRP, ramp=ramp, tRCD=rcd[b],
                                    tRC=timing.tRC, tRAS=timing.tRAS))  # fmt: skip

    if k > 1 and (kernel.placement == "same" or k > per_unit):  # operands that share a bank close each other's rows
        periods = [switch(batch, a, b) for (a, batch), (b, _) in itertools.pairwise(segments)]
        a, batch = segments[-1]
        if kernel.row_switch == "hidden" and per_unit > 1:
            periods.append(float(batch * t + extra(a, segments[0][0])))
        else:
            periods.append(switch(batch, a, segments[0][0]))
        gaps = sum((period - b * t) ** 2 / 2 for period, (_, b) in zip(periods, segments, strict=True))
        return max(sum(periods), slots * len(segments) / k), gaps
    if kernel.row_switch == "hidden":
        periods, opened = [work, slots], -(10.0**9)
        for i in range(k):
            again, distance = (i + per_unit) % k, max(1, (i + per_unit) // k)
            periods.append(float(reuse_period(last=last[i], tail=tail[i], tRP=timing.tRP, ramp=ramp, tRCD=rcd[again],
                                              first=first[again], distance=distance, tRC=timing.tRC,
                                              tRAS=timing.tRAS)))  # fmt: skip
            if distance == 1:  # every bank is opened again within the row: the activates queue up
                opened = max(last[i] + tail[i] + timing.tRP, opened + (timing.tRRD_S if k > 1 else 0)) + ramp
                periods.append(opened + rcd[again] - first[again])
        return max(periods), 0.0
    end, opened, period = last[-1], -(10**9), 0.0
    for i in range(k):
        closed = max(end + 1 + i, last[i] + tail[i])
        opened = max(closed + timing.tRP, opened + (timing.tRRD_S if ramp or k > 1 else 0)) + ramp
        period = max(period, opened + rcd[i] - first[i])
    period = max(period, float(timing.tRC))
    return period, (period - work) ** 2 / 2
