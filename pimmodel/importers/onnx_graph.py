"""Networks from ONNX files.

Shapes are inferred anew for the batch (and image size) that is asked for, because exported graphs often hold
the batch of the export in the constants of their reshapes. Weights are never read: their shapes are enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pimmodel.errors import MissingExtraError, NetworkError
from pimmodel.importers import UnknownOps, onnx_elementwise, onnx_shapes  # noqa: F401  (they register their converters)
from pimmodel.importers.draft import Draft, Feature
from pimmodel.importers.onnx_ops import CONVERTERS, Context
from pimmodel.importers.onnx_values import Constant, Node, Value, fold, tensor_constant
from pimmodel.network.network import Network
from pimmodel.network.ops import Elementwise, Input
from pimmodel.network.shapes import Pair, Shape, pair


def import_onnx(
    path: str | Path,
    batch: int | None = None,
    image_size: int | Pair | None = None,
    unknown_ops: UnknownOps = "error",
) -> Network:
    """Read an ONNX file as a network.

    Parameters
    ----------
    path : the .onnx file
    batch : N; default: the file's, or 1 where the file leaves it open [1]
    image_size : height and width of the input (one number: both); default: the file's [1]
    unknown_ops : "error", or "elementwise" to take an unknown operator as one pass over its input

    Raises
    ------
    NetworkError
        The file cannot be read, or holds something that is not modelled; the message names the node.
    MissingExtraError
        The package `onnx` is not installed.

    Notes
    -----
    The parameters are those that train: weights, biases, scales and shifts; running statistics do not count.
    Exporters merge batch norms into convolutions and leave dropout out unless told that the graph is for training
    (PyTorch: `training=torch.onnx.TrainingMode.TRAINING`); what the file does not hold is not modelled.
    """
    try:
        import onnx
    except ImportError:
        raise MissingExtraError("ONNX import", "onnx") from None
    model = _read(path, onnx)
    size = pair(image_size) if image_size is not None else None
    try:
        return _convert(model, Path(path).stem, batch, size, unknown_ops, onnx)
    except NetworkError as error:  # in one line, whatever the names in the file are
        raise NetworkError(f"{path}: {' '.join(str(error).splitlines())}") from None


def _read(path: str | Path, onnx: Any) -> Any:
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise NetworkError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise NetworkError(f"{path}: this is a directory, not an ONNX file") from None
    except OSError as error:
        raise NetworkError(f"{path}: cannot be read: {error.strerror or error}") from None
    if not data:
        raise NetworkError(f"{path}: the file is empty")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception:  # protobuf's DecodeError; its class depends on the protobuf back end
        raise NetworkError(f"{path}: not an ONNX file, or cut short") from None
    if not model.HasField("graph") or not model.opset_import:
        raise NetworkError(f"{path}: not an ONNX model (it holds no graph or no operator set)")
    if not model.graph.node:
        raise NetworkError(f"{path}: the graph has no nodes")
    return model


def _convert(
    model: Any, name: str, batch: int | None, size: Pair | None, unknown_ops: UnknownOps, onnx: Any
) -> Network:
    graph, draft = model.graph, Draft(name)
    opset = next((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), 1)
    nodes = [Node(proto, onnx.helper, opset) for proto in graph.node]
    readers = Counter(tensor for node in nodes for tensor in node.inputs)
    readers.update(output.name for output in graph.output)
    constants: dict[str, Value] = {
        tensor.name: tensor_constant(tensor, onnx.numpy_helper, name=tensor.name) for tensor in graph.initializer
    }
    for sparse in graph.sparse_initializer:
        constants[sparse.values.name] = Constant(tuple(sparse.dims), None, sparse.values.name)
    inputs = [item for item in graph.input if item.name not in constants and readers[item.name]]
    if not inputs:
        raise NetworkError("the graph has no input that a node reads")
    declared = _declared_batch(inputs[0])
    batch = (declared or 1) if batch is None else batch
    context = Context(draft, batch, declared, readers, constants)
    for item in inputs:
        shape = _input_shape(item, batch, size)
        context.values[item.name] = Feature(draft.add(Input(shape), name=item.name))
    for node in _ordered(nodes, set(context.values)):
        _add(context, node, unknown_ops, onnx)
    outputs = [context.values[item.name] for item in graph.output if item.name in context.values]
    layers = [value.layer for value in outputs if isinstance(value, Feature)]
    if not layers:
        raise NetworkError("no output of the graph depends on its input")
    return draft.build(layers)


def _add(context: Context, node: Node, unknown_ops: UnknownOps, onnx: Any) -> None:
    """Convert one node and file its outputs."""
    present = [index for index, tensor in enumerate(node.inputs) if tensor]
    known = node.domain in ("", "ai.onnx") or node.op_type in ("Gelu", "GroupNorm")
    outputs: list[Value]
    if node.op_type == "Constant":
        outputs = [_constant_node(node, onnx)]
    elif present and all(isinstance(context.value(node, index), Constant) for index in present):
        outputs = [fold(node, [context.constant(node, index) for index in present])]
    elif known and node.op_type in CONVERTERS:
        try:
            outputs = CONVERTERS[node.op_type](context, node)
        except (TypeError, ValueError, IndexError, ZeroDivisionError) as error:  # attributes of the wrong kind or size
            raise node.error(f"its attributes or inputs are not valid ({error})") from None
    elif unknown_ops == "elementwise":
        layers = [value.layer for i in present if isinstance(value := context.value(node, i), Feature)]
        outputs = context.add(node, Elementwise(node.op_type), *layers)
    else:
        raise node.error(
            "this operator is not known; with unknown_ops='elementwise' (--unknown-ops elementwise) it counts as "
            "one pass over its input"
        )
    context.values.update(zip((name for name in node.outputs), outputs, strict=False))


def _constant_node(node: Node, onnx: Any) -> Constant:
    if "value" in node:
        return tensor_constant(node.get("value"), onnx.numpy_helper)
    for attribute in ("value_int", "value_ints", "value_float", "value_floats"):
        if attribute in node:
            array = onnx.numpy_helper.from_array(_as_array(node.get(attribute)))
            return tensor_constant(array, onnx.numpy_helper)
    return Constant(())  # strings and sparse tensors: nothing here needs their values


def _as_array(value: Any) -> Any:
    import numpy as np

    return np.asarray(value)


def _dimensions(item: Any) -> list[Any]:
    return list(item.type.tensor_type.shape.dim)


def _declared_batch(item: Any) -> int | None:
    dimensions = _dimensions(item)
    fixed = dimensions and dimensions[0].HasField("dim_value") and dimensions[0].dim_value > 0
    return int(dimensions[0].dim_value) if fixed else None


def _input_shape(item: Any, batch: int, size: Pair | None) -> Shape:
    if not item.type.HasField("tensor_type") or not item.type.tensor_type.HasField("shape"):
        raise NetworkError(f"input '{item.name}' has no shape")
    dimensions = _dimensions(item)
    sizes = [int(d.dim_value) if d.HasField("dim_value") and d.dim_value > 0 else None for d in dimensions]
    if sizes:
        sizes[0] = batch
    image = 4 * [False]
    if len(sizes) == 4:
        last = sizes[3] in (1, 3, 4) and sizes[1] not in (1, 3, 4)  # (N, H, W, C), as TensorFlow exports
        image = [False, True, True, False] if last else [False, False, True, True]
        if size is not None:
            first = image.index(True)
            sizes[first : first + 2] = size
    for axis, value in enumerate(sizes):
        if value is None:
            label = dimensions[axis].dim_param or "?"
            advice = (
                "give the image size (image_size, --image-size)"
                if len(sizes) == 4 and image[axis]
                else "fix this size in the file"
            )
            raise NetworkError(f"input '{item.name}': dimension {axis} ('{label}') has no fixed size; {advice}")
    return tuple(value for value in sizes if value is not None)


def _ordered(nodes: list[Node], ready: set[str]) -> Iterator[Node]:
    """Nodes after everything that they read; the format asks for this order, but not every file keeps it."""
    made = {tensor for node in nodes for tensor in node.outputs if tensor}
    done, waiting = set(ready), nodes
    while waiting:
        later = []
        for node in waiting:
            missing = [tensor for tensor in node.inputs if tensor and tensor not in done]
            if absent := [tensor for tensor in missing if tensor not in made]:
                raise node.error(f"reads '{absent[0]}', which nothing makes")
            if missing:
                later.append(node)
            else:
                done.update(node.outputs)
                yield node
        if len(later) == len(waiting):
            raise later[0].error("the graph has a cycle: this node waits for its own output")
        waiting = later
