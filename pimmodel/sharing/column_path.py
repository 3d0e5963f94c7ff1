r"""Two on one column path: how far PIM steps and host columns hold each other back.

A step occupies the path of every bank group it touches, so between it and a host column lie t_CCD_L clocks, or the
write-to-read time where a read follows the other side's write. They go by turns: once one side has a column that waits
for nothing but the other's, the other issues no second one. A step interval of tau clocks therefore takes in at least
one host column of a busy host, and more while the step is not due yet; the step that ends it is held back by what is
left of the last host column's time. Steps are held back inside the recurrence of the kernel
(`pimmodel.pim.recurrence`), so that waits for rows absorb what they can.

Neglected: that host columns come in bursts of row hits; which of its reads and writes a host serves first.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from pimmodel.formula import formula, sp
from pimmodel.hardware.memory import MemoryTiming, Organisation
from pimmodel.pim.recurrence import Delays, Progress, Recurrence
from pimmodel.scenario import HostStream, PimKernel

_BUSY = 1e9  # host columns per clock of a host that always has one ready
_NONE = 1e-6  # share of writes or reads that is as good as none
_ROUND = 16  # delays are rounded to sixteenths of a clock, and stretched activates to tenths, to meet cached results


@formula
def busy_interval(step_interval: Any, host_gap: Any, host_columns: Any, pace: Any, step_gap: Any) -> Any:
    r"""Clocks between two steps beside a host that always has columns ready.

    .. math:: T = \max(\tau,\ g_1 + (n - 1) s + g_2)

    Symbols: tau clocks of the kernel alone, g_1 step to host column, s from one host column to the next, g_2
    host column to step [clock], n host columns in between [1]. Returns [clock]. Validity: going by turns, n >= 1.
    Known error: exact there. Source: alternation on one path.
    """
    return sp.Max(step_interval, host_gap + (host_columns - 1) * pace + step_gap)


@formula
def step_delay(service: Any, window_clocks: Any, step_gap: Any, least_delay: Any) -> Any:
    r"""Mean clocks that a step is held back by the last host column before it.

    .. math:: \int_0^U x \max(g_2 - u,\ b)\, du = x \left(g_2 u_1 - u_1^2/2 + b (U - u_1)\right),\quad
              u_1 = \min(\max(g_2 - b, 0),\ U)

    Symbols: x service, host columns per clock [1/clock], U clocks before the step in which the last column can have
    come, at most 1/x [clock], g_2 host column to step, b least delay once one has come [clock]. Returns [clock].
    Validity: columns evenly apart, independent of the steps. Known error: exact there; bursts of row hits are not.
    Source: age of the last of evenly spaced events.
    """
    u1 = sp.Max(0, sp.Min(step_gap - least_delay, window_clocks))
    return service * (step_gap * u1 - u1**2 / 2 + least_delay * (window_clocks - u1))


def _gaps(timing: MemoryTiming, before: int, after: int, host_write: int) -> tuple[int, int]:
    """Clocks from a step to a host column and from that to the next step, given the directions."""
    turn, same = timing.write_to_read_same_group, timing.tCCD_L
    return (turn if before and not host_write else same), (turn if host_write and not after else same)


def host_pace(timing: MemoryTiming, stream: HostStream, window: int) -> int:
    """Clocks from one host column to the next of a busy host whose window holds more than one row visit [clock]."""
    several = stream.spread > 1 or stream.substreams > 1 or window > stream.columns
    return timing.tCCD_S if several else timing.tCCD_L


def _interval_delay(timing: MemoryTiming, apart: float, directions: tuple[int, int, int], pace: int, x: float) -> float:
    """Mean delay of a step `apart` clocks behind the previous one, beside x host columns of one direction per clock."""
    first, second = _gaps(timing, *directions)
    columns = max(1, math.ceil((apart - first) / pace))
    full = float(busy_interval(step_interval=apart, host_gap=first, host_columns=columns, pace=pace, step_gap=second))
    if x * full >= 0.999 * columns:
        return full - apart
    found, least = 0.0, max(0.0, first + second - apart)
    for _ in range(30):  # columns also come while the step waits
        found = float(
            step_delay(service=x, window_clocks=min(apart + found, 1 / x), step_gap=second, least_delay=least)
        )
    return min(max(found, 0.0), full - apart)


def delays_of(
    timing: MemoryTiming,
    apart: tuple[tuple[float, float], tuple[float, float]],
    write_share: float,
    pace: int,
    x: float,
) -> Delays:
    """Delays of a kernel's steps beside x host columns per clock.

    Parameters
    ----------
    timing : the part
    apart : clocks between steps of the kernel alone, by direction before and after
    write_share : share of writes among the host's columns
    pace : clocks between columns of a busy host
    x : host columns per clock; very many: a host that always has one ready
    """
    shares = [(0, 1 - write_share), (1, write_share)]

    def held(before: int, after: int) -> float:
        at, total, most = apart[before][after], 0.0, 0.0
        for write, share in shares:
            if share > _NONE:
                total += _interval_delay(timing, at, (before, after, write), pace, x * share)
                most += share * _interval_delay(timing, at, (before, after, write), pace, _BUSY)
        return round(_ROUND * min(total, most)) / _ROUND

    opening = 0.0
    for write, share in shares:
        if share > _NONE:
            _, second = _gaps(timing, 0, 0, write)
            since = 1 / (x * share)
            opening += float(step_delay(service=x * share, window_clocks=since, step_gap=second, least_delay=0.0))
    opening = round(_ROUND * min(opening, timing.tCCD_L)) / _ROUND
    return Delays(((held(0, 0), held(0, 1)), (held(1, 0), held(1, 1))), opening)


@lru_cache(maxsize=4096)
def progress(
    timing: MemoryTiming, organisation: Organisation, kernel: PimKernel, refresh: str, first_bank: int, delays: Delays
) -> Progress:
    """A kernel with held-back steps, followed until it repeats itself or through 320 refreshes."""
    return Recurrence(timing, organisation, kernel, refresh, first_bank, delays).run(320)


def stretched(timing: MemoryTiming, factor: float) -> MemoryTiming:
    """The part as one sees it whose activates wait for the other side's: activate limits `factor` times as long."""
    tenths = round(10 * factor) / 10
    if tenths <= 1:
        return timing
    # Not whole clocks any more; nothing that takes them minds.
    return timing.model_copy(update={name: getattr(timing, name) * tenths for name in ("tRRD_S", "tRRD_L", "tFAW")})


