"""Kernels of a profiled network that no line of its profile times: where they run, and in which line's time they show.

A profile lists modules in the order in which they run, each timed until the next one. What runs between two modules is
charged to the one that follows: forward to the next line, backward, where all runs in reverse, to the line before.

- *Add* and *Concat* are no modules: their kernel shows, forward, in the next line. Backward they have none: each
  operand gets the gradient of the result, or its slice, as it is.
- A tensor with several consumers gets a gradient from each. The consumer that runs last forward gives its own first;
  each other one is followed by a kernel that adds its gradient to the sum. That shows in the line before the
  consumer's own: the end of the branch before, or what made the tensor.
- The first layer waits for the images, which come from the host's memory.

A profile has no edges; they are read off the tensors' sizes. A CONV whose input is not what the line before puts out,
or a pooling that would put out more than it gets, begins a new branch. An Add's other operand is the output of the
block before, if that has the size; a Concat's, where only two operands fit, that of the Concat or pooling before
(DenseNet). Two branches of equal sizes, one inside the other, are taken for one chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .measurements import LayerTime

UNTIMED = ("Add", "Concat", "Size", "View")
Range = tuple[float, float]


@dataclass(frozen=True)
class Unlisted:
    """What is charged to one line.

    forward, backward : bytes that each kernel moves [B]
    images : bytes of images that it waits for [B]
    first : whether it is the network's first layer, whose input needs no gradient
    """

    forward: tuple[float, ...] = ()
    backward: tuple[float, ...] = ()
    images: float = 0.0
    first: bool = False


def unlisted_kernels(layers: Sequence[LayerTime], reads: Sequence[Range | None]) -> list[Unlisted]:
    """What is charged to each of the L lines of one network.

    Parameters
    ----------
    layers : L lines in the order of the file
    reads : least and most bytes of each line's input, None where its text does not say (all but CONV)
    """
    sums = gradient_sums(layers, reads)
    found = []
    pending: tuple[float, ...] = ()
    images = 0.0
    for index, layer in enumerate(layers):
        if layer.op == "Input":
            images += layer.activation_bytes
        if _untimed(layer):
            # An Add reads two tensors and writes one; a Concat reads and writes every byte of its result.
            moved = {"Add": 3.0, "Concat": 2.0}.get(layer.op)
            pending += (moved * layer.activation_bytes,) if moved else ()
            found.append(Unlisted())
            continue
        waits = 0.0 if layer.op == "Input" else images
        first = index == 0 or layers[index - 1].op == "Input"
        found.append(Unlisted(pending, (sums[index],) if index in sums else (), waits, first))
        pending, images = (), images - waits
    return found


def gradient_sums(layers: Sequence[LayerTime], reads: Sequence[Range | None]) -> dict[int, float]:
    """Bytes of the sum of gradients that is charged to a line, by its index [B]: two tensors read, one written."""
    found: dict[int, float] = {}
    last_consumer: dict[int, int] = {}  # of each tensor, by the line that made it: where its latest consumer stands
    blocks: list[int] = []  # lines whose outputs began a block
    for index, layer in enumerate(layers):
        source = _other_source(layers, reads, index, blocks)
        if source is not None:
            before = last_consumer.get(source, source + 1) - 1
            while before >= 0 and _untimed(layers[before]):
                before -= 1
            if before >= 0 and layers[before].op != "Input":
                found[before] = 3 * layers[source].activation_bytes
            last_consumer[source] = index
        after_add = index > 0 and layers[index - 1].op == "Add"
        if layer.op in ("Add", "Concat") or "Pool" in layer.op or (layer.op == "ReLU" and after_add):
            blocks.append(index)
    return found


def _untimed(layer: LayerTime) -> bool:
    return layer.op in UNTIMED and layer.forward == layer.backward == 0


def _other_source(
    layers: Sequence[LayerTime], reads: Sequence[Range | None], index: int, blocks: Sequence[int]
) -> int | None:
    """The earlier line, not the one before, whose output this one reads (an Add or Concat: beside that one's)."""
    if not index:
        return None
    layer, before, needed = layers[index], layers[index - 1], reads[index]
    if needed is not None:
        if _within(before.activation_bytes, needed):
            return None
        return _last(at for at in range(index - 1) if _within(layers[at].activation_bytes, needed))
    if "Pool" in layer.op and layer.activation_bytes > before.activation_bytes:
        return _last(at for at in blocks if layers[at].activation_bytes >= layer.activation_bytes)
    if blocks and blocks[-1] < index - 1:
        size = layers[blocks[-1]].activation_bytes
        others = {"Add": layer.activation_bytes, "Concat": layer.activation_bytes - before.activation_bytes}
        return blocks[-1] if size == others.get(layer.op) else None
    return None


def _last(places: Iterable[int]) -> int | None:
    return max(places, default=None)


def _within(size: float, needed: Range) -> bool:
    return needed[0] <= size <= needed[1]
