"""CONV and fully connected layers on the GPU: the kernels that a library would choose, and what each of them costs.

Every kernel that fits a layer, a phase and a precision is evaluated; the fastest is taken, as a library with
autotuning would. Which kernels there are, and their tiles: :mod:`pimmodel.roofline.library`.

- `implicit_gemm`: the matrix product of :mod:`pimmodel.roofline.tiles`. fp32 on the ordinary lanes, fp16 on tensor
  cores where 8 divides both channel counts of a group, else on the lanes with channels in fours. A GPU without tensor
  cores has the fp32 kernels for fp16 tensors too: sums are fp32, so its lanes are no faster, only traffic is less. The
  depth of weight
  gradients, and of tensor-core forward kernels, may be split. Data gradients of fp16 come in wide tiles only. Some fp32
  kernels are compiled from C++ instead of scheduled by hand, and slower by a fitted factor: weight gradients of 1 x 1
  filters, or of so few outputs that they do not fill a tile of 128, and data gradients of strided CONV. fp32 weight
  gradients are summed image by image. A strided data gradient skips all products with the zeros between outputs in
  fp32 (and clears its result first); in fp16 it does so for 1 x 1 filters, and else skips filter rows alone.
- `winograd`, `winograd_nonfused` (:mod:`pimmodel.roofline.winograd`): fp32, stride 1, filters of 3 x 3 (non-fused
  also 5 x 5); group by group where a group's outputs fill the narrowest tile at least.
- `direct`: one thread per output of a group with fewer than 8 output channels (depthwise), without tensor cores.

Known error on measured kernels: `pimmodel validate gpu`; figures in the README.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pimmodel.dual import numbers, put
from pimmodel.hardware.gpu import Gpu
from pimmodel.network.conv_shape import ConvShape
from pimmodel.roofline import library
from pimmodel.roofline.families import Family, of_some
from pimmodel.roofline.library import Tile
from pimmodel.roofline.products import Bools, Phase, Products, aligned, by_image, filled, products_of, skipping
from pimmodel.roofline.tiles import (
    busy_time,
    dram_traffic,
    kernel_time,
    l2_traffic,
    memory_time,
    regrown_time,
    split_time,
)
from pimmodel.roofline.winograd import FUSED_EDGE, NON_FUSED_EDGE, transform_traffic

Floats = NDArray[np.float64]
Matrix = Literal["fp32", "tf32", "fp16"]

ALGORITHMS = ("implicit_gemm", "winograd", "winograd_nonfused", "direct")
BOUNDS = ("math", "dram", "l2", "launch")
BYTES = {"fp32": 4, "tf32": 4, "fp16": 2}
# Of a kernel, for `pimmodel.roofline.menu` alone: bytes that overlap with arithmetic on either level [B], time in which
# nothing overlaps [s], launches [1].
MENU_PARTS = ("streamed", "near", "apart", "kernels")


@dataclass(frozen=True, eq=False)
class ConvKernels:
    """The kernels chosen for T tasks, each an array of shape (T,).

    time : whole time, launches included [s]
    compute, dram, l2, launch : its parts: busiest SM, DRAM traffic, L2 traffic, launches [s]
    dram_bytes, l2_bytes : traffic per level [B]
    macs : multiply-accumulates of the layer, without padding [1]
    algorithm : index into `ALGORITHMS`
    tile_m, tile_n, splits : the tile and the split of the depth [1]
    tensor_cores : whether it runs on them
    """

    time: Floats
    compute: Floats
    dram: Floats
    l2: Floats
    launch: Floats
    dram_bytes: Floats
    l2_bytes: Floats
    macs: Floats
    algorithm: NDArray[np.int64]
    tile_m: NDArray[np.int64]
    tile_n: NDArray[np.int64]
    splits: NDArray[np.int64]
    tensor_cores: Bools

    @property
    def bound(self) -> NDArray[np.int64]:
        """Index into `BOUNDS` of the longest part."""
        longest: NDArray[np.int64] = np.argmax(np.stack([self.compute, self.dram, self.l2, self.launch]), axis=0)
        return longest

    @property
    def intensity(self) -> Floats:
        """Arithmetic intensity: FLOP of the layer per byte of DRAM traffic [FLOP/B]."""
        return 2 * self.macs / self.dram_bytes

    def with_more_dram(self, seconds: Floats) -> Floats:
        """Times of the same kernels with so many `seconds` more DRAM time each, both of shape (T,) [s].

        As `kernel_time` has it, arithmetic and traffic overlap; the traffic of non-fused Winograd transforms does not.
        """
        apart = self.algorithm == ALGORITHMS.index("winograd_nonfused")
        return with_more_traffic(self.time, self.dram, self.l2, self.launch, apart, seconds)

    @property
    def idle_share(self) -> Floats:
        """Share of the time in which the DRAM is idle [1]."""
        return 1 - self.dram / self.time


def with_more_traffic(
    time: Floats, dram: Floats, l2: Floats, launch: Floats, in_turn: Bools, seconds: Floats
) -> Floats:
    """Times of kernels with more DRAM time, arrays of one shape [s].

    Parameters
    ----------
    time, dram, l2, launch : whole time and its parts as in `ConvKernels` [s]
    in_turn : whether traffic does not overlap with arithmetic [1]
    seconds : more DRAM time [s]
    """
    memory = np.maximum(dram, l2)
    busy = time - launch
    grown = np.maximum(dram + seconds, l2)
    together = regrown_time(busy=busy, memory=memory, grown_memory=grown)
    longer: Floats = np.where(in_turn, busy + seconds, together) + launch
    return longer


def conv_kernels(shapes: Sequence[ConvShape], phases: Sequence[Phase], gpu: Gpu, bandwidth: float,
                 precision: Matrix, *, channels_last: bool = False) -> ConvKernels:  # fmt: skip
    """Kernels of T tasks.

    Parameters
    ----------
    shapes, phases : of T tasks
    gpu : the GPU, with its kernel constants
    bandwidth : DRAM bandwidth of the host, refresh taken off [B/s]
    precision : "fp32"; "tf32" (fp32 tensors on tensor cores); "fp16" (both with fp32 sums; on the lanes of a GPU whose
        tensor cores cannot)
    channels_last : tensors lie in memory as NHWC; then odd channel counts of an ungrouped CONV are filled up to what
        tensor cores take, at the cost of the work on the zeros (cuDNN 8 and the frameworks above it)

    Returns
    -------
    ConvKernels of T tasks.
    """
    work = products_of(shapes, phases, BYTES[precision])
    families = _families(work, gpu, bandwidth * gpu.kernels.dram_efficiency, precision, channels_last)
    return _fastest(families, np.array([float(shape.macs) for shape in shapes]))


def all_kernels(shapes: Sequence[ConvShape], phases: Sequence[Phase], gpu: Gpu, bandwidth: float, precision: Matrix,
                channels_last: bool) -> list[Family]:  # fmt: skip
    """All kernels that a library has for T tasks; `bandwidth` is what kernels get of the DRAM's [B/s]."""
    work = products_of(shapes, phases, BYTES[precision])
    return [one.of_all(len(shapes)) for one in _families(work, gpu, bandwidth, precision, channels_last)]


