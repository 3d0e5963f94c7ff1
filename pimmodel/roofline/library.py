"""The kernels that a GPU library has: tiles, splits, alignments. Facts of cuDNN 7 on Volta.

Tiles are read off the names of its kernels (`scudnn_128x128`, `s884cudnn_256x128` and so on), residency off what
their registers and shared memory leave room for. Kernels compiled from C++ carry theirs as powers of two, as it seems:
`wgrad_alg0_engine<float, 128, 6, 7, ...>` is taken to have a tile of 64 x 128, `<float, 512, 6, 5, ...>` one of
64 x 32. No name says that hand-scheduled weight gradients have 128 outputs to a tile, that those of 1 x 1 filters run
in tiles of 64 x 128 alone, and that 16 pixels are summed at a time: of the tiles and steps tried, these fit the fitted
half of the measured V100 rows best.
"""

from __future__ import annotations

from dataclasses import dataclass

TENSOR_ALIGNMENT = 8  # channels that a tensor-core kernel takes at a time
LANE_ALIGNMENT = 4  # channels that an fp16 kernel on ordinary lanes takes at a time
GROUPED_WINOGRAD = 32  # channels that a group needs for Winograd kernels: the narrowest tile
DIRECT_OUTPUTS = 8  # fewer output channels per group than this have a direct kernel


@dataclass(frozen=True)
class Tile:
    """A kernel's tile: rows, columns, and how many of them one SM holds.

    `wide` ones are all that DX has in fp16; `compiled`: of a kernel compiled from C++, not scheduled by hand
    """

    m: int
    n: int
    resident: int
    wide: bool = True
    compiled: bool = False


LANE_TILES: tuple[Tile, ...] = (Tile(128, 128, 2), Tile(128, 64, 3), Tile(128, 32, 4))
POINTWISE_GRADIENT = Tile(64, 128, 3, compiled=True)
GRADIENT_TILES: tuple[Tile, ...] = (
    Tile(128, 128, 2), Tile(64, 128, 3), Tile(32, 128, 4), POINTWISE_GRADIENT, Tile(64, 32, 8, compiled=True)
)  # fmt: skip
TENSOR_TILES: tuple[Tile, ...] = (
    Tile(256, 128, 1), Tile(128, 128, 2), Tile(256, 64, 2), Tile(128, 64, 3, wide=False), Tile(64, 64, 4, wide=False)
)  # fmt: skip
HALF_LANE_TILES: tuple[Tile, ...] = (Tile(128, 64, 2),)
DIRECT_TILES: tuple[Tile, ...] = (Tile(128, 1, 8),)
WINOGRAD_TILES: tuple[Tile, ...] = (Tile(32, 128, 1),)  # 32 patches of 4 pixels: 128 x 128
WINOGRAD_GEMM_TILES: tuple[Tile, ...] = (Tile(128, 64, 3), Tile(128, 128, 2))
SPLITS = (1, 2, 4, 8, 16, 32, 64, 128)
LANE_STEP, TENSOR_STEP = 8, 32  # products that a tile sums between two loads
IMAGE_STEP = 16  # pixels of one image that a weight gradient on the lanes sums at a time
WORKSPACE = 2**30  # most bytes that a framework gives a kernel for transformed tensors: MXNet's default of 1024 MB
LEAST_STEPS = 4  # a split must leave this many steps
