"""PyTorch calls that rearrange: views, concatenation, parts, padding, channel shuffle."""

from __future__ import annotations

from typing import Any

from pimmodel.importers.draft import Feature
from pimmodel.importers.torch_ops import Call, function
from pimmodel.network.ops import ChannelShuffle, Concat, Pad


@function("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "_unsafe_view", "view_as", "reshape_as")
def reshape(call: Call, input: Feature, *_: Any, **__: Any) -> Feature:
    """Any change of shape alone."""
    return Feature(call.draft.reshape(input.layer, tuple(call.result.shape), call.name))


@function("permute")
def permute(call: Call, input: Feature, *dims: Any, **named: Any) -> Feature:
    """Axes in another order."""
    given = named.get("dims", dims)
    axes = given[0] if len(given) == 1 and not isinstance(given[0], int) else given
    return Feature(call.draft.permute(input.layer, tuple(axes), call.name))


@function("transpose", "swapaxes", "swapdims")
def transpose(call: Call, input: Feature, dim0: int, dim1: int) -> Feature:
    """Two axes exchanged."""
    axes = list(range(len(call.shape(input))))
    axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
    return permute(call, input, axes)  # type: ignore[no-any-return]


@function("cat", "concat", "concatenate")
def cat(call: Call, tensors: Any, dim: int = 0, **named: Any) -> Feature:
    """Concatenation; a list of one tensor is that tensor."""
    if len(tensors) == 1:
        return tensors[0]  # type: ignore[no-any-return]
    return call.add(Concat(named.get("axis", dim)), *tensors)


@function("split", "chunk", "split_with_sizes", "tensor_split", "unsafe_split", "unsafe_chunk")
def split(call: Call, input: Feature, sizes: Any = None, dim: int = 0, **_: Any) -> list[Feature]:
    """Parts of one axis, in the sizes that PyTorch finds."""
    parts = [int(part.shape[dim]) for part in call.result]
    return [Feature(part) for part in call.draft.split(input.layer, dim, parts, call.name)]


@function("slice", "narrow")
def part(call: Call, input: Feature, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Feature:
    """Part of one axis (aten's slice; narrow's length is read off the result)."""
    if step != 1:
        raise call.error(f"slicing with a step of {step} is not supported")
    begin = start or 0
    size = call.shape(input)[dim]
    begin = max(begin + size, 0) if begin < 0 else begin
    return Feature(call.draft.part(input.layer, dim, begin, begin + call.result.shape[dim], call.name))


@function("select")
def select(call: Call, input: Feature, dim: int, index: int) -> Feature:
    """One index of an axis."""
    begin = index % call.shape(input)[dim]
    chosen = call.draft.part(input.layer, dim, begin, begin + 1, call.name)
    return Feature(call.draft.reshape(chosen, tuple(call.result.shape), call.name))


@function("getitem")
def getitem(call: Call, input: Any, index: Any) -> Any:
    """An output of a call with several, or slices and indices of a tensor."""
    if not isinstance(input, Feature):
        return input[index]
    shape, layer = call.shape(input), input.layer
    items = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in items:
        spot = items.index(Ellipsis)
        taken = sum(item is not None for item in items) - 1
        items[spot : spot + 1] = [slice(None)] * (len(shape) - taken)
    axis = 0
    for item in items:
        if item is None:
            continue
        if not isinstance(item, slice | int) or (isinstance(item, slice) and item.step not in (None, 1)):
            raise call.error(f"indexing by {item!r} is not supported")
        if isinstance(item, int):
            item = slice(item % shape[axis], item % shape[axis] + 1)
        start, stop, _ = item.indices(shape[axis])
        layer = call.draft.part(layer, axis, start, stop, call.name)
        axis += 1
    return Feature(call.draft.reshape(layer, tuple(call.result.shape), call.name))


@function("pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d")
def pad(call: Call, input: Feature, pad: Any, *_: Any, **__: Any) -> Feature:
    """Padding of height and width."""
    sides = [*pad, 0, 0, 0, 0][:4]
    if len(pad) > 4 and any(pad[4:]):
        raise call.error(f"only padding of height and width is supported, not {tuple(pad)}")
    left, right, top, bottom = sides
    return call.add(Pad((top, left, bottom, right)), input) if any(sides) else input


@function("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(call: Call, input: Feature, groups: int) -> Feature:
    """Channel shuffle."""
    return call.add(ChannelShuffle(groups), input)
