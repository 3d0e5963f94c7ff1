"""A single sub-stream: stalls by hand, limits, and against the simulator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pimmodel.validation.simulator.simulate import backlogged, service_rate

from pimmodel.dram.service import service_curve, sustained_rate
from pimmodel.dram.single import opening_stall, overlap_stall, overlaps, single_rate, single_stream_interval
from pimmodel.hardware.load import load_memory
from pimmodel.scenario import HostQueue, HostStream, PimKernel, PimOperand, PimPass, Policy, Scenario

MEMORY = load_memory("hbm2-ramulator")


def stream(n: int, spread: int, share: float = 0.0) -> HostStream:
    return HostStream(rate=0.1, substreams=1, spread=spread, columns=n, write_share=share)


def test_stalls_by_hand() -> None:
    one = {"wide": 1.0, "column_gap": 4.0, "opening": 28.0}
    # 5 queued: the row is wanted 5 x 4 clocks before its column could issue, 28 + 1 - 20 = 9 too few.
    assert opening_stall(queued=5.0, data_latency=0.0, **one) == 9
    # A window of 5 whose data come 16 clocks after their columns: 25.
    assert opening_stall(queued=5.0, data_latency=16.0, **one) == 25
    # 4 of 6 banks in both visits, 8 places, 20 columns: the other two serve 2 x 8/4 = 4 columns: 33 - 2 - 4 x 2.
    assert overlap_stall(columns=20.0, wide=6.0, queued=8.0, column_gap=2.0, switch_row=33.0, overlap=4.0) == 23


def test_interval_by_hand() -> None:
    one = {"columns": 29.0, "wide": 1.0, "column_gap": 4.0, "turnaround": 15.0, "activate_gap": 4.0}
    assert single_stream_interval(stall=9.0, changes=0.0, **one) == pytest.approx((116 + 9) / 29)
    # Nothing to wait for, but every second visit turns the bus, 15 - 4 = 11 clocks more.
    assert single_stream_interval(stall=0.0, changes=0.5, **one) == pytest.approx((116 + 5.5) / 29)
    # Visits of one column in 8 banks: 8 activates of 4 clocks take longer than 8 columns of 2.
    short = one | {"columns": 1.0, "wide": 8.0, "column_gap": 2.0}
    assert single_stream_interval(stall=0.0, changes=0.0, **short) == pytest.approx(4)


@given(st.integers(1, 16), st.integers(16, 32))
def test_places_of_a_visit(spread: int, banks: int) -> None:
    found = overlaps(spread, banks)
    assert sum(found.values()) == banks
    assert sum(common * places for common, places in found.items()) == spread * spread  # each pair of banks once


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 64), st.integers(1, 16), st.floats(0, 1), st.sampled_from([0.0, 16.0]))
def test_a_longer_queue_is_served_no_slower(n: int, spread: int, share: float, data: float) -> None:
    rate = single_rate(
        MEMORY.timing, stream(n, spread, share), 28.0, 60.0, 15.0, 4.0, 16, spread, np.arange(1.0, 65.0), data
    )  # fmt: skip
    assert (np.diff(rate) >= -1e-12).all()
    assert rate[0] > 0
    assert rate[-1] <= 0.5


@pytest.mark.parametrize(
    ("n", "spread", "queued"), [(29, 1, 1), (29, 1, 5), (45, 9, 3), (12, 4, 2), (20, 2, 1), (60, 16, 8)]
)
def test_short_queue_against_the_simulator(n: int, spread: int, queued: int) -> None:
    """Within 8 %: the stated p90 is 9 %."""
    one = stream(n, spread)
    scenario = Scenario(
        timing=MEMORY.timing,
        organisation=MEMORY.organisation,
        stream=one,
        queue=HostQueue(capacity=64, window=64),
        kernel=PimKernel(passes=(PimPass(operands=(PimOperand(),)),), cadence=4, columns_per_row=32),
        policy=Policy(kind="gpu-only"),
    )
    simulated = service_rate(scenario, queued, cycles=100_000, warmup=10_000)
    formula = service_curve(MEMORY.timing, MEMORY.organisation, one, 64).rate[queued]
    assert formula == pytest.approx(simulated, rel=0.08)


@pytest.mark.parametrize(("n", "spread", "window"), [(47, 1, 8), (10, 1, 8), (24, 4, 15), (28, 6, 26), (35, 9, 17)])
def test_window_against_the_simulator(n: int, spread: int, window: int) -> None:
    """Within 6 %, where the mean number of data in flight (in place of those after a stall) is up to 20 % off."""
    one, parts = stream(n, spread), (MEMORY.timing, MEMORY.organisation)
    simulated = backlogged(*parts, one, HostQueue(capacity=window, window=window), cycles=100_000)
    assert sustained_rate(*parts, one, window) == pytest.approx(simulated, rel=0.06)
