"""One training step as a task graph: forward, backward and weight update of every layer, with all tensors moved.

Tasks: `FP`, `DX`, `DW` of CONV and fully connected layers run on the host; `FWD` and `BWD` of
all other layers, `ACC` (gradients added where a tensor forks), `UPD` (weight update) and `LOSS` may run on host or
PIM. An edge is `channelwise` where chunk j of the consumer needs only chunk j of the producer, else `barrier`; its
`tensor` is what flows along it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import networkx as nx

from pimmodel.errors import NetworkError
from pimmodel.network.conv_shape import ConvShape, conv_shape
from pimmodel.network.network import Layer, Network
from pimmodel.network.ops import Input, Op, Slice
from pimmodel.network.shapes import elements
from pimmodel.network.traffic import BACKWARD, CONV_KINDS, FORWARD, Operand, Pass, Tensors

Precision = Literal["fp32", "tf32", "fp16"]
Optimizer = Literal["sgd", "sgd-momentum", "adam"]
Phase = Literal["FP", "DX", "DW", "FWD", "BWD", "ACC", "UPD", "LOSS"]
HOST_PHASES = ("FP", "DX", "DW")

ELEMENT_BYTES = {"fp32": 4, "tf32": 4, "fp16": 2}
# Optimizer state tensors beside the weights, and arithmetic operations per weight.
# Sources: Sutskever et al., ICML 2013 (momentum); Kingma and Ba, ICLR 2015 (Adam).
OPTIMIZERS: dict[str, tuple[int, int]] = {"sgd": (0, 2), "sgd-momentum": (1, 4), "adam": (2, 12)}


@dataclass(frozen=True)
class TrainingOptions:
    """What a training step depends on beside the network.

    precision : fp32; tf32 (fp32 tensors, CONV and fully connected layers on tensor cores that round them to tf32, as
        PyTorch does for CONV on Ampere and later); or fp16 (activations, weights and gradients of 2 bytes; fp32 master
        weights and optimizer state, as in Micikevicius et al., ICLR 2018)
    optimizer : sgd, sgd-momentum or adam
    fuse_activation : an activation that alone follows a BatchNorm is computed in its passes; off by default, as in
        PyTorch's eager mode
    """

    precision: Precision = "fp32"
    optimizer: Optimizer = "sgd-momentum"
    fuse_activation: bool = False

    def __post_init__(self) -> None:
        for field, allowed in (("precision", ELEMENT_BYTES), ("optimizer", OPTIMIZERS)):
            if getattr(self, field) not in allowed:
                raise NetworkError(f"{field} '{getattr(self, field)}' is unknown; allowed: {', '.join(allowed)}")


@dataclass(frozen=True)
class Task:
    """One task of a training step.

    passes : its streaming passes; a host task has one, with every tensor once (least traffic)
    macs : multiply-accumulates [1], host phases only
    channels : output channels, the finest chunks it can be cut into [1]
    shape : of the CONV or fully connected layer, host phases only
    """

    name: str
    phase: Phase
    layer: str
    op: Op
    passes: tuple[Pass, ...]
    macs: int
    channels: int
    shape: ConvShape | None = None

    @property
    def on_host_only(self) -> bool:
        """CONV and fully connected work; everything else is PIM-eligible."""
        return self.phase in HOST_PHASES

    @property
    def flops(self) -> float:
        """Floating-point operations: 2 per multiply-accumulate, plus elementwise operations [FLOP]."""
        return 2 * self.macs + sum(one.operations for one in self.passes)

    @property
    def bytes_read(self) -> int:
        """Bytes read in all passes [B]."""
        return sum(one.bytes_read for one in self.passes)

    @property
    def bytes_written(self) -> int:
        """Bytes written in all passes [B]."""
        return sum(one.bytes_written for one in self.passes)

    @property
    def bytes(self) -> int:
        """Bytes read and written [B]."""
        return self.bytes_read + self.bytes_written


def training_step(network: Network, options: TrainingOptions | None = None) -> nx.DiGraph:
    """Task graph of one training step: nodes carry `task`, edges `kind` ("channelwise" or "barrier") and `tensor`.

    Nodes are in an order in which they may run one after another: forward, loss, backward from last to first layer,
    each layer's update as soon as its gradient is there.
    """
    return _Expansion(network, options or TrainingOptions()).expand()


class _Expansion:
    """Working state of one expansion."""

    def __init__(self, network: Network, options: TrainingOptions) -> None:
        self.network, self.options = network, options
        self.size = ELEMENT_BYTES[options.precision]
        self.graph: Any = nx.DiGraph(name=network.name)
        self.producer: dict[str, str] = {}  # tensor -> task
        self.source: dict[str, str] = {}  # layer -> tensor that holds its output (views and fused layers resolved)
        self.mixing_view: set[str] = set()  # layers behind a view that reorders channels
        self.contributions: dict[str, list[Operand]] = {}  # layer -> what its gradient is the sum of
        self.gradient: dict[str, str] = {}  # layer -> tensor that holds its gradient
        self.trains: set[str] = set()  # layers whose output gradient is needed
        self.fused: dict[str, str] = _fused_activations(network) if options.fuse_activation else {}
        self.weight_users = Counter(layer.weights for layer in network if layer.parameters)
        self.weight_gradients: dict[str, list[Operand]] = {}

    def expand(self) -> nx.DiGraph:
        for layer in self.network:
            self._forward(layer)
        self._loss()
        for layer in reversed(self.network.layers):
            if layer.name in self.trains:
                self._backward(layer)
        return nx.freeze(self.graph)

    def _add(
        self, layer: Layer, phase: Phase, passes: Iterable[Pass], channels: int, barrier: bool, macs: int = 0
    ) -> None:
        passes = tuple(passes)
        if not passes:
            return
        name = f"{phase}({layer.name})"
        shape = conv_shape(layer) if phase in HOST_PHASES else None
        self.graph.add_node(name, task=Task(name, phase, layer.name, layer.op, passes, macs, channels, shape))
        for operand in (operand for one in passes for operand in one.reads):
            maker = self.producer.get(operand.tensor)
            if maker is None or maker == name:
                continue  # weights and images exist before the step
            kind = "barrier" if barrier or operand.tensor in self.mixing_view else "channelwise"
            if self.graph.has_edge(maker, name):
                kind = "barrier" if "barrier" in (kind, self.graph.edges[maker, name]["kind"]) else kind
            self.graph.add_edge(maker, name, kind=kind, tensor=operand.tensor)
        for operand in (operand for one in passes for operand in one.writes):
            self.producer[operand.tensor] = name

    # Forward

    def _forward(self, layer: Layer) -> None:
        name, op = layer.name, layer.op
        if layer.parameters or any(producer in self.trains for producer in layer.inputs):
            self.trains.add(name)
        if isinstance(op, Input):
            self.source[name] = name
            return
        inputs = tuple(self.source[producer] for producer in layer.inputs)
        if op.view or name in self.fused:
            self.source[name] = inputs[0]
            if not op.channelwise:
                self.mixing_view.add(inputs[0])
            return
        self.source[name] = name
        tensors = Tensors(layer, self.size, inputs)
        if op.kind in CONV_KINDS:
            one = Pass((tensors.x(), self._weights(layer)), (tensors.y(),), 0)
            self._add(layer, "FP", [one], _channels(layer.output_shape), barrier=True, macs=layer.macs)
        else:
            passes = FORWARD[op.kind](tensors, op)
            if name in self.fused.values():
                passes[-1] = replace(passes[-1], operations=passes[-1].operations + tensors.y_elements)
            self._add(layer, "FWD", passes, _channels(layer.output_shape), barrier=not op.channelwise)

    def _weights(self, layer: Layer) -> Operand:
        return Operand(f"w({layer.weights})", layer.parameters, self.size)

    def _loss(self) -> None:
        """Softmax cross-entropy on every output: reads it, writes its gradient."""
        for name in self.network.outputs:
            if name not in self.trains:
                raise NetworkError(f"network {self.network.name}: output '{name}' depends on no trainable layer")
            layer = self.network[name]
            count = layer.output_elements
            y = Operand(self.source[name], count, self.size)
            gradient = Operand(f"d({name})@loss", count, self.size)
            self._add(layer, "LOSS", [Pass((y,), (gradient,), 10 * count)], _channels(layer.output_shape), barrier=True)
            self.contributions.setdefault(name, []).append(gradient)

    # Backward

    def _backward(self, layer: Layer) -> None:
        name, op = layer.name, layer.op
        self.gradient[name] = self._gather(layer)
        dy = self.gradient[name]
        tensors = Tensors(layer, self.size, tuple(self.source[producer] for producer in layer.inputs), dy)
        if op.kind in CONV_KINDS:
            self._conv_backward(layer, tensors)
        elif name not in self.fused:
            wanted = {tensors.dx_name(index) for index, one in enumerate(layer.inputs) if one in self.trains}
            passes = [_without(one, wanted) for one in BACKWARD[op.kind](tensors, op)]
            passes = [one for one in passes if one.writes or (one.reduces and layer.parameters)]
            if layer.parameters:
                passes[0] = replace(passes[0], writes=(*passes[0].writes, self._weight_gradient(layer)))
            self._add(layer, "BWD", passes, _channels(layer.output_shape), barrier=not op.channelwise)
            self._update(layer)
        for index, producer in enumerate(layer.inputs):
            if producer in self.trains:
                # Where nothing writes a gradient of its own, dy (or the part of it that matters) is shared.
                written, count = tensors.dx_name(index), elements(layer.input_shapes[index])
                shared = Operand(dy, min(count, layer.output_elements), self.size)
                own = Operand(written, count, self.size)
                self.contributions.setdefault(producer, []).append(own if written in self.producer else shared)

    def _gather(self, layer: Layer) -> str:
        """Tensor that holds the layer's gradient; contributions of a fork are added by an ACC task."""
        parts = self.contributions.pop(layer.name)
        if len(parts) == 1:
            return parts[0].tensor
        count = layer.output_elements
        total = Operand(f"d({layer.name})", count, self.size)
        consumers = [self.network[name] for name in self.network.graph.successors(layer.name)]
        if all(isinstance(consumer.op, Slice) for consumer in consumers) and sum(p.elements for p in parts) <= count:
            passes = [Pass(tuple(parts), (total,), 0)]  # disjoint slices are copied side by side
        else:
            # Frameworks add two at a time; a contribution that is a slice only touches its part.
            passes = []
            for step, part in enumerate(parts[1:], start=2):
                whole = Operand(f"{total.tensor}+{step}", part.elements, self.size)
                before = replace(parts[0], elements=part.elements) if step == 2 else replace(
                    whole, tensor=f"{total.tensor}+{step - 1}")  # fmt: skip
                after = replace(total, elements=part.elements) if step == len(parts) else whole
                passes.append(Pass((before, part), (after,), part.elements))
        self._add(layer, "ACC", passes, _channels(layer.output_shape), barrier=False)
        return total.tensor

    def _conv_backward(self, layer: Layer, tensors: Tensors) -> None:
        if layer.inputs[0] in self.trains:
            one = Pass((tensors.dy(), self._weights(layer)), (tensors.dx(),), 0)
            self._add(layer, "DX", [one], _channels(layer.input_shapes[0]), barrier=True, macs=layer.macs)
        one = Pass((tensors.x(), tensors.dy()), (self._weight_gradient(layer),), 0)
        self._add(layer, "DW", [one], _channels(layer.output_shape), barrier=True, macs=layer.macs)
        self._update(layer)

    def _weight_gradient(self, layer: Layer) -> Operand:
        """The gradient of this layer's parameters; shared parameters get one from every user."""
        shared = self.weight_users[layer.weights] > 1
        gradient = Operand(f"dw({layer.weights})" + (f"@{layer.name}" if shared else ""), layer.parameters, self.size)
        self.weight_gradients.setdefault(layer.weights, []).append(gradient)
        return gradient

    def _update(self, layer: Layer) -> None:
        """Weight update, once all users of the parameters have given their gradient."""
        gradients = self.weight_gradients.get(layer.weights, [])
        if not layer.parameters or len(gradients) < self.weight_users[layer.weights]:
            return
        states, operations = OPTIMIZERS[self.options.optimizer]
        count = layer.parameters
        weights, updated = f"w({layer.weights})", f"w({layer.weights})'"
        reads = [*gradients, Operand(weights, count, 4)]
        writes = [Operand(updated, count, 4)]
        if self.options.precision == "fp16":  # the fp32 master is read and written, and a 2-byte copy made of it
            writes.append(Operand(f"{updated}.copy", count, self.size))
        for state in range(states):
            reads.append(Operand(f"state{state}({layer.weights})", count, 4))
            writes.append(Operand(f"state{state}({layer.weights})'", count, 4))
        work = (operations + len(gradients) - 1) * count
        self._add(layer, "UPD", [Pass(tuple(reads), tuple(writes), work)], _channels(layer.output_shape), barrier=False)


def _channels(shape: tuple[int, ...]) -> int:
    """Channels of a tensor: axis 1, which for a vector is its features."""
    return shape[1] if len(shape) > 1 else 1


def _without(one: Pass, wanted: set[str]) -> Pass:
    """The pass without writing gradients that nothing needs."""
    return replace(one, writes=tuple(operand for operand in one.writes if operand.tensor in wanted))


def _fused_activations(network: Network) -> dict[str, str]:
    """Activation -> the BatchNorm it is computed with: it alone reads that BatchNorm."""
    fused = {}
    for layer in network:
        if layer.op.kind == "Activation":
            producer = network[layer.inputs[0]]
            if producer.op.kind == "BatchNorm" and network.graph.out_degree(producer.name) == 1:
                fused[layer.name] = producer.name
    return fused
