"""The checker of traces on hand-made traces: each legal one passes, and breaking one rule is named as that rule."""

from __future__ import annotations

import numpy as np
import pytest
from pimmodel.validation import trace as t
from pimmodel.validation.checker import check, check_channel
from pimmodel.validation.trace_commands import TraceError
from trace_lines import (
    ORGANISATION,
    PIM_ROW,
    READ_TO_WRITE,
    TIMING,
    WRITE_TO_PRECHARGE,
    WRITE_TO_READ_L,
    WRITE_TO_READ_S,
    act,
    mark,
    pim_act,
    pim_act_all,
    pim_pre,
    pre,
    rd,
    rules_broken,
    scenario,
    step,
    trace,
    wr,
)

from pimmodel.scenario import Policy

# Rule, the lines before, the last command as a function of its clock, and its first legal clock.
PAIRS = [
    ("tRCDRD", [act(0)], rd, 13),
    ("tRCDWR", [act(0)], wr, 11),
    ("tRAS", [act(0)], pre, 34),
    ("tRC", [act(0), pre(34)], lambda c: act(c, row=2), 52),
    ("tRP", [act(0), pre(40)], lambda c: act(c, row=2), 55),
    ("tRTP", [act(0), rd(40)], pre, 47),
    ("tWR", [act(0), wr(40)], pre, 40 + WRITE_TO_PRECHARGE),
    ("tRRD_L", [act(0)], lambda c: act(c, 0, 1), 6),
    ("tRRD_S", [act(0)], lambda c: act(c, 1, 0), 3),
    ("tFAW", [act(0), act(3, 1), act(6, 2), act(9, 3)], lambda c: act(c, 0, 1), 31),
    ("tCCD_L", [act(0), act(6, 0, 1), rd(40)], lambda c: rd(c, 0, 1), 44),
    ("tCCD_L", [act(0), act(6, 0, 1), wr(40)], lambda c: wr(c, 0, 1), 44),
    ("tCCD_S", [act(0), act(3, 1), rd(40)], lambda c: rd(c, 1), 42),
    ("tRTW", [act(0), act(3, 1), rd(40)], lambda c: wr(c, 1), 40 + READ_TO_WRITE),
    ("tRTW", [act(0), rd(40)], wr, 40 + READ_TO_WRITE),
    ("tWTR_L", [act(0), act(6, 0, 1), wr(40)], lambda c: rd(c, 0, 1), 40 + WRITE_TO_READ_L),
    ("tWTR_S", [act(0), act(3, 1), wr(40)], lambda c: rd(c, 1), 40 + WRITE_TO_READ_S),
]
# The same with the PIM; the kernel reads bank 0 and writes bank 1 of each of the four groups.
OPEN = [pim_act_all(0), pim_act_all(6, 1)]
PIM_PAIRS = [
    ("tRCDRD", [pim_act_all(0)], step, 13),
    ("tRRD_L", [pim_act_all(0)], lambda c: act(c, 3, 3), 6),
    ("tRRD_L", [act(0, 3, 3)], pim_act_all, 6),
    ("tRRD_S", [pim_act(0)], lambda c: pim_act(c, 1), 3),
    ("tFAW", [pim_act_all(0), pim_act_all(6, 1), act(12, 0, 2), act(15, 1, 2)], lambda c: act(c, 2, 2), 31),
    ("tRAS", [pim_act_all(0)], pim_pre, 34),
    ("tRTP", [*OPEN, step(40)], pim_pre, 47),
    ("tWR", [*OPEN, step(40), step(45, 1)], lambda c: pim_pre(c, 1), 45 + WRITE_TO_PRECHARGE),
    ("tWR", [*OPEN, step(40), step(45, 1)], lambda c: mark(c, t.PREA), 45 + WRITE_TO_PRECHARGE),
    ("cadence", [*OPEN, step(40)], lambda c: step(c, 1), 45),
    ("pim write_to_read", [*OPEN, step(40), step(45, 1)], lambda c: step(c, 0, 1), 45 + WRITE_TO_READ_L),
    ("tCCD_L", [*OPEN, act(12, 0, 2), step(40)], lambda c: rd(c, 0, 2), 44),
    ("tWTR_L", [*OPEN, act(12, 0, 2), step(40), step(45, 1)], lambda c: rd(c, 0, 2), 45 + WRITE_TO_READ_L),
    ("tWTR_L", [*OPEN, act(12, 0, 2), wr(40, 0, 2)], step, 40 + WRITE_TO_READ_L),
]


@pytest.mark.parametrize(("rule", "before", "last", "first_legal"), PAIRS)
def test_each_pair_of_host_commands_has_its_least_distance(rule, before, last, first_legal):
    assert rules_broken(*before, last(first_legal), channel=True) == []
    assert rule in rules_broken(*before, last(first_legal - 1), channel=True)


@pytest.mark.parametrize(("rule", "before", "last", "first_legal"), PIM_PAIRS)
def test_each_pair_with_pim_commands_has_its_least_distance(rule, before, last, first_legal):
    assert rules_broken(*before, last(first_legal)) == []
    assert rule in rules_broken(*before, last(first_legal - 1))


