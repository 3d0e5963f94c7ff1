"""Shapes of tensors, and the arithmetic with them that layer types share.

Shapes are tuples with the batch first: (N, C, H, W) feature maps, (N, F) vectors, (N, P, Q, C) where a network works
channels-last for a while.
"""

from __future__ import annotations

import math
from typing import Any

from pimmodel.errors import NetworkError

Shape = tuple[int, ...]
Pair = tuple[int, int]  # vertical, horizontal
Padding = tuple[int, int, int, int]  # top, left, bottom, right


class ShapeError(NetworkError):
    """Input shapes that a layer cannot take; the network adds the layer's name."""


_LARGEST_SIZE = 10**9  # of a batch or an image side; more is a slip of the keyboard


def check_size(what: str, value: Any) -> None:
    """Refuse a batch, image side or the like that is no whole number from 1 to 10^9.

    Raises
    ------
    NetworkError : names what it is, the value and what is allowed.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise NetworkError(f"{what} is {value!r}; allowed: a whole number, 1 or more")
    if value > _LARGEST_SIZE:
        raise NetworkError(f"{what} is too large; allowed: at most {_LARGEST_SIZE}")


def elements(shape: Shape) -> int:
    """Number of elements of a tensor [1]."""
    return math.prod(shape)


def pair(value: int | Pair) -> Pair:
    """`3` or `(3, 5)` as (vertical, horizontal)."""
    return (value, value) if isinstance(value, int) else value


def only(inputs: tuple[Shape, ...]) -> Shape:
    """The shape of the one input of a layer."""
    if len(inputs) != 1:
        raise ShapeError(f"takes one input, not {len(inputs)}")
    return inputs[0]


def feature_map(inputs: tuple[Shape, ...]) -> tuple[int, int, int, int]:
    """The shape (N, C, H, W) of the one input of a layer."""
    shape = only(inputs)
    if len(shape) != 4:
        raise ShapeError(f"needs a feature map (N, C, H, W), not shape {shape}")
    return shape[0], shape[1], shape[2], shape[3]


def windows(image: Pair, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair, *, ceil: bool = False) -> Pair:
    """Positions of a window on an image: floor((size + pads - dilation (kernel - 1) - 1) / stride) + 1 each way [1].

    With `ceil` the last window may hang over the end, but starts inside the image or its padding in front.
    """
    sizes = []
    for size, k, s, before, after, d in zip(image, kernel, stride, padding[:2], padding[2:], dilation, strict=True):
        span = size + before + after - d * (k - 1) - 1
        steps = -(-span // s) if ceil else span // s
        if steps < 0:  # with ceil, the only window may hang over the end, as in torch
            raise ShapeError(
                f"image too small: a window of {d * (k - 1) + 1} does not fit the padded size {size + before + after}"
            )
        if ceil and steps * s >= size + before:  # the last window must start inside the image or its left padding
            steps -= 1
        sizes.append(steps + 1)
    return sizes[0], sizes[1]


def broadcast(inputs: tuple[Shape, ...]) -> Shape:
    """Common shape of two or more tensors; sizes of 1 stretch, and axes are aligned at the last."""
    if len(inputs) < 2:
        raise ShapeError(f"takes two or more inputs, not {len(inputs)}")
    rank = max(map(len, inputs))
    padded = [(1,) * (rank - len(shape)) + shape for shape in inputs]
    sizes = []
    for axis in zip(*padded, strict=True):
        wide = {size for size in axis if size != 1}
        if len(wide) > 1:
            raise ShapeError(f"shapes {', '.join(map(str, inputs))} do not fit each other")
        sizes.append(max(axis))
    return tuple(sizes)