def _fastest(families: Sequence[Family], macs: Floats) -> ConvKernels:
    """The fastest kernel of each task over all families."""
    time = np.full(len(macs), np.inf)
    kinds = {
        "algorithm": np.int64,
        "tile_m": np.int64,
        "tile_n": np.int64,
        "splits": np.int64,
        "tensor_cores": np.bool_,
    }
    names = [one.name for one in dataclasses.fields(ConvKernels) if one.name not in ("time", "macs")]
    best: dict[str, NDArray[Any]] = {name: np.zeros(len(macs), dtype=kinds.get(name, np.float64)) for name in names}
    for family in families:
        found = family.fastest()
        faster = found.pop("time") < time[family.places]
        at = family.places[faster]
        time = put(time, at, family.time.min(axis=1)[faster])
        for name, values in best.items():
            best[name] = put(values, at, found[name][faster] if found[name].ndim else found[name])
    return ConvKernels(time=time, macs=macs, **best)


def _families(work: Products, gpu: Gpu, bandwidth: float, precision: Matrix, channels_last: bool) -> list[Family]:
    """All kernels that a library has for these tasks, whose products hold bytes of the tensors' own precision."""
    if gpu.tensor_peak(precision) is None:
        precision = "fp32"
    found = _gemm(work, gpu, bandwidth, precision, channels_last)
    if precision == "fp32":
        square, weights = _square(work), work.is_phase("DW")
        found += of_some(work, square[3] & ~weights, lambda some: _winograd_fused(some, gpu, bandwidth))
        found += of_some(work, square[3] | square[5], lambda some: _winograd_non_fused(some, gpu, bandwidth))
    few = (work.column("k") / work.column("groups") < library.DIRECT_OUTPUTS) & (work.column("groups") > 1)
    return found + of_some(work, few, lambda some: _direct(some, gpu, bandwidth))


