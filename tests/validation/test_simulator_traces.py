"""Tiny runs whose clocks follow from the JEDEC rules by hand."""

from __future__ import annotations

import itertools

import pytest
from pimmodel.validation import trace as cmd
from pimmodel.validation.simulator import kernel_alone, kernel_time, replay, run_pair, simulate
from simulator_cases import BANKS, HBM2, kernel, scenario

from pimmodel.errors import PimModelError
from pimmodel.scenario import Policy


def clocks(trace, *kinds):
    return [int(entry["clock"]) for entry in trace if entry["kind"] in kinds]


def test_one_read():
    # accepted in clock 0, so ACT at 1; RD at 1 + tRCDRD 14 = 15; last beat 15 + CL 14 + tBL 2 = 31
    result = replay(HBM2, BANKS, [(0, 0, 0, 0, 7, 3)], trace=True)
    assert cmd.names(result.trace) == ["1 ACT g0 b0 row 7", "15 RD g0 b0 row 7 col 3"]
    assert result.cycles == 31
    assert list(result.read_latencies) == [31]


def test_one_write():
    # ACT 1; WR at 1 + tRCDWR 12 = 13; last beat 13 + CWL 5 + tBL 2 = 20
    result = replay(HBM2, BANKS, [(0, 1, 0, 0, 7, 3)])
    assert (result.cycles, result.writes, result.reads) == (20, 1, 0)


def test_row_conflict_reads():
    # ACT 1, RD 15; PRE at max(1 + tRAS 34, 15 + tRTP 5) = 35; ACT at max(35 + tRP 14, 1 + tRC 48) = 49; RD 63; end 79
    result = replay(HBM2, BANKS, [(0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 1, 0)], trace=True)
    assert clocks(result.trace, cmd.ACT, cmd.PRE, cmd.RD) == [1, 15, 35, 49, 63]
    assert result.cycles == 63 + 16
    assert (result.row_hits, result.row_misses, result.row_conflicts) == (0, 1, 1)


def test_row_conflict_writes():
    # ACT 1, WR 13; PRE at 13 + CWL 5 + tBL 2 + tWR 16 = 36; ACT 50; WR 62; end 62 + 7
    result = replay(HBM2, BANKS, [(0, 1, 0, 0, 0, 0), (0, 1, 0, 0, 1, 0)])
    assert result.cycles == 69


@pytest.mark.parametrize(("group", "gap"), [(0, 4), (1, 4)])
def test_second_column(group, gap):
    # same group: tCCD_L 4 after the first. Other group: its ACT is tRRD_S 4 later, so its RD is 4 later, over tCCD_S 2
    result = replay(HBM2, BANKS, [(0, 0, 0, 0, 0, 0), (0, 0, group, 0, 0, 1)], trace=True)
    first, second = clocks(result.trace, cmd.RD)
    assert second - first == gap


def test_open_rows_alternate_groups_at_tCCD_S():
    # rows of groups 0 and 1 open after the first two reads (15, 19); then one read every tCCD_S 2
    requests = [(0, 0, i % 2, 0, 0, i) for i in range(8)]
    result = replay(HBM2, BANKS, requests, trace=True)
    reads = clocks(result.trace, cmd.RD)
    assert reads[0] == 15
    # group 0 may read at 15, 19, 23, 27; group 1 at 19 + ... : 21 would be tCCD_S after 19 of the other group
    assert [b - a for a, b in itertools.pairwise(reads[2:])] == [2] * 5


