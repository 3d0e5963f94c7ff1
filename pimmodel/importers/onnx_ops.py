"""ONNX operators with weights or windows, and the context that all converters share.

A converter takes the context and a node, adds layers to the draft and returns the node's outputs. The registry
`CONVERTERS` maps operator types to converters; :mod:`pimmodel.importers.onnx_elementwise` and
:mod:`pimmodel.importers.onnx_shapes` add theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from pimmodel.importers.draft import Draft, Feature
from pimmodel.importers.onnx_values import Constant, Node, Value
from pimmodel.network.ops import (
    AdaptivePool,
    BatchNorm,
    Conv,
    GroupNorm,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    Op,
    Pool,
    ReduceMean,
)
from pimmodel.network.shapes import Padding, Pair, Shape

Converter = Callable[["Context", Node], list[Value]]


@dataclass
class Context:
    """The state of one import."""

    draft: Draft
    batch: int
    declared_batch: int | None  # batch that the file was exported with; None where it is symbolic
    readers: dict[str, int]  # how many nodes and graph outputs read a tensor
    values: dict[str, Value] = field(default_factory=dict)

    def add(self, node: Node, op: Op, *layers: str, weights: str | None = None) -> list[Value]:
        """The node as one layer that reads these layers (default: its first input); its output."""
        return [Feature(self.draft.add(op, *(layers or [self.feature(node)]), name=node.name, weights=weights))]

    def optional(self, node: Node, index: int) -> Value | None:
        """An input that may be left out."""
        if index >= len(node.inputs) or not node.inputs[index]:
            return None
        name = node.inputs[index]
        if name not in self.values:
            raise node.error(f"reads '{name}', an output that this importer does not model or that nothing makes")
        return self.values[name]

    def value(self, node: Node, index: int) -> Value:
        """An input that must be there."""
        value = self.optional(node, index)
        if value is None:
            raise node.error(f"input {index} is missing")
        return value

    def feature(self, node: Node, index: int = 0) -> str:
        """Name of the layer that makes an input."""
        value = self.value(node, index)
        if isinstance(value, Constant):
            raise node.error(f"input '{node.inputs[index]}' is a constant where a feature map is expected")
        return value.layer

    def constant(self, node: Node, index: int) -> Constant:
        """An input that must not depend on the network's inputs."""
        value = self.value(node, index)
        if isinstance(value, Feature):
            raise node.error(f"input '{node.inputs[index]}' is computed from the image; only a constant is supported")
        return value

    def ints(self, node: Node, attribute: str, index: int | None = None) -> tuple[int, ...] | None:
        """Integers that are an attribute in some opsets and an input in others."""
        if attribute in node:
            given = node.get(attribute)
            return tuple(int(v) for v in given) if isinstance(given, list | tuple) else (int(given),)
        if index is None or self.optional(node, index) is None:
            return None
        constant = self.constant(node, index)
        if constant.array is None:
            raise node.error(f"the values of '{node.inputs[index]}' are needed, and the file does not hold them")
        return tuple(int(v) for v in constant.array.reshape(-1))

    def sole(self, node: Node, index: int) -> bool:
        """Whether only this node reads an input."""
        return self.readers.get(node.inputs[index], 0) == 1

    def shape(self, node: Node, index: int = 0) -> Shape:
        """Shape of an input."""
        value = self.value(node, index)
        return self.draft.shape(value.layer) if isinstance(value, Feature) else value.shape


