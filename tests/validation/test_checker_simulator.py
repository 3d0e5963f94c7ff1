"""The simulator's traces against the checker: random parts, streams, kernels and policies break no rule."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pimmodel.validation import trace as t
from pimmodel.validation.checker import check, check_channel
from pimmodel.validation.simulator.replay import replay
from pimmodel.validation.simulator.simulate import kernel_alone, simulate
from trace_lines import ORGANISATION, TIMING

from pimmodel.hardware.memory import MemoryTiming, Organisation
from pimmodel.scenario import HostQueue, HostStream, PimKernel, PimOperand, PimPass, Policy, Scenario

CLOCKS = 4000
KINDS = ("gpu-only", "serial", "partitioned", "uncoordinated", "exclusive", "watermark", "bypass-cap", "time-slice",
         "host-first", "pim-first")  # fmt: skip


def whole(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high)


@st.composite
def timings(draw: Any) -> MemoryTiming:
    """A part that MemoryTiming accepts; refresh often enough to happen several times in a run."""
    rcd_read, rcd_write, rp = draw(whole(4, 20)), draw(whole(3, 20)), draw(whole(3, 20))
    ras = draw(whole(max(rcd_read, rcd_write), 45))
    burst = draw(st.sampled_from([1, 2, 4]))
    ccd_s = burst + draw(whole(0, 1))
    rrd_s, wtr_s, cl = draw(whole(1, 6)), draw(whole(1, 8)), draw(whole(4, 20))
    rrd_l = rrd_s + draw(whole(0, 4))
    return MemoryTiming(
        CL=cl, CWL=draw(whole(2, cl)), tBL=burst, tRCDRD=rcd_read, tRCDWR=rcd_write, tRP=rp, tRAS=ras,
        tRC=ras + rp + draw(st.sampled_from([0, 0, 6])), tCCD_S=ccd_s, tCCD_L=ccd_s + draw(whole(0, 3)), tRRD_S=rrd_s,
        tRRD_L=rrd_l, tFAW=draw(whole(4 * rrd_s, 8 * rrd_l + 4)), tRTP=draw(whole(2, 9)), tWR=draw(whole(4, 20)),
        tWTR_S=wtr_s, tWTR_L=wtr_s + draw(whole(0, 5)), tRTW_gap=draw(whole(0, 3)), tRFC=draw(whole(60, 200)),
        tRFCpb=draw(whole(30, 90)), tREFI=draw(st.sampled_from([700, 1200])),
        tREFIpb=draw(st.sampled_from([100, 150, 250])), tRREFD=draw(whole(2, 10)),
    )  # fmt: skip


@st.composite
def kernels(draw: Any, banks: int, cadence: int) -> PimKernel:
    units = draw(st.sampled_from([units for units in (1, 2, 4, 8) if banks % units == 0]))
    placement = draw(st.sampled_from(["distinct", "same"]))
    most = min(3, banks // units) if placement == "distinct" else 3
    operand = st.builds(PimOperand, write=st.booleans())
    one = st.builds(PimPass, operands=st.lists(operand, min_size=1, max_size=most).map(tuple), rows=whole(1, 3))
    return PimKernel(
        passes=tuple(draw(st.lists(one, min_size=1, max_size=2))),
        units=units,
        cadence=cadence + draw(st.sampled_from([0, 0, 1, 5])),
        columns_per_row=draw(st.sampled_from([4, 16, 32])),
        registers=draw(st.sampled_from([1, 2, 8])),
        placement=placement,
        row_switch=draw(st.sampled_from(["hidden", "exposed"])),
        all_bank_activate=draw(st.booleans()),
        mode_switch=draw(st.sampled_from([0, 0, 5, 190])),
        write_to_read=draw(st.sampled_from([None, 3, 20])),
        read_to_write=draw(st.sampled_from([None, 9])),
    )


@st.composite
def policies(draw: Any, kind: str) -> Policy:
    numbers: dict[str, Any] = {}
    if kind in ("exclusive", "watermark"):
        low = draw(whole(0, 20))
        numbers = {"theta_low": low, "theta_high": low + draw(whole(1, 64))}
    if kind == "exclusive":
        quota = st.one_of(st.none(), whole(1, 60))
        numbers |= {"quota_host": draw(quota), "quota_pim": draw(quota)}
    if kind == "bypass-cap":
        numbers = {"bypass_cap": draw(whole(1, 64)), "slowdown": draw(st.sampled_from([1, 2, 3.5]))}
    if kind == "time-slice":
        numbers = {"slice_host": draw(whole(1, 600)), "slice_pim": draw(whole(1, 600))}
    return Policy(kind=kind, **numbers)  # type: ignore[arg-type]


@st.composite
def scenarios(draw: Any, kind: str) -> Scenario:
    timing = draw(timings())
    groups, size = draw(st.sampled_from([(4, 4), (2, 4), (4, 2), (1, 4)]))
    banks = groups * size
    stream = HostStream(
        rate=draw(st.sampled_from([0.0, 0.02, 0.1, 0.2, 0.4, 1.0])),
        substreams=draw(st.sampled_from([1, 4, 16])),
        spread=draw(whole(1, banks)),
        columns=draw(st.sampled_from([1, 2, 4, 16, 40])),
        write_share=draw(st.sampled_from([0.0, 0.3, 0.5, 1.0])),
        arrival=draw(st.sampled_from(["even", "poisson"])),
    )
    return Scenario(
        timing=timing,
        organisation=Organisation(
            bank_groups=groups, banks_per_group=size, rows=4096, columns_per_row=32, bytes_per_column=32
        ),
        stream=stream,
        queue=HostQueue(
            capacity=draw(st.sampled_from([4, 16, 64])),
            window=draw(st.sampled_from([1, 4, 16, 64])),
            starvation_cap=draw(st.sampled_from([1, 4, 16])),
        ),
        kernel=draw(kernels(banks, timing.tCCD_L)),
        policy=draw(policies(kind)),
        refresh=draw(st.sampled_from(["off", "all-bank", "per-bank"])),
    )


def check_random_scenario(kind: str, data: st.DataObject) -> None:
    case, seed = data.draw(scenarios(kind)), data.draw(whole(0, 9))
    result = simulate(case, cycles=CLOCKS, seed=seed, trace=True)
    assert [str(one) for one in check(result.trace, case, end=CLOCKS)] == []


QUICK = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("kind", KINDS)
@QUICK
@given(data=st.data())
def test_no_policy_breaks_a_rule(kind, data):
    check_random_scenario(kind, data)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@settings(QUICK, max_examples=300)
@given(data=st.data())
def test_no_policy_breaks_a_rule_in_many_scenarios(kind, data):
    check_random_scenario(kind, data)


@QUICK
@given(data=st.data())
def test_kernel_alone_breaks_no_rule(data):
    case = data.draw(scenarios("exclusive"))
    result = kernel_alone(case.timing, case.organisation, case.kernel, case.refresh, cycles=CLOCKS, trace=True)
    assert [str(one) for one in check(result.trace, case, first_owner=t.PIM, end=CLOCKS)] == []


@QUICK
@given(
    timing=timings(),
    requests=st.lists(
        st.tuples(whole(0, 1), whole(0, 3), whole(0, 3), whole(0, 2), whole(0, 31)), min_size=1, max_size=200
    ),
    window=st.sampled_from([1, 4, None]),
    queues=st.sampled_from(["unified", "separate"]),
    refresh=st.sampled_from(["off", "all-bank", "per-bank"]),
    activate_clocks=whole(1, 2),
)
def test_replay_breaks_no_rule(timing, requests, window, queues, refresh, activate_clocks):
    found = replay(
        timing, ORGANISATION, [(0, *one) for one in requests], window=window, queues=queues, refresh=refresh,
        activate_clocks=activate_clocks, trace=True,
    )  # fmt: skip
    columns = [one for one in found.trace if one["kind"] in (t.RD, t.WR)]
    assert len(columns) == len(requests)
    violations = check_channel(found.trace, timing, ORGANISATION, refresh=refresh, activate_clocks=activate_clocks)
    assert [str(one) for one in violations] == []


def test_command_moved_in_a_simulated_trace_is_caught():
    """Each command but the first, a clock earlier, breaks a rule in a trace that leaves no clock unused."""
    requests = [(0, 0, 0, 0, row, 0) for row in range(4)]
    found = replay(TIMING, ORGANISATION, requests, trace=True).trace
    assert check_channel(found, TIMING, ORGANISATION) == []
    for number in range(1, len(found)):
        moved = found.copy()
        moved["clock"][number] -= 1
        assert check_channel(moved, TIMING, ORGANISATION) != [], t.names(moved)[number]
