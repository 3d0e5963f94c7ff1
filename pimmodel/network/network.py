"""A network: a networkx DiGraph of layers with tensor shapes, and the builder that makes one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import networkx as nx

from pimmodel.errors import NetworkError
from pimmodel.network.ops import Input, Op
from pimmodel.network.shapes import Shape, ShapeError, elements


@dataclass(frozen=True)
class Layer:
    """One layer: its type, the layers it reads (in operand order), and all shapes.

    `weights` names the parameters that it uses; layers that share a name share (and count, and update) them once.
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]
    output_shape: Shape
    weights: str

    @property
    def parameters(self) -> int:
        """Trainable parameters [1]."""
        return self.op.parameters(self.input_shapes)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the forward pass [1]."""
        return self.op.macs(self.input_shapes)

    @property
    def output_elements(self) -> int:
        """Elements of the output tensor [1]."""
        return elements(self.output_shape)


@dataclass(frozen=True, eq=False)
class Network:
    """A network at one batch and image size.

    `graph` has one node per layer (attribute `layer`) and one edge per producer and consumer; operand order is kept
    in `Layer.inputs`. Build one with :class:`NetworkBuilder` or `pimmodel.load_network`.
    """

    name: str
    graph: nx.DiGraph = field(repr=False)
    outputs: tuple[str, ...]

    def __getitem__(self, name: str) -> Layer:
        layer: Layer = self.graph.nodes[name]["layer"]
        return layer

    @property
    def layers(self) -> list[Layer]:
        """Layers in the order in which they were built, which is topological."""
        return [data["layer"] for _, data in self.graph.nodes(data=True)]

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.graph)

    @property
    def batch(self) -> int:
        """N, the batch of the first input."""
        return next(layer.output_shape[0] for layer in self.layers if isinstance(layer.op, Input))

    @property
    def parameters(self) -> int:
        """Trainable parameters, shared ones counted once [1]."""
        return sum({layer.weights: layer.parameters for layer in self.layers}.values())

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one forward pass at this batch, CONV and fully connected layers [1]."""
        return sum(layer.macs for layer in self.layers)

    def __repr__(self) -> str:
        shapes = ", ".join(str(layer.output_shape) for layer in self.layers if isinstance(layer.op, Input))
        return f"Network({self.name!r}, {len(self)} layers, input {shapes}, {self.parameters / 1e6:.2f} M parameters)"


class NetworkBuilder:
    """Adds layers one after another, inferring shapes; `build()` checks and returns the network.

    >>> from pimmodel.network.ops import Conv
    >>> builder = NetworkBuilder("tiny")
    >>> image = builder.add(Input((1, 3, 8, 8)), name="image")
    >>> features = builder.add(Conv(16, (3, 3), padding=(1, 1, 1, 1)), image)
    >>> builder.shape(features)
    (1, 16, 8, 8)
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._graph: Any = nx.DiGraph(name=name)
        self._counts: dict[str, int] = {}

    def add(self, op: Op, *inputs: str, name: str | None = None, weights: str | None = None) -> str:
        """Add a layer that reads `inputs` (names of earlier layers); returns its name."""
        name = self._fresh_name(op) if name is None else name
        if name in self._graph:
            raise NetworkError(f"network {self._name}: two layers are called '{name}'")
        for producer in inputs:
            if producer not in self._graph:
                raise NetworkError(f"network {self._name}: layer '{name}' reads '{producer}', which does not exist")
        shapes = tuple(self.shape(producer) for producer in inputs)
        try:
            output = op.infer(shapes)
        except ShapeError as error:
            raise NetworkError(f"network {self._name}: layer '{name}' ({op.kind}): {error}") from None
        layer = Layer(name, op, inputs, shapes, output, weights or name)
        self._graph.add_node(name, layer=layer)
        self._graph.add_edges_from((producer, name) for producer in inputs)
        return name

    def shape(self, name: str) -> Shape:
        """Output shape of a layer added before."""
        layer: Layer = self._graph.nodes[name]["layer"]
        return layer.output_shape

    def _fresh_name(self, op: Op) -> str:
        while True:
            self._counts[op.kind] = self._counts.get(op.kind, 0) + 1
            name = f"{op.kind.lower()}{self._counts[op.kind]}"
            if name not in self._graph:
                return name

    def build(self, outputs: Iterable[str] | None = None) -> Network:
        """The finished network; outputs default to the layers that nothing reads.

        Layers that no output depends on are left out: they would neither run nor train.
        """
        wanted = tuple(outputs) if outputs is not None else tuple(
            name for name in self._graph if self._graph.out_degree(name) == 0
        )  # fmt: skip
        if not wanted:
            raise NetworkError(f"network {self._name}: it has no layers")
        needed = set(wanted).union(*(nx.ancestors(self._graph, name) for name in wanted))
        graph: Any = nx.DiGraph(name=self._name)  # not subgraph().copy(), which loses the order of the layers
        graph.add_nodes_from((name, data) for name, data in self._graph.nodes(data=True) if name in needed)
        graph.add_edges_from((a, b) for a, b in self._graph.edges if a in needed and b in needed)
        if not any(isinstance(data["layer"].op, Input) for _, data in graph.nodes(data=True)):
            raise NetworkError(f"network {self._name}: no output depends on an input")
        return Network(self._name, nx.freeze(graph), wanted)
