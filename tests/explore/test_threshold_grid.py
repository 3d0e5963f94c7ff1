"""All thresholds at once against the readable stage model, one pair at a time."""

from __future__ import annotations

import numpy as np
import pytest

import pimmodel as pm
from pimmodel.estimates import estimate_step
from pimmodel.explore.grid import ThresholdGrid, threshold_grid_of
from pimmodel.stages.model import stage_model
from pimmodel.step import prepare


@pytest.fixture(scope="module", params=[("alexnet", 8, 1), ("resnet18", 2, 4)], ids=lambda case: case[0])
def grid(request: pytest.FixtureRequest) -> ThresholdGrid:
    network, batch, chunks = request.param
    step = prepare(pm.load_network(network, batch=batch), pm.load_system("v100-bankgroup-pim"))
    return threshold_grid_of(stage_model(step.workload, chunks=chunks))


@pytest.mark.parametrize("thresholds", [(0, 1), (0, 64), (16, 58), (63, 64), (5, 40)])
def test_same_stages_as_one_by_one(grid: ThresholdGrid, thresholds: tuple[int, int]) -> None:
    model = grid.model
    pair = model.table.pair(*thresholds)
    assert (grid.low[pair], grid.high[pair]) == thresholds
    one_by_one = model.stages(np.full(len(model.structure), pair))
    np.testing.assert_allclose(grid.wait[:, pair], [one.wait for one in one_by_one], rtol=1e-12, atol=1e-18)
    np.testing.assert_allclose(grid.time[:, pair], [one.time for one in one_by_one], rtol=1e-12)
    done = sum(one.wait + one.done + one.filled for one in one_by_one)
    assert grid.left[pair] == pytest.approx(model.pim_total - done, rel=1e-9, abs=1e-15)


def test_no_pair_is_better_than_the_best_and_none_beats_the_bound(grid: ThresholdGrid) -> None:
    assert grid.total[grid.best] == grid.total.min()
    assert grid.total.shape == (65 * 64 // 2,)  # theta_low < theta_high, both from 0 to the queue's 64
    host, pim = grid.alone.sum(), grid.model.pim_total
    assert grid.total.min() >= max(host, pim) * (1 - 1e-12)
    assert grid.total.max() <= (host + pim) * (1 + 1e-9)  # never worse than in turns


def test_the_pim_does_not_run_longer_than_a_stage_lasts(grid: ThresholdGrid) -> None:
    assert (grid.busy >= 0).all()
    assert (grid.updating >= -1e-18).all()
    assert (grid.busy + grid.updating <= grid.time * (1 + 1e-9)).all()
    assert (grid.time >= grid.alone[:, None] * (1 - 1e-12)).all()


def test_same_as_the_facade() -> None:
    step = prepare(pm.load_network("alexnet", batch=8), pm.load_system("v100-bankgroup-pim"))
    grid = threshold_grid_of(stage_model(step.workload))
    expected = estimate_step(step, "exclusive", (12, 50), "stages").time
    assert grid.total[grid.model.table.pair(12, 50)] == pytest.approx(expected, rel=1e-12)


def test_progress_is_told_from_nothing_to_all() -> None:
    step = prepare(pm.load_network("alexnet", batch=8), pm.load_system("v100-bankgroup-pim"))
    told: list[tuple[int, int]] = []
    threshold_grid_of(stage_model(step.workload), lambda done, whole: told.append((done, whole)))
    whole = told[0][1]
    assert told == [(done, whole) for done in range(whole + 1)]
