"""Properties of the simulator on random scenarios."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pimmodel.validation.simulator import Simulator, replay, run_pair, service_rate, simulate
from simulator_cases import BANKS, HBM2, POLICIES, kernel, scenario

from pimmodel.scenario import Policy

KERNELS = [
    kernel("r"),
    kernel("rrw"),
    kernel("rw", "r", registers=8, rows=2),
    kernel("rw", registers=8, placement="same", mode_switch=50),
    kernel("rrw", row_switch="exposed", all_bank_activate=True),
    kernel("r", units=16, cadence=8, row_switch="exposed"),
    kernel("rw", units=2, registers=4, all_bank_activate=True),
]
streams = st.fixed_dictionaries(
    {
        "rate": st.sampled_from([0.003, 0.02, 0.1, 0.2, 0.31, 0.45, 1.0]),
        "substreams": st.sampled_from([1, 3, 16]),
        "spread": st.sampled_from([1, 3, 16]),
        "columns": st.sampled_from([1, 4, 16, 40]),
        "write_share": st.sampled_from([0.0, 0.3, 1.0]),
        "arrival": st.sampled_from(["even", "poisson"]),
        "window": st.sampled_from([2, 24, 64]),
        "capacity": st.sampled_from([3, 32, 64]),
        "starvation_cap": st.sampled_from([2, 16]),
    }
)


def same(one, other):
    """All counts equal (NaN means included)."""
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        np.testing.assert_array_equal(a, b, err_msg=field.name)


@settings(max_examples=150, deadline=None)
@given(
    policy=st.sampled_from(sorted(POLICIES)),
    pim=st.sampled_from(KERNELS),
    refresh=st.sampled_from(["off", "all-bank", "per-bank"]),
    stream=streams,
    seed=st.integers(0, 1000),
)
def test_skipping_idle_clocks_changes_nothing(policy, pim, refresh, stream, seed):
    if policy == "partitioned" and pim.placement == "distinct" and pim.units == 4:
        pim = pim.model_copy(update={"placement": "same"})
    one = scenario(POLICIES[policy], refresh=refresh, pim=pim, **stream)
    runs = [simulate(one, cycles=9000, warmup=1000, seed=seed, skip_idle=skip, trace=True) for skip in (True, False)]
    same(*runs)
    assert runs[0].generated + runs[0].queued_before == runs[0].served + runs[0].queued


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_requests_are_conserved(policy):
    result = simulate(scenario(POLICIES[policy]), cycles=50_000)
    assert result.generated == result.served + result.queued
    assert result.served == result.row_hits + result.row_misses + result.row_conflicts
    assert result.latency_histogram.sum() == result.served


@pytest.mark.parametrize("policy", sorted(set(POLICIES) - {"gpu-only"}))
def test_pair_completes(policy):
    one = scenario(POLICIES[policy], refresh="all-bank")
    pair = run_pair(one, 3000, 2000)
    assert pair.clocks == max(pair.host_clocks, pair.pim_clocks)
    # lower bounds: arrivals at 0.2 per clock, steps at 1/4 per clock
    assert pair.host_clocks > 3000 / 0.2
    assert pair.pim_clocks > 2000 * 4
    if policy == "serial":
        assert pair.pim_clocks > pair.host_clocks


def test_seeds_matter_and_repeat():
    one = scenario(POLICIES["exclusive"])
    a, b, c = (simulate(one, cycles=50_000, seed=seed) for seed in (1, 1, 2))
    same(a, b)
    assert a.row_hits != c.row_hits


def test_deeper_closed_loop_is_not_slower():
    one = scenario(POLICIES["gpu-only"])
    rates = [service_rate(one, q, cycles=200_000) for q in (1, 2, 4, 8, 16, 32, 64)]
    assert all(b > 0.97 * a for a, b in itertools.pairwise(rates))
    assert rates[-1] <= 1 / 2  # tCCD_S


def test_closed_loop_of_one_random_row():
    """One request at a time, each in a fresh row of a random bank.

    The next request may be scheduled the clock after a column: PRE, tRP 14, ACT, tRCD 14, RD: 29 clocks. If it meets
    the bank of the last one (1 in 16), whose row was opened 14 + 1 before, tRAS + tRP = tRC makes it 48.
    """
    one = scenario(POLICIES["gpu-only"], substreams=1, columns=1)
    assert 1 / service_rate(one, 1) == pytest.approx(29 * 15 / 16 + 48 / 16, rel=0.01)


def test_design_example():
    """Another simulator of these rules: theta_low 0 -> 12 lifts the PIM from 1.4 to 38 %, the host loses 7 %."""
    simulator = Simulator(cycles=2_000_000)
    low, high = (
        simulator.rates(scenario(Policy(kind="exclusive", theta_low=theta, theta_high=60))) for theta in (0, 12)
    )
    assert low.pim_rate < 0.02
    assert high.pim_rate == pytest.approx(0.38, abs=0.02)
    assert 1 - high.host_rate / high.host_alone == pytest.approx(0.07, abs=0.01)


def test_replay_in_pieces(monkeypatch):
    """A list longer than the request buffer is fed in pieces; every request is served once."""
    requests = [(3 * i, i % 3 == 0, i % 4, i // 7 % 4, i // 50, i % 32) for i in range(40_000)]
    result = replay(HBM2, BANKS, requests)
    assert result.served == len(requests)
    assert result.writes == sum(bool(r[1]) for r in requests)
