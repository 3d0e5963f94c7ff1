"""The same network at another batch."""

from __future__ import annotations

from dataclasses import replace

from pimmodel.errors import NetworkError
from pimmodel.network.network import Layer, Network, NetworkBuilder
from pimmodel.network.ops import Input, Op, Reshape
from pimmodel.network.shapes import check_size


def with_batch(network: Network, batch: int) -> Network:
    """A network with N changed in all its inputs, and everything else as it was.

    Raises
    ------
    NetworkError : no whole number of at least 1, too large, or a layer that is made for the old batch.

    >>> from pimmodel.load import load_network
    >>> with_batch(load_network("alexnet", batch=64), 16).batch
    16
    """
    check_size("batch", batch)
    before = network.batch
    if batch == before:
        return network
    builder = NetworkBuilder(network.name)
    for layer in network:
        builder.add(_op(layer, before, batch), *layer.inputs, name=layer.name, weights=layer.weights)
    made = builder.build(network.outputs)
    for layer in network:
        shape = made[layer.name].output_shape
        if layer.output_shape[:1] == (before,) and shape != (batch, *layer.output_shape[1:]):
            raise NetworkError(
                f"network {network.name}: layer '{layer.name}' gives {shape} at batch {batch}; its shape depends on the"
                f" batch of {before} that the network was loaded with"
            )
    return made


def _op(layer: Layer, before: int, batch: int) -> Op:
    """The layer's operation at the new batch."""
    op = layer.op
    if isinstance(op, Input):
        return replace(op, shape=(batch, *op.shape[1:])) if op.shape[0] == before else op
    if isinstance(op, Reshape) and op.shape and op.shape[0] == before and layer.input_shapes[0][0] == before:
        return replace(op, shape=(batch, *op.shape[1:]))
    return op
