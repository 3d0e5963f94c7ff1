"""The recurrence of a kernel's steps: refresh by hand, the simulator on random kernels, and invariants."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimmodel.hardware.load import load_memory
from pimmodel.hardware.memory import Memory
from pimmodel.pim.events import activate_clock, closable, column_start, refresh_clock
from pimmodel.pim.kernel import kernel_speed
from pimmodel.pim.order import batches_of, rows_of, unit_banks
from pimmodel.scenario import PimKernel, PimOperand, PimPass

MEMORY = load_memory("hbm2-ramulator")
PARTS = (MEMORY.timing, MEMORY.organisation)


def one_column_rows() -> PimKernel:
    """Rows of one column in bank 0 of 16 units, opened by one command: nothing but row cycles."""
    return PimKernel(
        passes=(PimPass(operands=(PimOperand(),)),), cadence=4, columns_per_row=1, units=16, row_switch="exposed",
        all_bank_activate=True,
    )  # fmt: skip


def test_row_cycle_by_hand() -> None:
    # Activate, tRCD 14, column, precharge tRAS 34 after the activate, tRP 14: 48 clocks.
    assert kernel_speed(*PARTS, one_column_rows()).rate == pytest.approx(1 / 48)


def test_all_bank_refresh_by_hand() -> None:
    # A refresh is due every 3900 clocks, x clocks after an activate. If x <= 34 the row is open: precharge 34 clocks
    # after the activate, tRP 14, tRFC 260, so the next activate comes 308 clocks after the last one; else the
    # precharge-all comes at once and the next activate 274 clocks after the due time. x becomes x + 3900 - 308 = x + 40
    # (modulo 48) or 3900 - 274 = 26: 26, 18, 10, 2, 42, and again. Between the activates around the five refreshes lie
    # 4 x 308 + 316 = 1548 of 19500 clocks, which leaves (19500 - 1548) / 48 = 374 activates and one after each; where
    # x = 10 or 2 the column, due 14 clocks after the activate, is not made: 374 + 5 - 2 = 377 columns.
    assert kernel_speed(*PARTS, one_column_rows(), "all-bank").rate == pytest.approx(377 / 19500)


def test_per_bank_refresh_by_hand() -> None:
    # Due every 244 clocks, always in the bank in use of some unit, x clocks after an activate: precharge 34 clocks
    # after that activate, tRP 14, tRFCpb 160: the next activate 208 clocks after the last one. x grows by
    # 244 - 208 = 36 modulo 48: 4 (244 = 5 x 48 + 4), 40, 28, 16, and again. In four refreshes, 976 clocks, there are
    # (976 - 4 x 208) / 48 = 3 activates between them and one after each; where x = 4 the column, due 14 clocks after
    # the activate, is not made: 3 + 4 - 1 = 6 columns.
    assert kernel_speed(*PARTS, one_column_rows(), "per-bank").rate == pytest.approx(6 / 976)


def test_refresh_of_banks_that_the_kernel_does_not_use_costs_nothing() -> None:
    # One unit, exposed: all rows in one bank of sixteen, refreshed once in 16 x 244 = 3904 clocks. A row of 32 columns
    # takes 31 x 4 + 5 + 14 + 14 = 157 clocks; its bank is away for at most 34 + 14 + 160 + 14 = 222 of 3904.
    one = one_column_rows().model_copy(update={"units": 1, "columns_per_row": 32})
    assert kernel_speed(*PARTS, one).rate == pytest.approx(32 / 157)
    lost = 1 - kernel_speed(*PARTS, one, "per-bank").rate * 157 / 32
    assert 160 / 3904 <= lost <= 222 / 3904


def draw(seed: int) -> tuple[Memory, PimKernel, str]:
    """A random kernel of the documented domain."""
    from pimmodel.validation.scenarios import draw_kernel, draw_memory

    rng = random.Random(f"recurrence/{seed}")
    memory = draw_memory(rng)
    return memory, draw_kernel(rng, memory), rng.choice(["off", "all-bank", "per-bank"])


@pytest.mark.parametrize("seed", range(60))
def test_random_kernels_against_the_simulator(seed: int) -> None:
    """Within 2 %: what half a million simulated clocks, some only seven repetitions of a kernel, leave undecided."""
    pytest.importorskip("numba", reason="the reference simulator needs numba")
    from pimmodel.validation.simulator.simulate import kernel_alone

    memory, kernel, refresh = draw(seed)
    parts = (memory.timing, memory.organisation)
    simulated = kernel_alone(*parts, kernel, refresh, cycles=500_000, warmup=50_000).pim_step_rate
    assert kernel_speed(*parts, kernel, refresh).rate == pytest.approx(simulated, rel=0.02)


@settings(max_examples=40)
@given(st.integers(100, 10**6))
def test_bounds_and_monotony(seed: int) -> None:
    """A step takes no less than the cadence, refresh takes time off, and a longer tRP gives no shorter period."""
    memory, kernel, _ = draw(seed)
    parts = (memory.timing, memory.organisation)
    alone = kernel_speed(*parts, kernel)
    assert alone.rate <= 1 / kernel.cadence + 1e-12
    slower = memory.timing.model_copy(update={"tRP": memory.timing.tRP + 6, "tRC": memory.timing.tRC + 6})
    assert kernel_speed(slower, memory.organisation, kernel).rate <= alone.rate * (1 + 1e-9)
    for refresh in ("all-bank", "per-bank"):
        assert 0 < kernel_speed(*parts, kernel, refresh).rate <= alone.rate * 1.005


@settings(max_examples=30)
@given(st.lists(st.integers(0, 10**6), min_size=9, max_size=9))
def test_plain_evaluation_equals_the_arrays(values: list[int]) -> None:
    for formula in (column_start, closable, activate_clock, refresh_clock):
        given_values = values[: len(formula.arguments)]
        assert formula.scalar(*given_values) == formula(**dict(zip(formula.arguments, given_values, strict=True)))


@pytest.mark.parametrize("units", [1, 4, 8, 16])
@pytest.mark.parametrize("first", [0, 2])
def test_units_have_the_banks_that_the_trace_format_gives_them(units: int, first: int) -> None:
    from pimmodel.validation import trace

    organisation = MEMORY.organisation
    kernel = one_column_rows().model_copy(update={"units": units})
    assert unit_banks(organisation, kernel, first) == trace.unit_banks(4, 4, units, partitioned=bool(first))


def test_order_of_rows_by_hand() -> None:
    """Two operands in four banks: (i + 2 r) mod 4 if hidden; the second repetition counts on."""
    kernel = one_column_rows().model_copy(
        update={"passes": (PimPass(operands=(PimOperand(), PimOperand(write=True)), rows=1),), "row_switch": "hidden"}
    )
    rows = rows_of(kernel, 4)
    assert [next(rows).banks for _ in range(3)] == [(0, 1), (2, 3), (0, 1)]
    assert batches_of(kernel.model_copy(update={"columns_per_row": 8, "registers": 3}), 2) == [3, 3, 2]
