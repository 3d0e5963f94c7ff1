"""Tiles, Winograd and streams: each formula beside a slow twin on random input, and by hand."""

from __future__ import annotations

import math

import pytest
import slow_kernels as slow
from hypothesis import given
from hypothesis import strategies as st

from pimmodel.roofline.streams import stream_time
from pimmodel.roofline.tiles import (
    busy_time,
    dram_traffic,
    kernel_time,
    l2_traffic,
    memory_time,
    split_time,
    tile_count,
)
from pimmodel.roofline.winograd import FUSED_EDGE, NON_FUSED_EDGE, transform_traffic

sizes = st.integers(1, 3000)
edges = st.sampled_from([32, 64, 128, 256])
splits = st.sampled_from([1, 2, 4, 8])
few = st.integers(1, 6)
amounts = st.floats(1.0, 1e12)
times = st.floats(1e-7, 1e3)


def same(value: float) -> object:
    return pytest.approx(value, rel=1e-12, abs=0)


# ---------------------------------------------------------------------- tiles


@given(sizes, sizes, few, edges, edges, splits)
def test_tile_count(rows: int, cols: int, batch: int, tile_m: int, tile_n: int, split: int) -> None:
    got = tile_count(rows=rows, cols=cols, batch=batch, tile_m=tile_m, tile_n=tile_n, splits=split)
    assert got == slow.tiles_of(rows, cols, batch, tile_m, tile_n, split)


def test_tile_count_by_hand() -> None:
    # 3136 / 128 = 24.5 and 256 / 64 = 4: 25 x 4 tiles, in 2 splits of 3 products: 600.
    assert tile_count(rows=3136, cols=256, batch=3, tile_m=128, tile_n=64, splits=2) == 600


@given(
    st.tuples(sizes, sizes, few), st.integers(1, 5000), st.tuples(edges, edges, st.sampled_from([8, 32])), splits,
    st.integers(1, 8), st.integers(1, 132), st.floats(1e11, 1e15), st.floats(5e8, 2e9), st.floats(0.1, 1),
    st.floats(0, 200), st.floats(0, 1e4),
)  # fmt: skip
def test_busy_time(
    result: tuple[int, int, int], depth: int, tile: tuple[int, int, int], split: int, resident: int, sms: int,
    peak: float, clock: float, efficiency: float, overhead: float, latency: float,
) -> None:  # fmt: skip
    (rows, cols, batch), (tile_m, tile_n, tile_k) = result, tile
    got = busy_time(
        rows=rows, cols=cols, depth=depth, batch=batch, tile_m=tile_m, tile_n=tile_n, tile_k=tile_k, splits=split,
        resident=resident, sms=sms, peak=peak, core_clock=clock, efficiency=efficiency, tile_overhead=overhead,
        wave_latency=latency,
    )  # fmt: skip
    # Every tile goes to the SM that has fewest; every step until the depth is summed.
    of_sm = [0] * sms
    for index in range(slow.tiles_of(rows, cols, batch, tile_m, tile_n, split)):
        of_sm[index % sms] += 1
    products = 0
    while products * split < depth:
        products += tile_k
    waves = 0
    while waves * resident < max(of_sm):
        waves += 1
    one = products * (2 * tile_m * tile_n + overhead * (2 * tile_m + 2 * tile_n)) / (efficiency * peak / sms)
    assert got == same(max(of_sm) * one + waves * latency / clock)


def test_busy_time_by_hand() -> None:
    # Two tiles of 128 x 128 on one SM. Depth 100 takes 13 steps of 8: 104 products, 2 x 128 x 128 x 104 = 3407872 FLOP
    # at half of 1 GFLOP/s: 6.815744 ms. Loads: 64 (1/128 + 1/128) = 1 of that again. Both at once on the SM: one wave
    # of 1000 clocks at 1 GHz. 2 x 2 x 6.815744 ms + 1 us.
    got = busy_time(rows=256, cols=128, depth=100, batch=1, tile_m=128, tile_n=128, tile_k=8, splits=1, resident=2,
                    sms=1, peak=1e9, core_clock=1e9, efficiency=0.5, tile_overhead=64, wave_latency=1000)  # fmt: skip
    assert got == same(4 * 6.815744e-3 + 1e-6)


