"""How many designs per second; figures are in the README (`pytest tests/sweep -k speed --benchmark-enable`)."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import pimmodel as pm
from pimmodel.sweep.axes import designs
from pimmodel.sweep.evaluator import Evaluator
from pimmodel.sweep.study import Study

# A million where speed is measured; a few where the test only runs along.
POINTS = {True: 2**20, False: 2**8}


def _study(points: int, **options: Any) -> Study:
    system = pm.load_system("v100-bankgroup-pim")
    ranges = {"gpu.clock": (1e9, 2e9), "gpu.l2_bandwidth": (1.5e12, 4e12), "memory_bandwidth": (4e11, 8.9e11)}
    if "low" not in options and options.pop("given", False):
        ranges |= {"thresholds.low": (12, 13), "thresholds.high": (56, 58)}
    return Study(pm.load_network("resnet50"), system, designs(system, ranges, "sobol", points, 1), **options)


@pytest.mark.parametrize(
    "kind", ["given thresholds", pytest.param("best thresholds", marks=pytest.mark.slow), "all figures"]
)
def test_speed_of_resnet50(benchmark: Any, kind: str) -> None:
    on = not benchmark.disabled
    points = POINTS[on] if kind != "best thresholds" else POINTS[on] // 16
    options: dict[str, Any] = {"policies": ("exclusive",), "outputs": ("time",), "given": kind != "best thresholds"}
    if kind == "all figures":
        options = {"given": True}
    study = _study(points, **options)
    evaluator, workers = Evaluator(study), os.cpu_count() or 1
    values = study.designs.part(0, points)
    evaluator.evaluate(values, workers)  # tables, machine code
    found = benchmark.pedantic(evaluator.evaluate, (values, workers), rounds=3 if on else 1)
    benchmark.extra_info["designs_per_second"] = points / benchmark.stats["min"] if on else None
    assert np.isfinite(found["time exclusive"]).all()
