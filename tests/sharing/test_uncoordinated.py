"""Uncoordinated access: cycles and contests by hand, limits, and the simulator's order of magnitude."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimmodel.hardware.load import load_memory
from pimmodel.pim.recurrence import NO_DELAYS
from pimmodel.scenario import HostQueue, HostStream, PimKernel, PimOperand, PimPass, Policy, Scenario
from pimmodel.sharing.contest import ROUNDS, Contest, losses_between_steps, regain_time, waiting
from pimmodel.sharing.model import ClosedForm, pair_time
from pimmodel.sharing.uncoordinated import cycles_of, uncoordinated

MEMORY = load_memory("hbm2-ramulator")


def scenario(operands: str = "r", *, rate: float = 0.1, columns: int = 1, **kernel: object) -> Scenario:
    """Reads of single columns by default, and a kernel of one pass with exposed rows in bank 0 of four units."""
    made = tuple(PimOperand(write=letter == "w") for letter in operands)
    settings = {"passes": (PimPass(operands=made),), "cadence": 4, "columns_per_row": 32, "row_switch": "exposed"}
    return Scenario(
        timing=MEMORY.timing,
        organisation=MEMORY.organisation,
        stream=HostStream(rate=rate, substreams=16, spread=1, columns=columns, write_share=0.0),
        queue=HostQueue(capacity=64, window=64),
        kernel=PimKernel.model_validate(settings | kernel),
        policy=Policy(kind="uncoordinated"),
    )


def test_cycles_by_hand() -> None:
    # One operand read in rows of 32 columns, 4 clocks apart: 31 gaps of 4 in a row; reopening tRTP 5, tRP 14, tRCD 14.
    one = scenario()
    (row,) = cycles_of(one, one.kernel.passes[0], NO_DELAYS)
    assert (row.count, row.steps, row.own, row.reopen, row.banks, row.change) == (1, 32, 124, 33, 4, True)
    # Two operands in banks of their own, 8 registers: batches of 8 and 8, four in a row, of which the last ends it. A
    # batch: 7 gaps of 4, 4 to the write, 7 gaps of 4, and tCWL 5 + tBL 2 + tWTR_L 8 = 15 to the next read: 75 clocks.
    two = scenario("rw", registers=8)
    batches, last = cycles_of(two, two.kernel.passes[0], NO_DELAYS)
    assert (batches.count, batches.steps, batches.work, batches.banks, batches.change) == (3, 16, 75, 8, False)
    assert (last.count, last.change) == (1, True)


def test_contest_by_hand() -> None:
    # Two rows wait in every bank, never three: a bank is taken once in 1/2, twice in 1/4, 3/4 of a row on average.
    contest = Contest.of(np.array([1.0, 1.0, 1.0] + [0.0] * (ROUNDS - 2)))
    assert contest.taken[:4] == pytest.approx([1, 0.5, 0.25, 0])
    assert contest.rows == pytest.approx(0.75)
    # The last of two banks: not once 1/2 x 1/2, once or less 3/4 x 3/4.
    assert contest.rounds(2, 1.0)[:3] == pytest.approx([1 / 4, 9 / 16 - 1 / 4, 7 / 16])
    # 30 clocks, and either all activates (40) or half of them and two host rows of 50.
    assert regain_time(last_step=30, ramp=40, rounds=0, host_row=50) == 70
    assert regain_time(last_step=30, ramp=40, rounds=2, host_row=50) == 150
    # 9 gaps, of the first 3 none; of the others half are long enough, and the host wants a bank in 4 of 5 cases.
    assert losses_between_steps(segment=10, guarded=3, gap_share=0.5, loss=0.8) == pytest.approx(6 * 0.4 / 2.2)


@given(st.integers(1, 40), st.integers(1, 16), st.integers(1, 8))
def test_rows_waiting_are_binomial(visits: int, banks: int, covered: int) -> None:
    covered = min(covered, banks)
    chance = covered / banks
    exact = [math.comb(visits, n) * chance**n * (1 - chance) ** (visits - n) for n in range(visits + 1)]
    found = waiting(visits * chance, banks, covered)
    for r in range(min(ROUNDS, visits) + 1):
        assert found[r] == pytest.approx(sum(exact[r:]), abs=1e-9)
    assert (np.diff(waiting(0.3 * chance, banks, covered)) <= 0).all()


def test_a_host_that_hardly_asks_takes_nothing() -> None:
    one = scenario(rate=1e-4)
    rates = ClosedForm().rates(one)
    assert rates.pim_rate == pytest.approx(1, abs=0.03)
    assert rates.host_rate == pytest.approx(1e-4)


@settings(max_examples=20)
@given(
    st.sampled_from(["r", "w", "rw"]),
    st.floats(0.01, 0.4),
    st.sampled_from([4, 8]),
    st.sampled_from(["hidden", "exposed"]),
)
def test_bounds(operands: str, rate: float, cadence: int, switch: str) -> None:
    one = scenario(operands, rate=rate, cadence=cadence, row_switch=switch)
    host, pim, activates = uncoordinated(one)
    assert 0 < host <= rate * (1 + 1e-9)
    assert 0 < pim <= 1 / cadence
    assert 0 < activates <= 1 + 1e-9


def test_time_of_a_pair_against_the_simulator() -> None:
    """The median error of a pair's time over random draws is below 15 %."""
    pytest.importorskip("numba", reason="the reference simulator needs numba")
    from pimmodel.validation.scenarios import draw_scenario
    from pimmodel.validation.simulator.simulate import run_pair

    errors = []
    for draw in range(12):
        drawn = draw_scenario(random.Random(f"uncoordinated/{draw}"))
        one = drawn.model_copy(update={"policy": Policy(kind="uncoordinated")})
        rates = ClosedForm().rates(one)
        work = max(1, round(rates.host_alone * 40_000)), max(1, round(rates.pim_alone * 40_000))
        simulated = run_pair(one, *work, seed=draw)
        errors.append(abs(pair_time(one, *work).clocks / simulated.clocks - 1))
    assert float(np.median(errors)) < 0.15
