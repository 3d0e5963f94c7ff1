"""CONV and fully connected layers on the GPU: the kernels that a library would choose, and what each of them costs.

Every kernel that fits a layer, a phase and a precision is evaluated; the fastest is taken, as a library with
autotuning would. Which kernels there are, and their tiles: :mod:`pimmodel.roofline.library`.

- `implicit_gemm`: the matrix product of :mod:`pimmodel.roofline.tiles`. fp32 on the ordinary lanes, fp16 on tensor
  cores where 8 divides both channel counts of a group, else on the lanes with channels in fours. The depth of weight
  gradients, and of tensor-core forward kernels, may be split. Data gradients of fp16 come in wide tiles only. The data
  gradient of a strided CONV skips the filter rows, not the columns, that meet no output, and in fp32 clears its result
  first.
- `winograd`, `winograd_nonfused` (:mod:`pimmodel.roofline.winograd`): fp32, stride 1, filters of 3 x 3 (non-fused
  also 5 x 5).
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

from pimmodel.hardware.gpu import Gpu
from pimmodel.network.conv_shape import ConvShape
from pimmodel.roofline import library
from pimmodel.roofline.library import Tile
from pimmodel.roofline.tiles import busy_time, dram_traffic, kernel_time, l2_traffic, memory_time, split_time
from pimmodel.roofline.winograd import FUSED_EDGE, NON_FUSED_EDGE, transform_traffic

Floats = NDArray[np.float64]
Phase = Literal["FP", "DX", "DW"]
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
    tensor_cores: NDArray[np.bool_]

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
    time: Floats, dram: Floats, l2: Floats, launch: Floats, in_turn: NDArray[np.bool_], seconds: Floats
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
    together = np.sqrt(np.maximum(busy**2 - memory**2, 0) + grown**2)
    return np.asarray(np.where(in_turn, busy + seconds, together) + launch)


@dataclass(frozen=True, eq=False)
class _Work:
    """T tasks as matrix products, arrays of shape (T,); names as in the formulas."""

    shapes: NDArray[np.float64]  # (T, 12): n c h w k p q r s stride_h stride_w groups
    phase: NDArray[np.int64]  # 0 FP, 1 DX, 2 DW
    rows: Floats
    cols: Floats
    depth: Floats
    first: Floats
    second: Floats
    result: Floats

    def column(self, name: str) -> Floats:
        """One field of the shapes."""
        taken: Floats = self.shapes[:, ConvShape._fields.index(name)]
        return taken


PHASES: tuple[Phase, ...] = ("FP", "DX", "DW")


def _work(shapes: Sequence[ConvShape], phases: Sequence[Phase], element: int) -> _Work:
    table = np.array([shape[:12] for shape in shapes], dtype=float).reshape(-1, 12)
    n, c, h, w, k, p, q, r, s, stride_h, stride_w, groups = table.T
    phase = np.array([PHASES.index(one) for one in phases], dtype=np.int64)
    images, maps, filters = n * c * h * w * element, n * k * p * q * element, k * c / groups * r * s * element
    forward, data = phase == 0, phase == 1
    # Rows that no filter meets are not read; of the others, whole sectors are.
    read = images * np.minimum(1, ((p - 1) * np.minimum(r, stride_h) + r) / h)
    # Of a strided data gradient, filter rows that meet no output are skipped, columns are not.
    met = np.ceil(s / stride_w) * r / stride_h
    return _Work(
        table, phase,
        rows=np.select([forward, data], [n * p * q, n * h * w], c / groups * r * s),
        cols=np.where(data, c / groups, k / groups),
        depth=np.select([forward, data], [c / groups * r * s, k / groups * met], n * p * q),
        first=np.where(data, maps, read),
        second=np.where(phase == 2, maps, filters),
        result=np.select([forward, data], [maps, images], filters),
    )  # fmt: skip


def conv_kernels(shapes: Sequence[ConvShape], phases: Sequence[Phase], gpu: Gpu, bandwidth: float,
                 precision: Matrix, *, channels_last: bool = False) -> ConvKernels:  # fmt: skip
    """Kernels of T tasks.

    Parameters
    ----------
    shapes, phases : of T tasks
    gpu : the GPU, with its kernel constants
    bandwidth : DRAM bandwidth of the host, refresh taken off [B/s]
    precision : "fp32"; "tf32" (fp32 tensors on tensor cores; fp32 on a GPU whose tensor cores cannot); "fp16"
    channels_last : tensors lie in memory as NHWC; then odd channel counts of an ungrouped CONV are filled up to what
        tensor cores take, at the cost of the work on the zeros (cuDNN 8 and the frameworks above it)

    Returns
    -------
    ConvKernels of T tasks.
    """
    if precision == "tf32" and gpu.tf32_tensor_peak is None:
        precision = "fp32"
    families = all_kernels(shapes, phases, gpu, bandwidth * gpu.kernels.dram_efficiency, precision, channels_last)
    return _fastest(families, np.array([float(shape.macs) for shape in shapes]))


def all_kernels(shapes: Sequence[ConvShape], phases: Sequence[Phase], gpu: Gpu, bandwidth: float, precision: Matrix,
                channels_last: bool) -> list[_Family]:  # fmt: skip
    """All kernels that a library has for T tasks; `bandwidth` is what kernels get of the DRAM's [B/s]."""
    return _families(_work(shapes, phases, BYTES[precision]), gpu, bandwidth, precision, channels_last)


