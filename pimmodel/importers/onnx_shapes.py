"""ONNX operators that rearrange: concatenation, parts, reshapes, permutations, padding."""

from __future__ import annotations

import math

import numpy as np

from pimmodel.importers.draft import Feature
from pimmodel.importers.onnx_ops import CONVERTERS, Context, feature_map
from pimmodel.importers.onnx_values import Constant, Node, Value, of_array
from pimmodel.network.ops import Concat, Flatten, Pad, Reshape
from pimmodel.network.shapes import Shape, ShapeError


def _concat(context: Context, node: Node) -> list[Value]:
    names = [context.feature(node, index) for index in range(len(node.inputs))]
    if len(names) == 1:
        return [Feature(names[0])]
    return context.add(node, Concat(int(node.get("axis", 1))), *names)


def _shape(context: Context, node: Node) -> list[Value]:
    sizes = context.shape(node)[node.get("start", 0) : node.get("end")]
    return [of_array(np.asarray(sizes, dtype=np.int64))]


def _reshape(context: Context, node: Node) -> list[Value]:
    x, given = context.feature(node), context.shape(node)
    wanted = context.ints(node, "shape", 1)
    if wanted is None:
        raise node.error("its shape is missing")
    constant = context.optional(node, 1)
    if constant is None or (isinstance(constant, Constant) and constant.fixed):
        wanted = _for_batch(context, given, wanted)
    try:
        wanted = Reshape(wanted).infer((given,))
    except ShapeError as error:
        raise node.error(f"{error} (does the image size fit the network?)") from None
    return [Feature(context.draft.reshape(x, wanted, node.name))]


def _for_batch(context: Context, given: Shape, wanted: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that was written for the exported batch, for the batch that is wanted now."""
    declared, batch = context.declared_batch, context.batch
    if declared in (None, batch) or not wanted or wanted[0] < 1 or wanted[0] % declared or not given:
        return wanted
    if -1 not in wanted and math.prod(wanted) == math.prod(given):
        return wanted
    return (wanted[0] // declared * batch, *wanted[1:])


def _flatten(context: Context, node: Node) -> list[Value]:
    x, shape = context.feature(node), context.shape(node)
    axis = int(node.get("axis", 1))
    axis += len(shape) if axis < 0 else 0
    if axis == 1:
        return [Feature(x)] if len(shape) == 2 else context.add(node, Flatten())
    return [Feature(context.draft.reshape(x, (math.prod(shape[:axis]), math.prod(shape[axis:])), node.name))]


def _squeeze(context: Context, node: Node) -> list[Value]:
    x, shape = context.feature(node), context.shape(node)
    axes = context.ints(node, "axes", 1)
    gone = {axis % len(shape) for axis in axes} if axes else {i for i, size in enumerate(shape) if size == 1 and i}
    if any(shape[axis] != 1 for axis in gone):
        raise node.error(f"an axis to squeeze of {shape} is not 1")
    return [Feature(context.draft.reshape(x, tuple(size for i, size in enumerate(shape) if i not in gone), node.name))]


def _unsqueeze(context: Context, node: Node) -> list[Value]:
    x, sizes = context.feature(node), list(context.shape(node))
    axes = context.ints(node, "axes", 1) or ()
    rank = len(sizes) + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        sizes.insert(axis, 1)
    return [Feature(context.draft.reshape(x, tuple(sizes), node.name))]


def _transpose(context: Context, node: Node) -> list[Value]:
    x, rank = context.feature(node), len(context.shape(node))
    axes = tuple(node.get("perm") or range(rank)[::-1])
    return [Feature(context.draft.permute(x, axes, node.name))]


def _split(context: Context, node: Node) -> list[Value]:
    x, shape = context.feature(node), context.shape(node)
    axis = int(node.get("axis", 0)) % len(shape)
    sizes = context.ints(node, "split", 1)
    if sizes is None:
        step = -(-shape[axis] // len(node.outputs))
        sizes = tuple(min(step, shape[axis] - start) for start in range(0, shape[axis], step))
    if sum(sizes) != shape[axis] or len(sizes) < len(node.outputs):
        raise node.error(f"parts {sizes} do not make up axis {axis} of {shape}")
    return [Feature(part) for part in context.draft.split(x, axis, sizes, node.name)]


def _slice(context: Context, node: Node) -> list[Value]:
    x, shape = context.feature(node), context.shape(node)
    starts, ends = context.ints(node, "starts", 1), context.ints(node, "ends", 2)
    if starts is None or ends is None:
        raise node.error("its bounds are missing")
    axes = context.ints(node, "axes", 3) or tuple(range(len(starts)))
    steps = context.ints(node, "steps", 4) or (1,) * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step != 1:
            raise node.error(f"a step of {step} is not supported")
        if axis % len(shape) == 0 and (start, min(end, shape[0])) == (0, context.declared_batch):
            continue  # the whole exported batch
        x = context.draft.part(x, axis, start, end, node.name)
    return [Feature(x)]


def _gather(context: Context, node: Node) -> list[Value]:
    x, shape, indices = context.feature(node), context.shape(node), context.constant(node, 1)
    axis = int(node.get("axis", 0)) % len(shape)
    if indices.array is None or indices.size != 1:
        raise node.error("only a single index of a feature map is supported")
    index = int(indices.array.reshape(-1)[0]) % shape[axis]
    part = context.draft.part(x, axis, index, index + 1, node.name)
    if indices.shape:
        return [Feature(part)]
    return [Feature(context.draft.reshape(part, shape[:axis] + shape[axis + 1 :], node.name))]


def _pad(context: Context, node: Node) -> list[Value]:
    x, shape = context.feature(node), context.shape(node)
    pads = context.ints(node, "pads", 1) if "paddings" not in node else tuple(node.get("paddings"))
    axes = context.ints(node, "axes", 3) or tuple(range(len(shape)))
    if pads is None or len(pads) != 2 * len(axes):
        raise node.error(f"pads {pads} do not fit the axes {axes}")
    before = dict(zip((axis % len(shape) for axis in axes), pads, strict=False))
    after = dict(zip((axis % len(shape) for axis in axes), pads[len(axes) :], strict=True))
    if not any(pads):
        return [Feature(x)]
    feature_map(context, node)
    if min(pads) < 0 or any(before.get(axis, 0) or after.get(axis, 0) for axis in (0, 1)):
        raise node.error(f"only padding of height and width by at least 0 is supported, not {pads}")
    sides = (before.get(2, 0), before.get(3, 0), after.get(2, 0), after.get(3, 0))
    return context.add(node, Pad(sides))


CONVERTERS |= {
    "Concat": _concat,
    "Shape": _shape,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "Pad": _pad,
}
