"""Closed forms of chains: by hand, equal to the event-driven schedule, and what finer chunks do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from schedule_cases import One, scheduled

from pimmodel.schedule.chain import chain_times
from pimmodel.schedule.rates import PairRate, same_rates
from pimmodel.schedule.result import Schedule

seconds = st.floats(1e-3, 1e3)
share = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(1e-3, 1))
rates = st.tuples(share, share).filter(lambda pair: sum(pair) > 0)
counts = st.integers(1, 16)


def chain(host: float, pim: list[float], later: float, chunks: int, first: tuple[float, float],
          second: tuple[float, float]) -> Schedule:  # fmt: skip
    """Producer, PIM tasks one behind the other, and host work that does not wait for them."""
    tasks = [One("conv", "H", host)]
    for number, time in enumerate(pim):
        tasks.append(One(f"p{number}", "P", time, tasks[-1].name))
    if later:
        tasks.append(One("later", "H", later, "conv!"))
    pairs = {0: PairRate(*first), len(tasks) - 1: PairRate(*second)}
    return scheduled(tasks, lambda host_task, pim_task: pairs[host_task], chunks=chunks)


# ---------------------------------------------------------------------- by hand


def test_a_pim_that_keeps_up() -> None:
    # 8 s in 4 chunks: 2 s, then 3 times 2 s + (1 - 0.5) x the 2 s that the PIM takes for 1 s of work at rate 0.5 = 3 s.
    # At 11 s one chunk of the PIM's is left: 1 s.
    times = chain_times(8, 4, 4, (0.5, 0.5))
    assert (times.fill, times.steady, times.drain, times.makespan) == (2, 9, 1, 12)


def test_a_pim_that_falls_behind() -> None:
    # 4 s in 4 chunks; 8 s of PIM work, 2 s per chunk. Both always run, at 0.5 and 0.25: chunks of 2 s after the first
    # second, so conv ends at 7, and the PIM has done 6 x 0.25 = 1.5 of 8.
    times = chain_times(4, 8, 4, (0.5, 0.25))
    assert (times.fill, times.steady, times.drain) == (1, 6, 6.5)


def test_the_drain_runs_under_later_work() -> None:
    # 1 chunk each: conv 0..2; then 6 s of PIM work at rate 1/2 under 3 s of DW at rate 3/4: DW takes 4 s, in which the
    # PIM does 2; its last 4 s alone.
    times = chain_times(2, 6, 1, (1, 1), later_work=3, later_rates=(0.75, 0.5))
    assert (times.fill, times.steady, times.drain) == (2, 0, 8)
    # And 1 s of PIM work takes 2 s, in which DW does 1.5 of its 3 s; the other 1.5 s alone.
    assert chain_times(2, 1, 1, (1, 1), later_work=3, later_rates=(0.75, 0.5)).drain == 3.5


def test_sides_that_stand_still() -> None:
    assert chain_times(8, 4, 4, (1, 0)).makespan == 12  # the PIM waits for conv's end
    assert chain_times(8, 4, 4, (0, 1)).makespan == 12  # conv waits for every chunk of the PIM's
    assert chain_times(8, 4, 4, (0, 1)).drain == 1


# ---------------------------------------------------------------------- event-driven twin


@settings(max_examples=300)
@given(seconds, st.lists(seconds, min_size=1, max_size=3), st.one_of(st.just(0.0), seconds), counts, rates, rates)
def test_agrees_with_the_event_driven_schedule(
    host: float, pim: list[float], later: float, chunks: int, first: tuple[float, float], second: tuple[float, float]
) -> None:
    result = chain(host, pim, later, chunks, first, second)
    times = chain_times(host, sum(pim), chunks, first, later, second)
    assert times.makespan == pytest.approx(result.makespan, rel=1e-9)
    assert times.fill == pytest.approx(result.chunk_end[0], rel=1e-9)
    assert times.fill + times.steady == pytest.approx(result.end[0], rel=1e-9)


@given(seconds, seconds, counts, rates)
def test_serial_policy_is_the_sum(host: float, pim: float, chunks: int, later: tuple[float, float]) -> None:
    assert chain_times(host, pim, chunks, (1, 0)).makespan == pytest.approx(host + pim, rel=1e-12)


@given(seconds, seconds)
def test_chunks_without_end_overlap_perfectly(host: float, pim: float) -> None:
    assert chain_times(host, pim, 10**9, (1, 1)).makespan == pytest.approx(max(host, pim), rel=1e-6)
    assert chain_times(host, pim, 1, (1, 1)).makespan == pytest.approx(host + pim, rel=1e-12)


@given(seconds, seconds, st.integers(1, 100), rates)
def test_finer_chunks_never_hurt_where_sharing_pays(
    host: float, pim: float, chunks: int, pair: tuple[float, float]
) -> None:
    """T(c) = A + B / c with B >= 0 exactly where r + rho >= 1: below, sharing loses and chunks only spread the loss."""
    coarse, fine = (chain_times(host, pim, one, pair).makespan for one in (chunks, chunks + 1))
    assume(abs(sum(pair) - 1) > 1e-6)
    if sum(pair) > 1:
        assert fine <= coarse * (1 + 1e-12)
    else:
        assert fine >= coarse * (1 - 1e-12)


@given(st.lists(st.tuples(seconds, seconds), min_size=1, max_size=4), counts, st.floats(0.5, 1))
def test_a_chain_of_layers_adds_up(layers: list[tuple[float, float]], chunks: int, rate: float) -> None:
    """CONV, its PIM task, the next CONV that needs all of it, and so on."""
    tasks: list[One] = []
    for number, (host, pim) in enumerate(layers):
        tasks.append(One(f"conv{number}", "H", host, f"bn{number - 1}!" if number else ""))
        tasks.append(One(f"bn{number}", "P", pim, f"conv{number}"))
    host, pim = np.array(layers).T
    for order in ("serial", "rearranged"):  # all of it is forward
        result = scheduled(tasks, same_rates(rate, rate), chunks=chunks, order=order)
        assert result.makespan == pytest.approx(chain_times(host, pim, chunks, (rate, rate)).makespan.sum(), rel=1e-9)


def test_a_grid_is_one_call() -> None:
    chunks, pim_rate = np.meshgrid([1, 2, 4], [0.25, 0.5])
    grid = chain_times(8.0, 4.0, chunks, (0.75, pim_rate))
    assert grid.makespan.shape == (2, 3)
    assert grid.makespan[1, 2] == pytest.approx(chain_times(8.0, 4.0, 4, (0.75, 0.5)).makespan)
