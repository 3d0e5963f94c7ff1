"""PyTorch functions, tensor methods and aten operators as layers.

`FUNCTIONS` maps a name to a converter that takes the same arguments as the PyTorch function of that name, so one
converter serves `F.relu(x)`, `x.relu()` and `aten.relu`. :mod:`torch_views` adds the calls that only rearrange;
:mod:`torch_modules` maps module classes to functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pimmodel.errors import NetworkError
from pimmodel.importers.draft import Draft, Feature, How
from pimmodel.network.ops import (
    Activation,
    AdaptivePool,
    Add,
    BatchNorm,
    Conv,
    Dropout,
    Elementwise,
    GroupNorm,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    Op,
    Pool,
    ReduceMean,
    Softmax,
)
from pimmodel.network.shapes import Pair, Shape, elements


@dataclass(frozen=True)
class Weight:
    """A parameter or buffer, or something computed from one; `name` is the same wherever it is shared."""

    name: str
    shape: Shape
    trainable: bool = True


@dataclass
class Call:
    """One traced call: where its layers go, their name, and the shape that PyTorch finds for its result."""

    draft: Draft
    name: str
    result: Any

    def error(self, problem: str) -> NetworkError:
        """An error that names this call."""
        return NetworkError(f"call '{self.name}': {problem}")

    def add(self, op: Op, *inputs: Any, weight: Weight | None = None) -> Feature:
        """Add a layer on some features."""
        for value in inputs:
            if not isinstance(value, Feature):
                raise self.error(f"{op.kind} reads a constant or weight where a feature map is expected")
        names = [value.layer for value in inputs]
        key = None if weight is None else weight.name
        return Feature(self.draft.add(op, *names, name=self.name, weights=key))

    def first_of_several(self, made: Feature) -> Any:
        """What was made, as the first of its outputs where PyTorch's call has several."""
        return [made] if isinstance(self.result, Sequence) else made

    def shape(self, x: Feature) -> Shape:
        """Shape of a feature."""
        return self.draft.shape(x.layer)

    def feature_map(self, x: Feature) -> Shape:
        """Shape (N, C, H, W) of a feature."""
        shape = self.shape(x)
        if len(shape) != 4:
            raise self.error(f"only 2-D feature maps (N, C, H, W) are supported here, not shape {shape}")
        return shape


Converter = Callable[..., Any]
FUNCTIONS: dict[str, Converter] = {}


def function(*names: str) -> Callable[[Converter], Converter]:
    """Register a converter under some function names."""

    def register(converter: Converter) -> Converter:
        FUNCTIONS.update(dict.fromkeys(names, converter))
        return converter

    return register


def two(value: Any) -> Pair:
    """PyTorch's number, or sequence of one or two numbers, as (vertical, horizontal)."""
    if isinstance(value, int):
        return value, value
    return int(value[0]), int(value[-1])


# ---------------------------------------------------------------------- layers with weights


