"""Every figure of a sweep is `estimate`'s for that design, to 1e-9; designs that cannot be say why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from study_cases import network, system

import pimmodel as pm
from pimmodel.errors import PimModelError
from pimmodel.estimates import estimate_step
from pimmodel.hardware.load import replace
from pimmodel.network.rebatch import with_batch
from pimmodel.sensitivity.uncertainty import scaled_time_interval
from pimmodel.stages.model import stage_model
from pimmodel.step import prepare

RANGES = {
    "gpu.clock": (0.8e9, 2e9), "gpu.l2_bandwidth": (1e12, 4e12), "gpu.launch_overhead": (1e-6, 6e-6),
    "memory_bandwidth": (3e11, 8.9e11), "thresholds.low": (0, 30), "thresholds.high": (31, 64),
    "memory.timing.tCCD_L": (2, 3), "batch": (4, 5),
}  # fmt: skip


def _expected(values: dict[str, Any], policy: str, **options: Any) -> Any:
    own = {"batch", "thresholds.low", "thresholds.high", "chunks"}
    changed = replace(system(), {name: one for name, one in values.items() if name not in own})
    step = prepare(with_batch(network(), values.get("batch", 8)), changed)
    thresholds = None
    if policy == "exclusive" and "thresholds.low" in values:
        thresholds = (values["thresholds.low"], values["thresholds.high"])
    return estimate_step(step, policy, thresholds, **options)


@pytest.mark.slow
def test_random_designs_are_those_of_estimate() -> None:
    found = pm.sweep(network(), system(), RANGES, method="random", points=5, seed=5, workers=2)
    for point in range(5):
        design = found.isel(design=point)
        values = {name: design[name].item() for name in RANGES}
        assert design.reason.item() == 0
        times = {}
        for policy in ("gpu-only", "serial", "exclusive", "ideal"):
            made = _expected(values, policy, model="stages")
            times[policy] = made.time
            assert design.time.sel(policy=policy).item() == pytest.approx(made.time, rel=1e-9)
            if made.energy:
                assert design.energy.sel(policy=policy).item() == pytest.approx(made.energy.total, rel=1e-9)
        assert np.isnan(design.energy.sel(policy="ideal"))
        assert design.bound.item() == pytest.approx(times["ideal"], rel=1e-9)
        speedup = design.speedup.sel(policy="exclusive", over="serial").item()
        assert speedup == pytest.approx(times["serial"] / times["exclusive"], rel=1e-9)


@pytest.mark.parametrize("chunks", [1, 4])
def test_best_thresholds_are_those_of_estimate(chunks: int) -> None:
    found = pm.sweep(network(), system(), {"gpu.clock": (1e9, 2e9)}, method="random", points=2, chunks=chunks,
                     policies=("exclusive",), outputs=("time", "energy"))  # fmt: skip
    for point in range(2):
        design = found.isel(design=point)
        made = _expected({"gpu.clock": design["gpu.clock"].item()}, "exclusive", model="stages", chunks=chunks)
        assert design.time.item() == pytest.approx(made.time, rel=1e-9)
        assert design.energy.item() == pytest.approx(made.energy.total, rel=1e-9)


@pytest.mark.slow
def test_schedules_are_those_of_estimate() -> None:
    found = pm.sweep(network(), system(), {"gpu.clock": [1e9, 1.5e9]}, policies=("serial", "exclusive", "time-slice"),
                     outputs=("time", "speedup", "energy"), model="schedule")  # fmt: skip
    for policy in ("serial", "exclusive", "time-slice"):
        made = _expected({"gpu.clock": 1.5e9}, policy)
        one = found.sel({"gpu.clock": 1.5e9, "policy": policy})
        assert one.time.item() == pytest.approx(made.time, rel=1e-9)
        assert one.energy.item() == pytest.approx(made.energy.total, rel=1e-9)


@pytest.mark.parametrize("system_name", ["a100-bankgroup-pim", "gtx1080ti-bankgroup-pim", "v100-bank-pim"])
def test_other_systems_in_fp16(system_name: str) -> None:
    other = pm.load_system(system_name)
    found = pm.sweep(network(), other, {"gpu.clock": [1e9, 1.4e9]}, thresholds=(8, 40), precision="fp16")
    for clock in (1e9, 1.4e9):
        step = prepare(network(), replace(other, {"gpu.clock": clock}), precision="fp16")
        for policy, thresholds in (("gpu-only", None), ("serial", None), ("ideal", None), ("exclusive", (8, 40))):
            made = estimate_step(step, policy, thresholds, "stages")
            one = found.sel({"gpu.clock": clock, "policy": policy})
            assert one.time.item() == pytest.approx(made.time, rel=1e-9)
            if made.energy:
                assert one.energy.item() == pytest.approx(made.energy.total, rel=1e-9)


def test_impossible_designs_are_kept_with_a_reason() -> None:
    found = pm.sweep(network(), system(), {"pim.units_per_channel": [1, 3, 8], "memory_bandwidth": [5e11, 2e12]},
                     thresholds=(16, 58), outputs=("time",))  # fmt: skip
    possible = found.reason.values == 0
    assert possible.tolist() == [[True, False], [False, False], [False, False]]
    assert np.isnan(found.time.values[:, ~possible]).all()
    assert np.isfinite(found.time.values[:, possible]).all()
    meanings = found.reason.attrs["flag_meanings"].split("\n")
    assert len(meanings) == 4
    assert "divisor of the 16 banks" in meanings[found.reason.values[1, 0]]
    assert "at most 4" in meanings[found.reason.values[2, 0]]
    assert "memory_bandwidth is more than" in meanings[found.reason.values[0, 1]]


def test_thresholds_out_of_order_are_refused_one_by_one() -> None:
    found = pm.sweep(network(), system(), {"thresholds.low": [10, 40], "thresholds.high": [20, 70]},
                     policies=("exclusive",), outputs=("time",))  # fmt: skip
    assert (found.reason.values == 0).tolist() == [[True, False], [False, False]]


def test_intervals_are_those_of_the_design() -> None:
    """The same intervals as at a point of the sensitivity analysis, which evaluates the readable model."""
    found = pm.sweep(network(), system(), {"gpu.clock": [1e9, 1.4e9]}, thresholds=(16, 58),
                     outputs=("time", "speedup", "interval"))  # fmt: skip
    step = prepare(network(), replace(system(), {"gpu.clock": 1.4e9}))
    design = found.sel({"gpu.clock": 1.4e9})
    stages = stage_model(step.workload)
    pairs = np.full(len(stages.structure), stages.table.pair(16, 58))
    expected = scaled_time_interval(lambda factor: stages.time(pairs, factor), "exclusive")
    one = design.sel(policy="exclusive")
    assert one.time_low.item() == pytest.approx(expected.low, rel=1e-6)
    assert one.time_high.item() == pytest.approx(expected.high, rel=1e-6)
    assert one.time_low.item() < one.time.item() < one.time_high.item()
    # The host's factor is common to both policies: a speedup is surer than a time.
    low, high = (one[f"speedup_{end}"].sel(over="serial").item() for end in ("low", "high"))
    assert low < one.speedup.sel(over="serial").item() < high
    assert high / low < one.time_high.item() / one.time_low.item()


def test_faster_parts_never_make_a_step_slower() -> None:
    found = pm.sweep(network(), system(), {"gpu.clock": np.linspace(0.5e9, 3e9, 30)}, policies=("gpu-only", "serial"),
                     outputs=("time",))  # fmt: skip
    assert (np.diff(found.time.values, axis=1) <= 0).all()
    wider = pm.sweep(network(), system(), {"memory_bandwidth": np.linspace(1e11, 8.9e11, 30)}, policies=("gpu-only",),
                     outputs=("time", "bound"))  # fmt: skip
    assert (np.diff(wider.time.values, axis=1) <= 0).all()
    assert (wider.bound.values <= wider.time.values[0]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policies": ("exclusiv",)}, "did you mean exclusive"),
        ({"policies": ()}, "one or more"),
        ({"policies": ("watermark",)}, "unknown one of the policies 'watermark'"),
        ({"outputs": ("time", "time")}, "each once"),
        ({"model": "fluid"}, "unknown model"),
        ({"model": "schedule", "outputs": ("interval",)}, "only the stage model"),
        ({"part_size": 0}, "part_size is 0"),
        ({"workers": 0}, "workers is 0"),
        ({"output": "figures.txt"}, "ends in .nc"),
        ({"output": "no/such/folder/a.nc"}, "no folder"),
    ],
)
def test_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PimModelError, match=message):
        pm.sweep(network(), system(), {"gpu.clock": [1e9]}, **arguments)


def test_one_threshold_alone_is_refused() -> None:
    with pytest.raises(PimModelError, match=r"thresholds.high is not given"):
        pm.sweep(network(), system(), {"thresholds.low": [1, 2]})
