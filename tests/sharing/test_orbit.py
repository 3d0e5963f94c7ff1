"""Turns followed one after another: by hand, beside the mean cycle, and within bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimmodel.hardware.load import load_memory
from pimmodel.pim.kernel import kernel_speed
from pimmodel.scenario import HostQueue, HostStream, PimKernel, PimOperand, PimPass, Policy, Scenario
from pimmodel.sharing.model import ClosedForm, with_policy

MEMORY = load_memory("hbm2-ramulator")


def scenario(*, rate: float, low: int, high: int, refresh: str = "off", window: int = 64, **policy: int) -> Scenario:
    kernel = PimKernel(passes=(PimPass(operands=(PimOperand(),)),), cadence=4, columns_per_row=8, row_switch="exposed")
    return Scenario(
        timing=MEMORY.timing,
        organisation=MEMORY.organisation,
        stream=HostStream(rate=rate, substreams=16, spread=1, columns=16, write_share=0.0),
        queue=HostQueue(capacity=window, window=window),
        kernel=kernel,
        policy=Policy(kind="exclusive", theta_low=low, theta_high=high, **policy),  # type: ignore[arg-type]
        refresh=refresh,  # type: ignore[arg-type]
    )


def test_turns_that_end_in_a_row_switch_make_whole_rows() -> None:
    # 11 requests, the first after half an interval on average, arrive in 10.5 / 0.105 = 100 clocks, give or take 5. The
    # hand-over takes tRP 14 and a wait of tRTP 5 to tRAS 34, which leaves the PIM 52 to 86 clocks, mostly well over 55.
    # Its row is open after 26 clocks, its eight steps are made after 54, the next row's first would come after 99.
    one = scenario(rate=0.105, low=20, high=31)
    rates = ClosedForm().rates(one)
    steps = rates.pim_rate * rates.pim_alone * 2000 / rates.switches_per_kilocycle
    assert steps == pytest.approx(8, abs=0.3)


def test_long_turns_are_those_of_the_mean_cycle() -> None:
    # A PIM turn of (200 - 10) / 0.02 = 9500 clocks: hand-overs and places in the kernel hardly matter.
    one = scenario(rate=0.02, low=10, high=200, window=256)
    followed, mean = ClosedForm().rates(one), ClosedForm(follow=False).rates(one)
    assert followed.pim_rate == pytest.approx(mean.pim_rate, rel=0.01)
    assert followed.host_rate == pytest.approx(mean.host_rate, rel=0.01)


def test_a_quota_of_steps_is_kept() -> None:
    # 5 column steps per turn, and no turn is ended by the queue, which takes 40 / 0.02 = 2000 clocks to fill.
    one = scenario(rate=0.02, low=4, high=44, quota_pim=5)
    rates = ClosedForm().rates(one)
    steps = rates.pim_rate * rates.pim_alone * 2000 / rates.switches_per_kilocycle
    assert steps == pytest.approx(5, rel=1e-6)


def test_refresh_takes_its_share() -> None:
    # All-bank refresh keeps the memory for tRFC of every tREFI, in one hand-over or the other.
    off = ClosedForm().rates(scenario(rate=0.1, low=16, high=56))
    on = ClosedForm().rates(scenario(rate=0.1, low=16, high=56, refresh="all-bank"))
    lost = MEMORY.timing.tRFC / MEMORY.timing.tREFI
    assert off.pim_rate * off.pim_alone * (1 - 3 * lost) < on.pim_rate * on.pim_alone < off.pim_rate * off.pim_alone


@settings(deadline=None, max_examples=12)
@given(rate=st.floats(0.02, 0.4), low=st.integers(0, 40), more=st.integers(1, 23),
       refresh=st.sampled_from(["off", "all-bank", "per-bank"]),
       policy=st.sampled_from(["exclusive", "watermark", "bypass-cap", "time-slice", "host-first"]))  # fmt: skip
def test_bounds(rate: float, low: int, more: int, refresh: str, policy: str) -> None:
    one = scenario(rate=rate, low=low, high=low + more, refresh=refresh)
    if policy != "exclusive":
        numbers = {"watermark": {"theta_low": low, "theta_high": low + more},
                   "bypass-cap": {"bypass_cap": 8 + low, "slowdown": 2.0},
                   "time-slice": {"slice_host": 100 + 10 * low, "slice_pim": 100 + 10 * more}}  # fmt: skip
        one = with_policy(one, kind=policy, **numbers.get(policy, {}))
    rates = ClosedForm().rates(one)
    alone = kernel_speed(MEMORY.timing, MEMORY.organisation, one.kernel, refresh).rate
    assert 0 <= rates.host_rate <= rate * (1 + 1e-9)
    assert 0 <= rates.pim_rate <= 1
    assert rates.pim_alone == alone
    assert np.isfinite(rates.switches_per_kilocycle)
    assert -1e-9 <= rates.host_stall_share <= 1
