"""What refresh leaves of a channel's time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimmodel.dram.visits import binomial
from pimmodel.formula import formula
from pimmodel.hardware.memory import MemoryTiming
from pimmodel.scenario import HostStream

Floats = NDArray[np.float64]
_STEPS = 12  # of the time in which a bank is away


@formula
def refresh_availability(tRFC: Any, tREFI: Any) -> Any:
    r"""Share of time in which a channel with all-bank refresh can be used.

    .. math:: a = 1 - t_{RFC} / t_{REFI}

    Symbols: tRFC refresh cycle [clock], tREFI refresh interval [clock]. Returns [1].

    Validity: backlogged channel, every refresh issued when due. The re-opening of the rows that a refresh closes is
    not in it.
    Known error: none of the time itself; too high by that re-opening. Source: JESD235C, all-bank refresh.
    """
    return 1 - tRFC / tREFI


def stream_availability(timing: MemoryTiming, refresh: str) -> float:
    """Share of time that a long stream can use; only all-bank refresh stops a whole channel [1]."""
    return float(refresh_availability(tRFC=timing.tRFC, tREFI=timing.tREFI)) if refresh == "all-bank" else 1.0


@formula
def held_activates(slot_load: Any, tRREFD: Any, tREFIpb: Any) -> Any:
    r"""Share of its rate that per-bank refresh leaves to a stream that uses a part of the activate slots.

    .. math:: a = 1 - u^4\,t_{RREFD} / t_{REFIpb}

    No activate for tRREFD after a refresh, of any bank. Symbols: u slot_load, the share of activate slots used [1],
    tRREFD refresh to activate [clock], tREFIpb interval of refreshes [clock]. Returns [1].

    Validity: backlogged channel. Known error: see `per_bank_share`. Source: JESD235C; the power 4, how soon free slots
    make up for it, was chosen among 2, 4 and 8.
    """
    return 1 - slot_load**4 * tRREFD / tREFIpb


def per_bank_share(
    timing: MemoryTiming, stream: HostStream, banks: int, window: int, rate: Floats, outstanding: Floats,
    bus_load: float, slot_load: float,
) -> float:  # fmt: skip
    r"""Share of its rate that per-bank refresh leaves to a backlogged stream [1].

    A bank is away for A = tRP + tRFCpb clocks of every tREFIpb. Meanwhile h requests gather that wait for it, and what
    the others are served is the rate of a window that is shorter by them, until the bank is back or the window full:

    .. math:: \frac{dh}{dt} = \mu(W - h) \begin{cases} m/(S b) & h < m n\\ 1/B & \text{else}\end{cases},\qquad h(0) = 0

    for m of the S sub-streams in the bank, binomial; beyond the n columns of each their visits go on elsewhere. Where
    banks limit, a bank in B is missed too. Activates wait for tRREFD (`held_activates`).

    Parameters
    ----------
    timing, stream, banks : of the channel
    window : most requests outstanding [1]
    rate, outstanding : rate with 0, 1, 2 .. requests queued, and the requests outstanding then, both of shape (N,)
        [1/clock, 1]
    bus_load, slot_load : shares of the bus and of the activate slots that the stream uses without refresh [1]

    Known error of the share: 1.0 % (median), p95 4.6 %, worst 18 %, 256 streams of the domain; worst for a single
    sub-stream, whose visits meet the missing bank one after the other.
    """
    sharers = np.arange(stream.substreams + 1)
    weight = binomial(stream.substreams, min(stream.spread, banks) / banks)
    away = float(timing.tRP + timing.tRFCpb)
    held, served = np.zeros(len(sharers)), np.zeros(len(sharers))
    for _ in range(_STEPS):
        now = np.interp(window - held, outstanding, rate)
        served += now / _STEPS
        within = sharers / (stream.substreams * min(stream.spread, banks))
        held += away / _STEPS * now * np.where(held < sharers * stream.columns, within, 1 / banks)
    full = float(np.interp(window, outstanding, rate))
    bank_limited = 1 - max(bus_load, slot_load) ** 4
    meanwhile = float(weight @ served) / full * (1 - bank_limited / banks)
    part = min(1.0, away / timing.tREFIpb)
    slots = held_activates(slot_load=slot_load, tRREFD=float(timing.tRREFD), tREFIpb=float(timing.tREFIpb))
    return (1 - part + part * meanwhile) * float(slots)
