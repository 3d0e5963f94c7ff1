"""One stage against the fluid schedule's own closed form, and what must hold at its limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimmodel.schedule.chain import chain_times
from pimmodel.stages.envelope import upper_envelope
from pimmodel.stages.formulas import (
    sharing_cost,
    stage_capacity,
    stage_time,
    threshold_value,
    updates_done,
    work_done,
)

seconds = st.floats(1e-4, 10.0)
shares = st.floats(0.05, 1.0)


@given(host=seconds, pim=seconds, chunks=st.integers(1, 16), r=shares, rho=shares)
def test_a_stage_with_nothing_before_it_is_a_chain(host: float, pim: float, chunks: int, r: float, rho: float) -> None:
    capacity = stage_capacity(host_work=host, host_progress=r, pim_progress=rho)
    done = work_done(capacity=capacity, backlog=0.0, pim_work=pim, chunks=chunks)
    cost = sharing_cost(host_progress=r, pim_progress=rho)
    time = stage_time(host_work=host, done=done, filled=0.0, cost=cost, update_cost=0.0)
    chain = chain_times(host, pim, chunks, (r, rho))
    assert time == pytest.approx(chain.fill + chain.steady, rel=1e-9)
    assert time + pim - done == pytest.approx(chain.makespan, rel=1e-9)


def _by_chunks(host: float, backlog: float, arriving: float, chunks: int, r: float, rho: float) -> tuple[float, float]:
    """Time and work done, chunk by chunk: both run until the PIM has nothing left or the host's chunk is complete."""
    clock, waiting, done = 0.0, backlog, 0.0
    for chunk in range(chunks):
        if chunk:
            waiting += arriving / chunks
        together = min(waiting / rho, host / chunks / r)
        clock += together + (host / chunks - r * together)
        waiting -= rho * together
        done += rho * together
    return clock, done


@given(host=seconds, backlog=st.floats(0, 10), pim=seconds, chunks=st.integers(1, 16), r=shares, rho=shares)
def test_backlog_and_arrivals_go_as_chunk_by_chunk(
    host: float, backlog: float, pim: float, chunks: int, r: float, rho: float
) -> None:
    capacity = stage_capacity(host_work=host, host_progress=r, pim_progress=rho)
    done = work_done(capacity=capacity, backlog=backlog, pim_work=pim, chunks=chunks)
    time = stage_time(host_work=host, done=done, filled=0.0, cost=sharing_cost(host_progress=r, pim_progress=rho),
                      update_cost=0.0)  # fmt: skip
    slow_time, slow_done = _by_chunks(host, backlog, pim, chunks, r, rho)
    assert done == pytest.approx(slow_done, rel=1e-9, abs=1e-12)
    assert time == pytest.approx(slow_time, rel=1e-9)


def test_updates_take_what_urgent_work_leaves() -> None:
    # Urgent work fills half of the task's capacity of 4 s, so half of the 6 s of updates that would fit do.
    assert updates_done(capacity=4.0, update_capacity=6.0, done=2.0, updates=10.0) == pytest.approx(3.0)
    assert updates_done(capacity=4.0, update_capacity=6.0, done=2.0, updates=1.0) == pytest.approx(1.0)
    assert updates_done(capacity=4.0, update_capacity=6.0, done=4.0, updates=1.0) == pytest.approx(0.0)


def test_sharing_at_its_limits() -> None:
    assert sharing_cost(host_progress=1.0, pim_progress=0.5) == 0  # the host loses nothing
    assert sharing_cost(host_progress=0.5, pim_progress=0.5) == 1  # as much as in turns
    assert threshold_value(done=3.0, cost=1.0) == 0


@given(
    ramps=st.lists(st.tuples(st.floats(-1, 1), st.floats(0.01, 5)), min_size=1, max_size=40), amount=st.floats(0.001, 6)
)
def test_the_envelope_loses_nothing(ramps: list[tuple[float, float]], amount: float) -> None:
    slope, reach = np.array(ramps).T
    values = slope * np.minimum(reach, amount)
    assert values[upper_envelope(slope, reach)].max() == pytest.approx(values.max(), abs=1e-12)
    if values.max() > 0:
        assert values[upper_envelope(slope, reach, 0.1)].max() >= values.max() / 1.1 - 1e-12
