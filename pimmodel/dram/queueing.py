"""Parts of the short-queue service rate: what a host request waits for, each as one formula.

The picture (see `pimmodel.dram.service` for how the parts combine): S sub-streams visit banks; a bank that m of them
visit at once serves their rows in turn. A visit alone in its bank waits only for its row to open; two or more close
each other's rows, one request per opening while the bank keeps up, batches of row hits when it does not. On top come
the column bus and the activate slots that all banks share; changes of direction are in `pimmodel.dram.directions`.

Constants named K_ are generic: the same for every part and stream, fitted together with `directions.K_DRY` on 240
random streams of the documented domain (every fifth of seeds 301 and 302, at W and at a random q); the stated errors
are those of the other 960. Of the fit and the constants before it (360 other streams) about the mean was taken, which
the open-loop latencies of public simulators (`tests/dram`) and streams near the bus limit bear better.
"""

from __future__ import annotations

from typing import Any

from pimmodel.formula import formula, sp

K_QUEUE, K_QUEUE_POLE = 0.465, 1.004  # wait of a bank that keeps up
K_CYCLE = 0.505  # part of a bank's row cycle that a request waits when the bank does not keep up
K_LEFT = 4.05  # visits that find a bank still busy with an ended one
K_ACTIVATE = -0.341  # wait for activate slots beyond what the loaded row time holds already
K_BUS = 3.2  # burstiness of the column bus
K_SELF = 0.17  # own share of the queue: a request does not wait for itself
K_SLOTS = 7.4  # how sharply the activate slots take over from other limits
ISSUE = 0.5  # clocks from generation to the earliest column, on average


@formula
def own_opening_wait(columns: Any, visit_rate: Any, opening: Any, tCCD_L: Any) -> Any:
    r"""Mean wait of a request in a bank that its sub-stream has to itself.

    .. math:: W = \frac{N}{n}\Big(t_{open} - \frac{N - 1}{2} g\Big),\quad g = 1/a - t_{CCD\_L},\quad
              N = \min(n, t_{open}/g + 1)\ (g > 0),\ n\ \text{else}

    The row opens once per visit; the i-th request of the visit arrives i/a after the first and is served no earlier
    than i tCCD_L after it. Symbols: n columns of the visit [1], a requests per clock of the visit [1/clock], t_open
    [clock], tCCD_L [clock]. Returns [clock].

    Validity: even arrivals within the visit; the bank is idle when the visit begins. Known error: exact there up to
    the rounding of N. Source: sum over the requests of one visit.
    """
    gap = 1 / visit_rate - tCCD_L
    waiting = sp.Piecewise(
        (sp.Min(columns, opening / sp.Max(gap, sp.Rational(1, 10**6)) + 1), gap > 0), (columns, True)
    )
    return waiting / columns * (opening - (waiting - 1) / 2 * gap)


@formula
def shared_batch(
    columns: Any, visit_rate: Any, sharers: Any, switch_row: Any, loaded_row_time: Any, tCCD_L: Any
) -> Any:
    r"""Columns served per row opening in a bank that m sub-streams share.

    .. math:: k = \min\Big(n, \max\big(1,\ m a D,\ \tfrac{m a (h - t_{CCD\_L})}{1 - m a t_{CCD\_L}}\big)\Big)

    A cycle over the m rows takes m max(D, h + (k - 1) tCCD_L) clocks and brings k = a x cycle requests of each.
    Symbols: n [1], a [1/clock], m [1], h row switch [clock], D loaded row time [clock], tCCD_L [clock]. Returns [1].

    Validity: m >= 2; FR-FCFS without a precharge while hits wait. Known error: not measured apart, see
    `pimmodel.dram.service`. Source: cyclic polling, exhaustive service (Takagi, Queueing analysis of polling models,
    ACM Computing Surveys 20(1), 1988), deterministic arrivals.
    """
    load = sharers * visit_rate
    free = sp.Max(1 - load * tCCD_L, sp.Rational(1, 1000))
    return sp.Min(columns, sp.Max(1, load * loaded_row_time, load * (switch_row - tCCD_L) / free))


@formula
def shared_wait(
    columns: Any, visit_rate: Any, sharers: Any, opening: Any, switch_row: Any, row_time: Any, loaded_row_time: Any,
    visit_time: Any, tCCD_L: Any,
) -> Any:  # fmt: skip
    r"""Mean wait of a request for its row, beyond the opening itself, in a bank that m sub-streams share.

    While :math:`\rho = m a D < 1` the bank keeps up, one opening per request:

    .. math:: W = D_1 \frac{m-1}{m} \frac{K_q \rho}{1 - K_p \rho (m-2)/m}

    else rows are served in a cycle of :math:`T = m \max(D, (h - t_{CCD\_L})/(1 - m a t_{CCD\_L}))`, of which a request
    waits the part K_c, plus half a batch; an overloaded bank's backlog is bounded by what its visits bring:

    .. math:: W = \min\big(K_c T + t_{CCD\_L}(k-1)/2,\ \max(t_{open} + (m D_n - n/a)/2,\ K_c m D)\big) - t_{open}

    Symbols: n [1], a [1/clock], m [1], t_open, h, D_1, D, D_n, tCCD_L [clock]. Returns [clock].

    Validity: m >= 2. Known error: see `pimmodel.dram.service`. Source: superposed periodic arrivals below, polling
    above saturation; K_q, K_p, K_c fitted (module docstring).
    """
    load = sharers * visit_rate
    rho = load * loaded_row_time
    keeps_up = row_time * (sharers - 1) / sharers * K_QUEUE * rho / (1 - K_QUEUE_POLE * rho * (sharers - 2) / sharers)
    free = sp.Max(1 - load * tCCD_L, sp.Rational(1, 1000))
    cycle = sharers * sp.Max(loaded_row_time, (switch_row - tCCD_L) / free)
    batch = sp.Max(1, visit_rate * cycle)
    bound = sp.Max(opening + (sharers * visit_time - columns / visit_rate) / 2, K_CYCLE * sharers * loaded_row_time)
    overloaded = sp.Min(K_CYCLE * cycle + tCCD_L * (batch - 1) / 2, bound) - opening
    return sp.Piecewise((keeps_up, rho < 1), (sp.Max(overloaded, 0), True))


