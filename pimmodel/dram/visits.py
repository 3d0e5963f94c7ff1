r"""Row visits as jobs of the banks: what a queue long enough to hold whole visits can be served.

A queue of q consecutive requests holds about b + (q - 1)/n rows. Each is one job: its bank opens the row, serves the
columns that wait, and recovers. Visits choose their banks at random, so that some banks have several jobs and others
none; how many of B banks are busy with K jobs is the classic problem of memory interference (`busy_banks`). A job
leaves the queue with its last column, but its bank is free only when it has recovered, so jobs that recover count too
(`bank_rate`). Nothing in that is fitted; bandwidth of one direction
comes out within 0.7 % (median), p95 6 %, worst 15 % (456 streams of the domain, `pimmodel.dram.service`).

Where the queue holds only parts of visits, rows are opened several times (`openings_per_visit`): sub-streams that share
a bank close each other's rows, and a row that is opened serves what has gathered since it was closed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimmodel.formula import formula, sp
from pimmodel.hardware.memory import MemoryTiming
from pimmodel.scenario import HostStream

Floats = NDArray[np.float64]
LONE_BACKLOG = 0.75  # requests gathered per row below which each opening still serves one
PARTED = 0.7  # parts of a visit that have to be missing before all of its cycles are met


@formula
def busy_banks(jobs: Any, banks: Any) -> Any:
    r"""Banks that are busy on average when K jobs, each in a random bank, are always there.

    .. math:: B_{busy} = K + B - \tfrac12 - \sqrt{(K + B - \tfrac12)^2 - 2 K B}

    Symbols: K jobs [1], B banks [1]. Returns [1].

    Validity: jobs of constant length; K, B >= 1. Known error: see `bank_rate`. Source: Baskett and Smith,
    Interference in multiprocessor computer systems with interleaved memory, Communications of the ACM 19(6), 1976.
    """
    half = jobs + banks - sp.Rational(1, 2)
    return half - sp.sqrt(half**2 - 2 * jobs * banks)


@formula
def bank_rate(jobs: Any, banks: Any, visit_columns: Any, row_cycle_time: Any, recovery: Any) -> Any:
    r"""Requests per clock that the banks serve while K jobs wait in the queue.

    .. math:: \mu = \frac{c\,y}{D},\qquad y = B_{busy}(K + y\,t_{rec}/D)
              = \frac{2 K B}{\beta + \sqrt{\beta^2 - 2 K B (1 - 2 r)}},\quad
              \beta = K + B (1 - r) - \tfrac12,\quad r = t_{rec}/D

    y banks are busy, of whose jobs the share r recovers and has left the queue: the root of `busy_banks` with
    K + y r jobs. Symbols: K jobs with requests queued [1], B banks [1], c columns per opening [1], D least clocks from
    activate to activate of a bank [clock], t_rec the part of D after the last column [clock]. Returns [1/clock].

    Validity: a queue that holds whole visits, one direction, no refresh; neither bus nor activate slots limit.
    Known error: see `pimmodel.dram.service`. Source: `busy_banks`, solved with the jobs that recover.
    """
    left = recovery / row_cycle_time
    beta = jobs + banks * (1 - left) - sp.Rational(1, 2)
    both = 2 * jobs * banks
    return visit_columns / row_cycle_time * both / (beta + sp.sqrt(beta**2 - both * (1 - 2 * left)))


@formula
def openings_per_visit(columns: Any, row_backlog: Any) -> Any:
    r"""Openings of one row of a visit, when other visits in its bank close it in between.

    .. math:: o = n - (n - \lceil n/2 \rceil)(k - 1)\ (k < 2),\quad \text{else}

    .. math:: o = \min\Big(\lceil n/2 \rceil,\ 1 + \frac{n - 1}{k} \min\big(1, \tfrac{(n - x)^+}{0.7\,n}\big)\Big),

    .. math:: k = \max\big(1, \min(1 + 12 (x - x_0),\ \max(2, 2 x))\big),\quad x_0 = 0.75 + 0.1/(n - 1)

    Banks serve their rows in turn. In a cycle in which k requests come for a row, k/2 wait for it on average, so x
    waiting ones mean k = 2 x, and a visit of n requests meets 1 + (n - 1)/k cycles; fewer where visits are in the queue
    as a whole (x near n). With requests as even as these k is a whole number at first: below x_0 a row that is
    opened finds one request, above it soon two: the visit's first and second, its third and fourth, and so on.

    Symbols: n columns [1], x requests queued per row [1]. Returns [1].

    Validity: at least two visits per bank. Known error: activates per request, median below 1 %, p95 14 %, worst
    71 % (191 streams of the domain that the activate slots limit). Source: cyclic service with even arrivals (as
    `queueing.shared_batch`); the step x_0 and the 0.7 of whole visits were read off such streams. Near the step
    both ways of service keep themselves up: visits of two requests are served at once or apart at the same backlog.
    """
    step = LONE_BACKLOG + sp.Rational(1, 10) / sp.Max(1, columns - 1)
    batch = sp.Max(1, sp.Min(1 + 12 * (row_backlog - step), sp.Max(2, 2 * row_backlog)))
    parts = sp.Max(0, sp.Min(1, (columns - row_backlog) / (PARTED * columns)))
    half = sp.ceiling(columns / 2)
    several = sp.Min(half, 1 + (columns - 1) / batch * parts)
    return sp.Piecewise((columns - (columns - half) * (batch - 1), batch < 2), (several, True))


def alone_share(stream: HostStream, banks: int, spread: int) -> float:
    """Share of rows whose bank no other sub-stream visits: :math:`(1 - b/B)^{S - 1}` [1]."""
    return float((1 - spread / banks) ** (stream.substreams - 1))


def openings_per_request(stream: HostStream, banks: int, spread: int, queued: Floats) -> Floats:
    """Activates per request with q = `queued` requests waiting, when banks are behind with all rows that they share.

    Returns an array of the shape of `queued` [1].
    """
    alone, n = alone_share(stream, banks, spread), float(stream.columns)
    backlog = queued / (stream.substreams * spread * max(1 - alone, 1e-9))
    opened = openings_per_visit(columns=n, row_backlog=np.minimum(backlog, 1e6))
    return np.asarray(alone / n + (1 - alone) * opened / n)


def jobs_queued(stream: HostStream, spread: int, queued: Floats) -> Floats:
    """Rows that q = `queued` consecutive requests lie in, as if all came from one sub-stream: min(q, b + (q - 1)/n).

    Returns an array of the shape of `queued` [1].

    Several sub-streams have more visits begun; but of those only a few requests are there yet, and a bank that opened
    such a row waits for the rest.
    """
    return np.minimum(queued, spread + (queued - 1) / stream.columns)


def deep_bank_rate(
    timing: MemoryTiming, stream: HostStream, row_time: float, switch_row: float, opening: float, banks: int,
    spread: int, queued: Floats, per_request: Floats,
) -> Floats:  # fmt: skip
    """`bank_rate` of a stream.

    Parameters
    ----------
    timing, stream, banks : of the channel
    row_time, switch_row, opening : as the symbols of these names [clock]
    spread : banks of a visit [1]
    queued, per_request : requests that wait, and activates per request there, both of shape (N,) [1]

    Returns
    -------
    array of shape (N,) [1/clock].
    """
    columns = 1 / per_request
    phase = (columns - 1) * timing.tCCD_L
    cycle = np.maximum(row_time, switch_row + phase)
    return np.asarray(
        bank_rate(
            jobs=jobs_queued(stream, spread, queued), banks=float(banks), visit_columns=columns, row_cycle_time=cycle,
            recovery=cycle - opening - phase,
        )
    )  # fmt: skip


def binomial(trials: int, probability: float) -> Floats:
    """Binomial probabilities of 0 .. trials [1]."""
    if probability >= 1:
        return np.asarray(np.eye(trials + 1)[trials])
    weights = np.ones(trials + 1)
    for k in range(1, trials + 1):
        weights[k] = weights[k - 1] * (trials - k + 1) / k * probability / (1 - probability)
    return np.asarray(weights * (1 - probability) ** trials)
