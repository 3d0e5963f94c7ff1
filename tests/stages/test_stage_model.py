"""The stage model against the event-driven fluid schedule of the same plan, and its compiled form against both."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import pimmodel as pm
from pimmodel.pim.tasks import pim_kernel
from pimmodel.roofline.menu import Rates
from pimmodel.scenario import Policy
from pimmodel.schedule.plan import run, uniform_plan
from pimmodel.schedule.workload import Workload
from pimmodel.sharing.pairs import exclusive_progress
from pimmodel.stages.batch import CACHED, StageBatch
from pimmodel.stages.host import fastest, system_rates
from pimmodel.stages.model import StageModel, stage_model
from pimmodel.stages.progress import progress_table
from pimmodel.stages.room import Room
from pimmodel.step import prepare

LOW, HIGH = 16, 58
# Worst error on the default system at batch 8 over chunks 1 and 4; branches make it larger (`pimmodel.stages.model`).
NETWORKS = {"alexnet": 0.01, "resnet18": 0.005, "squeezenet1_1": 0.005, "googlenet": 0.02}


@cache
def _work(network: str, batch: int = 8, precision: Any = "fp32") -> Workload:
    return prepare(pm.load_network(network, batch=batch), pm.load_system("v100-bankgroup-pim"),
                   precision=precision).workload  # fmt: skip


def _uniform(model: StageModel) -> Any:
    return np.full(len(model.structure), model.table.pair(LOW, HIGH))


@pytest.mark.parametrize("chunks", [1, 4])
@pytest.mark.parametrize(("network", "error"), NETWORKS.items())
def test_as_the_fluid_schedule(network: str, error: float, chunks: int) -> None:
    work = _work(network)
    model = stage_model(work, chunks=chunks)
    fluid = run(work, uniform_plan(work, Policy(kind="exclusive", theta_low=LOW, theta_high=HIGH), chunks=chunks))
    assert model.time(_uniform(model)) == pytest.approx(fluid.makespan, rel=error)


@pytest.mark.slow
def test_error_over_ten_networks() -> None:
    """The figures in the docstring of `pimmodel.stages.model` and in the README; shown with `-s`."""
    errors = {}
    for network in ("alexnet", "vgg16", "googlenet", "resnet18", "resnet50", "densenet121", "mobilenet_v2",
                    "squeezenet1_1", "inception_v3", "resnet152"):  # fmt: skip
        work = _work(network, batch=64)
        for chunks in (1, 4):
            model = stage_model(work, chunks=chunks)
            for low, high in ((16, 58), (4, 30)):
                found = model.time(np.full(len(model.structure), model.table.pair(low, high)))
                plan = uniform_plan(work, Policy(kind="exclusive", theta_low=low, theta_high=high), chunks=chunks)
                errors[network, chunks, low] = abs(found / run(work, plan).makespan - 1)
    values = np.array(list(errors.values()))
    print(f"median {np.median(values):.3%}, 90 % {np.percentile(values, 90):.2%}, worst {values.max():.2%}")
    assert np.median(values) < 0.001
    assert values.max() < 0.02


def test_no_pim_is_the_sum_of_the_host() -> None:
    work = _work("resnet18")
    model = stage_model(work, on_pim=np.zeros(len(work), dtype=bool))
    assert model.time(_uniform(model)) == pytest.approx(work.host[1].time.sum(), rel=1e-12)


def test_between_overlap_and_turns() -> None:
    work = _work("resnet18")
    model = stage_model(work)
    host, pim = work.host[1].time[model.structure.host].sum(), model.pim_total
    for pairs in (_uniform(model), None):
        assert max(host, pim) <= model.time(pairs) <= host + pim


def test_all_pim_work_is_done_once() -> None:
    model = stage_model(_work("resnet18"))
    eligible = np.nansum(model.work.pim)
    assert model.pim_total == pytest.approx(eligible, rel=1e-12)
    stages = model.stages(_uniform(model))
    assert sum(one.done + one.filled + one.wait for one in stages) <= eligible * (1 + 1e-12)


def test_best_thresholds_beat_any_single_pair() -> None:
    model = stage_model(_work("resnet18"))
    best = model.time()
    for low, high in ((16, 58), (4, 30), (0, 64), (2, 60)):
        assert best <= model.time(np.full(len(model.structure), model.table.pair(low, high))) * (1 + 1e-9)


@pytest.mark.parametrize(("precision", "chunks"), [("fp32", 1), ("fp32", 4), ("fp16", 2)])
def test_compiled_as_readable(precision: str, chunks: int) -> None:
    """Many designs at once, as one after another, to 1e-12."""
    work = _work("resnet18", precision=precision)
    model = stage_model(work, chunks=chunks)
    batch = StageBatch(model)
    own = system_rates(work.system)
    rates = Rates(own.clock * np.ones(3), own.tensor_peak, own.bandwidth, own.l2_bandwidth, own.launch)
    host = batch.host.at(fastest(batch.menu, rates))
    pairs = [model.table.pair(*pair) for pair in ((16, 58), (4, 30), (2, 60))]
    expected = [model.time(np.full(len(model.structure), pair)) for pair in pairs]
    np.testing.assert_allclose(batch.times(host, thresholds=np.array(pairs)), expected, rtol=1e-12)
    each = np.resize(pairs, len(model.structure))
    np.testing.assert_allclose(batch.times(host, pairs=each), model.time(each), rtol=1e-12)
    np.testing.assert_allclose(batch.times(host), model.time(), rtol=1e-12)
    many = np.resize(pairs, CACHED + 7)  # more than one block, the last not full
    clocks = Rates(np.full(len(many), own.clock), *list(vars(own).values())[1:])
    for _ in range(2):  # filling its tables, and from them
        found = StageBatch.from_rates(batch, clocks, many, Room())
        np.testing.assert_allclose(found, np.resize(expected, len(many)), rtol=1e-12)


def test_linear_between_nodes_is_near_the_closed_form() -> None:
    work = _work("resnet18")
    table = progress_table(work.system)
    kernel = next(one for one in work.signatures if one is not None)
    pairs = np.array([table.pair(16, 58), table.pair(4, 30)])
    rates = np.linspace(0.02, 0.3, 15)
    exact = exclusive_progress(
        work.system, rates, 0.5, pim_kernel(kernel, work.system), table.low[pairs], table.high[pairs]
    )
    found = [table.at(((kernel, 1.0),), 8, rate, pairs) for rate in rates]
    for place, side in enumerate((exact.host, exact.pim)):
        error = np.abs(np.array([one[place] for one in found]) - side)
        assert error.max() < 0.25  # at a jump between two nodes
        assert error.mean() < 0.03