@given(sizes, sizes, few, splits, amounts, times)
def test_split_time(rows: int, cols: int, batch: int, split: int, bandwidth: float, launch: float) -> None:
    got = split_time(rows=rows, cols=cols, batch=batch, splits=split, bandwidth=bandwidth, launch=launch)
    assert got == same(slow.split(rows, cols, batch, split, bandwidth, launch))


def test_split_time_by_hand() -> None:
    # Two results of 10 x 5 in fp32 are 400 B; four parts and the sum are 2000 B at 1000 B/s; one more launch of 0.5 s.
    values = {"rows": 10, "cols": 5, "batch": 2, "bandwidth": 1000.0, "launch": 0.5}
    assert split_time(**values, splits=4) == 2.5
    assert split_time(**values, splits=1) == 0


# ---------------------------------------------------------------------- traffic


@given(
    st.tuples(amounts, amounts, amounts), st.tuples(sizes, sizes, few), edges, edges, splits, st.integers(1, 8),
    st.integers(1, 132), st.floats(1e3, 1e9),
)  # fmt: skip
def test_dram_traffic(
    moved: tuple[float, float, float], result: tuple[int, int, int], tile_m: int, tile_n: int, split: int,
    resident: int, sms: int, l2: float,
) -> None:  # fmt: skip
    (first, second, out), (rows, cols, batch) = moved, result
    got = dram_traffic(first_bytes=first, second_bytes=second, result_bytes=out, rows=rows, cols=cols, batch=batch,
                       tile_m=tile_m, tile_n=tile_n, splits=split, resident=resident, sms=sms, l2_size=l2)  # fmt: skip
    across = slow.tiles_of(1, cols, 1, 1, tile_n, 1)
    tiles = slow.tiles_of(rows, cols, batch, tile_m, tile_n, split)
    assert got == same(slow.dram(first, second, out, across, tiles, resident * sms, l2))
    assert got >= (first + second + out) * (1 - 1e-12)


def test_dram_traffic_by_hand() -> None:
    # 100 x 2 tiles, 10 at a time: 20 waves, each passes over the columns' operand. Of its 4000 B, L2 holds 1000, so 19
    # passes read 3000 B again: 4000 + 57000. A row of 2 tiles fits a wave: the rows' operand is read once.
    values = {
        "rows": 12800,
        "cols": 256,
        "batch": 1,
        "tile_m": 128,
        "tile_n": 128,
        "splits": 1,
        "resident": 2,
        "sms": 5,
    }
    got = dram_traffic(first_bytes=1e6, second_bytes=4000, result_bytes=5e5, l2_size=1000, **values)
    assert got == same(1e6 + 61000 + 5e5)
    # With an L2 that holds 4000 B, once each.
    assert dram_traffic(first_bytes=1e6, second_bytes=4000, result_bytes=5e5, l2_size=4000, **values) == same(1504000)


@given(st.tuples(amounts, amounts, amounts), sizes, sizes, edges, edges)
def test_l2_traffic(moved: tuple[float, float, float], rows: int, cols: int, tile_m: int, tile_n: int) -> None:
    first, second, out = moved
    got = l2_traffic(first_bytes=first, second_bytes=second, result_bytes=out, rows=rows, cols=cols, tile_m=tile_m,
                     tile_n=tile_n)  # fmt: skip
    assert got == same(slow.near(first, second, out, rows, cols, tile_m, tile_n))


def test_l2_traffic_by_hand() -> None:
    # 256 columns are 4 tiles of 64, 300 rows are 3 of 128: 4 x 1000 + 3 x 100 + 50.
    got = l2_traffic(first_bytes=1000, second_bytes=100, result_bytes=50, rows=300, cols=256, tile_m=128, tile_n=64)
    assert got == 4350


@given(amounts, amounts, amounts, amounts)
def test_memory_time(traffic: float, bandwidth: float, near: float, l2_bandwidth: float) -> None:
    got = memory_time(traffic=traffic, bandwidth=bandwidth, l2_traffic=near, l2_bandwidth=l2_bandwidth)
    assert got == same(sorted([traffic / bandwidth, near / l2_bandwidth])[1])