@dataclass(frozen=True, eq=False)
class _Family:
    """Kernels of one kind: time of shape (T, kernels), endless where one does not fit; all else broadcasts to it."""

    time: Floats
    rest: dict[str, NDArray[Any]]

    def fastest(self) -> dict[str, NDArray[Any]]:
        """Time and rest of the fastest kernel of each task, shape (T,)."""
        tasks = np.arange(len(self.time))
        best = np.argmin(self.time, axis=1)

        def taken(values: NDArray[Any]) -> NDArray[Any]:
            if values.ndim == 0:
                return np.full(len(tasks), values)
            chosen: NDArray[Any] = np.broadcast_to(values, self.time.shape)[tasks, best]
            return chosen

        return {"time": self.time[tasks, best], **{name: taken(values) for name, values in self.rest.items()}}


def _fastest(families: Sequence[_Family], macs: Floats) -> ConvKernels:
    """The fastest kernel of each task over all families."""
    best, *others = (family.fastest() for family in families)
    for other in others:
        faster = other["time"] < best["time"]
        best = {name: np.where(faster, other[name], values) for name, values in best.items()}
    return ConvKernels(macs=macs, **{name: values for name, values in best.items() if name not in MENU_PARTS})


def _families(work: _Work, gpu: Gpu, bandwidth: float, precision: Matrix, channels_last: bool) -> list[_Family]:
    """All kernels that a library has for these tasks."""
    found = _gemm(work, gpu, bandwidth, precision, channels_last)
    if precision == "fp32":
        found += [_winograd_fused(work, gpu, bandwidth), _winograd_non_fused(work, gpu, bandwidth)]
    if np.any(work.column("k") / work.column("groups") < library.DIRECT_OUTPUTS):
        found.append(_direct(work, gpu, bandwidth))
    return found


