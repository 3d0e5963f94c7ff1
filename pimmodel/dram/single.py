r"""A single sub-stream: its visits come one after another, so what waits for what is a sequence, not a queue.

The first request of a visit enters the queue when the q before it (or, with a window, the W before it, whose data are
still to come) are left, and its row has to be opened (`opening_stall`). Where the new visit meets banks of the one
before, their rows can be changed only after that visit's last columns; meanwhile the other banks of the visit work on
until the window is full of requests for the banks that are behind (`overlap_stall`). Both are averaged over the B
places where a visit may begin.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimmodel.formula import formula, sp
from pimmodel.hardware.memory import MemoryTiming
from pimmodel.scenario import HostStream

Floats = NDArray[np.float64]


@formula
def opening_stall(wide: Any, queued: Any, column_gap: Any, opening: Any, data_latency: Any) -> Any:
    r"""Clocks that the columns stand still at the beginning of a visit, until its rows are open.

    .. math:: s_o = \max(1, b/q) \max(0,\ t_{open} + 1 + t_{data} - q\,t_{col})

    The b rows of the visit are opened q at a time. Symbols: b banks of a visit [1], q requests before the new one, of
    the queue or of the window [1], t_col clocks per column [clock], t_open clocks until a row is open
    [clock], t_data clocks from a column to the last data beat that frees its place in the window, 0 for a queue
    [clock].
    Returns [clock].

    Validity: S = 1; q below a visit. Known error: see `single_stream_interval`. Source: the sequence of one visit,
    written out.
    """
    return sp.Max(1, wide / queued) * sp.Max(0, opening + 1 + data_latency - queued * column_gap)


@formula
def overlap_stall(columns: Any, wide: Any, queued: Any, column_gap: Any, switch_row: Any, overlap: Any) -> Any:
    r"""Clocks that the columns stand still when a visit meets j banks of the visit before.

    .. math:: s_j = \max\big(0,\ h - t_{col} - (b - j) \min(q/j,\ n)\,t_{col}\big)

    The j banks change rows h clocks after their last columns, which are the visit's last; the other b - j banks serve
    until q requests wait for those j. Symbols: n columns [1], b banks of a visit [1], q places in the queue or window
    [1], t_col clocks per column [clock], h clocks from the last column of a row to the first of the next [clock], j
    banks in both visits, at least 1 [1]. Returns [clock].

    Validity: S = 1; q below a visit. Known error: see `single_stream_interval`. Source: the sequence of two visits,
    written out; that the visit's last columns are those of the j banks holds for half of the places.
    """
    others = (wide - overlap) * sp.Min(queued / overlap, columns)
    return sp.Max(0, switch_row - column_gap - others * column_gap)


@formula
def single_stream_interval(
    columns: Any, wide: Any, column_gap: Any, stall: Any, turnaround: Any, changes: Any, activate_gap: Any
) -> Any:
    r"""Clocks per request of a single sub-stream whose visits begin with a stall.

    .. math:: T = \frac{1}{n b} \max\big(n b\,t_{col} + (1 - p_v) s + p_v \max(s,\ t_{turn} - t_{col}),\ b\,T_{act}\big)

    Symbols: n [1], b banks of a visit [1], t_col clocks per column: tCCD_S, or tCCD_L if b = 1 [clock], s stall
    [clock], t_turn clocks between columns of different direction [clock], p_v changes of direction per visit [1],
    T_act [clock]. Returns [clock].

    Validity: S = 1, fewer requests at hand than half a visit has. Known error: 1.3 % (median), p95 9 %, worst 25 %,
    62 streams of the domain with the window full. Source: the sequence of one visit, written out.
    """
    turning = (1 - changes) * stall + changes * sp.Max(stall, turnaround - column_gap)
    visit = columns * wide
    return sp.Max(visit * column_gap + turning, wide * activate_gap) / visit


def overlaps(spread: int, banks: int) -> dict[int, int]:
    """How many of the `banks` places of a visit have 0, 1, .. banks in common with the visit before.

    >>> overlaps(2, 16)
    {2: 1, 1: 2, 0: 13}
    """
    before = set(range(spread))
    found: dict[int, int] = {}
    for place in range(banks):
        common = sum((place + k) % banks in before for k in range(spread))
        found[common] = found.get(common, 0) + 1
    return found


def single_rate(
    timing: MemoryTiming, stream: HostStream, opening: float, switch_row: float, turnaround: float, activate_gap: float,
    banks: int, spread: int, queued: Floats, data_latency: float = 0.0,
) -> Floats:  # fmt: skip
    """Requests per clock of a single sub-stream.

    Parameters
    ----------
    timing, stream, banks : of the channel
    opening, switch_row, turnaround, activate_gap : as the symbols of these names [clock]
    spread : banks of a visit [1]
    queued : requests that wait, or places of the window, shape (N,) [1]
    data_latency : 0 if `queued` counts waiting requests, else the clocks for which data hold their places [clock]

    Returns
    -------
    array of shape (N,) [1/clock].
    """
    n, wide = float(stream.columns), float(spread)
    gap = np.maximum(float(timing.tCCD_S if spread > 1 else timing.tCCD_L), (data_latency + 1) / queued)
    first = opening_stall(wide=wide, queued=queued, column_gap=gap, opening=opening, data_latency=data_latency)
    interval = np.zeros_like(queued)
    for common, places in overlaps(spread, banks).items():
        stall = first
        if common:
            stall = np.maximum(first, overlap_stall(
                columns=n, wide=wide, queued=queued, column_gap=gap, switch_row=switch_row, overlap=float(common)
            ))  # fmt: skip
        interval = interval + places / banks * single_stream_interval(
            columns=n, wide=wide, column_gap=gap, stall=stall, turnaround=turnaround,
            changes=2 * stream.write_share * (1 - stream.write_share), activate_gap=activate_gap,
        )  # fmt: skip
    return np.asarray(1 / interval)
