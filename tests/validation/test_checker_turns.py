"""The checker's rules on refresh and on the turns of host and PIM, on hand-made traces."""

from __future__ import annotations

from typing import Any

import pytest
from pimmodel.validation import trace as t
from trace_lines import TIMING, Line, act, mark, pim_act_all, pre, rd, refpb, rules_broken, step

from pimmodel.scenario import Policy

T, PB = TIMING.tREFI, TIMING.tREFIpb  # 3900 and 244
EXCLUSIVE = Policy(kind="exclusive", theta_low=4, theta_high=60)

# --------------------------------------------------------------------------------------------------------- refresh


def test_refresh_needs_all_banks_closed_and_time_before_and_after():
    start = [act(3800), pre(3900)]
    good = [*start, mark(3915, t.REF), act(4175, row=2)]  # tRP = 15, tRFC = 260
    assert rules_broken(*good, channel=True, refresh="all-bank") == []
    assert "tRP" in rules_broken(*start, mark(3914, t.REF), channel=True, refresh="all-bank")
    assert "tRFC" in rules_broken(*start, mark(3915, t.REF), act(4174), channel=True, refresh="all-bank")
    assert "refresh of an open bank" in rules_broken(act(3800), mark(3915, t.REF), channel=True, refresh="all-bank")


def test_refresh_that_never_happens_is_caught():
    # Closing takes at most max(tRC, write to precharge + tRP) + 4 = max(52, 23 + 15) + 4 = 56 clocks after it is due.
    idle = [act(0), pre(40)]
    assert rules_broken(*idle, channel=True, refresh="all-bank", end=T + 56) == []
    assert rules_broken(*idle, channel=True, refresh="all-bank", end=T + 57) == ["refresh missing"]
    assert rules_broken(*idle, channel=True, refresh="per-bank", end=T) == ["refresh missing"]
    assert rules_broken(*idle, channel=True, refresh="off", end=20 * T) == []


def test_at_most_eight_refreshes_are_postponed_where_the_memory_changes_hands():
    def late(clock: int) -> list[str]:
        return rules_broken(mark(clock, t.REF), policy=EXCLUSIVE, refresh="all-bank", end=clock)

    assert late(9 * T + 56) == []
    assert "refresh too late" in late(9 * T + 57)
    assert rules_broken(policy=EXCLUSIVE, refresh="all-bank", end=9 * T + 56) == []
    assert rules_broken(policy=EXCLUSIVE, refresh="all-bank", end=9 * T + 57) == ["refresh missing"]


def test_refresh_may_be_neither_early_nor_late_nor_unasked_for():
    assert rules_broken(mark(T - 1, t.REF), channel=True, refresh="all-bank") == ["refresh too early"]
    assert "refresh too late" in rules_broken(mark(T + 57, t.REF), channel=True, refresh="all-bank")
    assert rules_broken(mark(T, t.REF), channel=True) == ["refresh of the wrong kind"]
    assert "refresh of the wrong kind" in rules_broken(mark(T, t.REF), channel=True, refresh="per-bank")