@function("conv2d")
def conv2d(
    call: Call, input: Feature, weight: Weight, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Feature:  # fmt: skip
    """2-D convolution."""
    if not isinstance(weight, Weight):
        raise call.error("a convolution whose weight is computed from the image is not supported")
    if len(weight.shape) != 4:
        raise call.error(f"a weight of shape {weight.shape} is no 2-D convolution's; 1-D and 3-D are not supported")
    call.feature_map(input)
    kernel, spread = (weight.shape[2], weight.shape[3]), two(dilation)
    if padding == "same":
        totals = [d * (k - 1) for k, d in zip(kernel, spread, strict=True)]
        sides = (totals[0] // 2, totals[1] // 2, totals[0] - totals[0] // 2, totals[1] - totals[1] // 2)
    else:
        sides = two(0 if padding == "valid" else padding) * 2
    op = Conv(weight.shape[0], kernel, two(stride), sides, spread, groups, bias is not None)
    return call.add(op, input, weight=weight)


@function("convolution", "_convolution")
def convolution(
    call: Call, input: Feature, weight: Weight, bias: Any, stride: Any, padding: Any, dilation: Any,
    transposed: bool, output_padding: Any, groups: int, *_: Any,
) -> Feature:  # fmt: skip
    """The general convolution of aten."""
    if transposed:
        raise call.error("transposed convolutions are not supported")
    return conv2d(call, input, weight, bias, stride, padding, dilation, groups)  # type: ignore[no-any-return]


@function("linear")
def linear(call: Call, input: Feature, weight: Weight, bias: Any = None) -> Feature:
    """Fully connected layer."""
    return call.add(Linear(weight.shape[0], bias is not None), input, weight=weight)


@function("matmul", "mm", "bmm")
def matmul(call: Call, input: Any, other: Any) -> Feature:
    """Product with a weight matrix."""
    if not isinstance(other, Weight) or len(other.shape) != 2:
        raise call.error("a product of two feature maps (attention) is not supported")
    return call.add(Linear(other.shape[1], bias=False), input, weight=other)


@function("addmm")
def addmm(call: Call, input: Any, mat1: Feature, mat2: Weight, **_: Any) -> Feature:
    """Fully connected layer with bias, as aten writes it."""
    return call.add(Linear(mat2.shape[1]), mat1, weight=mat2)


@function("batch_norm")
def batch_norm(
    call: Call, input: Feature, running_mean: Any, running_var: Any, weight: Any = None, *_: Any, **__: Any
) -> Feature:
    """Batch normalisation with the arguments of `torch.nn.functional`."""
    return call.add(BatchNorm(weight is not None), input, weight=weight)


@function("aten.batch_norm", "cudnn_batch_norm", "native_batch_norm", "_native_batch_norm_legit",
          "_native_batch_norm_legit_no_training")  # fmt: skip
def native_batch_norm(call: Call, input: Feature, weight: Any = None, *_: Any, **__: Any) -> Any:
    """Batch normalisation with the arguments of aten."""
    return call.first_of_several(batch_norm(call, input, None, None, weight))


@function("layer_norm", "native_layer_norm")
def layer_norm(call: Call, input: Feature, normalized_shape: Any, weight: Any = None, *_: Any, **__: Any) -> Any:
    """Layer normalisation over the last axes."""
    axes = 1 if isinstance(normalized_shape, int) else len(normalized_shape)
    return call.first_of_several(call.add(LayerNorm(axes, weight is not None), input, weight=weight))


@function("group_norm")
def group_norm(call: Call, input: Feature, num_groups: int, weight: Any = None, *_: Any, **__: Any) -> Feature:
    """Group normalisation."""
    return call.add(GroupNorm(num_groups, weight is not None), input, weight=weight)


@function("instance_norm")
def instance_norm(
    call: Call, input: Feature, running_mean: Any = None, running_var: Any = None, weight: Any = None,
    *_: Any, **__: Any,
) -> Feature:  # fmt: skip
    """Instance normalisation: one group per channel."""
    return group_norm(call, input, call.shape(input)[1], weight)  # type: ignore[no-any-return]


@function("aten.instance_norm")
def native_instance_norm(call: Call, input: Feature, weight: Any = None, *_: Any, **__: Any) -> Feature:
    """Instance normalisation with the arguments of aten."""
    return group_norm(call, input, call.shape(input)[1], weight)  # type: ignore[no-any-return]


# ---------------------------------------------------------------------- elementwise


def _layer(op: Op) -> Converter:
    """A layer on the first argument, whatever the others say."""
    return lambda call, input, *_, **__: call.add(op, input)


for _name in ("relu", "relu6", "sigmoid", "silu", "hardswish", "hardsigmoid", "gelu", "tanh", "leaky_relu", "elu"):
    FUNCTIONS[_name] = _layer(Activation(_name))
for _name in (
    "abs", "celu", "exp", "logsigmoid", "mish", "neg", "pow", "rsqrt", "selu", "softplus", "softsign", "sqrt",
):  # fmt: skip
    FUNCTIONS[_name] = _layer(Elementwise(_name))
for _name in ("hardtanh", "clamp", "clip"):
    FUNCTIONS[_name] = _layer(Activation("relu6"))  # two comparisons per element, whatever the bounds
for _name in ("softmax", "log_softmax", "_softmax", "_log_softmax"):
    FUNCTIONS[_name] = _layer(Softmax())


@function("prelu", "_prelu_kernel")
def prelu(call: Call, input: Feature, weight: Weight) -> Feature:
    """Leaky ReLU with trained slopes."""
    return call.add(Activation("prelu", slopes=elements(weight.shape)), input, weight=weight)


@function("identity", "contiguous", "clone", "detach", "to", "float", "half", "double", "type_as", "alias", "_to_copy",
          "lift_fresh_copy", "lift_fresh", "expand_as")  # fmt: skip
def identity(call: Call, input: Any, *_: Any, **__: Any) -> Any:
    """Nothing that a library would not fuse away."""
    return input


@function("dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout", "alpha_dropout", "native_dropout")
def dropout(call: Call, input: Feature, p: float = 0.5, *_: Any, **__: Any) -> Any:
    """Dropout, which training runs even though the trace was made in evaluation mode."""
    return call.first_of_several(call.add(Dropout(float(p)), input) if p else input)


@function("stochastic_depth", "drop_path")
def stochastic_depth(call: Call, input: Feature, p: float = 0.0, *_: Any, **__: Any) -> Feature:
    """Stochastic depth of torchvision and timm."""
    return call.add(Dropout(float(p), per_sample=True), input) if p else input


@function("add", "iadd", "sub", "isub", "subtract", "rsub")
def add(call: Call, input: Any, other: Any, *_: Any, **__: Any) -> Feature:
    """Sum or difference: both move and compute the same."""
    if isinstance(input, Feature) and isinstance(other, Feature):
        return call.add(Add(), input, other)
    plain = "sub" not in call.name  # the value of a difference is not needed by any pattern
    return _constant(call, "add", input, other, plain=plain)


@function("mul", "imul", "multiply")
def mul(call: Call, input: Any, other: Any) -> Feature:
    """Product."""
    if isinstance(input, Feature) and isinstance(other, Feature):
        return Feature(call.draft.multiply(input.layer, other.layer, call.name))
    return _constant(call, "mul", input, other)


@function("div", "truediv", "itruediv", "divide")
def div(call: Call, input: Any, other: Any, **_: Any) -> Feature:
    """Quotient."""
    if isinstance(input, Feature) and isinstance(other, Feature):
        return Feature(call.draft.divide(input.layer, other.layer, call.name))
    if isinstance(input, Feature) and isinstance(other, int | float) and other:
        return _constant(call, "mul", input, 1 / other)
    return _constant(call, "mul", input, other, plain=False)


def _constant(call: Call, how: How, a: Any, b: Any, *, plain: bool = True) -> Feature:
    feature, constant = (a, b) if isinstance(a, Feature) else (b, a)
    number = float(constant) if isinstance(constant, int | float) and plain else None
    size = elements(tuple(constant.shape)) if hasattr(constant, "shape") else 1
    trainable = isinstance(constant, Weight) and constant.trainable
    layer = call.draft.affine(
        feature.layer, how, size=size, value=number, trainable=trainable, sole=False, name=call.name
    )
    return Feature(layer)


# ---------------------------------------------------------------------- windows and reductions


def _pool(mode: Literal["max", "avg"], *, dilated: bool) -> Converter:
    def convert(
        call: Call, input: Feature, kernel_size: Any, stride: Any = None, padding: Any = 0, *rest: Any, **named: Any
    ) -> Any:
        call.feature_map(input)
        rest_names = ("dilation", "ceil_mode") if dilated else ("ceil_mode",)
        options = dict(zip(rest_names, rest, strict=False)) | named
        step = two(stride if stride not in (None, (), []) else kernel_size)
        op = Pool(
            mode, two(kernel_size), step, two(padding) * 2, bool(options.get("ceil_mode", False)),
            two(options.get("dilation", 1)),
        )  # fmt: skip
        return call.first_of_several(call.add(op, input))

    return convert


FUNCTIONS |= dict.fromkeys(("max_pool2d", "max_pool2d_with_indices", "boolean_dispatch"), _pool("max", dilated=True))
FUNCTIONS["avg_pool2d"] = _pool("avg", dilated=False)


def _adaptive_pool(mode: Literal["max", "avg"]) -> Converter:
    def convert(call: Call, input: Feature, output_size: Any = None, *_: Any, **__: Any) -> Any:
        call.feature_map(input)
        result = call.result[0] if isinstance(call.result, Sequence) else call.result
        return call.first_of_several(call.add(AdaptivePool((result.shape[-2], result.shape[-1]), mode), input))

    return convert


FUNCTIONS |= dict.fromkeys(("adaptive_avg_pool2d", "_adaptive_avg_pool2d"), _adaptive_pool("avg"))
FUNCTIONS |= dict.fromkeys(("adaptive_max_pool2d", "adaptive_max_pool2d_with_indices"), _adaptive_pool("max"))


@function("mean", "sum", "amax")
def mean(call: Call, input: Feature, dim: Any = None, keepdim: bool = False, **named: Any) -> Feature:
    """Mean, or another reduction that reads its input once, over some axes."""
    rank = len(call.shape(input))
    given = named.get("axis", dim)
    axes = range(rank) if given in (None, (), []) else (given,) if isinstance(given, int) else given
    wanted = tuple(sorted(axis % rank for axis in axes))
    if keepdim and rank == 4 and wanted == (2, 3):
        return call.add(AdaptivePool(), input)
    return call.add(ReduceMean(wanted, keepdim), input)


@function("local_response_norm")
def local_response_norm(call: Call, input: Feature, size: int, *_: Any, **__: Any) -> Feature:
    """Local response normalisation."""
    return call.add(LocalResponseNorm(size), input)