def _gemm(work: _Work, gpu: Gpu, bandwidth: float, precision: Matrix, channels_last: bool) -> list[_Family]:
    """Implicit matrix products on lanes or tensor cores."""
    inputs, outputs = (work.column(name) / work.column("groups") for name in ("c", "k"))
    tensor_peak = {"fp32": None, "tf32": gpu.tf32_tensor_peak, "fp16": gpu.fp16_tensor_peak}[precision]
    if tensor_peak is None:
        # fp16 arithmetic, or fp32 where that is slow.
        faster = max(1.0, gpu.fp16_vector_ratio) if precision == "fp16" else 1.0
        return [_tiled(work, library.LANE_TILES, gpu, bandwidth, gpu.fp32_peak * faster, library.LANE_STEP, precision,
                       np.ones(len(inputs), dtype=bool), tensor=False)]  # fmt: skip
    alignment = library.TENSOR_ALIGNMENT if precision == "fp16" else library.LANE_ALIGNMENT
    fits = (inputs % alignment == 0) & (outputs % alignment == 0)
    if channels_last:
        fits = fits | (work.column("groups") == 1)
    parts = []
    if np.any(fits):
        filled = _filled(work, alignment, inputs, outputs)
        tiles, step = library.TENSOR_TILES, library.TENSOR_STEP
        parts.append(_tiled(filled, tiles, gpu, bandwidth, tensor_peak, step, precision, fits, tensor=True))
    if not np.all(fits):
        half = precision == "fp16"
        tiles = library.HALF_LANE_TILES if half else library.LANE_TILES
        filled = _filled(work, library.LANE_ALIGNMENT, inputs) if half else work
        step = library.LANE_STEP
        parts.append(_tiled(filled, tiles, gpu, bandwidth, gpu.fp32_peak, step, precision, ~fits, tensor=False))
    return parts


def _filled(work: _Work, alignment: int, inputs: Floats, outputs: Floats | None = None) -> _Work:
    """The products with channel counts filled up with zeros to multiples of `alignment`; outputs only where given."""
    filled_in = np.ceil(inputs / alignment) * alignment
    filled_out = np.ones_like(inputs) if outputs is None else np.ceil(outputs / alignment) * alignment
    outputs = np.ones_like(inputs) if outputs is None else outputs
    forward, data, weights = (work.phase == index for index in range(3))
    # Divided first: whole numbers stay whole, and no ceiling counts a rounding error as one more.
    return dataclasses.replace(
        work,
        rows=np.where(weights, work.rows / inputs * filled_in, work.rows),
        cols=np.where(data, work.cols / inputs * filled_in, work.cols / outputs * filled_out),
        depth=np.select(
            [forward, data], [work.depth / inputs * filled_in, work.depth / outputs * filled_out], work.depth
        ),
    )


def _tiled(
    work: _Work, tiles: Sequence[Tile], gpu: Gpu, bandwidth: float, peak: float, step: int, precision: Matrix,
    fits: NDArray[np.bool_], *, tensor: bool,
) -> _Family:  # fmt: skip
    """Every tile with every split of the depth: arrays of shape (T, tiles x splits)."""
    constants = gpu.kernels
    menu = [(tile, splits) for tile in tiles for splits in library.SPLITS]
    tile_m, tile_n, resident, splits = (
        np.array(column)[None, :]
        for column in zip(*((tile.m, tile.n, tile.resident, split) for tile, split in menu), strict=True)
    )
    wide = np.array([tile.wide for tile, _ in menu])[None, :]
    rows, cols, depth, groups, first, second, result = (
        column[:, None]
        for column in (work.rows, work.cols, work.depth, work.column("groups"), work.first, work.second, work.result)
    )
    forward, data, weights = (work.phase[:, None] == index for index in range(3))
    product = {"rows": rows, "cols": cols, "batch": groups, "tile_m": tile_m, "tile_n": tile_n}
    launch = constants.launch_factor * gpu.launch_overhead
    # A tensor core does per load as much more arithmetic as its peak is higher, on elements of half the bytes.
    loads = constants.tile_overhead * (peak / gpu.fp32_peak * BYTES[precision] / 4 if tensor else 1.0)
    compute = busy_time(
        **product, depth=depth, tile_k=step, splits=splits, resident=resident, sms=gpu.sm_count, peak=peak,
        core_clock=gpu.clock, efficiency=constants.arithmetic_efficiency, tile_overhead=loads,
        wave_latency=constants.wave_latency,
    )  # fmt: skip
    pointwise = weights & (work.column("r") * work.column("s") == 1)[:, None] & (precision == "fp32")
    compute = np.where(pointwise, compute * constants.pointwise_gradient, compute)
    compute = compute + split_time(rows=rows, cols=cols, batch=groups, splits=splits, bandwidth=bandwidth,
                                   launch=launch)  # fmt: skip
    traffic = dram_traffic(
        **product, first_bytes=first, second_bytes=second, result_bytes=result, splits=splits, resident=resident,
        sms=gpu.sm_count, l2_size=gpu.l2_size,
    )  # fmt: skip
    near = l2_traffic(first_bytes=first, second_bytes=second, result_bytes=result, rows=rows, cols=cols,
                      tile_m=tile_m, tile_n=tile_n)  # fmt: skip
    # Filters are turned before a tensor-core data gradient, sums converted after a weight gradient.
    kernels = np.where(tensor & ~forward, 2.0, 1.0)
    strided = data & (work.column("stride_h") * work.column("stride_w") > 1)[:, None] & (precision == "fp32")
    cleared = np.where(strided, result / bandwidth + launch, 0.0)  # of a result that is then written in parts
    split_allowed = (splits == 1) | weights | (forward & tensor)
    deep = (splits == 1) | (depth >= splits * step * library.LEAST_STEPS)
    allowed = fits[:, None] & split_allowed & deep & (wide | ~data | (not tensor))
    return _kernels(gpu, bandwidth, allowed, compute, traffic, near, kernels, launch, "implicit_gemm",
                    tile_m, tile_n, splits, tensor, extra=cleared)  # fmt: skip


