"""A network under construction by an importer: patterns that exporters split are put together again here.

Frameworks write one layer as several nodes (`x * sigmoid(x)`, a channel shuffle as reshape, transpose, reshape, batch
norm followed by a per-channel multiply and add). The cost of training follows the layer that a library would run, so
a :class:`Draft` recognises these patterns while layers arrive. Layers that a pattern made superfluous stay behind
unread; :meth:`Draft.build` leaves them out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from pimmodel.errors import NetworkError
from pimmodel.network.network import Network, NetworkBuilder
from pimmodel.network.ops import (
    Activation,
    Add,
    BatchNorm,
    ChannelShuffle,
    Conv,
    Elementwise,
    Flatten,
    GroupNorm,
    LayerNorm,
    Linear,
    Mul,
    Op,
    Permute,
    ReduceMean,
    Reshape,
    Scale,
    Slice,
)
from pimmodel.network.shapes import Shape, ShapeError

How = Literal["mul", "add"]


@dataclass(frozen=True)
class Feature:
    """A tensor that a layer of the draft makes."""

    layer: str


@dataclass
class Entry:
    """One layer of a draft; `scalar` is set where a :class:`Scale` applies one known number."""

    op: Op
    inputs: tuple[str, ...]
    shape: Shape
    weights: str | None = None
    scalar: tuple[How, float] | None = None
    absorbs: tuple[How, ...] = ()  # constant operands that a following node may still fold into this layer
    factor: float | None = None  # the constant factor that is still to come before this folded activation is complete


class Draft:
    """Layers by name, in topological order.

    >>> from pimmodel.network.ops import Input
    >>> draft = Draft("gate")
    >>> x = draft.add(Input((1, 8, 4, 4)), name="x")
    >>> gate = draft.add(Activation("sigmoid"), x, name="gate")
    >>> y = draft.multiply(x, gate, name="y")
    >>> [layer.op.function for layer in draft.build([y]) if isinstance(layer.op, Activation)]
    ['silu']
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._entries: dict[str, Entry] = {}

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def shape(self, name: str) -> Shape:
        """Output shape of a layer added before."""
        return self._entries[name].shape

    def add(self, op: Op, *inputs: str, name: str, weights: str | None = None) -> str:
        """Add a layer; returns its name, which gets a number where `name` is taken."""
        try:
            shape = op.infer(tuple(self.shape(producer) for producer in inputs))
        except ShapeError as error:
            raise NetworkError(f"network {self.name}: layer '{name}' ({op.kind}): {error}") from None
        if min(shape, default=1) < 1:
            raise NetworkError(f"network {self.name}: layer '{name}' ({op.kind}): its output {shape} is empty")
        fresh, number = name, 1
        while fresh in self._entries:
            number += 1
            fresh = f"{name}_{number}"
        self._entries[fresh] = Entry(op, inputs, shape, weights)
        if isinstance(op, BatchNorm) or (isinstance(op, GroupNorm | LayerNorm) and not op.affine):
            self._entries[fresh].absorbs = ("mul", "add")
        elif isinstance(op, Conv | Linear) and not op.bias:
            self._entries[fresh].absorbs = ("add",)
        return fresh

    # ------------------------------------------------------------------ views

    def reshape(self, x: str, shape: Shape, name: str) -> str:
        """`x` under another shape; channel shuffles and split group norms are recognised by their last reshape."""
        wanted = Reshape(shape).infer((self.shape(x),)) if shape else ()
        if wanted == self.shape(x):
            return x
        shuffled = self._channel_shuffle(x, wanted, name)
        if shuffled is not None:
            return shuffled
        normalised = self._group_norm(x, wanted)
        if normalised is not None:
            return normalised
        given = self.shape(x)
        if len(given) > 2 and wanted == (given[0], math.prod(given[1:])):
            return self.add(Flatten(), x, name=name)
        return self.add(Reshape(wanted), x, name=name)

    def _channel_shuffle(self, x: str, wanted: Shape, name: str) -> str | None:
        turned = self[x]
        if not (isinstance(turned.op, Permute) and turned.op.axes == (0, 2, 1, 3, 4)):
            return None
        split = self[turned.inputs[0]]
        if not (isinstance(split.op, Reshape) and self.shape(split.inputs[0]) == wanted and len(wanted) == 4):
            return None
        return self.add(ChannelShuffle(split.shape[1]), split.inputs[0], name=name)

    def _group_norm(self, x: str, wanted: Shape) -> str | None:
        """Group norm exported as instance norm of (N, groups, rest)."""
        norm = self[x]
        if not (isinstance(norm.op, GroupNorm) and len(norm.shape) == 3):
            return None
        split = self[norm.inputs[0]]
        if not (isinstance(split.op, Reshape | Flatten) and self.shape(split.inputs[0]) == wanted):
            return None
        op = GroupNorm(norm.op.groups, affine=False)  # the instance norm's own scale and shift are 1 and 0
        self._entries[x] = Entry(op, split.inputs, wanted, norm.weights, absorbs=("mul", "add"))
        return x

    def permute(self, x: str, axes: tuple[int, ...], name: str) -> str:
        """Axes in another order; nothing where the order stays."""
        rank = len(self.shape(x))
        axes = tuple(axis % rank for axis in axes) if rank else axes
        return x if axes == tuple(range(rank)) else self.add(Permute(axes), x, name=name)

    def part(self, x: str, axis: int, start: int, stop: int, name: str) -> str:
        """[start, stop) of one axis, with Python's rules for negative and too large numbers."""
        size = self.shape(x)[axis]
        start, stop, _ = slice(start, stop).indices(size)
        if (start, stop) == (0, size):
            return x
        return self.add(Slice(start, stop, axis % len(self.shape(x))), x, name=name)

    def split(self, x: str, axis: int, sizes: Iterable[int], name: str) -> list[str]:
        """Consecutive parts of the given sizes."""
        parts, start = [], 0
        for size in sizes:
            parts.append(self.part(x, axis, start, start + size, name))
            start += size
        return parts

    # ------------------------------------------------------------------ arithmetic

    def multiply(self, a: str, b: str, name: str) -> str:
        """Product of two tensors, or the activation that it is a part of."""
        for x, gate in ((a, b), (b, a)):
            function, factor = self._gated(x, gate)
            if function is not None:
                source = self[x].inputs[0] if self._is_half(x) else x
                folded = self.add(Activation(function), source, name=name)
                self[folded].factor = None if self._is_half(x) else factor
                return folded
        return self.add(Mul(), a, b, name=name)

    def _is_half(self, x: str) -> bool:
        return self[x].scalar == ("mul", 0.5)

    def _gated(self, x: str, gate: str) -> tuple[Literal["silu", "hardswish", "gelu"] | None, float | None]:
        """The activation x * gate(x), and the factor that its formula still lacks."""
        entry = self[gate]
        if isinstance(entry.op, Activation) and entry.inputs == (x,):
            if entry.op.function == "sigmoid":
                return "silu", None
            if entry.op.function == "hardsigmoid":
                return "hardswish", None
        if self._is_shifted_relu6(gate, x):
            return "hardswish", 1 / 6
        source = self[x].inputs[0] if self._is_half(x) else x
        if entry.scalar == ("add", 1.0):  # x (1 + erf(x / sqrt 2)) / 2
            erf = self[entry.inputs[0]]
            if erf.op == Elementwise("Erf"):
                scaled = self[erf.inputs[0]]
                if scaled.scalar is not None and scaled.inputs == (source,):
                    return "gelu", 0.5
        return None, None

    def _is_shifted_relu6(self, gate: str, x: str) -> bool:
        clip = self[gate]
        if not (isinstance(clip.op, Activation) and clip.op.function == "relu6"):
            return False
        shifted = self[clip.inputs[0]]
        return shifted.scalar == ("add", 3.0) and shifted.inputs == (x,)

    def affine(
        self, x: str, how: How, *, size: int, value: float | None, trainable: bool, sole: bool, name: str
    ) -> str:
        """`x` times or plus a constant.

        Parameters
        ----------
        x : the layer that is scaled or shifted
        how : which of both
        size : elements of the constant [1]
        value : its value, where it is one known number
        trainable : whether it counts as parameters
        sole : whether nothing else reads `x`, so that the constant may fold into the layer that makes it
        name : of the layer, where a new one is made
        """
        entry = self[x]
        if size > 1 and sole and how in entry.absorbs and self._fits(entry, size):
            if how == "add" or not isinstance(entry.op, Conv | Linear):
                self._absorb(entry, how)
            return x
        if value is not None and how == "mul":
            if entry.factor is not None and math.isclose(value, entry.factor, rel_tol=1e-3):
                entry.factor = None
                return x
            if isinstance(entry.op, Activation) and entry.op.function == "relu6":
                source = self[entry.inputs[0]]
                if source.scalar == ("add", 3.0) and math.isclose(value, 1 / 6, rel_tol=1e-3):
                    return self.add(Activation("hardsigmoid"), *source.inputs, name=name)
        scaled = self.add(Scale(size if trainable and size > 1 else 0), x, name=name)
        self[scaled].scalar = None if value is None else (how, value)
        return scaled

    def _fits(self, entry: Entry, size: int) -> bool:
        if isinstance(entry.op, Linear):
            return size == entry.op.out_features
        if isinstance(entry.op, LayerNorm):
            return size == math.prod(entry.shape[-entry.op.axes :])
        return size == entry.shape[1]

    def _absorb(self, entry: Entry, how: How) -> None:
        if isinstance(entry.op, Conv | Linear):
            entry.op = replace(entry.op, bias=True)
        elif isinstance(entry.op, BatchNorm | GroupNorm | LayerNorm):
            entry.op = replace(entry.op, affine=True)
        entry.absorbs = ("add",) if how == "mul" else ()

    def divide(self, a: str, b: str, name: str) -> str:
        """Quotient of two tensors (moved and computed as a product), or the layer norm that it is the core of."""
        centred, root = self[a], self[b]
        if centred.op == Add() and root.op == Elementwise("Sqrt") and self._is_variance(root, a):
            x, mean = centred.inputs[:2]
            averaged = self[mean]
            if isinstance(averaged.op, ReduceMean) and averaged.inputs == (x,) and averaged.op.keep:
                axes = averaged.op.axes
                last = tuple(range(len(self.shape(x)) - len(axes), len(self.shape(x))))
                if tuple(sorted(axis % len(self.shape(x)) for axis in axes)) == last:
                    return self.add(LayerNorm(len(axes), affine=False), x, name=name)
        return self.add(Mul(), a, b, name=name)

    def _is_variance(self, root: Entry, centred: str) -> bool:
        """Whether the root is taken of (a constant plus) the mean of the square of `centred`."""
        entry, kinds = root, []
        while entry.inputs and set(entry.inputs) != {centred}:
            entry = self[entry.inputs[0]]
            kinds.append(entry.op.kind)
        return bool(entry.inputs) and "ReduceMean" in kinds and len(kinds) <= 3

    def build(self, outputs: Iterable[str]) -> Network:
        """The network of everything that the outputs depend on."""
        wanted = list(dict.fromkeys(outputs))
        needed, stack = set(wanted), list(wanted)
        while stack:
            for producer in self[stack.pop()].inputs:
                if producer not in needed:
                    needed.add(producer)
                    stack.append(producer)
        builder = NetworkBuilder(self.name)
        for name, entry in self._entries.items():
            if name in needed:
                builder.add(entry.op, *entry.inputs, name=name, weights=entry.weights)
        return builder.build(wanted)
