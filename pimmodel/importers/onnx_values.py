"""Values in an ONNX graph that do not depend on an input, and their folding.

Exporters compute shapes inside the graph (`Shape`, `Gather`, `Concat`, `Reshape`). Such small constants are computed
here; of weights only the shape matters, so their values are never read and may be missing (external data).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pimmodel.errors import NetworkError
from pimmodel.importers.draft import Feature
from pimmodel.network.shapes import Shape

Array = np.ndarray[Any, Any]

SMALL = 4096
"""Constants of up to this many elements are computed; larger ones are weights, known by shape alone [1]."""


@dataclass(frozen=True)
class Constant:
    """A tensor that does not depend on any input.

    `array` has the `shape`, and no unit that an ONNX file would tell [1]; it is absent where only the shape is known.
    `name` is the initialiser that holds trainable values, if any. `fixed` constants were
    written into the file as numbers, so they may hold the batch of the exported graph.
    """

    shape: Shape
    array: Array | None = None
    name: str | None = None
    fixed: bool = True

    @property
    def size(self) -> int:
        """Elements [1]."""
        return math.prod(self.shape)

    @property
    def scalar(self) -> float | None:
        """The one number of a constant with one element."""
        return float(self.array.reshape(-1)[0]) if self.array is not None and self.size == 1 else None


Value = Feature | Constant


def of_array(array: Array, *, fixed: bool = False, name: str | None = None) -> Constant:
    """A constant with known values, of any shape [1]: those of `array`."""
    return Constant(tuple(array.shape), array, name, fixed)


class Node:
    """One ONNX node with decoded attributes."""

    def __init__(self, proto: Any, helper: Any, opset: int) -> None:
        self.op_type: str = proto.op_type
        self.domain: str = proto.domain
        self.inputs: tuple[str, ...] = tuple(proto.input)
        self.outputs: tuple[str, ...] = tuple(proto.output)
        self.name: str = proto.name or next((output for output in proto.output if output), proto.op_type)
        self.opset = opset
        self._attributes = {item.name: item for item in proto.attribute}
        self._decode: Callable[[Any], Any] = helper.get_attribute_value

    def __contains__(self, attribute: str) -> bool:
        return attribute in self._attributes

    def get(self, attribute: str, default: Any = None) -> Any:
        """An attribute's value; text as `str`."""
        if attribute not in self._attributes:
            return default
        value = self._decode(self._attributes[attribute])
        return value.decode() if isinstance(value, bytes) else value

    def error(self, problem: str) -> NetworkError:
        """An error that names this node."""
        return NetworkError(f"node '{self.name}' ({self.op_type}): {problem}")


def tensor_constant(tensor: Any, numpy_helper: Any, *, name: str | None = None) -> Constant:
    """A TensorProto as a constant; values are decoded where they are few and present."""
    shape = tuple(int(size) for size in tensor.dims)
    external = tensor.data_location == 1
    array = None
    if math.prod(shape) <= SMALL and not external:
        try:
            array = numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError):
            array = None  # values left out, or of a type that numpy does not know: the shape is enough for a weight
    return Constant(shape, array, name)


# ---------------------------------------------------------------------- folding


def _axes(node: Node, values: Sequence[Array]) -> tuple[int, ...] | None:
    axes = node.get("axes")
    if axes is None and len(values) > 1:
        axes = values[1].tolist()
    return None if axes is None else tuple(int(axis) for axis in np.atleast_1d(axes))


def _unsqueeze(node: Node, values: Sequence[Array]) -> Array:
    return np.expand_dims(values[0], _axes(node, values) or ())


def _squeeze(node: Node, values: Sequence[Array]) -> Array:
    return np.squeeze(values[0], axis=_axes(node, values))


def _slice(node: Node, values: Sequence[Array]) -> Array:
    data = values[0]
    if "starts" in node:
        starts, ends = node.get("starts"), node.get("ends")
        axes, steps = node.get("axes", range(len(starts))), [1] * len(starts)
    else:
        starts, ends = values[1].tolist(), values[2].tolist()
        axes = values[3].tolist() if len(values) > 3 else range(len(starts))
        steps = values[4].tolist() if len(values) > 4 else [1] * len(starts)
    index = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        index[axis] = slice(start, end, step)
    return data[tuple(index)]


def _reshape(node: Node, values: Sequence[Array]) -> Array:
    wanted = node.get("shape") or values[1].tolist()
    return values[0].reshape([values[0].shape[i] if size == 0 else size for i, size in enumerate(wanted)])


def _divide(node: Node, values: Sequence[Array]) -> Array:
    a, b = values
    if np.issubdtype(a.dtype, np.integer):
        return np.asarray(np.trunc(a / b)).astype(a.dtype)  # ONNX divides integers towards zero
    return np.asarray(a / b)


