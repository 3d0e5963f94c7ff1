"""The best thresholds of a pair: the completion formula against a slow twin, and the grid against plain search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pimmodel as pm
from pimmodel.optimize.pair import best_thresholds, completion_time
from pimmodel.pim.tasks import pim_kernel
from pimmodel.scenario import Policy
from pimmodel.sharing.model import ClosedForm
from pimmodel.sharing.pairs import pair_scenario, policy_progress, threshold_grid

V100 = pm.load_system("v100-bankgroup-pim")
BATCH_NORM = ((False,), (False, True))
work = st.floats(1e-6, 1e3)
progress = st.floats(0.01, 1)


def slow_completion(host: float, pim: float, host_rate: float, pim_rate: float) -> float:
    """Run both until one is done, then the other alone; or in turns where that is sooner."""
    first = min(host / host_rate, pim / pim_rate)
    left = (host - host_rate * first) + (pim - pim_rate * first)
    return min(host + pim, first + left)


@given(work, work, progress, progress)
def test_completion_is_what_running_it_gives(host: float, pim: float, host_rate: float, pim_rate: float) -> None:
    found = completion_time(host_work=host, pim_work=pim, host_progress=host_rate, pim_progress=pim_rate)
    assert found == pytest.approx(slow_completion(host, pim, host_rate, pim_rate), rel=1e-9)
    assert max(host, pim) * (1 - 1e-12) <= found <= (host + pim) * (1 + 1e-12)


def test_completion_by_hand() -> None:
    # The host needs 3 / 0.75 = 4 s, in which the PIM does 0.5 x 4 = 2 of its 5 s; then 3 s alone: 7 s.
    assert completion_time(host_work=3, pim_work=5, host_progress=0.75, pim_progress=0.5) == pytest.approx(7)
    # With 0.4 and 0.4 both lose: 3 + 5 in turns.
    assert completion_time(host_work=3, pim_work=5, host_progress=0.4, pim_progress=0.4) == pytest.approx(8)


def test_the_grid_has_every_pair() -> None:
    low, high = threshold_grid(V100)
    assert len(low) == 64 * 65 // 2  # 0 <= low < high <= 64
    assert set(zip(low.tolist(), high.tolist(), strict=True)) == {(a, b) for b in range(1, 65) for a in range(b)}


@pytest.mark.parametrize(("rate", "pim_time"), [(0.05, 0.5), (0.2, 0.5), (0.2, 3.0), (0.35, 1.0)])
def test_thresholds_are_the_best_of_a_plain_search(rate: float, pim_time: float) -> None:
    """Every pair of a coarser grid, one scenario at a time through the general closed form."""
    kernel = pim_kernel(BATCH_NORM, V100)
    best = best_thresholds(V100, rate, 0.25, kernel, 1.0, pim_time)
    found = []
    for low, high in ((a, b) for a in range(0, 64, 9) for b in range(a + 1, 65, 9)):
        policy = Policy(kind="exclusive", theta_low=low, theta_high=high)
        rates = ClosedForm().rates(pair_scenario(V100, rate, 0.25, kernel, policy))
        found.append(slow_completion(1.0, pim_time, max(rates.host_rate / rates.host_alone, 1e-9),
                                     max(rates.pim_rate, 1e-9)))  # fmt: skip
    assert best.time <= min(found) * (1 + 1e-9)
    # And its own figure is what the general closed form says of its thresholds.
    policy = Policy(kind="exclusive", theta_low=best.theta_low, theta_high=best.theta_high)
    again = policy_progress(V100, rate, 0.25, kernel, policy)
    assert (best.host, best.pim) == pytest.approx((float(again.host), float(again.pim)), rel=1e-9)


@pytest.mark.parametrize("quotas", [{"quota_host": 40}, {"quota_pim": 40}, {"quota_host": 200, "quota_pim": 200}])
def test_quotas_do_not_beat_open_turns(quotas: dict[str, int]) -> None:
    """Why the search leaves quotas open: each of them only adds hand-overs (checked on pairs of three loads)."""
    kernel = pim_kernel(BATCH_NORM, V100)
    for rate in (0.05, 0.15, 0.3):
        best = best_thresholds(V100, rate, 0.25, kernel, 1.0, 0.7)
        policy = Policy(kind="exclusive", theta_low=best.theta_low, theta_high=best.theta_high, **quotas)
        found = policy_progress(V100, rate, 0.25, kernel, policy)
        time = slow_completion(1.0, 0.7, max(float(found.host), 1e-9), max(float(found.pim), 1e-9))
        assert time >= best.time * (1 - 0.01)  # the closed form's own grain


def test_a_busy_memory_is_better_not_shared() -> None:
    """A costly hand-over makes turns one after the other the better choice."""
    kernel = pim_kernel(BATCH_NORM, V100).model_copy(update={"mode_switch": 2000})
    best = best_thresholds(V100, 0.45, 0.5, kernel, 1.0, 0.5)
    assert not best.shares
    assert best.time == pytest.approx(1.5)


def test_progress_is_a_share() -> None:
    low, high = threshold_grid(V100)
    from pimmodel.sharing.pairs import exclusive_progress

    found = exclusive_progress(V100, [0.02, 0.2, 0.4], 0.5, pim_kernel(BATCH_NORM, V100), low, high)
    for one in (found.host, found.pim):
        assert one.shape == (3, len(low))
        assert np.all((one >= 0) & (one <= 1))
