"""What each non-CONV layer moves: the one table of memory passes, forward and backward, per layer type.

A *pass* streams its operands once. Which tensors are read and written, in which pass, is what a framework's kernels
do when each layer is its own kernel and every tensor is larger than the caches:

=================== ================================================ ============================================
layer               forward                                          backward
=================== ================================================ ============================================
BatchNorm,GroupNorm 1: x (statistics); 2: x -> y                     1: x, dy (sums); 2: x, dy -> dx
LayerNorm           x -> y                                           1: x, dy -> dx; 2: x, dy (parameter sums)
Activation          x -> y                                           saved, dy -> dx
Pool max            x -> y, index                                    dy, index -> dx
Pool avg, Adaptive  x -> y                                           dy -> dx
Add                 all x -> y                                       none (the gradient is shared); a broadcast
                                                                     operand: dy -> reduced dx
Mul                 all x -> y                                       per operand: dy, others -> dx (reduced where
                                                                     broadcast)
Concat              all x -> y                                       none (gradients are slices of dy)
ChannelShuffle, Pad x -> y                                           dy -> dx
Dropout             x -> y, mask                                     dy, mask -> dx
Softmax             x -> y                                           y, dy -> dx
LocalResponseNorm   x -> y, scale                                    x, y, scale, dy -> dx
Scale               x -> y                                           dy (x too, with parameters) -> dx
ReduceMean          x -> y                                           dy -> dx
Elementwise         all x -> y                                       all x, dy -> all dx
Slice, Reshape,
Flatten, Permute    none (views)                                     none (views)
=================== ================================================ ============================================

`saved` of an activation: y for relu, relu6, sigmoid, tanh (their derivative is a function of y), x otherwise. With
`fuse_activation` a BatchNorm writes the activated output in its second pass and recomputes the mask from x in its
backward passes, so that the activation moves nothing.

Sources: cuDNN developer guide (batch normalisation in training mode: two passes over x forward, two over x and dy
backward; pooling; LRN); PyTorch 2 ATen kernels (max_pool2d_with_indices keeps 8-byte indices, dropout a 1-byte mask,
cat's backward returns views); Choi et al., IEEE Access 12 (2024), section II for what counts as non-CONV.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pimmodel.network.network import Layer
from pimmodel.network.ops import Activation, Dropout, Pool, Scale
from pimmodel.network.shapes import elements

INDEX_BYTES = 8  # PyTorch max_pool2d_with_indices keeps int64
MASK_BYTES = 1  # PyTorch dropout keeps a bool mask


@dataclass(frozen=True)
class Operand:
    """One tensor that a pass streams: its name, its elements, and the bytes of one element [B]."""

    tensor: str
    elements: int
    element_bytes: int

    @property
    def bytes(self) -> int:
        """Bytes moved for it in one pass [B]."""
        return self.elements * self.element_bytes


@dataclass(frozen=True)
class Pass:
    """One streaming pass: operands read and written, arithmetic operations, and whether it ends in a reduction."""

    reads: tuple[Operand, ...]
    writes: tuple[Operand, ...]
    operations: float
    reduces: bool = False

    @property
    def bytes_read(self) -> int:
        """Bytes read [B]."""
        return sum(operand.bytes for operand in self.reads)

    @property
    def bytes_written(self) -> int:
        """Bytes written [B]."""
        return sum(operand.bytes for operand in self.writes)


# Operations per element of each activation, forward (backward is taken as one more: times dy). Transcendental
# functions are counted as the polynomial or table steps of a simple SIMD unit.
ACTIVATION_OPERATIONS = {
    "relu": 1, "relu6": 2, "leaky_relu": 2, "prelu": 2, "hardsigmoid": 3, "hardswish": 4, "elu": 8, "sigmoid": 8,
    "silu": 9, "tanh": 8, "gelu": 12,
}  # fmt: skip
_FROM_OUTPUT = {"relu", "relu6", "sigmoid", "tanh"}


class Tensors:
    """Operands of one layer, as the rules below name them: x (inputs), y, dy, dx.

    `names` are the tensors behind its inputs (views are resolved), `gradient` the tensor that holds dy, `size` the
    bytes of one element.
    """

    def __init__(self, layer: Layer, size: int, names: tuple[str, ...], gradient: str = "") -> None:
        self.layer, self.size, self.names, self.gradient = layer, size, names, gradient
        self.y_elements = layer.output_elements
        self.x_elements = [elements(shape) for shape in layer.input_shapes]

    def x(self, index: int = 0) -> Operand:
        """Input `index`."""
        return Operand(self.names[index], self.x_elements[index], self.size)

    def all_x(self) -> tuple[Operand, ...]:
        """Every input."""
        return tuple(self.x(index) for index in range(len(self.names)))

    def y(self) -> Operand:
        """The output."""
        return Operand(self.layer.name, self.y_elements, self.size)

    def dy(self) -> Operand:
        """Gradient of the output."""
        return Operand(self.gradient, self.y_elements, self.size)

    def dx(self, index: int = 0) -> Operand:
        """This layer's contribution to the gradient of input `index`."""
        return Operand(self.dx_name(index), self.x_elements[index], self.size)

    def dx_name(self, index: int = 0) -> str:
        """Name of this layer's contribution to the gradient of input `index`."""
        return f"d({self.layer.inputs[index]})@{self.layer.name}.{index}"

    def extra(self, name: str, count: int, size: int | None = None) -> Operand:
        """Something saved beside the output (indices, mask, scale)."""
        return Operand(f"{self.layer.name}.{name}", count, self.size if size is None else size)


