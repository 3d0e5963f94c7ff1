"""Parts of the short-queue service rate: what a host request waits for, each as one formula.

The picture (see `pimmodel.dram.service` for how the parts combine): S sub-streams visit banks; a bank that m of them
visit at once serves their rows in turn. A visit alone in its bank waits only for its row to open; two or more close
each other's rows, one request per opening while the bank keeps up, batches of row hits when it does not. On top come
the column bus and the activate slots that all banks share (`slot_limited`); changes of direction are in
`pimmodel.dram.directions`.

Constants named K_ are generic: the same for every part and stream. All but K_SLOTS were fitted on 240 random streams of
the documented domain (every fifth of seeds 301 and 302, at W and at a random q), with a model of the activate slots
since replaced. Of that fit and the constants before it (360 other streams) about the mean was taken, which the
open-loop latencies of public simulators (`tests/dram`) and streams near the bus limit bear better.
"""

from __future__ import annotations

from typing import Any

from pimmodel.formula import formula, sp

K_QUEUE, K_QUEUE_POLE = 0.465, 1.004  # wait of a bank that keeps up
K_CYCLE = 0.505  # part of a bank's row cycle that a request waits when the bank does not keep up
K_BUS = 3.2  # burstiness of the column bus
K_SELF = 0.17  # own share of the queue: a request does not wait for itself
K_SLOTS = 12  # how sharply one limit takes over from another
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
def shared_batch(columns: Any, visit_rate: Any, sharers: Any, switch_row: Any, row_time: Any, tCCD_L: Any) -> Any:
    r"""Columns served per row opening in a bank that m sub-streams share.

    .. math:: k = \min\Big(n, \max\big(1,\ m a D_1,\ \tfrac{m a (h - t_{CCD\_L})}{1 - m a t_{CCD\_L}}\big)\Big)

    A cycle over the m rows takes m max(D_1, h + (k - 1) tCCD_L) clocks and brings k = a x cycle requests of each.
    Symbols: n [1], a [1/clock], m [1], h row switch [clock], D_1 row time [clock], tCCD_L [clock]. Returns [1].

    Validity: m >= 2; FR-FCFS without a precharge while hits wait. Known error: not measured apart, see
    `pimmodel.dram.service`. Source: cyclic polling, exhaustive service (Takagi, Queueing analysis of polling models,
    ACM Computing Surveys 20(1), 1988), deterministic arrivals.
    """
    load = sharers * visit_rate
    free = sp.Max(1 - load * tCCD_L, sp.Rational(1, 1000))
    return sp.Min(columns, sp.Max(1, load * row_time, load * (switch_row - tCCD_L) / free))


@formula
def shared_wait(
    columns: Any, visit_rate: Any, sharers: Any, opening: Any, switch_row: Any, row_time: Any,
    visit_time: Any, tCCD_L: Any,
) -> Any:  # fmt: skip
    r"""Mean wait of a request for its row, beyond the opening itself, in a bank that m sub-streams share.

    While :math:`\rho = m a D_1 < 1` the bank keeps up, one opening per request:

    .. math:: W = D_1 \frac{m-1}{m} \frac{K_q \rho}{1 - K_p \rho (m-2)/m}

    else rows are served in a cycle of :math:`T = m \max(D_1, (h - t_{CCD\_L})/(1 - m a t_{CCD\_L}))`, of which a
    request waits the part K_c, plus half a batch; an overloaded bank's backlog is bounded by what its visits bring:

    .. math:: W = \min\big(K_c T + t_{CCD\_L}(k-1)/2,\ \max(t_{open} + (m D_n - n/a)/2,\ K_c m D_1)\big) - t_{open}

    Symbols: n [1], a [1/clock], m [1], t_open, h, D_1, D_n, tCCD_L [clock]. Returns [clock].

    Validity: m >= 2. Known error: see `pimmodel.dram.service`. Source: superposed periodic arrivals below, polling
    above saturation; K_q, K_p, K_c fitted (module docstring).
    """
    load = sharers * visit_rate
    rho = load * row_time
    keeps_up = row_time * (sharers - 1) / sharers * K_QUEUE * rho / (1 - K_QUEUE_POLE * rho * (sharers - 2) / sharers)
    free = sp.Max(1 - load * tCCD_L, sp.Rational(1, 1000))
    cycle = sharers * sp.Max(row_time, (switch_row - tCCD_L) / free)
    batch = sp.Max(1, visit_rate * cycle)
    bound = sp.Max(opening + (sharers * visit_time - columns / visit_rate) / 2, K_CYCLE * sharers * row_time)
    overloaded = sp.Min(K_CYCLE * cycle + tCCD_L * (batch - 1) / 2, bound) - opening
    return sp.Piecewise((keeps_up, rho < 1), (sp.Max(overloaded, 0), True))


