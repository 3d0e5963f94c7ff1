"""A matrix product in tiles on the SMs of a GPU: arithmetic time, traffic to DRAM and L2, and how they overlap.

CONV as an implicit matrix product of `rows` x `depth` by `depth` x `cols`: forward N P Q x C R S by K, data gradient
N H W x K R S by C, weight gradient C R S x N P Q by K. Each tile of the result is made by one thread block.
"""

from __future__ import annotations

from typing import Any

from pimmodel.formula import formula, sp


@formula
def tile_count(rows: Any, cols: Any, batch: Any, tile_m: Any, tile_n: Any, splits: Any) -> Any:
    r"""Tiles (thread blocks) of a matrix product.

    .. math:: n = \lceil M / t_M \rceil \lceil N / t_N \rceil s b

    Symbols: M rows [1], N cols [1], b batch [1], t_M tile_m [1], t_N tile_n [1], s splits [1]. Returns [1].

    Validity: any. Known error: none, it counts. Source: the grid of every tiled matrix product (CUTLASS).
    """
    return sp.ceiling(rows / tile_m) * sp.ceiling(cols / tile_n) * splits * batch


@formula
def busy_time(
    rows: Any, cols: Any, depth: Any, batch: Any, tile_m: Any, tile_n: Any, tile_k: Any, splits: Any, resident: Any,
    sms: Any, peak: Any, core_clock: Any, efficiency: Any, tile_overhead: Any, wave_latency: Any,
) -> Any:  # fmt: skip
    r"""Time in which the busiest SM makes its tiles.

    .. math::
        t_c = m \, \frac{2 t_M t_N \lceil K / (s t_K) \rceil t_K N_{SM}}{\eta \Pi}
              \left(1 + \kappa \Bigl(\frac{1}{t_M} + \frac{1}{t_N}\Bigr)\right)
              + \Bigl\lceil \frac{m}{r} \Bigr\rceil \frac{L}{f},
        \quad m = \lceil n / N_{SM} \rceil, \; n = \lceil M / t_M \rceil \lceil N / t_N \rceil s b

    Quantisation is in the ceilings: tiles hang over the result's edges (M, N, K), and the last wave does not fill all
    SMs (m). A step of t_K products loads t_M + t_N elements per product for t_M t_N multiply-adds, which costs
    kappa (1/t_M + 1/t_N) of the arithmetic: small tiles are slower.

    Symbols: M rows [1], N cols [1], K depth [1], b batch [1], t_M tile_m [1], t_N tile_n [1], t_K tile_k [1],
    s splits [1], r resident [1], N_SM sms [1], Pi peak [FLOP/s], f core_clock [Hz], eta efficiency [1], kappa
    tile_overhead [1], L wave_latency [clock]. Returns [s].

    Validity: tiles that fit the SM. It neglects that clocks fall under load, bank conflicts, and that tiles of one
    SM share its units unevenly.
    Known error: with the library's choice of tiles, see :mod:`pimmodel.roofline.conv`.
    Source: wave and tile quantisation as in NVIDIA, Matrix Multiplication Background User's Guide (2020); the load
    term counts as in Volkov and Demmel, SC 2008, doi 10.1109/SC.2008.5214359.
    """
    tiles = sp.ceiling(rows / tile_m) * sp.ceiling(cols / tile_n) * splits * batch
    turns = sp.ceiling(tiles / sms)
    products = tile_k * sp.ceiling(depth / (splits * tile_k))
    tile = 2 * tile_m * tile_n * products * sms / (peak * efficiency)
    loads = 1 + tile_overhead * (1 / tile_m + 1 / tile_n)
    return turns * tile * loads + sp.ceiling(turns / resident) * wave_latency / core_clock


@formula
def split_time(rows: Any, cols: Any, batch: Any, splits: Any, bandwidth: Any, launch: Any) -> Any:
    r"""Extra time of a product whose depth is split: fp32 partial sums are written, and added by one more kernel.

    .. math:: t_s = \frac{4 (s + 1) M N b}{\beta} + t_{launch} \; (s > 1), \quad 0 \; (s = 1)

    Symbols: M rows [1], N cols [1], b batch [1], s splits [1], beta bandwidth [B/s], t_launch launch [s]. Returns [s].

    Validity: partial sums go through DRAM; where they stay in L2 it is less.
    Known error: not measured apart. Source: split-K and its workspace (CUTLASS, cuDNN developer guide).
    """
    return sp.Piecewise((4 * (splits + 1) * rows * cols * batch / bandwidth + launch, splits > 1), (0, True))


