"""The GPU's model beside measured silicon: what has been reached on the shipped tables must not be lost.

Bounds are the targets of issue 4 where they are met; where not, the reached figure with a little room, and the target
in a comment. None of the compared rows was fitted: the constants come from every second row of the kernels alone.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from pimmodel.validation.gpu import TABLES, kernel_rows, step_rows, system_of, validate_gpu
from pimmodel.validation.measurements import LayerTime, Table, Throughput, read_kernels
from pimmodel.validation.profiles import profiled_layers
from pimmodel.validation.report import Row

from pimmodel.hardware.gpu import KernelConstants
from pimmodel.roofline.host import host_bandwidth


@cache
def rows() -> dict[str, Row]:
    """All rows of the shipped tables."""
    found, skipped = validate_gpu()
    assert skipped == []
    # The V100 of a file of several GPUs goes by the name of those of its own.
    ours = [row for row in found if not (row.data == "other_gpus_conv.csv" and row.quantity.startswith("v100"))]
    assert len({row.quantity for row in ours}) == len(ours)
    return {row.quantity: row for row in ours}


def test_at_most_eight_constants_for_all_gpus() -> None:
    assert len(KernelConstants.model_fields) <= 8
    assert {system_of(name).gpu.kernels for name in ("v100", "v100-sxm3", "a100", "p100", "t4", "h100")} == {
        KernelConstants()
    }


@pytest.mark.parametrize(
    ("precision", "median", "mean"),
    [
        ("fp32", 0.10, 0.18),
        ("fp16", 0.15, 0.25),
    ],
)
def test_kernels_not_fitted(precision: str, median: float, mean: float) -> None:
    row = rows()[f"v100 {precision} kernel time, rows not fitted"]
    # 94 rows of the file per precision, every second of them, three passes, less the first layers' data gradients.
    assert row.n == 130
    assert row.median <= median
    assert row.mean <= mean


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_passes_and_filters_add_up(precision: str) -> None:
    """Groups cover the rows not fitted, each row once, and say the same on average."""
    title = f"v100 {precision} kernel time, "
    whole = rows()[title + "rows not fitted"]
    for group in ("pass ", "algorithm ", "filter "):
        parts = [row for quantity, row in rows().items() if quantity.startswith(title + group)]
        assert sum(row.n for row in parts) == whole.n
        assert sum(row.n * row.mean for row in parts) == pytest.approx(whole.n * whole.mean)
        assert max(row.worst for row in parts) == whole.worst


@pytest.mark.parametrize(
    ("quantity", "limit"),
    [
        ("resnet50, CONV", 0.12),
        ("resnet50, BN", 0.12),
        ("resnet50, ReLU", 0.12),
        ("vgg16, CONV", 0.12),
        ("vgg16, ReLU", 0.12),
        ("inception_v3, BN", 0.12),
        ("inception_v3, ReLU", 0.12),
        ("inception_v3, CONV", 0.125),  # target 12 %, missed by 0.3 points: see the README
    ],
)
def test_profiled_networks(quantity: str, limit: float) -> None:
    assert rows()[f"{quantity} total"].worst <= limit


def test_whole_training_steps() -> None:
    row = rows()["training step"]
    assert row.n == 13
    assert row.median <= 0.12


def test_targets_stand_beside_the_figures() -> None:
    assert rows()["v100 fp32 kernel time, rows not fitted"].target == "median <= 10 %, mean <= 18 %"
    assert rows()["v100 fp16 kernel time, rows not fitted"].met is True
    assert rows()["vgg16, CONV total"].target == "worst <= 12 %"
    assert rows()["training step"].target == "median <= 12 %"
    assert rows()["v100 fp32 kernel time, fitted rows"].target == ""


def test_a_plain_roofline_is_far_worse() -> None:
    """A roofline with one fitted scale is 31 to 47 % off (median); the model must beat the best scale by far."""
    import numpy as np

    system = system_of("v100")
    times = [one for one in read_kernels(TABLES / "deepbench_v100_conv.csv").rows if one.precision == "fp32"]
    plain = []
    for one in times:
        s = one.shape
        images, maps, filters = s.n * s.c * s.h * s.w, s.n * s.k * s.p * s.q, s.k * s.c * s.r * s.s
        moved = 4 * (images + maps + filters)
        plain.append(max(2 * s.macs / system.gpu.fp32_peak, moved / host_bandwidth(system)) / one.time)
    ratios = np.array(plain)
    scale = min(np.median(np.abs(ratios / scale - 1)) for scale in np.linspace(0.1, 2, 200))
    assert 0.3 < scale < 0.5
    assert rows()["v100 fp32 kernel time, rows not fitted"].median < 0.4 * scale


# ---------------------------------------------------------------------- how errors are reckoned


def one_step(images_per_second: float, **changes: object) -> Throughput:
    values = {"network": "resnet50_v1.5", "batch": 32, "precision": "fp32", "gpu": "Tesla V100-SXM2-16GB"} | changes
    return Throughput(images_per_second=images_per_second, **values)  # type: ignore[arg-type]


def test_error_of_a_step_is_that_of_its_time() -> None:
    import pimmodel as pm

    time = pm.estimate(pm.load_network("resnet50", 32), pm.load_system("v100-bankgroup-pim"), "gpu-only").time
    # Measured at half the modelled speed: the modelled time is half of the measured one.
    found, unknown = step_rows("x.csv", Table([one_step(0.5 * 32 / time), one_step(32 / time)]))
    assert unknown == []
    assert [(row.quantity, row.n) for row in found] == [("training step", 2), ("training step, fp32", 2)]
    assert found[0].worst == pytest.approx(0.5)
    assert found[0].median == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("changes", "faster"),
    [({"framework": "TensorFlow 20.06 XLA"}, True), ({"framework": "MXNet"}, True), ({"framework": "PyTorch"}, False)],
)
def test_frameworks_that_fuse_activations(changes: dict[str, object], faster: bool) -> None:
    plain, other = (step_rows("x.csv", Table([one_step(1e4, **chosen)]))[0][0].worst for chosen in ({}, changes))
    assert (other < plain) == faster


def test_a_step_without_its_weight_update() -> None:
    import pimmodel as pm
    from pimmodel.estimates import part_of
    from pimmodel.step import prepare

    step = prepare(pm.load_network("vgg16", 16), pm.load_system("gtx1080ti-bankgroup-pim"))
    update = sum(time for task, time in zip(step.tasks, step.host, strict=True) if part_of(task.phase) == "update")
    # SGD with momentum: weight, gradient and velocity read, weight and velocity written, 138 million of 4 B each.
    assert update == pytest.approx(5 * 4 * 138.36e6 / host_bandwidth(step.system), rel=0.02)
    whole = pm.estimate(step.network, step.system, "gpu-only").time
    gpu = {"network": "vgg16", "batch": 16, "gpu": "GTX 1080 Ti"}
    for updates, time in ((True, whole), (False, whole - update)):
        ((row, _), _) = step_rows("x.csv", Table([one_step(16 / time, updates=updates, **gpu)]))
        assert row.quantity == "gtx1080ti training step"
        assert row.worst == pytest.approx(0, abs=1e-9)


def test_tables_of_several_gpus(tmp_path: Path) -> None:
    lines = (TABLES / "other_gpus_conv.csv").read_text(encoding="utf-8").splitlines()
    path = tmp_path / "mine.csv"
    path.write_text(
        "\n".join([lines[0], *lines[1:4], lines[60], lines[1].replace("titan_xp", "K80")]), encoding="utf-8"
    )
    found, skipped = validate_gpu(path)
    assert [(row.quantity, row.n, row.target) for row in found] == [
        ("titan_xp fp32 kernel time, rows not fitted", 3, "median <= 20 %"),
        ("t4 fp32 kernel time, rows not fitted", 1, "median <= 20 %"),
    ]
    assert len(skipped) == 1
    assert "1 kernels on K80: unknown gpu 'K80'" in skipped[0] or "K80" in skipped[0]


@pytest.mark.parametrize(
    ("quantity", "n", "limit"),
    [
        ("a100 training step", 3, 0.20),
        ("gtx1080ti training step", 11, 0.20),
        ("p100 training step", 8, 0.20),
        ("h100 training step", 2, 0.24),  # target 20 %: see the README
        ("p100 fp32 kernel time, rows not fitted", 1, 0.20),
        ("gtx1080ti fp32 kernel time, rows not fitted", 1, 0.20),
        ("titan_xp fp32 kernel time, rows not fitted", 61, 0.25),  # target 20 %; a V100 of the same source: 16 %
        ("t4 fp32 kernel time, rows not fitted", 59, 0.30),  # target 20 %
    ],
)
def test_other_gpus(quantity: str, n: int, limit: float) -> None:
    row = rows()[quantity]
    assert row.n == n
    assert row.median <= limit
    assert row.target == "median <= 20 %"


def test_unfitted_kernels_of_another_gpu_have_a_target_of_their_own() -> None:
    times = read_kernels(TABLES / "deepbench_v100_conv.csv").rows[:50]
    row = kernel_rows("x.csv", times, system_of("p100"))[0]
    assert (row.quantity, row.n) == ("p100 fp32 kernel time, rows not fitted", 50)
    assert row.target == "median <= 20 %"


def test_measured_times_of_profiles_lose_the_stated_overhead() -> None:
    system = system_of("v100")
    size = 80 * 1000 * 4096  # whole blocks of 1024 elements of 4 B, the same number on each of 80 SMs [B]
    relu = LayerTime("net", 1, "ReLU", "ReLU()", 1.3e-3, 2e-3, size)
    added = [LayerTime("net", 1, "Add", "Add", 0, 0, size), relu]
    (alone,) = profiled_layers([relu], system.gpu, host_bandwidth(system)).rows
    (behind,) = profiled_layers(added, system.gpu, host_bandwidth(system)).rows
    assert alone.measured == pytest.approx((1.0e-3, 2e-3))  # README of the tables: 0.30 ms in each forward figure
    # x, y forward; y, dy, dx backward: 2 and 3 tensors; an Add before it, three more and a launch, forward alone.
    launch = system.gpu.launch_overhead * system.gpu.kernels.launch_factor
    tensor = size / host_bandwidth(system)
    assert alone.modelled == pytest.approx((2 * tensor + launch, 3 * tensor + launch))
    assert behind.modelled == pytest.approx((5 * tensor + 2 * launch, 3 * tensor + launch))


def test_first_conv_waits_for_its_images() -> None:
    system = system_of("v100")
    images = LayerTime("net", 8, "Input", "Input", 9e-3, 0, 4 * 8 * 3 * 64 * 64)
    conv = LayerTime("net", 8, "Conv2d", "Conv2d(3, 16, kernel_size=(1, 1), stride=(1, 1), bias=False)", 1e-3, 1e-3,
                     4 * 8 * 16 * 64 * 64)  # fmt: skip
    (alone,), (waiting,) = (
        profiled_layers(lines, system.gpu, host_bandwidth(system)).rows for lines in ([conv], [images, conv])
    )
    # 393216 B at the 14.4 GB/s that PCI Express 3.0 x16 has at best: 27.3 us. No data gradient of images in either.
    assert waiting.modelled[0] - alone.modelled[0] == pytest.approx(27.3e-6, rel=1e-3)
    assert waiting.modelled[1] == alone.modelled[1]
