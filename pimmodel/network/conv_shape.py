"""The shape of a CONV or fully connected layer, as a GPU kernel sees it."""

from __future__ import annotations

from typing import NamedTuple

from pimmodel.network.network import Layer
from pimmodel.network.ops import Conv, Linear
from pimmodel.network.shapes import elements


class ConvShape(NamedTuple):
    """N images of C x H x W in, K x P x Q out, filters of R x S, `groups` of channels; all are counts [1].

    A fully connected layer is a CONV of 1 x 1 images.
    """

    n: int
    c: int
    h: int
    w: int
    k: int
    p: int
    q: int
    r: int = 1
    s: int = 1
    stride_h: int = 1
    stride_w: int = 1
    groups: int = 1
    bias: bool = False

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one phase (forward, data gradient or weight gradient) [1]."""
        return self.n * self.k * self.p * self.q * (self.c // self.groups) * self.r * self.s


def conv_shape(layer: Layer) -> ConvShape:
    """Shape of a CONV or fully connected layer.

    Raises
    ------
    TypeError : it is neither.
    """
    op = layer.op
    if isinstance(op, Conv):
        n, c, h, w = layer.input_shapes[0]
        _, k, p, q = layer.output_shape
        return ConvShape(n, c, h, w, k, p, q, *op.kernel, *op.stride, op.groups, op.bias)
    if isinstance(op, Linear):
        rows, inputs = elements(layer.input_shapes[0][:-1]), layer.input_shapes[0][-1]
        return ConvShape(rows, inputs, 1, 1, op.out_features, 1, 1, bias=op.bias)
    raise TypeError(f"layer {layer.name} is a {op.kind}, not a CONV or fully connected layer")