def window(context: Context, node: Node, kernel: Pair) -> tuple[Pair, Padding, Pair]:
    """Stride, padding (top, left, bottom, right) and dilation of a convolution or pooling."""
    stride = _pair(node, "strides", (1, 1))
    dilation = _pair(node, "dilations", (1, 1))
    mode = node.get("auto_pad", "NOTSET")
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        pads = tuple(node.get("pads", (0, 0, 0, 0))) if mode != "VALID" else (0, 0, 0, 0)
        if len(pads) != 4 or min(pads) < 0:
            raise node.error(f"pads must be four numbers of at least 0 for two dimensions, not {pads}")
        return stride, (pads[0], pads[1], pads[2], pads[3]), dilation
    before, after = [], []
    for size, k, s, d in zip(feature_map(context, node)[2:], kernel, stride, dilation, strict=True):
        total = max((-(-size // s) - 1) * s + d * (k - 1) + 1 - size, 0)
        small, large = total // 2, total - total // 2
        before.append(small if mode == "SAME_UPPER" else large)
        after.append(large if mode == "SAME_UPPER" else small)
    return stride, (before[0], before[1], after[0], after[1]), dilation


def _pair(node: Node, attribute: str, default: Pair) -> Pair:
    given = tuple(node.get(attribute, default))
    if len(given) != 2 or min(given) < 1:
        raise node.error(f"{attribute} must be two numbers of at least 1, not {given}")
    return given[0], given[1]


def feature_map(context: Context, node: Node) -> Shape:
    """Shape (N, C, H, W) of the first input."""
    shape = context.shape(node)
    if len(shape) != 4:
        kind = {3: "1-D", 5: "3-D"}.get(len(shape), f"rank-{len(shape)}")
        raise node.error(f"{kind} windows are not supported (input {shape}); only 2-D feature maps (N, C, H, W) are")
    return shape


# ---------------------------------------------------------------------- layers with weights


def _conv(context: Context, node: Node) -> list[Value]:
    weight, shape = context.constant(node, 1), feature_map(context, node)
    if len(weight.shape) != 4:
        raise node.error(f"its weight has shape {weight.shape}, not the four sizes of a 2-D convolution")
    groups = int(node.get("group", 1))
    filters, per_group, r, s = weight.shape
    if per_group * groups != shape[1]:
        raise node.error(f"its weight is for {per_group * groups} input channels, its input has {shape[1]}")
    stride, padding, dilation = window(context, node, (r, s))
    bias = context.optional(node, 2) is not None
    op = Conv(filters, (r, s), stride, padding, dilation, groups, bias)
    return context.add(node, op, weights=node.inputs[1])


def _gemm(context: Context, node: Node) -> list[Value]:
    weight = context.constant(node, 1)
    if node.get("transA", 0):
        raise node.error("transA on a feature map is not supported")
    rows, columns = weight.shape[::-1] if node.get("transB", 0) else weight.shape
    return _linear(context, node, rows, columns, bias=context.optional(node, 2) is not None)


def _matmul(context: Context, node: Node) -> list[Value]:
    if isinstance(context.value(node, 0), Feature) and isinstance(context.value(node, 1), Feature):
        raise node.error("a product of two feature maps (attention) is not supported")
    weight = context.constant(node, 1)
    if len(weight.shape) != 2:
        raise node.error(f"its weight has shape {weight.shape}; only matrices are supported")
    return _linear(context, node, *weight.shape, bias=False)


def _linear(context: Context, node: Node, rows: int, columns: int, *, bias: bool) -> list[Value]:
    features = context.draft.shape(context.feature(node))[-1]
    if features != rows:
        raise node.error(
            f"its weight is for {rows} input features, its input has {features} (does the image size fit the network?)"
        )
    return context.add(node, Linear(columns, bias), weights=node.inputs[1])


def _batch_norm(context: Context, node: Node) -> list[Value]:
    # Its tensors are not used as the key of shared weights: exporters store equal tensors once, and those of
    # untrained batch norms are all equal (1, 0, 0, 1).
    scale, shape = context.constant(node, 1), context.shape(node)
    if len(shape) < 2 or scale.size != shape[1]:
        raise node.error(f"its scale is for {scale.size} channels, its input is {shape}")
    return context.add(node, BatchNorm())


def _instance_norm(context: Context, node: Node) -> list[Value]:
    shape = context.shape(node)
    split = len(shape) == 3  # group norm as exporters write it: on (N, groups, rest), with scale 1 and shift 0
    return context.add(node, GroupNorm(shape[1], affine=not split))


def _group_norm(context: Context, node: Node) -> list[Value]:
    return context.add(node, GroupNorm(int(node.get("num_groups", 1))))


def _layer_norm(context: Context, node: Node) -> list[Value]:
    axis = int(node.get("axis", -1))
    return context.add(node, LayerNorm(-axis if axis < 0 else len(context.shape(node)) - axis))


# ---------------------------------------------------------------------- windows and reductions


def _pool(mode: Literal["max", "avg"]) -> Converter:
    def convert(context: Context, node: Node) -> list[Value]:
        feature_map(context, node)
        kernel = _pair(node, "kernel_shape", (0, 0))
        stride, padding, dilation = window(context, node, kernel)
        return context.add(node, Pool(mode, kernel, stride, padding, bool(node.get("ceil_mode", 0)), dilation))

    return convert


def _global_pool(mode: Literal["max", "avg"]) -> Converter:
    def convert(context: Context, node: Node) -> list[Value]:
        feature_map(context, node)
        return context.add(node, AdaptivePool((1, 1), mode))

    return convert


def _reduce(context: Context, node: Node) -> list[Value]:
    rank, axes = len(context.shape(node)), context.ints(node, "axes", 1)
    if not axes:
        if node.get("noop_with_empty_axes", 0):
            return [context.value(node, 0)]
        axes = tuple(range(rank))
    axes, keep = tuple(sorted(axis % rank for axis in axes)), bool(node.get("keepdims", 1))
    if node.op_type == "ReduceMean" and keep and rank == 4 and axes == (2, 3):
        return context.add(node, AdaptivePool())
    return context.add(node, ReduceMean(axes, keep))


def _local_response_norm(context: Context, node: Node) -> list[Value]:
    return context.add(node, LocalResponseNorm(int(node.get("size", 5))))


def _unsupported(why: str) -> Converter:
    def convert(context: Context, node: Node) -> list[Value]:
        raise node.error(why)

    return convert


CONVERTERS: dict[str, Converter] = {
    "Conv": _conv,
    "ConvTranspose": _unsupported("transposed convolutions are not supported; only CNN layers that classify are"),
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "LayerNormalization": _layer_norm,
    "MaxPool": _pool("max"),
    "AveragePool": _pool("avg"),
    "GlobalMaxPool": _global_pool("max"),
    "GlobalAveragePool": _global_pool("avg"),
    "ReduceMean": _reduce,
    "ReduceSum": _reduce,  # one pass over the input like the mean
    "ReduceMax": _reduce,
    "LRN": _local_response_norm,
}
