"""A kernel's column steps in turns: by hand, in the long run, under refresh, and within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimmodel.hardware.load import load_memory
from pimmodel.pim.kernel import kernel_speed
from pimmodel.scenario import PimKernel, PimOperand, PimPass
from pimmodel.sharing.pim_turns import PimTurns

MEMORY = load_memory("hbm2-ramulator")
T = MEMORY.timing
FAR = 10**6


def kernel(operands: int = 1, columns: int = 8, **more: object) -> PimKernel:
    return PimKernel(passes=(PimPass(operands=(PimOperand(),) * operands),), cadence=4, columns_per_row=columns, **more)  # type: ignore[arg-type]


def turns_of(one: PimKernel, refresh: str = "off") -> PimTurns:
    return PimTurns(MEMORY.timing, MEMORY.organisation, one, refresh)


def test_turns_by_hand() -> None:
    # Four units are activated 0, 4, 8 and 12 clocks after the hand-over (tRRD), tRCD 14 after the last one the steps
    # begin, 26, 30 .. 54. After 47 clocks there were six; the last, at 46, closes at 46 + tRTP 5 = 51, but the last
    # activate, at 12, has tRAS 34 over by then. The next turn makes the other two, then a row switch is to come.
    turns = turns_of(kernel(row_switch="exposed"))
    assert turns.turn(1000, 1047) == (6, 1047, 4)
    made, _, _ = turns.turn(2000, 2050)
    assert made == 2
    # 80 clocks: all eight of a fresh row, the next one would begin 73 clocks after the first, at 26 + 73.
    assert turns.turn(3000, 3080)[0] == 8
    # Interrupted while its rows are opened (the last activate at 12), it waits until 12 + tRAS.
    assert turns.turn(4000, 4015) == (0, 4015, 12 + T.tRAS - 15)


def test_a_quota_ends_a_turn_one_clock_after_its_last_step() -> None:
    turns = turns_of(kernel(row_switch="exposed"))
    # The third step comes at 26 + 2 x 4.
    assert turns.turn(1000, FAR, quota=3)[:2] == (3, 1035)
    # A turn that must last until 46 makes the steps at 26, 30 .. 42, five, its quota notwithstanding.
    assert turns.turn(2000, FAR, quota=3, least=2046)[:2] == (5, 2046)


def test_an_owed_refresh_of_the_bank_in_use_comes_first() -> None:
    # The first refresh, of bank 0 of group 0, is due at tREFIpb; a turn that begins 10 clocks later does it at once.
    # Its row is opened tRFCpb later, and the first step comes tRCD after that.
    turns = turns_of(kernel(row_switch="exposed"), "per-bank")
    begin = T.tREFIpb + 10
    first = T.tRFCpb + T.tRCDRD
    assert turns.turn(begin, begin + first)[0] == 0
    turns = turns_of(kernel(row_switch="exposed"), "per-bank")
    assert turns.turn(begin, begin + first + 1)[0] == 1
    # A host turn that has done it leaves the bank away for what is left of tRFCpb.
    turns = turns_of(kernel(row_switch="exposed"), "per-bank")
    turns.host_turn(T.tREFIpb - 50, T.tREFIpb + 5, closing=0)
    assert turns.turn(begin, begin + first - 10)[0] == 0
    turns = turns_of(kernel(row_switch="exposed"), "per-bank")
    turns.host_turn(T.tREFIpb - 50, T.tREFIpb + 5, closing=0)
    assert turns.turn(begin, begin + first - 9)[0] == 1


@pytest.mark.parametrize("refresh", ["off", "per-bank"])
@pytest.mark.parametrize("placement", ["same", "distinct"])
@pytest.mark.parametrize("switch", ["hidden", "exposed"])
def test_one_long_turn_has_the_rate_of_the_kernel_alone(refresh: str, placement: str, switch: str) -> None:
    one = kernel(2, 16, registers=4, placement=placement, row_switch=switch)
    made, _, _ = turns_of(one, refresh).turn(0, 200_000)
    expected = kernel_speed(MEMORY.timing, MEMORY.organisation, one, refresh).rate * 200_000
    assert made == pytest.approx(expected, rel=0.01)


@settings(deadline=None, max_examples=30)
@given(operands=st.integers(1, 4), columns=st.integers(1, 32), registers=st.integers(1, 16),
       switch=st.sampled_from(["hidden", "exposed"]), placement=st.sampled_from(["same", "distinct"]),
       refresh=st.sampled_from(["off", "per-bank"]),
       lengths=st.lists(st.integers(1, 600), min_size=1, max_size=8), host=st.integers(1, 3000))  # fmt: skip
def test_bounds(
    operands: int, columns: int, registers: int, switch: str, placement: str, refresh: str, lengths: list[int],
    host: int,
) -> None:  # fmt: skip
    one = kernel(operands, columns, registers=registers, row_switch=switch, placement=placement)
    turns, clock, slowest = turns_of(one, refresh), 0, max(T.tRAS, T.tRTP)
    for length in lengths:
        made, end, wait = turns.turn(clock, clock + length)
        assert end == clock + length
        assert 0 <= made <= max(0, length - T.tRCDRD) / one.cadence + 1
        assert 0 <= wait <= slowest
        begin = end + wait + T.tRP
        turns.host_turn(begin, begin + host, closing=20)
        clock = begin + host