def test_refresh_bank_by_bank_goes_round_group_first():
    first = refpb(PB, 0, 0)
    assert rules_broken(first, refpb(2 * PB, 1, 0), channel=True, refresh="per-bank") == []
    assert rules_broken(first, refpb(2 * PB, 0, 1), channel=True, refresh="per-bank") == ["refresh order"]
    round_trip = [refpb((i + 1) * PB, i % 4, i // 4 % 4) for i in range(18)]
    assert rules_broken(*round_trip, channel=True, refresh="per-bank") == []
    assert rules_broken(refpb(PB - 1), channel=True, refresh="per-bank") == ["refresh too early"]


def test_refresh_of_one_bank_keeps_its_distances():
    start = refpb(PB)
    other, same = PB + TIMING.tRREFD, PB + TIMING.tRFCpb
    legal = [start, act(other, 1), act(same, 0)]
    assert rules_broken(*legal, channel=True, refresh="per-bank") == []
    assert rules_broken(start, act(other - 1, 1), channel=True, refresh="per-bank") == ["tRREFD"]
    assert rules_broken(start, act(same - 1, 0), channel=True, refresh="per-bank") == ["tRFCpb"]
    assert "refresh of an open bank" in rules_broken(act(0), start, channel=True, refresh="per-bank")


# ----------------------------------------------------------------------------------------------------------- turns


def change(clock: int, loser: int, *, wait: int = 15) -> list[Line]:
    """A change of hands from `clock` on, precharge-all in the same clock, GRANT `wait` clocks later (tRP = 15)."""
    return [mark(clock, t.SWITCH, loser), mark(clock, t.PREA), mark(clock + wait, t.GRANT, 1 - loser)]


HOST_TURN = [act(0), rd(20)]
PIM_TURN = [pim_act_all(75), pim_act_all(81, 1), step(100), step(105, 1)]


def broken(*lines: Line, **keywords: Any) -> list[str]:
    return rules_broken(*lines, policy=keywords.pop("policy", EXCLUSIVE), **keywords)


def test_legal_turns_pass():
    assert broken(*HOST_TURN, *change(60, t.HOST), *PIM_TURN) == []


def test_only_the_owner_issues():
    assert broken(*HOST_TURN, pim_act_all(60, 2)) == ["authority"]
    assert broken(*HOST_TURN, *change(60, t.HOST), act(75, row=2)) == ["authority"]
    assert broken(*PIM_TURN, first_owner=t.PIM) == []
    assert broken(act(0), first_owner=t.PIM) == ["authority"]
    assert broken(*HOST_TURN, pim_act_all(60, 2), policy=Policy(kind="gpu-only")) == ["authority"]


def test_precharge_all_of_a_change_respects_the_banks():
    """tRAS = 34 after the activate; 7 clocks after a read."""
    assert broken(act(0), *change(34, t.HOST)) == []
    assert broken(act(0), *change(33, t.HOST)) == ["tRAS"]
    assert broken(act(0), rd(40), *change(46, t.HOST)) == ["tRTP"]


def test_new_owner_waits_for_precharge_and_mode_switch():
    assert broken(*HOST_TURN, *change(60, t.HOST, wait=15 + 9), mode_switch=9) == []
    assert broken(*HOST_TURN, *change(60, t.HOST, wait=15 + 8), mode_switch=9) == ["wait of a change"]
    assert broken(*HOST_TURN, *change(60, t.HOST, wait=14)) == ["wait of a change"]


def test_refresh_in_a_change_is_waited_for():
    start = [act(T - 60), mark(T, t.SWITCH, t.HOST), mark(T, t.PREA), mark(T + 15, t.REF)]
    assert broken(*start, mark(T + 275 + 9, t.GRANT, t.PIM), refresh="all-bank", mode_switch=9) == []
    assert broken(*start, mark(T + 275 + 8, t.GRANT, t.PIM), refresh="all-bank", mode_switch=9) == ["wait of a change"]


def test_nothing_is_issued_during_a_change():
    begin, close, grant = change(60, t.HOST)
    assert broken(*HOST_TURN, begin, rd(61), mark(90, t.PREA), mark(105, t.GRANT, t.PIM)) == ["command during a change"]
    assert broken(*HOST_TURN, begin, close, act(61, 1), grant)[:1] == ["command during a change"]


def test_a_change_has_its_steps_in_order():
    begin, close, grant = change(60, t.HOST)
    assert "order of a change" in broken(*HOST_TURN, begin, grant)
    assert broken(*HOST_TURN, begin, grant).count("grant with open banks") == 1
    assert broken(*HOST_TURN, close, grant) == ["order of a change"]
    assert "order of a change" in broken(*HOST_TURN, begin, mark(61, t.SWITCH, t.HOST), mark(62, t.PREA))
    assert broken(*HOST_TURN, mark(60, t.SWITCH, t.PIM), close, grant)[:1] == ["order of a change"]
    assert broken(*HOST_TURN, begin, close, mark(75, t.GRANT, t.HOST)) == ["order of a change"]
    assert "order of a change" in broken(*HOST_TURN, begin, close, mark(61, t.PREA), mark(76, t.GRANT, t.PIM))


def test_policies_without_turns_do_not_change_hands():
    expected = ["change without turns", "change without turns"]
    assert broken(*HOST_TURN, *change(60, t.HOST), policy=Policy(kind="uncoordinated")) == expected


# ------------------------------------------------------------------------------------------------------ conditions


def reads(first: int, count: int) -> list[Line]:
    return [rd(first + 4 * i, row=9) for i in range(count)]


def back_and_forth(host_columns: int, policy: Policy) -> list[str]:
    """The PIM gives back the memory at 120; the host then serves so many columns before the next change."""
    turn = [act(155, row=9), *reads(170, host_columns)]
    lines = [*HOST_TURN, *change(60, t.HOST), *PIM_TURN, *change(135, t.PIM), *turn]
    return broken(*lines, *change(600, t.HOST), policy=policy)


def test_host_serves_what_the_marks_ask_for():
    """Queued >= 12 when the PIM ends, queued <= 4 when the host ends: at least 8 columns between."""
    policy = Policy(kind="exclusive", theta_low=4, theta_high=12)
    assert back_and_forth(8, policy) == []
    assert back_and_forth(7, policy) == ["condition to end a host turn"]
    watermark = Policy(kind="watermark", theta_low=4, theta_high=12)
    assert back_and_forth(7, watermark) == ["condition to end a host turn"]


def test_quotas_bound_and_excuse_a_host_turn():
    quota = Policy(kind="exclusive", theta_low=4, theta_high=12, quota_host=5)
    assert back_and_forth(5, quota) == []
    assert back_and_forth(6, quota) == ["columns of a host turn"]
    assert back_and_forth(4, quota) == ["condition to end a host turn"]
    pim_quota = Policy(kind="exclusive", theta_low=4, theta_high=12, quota_pim=2)
    assert back_and_forth(0, pim_quota) == []


def test_bypass_cap_bounds_both_turns():
    # The PIM turn has two column steps; ceil(4 / 2) = 2 are enough, ceil(6 / 2) = 3 would be needed.
    assert back_and_forth(4, Policy(kind="bypass-cap", bypass_cap=4, slowdown=2)) == []
    assert back_and_forth(5, Policy(kind="bypass-cap", bypass_cap=4, slowdown=2)) == ["columns of a host turn"]
    assert back_and_forth(0, Policy(kind="bypass-cap", bypass_cap=4, slowdown=2)) == ["condition to end a host turn"]
    assert back_and_forth(4, Policy(kind="bypass-cap", bypass_cap=6, slowdown=2)) == ["condition to end a PIM turn"]


def test_host_first_serves_at_least_the_request_it_came_for():
    assert back_and_forth(1, Policy(kind="host-first")) == []
    assert back_and_forth(0, Policy(kind="host-first")) == ["condition to end a host turn"]


def test_pim_first_never_gives_back():
    assert back_and_forth(1, Policy(kind="pim-first")) == ["condition to end a PIM turn"]


@pytest.mark.parametrize(
    ("host", "pim", "expected"),
    [
        (60, 60, []),
        (59, 60, ["condition to end a host turn"]),
        (61, 60, ["condition to end a host turn"]),
        (60, 61, ["condition to end a PIM turn"]),
        (60, 59, []),  # a PIM turn goes on while no host request is queued
    ],
)
def test_time_slices_have_their_length(host, pim, expected):
    """Host turn from 0 to 60, PIM turn from 75 to 135."""
    lines = [*HOST_TURN, *change(60, t.HOST), *PIM_TURN, *change(135, t.PIM)]
    assert broken(*lines, policy=Policy(kind="time-slice", slice_host=host, slice_pim=pim)) == expected
