"""Writes networks as ONNX files, for the tests of the importer. Weights have shapes and no values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnx import TensorProto, helper, save

from pimmodel.network.network import Layer, Network

ACTIVATIONS = {
    "relu": "Relu", "sigmoid": "Sigmoid", "hardswish": "HardSwish", "hardsigmoid": "HardSigmoid", "tanh": "Tanh",
    "gelu": "Gelu", "leaky_relu": "LeakyRelu", "elu": "Elu",
}  # fmt: skip


class Writer:
    """Collects nodes and the weights that they read."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def weight(self, name: str, shape: tuple[int, ...]) -> str:
        """A ConstantOfShape node: a weight of any size in a few bytes."""
        if name not in self.constants:
            self.ints(f"{name}__shape", shape)
            self.nodes.append(helper.make_node("ConstantOfShape", [f"{name}__shape"], [name]))
            self.constants[name] = None
        return name

    def ints(self, name: str, values: tuple[int, ...]) -> str:
        self.constants[name] = helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
        return name

    def scalar(self, name: str, value: float) -> str:
        self.constants[name] = helper.make_tensor(name, TensorProto.FLOAT, [], [value])
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))


def add_layer(writer: Writer, layer: Layer) -> None:
    """One layer as the nodes that PyTorch's exporter writes for it."""
    op, name, reads, key = layer.op, layer.name, list(layer.inputs), layer.weights
    shape = layer.input_shapes[0] if layer.input_shapes else ()
    windows: dict[str, Any] = {}
    if op.kind in ("Conv", "Pool"):
        windows = {"kernel_shape": op.kernel, "strides": op.stride, "pads": op.padding, "dilations": op.dilation}
    match op.kind:
        case "Input":
            pass
        case "Conv":
            inputs = [*reads, writer.weight(f"{key}.weight", (op.out_channels, shape[1] // op.groups, *op.kernel))]
            inputs += [writer.weight(f"{key}.bias", (op.out_channels,))] if op.bias else []
            writer.node("Conv", inputs, name, group=op.groups, **windows)
        case "Linear" if len(shape) == 2:
            inputs = [*reads, writer.weight(f"{key}.weight", (op.out_features, shape[-1]))]
            inputs += [writer.weight(f"{key}.bias", (op.out_features,))] if op.bias else []
            writer.node("Gemm", inputs, name, transB=1)
        case "Linear":
            product = f"{name}.product" if op.bias else name
            writer.node("MatMul", [*reads, writer.weight(f"{key}.weight", (shape[-1], op.out_features))], product)
            if op.bias:
                writer.node("Add", [product, writer.weight(f"{key}.bias", (op.out_features,))], name)
        case "BatchNorm":
            parts = [writer.weight(f"{key}.{part}", (shape[1],)) for part in ("scale", "shift", "mean", "var")]
            writer.node("BatchNormalization", [*reads, *parts], name)
        case "LayerNorm":
            parts = [writer.weight(f"{key}.{part}", shape[-op.axes :]) for part in ("scale", "shift")]
            writer.node("LayerNormalization", [*reads, *parts], name, axis=-op.axes)
        case "Activation" if op.function == "silu":
            writer.node("Sigmoid", reads, f"{name}.gate")
            writer.node("Mul", [*reads, f"{name}.gate"], name)
        case "Activation" if op.function == "relu6":
            bounds = [writer.scalar(f"{name}.min", 0.0), writer.scalar(f"{name}.max", 6.0)]
            writer.node("Clip", [*reads, *bounds], name)
        case "Activation":
            writer.node(ACTIVATIONS[op.function], reads, name)
        case "Pool":
            kind = {"max": "MaxPool", "avg": "AveragePool"}[op.mode]
            writer.node(kind, reads, name, ceil_mode=int(op.ceil), **windows)
        case "AdaptivePool" if op.output == (1, 1):
            writer.node("GlobalAveragePool", reads, name)
        case "AdaptivePool":
            steps = [size // wanted for size, wanted in zip(shape[2:], op.output, strict=True)]
            writer.node("AveragePool", reads, name, kernel_shape=steps, strides=steps)
        case "ReduceMean":
            writer.node("ReduceMean", [*reads, writer.ints(f"{name}.axes", op.axes)], name, keepdims=int(op.keep))
        case "Add" | "Mul":
            writer.node(op.kind, reads, name)
        case "Concat":
            writer.node("Concat", reads, name, axis=op.axis)
        case "Slice":
            bounds = [writer.ints(f"{name}.{part}", (value,)) for part, value in
                      (("start", op.start), ("stop", op.stop), ("axis", op.axis))]  # fmt: skip
            writer.node("Slice", [*reads, *bounds], name)
        case "ChannelShuffle":
            n, c, h, w = shape
            split = writer.ints(f"{name}.split", (n, op.groups, c // op.groups, h, w))
            writer.node("Reshape", [*reads, split], f"{name}.parts")
            writer.node("Transpose", [f"{name}.parts"], f"{name}.turned", perm=[0, 2, 1, 3, 4])
            writer.node("Reshape", [f"{name}.turned", writer.ints(f"{name}.whole", shape)], name)
        case "Reshape":
            writer.node("Reshape", [*reads, writer.ints(f"{name}.shape", layer.output_shape)], name)
        case "Flatten":
            writer.node("Flatten", reads, name)
        case "Permute":
            writer.node("Transpose", reads, name, perm=list(op.axes))
        case "Dropout":
            writer.node("Dropout", [*reads, writer.scalar(f"{name}.ratio", op.rate)], name)
        case "Softmax":
            writer.node("Softmax", reads, name, axis=1)
        case "LocalResponseNorm":
            writer.node("LRN", reads, name, size=op.size)
        case "Scale":
            writer.node("Mul", [*reads, writer.weight(f"{key}.gamma", (op.parameters_count, 1, 1))], name)
        case _:
            raise NotImplementedError(op.kind)


def network_to_onnx(network: Network, path: Path, opset: int = 20) -> Path:
    """Write a network of common layers as an ONNX file of a few kilobytes."""
    writer = Writer()
    for layer in network:
        add_layer(writer, layer)
    inputs = [layer for layer in network if layer.op.kind == "Input"]

    def described(layer: Layer) -> Any:
        return helper.make_tensor_value_info(layer.name, TensorProto.FLOAT, list(layer.output_shape))

    graph = helper.make_graph(
        writer.nodes,
        network.name,
        [described(layer) for layer in inputs],
        [described(network[name]) for name in network.outputs],
        [tensor for tensor in writer.constants.values() if tensor is not None],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]), path)
    return path
