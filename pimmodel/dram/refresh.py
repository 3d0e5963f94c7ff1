"""What refresh leaves of a channel's time."""

from __future__ import annotations

from typing import Any

from pimmodel.formula import formula
from pimmodel.hardware.memory import MemoryTiming


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