Rule = Callable[[Tensors, Any], list[Pass]]


def _norm_forward(t: Tensors, op: Any) -> list[Pass]:
    n = t.y_elements
    return [Pass((t.x(),), (), 3 * n, reduces=True), Pass((t.x(),), (t.y(),), 2 * n)]


def _norm_backward(t: Tensors, op: Any) -> list[Pass]:
    n = t.y_elements
    return [Pass((t.x(), t.dy()), (), 4 * n, reduces=True), Pass((t.x(), t.dy()), (t.dx(),), 4 * n)]


def _layer_norm_backward(t: Tensors, op: Any) -> list[Pass]:
    n = t.y_elements
    passes = [Pass((t.x(), t.dy()), (t.dx(),), 8 * n)]
    return [*passes, Pass((t.x(), t.dy()), (), 3 * n, reduces=True)] if op.affine else passes


def _activation_backward(t: Tensors, op: Activation) -> list[Pass]:
    saved = t.y() if op.function in _FROM_OUTPUT else t.x()
    return [Pass((saved, t.dy()), (t.dx(),), (ACTIVATION_OPERATIONS[op.function] + 1) * t.y_elements)]


def _index(t: Tensors, op: Pool) -> tuple[Operand, ...]:
    """Where each maximum came from, kept for the backward pass."""
    return (t.extra("index", t.y_elements, INDEX_BYTES),) if op.mode == "max" else ()


def _pool_forward(t: Tensors, op: Pool) -> list[Pass]:
    return [Pass((t.x(),), (t.y(), *_index(t, op)), math.prod(op.kernel) * t.y_elements)]


def _pool_backward(t: Tensors, op: Pool) -> list[Pass]:
    work = t.y_elements if op.mode == "max" else math.prod(op.kernel) * t.y_elements
    return [Pass((t.dy(), *_index(t, op)), (t.dx(),), work)]


def _add_backward(t: Tensors, op: Any) -> list[Pass]:
    return [
        Pass((t.dy(),), (t.dx(index),), t.y_elements, reduces=True)
        for index, count in enumerate(t.x_elements)
        if count < t.y_elements  # broadcast: the gradient is summed; else it is shared and nothing moves
    ]


def _mul_backward(t: Tensors, op: Any) -> list[Pass]:
    return [
        Pass((t.dy(), *(t.x(other) for other in range(len(t.names)) if other != index)), (t.dx(index),),
             2 * t.y_elements, reduces=t.x_elements[index] < t.y_elements)
        for index in range(len(t.names))
    ]  # fmt: skip


def _mask(t: Tensors, op: Dropout) -> Operand:
    """What was dropped, kept for the backward pass."""
    return t.extra("mask", t.layer.output_shape[0] if op.per_sample else t.y_elements, MASK_BYTES)


