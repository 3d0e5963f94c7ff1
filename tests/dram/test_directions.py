"""Batches of one direction, and a single sub-stream's short queue: by hand, in limits, and against the simulator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pimmodel.validation.simulator.simulate import service_rate

from pimmodel.dram.directions import changes_per_column, mixed_interval, rows_at_hand
from pimmodel.dram.queueing import single_stream_interval
from pimmodel.dram.service import row_times, service_curve
from pimmodel.hardware.load import load_memory
from pimmodel.scenario import HostQueue, HostStream, PimKernel, PimOperand, PimPass, Policy, Scenario

MEMORY = load_memory("hbm2-ramulator")


def stream(n: int, substreams: int, spread: int, share: float) -> HostStream:
    return HostStream(rate=0.1, substreams=substreams, spread=spread, columns=n, write_share=share)


def changes(one: HostStream, queued: list[float], per_row: float = 1.0) -> np.ndarray:
    times = row_times(MEMORY.timing, one)
    q = np.array(queued)
    return changes_per_column(MEMORY.timing, one, q, np.full_like(q, per_row), times.activate_gap, times.row_time,
                              times.switch_row, 16)  # fmt: skip


def simulated(one: HostStream, queued: int) -> float:
    """mu(q) of the reference simulator."""
    scenario = Scenario(
        timing=MEMORY.timing,
        organisation=MEMORY.organisation,
        stream=one,
        queue=HostQueue(capacity=64, window=64),
        kernel=PimKernel(passes=(PimPass(operands=(PimOperand(),)),), cadence=4, columns_per_row=32),
        policy=Policy(kind="gpu-only"),
    )
    return service_rate(scenario, queued, cycles=100_000, warmup=10_000)


def test_cost_of_changes_by_hand() -> None:
    # 0.1 changes of 15 clocks per column: 2 + 0.1 x 13 = 3.3 clocks on the bus. If the bus is all that limits, so it
    # is; a stream of 4 clocks per request waits sqrt(16 - 4 + 10.89) = 4.784 clocks.
    bus = {"column_gap": 2.0, "changes": 0.1, "turnaround": 15.0}
    assert mixed_interval(pure=2.0, **bus) == pytest.approx(3.3)
    assert mixed_interval(pure=4.0, **bus) == pytest.approx(4.784, abs=1e-3)
    assert mixed_interval(pure=4.0, column_gap=2.0, changes=0.0, turnaround=15.0) == pytest.approx(4.0)


def test_one_request_at_a_time_keeps_the_order_of_arrival() -> None:
    # Visits of one column with directions drawn anew: a change with probability 2 w (1 - w), nearly (64 sub-streams).
    for share in (0.2, 0.5, 0.9):
        assert changes(stream(1, 64, 1, share), [1.0])[0] == pytest.approx(2 * share * (1 - share), rel=0.01)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 16), st.floats(0, 1), st.integers(1, 200))
def test_never_more_changes_than_in_order_of_arrival(
    n: int, substreams: int, spread: int, share: float, queued: int
) -> None:
    one = stream(n, substreams, spread, share)
    arrival = 2 * share * (1 - share) * (1 - (1 - 1 / (n * spread)) / substreams)
    assert 0 <= changes(one, [float(queued)])[0] <= arrival + 1e-5


def test_a_longer_queue_changes_direction_less_often() -> None:
    assert (np.diff(changes(stream(1, 64, 1, 0.5), [1.0, 8.0, 16.0, 32.0, 64.0])) < 0).all()


def test_rows_at_hand_by_hand() -> None:
    # 32 requests of 16 sub-streams with a row each in one bank: 2 each, the second in the same row 3 times of 4: 1.25
    # rows each, 20 in all, on 16 banks: 16 (1 - (15/16)^20) = 11.60 with work.
    at_hand, wide, rows = rows_at_hand(stream(4, 16, 1, 0.0), 16, np.array([32.0]))
    assert (wide[0], rows[0]) == (1, 20)
    assert at_hand[0] == pytest.approx(11.60, abs=0.01)


def test_single_stream_by_hand() -> None:
    one = {"columns": 29.0, "wide": 1.0, "column_gap": 4.0, "opening": 28.0, "turnaround": 15.0, "activate_gap": 4.0}
    # 5 queued: the row is wanted 5 x 4 clocks before its column could issue, 28 + 1 - 20 = 9 too few: (116 + 9) / 29.
    assert single_stream_interval(queued=5.0, changes=0.0, **one) == pytest.approx(125 / 29)
    # 8 queued hide it, but every second visit turns the bus, 15 - 4 = 11 clocks more.
    assert single_stream_interval(queued=8.0, changes=0.5, **one) == pytest.approx((116 + 5.5) / 29)


@pytest.mark.parametrize(
    ("n", "spread", "queued"), [(29, 1, 1), (29, 1, 5), (45, 9, 3), (12, 4, 2), (20, 2, 1), (60, 16, 8)]
)
def test_single_stream_against_the_simulator(n: int, spread: int, queued: int) -> None:
    """Within 8 %: the stated p90 is 10 %."""
    one = stream(n, 1, spread, 0.0)
    formula = service_curve(MEMORY.timing, MEMORY.organisation, one, 64).rate[queued]
    assert formula == pytest.approx(simulated(one, queued), rel=0.08)


@pytest.mark.parametrize(("n", "share", "queued"), [(1, 0.5, 32), (1, 0.3, 64), (4, 0.5, 32), (16, 0.5, 64)])
def test_mixed_directions_against_the_simulator(n: int, share: float, queued: int) -> None:
    """Within 20 %: about the stated p95."""
    one = stream(n, 16, 1, share)
    formula = service_curve(MEMORY.timing, MEMORY.organisation, one, 64).rate[queued]
    assert formula == pytest.approx(simulated(one, queued), rel=0.2)
