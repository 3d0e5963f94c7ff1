"""The layer types: output shape, parameters and multiply-accumulates of each, from its input shapes.

One small frozen class per type; the traffic table is checked against all that there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pimmodel.network.shapes import (
    Padding,
    Pair,
    Shape,
    ShapeError,
    broadcast,
    elements,
    feature_map,
    only,
    windows,
)


@dataclass(frozen=True)
class Op:
    """Base of all layer types.

    `view`: the output is the input's memory under another shape, so nothing is moved.
    `channelwise`: output channel j needs only input channel j (else: all of them, a barrier in the schedule).
    """

    view = False
    channelwise = True

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """Output shape; raises :class:`ShapeError` where the inputs do not fit."""
        return only(inputs)

    def parameters(self, inputs: tuple[Shape, ...]) -> int:
        """Trainable parameters [1]."""
        return 0

    def macs(self, inputs: tuple[Shape, ...]) -> int:
        """Multiply-accumulates of the forward pass (CONV and fully connected layers only) [1]."""
        return 0

    @property
    def kind(self) -> str:
        """Name of the layer type."""
        return type(self).__name__


@dataclass(frozen=True)
class Input(Op):
    """A network input of a given shape."""

    shape: Shape

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape it was given."""
        if min(self.shape, default=1) < 1:
            raise ShapeError(f"every size must be at least 1, not {self.shape}")
        return self.shape


