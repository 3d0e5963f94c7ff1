"""PIM kernels alone: hand-computed periods, and the simulator."""

from __future__ import annotations

import pytest

from pimmodel.hardware.load import load_memory
from pimmodel.pim.kernel import activate_ramp, kernel_speed
from pimmodel.scenario import PimKernel, PimOperand, PimPass

MEMORY = load_memory("hbm2-ramulator")
PARTS = (MEMORY.timing, MEMORY.organisation)


def kernel(operands: str = "r", **values: object) -> PimKernel:
    """A kernel of one pass; "rrw" reads two operands and writes one."""
    made = tuple(PimOperand(write=letter == "w") for letter in operands)
    return PimKernel.model_validate({"passes": [PimPass(operands=made)], "cadence": 4, "columns_per_row": 32, **values})


def test_hidden_rows_cost_nothing() -> None:
    assert kernel_speed(*PARTS, kernel()).rate == pytest.approx(1 / 4)


def test_exposed_row_by_hand() -> None:
    # 32 columns, the last at 31 x 4 = 124; one tRTP = 5 later the precharge, tRP 14, four activates 4 apart (12),
    # tRCD 14: the next row's first column at 124 + 5 + 14 + 12 + 14 = 169 clocks after this one's.
    speed = kernel_speed(*PARTS, kernel(row_switch="exposed"))
    assert activate_ramp(*PARTS, kernel()) == 12
    assert speed.rate == pytest.approx(32 / 169)
    # One all-bank activate saves the ramp of 12 clocks.
    assert kernel_speed(*PARTS, kernel(row_switch="exposed", all_bank_activate=True)).rate == pytest.approx(32 / 157)


def test_registers_save_row_switches_in_one_bank() -> None:
    """Two operands in one bank: with r registers 32 / r x 2 row switches per row."""
    rates = [
        kernel_speed(*PARTS, kernel("rr", placement="same", row_switch="exposed", registers=r)).rate
        for r in (1, 4, 16, 32)
    ]
    assert rates == sorted(rates)
    # 16 registers, all-bank activate: segments of 16 columns, each (16 - 1) x 4 + 5 + 14 + 14 = 93 clocks.
    one = kernel("rr", placement="same", row_switch="exposed", registers=16, all_bank_activate=True)
    assert kernel_speed(*PARTS, one).rate == pytest.approx(16 / 93)


def test_write_to_read_turnaround() -> None:
    # One register: r, w, r, w ...: 4 clocks to the write, CWL + tBL + tWTR_L = 5 + 2 + 8 = 15 to the next read.
    assert kernel_speed(*PARTS, kernel("rw")).rate == pytest.approx(2 / 19)


@pytest.mark.parametrize("refresh", ["off", "all-bank"])
@pytest.mark.parametrize(
    "one",
    [
        kernel("rw", registers=8),
        kernel("rrw", placement="same", registers=8, row_switch="exposed"),
        kernel("r", row_switch="exposed", units=16),
        kernel("rrw", registers=4, row_switch="exposed", all_bank_activate=True),
        kernel("rr", placement="same", registers=2, columns_per_row=16),
    ],
)
def test_against_the_simulator(one: PimKernel, refresh: str) -> None:
    pytest.importorskip("numba", reason="the reference simulator needs numba")
    from pimmodel.validation.simulator.simulate import kernel_alone

    simulated = kernel_alone(*PARTS, one, refresh, cycles=200_000, warmup=10_000).pim_step_rate
    assert kernel_speed(*PARTS, one, refresh).rate == pytest.approx(simulated, rel=0.06)


@pytest.mark.parametrize(
    ("operands", "clocks_per_tile"),
    # PIMSimulator (SAITPublic b464dde0): ADD of 8 388 608 and 4 194 304 fp16 elements takes 23 185 and 11 806 clocks,
    # RELU 14 906 and 7 665, refresh on; a tile is 131 072 elements: (23185 - 11806) / 32 tiles = 355.6, RELU 226.3.
    [("rrw", (23185 - 11806) / 32), ("rw", (14906 - 7665) / 32)],
)
def test_a_public_pim_simulator_lies_between_exposed_and_hidden_rows(operands: str, clocks_per_tile: float) -> None:
    """A tile is 8 columns of each operand in the even and in the odd bank of 8 units, on 64 pseudo-channels.

    That simulator works on one bank of a pair while it opens rows in the other, so that part of the row switches is
    hidden: all hidden and all exposed must bracket it.
    """
    memory = load_memory("hbm2")
    steps = 2 * 8 * len(operands)
    shared = {"units": 8, "registers": 8, "all_bank_activate": True}
    exposed = kernel(operands, placement="same", row_switch="exposed", **shared)
    slow = steps / kernel_speed(memory.timing, memory.organisation, exposed, "all-bank").rate
    column_steps_alone = steps * 4
    assert column_steps_alone < clocks_per_tile < slow
    # The exposed form is the closer one: 25 % (ADD) and 37 % (RELU) too slow with the same timing.
    assert slow / clocks_per_tile < 1.4
