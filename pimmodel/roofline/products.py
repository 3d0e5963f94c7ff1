"""CONV tasks as matrix products: their rows, columns and depth, and how a library lays them out for its kernels.

Forward, data gradient and weight gradient as in :mod:`pimmodel.roofline.tiles`. Each function here takes products and
gives products; which kernels take which is in :mod:`pimmodel.roofline.conv`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pimmodel.network.conv_shape import ConvShape
from pimmodel.roofline import library

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Phase = Literal["FP", "DX", "DW"]
PHASES: tuple[Phase, ...] = ("FP", "DX", "DW")


@dataclass(frozen=True, eq=False)
class Products:
    """T tasks as matrix products, arrays of shape (T,); names as in the formulas.

    shapes : the CONV shapes up to their groups, one row each: n c h w k p q r s stride_h stride_w groups
    phase : index into `PHASES`
    rows, cols, depth, batch : sizes [1]
    first, second, result : operands that make the rows and the columns, and result [B]
    """

    shapes: Floats  # (T, 12)
    phase: NDArray[np.int64]
    rows: Floats
    cols: Floats
    depth: Floats
    batch: Floats
    first: Floats
    second: Floats
    result: Floats

    def column(self, name: str) -> Floats:
        """One field of the shapes."""
        taken: Floats = self.shapes[:, ConvShape._fields.index(name)]
        return taken

    def is_phase(self, phase: Phase) -> Bools:
        """Which tasks are of a phase."""
        same: Bools = self.phase == PHASES.index(phase)
        return same

    def taken(self, places: NDArray[np.int64]) -> Products:
        """Some of the tasks, those at `places`, shape (t,) [1]."""
        return Products(*(getattr(self, one.name)[places] for one in dataclasses.fields(self)))

    @property
    def pointwise(self) -> Bools:
        """Which filters are 1 x 1."""
        one: Bools = self.column("r") * self.column("s") == 1
        return one

    @property
    def dense(self) -> Bools:
        """Which are fully connected: images and filters of one pixel, a plain matrix product."""
        one: Bools = self.pointwise & (self.column("h") * self.column("w") == 1)
        return one

    @property
    def strided(self) -> Bools:
        """Which have a stride."""
        more: Bools = self.column("stride_h") * self.column("stride_w") > 1
        return more


def products_of(shapes: Sequence[ConvShape], phases: Sequence[Phase], element: int) -> Products:
    """Products of T tasks on elements of so many bytes."""
    table = np.array([shape[:12] for shape in shapes], dtype=float).reshape(-1, 12)
    n, c, h, w, k, p, q, r, s, stride_h, stride_w, groups = table.T
    phase = np.array([PHASES.index(one) for one in phases], dtype=np.int64)
    images, maps, filters = n * c * h * w * element, n * k * p * q * element, k * c / groups * r * s * element
    forward, data = phase == 0, phase == 1
    # Rows that no filter meets are not read; of the others, whole sectors are.
    read = images * np.minimum(1, ((p - 1) * np.minimum(r, stride_h) + r) / h)
    # Of a strided data gradient, filter rows that meet no output are skipped, columns are not.
    met = np.ceil(s / stride_w) * r / stride_h
    return Products(
        table, phase,
        rows=np.select([forward, data], [n * p * q, n * h * w], c / groups * r * s),
        cols=np.where(data, c / groups, k / groups),
        depth=np.select([forward, data], [c / groups * r * s, k / groups * met], n * p * q),
        batch=groups,
        first=np.where(data, maps, read),
        second=np.where(phase == 2, maps, filters),
        result=np.select([forward, data], [maps, images], filters),
    )  # fmt: skip


def by_image(work: Products) -> Products:
    """Weight gradients of CONV summed image by image, some pixels of one at a time: its last step is filled up."""
    pixels = np.ceil(work.column("p") * work.column("q") / library.IMAGE_STEP) * library.IMAGE_STEP
    filled_up = work.is_phase("DW") & ~work.dense
    return dataclasses.replace(work, depth=np.where(filled_up, work.column("n") * pixels, work.depth))


def skipping(work: Products, which: Bools) -> Products:
    """Strided data gradients as one product per place of a pixel within the stride, on that place's filter taps.

    `which`: those of the T tasks that are laid out so, shape (T,) [1]. No products with the zeros between outputs are
    left; places that a small filter never meets have no product at all.
    """
    names = ("n", "h", "w", "k", "r", "s", "stride_h", "stride_w", "groups")
    n, h, w, k, r, s, down, across, groups = (work.column(name) for name in names)
    places = np.minimum(down, r) * np.minimum(across, s)
    return dataclasses.replace(
        work,
        rows=np.where(which, n * np.ceil(h / down) * np.ceil(w / across), work.rows),
        depth=np.where(which, k / groups * r * s / places, work.depth),
        batch=np.where(which, groups * places, work.batch),
    )


def aligned(work: Products, alignment: int) -> Bools:
    """Which tasks have channels, of inputs and of outputs in a group, that are multiples of `alignment`."""
    inputs, outputs = work.column("c") / work.column("groups"), work.column("k") / work.column("groups")
    fits: Bools = (inputs % alignment == 0) & (outputs % alignment == 0)
    return fits


def filled(work: Products, alignment: int, *, outputs: bool = False) -> Products:
    """The products with input channels, and output channels if so, filled up with zeros to multiples of `alignment`."""
    plain_in, plain_out = work.column("c") / work.column("groups"), work.column("k") / work.column("groups")
    whole_in = np.ceil(plain_in / alignment) * alignment
    whole_out = np.ceil(plain_out / alignment) * alignment if outputs else plain_out
    forward, data, weights = (work.is_phase(phase) for phase in PHASES)
    # Divided first: whole numbers stay whole, and no ceiling counts a rounding error as one more.
    return dataclasses.replace(
        work,
        rows=np.where(weights, work.rows / plain_in * whole_in, work.rows),
        cols=np.where(data, work.cols / plain_in * whole_in, work.cols / plain_out * whole_out),
        depth=np.select(
            [forward, data], [work.depth / plain_in * whole_in, work.depth / plain_out * whole_out], work.depth
        ),
    )