def test_four_activate_window():
    # tFAW 30 instead of 15: ACTs at 1, 5, 9, 13 (tRRD 4), the fifth not before 1 + 30 = 31
    slow = HBM2.model_copy(update={"tFAW": 30})
    requests = [(0, 0, i % 4, i // 4, 0, 0) for i in range(5)]
    assert clocks(replay(slow, BANKS, requests, trace=True).trace, cmd.ACT) == [1, 5, 9, 13, 31]


def test_turnarounds_in_an_open_row():
    # RD 15; WR CL 14 + tBL 2 + gap 2 - CWL 5 = 13 later: 28; RD of the group CWL 5 + tBL 2 + tWTR_L 8 = 15 later: 43
    requests = [(0, 0, 0, 0, 0, 0), (0, 1, 0, 0, 0, 1), (0, 0, 0, 0, 0, 2)]
    result = replay(HBM2, BANKS, requests, window=1, trace=True)
    assert clocks(result.trace, cmd.RD, cmd.WR) == [15, 28, 43]


def test_refresh_comes_every_tREFI():
    # one request at clock 4000: refresh due at 3900, all banks closed already: PREA 3900, REF 3914, free at 4174;
    # then ACT 4174, RD 4188, end 4204
    result = replay(HBM2, BANKS, [(4000, 0, 0, 0, 0, 0)], refresh="all-bank", trace=True)
    assert result.n_REF == 1
    assert clocks(result.trace, cmd.REF) == [3900 + 14]
    assert result.cycles == 3900 + 14 + 260 + 14 + 14 + 2


def test_starved_request_gets_its_bank():
    # a row hit stream on row 0 would hold bank 0 for ever; row 1 is opened once 16 columns have passed its request
    requests = [(0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 1, 0), *((0, 0, 0, 0, 0, i % 32) for i in range(29))]
    result = replay(HBM2, BANKS, requests, trace=True)
    rows = [int(entry["row"]) for entry in result.trace if entry["kind"] == cmd.RD]
    assert rows == [0] + [0] * 16 + [1] + [0] * 13


def test_kernel_time_reads():
    # PIM_ACT at 0, 4, 8, 12; first step 12 + tRCDRD 14 = 26; 32 steps every 4: 26 + 31 * 4 + 4
    assert kernel_time(HBM2, BANKS, kernel("r")) == 26 + 32 * 4
    # one activate for all units: first step at 14
    assert kernel_time(HBM2, BANKS, kernel("r", all_bank_activate=True)) == 14 + 32 * 4


def test_kernel_time_exposed_rows():
    # row 1 in the same bank: last step of row 0 at 26 + 124 = 150, precharge at 155 (tRTP), activates from 169 on,
    # 4 apart; step at 169 + 12 + 14 = 195
    expected = 195 + 32 * 4
    assert kernel_time(HBM2, BANKS, kernel("r", rows=2, row_switch="exposed")) == expected
    # hidden: the second row is open by then
    assert kernel_time(HBM2, BANKS, kernel("r", rows=2)) == 26 + 64 * 4


def test_kernel_time_turnarounds():
    # read and write operand in distinct banks, 1 register: R W R W ...; read to write cadence 4, write to read
    # CWL 5 + tBL 2 + tWTR_L 8 = 15. Activates 0..12 and 16..28, so the first write waits for 28 + tRCDWR 12 = 40
    # (after the read at 26); then reads 15 after a write and writes 4 after a read: 31 periods of 19 to the last write
    assert kernel_time(HBM2, BANKS, kernel("rw")) == 40 + 31 * 19 + 4


def test_same_bank_operands_reopen_rows():
    # 8 registers: 4 batches of 8 columns per operand, 8 segments in one bank, each opened again.
    # A segment: activates 0..12, steps 26 .. 26 + 28 = 54; precharge 59 (tRTP; tRAS of the last activate: 46);
    # next activate 73 (the first one's tRC 48 is over). So 73 per segment, the last ends at 54 + 4
    one = kernel("rr", registers=8, placement="same")
    assert kernel_time(HBM2, BANKS, one) == 7 * 73 + 58


def test_kernel_alone_hidden_reads_run_at_the_cadence():
    result = kernel_alone(HBM2, BANKS, kernel("r"), cycles=100_000, warmup=1000)
    assert result.pim_step_rate == pytest.approx(1 / 4, rel=1e-4)


def test_kernel_alone_exposed():
    # per row: 32 steps, the last at +124; PRE +5, ACT +14, last unit +12, tRCD 14: 169 clocks
    result = kernel_alone(HBM2, BANKS, kernel("r", row_switch="exposed"), cycles=169_000, warmup=1690)
    assert result.pim_step_rate == pytest.approx(32 / 169, rel=1e-3)


def test_first_handover_of_exclusive():
    # queued 0 <= theta_low at clock 0: SWITCH and PREA at 0, GRANT at 0 + tRP 14 (+ mode switch 10), first step
    # after the activates of 4 units: 24 + 12 + 14
    policy = Policy(kind="exclusive", theta_low=0, theta_high=8)
    one = scenario(policy, rate=0.1, pim=kernel(mode_switch=10))
    trace = simulate(one, cycles=150, trace=True).trace
    assert cmd.names(trace)[:3] == ["0 SWITCH", "0 PREA", "24 GRANT"]
    assert clocks(trace, cmd.PIM_ACT)[:4] == [24, 28, 32, 36]
    assert clocks(trace, cmd.PIM_RD)[0] == 50
    # rate 0.1: requests are generated at clocks 9, 19, ...; the eighth at 79; the condition holds in clock 80
    assert clocks(trace, cmd.SWITCH)[1] == 80
    # the PIM's step at 78 allows PREA at 83; the row being opened behind it was opened at 40..52, tRAS 34 later: 86
    assert clocks(trace, cmd.PREA)[1] == 86
    assert clocks(trace, cmd.GRANT)[1] == 86 + 14 + 10
    assert clocks(trace, cmd.ACT)[0] == 110


def test_a_host_read_is_not_starved_by_pim_writes():
    # A read may follow a PIM write after CWL 5 + tBL 2 + tWTR_L 8 = 15 clocks, a step comes every 4: going by turns, a
    # read that waits for nothing but steps holds the next step back. It costs at most 15 + tCCD_L 4 clocks of steps.
    one = scenario(Policy(kind="partitioned"), pim=kernel("w"), rate=0.02, columns=1)
    result = simulate(one, cycles=50_000, warmup=5_000)
    assert result.host_rate == pytest.approx(0.02, rel=0.01)
    assert (1 - 0.02 * 19) / 4 <= result.pim_step_rate <= 1 / 4


def test_a_step_of_half_the_units_does_half_the_work():
    # 16 units: half of them have no bank in the PIM's half, so 16 steps' work takes the 32 steps of a row. The row is
    # opened by 8 activates 4 apart, the first step comes tRCD 14 after the last of them: 28 + 14 + 32 x 4.
    one = scenario(Policy(kind="partitioned"), pim=kernel("r", units=16), rate=0.001)
    assert run_pair(one, 0, 16).pim_clocks == 170


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ((-1, 0, 0, 0, 0, 0), "request 1: arrival is -1; allowed: 0 or more"),
        ((0, 2, 0, 0, 0, 0), "request 1: write is 2; allowed: 0 to 1"),
        ((0, 0, 4, 0, 0, 0), "request 1: bank group is 4; allowed: 0 to 3"),
        ((0, 0, 0, -1, 0, 0), "request 1: bank is -1; allowed: 0 to 3"),
        ((0, 0, 0, 0, -1, 0), "request 1: row is -1; allowed: 0 or more"),
    ],
)
def test_requests_that_cannot_be_are_named(request_, message):
    with pytest.raises(PimModelError, match=message):
        replay(HBM2, BANKS, [(0, 0, 0, 0, 0, 0), request_])