@dataclass(frozen=True)
class Conv(Op):
    """2-D convolution: K filters of R x S, grouped; cross-correlation as in every framework.

    `padding` is (top, left, bottom, right).
    """

    out_channels: int
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    bias: bool = True
    channelwise = False

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """(N, K, P, Q) with P = floor((H + pads - dilation (R - 1) - 1) / stride) + 1."""
        n, c, h, w = feature_map(inputs)
        if c % self.groups or self.out_channels % self.groups:
            raise ShapeError(
                f"{c} input and {self.out_channels} output channels do not divide into {self.groups} groups"
            )
        return (n, self.out_channels, *windows((h, w), self.kernel, self.stride, self.padding, self.dilation))

    def parameters(self, inputs: tuple[Shape, ...]) -> int:
        """K C/groups R S, plus K with bias."""
        c = feature_map(inputs)[1]
        k, (r, s) = self.out_channels, self.kernel
        return k * (c // self.groups) * r * s + (k if self.bias else 0)

    def macs(self, inputs: tuple[Shape, ...]) -> int:
        """N K P Q C/groups R S."""
        c, (r, s) = feature_map(inputs)[1], self.kernel
        return elements(self.infer(inputs)) * (c // self.groups) * r * s


@dataclass(frozen=True)
class Linear(Op):
    """Fully connected layer on the last axis."""

    out_features: int
    bias: bool = True
    channelwise = False

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """(..., out_features)."""
        shape = only(inputs)
        if len(shape) < 2:
            raise ShapeError(f"needs at least (N, F), not {shape}")
        return (*shape[:-1], self.out_features)

    def parameters(self, inputs: tuple[Shape, ...]) -> int:
        """F out, plus out with bias."""
        return (inputs[0][-1] + self.bias) * self.out_features

    def macs(self, inputs: tuple[Shape, ...]) -> int:
        """Positions x F x out."""
        return elements(inputs[0]) * self.out_features


@dataclass(frozen=True)
class BatchNorm(Op):
    """Batch normalisation over N, H, W per channel: training mode needs two passes over its input."""

    affine: bool = True

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """Shape of the input."""
        shape = only(inputs)
        if len(shape) < 2:
            raise ShapeError(f"needs channels in axis 1, not shape {shape}")
        return shape

    def parameters(self, inputs: tuple[Shape, ...]) -> int:
        """2 C: scale and shift."""
        return 2 * inputs[0][1] if self.affine else 0


@dataclass(frozen=True)
class LayerNorm(Op):
    """Layer normalisation over the last `axes` axes; needs all channels of a position."""

    axes: int = 1
    affine: bool = True
    channelwise = False

    def parameters(self, inputs: tuple[Shape, ...]) -> int:
        """Scale and shift over the normalised axes."""
        return 2 * elements(inputs[0][-self.axes :]) if self.affine else 0


@dataclass(frozen=True)
class GroupNorm(Op):
    """Group normalisation over the channels of a group."""

    groups: int
    affine: bool = True
    channelwise = False

    def parameters(self, inputs: tuple[Shape, ...]) -> int:
        """2 C."""
        return 2 * inputs[0][1] if self.affine else 0


@dataclass(frozen=True)
class Activation(Op):
    """Elementwise non-linearity. `operations` per element are counted for the PIM's arithmetic."""

    function: Literal[
        "relu", "relu6", "sigmoid", "silu", "hardswish", "hardsigmoid", "gelu", "tanh", "leaky_relu", "elu", "prelu"
    ] = "relu"  # fmt: skip
    slopes: int = 0  # trainable values of prelu: one, or one per channel

    def parameters(self, inputs: tuple[Shape, ...]) -> int:
        """The slopes of prelu."""
        return self.slopes


@dataclass(frozen=True)
class Pool(Op):
    """Max or average pooling; padding (top, left, bottom, right)."""

    mode: Literal["max", "avg"]
    kernel: Pair
    stride: Pair
    padding: Padding = (0, 0, 0, 0)
    ceil: bool = False
    dilation: Pair = (1, 1)

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """(N, C, P, Q)."""
        n, c, h, w = feature_map(inputs)
        return (n, c, *windows((h, w), self.kernel, self.stride, self.padding, self.dilation, ceil=self.ceil))


@dataclass(frozen=True)
class AdaptivePool(Op):
    """Average (or max) pooling to a fixed output size; (1, 1) is global pooling."""

    output: Pair = (1, 1)
    mode: Literal["max", "avg"] = "avg"

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """(N, C, P, Q) as asked."""
        n, c, _, _ = feature_map(inputs)
        return (n, c, *self.output)


@dataclass(frozen=True)
class Add(Op):
    """Elementwise sum of two or more tensors (residual connection); sizes of 1 broadcast."""

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """Common shape."""
        return broadcast(inputs)


@dataclass(frozen=True)
class Mul(Op):
    """Elementwise product of two tensors (squeeze-and-excitation scaling); sizes of 1 broadcast."""

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """Common shape."""
        return broadcast(inputs)


@dataclass(frozen=True)
class Concat(Op):
    """Concatenation along one axis."""

    axis: int = 1

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """Sizes add up along the axis."""
        first = inputs[0]
        axis = self.axis % len(first)
        for shape in inputs:
            if len(shape) != len(first) or shape[:axis] + shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:
                raise ShapeError(f"shapes {', '.join(map(str, inputs))} do not fit along axis {axis}")
        return (*first[:axis], sum(shape[axis] for shape in inputs), *first[axis + 1 :])


@dataclass(frozen=True)
class Slice(Op):
    """Part [start, stop) of one axis: a view."""

    start: int
    stop: int
    axis: int = 1
    view = True

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """Size of the axis becomes stop - start."""
        shape = only(inputs)
        axis = self.axis % len(shape)
        if not 0 <= self.start < self.stop <= shape[axis]:
            raise ShapeError(f"part {self.start}:{self.stop} lies outside axis {axis} of {shape}")
        return (*shape[:axis], self.stop - self.start, *shape[axis + 1 :])


@dataclass(frozen=True)
class ChannelShuffle(Op):
    """Channel shuffle (ShuffleNet): a copy in another channel order."""

    groups: int
    channelwise = False

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """Shape of the input."""
        shape = feature_map(inputs)
        if shape[1] % self.groups:
            raise ShapeError(f"{shape[1]} channels do not divide into {self.groups} groups")
        return shape


@dataclass(frozen=True)
class Reshape(Op):
    """The same elements under another shape: a view. `-1` once: whatever is left; 0: as in the input."""

    shape: Shape
    view = True
    channelwise = False

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The wanted shape, with -1 and 0 filled in."""
        given = only(inputs)
        if any(size == 0 and axis >= len(given) for axis, size in enumerate(self.shape)):
            raise ShapeError(f"{self.shape} keeps an axis that {given} does not have")
        wanted = [given[axis] if size == 0 else size for axis, size in enumerate(self.shape)]
        if wanted.count(-1) == 1:
            known = math.prod(size for size in wanted if size != -1)
            if known and elements(given) % known == 0:
                wanted[wanted.index(-1)] = elements(given) // known
        if math.prod(wanted) != elements(given) or min(wanted, default=1) < 1:
            raise ShapeError(f"{given} cannot take the shape {self.shape}")
        return tuple(wanted)


@dataclass(frozen=True)
class Flatten(Op):
    """(N, ...) to (N, F): a view; a channel becomes a run of features, so chunks of channels stay chunks."""

    view = True

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """(N, product of the rest)."""
        shape = only(inputs)
        return (shape[0], math.prod(shape[1:]))


@dataclass(frozen=True)
class Permute(Op):
    """Axes in another order: a view, as frameworks do it (the next kernel reads with other strides)."""

    axes: tuple[int, ...]
    view = True
    channelwise = False

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """Sizes in the new order."""
        shape = only(inputs)
        if sorted(self.axes) != list(range(len(shape))):
            raise ShapeError(f"axes {self.axes} are no order of the {len(shape)} axes of {shape}")
        return tuple(shape[axis] for axis in self.axes)


@dataclass(frozen=True)
class Dropout(Op):
    """Dropout (or stochastic depth, `per_sample`): writes a mask in training."""

    rate: float = 0.5
    per_sample: bool = False


@dataclass(frozen=True)
class Softmax(Op):
    """Softmax over the last axis (or channels)."""

    channelwise = False


@dataclass(frozen=True)
class LocalResponseNorm(Op):
    """Local response normalisation across `size` neighbouring channels."""

    size: int = 5
    channelwise = False


@dataclass(frozen=True)
class Scale(Op):
    """Elementwise multiply (and add) by constants or by `parameters_count` trainable values (ConvNeXt layer scale)."""

    parameters_count: int = 0

    def parameters(self, inputs: tuple[Shape, ...]) -> int:
        """As given."""
        return self.parameters_count


@dataclass(frozen=True)
class Pad(Op):
    """Explicit padding of the two last axes (top, left, bottom, right): a copy."""

    padding: Padding

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """(N, C, H + top + bottom, W + left + right)."""
        n, c, h, w = feature_map(inputs)
        top, left, bottom, right = self.padding
        return (n, c, h + top + bottom, w + left + right)


@dataclass(frozen=True)
class ReduceMean(Op):
    """Mean over some axes."""

    axes: tuple[int, ...]
    keep: bool = False
    channelwise = False

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """Reduced axes become 1, or go."""
        shape = only(inputs)
        gone = {axis % len(shape) for axis in self.axes}
        if self.keep:
            return tuple(1 if axis in gone else size for axis, size in enumerate(shape))
        return tuple(size for axis, size in enumerate(shape) if axis not in gone)


@dataclass(frozen=True)
class Elementwise(Op):
    """An elementwise operator of unknown arithmetic (`--unknown-ops elementwise`): output like the first input."""

    operator: str

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """Shape of the first input."""
        if not inputs:
            raise ShapeError("takes at least one input")
        return inputs[0]