def _gemm(work: Products, gpu: Gpu, bandwidth: float, precision: Matrix, channels_last: bool) -> list[Family]:
    """Implicit matrix products on lanes or tensor cores."""
    everything = np.ones(len(work.phase), dtype=bool)
    if precision == "fp32":
        return _single(work, gpu, bandwidth, everything)
    tensor_peak = gpu.tensor_peak(precision)
    assert tensor_peak is not None
    skipped = skipping(work, work.is_phase("DX") & work.strided & work.pointwise)

    def tiled(some: Products, tiles: Sequence[Tile], peak: float) -> Family:
        return _tiled(some, tiles, gpu, bandwidth, peak, precision)

    alignment = library.TENSOR_ALIGNMENT if precision == "fp16" else library.LANE_ALIGNMENT
    fits = aligned(work, alignment)
    if channels_last:
        fits = fits | (work.column("groups") == 1)
    both = filled(skipped, alignment, outputs=True)
    parts = of_some(both, fits, lambda some: tiled(some, library.TENSOR_TILES, tensor_peak))
    if precision == "tf32":
        return parts + _single(work, gpu, bandwidth, ~fits)
    inputs = filled(skipped, library.LANE_ALIGNMENT)
    return parts + of_some(inputs, ~fits, lambda some: tiled(some, library.HALF_LANE_TILES, gpu.fp32_peak))


def _single(work: Products, gpu: Gpu, bandwidth: float, which: Bools) -> list[Family]:
    """fp32 products on the lanes; weight gradients have tiles of their own."""
    weights = work.is_phase("DW")
    work = skipping(by_image(work), work.is_phase("DX") & work.strided)

    def tiled(some: Products, tiles: Sequence[Tile]) -> Family:
        return _tiled(some, tiles, gpu, bandwidth, gpu.fp32_peak, "fp32")

    return (of_some(work, which & ~weights, lambda some: tiled(some, library.LANE_TILES))
            + of_some(work, which & weights, lambda some: tiled(some, library.GRADIENT_TILES)))  # fmt: skip


def _tiled(
    work: Products, tiles: Sequence[Tile], gpu: Gpu, bandwidth: float, peak: float, precision: Matrix
) -> Family:  # fmt: skip
    """Every tile with every split of the depth: arrays of shape (T, tiles x splits)."""
    constants = gpu.kernels
    tensor, single = tiles is library.TENSOR_TILES, precision == "fp32"
    step = library.TENSOR_STEP if tensor else library.LANE_STEP
    may_split = np.any(work.is_phase("DW") | (work.is_phase("FP") & tensor))
    menu = [(tile, splits) for tile in tiles for splits in (library.SPLITS if may_split else (1,))]
    tile_m, tile_n, resident, splits = (
        np.array(column)[None, :]
        for column in zip(*((tile.m, tile.n, tile.resident, split) for tile, split in menu), strict=True)
    )
    wide, compiled = (
        np.array(column)[None, :] for column in zip(*((tile.wide, tile.compiled) for tile, _ in menu), strict=True)
    )
    only = np.array([tile == library.POINTWISE_GRADIENT for tile, _ in menu])[None, :]
    rows, cols, depth, groups, first, second, result = (
        column[:, None]
        for column in (work.rows, work.cols, work.depth, work.batch, work.first, work.second, work.result)
    )
    forward, data, weights = (work.phase[:, None] == index for index in range(3))
    product = {"rows": rows, "cols": cols, "batch": groups, "tile_m": tile_m, "tile_n": tile_n}
    launch = constants.launch_factor * gpu.launch_overhead
    # A tensor core does per load as much more arithmetic as its peak is higher, on elements of half the bytes.
    loads = constants.tile_overhead * (peak / gpu.fp32_peak * BYTES[precision] / 4 if tensor else 1.0)
    kept = (gpu.tensor_sustained_share if tensor else gpu.sustained_share) or 1.0
    compute = busy_time(
        **product, depth=depth, tile_k=step, splits=splits, resident=resident, sms=gpu.sm_count, peak=kept * peak,
        core_clock=kept * gpu.clock, efficiency=constants.arithmetic_efficiency, tile_overhead=loads,
        wave_latency=constants.wave_latency,
    )  # fmt: skip
    strided = data & work.strided[:, None] & single
    summed = weights & ~work.dense[:, None] & single  # weight gradients of CONV on the lanes
    compute = np.where(strided | compiled, constants.compiled_kernel, 1.0) * compute
    compute = compute + split_time(rows=rows, cols=cols, batch=groups, splits=splits, bandwidth=bandwidth,
                                   launch=launch)  # fmt: skip
    traffic = dram_traffic(
        **product, first_bytes=first, second_bytes=second, result_bytes=result, splits=splits, resident=resident,
        sms=gpu.sm_count, l2_size=gpu.l2_size,
    )  # fmt: skip
    near = l2_traffic(first_bytes=first, second_bytes=second, result_bytes=result, rows=rows, cols=cols,
                      tile_m=tile_m, tile_n=tile_n)  # fmt: skip
    # Before a weight gradient on the lanes its offsets are worked out; before a tensor-core data gradient filters are
    # turned; after a tensor-core weight gradient sums are converted.
    launches = np.where((tensor & ~forward) | summed, 2.0, 1.0)
    # The result of a strided data gradient is cleared, and later written with gaps: sectors are read and written again.
    cleared = np.where(strided, 2 * result, 0.0)
    split_allowed = (splits == 1) | weights | (forward & tensor)
    deep = (splits == 1) | (depth >= splits * step * library.LEAST_STEPS)
    allowed = split_allowed & deep & (wide | ~data | (not tensor)) & (~(summed & work.pointwise[:, None]) | only)
    return _kernels(gpu, bandwidth, allowed, compute, traffic, near, launches, launch, "implicit_gemm",
                    tile_m, tile_n, splits, tensor, cleared=cleared)  # fmt: skip


