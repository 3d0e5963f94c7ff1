"""Sobol indices: what must hold of any, and the batches behind them against single designs."""

from __future__ import annotations

import numpy as np
import pytest

import pimmodel as pm
from pimmodel.errors import PimModelError
from pimmodel.estimates import estimate_step
from pimmodel.hardware.load import replace
from pimmodel.sensitivity.evaluate import Point
from pimmodel.sensitivity.sobol import batch_times, sobol
from pimmodel.step import prepare

NETWORK = pm.load_network("alexnet", batch=8)
SYSTEM = pm.load_system("v100-bankgroup-pim")


@pytest.mark.slow
def test_indices_of_three_rates() -> None:
    pytest.importorskip("SALib")
    ranges = {"gpu.clock": (1e9, 2e9), "memory_bandwidth": (4e11, 8.9e11), "gpu.idle_power": (10.0, 60.0)}
    found = sobol(NETWORK, SYSTEM, ranges, policy="gpu-only", samples=256, seed=1)
    total = dict(zip(found.names, found.total, strict=True))
    first = dict(zip(found.names, found.first, strict=True))
    assert total["gpu.idle_power"] == pytest.approx(0.0, abs=1e-9)  # no time depends on it
    assert all(-0.1 <= one <= 1.1 for one in (*total.values(), *first.values()))
    assert sum(first.values()) == pytest.approx(1.0, abs=0.15)  # time is nearly a sum of both parts' terms
    assert total["gpu.clock"] > 0.05
    assert total["memory_bandwidth"] > 0.05
    assert found.rows()[0]["total"] == pytest.approx(max(total.values()))


@pytest.mark.parametrize("policy", ["gpu-only", "serial", "exclusive"])
def test_batches_are_single_designs(policy: str) -> None:
    step = prepare(NETWORK, SYSTEM)
    clocks = np.array([1e9, 1.7e9])
    found = batch_times(Point(step, (16, 58)), policy, {"gpu.clock": clocks})
    for clock, time in zip(clocks, found, strict=True):
        changed = prepare(NETWORK, replace(SYSTEM, {"gpu.clock": clock}))
        thresholds = (16, 58) if policy == "exclusive" else None
        assert time == pytest.approx(estimate_step(changed, policy, thresholds, "stages").time, rel=1e-9)


@pytest.mark.parametrize(
    ("ranges", "message"),
    [({}, "range"), ({"gpu.clock": (2e9, 1e9)}, "gpu.clock"), ({"gpu.clack": (1e9, 2e9)}, "gpu.clack")],
)
def test_refused(ranges: dict[str, tuple[float, float]], message: str) -> None:
    pytest.importorskip("SALib")
    with pytest.raises(PimModelError, match=message):
        sobol(NETWORK, SYSTEM, ranges, policy="gpu-only")
