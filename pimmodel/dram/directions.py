r"""Reads and writes mixed: how long FR-FCFS stays with one direction, and what its changes cost.

A batch of one direction goes on while one of its columns is ready: the other direction has to wait for the bus to turn
(`read_to_write`, or write to read), and any column of the old direction that becomes ready meanwhile goes first. Rows
are opened for the oldest request of every bank, whatever its direction; a row of the other direction then holds its
bank until the batch is over. So a batch goes on for longer the more columns an opened row brings and the more banks
have work; at the latest until the queue holds only the other direction, or until the starvation cap has let 16
columns pass the oldest request (`direction_run`). With directions drawn at random, 2 w (1 - w) of all neighbours
differ; runs of rho columns in place of one make 2 w (1 - w)/rho changes per column (`changes_per_column`).

What a change costs depends on what limits the stream otherwise. The bus stands still while it turns. Banks work on
meanwhile, the more so where each column needs a row of its own, whose opening takes longer than the turn
(`mixed_interval`). Activate slots are used in the turn as long as there are banks to open; a part on which four rows or
more can be opened in the turn has opened all it can (`idle_slots`). And a batch is served from the rows of one
direction alone, of which a few may lie in one bank group (`direction_gap`).

The K_ are fitted, on every second of 396 mixed streams of the domain with the window full; bandwidth
of the others is within 2.3 % (median), p95 9 %, worst 20 %. They were fitted to the clocks per request, not to the
changes: those are off by 26 % (median), a factor of 2.3 (p95) against the simulator's count, and a good part of that
makes up for what the cost of a change neglects.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimmodel.dram.visits import binomial, busy_banks
from pimmodel.formula import formula, sp
from pimmodel.hardware.memory import MemoryTiming
from pimmodel.scenario import HostStream

Floats = NDArray[np.float64]
K_HIDDEN = 0.58  # how far turns of the bus are hidden behind the row of a single column
K_IDLE, K_IDLE_WIDTH = 3.9, 0.6  # rows opened in a turn at which the activate slots stand still in half of the turns
STARVATION_CAP = 16  # columns that may pass the oldest request


@formula
def direction_run(visit_columns: Any, at_hand: Any, share: Any, queued: Any, order_run: Any) -> Any:
    r"""Columns of a run of one direction, in units of those of directions drawn anew for every column.

    .. math:: \rho = \max\big(\rho_0,\; 1 + (1/\rho_d + 1/32 + 1/(q - 1))^{-1}\big),\qquad
              \rho_d = 2 c \sqrt{B_q w (1 - w)}

    Each of the B_q banks with work goes on until it meets a row of the other direction; the batch ends when too few are
    left to fill the turn of the bus, about the root of their number. The starvation cap lets 16 columns pass in
    either direction; a queue of q requests holds q - 1 of the other one at most. Symbols: c columns per opening [1],
    B_q banks with work [1], w share of writes [1], q requests queued [1], rho_0 run in order of arrival [1].
    Returns [1].

    Validity: 0 < w < 1; unified queue, starvation cap 16. Known error: module docstring. Source: the three limits
    above, each taken as a rate at which batches end; the root was chosen among the powers 0.4 to 1.
    """
    dry = 2 * visit_columns * sp.sqrt(at_hand * share * (1 - share))
    others = queued - 1
    return sp.Max(order_run, 1 + others / (1 + others * (1 / dry + sp.Rational(1, 2 * STARVATION_CAP))))


@formula
def mixed_interval(pure: Any, column_gap: Any, changes: Any, turnaround: Any, visit_columns: Any) -> Any:
    r"""Clocks per request with changes of direction.

    .. math:: T = \big(P^e - t_{col}^e + B^e\big)^{1/e},\qquad B = t_{col} + p_c (t_{turn} - t_{col}),\quad
              e = 1 + K/\sqrt{c}

    Symbols: P clocks per request if there were no changes [clock], t_col clocks per column on the bus [clock], p_c
    changes per column [1], t_turn clocks between columns of different direction [clock], c columns per opening [1].
    Returns [clock].

    While the bus turns, rows go on being opened, until the banks are held: a stream that waits for banks hides part
    of the turns, one that waits for the bus (P = t_col) none, and one that waits for hits of few rows hardly any.
    Validity: P >= t_col. Known error: module docstring. Source: power mean between the two limits; K fitted.
    """
    bus = column_gap + changes * sp.Max(turnaround - column_gap, 0)
    power = 1 + K_HIDDEN / sp.sqrt(visit_columns)
    return column_gap * ((pure / column_gap) ** power - 1 + (bus / column_gap) ** power) ** (1 / power)


@formula
def idle_slots(slot_interval: Any, changes: Any, turnaround: Any, interval: Any) -> Any:
    r"""Clocks per request at the limit of the activate slots, with what they stand still while the bus turns.

    .. math:: T_s' = T_s + \frac{p_c\,t_{turn}}{1 + e^{(K - t_{turn}/T)/K'}}

    Symbols: T_s clocks per request that its activates take [clock], p_c changes per column [1], t_turn clocks between
    columns of different direction [clock], T clocks from one opening to the next [clock]. Returns [clock].

    Validity: any. Known error: module docstring. Source: a turn in which more than about four rows can be opened has
    used up the banks that are not held; K and K' fitted.
    """
    return slot_interval + changes * turnaround / (1 + sp.exp((K_IDLE - turnaround / interval) / K_IDLE_WIDTH))


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


def changes_per_column(stream: HostStream, queued: Floats, per_request: Floats, banks: int) -> Floats:
    """Changes of direction per column of a mixed stream on `banks` banks.

    `queued` requests wait, with `per_request` activates per request, both of shape (N,) [1]. Returns shape (N,) [1].
    """
    w = min(max(stream.write_share, 1e-6), 1 - 1e-6)
    at_hand, _, _ = rows_at_hand(stream, banks, queued)
    run = direction_run(
        visit_columns=1 / per_request, at_hand=at_hand, share=w, queued=queued, order_run=arrival_run(stream)
    )
    return np.asarray(np.minimum(2 * w * (1 - w) / run, 1.0))


def direction_gap(timing: MemoryTiming, stream: HostStream, groups: int, banks: int, queued: Floats) -> Floats:
    r"""Least clocks per column of one direction, whose rows at hand share the bank groups; of the shape of `queued`.

    .. math:: \sum_i P_i \max\big(t_{CCD\_S},\ t_{CCD\_L}/G_{busy}(b (1 + i))\big)

    over the number i of other visits at hand that have the direction, binomial; G_busy is `visits.busy_banks` of the
    bank groups. `queued` requests wait [1]. Returns [clock].
    """
    at_hand, wide, _ = rows_at_hand(stream, banks, queued)
    others = np.maximum(at_hand / wide - 1, 0)
    most = int(np.ceil(others.max())) + 1
    gap = np.zeros_like(queued)
    for share in (stream.write_share, 1 - stream.write_share):
        rows = np.maximum(wide[:, None], 1) * np.arange(1, most + 1)
        each = timing.tCCD_L / np.minimum(busy_banks(jobs=rows, banks=float(groups)), rows)
        each = np.maximum(each, timing.tCCD_S)
        mean = np.array([[(binomial(k, share) * of[: k + 1]).sum() for k in range(most)] for of in each])
        low = np.minimum(others.astype(int), most - 2) if most > 1 else np.zeros(len(queued), int)
        part, i = others - low, np.arange(len(queued))
        gap += share * (mean[i, low] * (1 - part) + mean[i, np.minimum(low + 1, most - 1)] * part)
    return gap
