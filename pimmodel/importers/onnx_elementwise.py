"""ONNX operators that work element by element: activations, arithmetic with tensors and constants, softmax."""

from __future__ import annotations

import numpy as np

from pimmodel.importers.draft import Feature, How
from pimmodel.importers.onnx_ops import CONVERTERS, Context, Converter
from pimmodel.importers.onnx_values import Constant, Node, Value
from pimmodel.network.ops import Activation, Add, Dropout, Elementwise, Op, Softmax


def _layer(op: Op) -> Converter:
    return lambda context, node: context.add(node, op)


def _prelu(context: Context, node: Node) -> list[Value]:
    return context.add(node, Activation("prelu", slopes=context.constant(node, 1).size), weights=node.inputs[1])


def _identity(context: Context, node: Node) -> list[Value]:
    return [context.value(node, 0)]


def _clip(context: Context, node: Node) -> list[Value]:
    bounds = []
    for index, (attribute, open_end) in enumerate((("min", -np.inf), ("max", np.inf)), start=1):
        value = node.get(attribute)
        if value is None and context.optional(node, index) is not None:
            value = context.constant(node, index).scalar
        bounds.append(open_end if value is None else float(value))
    # any other range costs what relu6 costs: two comparisons per element
    return context.add(node, Activation("relu" if bounds[0] == 0 and bounds[1] > 1e30 else "relu6"))


def _dropout(context: Context, node: Node) -> list[Value]:
    rate = node.get("ratio")
    if rate is None and isinstance(given := context.optional(node, 1), Constant):
        rate = given.scalar
    return context.add(node, Dropout(0.5 if rate is None else float(rate)))


def _unary(context: Context, node: Node) -> list[Value]:
    return context.add(node, Elementwise(node.op_type))


def _pow(context: Context, node: Node) -> list[Value]:
    context.constant(node, 1)
    return _unary(context, node)


def _sum(context: Context, node: Node) -> list[Value]:
    """Sums and differences: a difference moves and computes what a sum does."""
    values = [context.value(node, index) for index in range(len(node.inputs))]
    features = [value.layer for value in values if isinstance(value, Feature)]
    if len(features) == 1 and len(values) == 1:
        return values
    total = features[0]
    if len(features) > 1:
        total = context.draft.add(Add(), *features, name=node.name)
    for index, value in enumerate(values):
        if isinstance(value, Constant):
            scalar = value.scalar
            if node.op_type == "Sub" and scalar is not None:
                scalar = -scalar if index else None  # constant - x is no plain shift
            total = _affine(context, node, total, "add", value, scalar)
    return [Feature(total)]


def _product(context: Context, node: Node) -> list[Value]:
    a, b = context.value(node, 0), context.value(node, 1)
    if isinstance(a, Feature) and isinstance(b, Feature):
        return [Feature(context.draft.multiply(a.layer, b.layer, node.name))]
    feature, constant = (a, b) if isinstance(a, Feature) else (b, a)
    return [Feature(_affine(context, node, feature.layer, "mul", constant, constant.scalar))]  # type: ignore[union-attr, arg-type]


def _quotient(context: Context, node: Node) -> list[Value]:
    a, b = context.value(node, 0), context.value(node, 1)
    if isinstance(a, Feature) and isinstance(b, Feature):
        return [Feature(context.draft.divide(a.layer, b.layer, node.name))]
    if isinstance(a, Feature) and isinstance(b, Constant):
        scalar = None if not b.scalar else 1 / b.scalar
        return [Feature(_affine(context, node, a.layer, "mul", b, scalar))]
    return context.add(node, Elementwise("Reciprocal"), context.feature(node, 1))


def _affine(context: Context, node: Node, layer: str, how: How, constant: Constant, scalar: float | None) -> str:
    shape = context.draft.shape(layer)
    if node.opset >= 7:  # before, operands were aligned by the attributes `broadcast` and `axis`
        try:
            widened = np.broadcast_shapes(shape, constant.shape) != shape
        except ValueError:
            widened = True
        if widened:
            raise node.error(f"a constant of shape {constant.shape} does not fit the feature map {shape}")
    feature_index = next(
        i for i, name in enumerate(node.inputs) if isinstance(context.values.get(name), Feature)
    )  # a fold must not change a tensor that another node reads
    sole = len(node.inputs) == 2 and context.sole(node, feature_index)
    trainable = constant.name is not None
    size = constant.size
    return context.draft.affine(layer, how, size=size, value=scalar, trainable=trainable, sole=sole, name=node.name)


CONVERTERS |= {
    "Relu": _layer(Activation("relu")),
    "LeakyRelu": _layer(Activation("leaky_relu")),
    "PRelu": _prelu,
    "Sigmoid": _layer(Activation("sigmoid")),
    "HardSigmoid": _layer(Activation("hardsigmoid")),
    "HardSwish": _layer(Activation("hardswish")),
    "Swish": _layer(Activation("silu")),
    "Tanh": _layer(Activation("tanh")),
    "Elu": _layer(Activation("elu")),
    "Gelu": _layer(Activation("gelu")),
    "Clip": _clip,
    "Softmax": _layer(Softmax()),
    "LogSoftmax": _layer(Softmax()),
    "Dropout": _dropout,
    "Identity": _identity,
    "Cast": _identity,
    "Add": _sum,
    "Sum": _sum,
    "Sub": _sum,
    "Mul": _product,
    "Div": _quotient,
    "Pow": _pow,
} | dict.fromkeys(
    ("Abs", "Celu", "Erf", "Exp", "Log", "Mish", "Neg", "Reciprocal", "Selu", "Softplus", "Softsign", "Sqrt",
     "ThresholdedRelu"),
    _unary,
)  # fmt: skip