def _kernels(
    gpu: Gpu, bandwidth: float, allowed: NDArray[np.bool_], compute: Floats, traffic: Floats, near: Floats,
    kernels: Floats | float, launch: float, algorithm: str, tile_m: Floats, tile_n: Floats, splits: Floats,
    tensor: bool, extra: Floats | float = 0.0,
) -> _Family:  # fmt: skip
    """Kernels from their parts; `extra` is time before the kernel proper [s]."""
    memory = memory_time(traffic=traffic, bandwidth=bandwidth, l2_traffic=near, l2_bandwidth=gpu.l2_bandwidth)
    time = kernel_time(compute=compute, memory=memory, kernels=kernels, launch=launch) + extra
    rest = {
        "compute": compute, "dram": traffic / bandwidth + extra, "l2": near / gpu.l2_bandwidth,
        "launch": kernels * launch, "dram_bytes": traffic, "l2_bytes": near,
        "algorithm": ALGORITHMS.index(algorithm), "tile_m": tile_m, "tile_n": tile_n, "splits": splits,
        "tensor_cores": tensor, "streamed": traffic, "near": near, "apart": extra, "kernels": kernels,
    }  # fmt: skip
    return _Family(np.where(allowed, time, np.inf), {name: np.asarray(values) for name, values in rest.items()})


def _winograd_shape(work: _Work, edge: int) -> tuple[Floats, Floats, Floats]:
    """Patches, input and output channels of the CONV that a task is: a data gradient is one from K to C channels."""
    data = work.phase == 1
    height, width = (np.where(data, work.column(a), work.column(b)) for a, b in (("h", "p"), ("w", "q")))
    patches = work.column("n") * np.ceil(height / edge) * np.ceil(width / edge)
    inputs = np.where(data, work.column("k"), work.column("c"))
    outputs = np.where(data, work.column("c"), work.column("k"))
    return patches, inputs, outputs