def _scale_backward(t: Tensors, op: Scale) -> list[Pass]:
    reads = (t.x(), t.dy()) if op.parameters_count else (t.dy(),)
    return [Pass(reads, (t.dx(),), t.y_elements * len(reads), reduces=bool(op.parameters_count))]


def _copy(t: Tensors, op: Any) -> list[Pass]:
    return [Pass((t.x(),), (t.y(),), 0)]


def _copy_back(t: Tensors, op: Any) -> list[Pass]:
    return [Pass((t.dy(),), (t.dx(),), 0)]


def _reduce_or_spread(t: Tensors, op: Any) -> float:
    return float(max(t.x_elements[0], t.y_elements))


def _nothing(t: Tensors, op: Any) -> list[Pass]:
    return []


FORWARD: dict[str, Rule] = {
    "BatchNorm": _norm_forward,
    "GroupNorm": _norm_forward,
    "LayerNorm": lambda t, op: [Pass((t.x(),), (t.y(),), 8 * t.y_elements)],
    "Activation": lambda t, op: [Pass((t.x(),), (t.y(),), ACTIVATION_OPERATIONS[op.function] * t.y_elements)],
    "Pool": _pool_forward,
    "AdaptivePool": lambda t, op: [Pass((t.x(),), (t.y(),), _reduce_or_spread(t, op))],
    "Add": lambda t, op: [Pass(t.all_x(), (t.y(),), (len(t.names) - 1) * t.y_elements)],
    "Mul": lambda t, op: [Pass(t.all_x(), (t.y(),), (len(t.names) - 1) * t.y_elements)],
    "Concat": lambda t, op: [Pass(t.all_x(), (t.y(),), 0)],
    "ChannelShuffle": _copy,
    "Pad": _copy,
    "Dropout": lambda t, op: [Pass((t.x(),), (t.y(), _mask(t, op)), 2 * t.y_elements)],
    "Softmax": lambda t, op: [Pass((t.x(),), (t.y(),), 10 * t.y_elements)],
    "LocalResponseNorm": lambda t, op: [Pass((t.x(),), (t.y(), t.extra("scale", t.y_elements)),
                                            (op.size + 8) * t.y_elements)],
    "Scale": lambda t, op: [Pass((t.x(),), (t.y(),), 2 * t.y_elements)],
    "ReduceMean": lambda t, op: [Pass((t.x(),), (t.y(),), _reduce_or_spread(t, op))],
    "Elementwise": lambda t, op: [Pass(t.all_x(), (t.y(),), t.y_elements)],
    "Slice": _nothing, "Reshape": _nothing, "Flatten": _nothing, "Permute": _nothing,
}  # fmt: skip

BACKWARD: dict[str, Rule] = {
    "BatchNorm": _norm_backward,
    "GroupNorm": _norm_backward,
    "LayerNorm": _layer_norm_backward,
    "Activation": _activation_backward,
    "Pool": _pool_backward,
    "AdaptivePool": lambda t, op: [Pass((t.dy(),), (t.dx(),), _reduce_or_spread(t, op))],
    "Add": _add_backward,
    "Mul": _mul_backward,
    "Concat": _nothing,
    "ChannelShuffle": _copy_back,
    "Pad": _copy_back,
    "Dropout": lambda t, op: [Pass((t.dy(), _mask(t, op)), (t.dx(),), t.y_elements)],
    "Softmax": lambda t, op: [Pass((t.y(), t.dy()), (t.dx(),), 4 * t.y_elements)],
    "LocalResponseNorm": lambda t, op: [Pass((t.x(), t.y(), t.extra("scale", t.y_elements), t.dy()), (t.dx(),),
                                            (op.size + 8) * t.y_elements)],
    "Scale": _scale_backward,
    "ReduceMean": lambda t, op: [Pass((t.dy(),), (t.dx(),), _reduce_or_spread(t, op))],
    "Elementwise": lambda t, op: [Pass((*t.all_x(), t.dy()), tuple(t.dx(i) for i in range(len(t.names))),
                                      2 * t.y_elements)],
    "Slice": _nothing, "Reshape": _nothing, "Flatten": _nothing, "Permute": _nothing,
}  # fmt: skip

CONV_KINDS = ("Conv", "Linear")  # their traffic is the roofline's business
