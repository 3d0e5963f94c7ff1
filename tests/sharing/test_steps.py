"""Steps of a PIM turn counted one by one: by hand, in the long run, and within bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimmodel.hardware.load import load_memory
from pimmodel.pim.kernel import kernel_speed
from pimmodel.scenario import PimKernel, PimOperand, PimPass
from pimmodel.sharing.steps import StepTable, Timetable, timetable

MEMORY = load_memory("hbm2-ramulator")


def kernel(operands: int = 1, columns: int = 8, **more: object) -> PimKernel:
    return PimKernel(passes=(PimPass(operands=(PimOperand(),) * operands),), cadence=4, columns_per_row=columns, **more)  # type: ignore[arg-type]


def table_of(one: PimKernel) -> Timetable:
    return timetable(MEMORY.timing, MEMORY.organisation, one, kernel_speed(MEMORY.timing, MEMORY.organisation, one))


def test_timetable_of_an_exposed_row_by_hand() -> None:
    # 8 steps, 4 clocks apart, in a row that is opened in 4 units, 4 clocks apart. 28 clocks after its first step the
    # last one issues; tRTP 5 later, but not before tRAS 34 after the last activate (14 before the first step), i.e. 33,
    # the row closes; tRP 14, 12 clocks of activates, tRCD 14: the next row begins 33 + 40 = 73 clocks after this one.
    made = table_of(kernel(row_switch="exposed"))
    np.testing.assert_allclose(made.clock, 4 * np.arange(8), rtol=0.03)
    assert made.period == pytest.approx(73, rel=0.03)


def test_turns_that_end_in_a_row_switch_make_whole_rows() -> None:
    # 50 clocks after its first step a turn is between 28 (last step) and 73 (next row): eight steps, every time.
    steps = StepTable(table_of(kernel(row_switch="exposed")), spread=4.0)
    assert float(steps.steps(np.array(50.0))) == pytest.approx(8)
    # One that ends after 20 clocks makes 6 steps, and the next one, from the seventh on, the other 2: 4 on average.
    assert float(steps.steps(np.array(21.0))) == pytest.approx(4, abs=0.3)


def test_no_step_before_the_row_is_open() -> None:
    steps = StepTable(table_of(kernel(row_switch="exposed")), spread=4.0)
    assert float(steps.steps(np.array(-10.0))) == 0
    # Interrupted while the rows are opened, the memory waits tRAS from the last activate.
    assert float(steps.wait(np.array(-100.0))) == MEMORY.timing.tRAS


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 4), st.integers(1, 64), st.integers(1, 16), st.sampled_from(["hidden", "exposed"]),
       st.sampled_from(["same", "distinct"]), st.floats(0, 20_000), st.floats(1, 50))  # fmt: skip
def test_bounds_and_the_long_run(
    operands: int, columns: int, registers: int, switch: str, placement: str, length: float, spread: float
) -> None:
    one = kernel(operands, min(columns, 32), registers=registers, row_switch=switch, placement=placement)
    table = table_of(one)
    steps = StepTable(table, spread)
    made = float(steps.steps(np.array(length)))
    assert 0 <= made <= (length + spread) / one.cadence + 2
    assert 0 <= float(steps.wait(np.array(length))) <= MEMORY.timing.tRAS + table.tail.max()
    # Far out, steps come at the kernel's rate.
    more = float(steps.steps(np.array(1e6 + length)) - steps.steps(np.array(1e6)))
    assert more == pytest.approx(length * len(table.clock) / table.period, abs=1e-6 + 1e-6 * length)
