"""Partitioned banks: the shared column path by hand and by integration, the simulator, and invariants."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimmodel.hardware.load import load_memory
from pimmodel.scenario import HostQueue, HostStream, PimKernel, PimOperand, PimPass, Policy, Scenario
from pimmodel.sharing.column_path import busy_interval, column_capacity, step_delay
from pimmodel.sharing.model import ClosedForm, pair_time
from pimmodel.sharing.partition import partitioned

MEMORY = load_memory("hbm2-ramulator")


def scenario(operands: str = "r", *, rate: float = 0.1, write_share: float = 0.0, **kernel: object) -> Scenario:
    """A host of many streams of long rows, and a kernel of one pass."""
    made = tuple(PimOperand(write=letter == "w") for letter in operands)
    settings = {"passes": (PimPass(operands=made),), "cadence": 4, "columns_per_row": 32} | kernel
    return Scenario(
        timing=MEMORY.timing,
        organisation=MEMORY.organisation,
        stream=HostStream(rate=rate, substreams=16, spread=1, columns=16, write_share=write_share),
        queue=HostQueue(capacity=64, window=64),
        kernel=PimKernel.model_validate(settings),
        policy=Policy(kind="partitioned"),
    )


def test_reads_go_by_turns_by_hand() -> None:
    # Steps every tCCD_L 4, a host column 4 after a step, the next step 4 after that: one of each in 8 clocks.
    one = scenario()
    parts = (one.timing, one.organisation, one.kernel, "off", 2)
    assert column_capacity(*parts, 0.0, 2, 1.0) == pytest.approx(1 / 8)
    # Host writes hold a reading step back by CWL 5 + tBL 2 + tWTR_L 8 = 15 instead of 4.
    assert column_capacity(*parts, 1.0, 2, 1.0) == pytest.approx(1 / 19)


def test_busy_interval_by_hand() -> None:
    # 20 clocks between steps: host columns at 4, 6 ... 18 (8 of them), the step 4 after the last: 22.
    assert busy_interval(step_interval=20, host_gap=4, host_columns=8, pace=2, step_gap=4) == 22
    assert busy_interval(step_interval=20, host_gap=4, host_columns=7, pace=2, step_gap=4) == 20


def test_a_host_read_costs_steps_the_time_of_one() -> None:
    # Beside x columns per clock, 4 of the clocks of each are lost to steps that would come every 4 clocks.
    beside = partitioned(scenario(rate=0.05))
    assert beside.host == pytest.approx(0.05)
    assert beside.pim == pytest.approx((1 - 0.05 * 4) / 4, rel=0.03)


@given(st.floats(0.01, 0.5), st.floats(1, 60), st.floats(1, 30), st.floats(0, 40))
def test_delay_is_the_integral(x: float, window: float, gap: float, least: float) -> None:
    ages = (np.arange(200_000) + 0.5) * window / 200_000
    found = np.sum(x * np.maximum(gap - ages, least)) * window / 200_000
    formula = step_delay(service=x, window_clocks=window, step_gap=gap, least_delay=least)
    assert formula == pytest.approx(found, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(
    ("operands", "rate", "writes", "kernel"),
    [
        ("r", 0.05, 0.0, {}),
        ("r", 0.2, 0.0, {}),
        ("rw", 0.1, 0.0, {"registers": 8}),
        ("w", 0.03, 0.0, {}),
        ("r", 0.05, 1.0, {"cadence": 8}),
        ("rr", 0.1, 0.5, {"placement": "same", "registers": 8, "row_switch": "exposed", "units": 8}),
    ],
)
def test_against_the_simulator(operands: str, rate: float, writes: float, kernel: dict[str, object]) -> None:
    """Within 25 % of either rate; a pair's time is nearer (median 1 %), since the host mostly gets what it asks for."""
    pytest.importorskip("numba", reason="the reference simulator needs numba")
    from pimmodel.validation.simulator.simulate import simulate

    one = scenario(operands, rate=rate, write_share=writes, **kernel)
    run = simulate(one, cycles=100_000, warmup=10_000)
    beside = partitioned(one)
    assert beside.host == pytest.approx(run.host_rate, rel=0.25)
    assert beside.pim == pytest.approx(run.pim_step_rate, rel=0.25)


@settings(max_examples=15)
@given(st.sampled_from(["r", "w", "rw"]), st.floats(0, 1), st.sampled_from([4, 8]))
def test_more_host_less_pim_and_nobody_faster_than_alone(operands: str, writes: float, units: int) -> None:
    made = [partitioned(scenario(operands, rate=rate, write_share=writes, units=units)) for rate in (0.01, 0.05, 0.2)]
    steps = [beside.pim for beside in made]
    assert all(later <= earlier * 1.01 for earlier, later in itertools.pairwise(steps))
    for beside in made:
        assert 0 < beside.pim <= beside.pim_alone * (1 + 1e-9)
        assert 0 < beside.host <= beside.host_alone * (1 + 1e-9)


def test_who_is_left_stays_in_its_banks() -> None:
    """16 units: half have banks in the PIM's half, so the rest of a long kernel goes at about half the rate."""
    one = scenario(units=16, row_switch="exposed")
    alone = ClosedForm().rates(one).pim_alone
    assert pair_time(one, 1, 100_000).pim_clocks >= 2 * 100_000 / alone * 0.8
