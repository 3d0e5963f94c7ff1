"""Batches of one direction, and a single sub-stream's short queue: by hand, in limits, and against the simulator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pimmodel.validation.simulator.simulate import service_rate

from pimmodel.dram.directions import (
    changes_per_column,
    direction_gap,
    direction_run,
    idle_slots,
    mixed_interval,
    rows_at_hand,
)
from pimmodel.dram.service import service_curve
from pimmodel.hardware.load import load_memory
from pimmodel.scenario import HostQueue, HostStream, PimKernel, PimOperand, PimPass, Policy, Scenario

MEMORY = load_memory("hbm2-ramulator")


def stream(n: int, substreams: int, spread: int, share: float) -> HostStream:
    return HostStream(rate=0.1, substreams=substreams, spread=spread, columns=n, write_share=share)


def changes(one: HostStream, queued: list[float], per_request: float = 1.0) -> np.ndarray:
    q = np.array(queued)
    return changes_per_column(one, q, np.full_like(q, per_request), 16)


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
    # 0.1 changes of 15 clocks per column: 2 + 0.1 x 13 = 3.3 clocks on the bus, which is all where the bus limits.
    bus = {"column_gap": 2.0, "changes": 0.1, "turnaround": 15.0, "visit_columns": 1.0}
    assert mixed_interval(pure=2.0, **bus) == pytest.approx(3.3)
    # A stream of 4 clocks per request hides part of the 1.3 clocks, and less of them with more columns per row.
    few, many = (float(mixed_interval(pure=4.0, **bus | {"visit_columns": c})) for c in (1.0, 64.0))
    assert 4.0 < few < many < 5.3
    assert mixed_interval(pure=4.0, **bus | {"changes": 0.0}) == pytest.approx(4.0)


def test_run_by_hand() -> None:
    # A row of one column, 16 banks, half of them writes: 2 sqrt(16 / 4) = 4; 1 + 1 / (1/4 + 1/32 + 1/32) = 4.2.
    one = {"visit_columns": 1.0, "at_hand": 16.0, "share": 0.5, "queued": 33.0}
    assert direction_run(order_run=1.0, **one) == pytest.approx(4.2)
    # In order of arrival there are already runs of nine.
    assert direction_run(order_run=9.0, **one) == 9.0


def test_slots_stand_still_in_turns_that_open_many_rows() -> None:
    slots = {"slot_interval": 7.0, "changes": 0.1, "turnaround": 20.0}
    assert idle_slots(interval=100.0, **slots) == pytest.approx(7.0, abs=0.01)  # no row in a turn: all of it is used
    assert idle_slots(interval=1.0, **slots) == pytest.approx(9.0, abs=0.01)  # twenty rows: 0.1 x 20 clocks are lost


def test_gap_of_one_direction_by_hand() -> None:
    # One sub-stream, one row: a column per tCCD_L = 4 clocks. 64 short visits: some row in every group, tCCD_S = 2.
    q = np.array([16.0])
    assert direction_gap(MEMORY.timing, stream(32, 1, 1, 0.5), 4, 16, np.array([1.0]))[0] == pytest.approx(4.0)
    assert direction_gap(MEMORY.timing, stream(1, 64, 1, 0.5), 4, 16, 4 * q)[0] == pytest.approx(2.0, abs=0.1)


def test_one_request_at_a_time_keeps_the_order_of_arrival() -> None:
    # Visits of one column with directions drawn anew: a change with probability 2 w (1 - w).
    for share in (0.2, 0.5, 0.9):
        assert changes(stream(1, 64, 1, share), [1.0])[0] == pytest.approx(2 * share * (1 - share))


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


@pytest.mark.parametrize(("n", "share", "queued"), [(1, 0.5, 32), (1, 0.3, 64), (4, 0.5, 32), (16, 0.5, 64)])
def test_mixed_directions_against_the_simulator(n: int, share: float, queued: int) -> None:
    """Within 20 %: about the stated p95."""
    one = stream(n, 16, 1, share)
    formula = service_curve(MEMORY.timing, MEMORY.organisation, one, 64).rate[queued]
    assert formula == pytest.approx(simulated(one, queued), rel=0.2)
