"""The same sweep on a Dask cluster of two workers, one of which is killed in mid-run."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from study_cases import network, system

import pimmodel as pm

distributed = pytest.importorskip("distributed")


@pytest.mark.slow
def test_no_design_is_lost_or_doubled_when_a_worker_dies() -> None:
    axes = {"gpu.clock": np.linspace(1e9, 2e9, 200), "memory.timing.tCCD_L": [2, 3, 4]}
    options = {"thresholds": (16, 58), "outputs": ("time",), "part_size": 20}
    expected = pm.sweep(network(), system(), axes, **options)
    seen: list[int] = []
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, \
            distributed.Client(cluster) as client:  # fmt: skip

        def progress(done: int, total: int) -> None:
            seen.append(done)
            if len(seen) == 5:  # a few parts are done, more are on their way
                next(iter(cluster.workers.values())).process.process._process.kill()

        found = pm.sweep(network(), system(), axes, client=client, progress=progress, **options)
    xr.testing.assert_allclose(found, expected, rtol=1e-12)
    assert seen == list(range(0, 601, 20))  # every part once
