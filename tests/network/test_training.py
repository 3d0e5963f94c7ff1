"""The training step conserves tensors, bytes and work."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimmodel.errors import NetworkError
from pimmodel.network.network import Network, NetworkBuilder
from pimmodel.network.ops import (
    Activation,
    AdaptivePool,
    Add,
    BatchNorm,
    Concat,
    Conv,
    Dropout,
    Flatten,
    Input,
    Linear,
    Mul,
    Op,
    Pool,
    Slice,
)
from pimmodel.network.traffic import BACKWARD, CONV_KINDS, FORWARD
from pimmodel.network.training import Task, TrainingOptions, training_step


def small_network(batch: int = 2, *, blocks: tuple[str, ...] = ("residual", "concat", "split", "gate")) -> Network:
    """A network with every kind of fork: residual sum, concatenation, channel split, squeeze-and-excitation."""
    b = NetworkBuilder("small")
    x = b.add(Input((batch, 3, 16, 16)), name="image")
    x = b.add(Conv(8, (3, 3), padding=(1, 1, 1, 1), bias=False), x, name="stem")
    x = b.add(Activation(), b.add(BatchNorm(), x))
    for block in blocks:
        if block == "residual":
            x = b.add(Add(), b.add(Conv(8, (1, 1)), x), x)
        elif block == "concat":
            x = b.add(Concat(), x, b.add(Conv(4, (3, 3), padding=(1, 1, 1, 1)), x))
            x = b.add(Conv(8, (1, 1)), x)
        elif block == "split":
            left, right = b.add(Slice(0, 4), x), b.add(Slice(4, 8), x)
            x = b.add(Concat(), b.add(Activation(), left), right)
        else:
            gate = b.add(Activation("sigmoid"), b.add(Conv(8, (1, 1)), b.add(AdaptivePool(), x)))
            x = b.add(Mul(), x, gate)
    x = b.add(Dropout(), b.add(Pool("max", (2, 2), (2, 2)), x))
    b.add(Linear(10), b.add(Flatten(), x), name="classifier")
    return b.build()


def tasks_of(graph: nx.DiGraph) -> list[Task]:
    return [task for _, task in graph.nodes(data="task")]


any_network = st.builds(
    small_network,
    st.integers(1, 5),
    blocks=st.lists(st.sampled_from(["residual", "concat", "split", "gate"]), max_size=5).map(tuple),
)
any_options = st.builds(
    TrainingOptions, st.sampled_from(["fp32", "fp16"]), st.sampled_from(["sgd", "sgd-momentum", "adam"]), st.booleans()
)


def test_traffic_table_covers_every_layer_type() -> None:
    assert set(FORWARD) == set(BACKWARD) == {one.__name__ for one in Op.__subclasses__()} - {"Input", *CONV_KINDS}


@settings(deadline=None, max_examples=60)
@given(any_network, any_options)
def test_every_tensor_that_is_made_is_used_or_is_a_result(network: Network, options: TrainingOptions) -> None:
    graph = training_step(network, options)
    assert nx.is_directed_acyclic_graph(graph)
    made: set[str] = set()
    read: set[str] = set()
    seen: set[str] = set()
    for task in tasks_of(graph):
        for one in task.passes:
            for operand in one.reads:
                read.add(operand.tensor)
                # Everything read exists: made by an earlier task, an image, weights or optimizer state.
                assert operand.tensor in seen or operand.tensor.startswith(("image", "w(", "state")), operand
            for operand in one.writes:
                assert operand.tensor not in made, f"{operand.tensor} is written twice"
                made.add(operand.tensor)
                seen.add(operand.tensor)
    results = {name for name in made if name.endswith(("'", "'.copy"))}  # updated weights and state
    assert made - results == made & read
    assert {f"w({layer.weights})'" for layer in network if layer.parameters} <= results


@settings(deadline=None, max_examples=40)
@given(any_network, any_options)
def test_edges_follow_the_tensors(network: Network, options: TrainingOptions) -> None:
    graph = training_step(network, options)
    maker = {operand.tensor: task.name for task in tasks_of(graph) for one in task.passes for operand in one.writes}
    wanted = {
        (maker[operand.tensor], task.name)
        for task in tasks_of(graph)
        for one in task.passes
        for operand in one.reads
        if operand.tensor in maker and maker[operand.tensor] != task.name
    }
    assert set(graph.edges) == wanted
    assert {kind for _, _, kind in graph.edges(data="kind")} <= {"channelwise", "barrier"}
    for producer, consumer, kind in graph.edges(data="kind"):
        if graph.nodes[consumer]["task"].on_host_only:
            assert kind == "barrier", (producer, consumer)  # a CONV needs all its input channels


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(["residual", "concat", "split", "gate"]), max_size=4), any_options)
def test_doubling_the_batch(blocks: list[str], options: TrainingOptions) -> None:
    one, two = (training_step(small_network(n, blocks=tuple(blocks)), options) for n in (3, 6))
    weights = ("w(", "dw(", "state")
    for a, b in zip(tasks_of(one), tasks_of(two), strict=True):
        assert b.macs == 2 * a.macs
        for p, q in zip(a.passes, b.passes, strict=True):
            for x, y in zip(p.reads + p.writes, q.reads + q.writes, strict=True):
                assert y.bytes == (1 if x.tensor.startswith(weights) else 2) * x.bytes, x.tensor
        if a.phase != "UPD":
            assert b.flops == 2 * a.flops


@settings(deadline=None, max_examples=30)
@given(any_network, any_options)
def test_training_macs_are_three_forwards_less_the_first_data_gradient(
    network: Network, options: TrainingOptions
) -> None:
    total = sum(task.macs for task in tasks_of(training_step(network, options)))
    assert total == 3 * network.macs - network["stem"].macs


def test_bytes_of_a_batch_norm_block() -> None:
    # 2 x 8 x 16 x 16 = 4096 elements of 4 B = 16384 B per tensor.
    # Forward: x, then x -> y: 3 tensors. Backward: x, dy, then x, dy -> dx: 5 tensors, and 16 parameter sums (64 B).
    graph = training_step(small_network(2, blocks=()))
    forward, backward = graph.nodes["FWD(batchnorm1)"]["task"], graph.nodes["BWD(batchnorm1)"]["task"]
    assert forward.bytes == 3 * 16384
    assert backward.bytes == 5 * 16384 + 64
    assert len(forward.passes) == len(backward.passes) == 2
    # ReLU: x -> y, and y, dy -> dx.
    assert graph.nodes["FWD(activation1)"]["task"].bytes == 2 * 16384
    assert graph.nodes["BWD(activation1)"]["task"].bytes == 3 * 16384
    # Max pooling by 2: 4096 -> 1024 elements with 8-byte indices; back: dy, index -> dx.
    assert graph.nodes["FWD(pool1)"]["task"].bytes == 16384 + 4096 + 8192
    assert graph.nodes["BWD(pool1)"]["task"].bytes == 4096 + 8192 + 16384


@pytest.mark.parametrize(
    ("precision", "optimizer", "per_weight"),
    [
        ("fp32", "sgd", 3 * 4),  # w, dw -> w
        ("fp32", "sgd-momentum", 5 * 4),  # w, dw, v -> w, v
        ("fp32", "adam", 7 * 4),  # w, dw, m, v -> w, m, v
        ("fp16", "sgd", 4 + 2 + 4 + 2),  # master, fp16 gradient -> master, fp16 copy
        ("fp16", "adam", 4 + 2 + 8 + 4 + 2 + 8),
    ],
)
def test_bytes_of_the_weight_update(precision: str, optimizer: str, per_weight: int) -> None:
    graph = training_step(small_network(), TrainingOptions(precision, optimizer))  # type: ignore[arg-type]
    update = graph.nodes["UPD(stem)"]["task"]
    assert update.bytes == 8 * 3 * 3 * 3 * per_weight  # 8 filters of 3 x 3 x 3


def test_fused_activation_moves_nothing() -> None:
    plain = training_step(small_network(2, blocks=()))
    fused = training_step(small_network(2, blocks=()), TrainingOptions(fuse_activation=True))
    assert "FWD(activation1)" in plain
    assert not [name for name in fused if "activation1" in name]
    # What is saved is the activation's own traffic: 2 tensors forward and 3 back.
    saved = sum(t.bytes for t in tasks_of(plain)) - sum(t.bytes for t in tasks_of(fused))
    assert saved == 5 * 16384


def test_split_copies_gradients_once() -> None:
    graph = training_step(small_network(2, blocks=("split",)))
    # The gradient of the split tensor is put together from two halves: read 16384 B, write 16384 B.
    (gather,) = [task for task in tasks_of(graph) if task.phase == "ACC"]
    assert (gather.bytes_read, gather.bytes_written) == (16384, 16384)


def test_shared_weights_are_updated_once() -> None:
    b = NetworkBuilder("shared")
    x = b.add(Input((1, 4, 8, 8)))
    x = b.add(Conv(4, (1, 1)), x, name="first", weights="both")
    x = b.add(Conv(4, (1, 1)), b.add(Activation(), x), name="second", weights="both")
    network = b.build()
    assert network.parameters == 4 * 4 + 4
    updates = [task for task in tasks_of(training_step(network)) if task.phase == "UPD"]
    assert len(updates) == 1
    assert updates[0].bytes_read == (2 + 1 + 1) * 20 * 4  # two gradients, weights, momentum


def test_options_and_networks_without_training_are_refused() -> None:
    with pytest.raises(NetworkError, match="precision 'fp8' is unknown; allowed: fp32, tf32, fp16"):
        TrainingOptions("fp8")  # type: ignore[arg-type]
    b = NetworkBuilder("pool only")
    b.add(Pool("max", (2, 2), (2, 2)), b.add(Input((1, 3, 8, 8))))
    with pytest.raises(NetworkError, match="depends on no trainable layer"):
        training_step(b.build())