def _kernels(
    gpu: Gpu, bandwidth: float, allowed: Bools, compute: Floats, traffic: Floats, near: Floats,
    kernels: Floats | float, launch: float, algorithm: str, tile_m: Floats, tile_n: Floats, splits: Floats,
    tensor: bool, cleared: Floats | float = 0.0, extra: Floats | float = 0.0,
) -> Family:  # fmt: skip
    """Kernels from their parts; before them `cleared` bytes are moved, by one launch more, and `extra` [s] pass."""
    extra = extra + np.where(np.greater(cleared, 0), cleared / bandwidth + launch, 0.0)
    memory = memory_time(traffic=traffic, bandwidth=bandwidth, l2_traffic=near, l2_bandwidth=gpu.l2_bandwidth)
    time = kernel_time(compute=compute, memory=memory, kernels=kernels, launch=launch) + extra
    rest = {
        "compute": compute, "dram": traffic / bandwidth + extra, "l2": near / gpu.l2_bandwidth,
        "launch": kernels * launch, "dram_bytes": traffic + cleared, "l2_bytes": near,
        "algorithm": ALGORITHMS.index(algorithm), "tile_m": tile_m, "tile_n": tile_n, "splits": splits,
        "tensor_cores": tensor, "streamed": traffic, "near": near, "apart": extra, "kernels": kernels,
    }  # fmt: skip
    time = np.where(allowed, time, np.inf)
    return Family(np.arange(len(time)), time, {name: numbers(values) for name, values in rest.items()})


def _winograd_shape(work: Products, edge: int) -> tuple[Floats, Floats, Floats]:
    """Patches, and channels per group in and out, of the CONV that a task is; a data gradient is one from K to C."""
    data = work.phase == 1
    height, width = (np.where(data, work.column(a), work.column(b)) for a, b in (("h", "p"), ("w", "q")))
    patches = work.column("n") * np.ceil(height / edge) * np.ceil(width / edge)
    inputs = np.where(data, work.column("k"), work.column("c")) / work.column("groups")
    outputs = np.where(data, work.column("c"), work.column("k")) / work.column("groups")
    return patches, inputs, outputs


def _square(work: Products) -> dict[int, Bools]:
    """Which tasks are of stride 1, in no groups or wide ones, with square filters, by the size of these."""
    groups = work.column("groups")
    narrower = np.minimum(work.column("c"), work.column("k")) / groups
    wide = (groups == 1) | (narrower >= library.GROUPED_WINOGRAD)
    plain = ~work.strided & wide & (work.column("r") == work.column("s"))
    return {size: plain & (work.column("r") == size) for size in (3, 5)}


