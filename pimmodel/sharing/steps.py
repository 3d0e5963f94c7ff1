r"""Column steps that a PIM kernel makes in a turn of given length, counted one by one.

With :math:`\tau_i` the clock of step i of the kernel left to itself, a turn that begins before step i, its row opened
again, and lasts x clocks from that step on makes

.. math:: n_i(x) = \#\{j \ge i : \tau_j - \tau_i \le x\}

steps; the next turn begins before step i + n. Turns that end while a row is being opened all begin with a whole row or
batch (they fall into step), so the mean over the turns is not that over random places. It is taken along the orbit of
this map, the length of the turns varying evenly by the one interval between arrivals in which the host's condition
falls. Along the same orbit goes the mean wait until every open row may be precharged: tRAS after its activate, `tail`
after the last step.

Neglected: what a hidden row switch interrupted early costs beyond its mean; that turns and refreshes fall into step.
Source: derived here, from the kernel's event times (`pimmodel.pim.recurrence`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pimmodel.hardware.memory import MemoryTiming, Organisation
from pimmodel.pim.kernel import KernelSpeed, activate_ramp
from pimmodel.scenario import PimKernel

Floats = NDArray[np.float64]
_POINTS, _SEGMENTS, _TURNS = 256, 6, 20  # table: lengths of turns, segments that the longest spans, turns of the orbit
_QUOTA_TURNS = 64  # turns of a quota that are averaged over
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Timetable:
    """When a kernel makes its steps, once through its passes; arrays of shape (N,) for N steps.

    clock : of each step, from the first one on [clock]; period : until the kernel begins anew [clock]
    segment : clock of the first step of the step's segment, whose row is open since `opening` before it [clock]
    tail : last step to precharge [clock]; switch : whether a row switch follows the step
    t_ras, opening, ramp : activate to precharge, activate to first step, first to last activate of the units [clock]
    background : clocks per row of a kernel that opens rows behind its steps, 0 if it does not [clock]
    """

    clock: Floats
    period: float
    segment: Floats
    tail: Floats
    switch: NDArray[np.bool_]
    t_ras: float
    opening: float
    ramp: float
    background: float

    @property
    def behind(self) -> float:
        """Mean wait for rows opened behind the steps [clock]: an activate lies back by less than tRAS for the share of
        time that the opening of a row takes."""
        return (self.ramp * self.t_ras + self.t_ras**2 / 2) / max(self.background, self.ramp + self.t_ras)


@lru_cache(maxsize=512)
def timetable(timing: MemoryTiming, organisation: Organisation, kernel: PimKernel, speed: KernelSpeed) -> Timetable:
    """Timetable of a kernel whose speed alone, without refresh, is `speed`."""
    ramp, t = float(activate_ramp(timing, organisation, kernel)), kernel.cadence
    wtr = timing.write_to_read_same_group if kernel.write_to_read is None else kernel.write_to_read
    turn = (max(t, kernel.read_to_write or 0), max(t, wtr))
    tails, opens = (timing.tRTP, timing.write_to_precharge), (timing.tRCDRD, timing.tRCDWR)
    steps = _segments(kernel)
    clock, segment, switched = np.zeros(len(steps)), np.zeros(len(steps)), np.zeros(len(steps), bool)
    for i, ((write, _), (following, switch)) in enumerate(pairwise([*steps, steps[0]])):
        gap = float(t if write == following else turn[write])
        if switch:  # closed after its tail, not before tRAS, and opened in one unit after the other
            closed = max(clock[i] + tails[write], segment[i] - opens[write] + timing.tRAS)
            gap = max(gap, closed + timing.tRP + ramp + opens[following] - clock[i])
        switched[i] = switch
        if i + 1 < len(steps):
            clock[i + 1] = clock[i] + gap
            segment[i + 1] = clock[i + 1] if switch else segment[i]
        else:
            period = clock[i] + gap
    stretch = len(steps) / speed.rate / period  # what the activate slots hold up
    share = sum(write for write, _ in steps) / len(steps)
    rows = len(steps) / kernel.columns_per_row
    return Timetable(
        clock=clock * stretch,
        period=period * stretch,
        segment=segment * stretch,
        tail=np.array([float(tails[write]) for write, _ in steps]),
        switch=switched,
        t_ras=float(timing.tRAS),
        opening=(1 - share) * opens[0] + share * opens[1],
        ramp=ramp,
        background=0.0 if switched.any() else period * stretch / rows,
    )


def _segments(kernel: PimKernel) -> list[tuple[int, bool]]:
    """(write, whether an exposed row switch comes before it) of every column step of the passes."""
    steps: list[tuple[int, bool]] = []
    for one in kernel.passes:
        k = len(one.operands)
        alternating = kernel.placement == "same" and k > 1
        batch = kernel.registers if k > 1 else kernel.columns_per_row
        for _ in range(one.rows):
            for begun in range(0, kernel.columns_per_row, batch):
                for i, operand in enumerate(one.operands):
                    new_row = begun == 0 and i == 0
                    hidden = kernel.row_switch == "hidden" and new_row
                    switch = (alternating or new_row) and not hidden
                    width = min(batch, kernel.columns_per_row - begun)
                    steps += [(int(operand.write), switch and step == 0) for step in range(width)]
    return steps


class StepTable:
    """Mean steps, and mean wait for the precharge, of turns of any length; `spread` is how much turns vary [clock]."""

    def __init__(self, table: Timetable, spread: float) -> None:
        count = len(table.clock)
        segments = max(int(table.switch.sum()), count / 8)
        reach = _SEGMENTS * table.period / segments + 2 * spread
        self.lengths = np.linspace(-spread / 2 - table.opening, reach, _POINTS)
        steps, waits = np.zeros_like(self.lengths), np.zeros_like(self.lengths)
        place = (np.arange(_POINTS) * _GOLDEN % 1 * count).astype(np.int64)
        twice = np.concatenate([table.clock, table.clock + table.period, [2 * table.period]])
        for i in range(_TURNS):
            x = self.lengths + spread * ((0.5 + i * _GOLDEN) % 1 - 0.5)
            made, wait = _turn(table, twice, place, x)
            place = (place + made) % count
            if i >= _TURNS // 4:  # the first turns lead to the orbit
                steps, waits = steps + made, waits + wait
        turns = _TURNS - _TURNS // 4
        self._table = table
        self._steps, self._waits, self._rate = steps / turns, waits / turns, count / table.period
        last = self.lengths > reach / 2
        self._ahead = float((self._steps[last] - self._rate * self.lengths[last]).mean())
        self._late_wait = float(self._waits[last].mean())

    def steps(self, length: Floats) -> Floats:
        """Mean steps of turns of `length` clocks after the first possible one, in the shape of `length` [1]."""
        beyond = length > self.lengths[-1]
        return np.where(beyond, self._rate * length + self._ahead, np.interp(length, self.lengths, self._steps))

    def quota(self, count: int) -> tuple[float, float]:
        """Mean clocks from the first step of a turn to the last of `count`, and the mean wait for the precharge one
        clock after it, when every turn makes `count` steps."""
        table, steps = self._table, len(self._table.clock)
        first = np.arange(_QUOTA_TURNS) * count % steps
        last = first + count - 1
        turn_over = last // steps * table.period
        at = last % steps
        clocks = table.clock[at] + turn_over - table.clock[first]
        since_open = np.minimum(table.clock[at] - table.segment[at], clocks) + table.opening
        young = table.t_ras - since_open
        if table.background:
            young = np.full(_QUOTA_TURNS, table.behind)
        return float(clocks.mean()), float(np.maximum(np.maximum(table.tail[at], young) - 1, 0).mean())

    def wait(self, length: Floats) -> Floats:
        """Mean clocks from the end of turns of `length` until all rows may be precharged, in its shape [clock]."""
        beyond = length > self.lengths[-1]
        return np.where(beyond, self._late_wait, np.interp(length, self.lengths, self._waits))


def _turn(table: Timetable, twice: Floats, place: NDArray[np.int64], x: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Steps of turns of x clocks that begin before steps `place`, and the wait for the precharge at their end."""
    count = len(table.clock)
    whole = np.floor(np.maximum(x, 0) / table.period)
    end = table.clock[place] + x - whole * table.period  # clock of the timetable at which the turn ends
    made = np.maximum(np.searchsorted(twice[:-1], end, side="right") - place, 0)
    last = place + made - 1  # the last step, in `twice`
    since_step = end - twice[np.maximum(last, 0)]
    at = last % count
    turn_over = np.where(last >= count, table.period, 0.0)
    since_open = np.minimum(end - table.segment[at] - turn_over, x) + table.opening
    until_next = twice[last + 1] - end
    open_row = np.maximum(np.maximum(table.tail[at] - since_step, table.t_ras - since_open), 0)
    opening = np.where(until_next < table.opening + table.ramp, table.t_ras, 0.0)
    opening = np.where(until_next < table.opening, table.t_ras - table.opening + until_next, opening)
    wait = np.where(table.switch[at] & (since_step > table.tail[at]), opening, open_row)
    if table.background:
        wait = np.maximum(table.tail[at] - since_step, table.behind)
    wait = np.where(x < 0, table.t_ras - np.maximum(table.opening + x, 0), wait)
    return np.where(x < 0, 0, made + (whole * count).astype(np.int64)), wait
