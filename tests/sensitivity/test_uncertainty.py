"""Intervals of step times and speedups, and that their factors are those of the measured steps."""

from __future__ import annotations

import numpy as np
from pimmodel.validation.gpu import SHIPPED, TABLES, step_times
from pimmodel.validation.measurements import read_throughput

from pimmodel.sensitivity.uncertainty import CONCURRENT, HOST, speedup_interval, time_interval


def test_the_host_factor_is_that_of_all_measured_steps() -> None:
    """A change of the GPU's model that moves these quantiles has to move the factor, or every interval is wrong."""
    steps = [one for name in SHIPPED[2] for one in step_times(read_throughput(TABLES / name))[0]]
    assert len(steps) == HOST.cases
    assert len({one.gpu for one in steps}) == 6  # two makes of V100, GTX 1080 Ti, P100, A100, H100
    ratios = [one.measured / one.modelled for one in steps]
    np.testing.assert_allclose(np.quantile(ratios, [0.05, 0.5, 0.95]), [HOST.low, HOST.median, HOST.high], atol=6e-4)


def test_a_common_host_factor_cancels() -> None:
    """Both times in proportion to the host's: the speedup's interval is that of the simulator alone."""
    times = np.array([0.1, 0.2])
    found = speedup_interval(lambda f: f * times, lambda f: 1.5 * f * times, "exclusive", "gpu-only")
    np.testing.assert_allclose(found.middle, 1.5 / CONCURRENT.median)
    np.testing.assert_allclose(found.low, 1.5 / CONCURRENT.high)
    np.testing.assert_allclose(found.high, 1.5 / CONCURRENT.low)


def test_time_interval_of_the_host_alone() -> None:
    found = time_interval(np.array([2.0]), "gpu-only")
    np.testing.assert_allclose(found, [[2 * HOST.low], [2 * HOST.median], [2 * HOST.high]])