def _lane_time(gpu: Gpu, tile: Tile, rows: Floats, cols: Floats, depth: Floats, batch: Floats) -> Floats:
    constants = gpu.kernels
    kept = gpu.sustained_share or 1.0
    time: Floats = busy_time(
        rows=rows, cols=cols, depth=depth, batch=batch, tile_m=tile.m, tile_n=tile.n, tile_k=library.LANE_STEP,
        splits=1, resident=tile.resident, sms=gpu.sm_count, peak=kept * gpu.fp32_peak, core_clock=kept * gpu.clock,
        efficiency=constants.arithmetic_efficiency, tile_overhead=constants.tile_overhead,
        wave_latency=constants.wave_latency,
    )  # fmt: skip
    return time


def _winograd_fused(work: Products, gpu: Gpu, bandwidth: float) -> Family:
    (tile,) = library.WINOGRAD_TILES
    patches, inputs, outputs = _winograd_shape(work, FUSED_EDGE)
    points = (FUSED_EDGE + 2) ** 2
    compute = _lane_time(gpu, tile, patches, outputs, points * inputs, work.column("groups"))
    traffic = work.first + work.second + work.result
    near = l2_traffic(first_bytes=work.first, second_bytes=work.second, result_bytes=work.result, rows=patches,
                      cols=outputs, tile_m=tile.m, tile_n=tile.n)  # fmt: skip
    return _column(gpu, bandwidth, compute, traffic, near, 1.0, "winograd", tile)


def _winograd_non_fused(work: Products, gpu: Gpu, bandwidth: float) -> Family:
    """The batched product, and transforms that do not overlap with it."""
    patches, inputs, outputs = _winograd_shape(work, NON_FUSED_EDGE)
    points = (NON_FUSED_EDGE + work.column("r") - 1) ** 2
    weights = work.phase == 2
    rows, depth = np.where(weights, inputs, patches), np.where(weights, patches, inputs)
    tiles = library.WINOGRAD_GEMM_TILES
    batch = points * work.column("groups")
    times = np.stack([_lane_time(gpu, tile, rows, outputs, depth, batch) for tile in tiles])
    traffic = gpu.kernels.winograd_traffic * transform_traffic(
        patches=patches, points=batch, inputs=inputs, outputs=outputs, element_bytes=BYTES["fp32"],
        first_bytes=work.first, second_bytes=work.second, result_bytes=work.result,
    )  # fmt: skip
    workspace = batch * BYTES["fp32"] * (patches * (inputs + outputs) + inputs * outputs)
    return _column(gpu, bandwidth, times.min(axis=0), traffic, traffic, 4.0, "winograd_nonfused", tiles[0],
                   in_turn=True, allowed=workspace <= library.WORKSPACE)  # fmt: skip


def _direct(work: Products, gpu: Gpu, bandwidth: float) -> Family:
    """One thread per output pixel and channel; the weight gradient does as many products."""
    (tile,) = library.DIRECT_TILES
    groups = work.column("groups")
    outputs = work.column("k") / groups
    pixels = work.column("n") * work.column("p") * work.column("q")
    depth = work.column("c") / groups * work.column("r") * work.column("s")
    compute = _lane_time(gpu, tile, pixels, outputs, depth, groups)
    traffic = work.first + work.second + work.result
    return _column(gpu, bandwidth, compute, traffic, traffic, 1.0, "direct", tile)


def _column(
    gpu: Gpu, bandwidth: float, compute: Floats, traffic: Floats, near: Floats, kernels: float, algorithm: str,
    tile: Tile, *, in_turn: bool = False, allowed: Bools | None = None,
) -> Family:  # fmt: skip
    """Kernels with one tile, arrays of shape (T, 1); `in_turn`: arithmetic and traffic do not overlap."""
    launch = gpu.kernels.launch_factor * gpu.launch_overhead
    one = np.ones((1, 1))
    fits = np.ones((len(compute), 1), dtype=bool) if allowed is None else allowed[:, None]
    if not in_turn:
        return _kernels(gpu, bandwidth, fits, compute[:, None], traffic[:, None], near[:, None], kernels, launch,
                        algorithm, tile.m * one, tile.n * one, one, False)  # fmt: skip
    none = np.zeros_like(traffic)[:, None]
    made = _kernels(gpu, bandwidth, fits, compute[:, None], none, none, kernels, launch, algorithm,
                    tile.m * one, tile.n * one, one, False, extra=traffic[:, None] / bandwidth)  # fmt: skip
    rest = {**made.rest, "dram_bytes": traffic[:, None], "l2_bytes": near[:, None]}
    return dataclasses.replace(made, rest=rest)