@formula
def dram_traffic(
    first_bytes: Any, second_bytes: Any, result_bytes: Any, rows: Any, cols: Any, batch: Any, tile_m: Any, tile_n: Any,
    splits: Any, resident: Any, sms: Any, l2_size: Any,
) -> Any:  # fmt: skip
    r"""Bytes that a tiled product moves from and to DRAM, given what L2 can hold.

    .. math::
        B = B_A (1 + (p_A - 1) x_A) + B_B (1 + (p_B - 1) x_B) + B_C, \quad x_i = \max(0, 1 - S_{L2} / B_i)

        p_A = \max(1, \lceil N / t_N \rceil / (r N_{SM})), \quad p_B = \max(1, n / (r N_{SM}))

    Tiles run row of tiles by row of tiles, r N_SM at a time. The rows' operand is passed over once unless a single row
    of tiles fills more than a wave; the columns' operand once per wave. What is passed over again is found in L2 as far
    as it fits.

    Symbols: B_A first_bytes [B], B_B second_bytes [B], B_C result_bytes [B], M rows [1], N cols [1], b batch [1],
    t_M tile_m [1], t_N tile_n [1], s splits [1], r resident [1], N_SM sms [1], S_L2 l2_size [B]. Returns [B].

    Validity: overlapping windows of one tile are served by L1. It neglects write-backs of L2 and what the previous
    kernel left there.
    Known error: not measured apart (no traffic counters in our tables). Source: derived here; tile reuse as in Li et
    al., Analytical cache modeling and tilesize optimization for tensor contractions, SC 2019,
    doi 10.1145/3295500.3356218.
    """
    wave = resident * sms
    across = sp.ceiling(cols / tile_n)
    tiles = sp.ceiling(rows / tile_m) * across * splits * batch
    first = 1 + (sp.Max(1, across / wave) - 1) * sp.Max(0, 1 - l2_size / first_bytes)
    second = 1 + (sp.Max(1, tiles / wave) - 1) * sp.Max(0, 1 - l2_size / second_bytes)
    return first_bytes * first + second_bytes * second + result_bytes


@formula
def l2_traffic(
    first_bytes: Any, second_bytes: Any, result_bytes: Any, rows: Any, cols: Any, tile_m: Any, tile_n: Any
) -> Any:
    r"""Bytes that a tiled product moves from and to L2: every column of tiles reads A, every row of tiles B.

    .. math:: B_{L2} = B_A \lceil N / t_N \rceil + B_B \lceil M / t_M \rceil + B_C

    Symbols: B_A first_bytes [B], B_B second_bytes [B], B_C result_bytes [B], M rows [1], N cols [1], t_M tile_m [1],
    t_N tile_n [1]. Returns [B].

    Validity: overlapping windows of one tile are served by L1. Known error: not measured apart.
    Source: as for `dram_traffic`.
    """
    return first_bytes * sp.ceiling(cols / tile_n) + second_bytes * sp.ceiling(rows / tile_m) + result_bytes


@formula
def memory_time(traffic: Any, bandwidth: Any, l2_traffic: Any, l2_bandwidth: Any) -> Any:
    r"""Time of a kernel's traffic on the slower of DRAM and L2.

    .. math:: t_m = \max(B / \beta, B_{L2} / \beta_{L2})

    Symbols: B traffic [B], beta bandwidth [B/s], B_L2 l2_traffic [B], beta_L2 l2_bandwidth [B/s]. Returns [s].

    Validity: any. Known error: see `kernel_time`. Source: Williams et al. 2009, doi 10.1145/1498765.1498785, with two
    levels of memory.
    """
    return sp.Max(traffic / bandwidth, l2_traffic / l2_bandwidth)


@formula
def kernel_time(compute: Any, memory: Any, kernels: Any, launch: Any) -> Any:
    r"""Time of a kernel whose arithmetic and traffic overlap in part.

    .. math:: t = \sqrt{t_c^2 + t_m^2} + n_k t_{launch}

    A plain roofline takes the larger of the two, as if they overlapped perfectly; a tile's first loads and last stores
    do not. The root of the squares is the larger one where they differ much, and 1.41 times it where they are equal.

    Symbols: t_c compute [s], t_m memory [s], n_k kernels [1], t_launch launch [s]. Returns [s].

    Validity: max(t_c, t_m) <= t <= t_c + t_m (+ launches), always.
    Known error: see :mod:`pimmodel.roofline.conv`. Source: the exponent 2 was chosen among 1.5, 2, 3 and infinity
    on the fitted half of the V100 rows.
    """
    return sp.sqrt(compute**2 + memory**2) + kernels * launch


@formula
def regrown_time(busy: Any, memory: Any, grown_memory: Any) -> Any:
    r"""Time of a kernel without its launches once its traffic takes longer, from its time before.

    .. math:: t = \sqrt{\max(0,\; t_b^2 - t_m^2) + t_m'^2}

    Symbols: t_b busy [s], t_m memory [s], t_m' grown_memory [s]. Returns [s].

    Validity: arithmetic and traffic overlap as in `kernel_time`. Known error: that of `kernel_time`.
    Source: `kernel_time`, solved for the arithmetic and evaluated with the longer traffic.
    """
    return sp.sqrt(sp.Max(0, busy**2 - memory**2) + grown_memory**2)
