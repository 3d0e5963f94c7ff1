"""Rates that the kernels of a step run at."""

from __future__ import annotations

import math

import pytest

import pimmodel as pm
from pimmodel.stages.host import system_rates


def test_the_tensor_peak_is_that_of_the_precision() -> None:
    a100, v100 = (pm.load_system(f"{name}-bankgroup-pim") for name in ("a100", "v100"))
    assert system_rates(a100, precision="fp16").tensor_peak == 312e12
    assert system_rates(a100, precision="tf32").tensor_peak == 156e12
    assert system_rates(v100, precision="tf32").tensor_peak == math.inf  # its tensor cores do not take tf32
    changed = {"gpu.fp16_tensor_peak": 1e14}
    assert system_rates(a100, changed, "fp16").tensor_peak == 1e14
    assert system_rates(a100, changed, "tf32").tensor_peak == 156e12


def test_streams_get_the_less_of_what_refresh_and_the_gpu_leave() -> None:
    p100, v100 = (pm.load_system(f"{name}-bankgroup-pim") for name in ("p100", "v100"))
    # P100: 76 % of its peak; V100: what refresh leaves, 1 - 307 / 3420 clocks. CONV gets a fitted share of it.
    assert system_rates(p100).bandwidth == pytest.approx(p100.gpu.kernels.dram_efficiency * 0.76 * p100.peak_bandwidth)
    assert system_rates(v100).bandwidth == pytest.approx(
        v100.gpu.kernels.dram_efficiency * (1 - 307 / 3420) * v100.peak_bandwidth
    )