@given(times, times, st.integers(1, 4), times)
def test_kernel_time(compute: float, memory: float, kernels: int, launch: float) -> None:
    got = kernel_time(compute=compute, memory=memory, kernels=kernels, launch=launch)
    assert got == same(math.hypot(compute, memory) + sum(launch for _ in range(kernels)))
    assert max(compute, memory) * (1 - 1e-12) <= got - kernels * launch + 1e-9
    assert got <= (compute + memory + kernels * launch) * (1 + 1e-12)


def test_kernel_time_by_hand() -> None:
    assert kernel_time(compute=3.0, memory=4.0, kernels=2, launch=0.5) == 6  # 5 and two launches
    # Where one is 100 times the other it hides it: 1.00005 of the larger.
    assert kernel_time(compute=1.0, memory=100.0, kernels=0, launch=9.0) == pytest.approx(100, rel=1e-4)


# ---------------------------------------------------------------------- Winograd


@given(
    st.integers(1, 10**5), st.sampled_from([2, 4]), st.sampled_from([3, 5]), st.integers(1, 40), st.integers(1, 40),
    st.sampled_from([2, 4]), st.tuples(amounts, amounts, amounts),
)  # fmt: skip
def test_transform_traffic(
    patches: int, edge: int, filters: int, inputs: int, outputs: int, element: int, moved: tuple[float, float, float]
) -> None:
    points = (edge + filters - 1) ** 2
    total = sum(moved)
    for _ in range(points):
        for tensor in (patches * inputs, patches * outputs, inputs * outputs):
            total += tensor * element  # the transform writes it, or reads the product's result
            total += tensor * element  # the product reads it, or writes it
    first, second, out = moved
    got = transform_traffic(patches=patches, points=points, inputs=inputs, outputs=outputs, element_bytes=element,
                            first_bytes=first, second_bytes=second, result_bytes=out)  # fmt: skip
    assert got == same(total)


def test_transform_traffic_by_hand() -> None:
    # F(4x4, 3x3): 36 points. 10 patches, 3 to 4 channels: 30 + 40 + 12 = 82 elements a point; written and read as fp32:
    # 36 x 82 x 8 B = 23616 B, and 600 B of tensors.
    got = transform_traffic(patches=10, points=36, inputs=3, outputs=4, element_bytes=4, first_bytes=100,
                            second_bytes=200, result_bytes=300)  # fmt: skip
    assert got == 24216


def test_multiplications_saved_are_those_of_lavin_and_gray() -> None:
    # Lavin and Gray, CVPR 2016, section 4.1: F(2x2, 3x3) saves a factor 36 / 16 = 2.25, F(4x4, 3x3) 144 / 36 = 4.
    for edge, factor in ((FUSED_EDGE, 2.25), (NON_FUSED_EDGE, 4)):
        assert edge**2 * 3**2 / (edge + 3 - 1) ** 2 == factor


# ---------------------------------------------------------------------- streams


@given(amounts, amounts, amounts, amounts, st.floats(1, 1e6), st.integers(1, 132), times)
def test_stream_time(
    traffic: float, bandwidth: float, operations: float, rate: float, blocks: float, sms: int, launch: float
) -> None:
    got = stream_time(traffic=traffic, bandwidth=bandwidth, operations=operations, operation_rate=rate, blocks=blocks,
                      sms=sms, launch=launch)  # fmt: skip
    # Each block takes as long as its part would on one SM, and the busiest SM has the most blocks.
    one = max(traffic / bandwidth, operations / rate) * sms / blocks
    assert got == same(one * math.ceil(blocks / sms) + launch)


def test_stream_time_by_hand() -> None:
    # 1000 B at 100 B/s are 10 s, longer than 50 operations at 10/s; 20 blocks keep a quarter of 80 SMs busy: 40 s.
    values = {"traffic": 1000.0, "bandwidth": 100.0, "operation_rate": 10.0, "sms": 80, "launch": 1.0}
    assert stream_time(operations=50, blocks=20, **values) == 41
    assert stream_time(operations=50, blocks=80, **values) == 11
    assert stream_time(operations=200, blocks=8000, **values) == 21
    # 100 blocks are two on 20 SMs and one on the others: as long as 160 would take, 1.6 times 10 s.
    assert stream_time(operations=50, blocks=100, **values) == 17
