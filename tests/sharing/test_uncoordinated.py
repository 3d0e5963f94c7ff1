"""Uncoordinated access: sessions by hand, limits, and the simulator's order of magnitude."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimmodel.hardware.load import load_memory
from pimmodel.scenario import HostQueue, HostStream, PimKernel, PimOperand, PimPass, Policy, Scenario
from pimmodel.sharing.model import ClosedForm, pair_time
from pimmodel.sharing.uncoordinated import loss_probability, session_of, session_rate, uncoordinated

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


def test_sessions_by_hand() -> None:
    # Reads every 4 clocks: before tRTP 5 is over comes the next one, so that nobody can close the row: all 32 columns.
    # A loss: tRTP 5, tRP 14, the host's row tRAS 34, tRP 14, four activates 4 apart (12), each behind one of the host's
    # (4 x 4), tRCD 14: 109 clocks.
    one = session_of(scenario())
    assert (one.steps, one.lost, one.row_steps) == (32, 109, 32)
    # Every 8 clocks: the bank opened first may be closed 34 - 12 = 22 clocks after the last one's activate; steps at
    # 14 and, since 22 - 14 = 8 clocks are left, at 22.
    assert session_of(scenario(cadence=8)).steps == 2


def test_rates_by_hand() -> None:
    assert session_rate(session_steps=32, work_rate=0.25, taken=0.5, lost=144) == pytest.approx(32 / 200)
    assert loss_probability(activates=0.01, turn=100) == pytest.approx(1 - 0.36787944)


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
    """A first-order form: the median error of a pair's time over random draws is below 25 %."""
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
    assert float(np.median(errors)) < 0.25
