"""Readable slow twins of the host's formulas and of the choice among kernels: plain numbers, one kernel at a time.

Written from the docstrings of `pimmodel.roofline`; nothing of its code is used but the facts of the library (tiles).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pimmodel.hardware.gpu import Gpu
from pimmodel.network.conv_shape import ConvShape
from pimmodel.roofline import library


def tiles_of(rows: int, cols: int, batch: int, tile_m: int, tile_n: int, splits: int) -> int:
    """Walks over the result, a tile at a time."""
    found = 0
    for _ in range(batch * splits):
        for _ in range(0, rows, tile_m):
            for _ in range(0, cols, tile_n):
                found += 1
    return found


def steps_of(depth: float, splits: int, tile_k: int) -> int:
    """Steps of `tile_k` products until one of `splits` equal parts of the depth is summed."""
    return math.ceil(depth / (splits * tile_k))


def busy(tiles: int, tile_m: int, tile_n: int, products: int, resident: int, sms: int, peak: float, gpu: Gpu,
         overhead: float) -> float:  # fmt: skip
    """Tiles go round the SMs; the busiest one's time: products, loads of both edges of each tile, waves."""
    busiest, rate = -(-tiles // sms), gpu.kernels.arithmetic_efficiency * peak / sms
    products_time = 2 * tile_m * tile_n * products / rate
    loads_time = overhead * 2 * (tile_n + tile_m) * products / rate
    waves = -(-busiest // resident)
    return busiest * (products_time + loads_time) + waves * gpu.kernels.wave_latency / gpu.clock


def at_power_limit(gpu: Gpu, tensor: bool) -> Gpu:
    """The GPU with the clock that its power limit leaves to units at work."""
    share = gpu.tensor_sustained_share if tensor else gpu.sustained_share
    return gpu if share is None else gpu.model_copy(update={"clock": share * gpu.clock})


def split(rows: float, cols: float, batch: float, splits: int, bandwidth: float, launch: float) -> float:
    """A partial sum per split, and the result; one more kernel."""
    if splits == 1:
        return 0.0
    total = 4 * rows * cols * batch  # the result, in fp32
    for _ in range(splits):
        total += 4 * rows * cols * batch
    return total / bandwidth + launch


def dram(first: float, second: float, result: float, across: int, tiles: int, wave: int, l2: float) -> float:
    """First pass of each operand from DRAM; of the later ones, what L2 does not hold."""
    total = result
    for size, passes in ((first, across / wave), (second, tiles / wave)):
        missing = size - min(size, l2)
        total += size + max(0.0, passes - 1) * missing
    return total


def near(first: float, second: float, result: float, rows: int, cols: int, tile_m: int, tile_n: int) -> float:
    """Every column of tiles reads the first operand, every row of tiles the second."""
    total = result
    for _ in range(0, cols, tile_n):
        total += first
    for _ in range(0, rows, tile_m):
        total += second
    return total


@dataclass(frozen=True)
class Kernel:
    """One kernel of the menu, with its time [s] and DRAM traffic [B]."""

    algorithm: str
    time: float
    dram_bytes: float
    tensor_cores: bool = False


def kernels_of(shape: ConvShape, phase: str, gpu: Gpu, bandwidth: float, precision: str,
               channels_last: bool = False) -> list[Kernel]:  # fmt: skip
    """Everything that a library could run for one task."""
    bandwidth *= gpu.kernels.dram_efficiency
    element = 2 if precision == "fp16" else 4
    if {"tf32": gpu.tf32_tensor_peak, "fp16": gpu.fp16_tensor_peak}.get(precision) is None:
        precision = "fp32"  # its kernels, on elements of what size there are
    found = gemms(shape, phase, gpu, bandwidth, precision, channels_last, element)
    if precision == "fp32":
        found += winograds(shape, phase, gpu, bandwidth, element)
    if shape.groups > 1 and shape.k // shape.groups < 8:
        found.append(direct(shape, phase, gpu, bandwidth, element))
    return found


def tensors(shape: ConvShape, phase: str, element: int) -> tuple[float, float, float]:
    """Bytes of first operand, second operand, result."""
    s = shape
    rows = set()
    for p in range(s.p):
        rows |= set(range(p * s.stride_h, p * s.stride_h + s.r))
    images = s.n * s.c * s.h * s.w * element
    read = s.n * s.c * min(s.h, len(rows)) * s.w * element
    maps, filters = s.n * s.k * s.p * s.q * element, s.k * (s.c // s.groups) * s.r * s.s * element
    return {"FP": (read, filters, maps), "DX": (maps, filters, images), "DW": (read, maps, filters)}[phase]


def up(number: int, step: int) -> int:
    return -(-number // step) * step


def gemms(
    shape: ConvShape, phase: str, gpu: Gpu, bandwidth: float, precision: str, channels_last: bool, element: int
) -> list[Kernel]:
    s, constants = shape, gpu.kernels
    inputs, outputs = s.c // s.groups, s.k // s.groups
    tensor_peak = {"fp32": None, "tf32": gpu.tf32_tensor_peak, "fp16": gpu.fp16_tensor_peak}[precision]
    step, tensor, menu, peak = 8, False, library.LANE_TILES, gpu.fp32_peak
    if tensor_peak is not None:
        align = 8 if precision == "fp16" else 4
        fits = inputs % align == 0 and outputs % align == 0
        if fits or (channels_last and s.groups == 1):
            inputs, outputs = up(inputs, align), up(outputs, align)
            menu, step, tensor, peak = library.TENSOR_TILES, 32, True, tensor_peak
        elif precision == "fp16":
            inputs, menu = up(inputs, 4), library.HALF_LANE_TILES
    launch = constants.launch_factor * gpu.launch_overhead
    kept = at_power_limit(gpu, tensor).clock / gpu.clock
    lanes = precision != "fp16" and not tensor
    strided = phase == "DX" and s.stride_h * s.stride_w > 1
    pointwise = s.r * s.s == 1
    dense = pointwise and s.h * s.w == 1  # fully connected: no images to sum one by one
    met = math.ceil(s.s / s.stride_w) * s.r / s.stride_h  # products of a filter that meet an output
    rows, cols, depth, groups = {
        "FP": (s.n * s.p * s.q, outputs, inputs * s.r * s.s, s.groups),
        "DX": (s.n * s.h * s.w, inputs, outputs * met, s.groups),
        "DW": (inputs * s.r * s.s, outputs, s.n * s.p * s.q, s.groups),
    }[phase]
    if strided and (lanes or pointwise):
        # A pixel's place within the stride decides which taps of the filter reach it: a product for each place.
        places = [(i, j) for i in range(s.stride_h) for j in range(s.stride_w) if i < s.r and j < s.s]
        rows = s.n * len(range(0, s.h, s.stride_h)) * len(range(0, s.w, s.stride_w))
        depth, groups = outputs * s.r * s.s / len(places), s.groups * len(places)
    if phase == "DW" and lanes:
        if not dense:
            depth = s.n * up(s.p * s.q, library.IMAGE_STEP)  # no step of a sum has pixels of two images
        menu = library.GRADIENT_TILES
    first, second, result = tensors(s, phase, element)
    found = []
    for tile in menu:
        if tensor and phase == "DX" and not tile.wide:
            continue
        if phase == "DW" and lanes and pointwise and not dense and tile != library.POINTWISE_GRADIENT:
            continue
        for splits in library.SPLITS:
            may_split = phase == "DW" or (phase == "FP" and tensor)
            if splits > 1 and not (may_split and depth >= splits * step * library.LEAST_STEPS):
                continue
            overhead = constants.tile_overhead
            if tensor:
                overhead *= peak / gpu.fp32_peak * element / 4
            count = math.ceil(rows / tile.m) * math.ceil(cols / tile.n) * splits * groups
            compute = busy(count, tile.m, tile.n, step * steps_of(depth, splits, step), tile.resident, gpu.sm_count,
                           kept * peak, at_power_limit(gpu, tensor), overhead)  # fmt: skip
            if lanes and (strided or tile.compiled):
                compute *= constants.compiled_kernel
            compute += split(rows, cols, groups, splits, bandwidth, launch)
            moved = dram(
                first, second, result, math.ceil(cols / tile.n), count, tile.resident * gpu.sm_count, gpu.l2_size
            )
            close = near(first, second, result, rows, cols, tile.m, tile.n)
            time = math.hypot(compute, max(moved / bandwidth, close / gpu.l2_bandwidth))
            # One more kernel: turned filters, converted sums, or the offsets of a weight gradient on the lanes.
            time += (2 if (tensor and phase != "FP") or (lanes and phase == "DW" and not dense) else 1) * launch
            if strided and lanes:
                time += 2 * result / bandwidth + launch  # cleared, and its sectors read again for rows with gaps
                moved += 2 * result
            found.append(Kernel("implicit_gemm", time, moved, tensor))
    return found


def winograds(shape: ConvShape, phase: str, gpu: Gpu, bandwidth: float, element: int) -> list[Kernel]:
    s, constants = shape, gpu.kernels
    if (s.stride_h, s.stride_w) != (1, 1) or s.r != s.s:
        return []
    if s.groups > 1 and min(s.c, s.k) < 32 * s.groups:
        return []
    inputs, outputs, height, width = (s.k, s.c, s.h, s.w) if phase == "DX" else (s.c, s.k, s.p, s.q)
    inputs, outputs = inputs // s.groups, outputs // s.groups
    first, second, result = tensors(s, phase, element)
    lanes = at_power_limit(gpu, False)
    launch = constants.launch_factor * gpu.launch_overhead

    def product(rows: int, cols: int, depth: int, batch: int, tile: library.Tile) -> float:
        count = math.ceil(rows / tile.m) * math.ceil(cols / tile.n) * batch
        return busy(count, tile.m, tile.n, 8 * steps_of(depth, 1, 8), tile.resident, gpu.sm_count, lanes.fp32_peak,
                    lanes, constants.tile_overhead)  # fmt: skip

    found = []
    if s.r == 3 and phase != "DW":
        (tile,) = library.WINOGRAD_TILES
        patches = s.n * math.ceil(height / 2) * math.ceil(width / 2)
        moved = first + second + result
        close = near(first, second, result, patches, outputs, tile.m, tile.n)
        memory = max(moved / bandwidth, close / gpu.l2_bandwidth)
        compute = product(patches, outputs, 16 * inputs, s.groups, tile)
        found.append(Kernel("winograd", math.hypot(compute, memory) + launch, moved))
    if s.r in (3, 5):
        patches, points = s.n * math.ceil(height / 4) * math.ceil(width / 4), s.groups * (4 + s.r - 1) ** 2
        transformed = points * 4 * (patches * inputs + patches * outputs + inputs * outputs)
        if transformed <= 2**30:
            rows, depth = (inputs, patches) if phase == "DW" else (patches, inputs)
            compute = min(product(rows, outputs, depth, points, tile) for tile in library.WINOGRAD_GEMM_TILES)
            moved = constants.winograd_traffic * (2 * transformed + first + second + result)
            found.append(Kernel("winograd_nonfused", compute + moved / bandwidth + 4 * launch, moved))
    return found


def direct(shape: ConvShape, phase: str, gpu: Gpu, bandwidth: float, element: int) -> Kernel:
    """One thread per output of the forward pass: the same products in all phases."""
    s, constants = shape, gpu.kernels
    (tile,) = library.DIRECT_TILES
    count = math.ceil(s.n * s.p * s.q / tile.m) * math.ceil(s.k // s.groups / tile.n) * s.groups
    products = 8 * steps_of(s.c // s.groups * s.r * s.s, 1, 8)
    lanes = at_power_limit(gpu, False)
    compute = busy(count, tile.m, tile.n, products, tile.resident, gpu.sm_count, lanes.fp32_peak, lanes,
                   constants.tile_overhead)  # fmt: skip
    moved = sum(tensors(s, phase, element))
    memory = max(moved / bandwidth, moved / gpu.l2_bandwidth)
    return Kernel("direct", math.hypot(compute, memory) + constants.launch_factor * gpu.launch_overhead, moved)
