r"""Column steps that a PIM kernel makes in a turn of given length, counted one by one.

A kernel is taken as bursts: c steps, one per cadence t, then a gap until the row of the next burst is open; a burst
comes every P clocks. A turn of x clocks from its first possible step on begins with what is left of the burst in which
the last turn ended, its row opened again. So the remainder u of one turn follows from that of the turn before:

.. math:: n(u, x) = \min(u, \lfloor x/t \rfloor + 1) \text{ within the burst},\quad
          u + c \lfloor x'/P \rfloor + \min(c, \lfloor (x' \bmod P)/t \rfloor + 1),\; x' = x - u t - (P - c t),
          \text{ beyond}

Turns that end in a gap all begin with a whole burst (they fall into step), so the mean over the turns is not that of a
random remainder. It is taken along the orbit of the map, the turn's length varying evenly by the one interval between
arrivals in which the host's condition falls; along the same orbit goes the mean wait until every row that is open may
be precharged: t_RAS after its activate, or `tail` after the last step.

Neglected: segments of unequal length, changes of direction within a burst. Source: DESIGN.md section 8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pimmodel.hardware.memory import MemoryTiming, Organisation
from pimmodel.pim.kernel import KernelSpeed, activate_ramp
from pimmodel.scenario import PimKernel

Floats = NDArray[np.float64]
_PERIODS, _PER_PERIOD, _TURNS = 4, 128, 24  # table: periods of x, points per period, turns of the orbit
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Bursts:
    """A kernel as bursts.

    columns c : steps per burst [1], cadence [clock], period P : clocks from one burst to the next [clock]
    tail : last step to precharge [clock], t_ras : activate to precharge [clock]
    opening : activate to first step [clock], ramp : first to last activate of the units [clock]
    background : clocks per row of a kernel that opens rows behind its steps, 0 if it does not [clock]
    """

    columns: int
    cadence: float
    period: float
    tail: float
    t_ras: float
    opening: float
    ramp: float
    background: float


def bursts_of(timing: MemoryTiming, organisation: Organisation, kernel: PimKernel, speed: KernelSpeed) -> Bursts:
    """The kernel as bursts, its speed alone without refresh being `speed`."""
    k = max(len(one.operands) for one in kernel.passes)
    alternating = kernel.placement == "same" and k > 1
    columns = min(kernel.registers, kernel.columns_per_row) if alternating else k * kernel.columns_per_row
    hidden = kernel.row_switch == "hidden" and not alternating
    write = sum(operand.write for one in kernel.passes for operand in one.operands)
    share = write / sum(len(one.operands) for one in kernel.passes)
    period = columns / speed.rate
    return Bursts(
        columns=1 if hidden else columns,
        cadence=float(kernel.cadence),
        period=1 / speed.rate if hidden else period,
        tail=speed.tail,
        t_ras=float(timing.tRAS),
        opening=(1 - share) * timing.tRCDRD + share * timing.tRCDWR,
        ramp=float(activate_ramp(timing, organisation, kernel)),
        background=period / k if hidden else 0.0,
    )


class StepTable:
    """Mean steps, and mean wait for the precharge, of turns of any length; `spread` is how much turns vary [clock]."""

    def __init__(self, bursts: Bursts, spread: float) -> None:
        reach = _PERIODS * max(bursts.period, 1.0) + spread
        self.lengths = np.linspace(-spread / 2 - bursts.opening, reach, _PERIODS * _PER_PERIOD)
        steps, waits = np.zeros_like(self.lengths), np.zeros_like(self.lengths)
        left = np.full_like(self.lengths, float(bursts.columns))
        for i in range(_TURNS):
            x = self.lengths + spread * ((0.5 + i * _GOLDEN) % 1 - 0.5)
            made, left, wait = _turn(bursts, left, x)
            if i >= _TURNS // 4:  # the first turns lead to the orbit
                steps, waits = steps + made, waits + wait
        count = _TURNS - _TURNS // 4
        self._steps, self._waits, self._rate = steps / count, waits / count, bursts.columns / bursts.period
        last = self.lengths > reach - bursts.period
        self._ahead = float((self._steps[last] - self._rate * self.lengths[last]).mean())
        self._late_wait = float(self._waits[last].mean())

    def steps(self, length: Floats) -> Floats:
        """Mean steps of turns of `length` clocks after the first possible one [1]."""
        beyond = length > self.lengths[-1]
        return np.where(beyond, self._rate * length + self._ahead, np.interp(length, self.lengths, self._steps))

    def wait(self, length: Floats) -> Floats:
        """Mean clocks from the end of such a turn until all rows may be precharged [clock]."""
        return np.where(length > self.lengths[-1], self._late_wait, np.interp(length, self.lengths, self._waits))


def _turn(one: Bursts, left: Floats, x: Floats) -> tuple[Floats, Floats, Floats]:
    """A turn of x clocks beginning with `left` steps of a burst: (steps, steps left then, wait for the precharge)."""
    c, t, period = one.columns, one.cadence, one.period
    first = np.minimum(left, np.floor(np.maximum(x, 0) / t) + 1)
    beyond = x - left * t - (period - c * t)  # clocks since the next burst's first step
    whole = np.floor(np.maximum(beyond, 0) / period)
    inside = np.maximum(beyond, 0) - whole * period
    part = np.minimum(c, np.floor(inside / t) + 1)
    late = beyond >= 0
    made = np.where(x < 0, 0, np.where(late, left + whole * c + part, first))
    in_burst = np.where(late, part, first + c - left)  # steps done of the burst at hand
    remaining = np.where(x < 0, left, np.where(in_burst >= c, c, c - in_burst))
    since_open = np.where(late, inside, x) + one.opening
    since_step = np.where(late, inside - (part - 1) * t, x - (first - 1) * t)
    until_next = np.where(late, period - inside, -beyond)
    gap = (in_burst >= c) & (since_step > one.tail)
    opening = np.where(until_next < one.opening + one.ramp, one.t_ras, 0.0)
    opening = np.where(until_next < one.opening, one.t_ras - (one.opening - until_next), opening)
    open_row = np.maximum(np.maximum(one.tail - since_step, one.t_ras - since_open), 0)
    wait = np.where(x < 0, one.t_ras - np.maximum(one.opening + x, 0), np.where(gap, opening, open_row))
    if one.background:
        # An activate lies back by less than tRAS with the share of time that a row's opening takes.
        behind = (one.ramp * one.t_ras + one.t_ras**2 / 2) / max(one.background, one.ramp + one.t_ras)
        wait = np.where(x < 0, wait, np.maximum(one.tail - t / 2, behind))
    return made, remaining, wait