def test_violation_says_rule_commands_and_clocks():
    (violation,) = check_channel(trace(act(0), rd(12)), TIMING, ORGANISATION)
    assert str(violation) == "clock 12: tRCDRD: 0 ACT g0 b0 row 1 -> 12 RD g0 b0 row 1 col 0: found 12, required 13"
    assert (violation.clock, violation.found, violation.required) == (12, 12, 13)


def test_units_of_two_groups_count_an_all_bank_activate_everywhere():
    """With two units bank 0 lies in groups 0 and 2 only; an activate in group 1 still keeps tRRD_L = 6 from it."""
    assert "tRRD_L" in rules_broken(pim_act_all(0), act(5, 1, 1), units=2)
    assert rules_broken(pim_act_all(0), act(6, 1, 1), units=2) == []


def test_write_to_read_of_the_kernel_overrides_the_rule_of_the_part():
    lines = [*OPEN, step(40), step(45, 1), step(45 + 7, 0, 1)]
    assert rules_broken(*lines, write_to_read=7) == []
    assert rules_broken(*lines, write_to_read=8) == ["pim write_to_read"]
    assert rules_broken(*OPEN, step(40), step(50, 1), read_to_write=11) == ["pim read_to_write"]


# ---------------------------------------------------------------------------------------------------------- buses


def test_one_row_command_per_clock():
    lines = [act(0), act(3, 1), pre(37)]
    assert rules_broken(*lines, pre(38, 1), channel=True) == []
    assert rules_broken(*lines, pre(37, 1), channel=True) == ["row command bus"]


def test_an_activate_may_take_two_clocks_of_the_row_bus():
    lines = [act(0), act(46, 1), pre(47)]
    assert rules_broken(*lines, channel=True) == []
    assert rules_broken(*lines, channel=True, activate_clocks=2) == ["row command bus"]


def test_one_column_command_per_clock_even_where_the_data_bus_is_not_shared():
    """With units in half of the groups a step and a host column meet on the command bus only."""
    lines = [pim_act_all(0), act(6, 1, 1), step(40)]
    assert rules_broken(*lines, rd(41, 1, 1), units=2) == []
    assert rules_broken(*lines, rd(40, 1, 1), units=2) == ["column command bus"]


def test_bursts_may_not_overlap_on_the_data_bus():
    """A write at 49 has its data at 54, as the read at 40 has: 40 + 14 = 49 + 5."""
    assert "data bus" in rules_broken(act(0), act(3, 1), rd(40), wr(49, 1), channel=True)


def test_row_and_column_command_in_one_clock_are_legal():
    assert rules_broken(act(0), act(40, 1), rd(40), channel=True) == []


def test_commands_come_in_the_order_of_clocks():
    assert "sorted" in rules_broken(act(10), act(0, 1), channel=True)


# ---------------------------------------------------------------------------------------------------------- states


def test_column_only_to_the_open_row():
    assert rules_broken(rd(50), channel=True) == ["column to a closed bank"]
    assert rules_broken(act(0), rd(50, row=2), channel=True) == ["column to another row"]
    assert rules_broken(act(0), pre(40), rd(60), channel=True) == ["column to a closed bank"]


def test_column_step_needs_the_row_in_every_unit():
    three = [pim_act(0), pim_act(3, 1), pim_act(6, 2)]
    assert rules_broken(*three, step(60)) == ["column to a closed bank"]
    assert rules_broken(*three, pim_act(9, 3), step(60)) == []


def test_activate_only_a_closed_bank():
    assert rules_broken(act(0), act(60, row=2), channel=True) == ["activate of an open bank"]


def test_sides_have_rows_of_their_own():
    assert rules_broken(act(0, row=PIM_ROW), channel=True) == ["row of the other side"]
    assert rules_broken((0, t.PIM_ACT, t.PIM, 0, 0, 3, -1)) == ["row of the other side"]


def test_owner_fits_the_kind_of_command():
    assert rules_broken((0, t.ACT, t.PIM, 0, 0, 3, -1)) == ["owner of the command"]


def test_partition_keeps_each_side_in_its_banks():
    policy = Policy(kind="partitioned")
    assert rules_broken(act(0, 0, 1), pim_act(3, 1, 2), policy=policy) == []
    assert rules_broken(act(0, 0, 2), policy=policy) == ["bank of the other side"]
    assert rules_broken(pim_act(0, 0, 1), policy=policy) == ["bank of the other side"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (act(0, 4), "no bank 0 in group 4"),
        ((0, 99, 0, 0, 0, 1, -1), "kind 99"),
        (step(0, 4), "no bank 4 in a PIM unit"),
    ],
)
def test_trace_that_cannot_be_read_is_named(line, message):
    with pytest.raises(TraceError, match=message):
        check(trace(line), scenario())


def test_array_that_is_no_trace_is_named():
    with pytest.raises(TraceError, match="TRACE_DTYPE"):
        check(np.zeros((2, 3)), scenario())  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------- kernel


def test_kernel_goes_on_where_it_was_and_repeats_nothing():
    """Column 0 of the first operand, column 0 of the second, then column 1 of each."""
    start = [*OPEN, step(40), step(45, 1)]
    assert rules_broken(*start, step(70, 0, 1)) == []
    assert rules_broken(*start, step(70, 0, 0)) == ["order of the kernel"]
    assert rules_broken(*OPEN, step(40), step(45, 0, 1)) == ["order of the kernel"]