def _square(work: _Work, sizes: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which tasks are ungrouped, of stride 1, with square filters of one of these sizes."""
    one = (work.column("stride_h") == 1) & (work.column("stride_w") == 1) & (work.column("groups") == 1)
    square: NDArray[np.bool_] = one & (work.column("r") == work.column("s")) & np.isin(work.column("r"), sizes)
    return square


def _lane_time(gpu: Gpu, tile: Tile, rows: Floats, cols: Floats, depth: Floats, batch: Floats | float,
               peak: float) -> Floats:  # fmt: skip
    constants = gpu.kernels
    time: Floats = busy_time(
        rows=rows, cols=cols, depth=depth, batch=batch, tile_m=tile.m, tile_n=tile.n, tile_k=library.LANE_STEP,
        splits=1, resident=tile.resident, sms=gpu.sm_count, peak=peak, core_clock=gpu.clock,
        efficiency=constants.arithmetic_efficiency, tile_overhead=constants.tile_overhead,
        wave_latency=constants.wave_latency,
    )  # fmt: skip
    return time


def _winograd_fused(work: _Work, gpu: Gpu, bandwidth: float) -> _Family:
    (tile,) = library.WINOGRAD_TILES
    patches, inputs, outputs = _winograd_shape(work, FUSED_EDGE)
    points = (FUSED_EDGE + 2) ** 2
    compute = _lane_time(gpu, tile, patches, outputs, points * inputs, 1, gpu.fp32_peak)
    traffic = work.first + work.second + work.result
    near = l2_traffic(first_bytes=work.first, second_bytes=work.second, result_bytes=work.result, rows=patches,
                      cols=outputs, tile_m=tile.m, tile_n=tile.n)  # fmt: skip
    allowed = _square(work, (3,)) & (work.phase != 2)
    return _column(gpu, bandwidth, allowed, compute, traffic, near, 1.0, "winograd", tile)


def _winograd_non_fused(work: _Work, gpu: Gpu, bandwidth: float) -> _Family:
    """The batched product, and transforms that do not overlap with it."""
    patches, inputs, outputs = _winograd_shape(work, NON_FUSED_EDGE)
    points = (NON_FUSED_EDGE + work.column("r") - 1) ** 2
    weights = work.phase == 2
    rows, depth = np.where(weights, inputs, patches), np.where(weights, patches, inputs)
    tiles = library.WINOGRAD_GEMM_TILES
    times = np.stack([_lane_time(gpu, tile, rows, outputs, depth, points, gpu.fp32_peak) for tile in tiles])
    traffic = gpu.kernels.winograd_traffic * transform_traffic(
        patches=patches, points=points, inputs=inputs, outputs=outputs, element_bytes=BYTES["fp32"],
        first_bytes=work.first, second_bytes=work.second, result_bytes=work.result,
    )  # fmt: skip
    workspace = points * BYTES["fp32"] * (patches * (inputs + outputs) + inputs * outputs)
    allowed = _square(work, (3, 5)) & (workspace <= library.WORKSPACE)
    return _column(gpu, bandwidth, allowed, times.min(axis=0), traffic, traffic, 4.0, "winograd_nonfused", tiles[0],
                   in_turn=True)  # fmt: skip


def _direct(work: _Work, gpu: Gpu, bandwidth: float) -> _Family:
    """One thread per output pixel and channel; the weight gradient does as many products."""
    (tile,) = library.DIRECT_TILES
    groups = work.column("groups")
    outputs = work.column("k") / groups
    pixels = work.column("n") * work.column("p") * work.column("q")
    depth = work.column("c") / groups * work.column("r") * work.column("s")
    compute = _lane_time(gpu, tile, pixels, outputs, depth, groups, gpu.fp32_peak)
    traffic = work.first + work.second + work.result
    allowed = (outputs < library.DIRECT_OUTPUTS) & (groups > 1)
    return _column(gpu, bandwidth, allowed, compute, traffic, traffic, 1.0, "direct", tile)


def _column(
    gpu: Gpu, bandwidth: float, allowed: NDArray[np.bool_], compute: Floats, traffic: Floats, near: Floats,
    kernels: float, algorithm: str, tile: Tile, *, in_turn: bool = False,
) -> _Family:  # fmt: skip
    """Kernels with one tile, arrays of shape (T, 1); `in_turn`: arithmetic and traffic do not overlap."""
    launch = gpu.kernels.launch_factor * gpu.launch_overhead
    one = np.ones((1, 1))
    if not in_turn:
        return _kernels(gpu, bandwidth, allowed[:, None], compute[:, None], traffic[:, None], near[:, None], kernels,
                        launch, algorithm, tile.m * one, tile.n * one, one, False)  # fmt: skip
    none = np.zeros_like(traffic)[:, None]
    made = _kernels(gpu, bandwidth, allowed[:, None], compute[:, None], none, none, kernels, launch, algorithm,
                    tile.m * one, tile.n * one, one, False, extra=traffic[:, None] / bandwidth)  # fmt: skip
    return _Family(made.time, {**made.rest, "dram_bytes": traffic[:, None], "l2_bytes": near[:, None]})
