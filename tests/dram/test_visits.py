"""Row visits as jobs of the banks: by hand, in limits, against a slow twin, and against the simulator."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pimmodel.validation.simulator.simulate import backlogged

from pimmodel.dram.service import sustained_rate
from pimmodel.dram.visits import (
    alone_share,
    bank_rate,
    binomial,
    busy_banks,
    jobs_queued,
    openings_per_request,
    openings_per_visit,
)
from pimmodel.hardware.load import load_memory
from pimmodel.scenario import HostQueue, HostStream

MEMORY = load_memory("hbm2-ramulator")


def stream(n: int, substreams: int, spread: int, share: float = 0.0) -> HostStream:
    return HostStream(rate=0.1, substreams=substreams, spread=spread, columns=n, write_share=share)


def test_busy_banks_in_limits() -> None:
    assert busy_banks(jobs=1.0, banks=16.0) == pytest.approx(1.0, abs=0.02)  # one job, one bank
    assert busy_banks(jobs=1e5, banks=16.0) == pytest.approx(16.0, abs=0.01)  # all are busy
    # K = B = 16: 31.5 - sqrt(31.5^2 - 512) = 31.5 - 21.915 = 9.585.
    assert busy_banks(jobs=16.0, banks=16.0) == pytest.approx(9.585, abs=0.001)


@pytest.mark.parametrize(("jobs", "banks"), [(4, 16), (16, 16), (40, 16), (6, 4)])
def test_busy_banks_against_a_slow_twin(jobs: int, banks: int) -> None:
    """Jobs of one unit of time, each then sent to a random bank: played 20 000 times; the source states 1 %."""
    rng = random.Random(5)
    waiting, busy = [0] * banks, 0
    for _ in range(jobs):
        waiting[rng.randrange(banks)] += 1
    for _ in range(20_000):
        served = [bank for bank in range(banks) if waiting[bank]]
        busy += len(served)
        for bank in served:
            waiting[bank] -= 1
        for _ in served:
            waiting[rng.randrange(banks)] += 1
    assert busy_banks(jobs=float(jobs), banks=float(banks)) == pytest.approx(busy / 20_000, rel=0.03)


@given(st.floats(1, 300), st.integers(4, 64), st.floats(1, 64), st.floats(20, 400), st.floats(0, 0.9))
def test_bank_rate_is_the_root(jobs: float, banks: int, columns: float, cycle: float, left: float) -> None:
    """y banks are busy with the K jobs that wait and the y r that recover."""
    rate = bank_rate(jobs=jobs, banks=float(banks), visit_columns=columns, row_cycle_time=cycle, recovery=left * cycle)
    busy = rate * cycle / columns
    assert 0 < busy <= banks + 1e-9
    assert busy == pytest.approx(float(busy_banks(jobs=jobs + busy * left, banks=float(banks))), rel=1e-6)


def test_openings_by_hand() -> None:
    # Two requests gathered per row: cycles bring 4; 29 columns meet 1 + 28/4 = 8 of them.
    assert openings_per_visit(columns=29.0, row_backlog=2.0) == pytest.approx(8)
    # One: as regular as the requests are, each opening serves two; the last of an odd number stays alone.
    assert openings_per_visit(columns=6.0, row_backlog=1.0) == 3
    assert openings_per_visit(columns=5.0, row_backlog=1.0) == 3
    # 3 of 4 are there: cycles bring 6; 1 + 3/6 x 1/(0.7 x 4) = 1.18.
    assert openings_per_visit(columns=4.0, row_backlog=3.0) == pytest.approx(1.18, abs=0.01)
    assert openings_per_visit(columns=29.0, row_backlog=0.5) == 29  # each request finds its row closed
    assert openings_per_visit(columns=4.0, row_backlog=5.0) == 1  # whole visits


@settings(deadline=None)
@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 16))
def test_openings_fall_with_the_backlog(n: int, substreams: int, spread: int) -> None:
    got = openings_per_request(stream(n, substreams, spread), 16, spread, np.geomspace(1, 5000, 60))
    assert (np.diff(got) <= 1e-9).all()
    assert (got >= 1 / n - 1e-9).all()
    assert (got <= 1 + 1e-9).all()


def test_shares_and_jobs_by_hand() -> None:
    assert alone_share(stream(4, 3, 4), 16, 4) == pytest.approx(0.75**2)  # two others miss the bank with 12/16 each
    # 9 requests of visits of 4 columns in 2 banks: 2 rows and 8 more requests fill 2 further ones.
    assert jobs_queued(stream(4, 3, 2), 2, np.array([1.0, 9.0])).tolist() == [1.0, 4.0]
    assert binomial(2, 0.25) == pytest.approx([0.5625, 0.375, 0.0625])
    assert binomial(3, 1.0) == pytest.approx([0, 0, 0, 1])


@pytest.mark.parametrize(
    ("n", "substreams", "spread", "window", "share"),
    [(1, 7, 9, 116, 1.0), (4, 4, 1, 35, 0.0), (3, 4, 3, 106, 0.0), (9, 2, 1, 86, 0.0), (2, 5, 1, 51, 1.0)],
)
def test_whole_visits_against_the_simulator(n: int, substreams: int, spread: int, window: int, share: float) -> None:
    """Within 6 %: the p95 of such streams, for which nothing is fitted."""
    one, parts = stream(n, substreams, spread, share), (MEMORY.timing, MEMORY.organisation)
    simulated = backlogged(*parts, one, HostQueue(capacity=window, window=window), cycles=200_000)
    assert sustained_rate(*parts, one, window) == pytest.approx(simulated, rel=0.06)