@formula
def slot_wait(activates: Any, activate_gap: Any) -> Any:
    r"""Requests that wait for the activate slots of an open queue: M/D/1.

    .. math:: L = \frac{(A\,T_{act})^2}{2 (1 - A\,T_{act})}

    Symbols: A activates per clock [1/clock], T_act clocks per activate [clock]. Returns [1].

    Validity: A T_act < 1; requests come whatever waits. Known error: see `service.open_loop_latency`. Source:
    Pollaczek-Khinchine.
    """
    load = activates * activate_gap
    return load**2 / (2 * (1 - load))


@formula
def slot_limited(interval: Any, slot_interval: Any, bank_share: Any) -> Any:
    r"""Clocks per request of a stream that banks and bus would serve in T, when the activate slots are one more server.

    .. math:: T' = \big(\max(T, T_s)^K + \beta \min(T, T_s)^K\big)^{1/K}

    Symbols: T [clock], T_s clocks per request that its activates take [clock], beta part in which banks, not the bus,
    make T: bus and slots are both regular, and the longer one decides alone [1]. Returns [clock].

    Validity: any. Known error: not measured apart, see `pimmodel.dram.service`. Source: asymptotic bounds of closed
    queueing networks (Denning and Buzen 1978), rounded off between a random and a regular limit; K chosen among 8, 10,
    12, 14, 16.
    """
    longer, shorter = sp.Max(interval, slot_interval), sp.Min(interval, slot_interval)
    return (longer**K_SLOTS + bank_share * shorter**K_SLOTS) ** (sp.Integer(1) / K_SLOTS)


@formula
def bank_and_bus(bank: Any, column_gap: Any) -> Any:
    r"""Clocks per request of banks that would serve mu_b and a bus: :math:`T = (\mu_b^{-K} + t_{col}^K)^{1/K}`.

    Symbols: mu_b requests per clock that the banks serve [1/clock], t_col clocks per column of the bus [clock].
    Returns [clock].

    Validity: any. Known error: not measured apart, see `pimmodel.dram.service`. Source: as `slot_limited`.
    """
    return (bank**-K_SLOTS + column_gap**K_SLOTS) ** (sp.Integer(1) / K_SLOTS)


@formula
def bus_share(bank: Any, column_gap: Any) -> Any:
    r"""Part of `bank_and_bus` that the bus makes: :math:`t_{col}^K / (\mu_b^{-K} + t_{col}^K)`.

    Symbols: mu_b requests per clock that the banks serve [1/clock], t_col clocks per column of the bus [clock].
    Returns [1].

    Validity: any. Known error: none beyond that of `bank_and_bus`. Source: its two terms.
    """
    return column_gap**K_SLOTS / (bank**-K_SLOTS + column_gap**K_SLOTS)


@formula
def bus_wait(service: Any, column_gap: Any) -> Any:
    r"""Requests waiting for the column bus: :math:`L = \frac{K (\mu t_{col})^2}{2 (1 - \mu t_{col})}`.

    Symbols: mu [1/clock], t_col clocks per column [clock]. Returns [1].

    Validity: mu t_col < 1, one direction. Known error: not measured apart, see `pimmodel.dram.service`.
    Source: Pollaczek-Khinchine; K for the burstiness of row hits (fitted).
    """
    load = service * column_gap
    return K_BUS * load**2 / (2 * (1 - load))
