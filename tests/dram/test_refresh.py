"""What refresh leaves: by hand, in limits, and against the simulator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pimmodel.validation.simulator.simulate import backlogged

from pimmodel.dram.refresh import held_activates, per_bank_share
from pimmodel.dram.service import sustained_rate
from pimmodel.hardware.load import load_memory
from pimmodel.scenario import HostQueue, HostStream

MEMORY = load_memory("hbm2-ramulator")


def stream(n: int, substreams: int, spread: int, share: float = 0.0) -> HostStream:
    return HostStream(rate=0.1, substreams=substreams, spread=spread, columns=n, write_share=share)


def test_activates_by_hand() -> None:
    # A stream that uses all slots loses 8 clocks of 244; one that uses half of them makes up for nearly all.
    assert held_activates(slot_load=1.0, tRREFD=8.0, tREFIpb=244.0) == pytest.approx(1 - 8 / 244)
    assert held_activates(slot_load=0.5, tRREFD=8.0, tREFIpb=244.0) == pytest.approx(1 - 8 / 244 / 16)


def test_a_long_window_hides_a_missing_bank() -> None:
    """Rate all but independent of the queue, bus full: nothing is lost. Banks full: one bank in 16 while it is away."""
    queue = np.arange(0.0, 257.0)
    flat = np.where(queue > 0, 0.5, 0.0)
    share = {"rate": flat, "outstanding": queue, "slot_load": 0.0}
    assert per_bank_share(MEMORY.timing, stream(4, 16, 1), 16, 256, bus_load=1.0, **share) == pytest.approx(1, abs=1e-3)
    # (14 + 160) / 244 of the time, 1/16 of the banks: 1 - 0.713 / 16.
    found = per_bank_share(MEMORY.timing, stream(4, 16, 1), 16, 256, bus_load=0.0, **share)
    assert found == pytest.approx(1 - 174 / 244 / 16, abs=1e-3)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 16), st.integers(8, 256))
def test_per_bank_refresh_takes_no_more_than_all_of_its_time(n: int, substreams: int, spread: int, window: int) -> None:
    parts, one = (MEMORY.timing, MEMORY.organisation), stream(n, substreams, spread)
    without, refreshed = sustained_rate(*parts, one, window), sustained_rate(*parts, one, window, "per-bank")
    assert without * (1 - 174 / 244) * (1 - 8 / 244) <= refreshed <= without * (1 + 1e-9)


@pytest.mark.parametrize(
    ("n", "substreams", "spread", "window"), [(20, 2, 4, 66), (45, 10, 3, 91), (2, 46, 4, 8), (1, 14, 14, 228)]
)
def test_per_bank_refresh_against_the_simulator(n: int, substreams: int, spread: int, window: int) -> None:
    """The share of the rate that is left, within 5 % (about the stated p95)."""
    parts, one, queue = (MEMORY.timing, MEMORY.organisation), stream(n, substreams, spread), HostQueue(
        capacity=window, window=window
    )  # fmt: skip
    simulated = backlogged(*parts, one, queue, "per-bank", cycles=300_000) / backlogged(
        *parts, one, queue, cycles=300_000
    )
    formula = sustained_rate(*parts, one, window, "per-bank") / sustained_rate(*parts, one, window)
    assert formula == pytest.approx(simulated, rel=0.05)
