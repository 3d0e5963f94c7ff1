"""Service rate of short queues: against a slow twin, the simulator, and limits."""

from __future__ import annotations

import csv
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimmodel.dram.queueing import own_opening_wait
from pimmodel.dram.rows import activate_interval, backlogged_interval, row_cycle
from pimmodel.dram.service import open_loop_latency, refreshed, row_times, service_curve, sustained_rate
from pimmodel.hardware.load import load_memory
from pimmodel.scenario import HostQueue, HostStream, PimKernel, PimOperand, PimPass, Policy, Scenario

MEMORY = load_memory("hbm2-ramulator")


def stream(n: int = 16, substreams: int = 16, spread: int = 1, share: float = 0.0) -> HostStream:
    return HostStream(rate=0.1, substreams=substreams, spread=spread, columns=n, write_share=share)


def test_row_limits_by_hand() -> None:
    timing = {"tCCD_L": 4, "tRCD": 14, "tail": 5, "tRP": 14, "tRC": 48}
    assert row_cycle(columns=1, **timing) == 48  # tRC; 14 + 5 + 14 = 33 is shorter
    assert row_cycle(columns=16, **timing) == 93  # 14 + 15 x 4 + 5 + 14
    assert activate_interval(tRRD=4, tFAW=15) == 4
    assert activate_interval(tRRD=4, tFAW=30) == 7.5
    # Row conflicts on two banks: 48 / 2 = 24 clocks per request; on 16 banks the activates limit: 4.
    more = timing | {"tRRD": 4, "tFAW": 15, "column_gap": 2, "columns": 1}
    assert backlogged_interval(banks=2, **more) == 24
    assert backlogged_interval(banks=16, **more) == 4


@settings(deadline=None)
@given(st.integers(1, 64), st.floats(0.005, 0.5), st.integers(10, 60))
def test_own_opening_wait_is_the_mean_over_a_visit(n: int, rate: float, opening: int) -> None:
    """Slow twin: request i arrives at i / a and is served at the later of that and opening + 4 i."""
    waits = [max(0.0, opening + 4 * i - i / rate) for i in range(n)]
    got = float(own_opening_wait(columns=float(n), visit_rate=rate, opening=float(opening), tCCD_L=4.0))
    # N is not rounded to whole requests: the sum is a parabola in N of curvature g, so at most g / 8 of it is missed.
    missed = max(0.0, 1 / rate - 4) / 8 / n
    assert sum(waits) / n - missed - 1e-6 <= got <= sum(waits) / n + 1e-6


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 16), st.floats(0, 1))
def test_curve_rises_and_stays_below_its_limits(n: int, substreams: int, spread: int, share: float) -> None:
    one = stream(n, substreams, spread, share)
    curve = service_curve(MEMORY.timing, MEMORY.organisation, one, 64)
    assert curve.rate[0] == 0
    assert (np.diff(curve.rate) >= -1e-9).all()
    times = row_times(MEMORY.timing, one)
    assert curve.rate[-1] <= min(0.5, n / times.activate_gap) + 1e-9
    # One request at a time cannot be served faster than one column per clock pair, nor slower than a row cycle each.
    assert 1 / (times.row_time + times.opening + times.turnaround) < curve.rate[1]


def test_refresh_takes_its_share() -> None:
    # All-bank: (260 + 60) / 3900 = 8.2 % of the time.
    assert refreshed(MEMORY.timing, "all-bank", 16, 60) == pytest.approx(1 - 320 / 3900)
    assert refreshed(MEMORY.timing, "off", 16, 60) == 1


@pytest.mark.parametrize(
    ("n", "substreams", "queued", "tolerance"),
    [(1, 16, 4, 0.06), (1, 16, 16, 0.06), (16, 16, 4, 0.06), (16, 16, 32, 0.06), (16, 4, 8, 0.12), (64, 32, 8, 0.10)],
)
def test_curve_against_the_simulator(n: int, substreams: int, queued: int, tolerance: float) -> None:
    pytest.importorskip("numba", reason="the reference simulator needs numba")
    from pimmodel.validation.simulator.simulate import service_rate

    scenario = Scenario(
        timing=MEMORY.timing,
        organisation=MEMORY.organisation,
        stream=stream(n, substreams),
        queue=HostQueue(capacity=queued, window=queued),
        kernel=PimKernel(passes=(PimPass(operands=(PimOperand(),)),), cadence=4, columns_per_row=32),
        policy=Policy(kind="gpu-only"),
    )
    simulated = service_rate(scenario, queued, cycles=400_000)
    curve = service_curve(MEMORY.timing, MEMORY.organisation, stream(n, substreams), queued)
    assert curve.rate[queued] == pytest.approx(simulated, rel=tolerance)


def test_a_longer_window_serves_no_less() -> None:
    rates = [sustained_rate(MEMORY.timing, MEMORY.organisation, stream(4, 16), w) for w in (8, 16, 32, 64, 128)]
    assert rates == sorted(rates)


@pytest.mark.parametrize(("refresh", "below", "above"), [("off", 0.02, 0.07), ("on", 0.17, 0.07)])
def test_latency_against_public_simulators(refresh: str, below: float, above: float) -> None:
    """Uniform random reads, evenly spaced: latencies printed by Ramulator 2.1 and DRAMsim3, none of them fitted to."""
    table = files("pimmodel.validation") / "tables/dram/random_load.csv"
    compared = 0
    for row in csv.DictReader(table.read_text().splitlines()):
        gap = float(row["mean_gap_cycles"])
        wanted = {"dram_config": "hbm2_2000", "refresh": refresh, "window": "unbounded", "arrival": "deterministic"}
        if {name: row[name] for name in wanted} != wanted or float(row["write_frac"]) or gap < 5:
            continue
        reads = HostStream(rate=1 / gap, substreams=16, spread=1, columns=1, write_share=0)
        mode = "all-bank" if refresh == "on" else "off"
        latency = open_loop_latency(MEMORY.timing, MEMORY.organisation, reads, mode)
        simulated = float(row["avg_latency_from_arrival_cycles"])
        assert 1 - below <= latency / simulated <= 1 + above, row
        compared += 1
    assert compared >= 24
    assert open_loop_latency(MEMORY.timing, MEMORY.organisation, reads.model_copy(update={"rate": 0.5})) == float("inf")