def column_capacity(
    timing: MemoryTiming, organisation: Organisation, kernel: PimKernel, refresh: str, first_bank: int,
    write_share: float, pace: int, factor: float,
) -> float:  # fmt: skip
    """Host columns per clock that find room between the steps of a kernel beside a busy host [1/clock]."""
    apart = Recurrence(timing, organisation, kernel, refresh, first_bank).apart
    clocks_per_column = 0.0
    for write, share in ((0, 1 - write_share), (1, write_share)):
        if share <= _NONE:
            continue
        delays = delays_of(timing, apart, float(write), pace, _BUSY)
        run = progress(stretched(timing, factor), organisation, kernel, refresh, first_bank, delays)
        columns = 0
        for (clocks, before, after), count in run.intervals.items():
            columns += count * (1 + max(0, math.floor((clocks - sum(_gaps(timing, before, after, write))) / pace)))
        clocks_per_column += share * run.clocks / columns
    return 1 / clocks_per_column


def column_wait(timing: MemoryTiming, run: Progress, write_share: float) -> float:
    """Mean clocks that a host column waits for a path that a step holds or waits for, nobody else waiting [clock]."""
    held = clocks = 0.0
    for (interval, before, after), count in run.intervals.items():
        clocks += count * interval
        for write, share in ((0, 1 - write_share), (1, write_share)):
            held += count * share * min(interval, sum(_gaps(timing, before, after, write))) ** 2 / 2
    return held / clocks
