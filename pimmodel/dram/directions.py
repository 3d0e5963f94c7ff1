r"""Reads and writes mixed: how long FR-FCFS stays with one direction, and what its changes cost.

A batch of one direction goes on while one of its columns is ready: the other direction has to wait for the bus to turn
(`read_to_write`, or write to read), and any column of the old direction that becomes ready meanwhile goes first. Rows
are opened for the oldest request of every bank, whatever its direction; a row of the other direction then holds its
bank until the batch is over. So as a batch goes on, fewer and fewer banks are left to it, row openings come more
slowly, and the batch dries up when the next row of its direction would come later than the turn of the bus. The
starvation cap ends it too: 16 columns may pass the oldest request.

Taken visit by visit (a visit's `wide` banks have one direction), a batch of the direction whose visits are a part
1 - p of all has a mean of

.. math:: R = \sum_{i \ge 1} \prod_{j \le i} (1 - p^{k_j}),\qquad k_j = \max(1, K (t_{turn} + c\,t_{CCD\_S}) / T_j)

visits (p^k: none of the next k visits opened has the direction), with :math:`T_j` clocks from one visit's opening to
the next when j visits of the batch are through (`row_interval`); R/(1 - p) visits are opened meanwhile. Two changes
come in the columns of one batch of each direction.

Known error of the changes per column, 806 random mixed streams at W and at a random q: median 19 %, p90 a factor of
two. The only fitted constant is K.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimmodel.formula import formula, sp
from pimmodel.hardware.memory import MemoryTiming
from pimmodel.scenario import HostStream

Floats = NDArray[np.float64]
K_DRY = 0.87  # rows opened in the turn of the bus that still prolong the batch, over those counted
STARVATION_CAP = 16  # columns that may pass the oldest request
_TERMS = np.concatenate([np.arange(1.0, 17.0), np.unique(np.round(np.geomspace(18, 4096, 24)))])


@formula
def row_interval(activate_gap: Any, wide: Any, row_cycle_time: Any, free: Any) -> Any:
    r"""Clocks from the opening of one visit's rows to the next visit's, when banks are held by the other direction.

    .. math:: T = \max(b\,T_{act},\; D / f)

    Symbols: b banks of a visit [1], T_act clocks per activate [clock], D least clocks from activate to activate of a
    bank with the columns of a visit between [clock], f visits for which banks are free [1]. Returns [clock].
    Validity: backlog in all free banks. Known error: not measured apart, see the module docstring.
    Source: bank timing, JESD235C.
    """
    return sp.Max(activate_gap * wide, row_cycle_time / free)


@formula
def slots_in_turn(turnaround: Any, visit_columns: Any, tCCD_S: Any, interval: Any) -> Any:
    r"""Visits opened while the bus turns: :math:`k = \max(1,\ K (t_{turn} + c\,t_{CCD\_S}) / T)`.

    Symbols: t_turn clocks between columns of different direction [clock], c columns of a visit's opening [1], tCCD_S
    [clock], T clocks per visit opened [clock]. Returns [1]. Validity: any; at least the next visit decides.
    Known error: not measured apart, see the module docstring. Source: module docstring; K fitted.
    """
    return sp.Max(1, K_DRY * (turnaround + visit_columns * tCCD_S) / interval)


@formula
def mixed_interval(pure: Any, column_gap: Any, changes: Any, turnaround: Any) -> Any:
    r"""Clocks per request with changes of direction.

    .. math:: T = \sqrt{P^2 - t_{col}^2 + B^2},\qquad B = t_{col} + p_d (t_{turn} - t_{col})

    Symbols: P clocks per request if there were no changes [clock], t_col clocks per column on the bus [clock], p_d
    changes per column [1], t_turn clocks between columns of different direction [clock]. Returns [clock].

    While the bus turns, rows go on being opened, until the banks are held: a stream that waits for banks or activates
    hides part of the turns, one that waits for the bus (P = t_col) none.
    Validity: any. Known error: with true P and p_d, median 3.7 %, p95 15 %. Source: root of squares between the two
    limits (the exponent 2 was chosen among 1.5, 2, 2.5, 3).
    """
    bus = column_gap + changes * (turnaround - column_gap)
    return sp.sqrt(pure**2 - column_gap**2 + bus**2)


def rows_at_hand(stream: HostStream, banks: int, queued: Floats) -> tuple[Floats, Floats, Floats]:
    r"""Banks with work, banks per visit, and rows, when q consecutive requests wait, evenly on the sub-streams [1].

    q is `queued` [1]; the three arrays have its shape.

    A sub-stream's q/S consecutive requests, beginning anywhere in a visit, lie in min(q/S, b + (q/S - 1)/n) rows.

    .. math:: B_q = B\big(1 - (1 - b/B)^{r/b}\big),\quad r = S_q \min(q/S_q,\ b + (q/S_q - 1)/n),\quad
              S_q = \min(S, q)
    """
    active = np.minimum(stream.substreams, queued)
    each = np.maximum(queued / np.maximum(active, 1e-9), 1e-9)
    wide = np.minimum(np.minimum(stream.spread, each), banks - 1e-6)
    rows = active * np.minimum(each, stream.spread + np.maximum(each - 1, 0) / stream.columns)
    return banks * (1 - (1 - wide / banks) ** (rows / wide)), wide, rows


def arrival_run(stream: HostStream) -> float:
    """Mean requests of one direction in a row in order of arrival, times the share of the other direction [1]."""
    return 1 / (1 - (1 - 1 / (stream.columns * stream.spread)) / stream.substreams)


def changes_per_column(
    timing: MemoryTiming, stream: HostStream, queued: Floats, per_row: Floats, activate_gap: float, row_time: float,
    switch_row: float, banks: int,
) -> Floats:  # fmt: skip
    """Changes of direction per column of a mixed stream [1].

    Parameters
    ----------
    timing, stream, banks : of the channel
    queued : requests that wait, shape (N,) [1]
    per_row : columns per activate at each of them, shape (N,) [1]
    activate_gap, row_time, switch_row : as the symbols of these names [clock]

    Returns
    -------
    array of shape (N,) [1].
    """
    w = min(max(stream.write_share, 1e-6), 1 - 1e-6)
    at_hand, wide, _ = rows_at_hand(stream, banks, queued)
    visits, columns = np.maximum(at_hand / np.maximum(wide, 1), 1), per_row * np.maximum(wide, 1)
    cycle = np.maximum(row_time, switch_row + (per_row - 1) * timing.tCCD_L)
    write_to_read = (3 * timing.write_to_read_other_group + timing.write_to_read_same_group) / 4
    width = np.diff(_TERMS, append=_TERMS[-1] * 1.25)
    opened = np.zeros_like(queued)
    run = arrival_run(stream)
    for other, turn in ((w, timing.read_to_write), (1 - w, write_to_read)):
        through = _TERMS[None, :] - 1
        free = visits[:, None] - through * other / (1 - other)
        interval = row_interval(
            activate_gap=activate_gap, wide=np.maximum(wide, 1)[:, None], row_cycle_time=cycle[:, None],
            free=np.maximum(free, 1e-9),
        )  # fmt: skip
        slots = slots_in_turn(
            turnaround=float(turn), visit_columns=columns[:, None], tCCD_S=float(timing.tCCD_S), interval=interval
        )
        passed = through * columns[:, None]
        goes_on = (free > 0) & (passed <= STARVATION_CAP + run * (1 - other) / other)
        survive = np.where(goes_on, width * np.log1p(-np.minimum(other**slots, 1 - 1e-12)), -np.inf)
        opened += (np.exp(np.cumsum(survive, axis=1)) * width).sum(axis=1) / (1 - other)
    return np.minimum(2 / np.maximum(columns * opened, run / (w * (1 - w))), 1.0)