@formula
def loaded_row(row_time: Any, activate_gap: Any, activates: Any, banks: Any) -> Any:
    r"""Row time of a busy bank, stretched by the wait for activate slots.

    .. math:: D = \min\Big(D_1 + \frac{T_{act} r}{2 (1 - r)},\ \max(D_1, k T_{act})\Big),\quad
              r = \min(A T_{act}, 0.999)

    Symbols: D_1 [clock], T_act [clock], A activates per clock if nothing waited [1/clock], k banks with conflicts [1].
    Returns [clock].

    Validity: any load. Known error: not measured apart, see `pimmodel.dram.service`. Source: M/D/1 wait
    (Pollaczek-Khinchine); at the limit every busy bank opens a row per round of activate slots.
    """
    r = sp.Min(activates * activate_gap, sp.Rational(999, 1000))
    return sp.Min(row_time + activate_gap * r / (2 * (1 - r)), sp.Max(row_time, banks * activate_gap))


@formula
def slot_wait(activates: Any, activate_gap: Any) -> Any:
    r"""Requests waiting for a resource that is used A times per clock, T_act each: M/D/1.

    .. math:: L = \frac{A^2 T^2}{2 (1 - A T)}

    Symbols: A activates, the uses per clock [1/clock], T activate_gap, clocks per use [clock]. Returns [1].
    Validity: A T < 1. Known error: exact for uses that come at random (Poisson). Source: Pollaczek-Khinchine.
    """
    load = activates * activate_gap
    return load * load / (2 * (1 - load))


@formula
def slot_limited(service: Any, activate_gap: Any, activates_per_request: Any) -> Any:
    r"""Rate of a stream that banks and bus would serve at mu, when the activate slots are one more server.

    .. math:: \mu' = \big(\mu^{-K} + (T_{act}\,\alpha)^K\big)^{-1/K}

    Symbols: mu [1/clock], T_act clocks per activate [clock], alpha activates per request [1]. Returns [1/clock].

    In a closed queue the slots either keep up or hold nearly all requests, so the smaller limit decides, rounded off a
    little; waiting for slots as in an open queue, bank by bank, made a stream that the slots limit 10 % too slow.
    Validity: any. Known error: not measured apart, see `pimmodel.dram.service`. Source: asymptotic bounds of closed
    queueing networks (Denning and Buzen 1978); K fitted.
    """
    return (service**-K_SLOTS + (activate_gap * activates_per_request) ** K_SLOTS) ** (-1 / K_SLOTS)


@formula
def bus_wait(service: Any, column_gap: Any) -> Any:
    r"""Requests waiting for the column bus: :math:`L = \frac{K (\mu t_{col})^2}{2 (1 - \mu t_{col})}`.

    Symbols: mu [1/clock], t_col clocks per column [clock]. Returns [1].

    Validity: mu t_col < 1, one direction. Known error: not measured apart, see `pimmodel.dram.service`.
    Source: Pollaczek-Khinchine; K for the burstiness of row hits (fitted).
    """
    load = service * column_gap
    return K_BUS * load**2 / (2 * (1 - load))


@formula
def single_stream_interval(
    columns: Any, wide: Any, queued: Any, column_gap: Any, opening: Any, turnaround: Any, changes: Any,
    activate_gap: Any,
) -> Any:  # fmt: skip
    r"""Clocks per request of a single sub-stream when q requests wait, fewer than its visit has.

    .. math:: T = \frac{1}{n b} \max\big(n b\,t_{col} + s,\ b\,T_{act}\big),\qquad
              s = (1 - p_v) s_o + p_v \max(s_o,\ t_{turn} - t_{col}),\quad
              s_o = \max(1, b/q) \max(0,\ t_{open} + 1 - q\,t_{col})

    The first request of a visit enters the queue when the q before it are still to be served, and waits for its row;
    the b rows of the visit are opened q at a time. The rest of the visit are hits. Symbols: n [1], b banks of a visit
    [1], q [1], t_col clocks per column: tCCD_S, or tCCD_L if b = 1 [clock], t_open clocks until a row is open [clock],
    t_turn clocks between columns of different direction [clock], p_v changes of direction per visit [1], T_act
    [clock]. Returns [clock].

    Validity: S = 1, q <= n b. Known error: median 2.5 %, p90 10 %. Source: the sequence of one visit, written out.
    """
    stall = sp.Max(1, wide / queued) * sp.Max(0, opening + 1 - queued * column_gap)
    turning = (1 - changes) * stall + changes * sp.Max(stall, turnaround - column_gap)
    visit = columns * wide
    return sp.Max(visit * column_gap + turning, wide * activate_gap) / visit