def _cast(node: Node, values: Sequence[Array]) -> Array:
    integers = (2, 3, 4, 5, 6, 7, 12, 13)  # TensorProto's numbers for the integer types; 9 is bool
    kind: Any = np.int64 if node.get("to") in integers else np.bool_ if node.get("to") == 9 else np.float64
    return values[0].astype(kind)


def _constant_of_shape(node: Node, values: Sequence[Array]) -> Array:
    value = node.get("value")
    number = 0.0
    if value is not None:
        from onnx import numpy_helper

        number = numpy_helper.to_array(value).reshape(-1)[0]
    return np.broadcast_to(np.asarray(number), tuple(int(size) for size in values[0]))


def _reduce(function: Callable[..., Any]) -> Callable[[Node, Sequence[Array]], Array]:
    def fold(node: Node, values: Sequence[Array]) -> Array:
        return np.asarray(function(values[0], axis=_axes(node, values), keepdims=bool(node.get("keepdims", 1))))

    return fold


def _plain(function: Callable[..., Any]) -> Callable[[Node, Sequence[Array]], Array]:
    return lambda node, values: np.asarray(function(*values))


FOLDS: dict[str, Callable[[Node, Sequence[Array]], Array]] = {
    "Identity": _plain(lambda x: x),
    "Cast": _cast,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Slice": _slice,
    "Reshape": _reshape,
    "Div": _divide,
    "ConstantOfShape": _constant_of_shape,
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "Gather": lambda node, values: np.take(values[0], values[1].astype(int), axis=node.get("axis", 0)),
    "Concat": lambda node, values: np.concatenate(list(values), axis=node.get("axis", 1)),
    "Transpose": lambda node, values: np.transpose(values[0], node.get("perm")),
    "Shape": lambda node, values: np.asarray(values[0].shape[node.get("start", 0) : node.get("end")]),
    "Size": _plain(lambda x: x.size),
    "Range": _plain(np.arange),
    "Expand": _plain(lambda x, shape: np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(map(int, shape))))),
    "Where": _plain(np.where),
    "Add": _plain(np.add),
    "Sub": _plain(np.subtract),
    "Mul": _plain(np.multiply),
    "Pow": _plain(np.power),
    "Mod": _plain(np.mod),
    "Neg": _plain(np.negative),
    "Sqrt": _plain(np.sqrt),
    "Floor": _plain(np.floor),
    "Ceil": _plain(np.ceil),
    "Min": _plain(lambda *values: np.min(np.broadcast_arrays(*values), axis=0)),
    "Max": _plain(lambda *values: np.max(np.broadcast_arrays(*values), axis=0)),
    "Equal": _plain(np.equal),
    "Less": _plain(np.less),
    "Greater": _plain(np.greater),
    "Not": _plain(np.logical_not),
    "And": _plain(np.logical_and),
    "Or": _plain(np.logical_or),
}
"""Operators that are computed where all inputs are small constants."""


def fold(node: Node, inputs: Sequence[Constant]) -> Constant:
    """The result of an operator on constants: its values where they are known and small, else its shape."""
    fixed = all(value.fixed for value in inputs)
    name = next((value.name for value in inputs if value.name is not None), None)
    known = [value.array for value in inputs]
    views = node.op_type in ("Identity", "Unsqueeze", "Squeeze")
    if node.op_type in FOLDS and (views or all(value.size <= SMALL for value in inputs)):
        arrays = [array for array in known if array is not None]
        if len(arrays) == len(known):
            try:
                if node.op_type == "ConstantOfShape":
                    name = node.outputs[0]  # each is a tensor of its own, whatever its shape came from
                return of_array(np.asarray(FOLDS[node.op_type](node, arrays)), fixed=fixed, name=name)
            except (ValueError, IndexError, TypeError, ZeroDivisionError, MemoryError) as error:
                raise node.error(f"cannot be computed: {error}") from None
    return Constant(_shape_only(node, inputs), None, name, fixed)


def _shape_only(node: Node, inputs: Sequence[Constant]) -> Shape:
    """Shape of an operator on weights whose values are not known."""
    empty = np.broadcast_to(np.int8(0), inputs[0].shape)  # carries a shape, takes no memory
    rest = [value.array for value in inputs[1:]]
    try:
        if node.op_type in ("Unsqueeze", "Squeeze", "Transpose", "Slice", "Reshape"):
            if any(array is None for array in rest):
                raise node.error("its shape depends on values that the file does not hold")
            return tuple(FOLDS[node.op_type](node, [empty, *(array for array in rest if array is not None)]).shape)
        if node.op_type == "Concat":
            axis = node.get("axis", 0)
            total = sum(value.shape[axis] for value in inputs)
            return tuple(total if i == axis % empty.ndim else size for i, size in enumerate(empty.shape))
        return tuple(int(size) for size in np.broadcast_shapes(*(value.shape for value in inputs)))
    except (ValueError, IndexError) as error:
        raise node.error(f"cannot be applied to constants of shapes {[v.shape for v in inputs]}: {error}") from None
