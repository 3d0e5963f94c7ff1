"""CONV kernels: the one chosen is the fastest of a slow twin's whole menu, it makes sense, and it scales as it must."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import slow_kernels as slow
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pimmodel.hardware.gpu import Gpu, KernelConstants
from pimmodel.hardware.load import load_gpu
from pimmodel.network.conv_shape import ConvShape
from pimmodel.roofline.conv import ALGORITHMS, BOUNDS, ConvKernels, Matrix, conv_kernels
from pimmodel.roofline.products import PHASES, Phase

GPUS = {name: load_gpu(name) for name in ("v100", "p100", "a100", "gtx1080ti", "t4")}
V100 = GPUS["v100"]
BANDWIDTH = 800e9  # [B/s]
ROUNDING = 1e-9


def shape_of(n: int, c: int, h: int, w: int, k: int, r: int = 1, s: int = 1, stride: int | tuple[int, int] = 1,
             pad: int | tuple[int, int] = 0, groups: int = 1) -> ConvShape:  # fmt: skip
    """A shape with its output size worked out."""
    stride_h, stride_w = (stride, stride) if isinstance(stride, int) else stride
    pad_h, pad_w = (pad, pad) if isinstance(pad, int) else pad
    p, q = (h + 2 * pad_h - r) // stride_h + 1, (w + 2 * pad_w - s) // stride_w + 1
    return ConvShape(n, c, h, w, k, p, q, r, s, stride_h, stride_w, groups)


@st.composite
def shapes(draw: st.DrawFn) -> ConvShape:
    """Square and other images and filters, strides, groups, depthwise, fully connected."""
    if draw(st.integers(0, 9)) == 0:
        return ConvShape(draw(st.integers(1, 256)), draw(st.integers(1, 4096)), 1, 1, draw(st.integers(1, 4096)), 1, 1)
    h, w = draw(st.integers(7, 60)), draw(st.integers(7, 60))
    r, s = draw(st.one_of(st.sampled_from([(1, 1), (3, 3), (5, 5), (1, 7), (7, 1), (5, 3)])))
    groups = draw(st.sampled_from([1, 1, 1, 2, 4, 32]))
    c, k = (groups * draw(st.sampled_from([1, 2, 3, 4, 8, 20, 64, 96])) for _ in range(2))
    stride = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    pad = draw(st.sampled_from([(0, 0), (r // 2, s // 2)]))
    return shape_of(draw(st.integers(1, 64)), c, h, w, k, r, s, stride, pad, groups)


phases = st.sampled_from(PHASES)
precisions = st.sampled_from(["fp32", "fp16", "tf32"])
gpus = st.sampled_from(sorted(GPUS))


def one(shape: ConvShape, phase: Phase, gpu: Gpu = V100, bandwidth: float = BANDWIDTH, precision: Matrix = "fp32",
        channels_last: bool = False) -> dict[str, Any]:  # fmt: skip
    """The fields of the chosen kernel, as plain numbers."""
    made = conv_kernels([shape], [phase], gpu, bandwidth, precision, channels_last=channels_last)
    found = {name: values.item() for name, values in vars(made).items()}
    return found | {
        "algorithm": ALGORITHMS[found["algorithm"]], "bound": BOUNDS[made.bound.item()],
        "intensity": made.intensity.item(), "idle_share": made.idle_share.item(),
    }  # fmt: skip


# ---------------------------------------------------------------------- against the slow twin


@settings(max_examples=300)
@given(shapes(), phases, precisions, st.booleans(), gpus)
@example(shape_of(8, 3, 224, 224, 64, 7, 7, 2, 3), "FP", "fp16", True, "v100")
@example(shape_of(4, 1, 161, 700, 32, 5, 20, 2), "DX", "fp32", False, "v100")
@example(shape_of(32, 512, 14, 14, 512, 3, 3, 1, 1), "DW", "fp32", False, "v100")
@example(shape_of(64, 64, 112, 112, 64, 3, 3, 1, 1, groups=64), "DX", "fp32", False, "v100")
@example(shape_of(32, 96, 26, 26, 256, 5, 5, 1, 2, groups=2), "FP", "fp32", False, "t4")
@example(shape_of(32, 384, 12, 12, 256, 3, 3, 1, 1, groups=2), "DX", "fp16", False, "p100")
# The workspace of F(4x4, 3x3), 36 x 4 B x batch x 14 x 14 x (128 + 128), is just below and above 2^30 B.
@example(shape_of(148, 128, 56, 56, 128, 3, 3, 1, 1), "FP", "fp32", False, "v100")
@example(shape_of(149, 128, 56, 56, 128, 3, 3, 1, 1), "FP", "fp32", False, "v100")
def test_the_fastest_kernel_of_the_slow_twins_menu(
    shape: ConvShape, phase: Phase, precision: Matrix, channels_last: bool, gpu: str
) -> None:
    """Its time is the least of all alternatives, so none that is allowed is faster."""
    chosen = one(shape, phase, GPUS[gpu], BANDWIDTH, precision, channels_last)
    alike = "fp32" if precision == "tf32" and GPUS[gpu].tf32_tensor_peak is None else precision
    menu = slow.kernels_of(shape, phase, GPUS[gpu], BANDWIDTH, alike, channels_last)
    best = min(menu, key=lambda kernel: kernel.time)
    assert chosen["time"] == pytest.approx(best.time, rel=ROUNDING, abs=0)
    alike_fast = [kernel for kernel in menu if kernel.time <= best.time * (1 + ROUNDING)]
    assert any(
        kernel.algorithm == chosen["algorithm"]
        and kernel.tensor_cores == chosen["tensor_cores"]
        and kernel.dram_bytes == pytest.approx(chosen["dram_bytes"], rel=ROUNDING)
        for kernel in alike_fast
    )


@settings(max_examples=30)
@given(st.lists(st.tuples(shapes(), phases), min_size=1, max_size=12), precisions, st.booleans())
def test_tasks_do_not_influence_each_other(
    tasks: list[tuple[ConvShape, Phase]], precision: Matrix, channels_last: bool
) -> None:
    together = conv_kernels(*map(list, zip(*tasks, strict=True)), V100, BANDWIDTH, precision,  # type: ignore[call-overload]
                            channels_last=channels_last)  # fmt: skip
    for index, (shape, phase) in enumerate(tasks):
        alone = conv_kernels([shape], [phase], V100, BANDWIDTH, precision, channels_last=channels_last)
        for name, values in vars(alone).items():
            np.testing.assert_allclose(getattr(together, name)[index], values[0], rtol=1e-12, err_msg=name)


def test_one_kernel_by_hand() -> None:
    """A fully connected layer, forward, N 128, C 1024, K 1024, fp32, on constants that are easy to reckon with."""
    gpu = V100.model_copy(update={"kernels": KernelConstants(
        arithmetic_efficiency=0.5, dram_efficiency=0.5, tile_overhead=32, wave_latency=1530, winograd_traffic=1,
        launch_factor=1, compiled_kernel=1,
    )})  # fmt: skip
    # Tiles of 128 x 32: 32 of them, one turn of the 80 SMs. 1024 products: 2 x 128 x 32 x 1024 = 8388608 FLOP at half
    # of an SM's 2 x 64 x 1.53 GHz = 195.84 GFLOP/s: 85.669 us; loads 32 (1/128 + 1/32) = 1.25 of that more; 1530
    # clocks: 1 us. Tiles of 128 x 64: 16777216 FLOP, loads 0.75: 171.338 x 1.75 us, slower; 128 x 128 slower still.
    compute = 8388608 / (0.5 * 195.84e9) * 2.25 + 1e-6
    # 0.5 MiB of inputs, 4 MiB of weights, 0.5 MiB of outputs, each once, at 400 GB/s; L2: the inputs go through it for
    # each of 32 columns of tiles: 16 + 4 + 0.5 MiB at 2155 GB/s.
    moved, near = 5 * 2**20, 20.5 * 2**20
    time = math.hypot(compute, max(moved / 400e9, near / 2155e9)) + 3e-6
    chosen = one(ConvShape(128, 1024, 1, 1, 1024, 1, 1), "FP", gpu, 800e9)
    assert chosen["time"] == pytest.approx(time, rel=1e-9, abs=0)
    assert chosen["compute"] == pytest.approx(compute, rel=1e-9, abs=0)
    assert (chosen["tile_m"], chosen["tile_n"], chosen["splits"]) == (128, 32, 1)
    assert (chosen["dram_bytes"], chosen["l2_bytes"]) == (moved, near)
    assert chosen["intensity"] == pytest.approx(2 * 128 * 1024 * 1024 / moved)
    assert chosen["idle_share"] == pytest.approx(1 - moved / 400e9 / time)
    assert chosen["bound"] == "math"


def test_weight_gradient_of_a_fully_connected_layer_by_hand() -> None:
    """N 128, C 1024, K 1024, fp32, on the same constants: a plain matrix product over the batch."""
    gpu = V100.model_copy(update={"kernels": KernelConstants(
        arithmetic_efficiency=0.5, dram_efficiency=0.5, tile_overhead=32, wave_latency=1530, winograd_traffic=1,
        launch_factor=1, compiled_kernel=1,
    )})  # fmt: skip
    # Tiles of 128 x 128: 64 of them, one turn. 128 products: 2 x 128 x 128 x 128 = 4194304 FLOP at 97.92 GFLOP/s: 42.8
    # us; loads 32 (1/128 + 1/128) = 0.5 of that more; 1 us. Tiles of 64 x 128 take two turns of 21.4 x 1.75 us.
    compute = 4194304 / (0.5 * 195.84e9) * 1.5 + 1e-6
    # Inputs and output gradients of 0.5 MiB, 4 MiB of weight gradients, at 400 GB/s; one launch.
    chosen = one(ConvShape(128, 1024, 1, 1, 1024, 1, 1), "DW", gpu, 800e9)
    assert chosen["time"] == pytest.approx(math.hypot(compute, 5 * 2**20 / 400e9) + 3e-6, rel=1e-9, abs=0)
    assert (chosen["tile_m"], chosen["tile_n"], chosen["splits"]) == (128, 128, 1)


# ---------------------------------------------------------------------- which algorithm


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(
    ("shape", "allowed"),
    [
        (shape_of(32, 256, 14, 14, 256, 1, 1), {"implicit_gemm"}),  # 1 x 1: nothing to transform
        (shape_of(8, 1, 161, 700, 32, 5, 20, 2), {"implicit_gemm"}),  # DeepSpeech
        (shape_of(32, 128, 17, 17, 128, 1, 7, 1, (0, 3)), {"implicit_gemm"}),  # Inception
        (shape_of(32, 128, 17, 17, 128, 7, 1, 1, (3, 0)), {"implicit_gemm"}),
        (shape_of(32, 64, 56, 56, 128, 3, 3, 2, 1), {"implicit_gemm"}),  # strided: no Winograd
        (ConvShape(64, 2048, 1, 1, 1000, 1, 1), {"implicit_gemm"}),  # fully connected
        (shape_of(32, 64, 56, 56, 64, 3, 3, 1, 1, groups=64), {"direct", "implicit_gemm"}),  # depthwise
        (shape_of(32, 128, 56, 56, 128, 3, 3, 1, 1, groups=32), {"direct", "implicit_gemm"}),  # ResNeXt
        (shape_of(32, 62, 56, 56, 62, 3, 3, 1, 1, groups=2), {"implicit_gemm"}),  # 31 a group: no Winograd
    ],
)  # fmt: skip
def test_algorithms_that_a_layer_can_have(shape: ConvShape, allowed: set[str], phase: Phase) -> None:
    assert one(shape, phase)["algorithm"] in allowed
    assert one(shape, phase, precision="fp16")["algorithm"] in allowed


@pytest.mark.parametrize("phase", PHASES)
def test_winograd_group_by_group(phase: Phase) -> None:
    # Measured, AlexNet's layer of 5 x 5 filters in two groups: 13.3 GFLOP forward in 0.326 ms on a V100, 41 TFLOP/s of
    # 15.7 (`validation/tables/gpu/other_gpus_conv.csv`). Two groups of half the channels do half the products.
    whole, halves = (one(shape_of(32, 512, 28, 28, 512, 3, 3, 1, 1, groups), phase) for groups in (1, 2))
    assert whole["algorithm"] == halves["algorithm"] == "winograd_nonfused"
    assert halves["compute"] == pytest.approx(0.5 * whole["compute"], rel=0.05)  # fill and drain once per wave
    assert halves["dram_bytes"] < whole["dram_bytes"]


@pytest.mark.parametrize("phase", PHASES)
def test_winograd_is_taken_for_large_3x3_layers_of_stride_1_in_fp32_alone(phase: Phase) -> None:
    # DeepBench's own column names WINOGRAD_NONFUSED for the forward pass of such layers on the V100.
    shape = shape_of(16, 256, 28, 28, 256, 3, 3, 1, 1)
    assert one(shape, phase)["algorithm"] in ("winograd", "winograd_nonfused")
    assert one(shape, phase, precision="fp16")["algorithm"] == "implicit_gemm"
    # 4 times fewer multiplications at best: faster than any matrix product could be at peak, never 4 times as fast.
    least = 2 * shape.macs / V100.fp32_peak
    assert least / 4 < one(shape, phase)["time"] < least


def test_depthwise_layers_run_far_below_peak() -> None:
    """A tile of 32 columns and more is nearly empty at one channel per group."""
    shape = shape_of(32, 64, 56, 56, 64, 3, 3, 1, 1, groups=64)
    for phase in PHASES:
        made = one(shape, phase)
        assert made["compute"] > 5 * 2 * shape.macs / V100.fp32_peak


def test_tensor_cores_take_channels_in_eights() -> None:
    first = shape_of(32, 3, 224, 224, 64, 7, 7, 2, 3)
    assert not one(first, "FP", precision="fp16")["tensor_cores"]
    assert one(first, "FP", precision="fp16", channels_last=True)["tensor_cores"]
    even = shape_of(32, 64, 56, 56, 64, 3, 3, 1, 1)
    for phase in PHASES:
        assert one(even, phase, precision="fp16")["tensor_cores"]
        assert not one(even, phase)["tensor_cores"]
        assert not one(even._replace(k=60), phase, precision="fp16")["tensor_cores"]
        # Channels filled up with zeros cost as much as real ones.
        filled = one(even._replace(k=60), phase, precision="fp16", channels_last=True)
        assert filled["tensor_cores"]
        assert filled["compute"] == one(even, phase, precision="fp16", channels_last=True)["compute"]
        # A group's channels count, and groups are not filled up.
        assert one(even._replace(groups=2), phase, precision="fp16")["tensor_cores"]
        assert not one(even._replace(groups=16), phase, precision="fp16", channels_last=True)["tensor_cores"]


def test_fp16_without_tensor_cores() -> None:
    """Sums are fp32: the same kernels at the same rates on half the bytes, Winograd among them."""
    for gpu in (GPUS["p100"], GPUS["gtx1080ti"]):
        assert gpu.fp16_tensor_peak is None
        for phase in PHASES:
            shape = shape_of(32, 256, 28, 28, 256, 1, 1)
            half, full = one(shape, phase, gpu, precision="fp16"), one(shape, phase, gpu)
            assert not half["tensor_cores"]
            assert half["compute"] == pytest.approx(full["compute"], rel=1e-9)
            # A tensor larger than L2 passed over more than once: somewhat less than half of the bytes.
            assert 0.3 * full["dram_bytes"] < half["dram_bytes"] <= 0.5 * full["dram_bytes"] * (1 + 1e-9)
            assert half["time"] < full["time"]
            square = shape_of(32, 256, 28, 28, 256, 3, 3, 1, 1)
            assert one(square, phase, gpu, precision="fp16")["algorithm"].startswith("winograd")


def test_clocks_under_the_power_limit() -> None:
    """A board that keeps half of its clock under load is one of half the clock; its tensor cores have a share apart."""
    shape = shape_of(32, 256, 28, 28, 256, 3, 3, 1, 1)
    plain = GPUS["t4"].model_copy(update={"sustained_share": None, "tensor_sustained_share": None})
    limited = plain.model_copy(update={"sustained_share": 0.5, "tensor_sustained_share": 0.25})
    for phase in PHASES:
        halved = plain.model_copy(update={"clock": 0.5 * plain.clock})
        assert one(shape, phase, limited) == one(shape, phase, halved)
        # A product of whole tiles without splits: a quarter of clock and peak, four times the arithmetic, loads too.
        fast, slow = (one(shape, "DX", gpu, precision="fp16") for gpu in (plain, limited))
        assert slow["compute"] == pytest.approx(4 * fast["compute"], rel=1e-9)


def test_tf32_needs_tensor_cores_that_take_it() -> None:
    shape = shape_of(32, 256, 28, 28, 256, 3, 3, 1, 1)
    for phase in PHASES:
        assert one(shape, phase, V100, precision="tf32") == one(shape, phase, V100)
        fast = one(shape, phase, GPUS["a100"], precision="tf32")
        assert fast["tensor_cores"]
        assert fast["time"] < one(shape, phase, GPUS["a100"])["time"]


def test_deep_weight_gradients_are_split() -> None:
    # 64 x 64 results of 1 x 1 filters are one or two tiles for 80 SMs, while 64 x 56 x 56 products are summed.
    shape = shape_of(64, 64, 56, 56, 64)
    for precision in ("fp32", "fp16"):
        assert one(shape, "DW", precision=precision)["splits"] >= 16  # type: ignore[arg-type]
        assert one(shape, "DX", precision=precision)["splits"] == 1  # type: ignore[arg-type]
    assert one(shape, "FP")["splits"] == 1


def test_rows_that_a_strided_filter_never_meets_are_not_read() -> None:
    # 1 x 1 filters of stride 2 on 7 rows meet 4 of them; whole rows are read. Weights 16 x 8, outputs 4 x 4 x 16.
    made = one(shape_of(1, 8, 7, 7, 16, stride=2), "FP")
    assert made["dram_bytes"] == 4 * (8 * 4 * 7 + 16 * 8 + 16 * 4 * 4)


def test_nothing_to_do() -> None:
    assert conv_kernels([], [], V100, BANDWIDTH, "fp32").time.shape == (0,)


# ---------------------------------------------------------------------- invariants


def touched(shape: ConvShape, phase: Phase, element: int) -> float:
    """Bytes of all operands that some filter meets, and of the whole result, once each, to the element."""
    s = shape
    filters, maps = s.k * (s.c // s.groups) * s.r * s.s, s.n * s.k * s.p * s.q
    if phase == "DX":
        return element * (maps + filters + s.n * s.c * s.h * s.w)

    def met(outputs: int, size: int, stride: int, length: int) -> int:
        return min(length, len({start * stride + offset for start in range(outputs) for offset in range(size)}))

    images = s.n * s.c * met(s.p, s.r, s.stride_h, s.h) * met(s.q, s.s, s.stride_w, s.w)
    return element * (images + filters + maps)


@settings(max_examples=200)
@given(shapes(), phases, precisions, st.booleans(), gpus)
def test_bounds(shape: ConvShape, phase: Phase, precision: Matrix, channels_last: bool, gpu: str) -> None:
    made = one(shape, phase, GPUS[gpu], BANDWIDTH, precision, channels_last)
    parts = [made[part] for part in ("compute", "dram", "l2", "launch")]
    assert all(math.isfinite(part) and part >= 0 for part in parts)
    assert made["time"] >= max(parts) * (1 - ROUNDING)
    assert made["time"] <= sum(parts) * (1 + ROUNDING)
    assert 0 <= made["idle_share"] <= 1
    assert made["macs"] == shape.macs
    # No bandwidth above what is there, no rate above the peak (Winograd needs down to a quarter of the products).
    assert made["time"] >= made["dram_bytes"] / BANDWIDTH
    least = {"winograd": 4 / 9, "winograd_nonfused": 1 / 9}.get(made["algorithm"], 1.0)
    tensor_peaks = {"fp16": GPUS[gpu].fp16_tensor_peak, "tf32": GPUS[gpu].tf32_tensor_peak, "fp32": None}
    peak = tensor_peaks[precision] or GPUS[gpu].fp32_peak
    skipped = 4 if phase == "DX" else 1  # products of a data gradient that meet no output at stride 2 x 2
    assert made["time"] >= least / skipped * 2 * shape.macs / peak


@settings(max_examples=200)
@given(shapes(), phases, st.sampled_from(["fp32", "fp16"]), gpus)
def test_traffic_is_at_least_everything_touched_once(
    shape: ConvShape, phase: Phase, precision: Matrix, gpu: str
) -> None:
    made = one(shape, phase, GPUS[gpu], BANDWIDTH, precision)
    assert made["dram_bytes"] >= touched(shape, phase, 2 if precision == "fp16" else 4) * (1 - ROUNDING)


@settings(max_examples=150)
@given(
    shapes(), phases, precisions, st.floats(1.01, 8), gpus,
    st.sampled_from(["bandwidth", "clock", "l2_size", "l2_bandwidth", "fp16_tensor_peak", "launch_overhead"]),
)  # fmt: skip
def test_more_never_slows(
    shape: ConvShape, phase: Phase, precision: Matrix, scale: float, gpu: str, field: str
) -> None:
    plain = GPUS[gpu]
    before = one(shape, phase, plain, BANDWIDTH, precision)["time"]
    if field == "bandwidth":
        after = one(shape, phase, plain, BANDWIDTH * scale, precision)["time"]
    else:
        value = getattr(plain, field)
        assume(value is not None)
        better = plain.model_copy(update={field: value / scale if field == "launch_overhead" else value * scale})
        after = one(shape, phase, better, BANDWIDTH, precision)["time"]
    assert after <= before * (1 + ROUNDING)


@settings(max_examples=60)
@given(shapes(), phases, st.integers(1, 200))
def test_more_sms_never_slow_fp32(shape: ConvShape, phase: Phase, more: int) -> None:
    larger = V100.model_copy(update={"sm_count": V100.sm_count + more})
    assert one(shape, phase, larger)["time"] <= one(shape, phase)["time"] * (1 + ROUNDING)


@settings(max_examples=200)
@given(shapes(), phases, precisions, st.booleans())
def test_twice_the_batch_takes_at_most_twice_as_long(
    shape: ConvShape, phase: Phase, precision: Matrix, channels_last: bool
) -> None:
    once, twice = (
        one(batch, phase, V100, BANDWIDTH, precision, channels_last) for batch in (shape, shape._replace(n=2 * shape.n))
    )
    # A batch may outgrow the workspace of the non-fused Winograd kernels; a framework would cut it in two.
    assume(not (once["algorithm"] == "winograd_nonfused" != twice["algorithm"]))
    assert twice["time"] <= 2 * once["time"] * (1 + ROUNDING)


@settings(max_examples=100)
@given(shapes(), phases, precisions)
def test_filters_and_images_turned_by_90_degrees(shape: ConvShape, phase: Phase, precision: Matrix) -> None:
    """H and W change places: the same, but for strides, as rows are skipped and columns are not."""
    assume(shape.stride_h == shape.stride_w == 1)
    turned = shape._replace(h=shape.w, w=shape.h, p=shape.q, q=shape.p, r=shape.s, s=shape.r)
    assert one(turned, phase, precision=precision)["time"] == pytest.approx(
        one(shape, phase, precision=precision)["time"], rel=ROUNDING, abs=0
    )


# ---------------------------------------------------------------------- speed


def test_speed_of_all_kernels_of_a_resnet50_step(benchmark: Any) -> None:
    """`pytest tests/roofline -k speed --benchmark-enable`: issue 4 asks for under 2 ms warm; figure in the README."""
    from pimmodel import load_network, load_system
    from pimmodel.network.training import training_step
    from pimmodel.roofline.host import host_tasks, host_work

    system = load_system("v100-bankgroup-pim")
    graph = training_step(load_network("resnet50", 64))
    tasks = host_tasks([graph.nodes[name]["task"] for name in graph], "fp32")
    work = benchmark(host_work, tasks, system)
    assert isinstance(work.kernels, ConvKernels)
    # 53 CONV layers and a fully connected one: forward and weight gradient of each, data gradient of all but the first.
    assert (tasks.kernel_of >= 0).sum() == 54 + 53 + 54
