"""Schedules of whole training steps: the paper's flow in the order of events, limits, and speed."""

from __future__ import annotations

import itertools
from functools import cache

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schedule_cases import One, scheduled

import pimmodel as pm
from pimmodel.errors import PimModelError
from pimmodel.network.training import Task
from pimmodel.schedule.bound import lower_bound
from pimmodel.schedule.fluid import fluid_schedule
from pimmodel.schedule.rates import TURNS, PairRates, same_rates
from pimmodel.schedule.result import Schedule
from pimmodel.schedule.tasks import Floats, TaskTable, task_table
from pimmodel.step import Step, prepare

V100 = pm.load_system("v100-bankgroup-pim")
FREE = same_rates(1, 1)
# Forks (resnet), branches (googlenet), concatenations of many (densenet), grouped and shuffled channels, no batch norm.
NETWORKS = ["resnet18", "googlenet", "densenet121", "shufflenet_v2_x1_0", "vgg16"]


def plain_times(step: Step) -> tuple[Floats, Floats]:
    """Times of a GPU of 15 TFLOP/s at 800 GB/s and a PIM at twice that, whatever the library's models say today."""
    flops, moved = (np.array([getattr(task, what) for task in step.tasks]) for what in ("flops", "bytes"))
    return np.maximum(flops / 15e12, moved / 800e9), moved / 1600e9


@cache
def step_of(network: str) -> tuple[Step, TaskTable]:
    step = prepare(pm.load_network(network, batch=32), V100)
    return step, task_table(step.graph)


def schedule(network: str, rates: PairRates, **chosen: object) -> Schedule:
    step, tasks = step_of(network)
    host, pim = chosen.pop("times", plain_times(step))  # type: ignore[misc]
    on_pim = chosen.pop("on_pim", ~tasks.host_only)
    return fluid_schedule(tasks, host, pim, on_pim, rates, **chosen)  # type: ignore[arg-type]


def test_table_of_a_step() -> None:
    step, tasks = step_of("resnet18")
    assert tasks.names == tuple(task.name for task in step.tasks)
    number = {name: index for index, name in enumerate(tasks.names)}
    needs = dict(tasks.producers[number["FP(layer1.0.conv2)"]])
    assert needs == {number["FWD(layer1.0.relu1)"]: True}  # a CONV needs all input channels
    needs = dict(tasks.producers[number["FWD(layer1.0.bn1)"]])
    assert needs == {number["FP(layer1.0.conv1)"]: False}
    assert tasks.backward[number["LOSS(fc)"]]
    assert not tasks.backward[number["FP(fc)"]]
    assert [name for name, one in zip(tasks.names, tasks.update, strict=True) if one] == [
        name for name in tasks.names if name.startswith("UPD")
    ]


def test_a_graph_out_of_order_is_refused() -> None:
    graph = nx.DiGraph()
    task = step_of("resnet18")[0].tasks[0]
    assert isinstance(task, Task)
    graph.add_nodes_from(["late", "early"], task=task)
    graph.add_edge("early", "late", kind="barrier")
    with pytest.raises(PimModelError, match="task late comes before one that it needs"):
        task_table(graph)


def test_the_papers_flow_on_one_layer_of_resnet() -> None:
    """Non-CONV backward of a layer under DX and DW behind it, weight updates behind that: 4 s on the host, 1 s on PIM.

    Chunks of DX come every 4/16 s, and the PIM has one of relu1 and of bn1 for each, 1/16 s each: its last are done
    2/16 s after DX. DW(conv2) then has 4 - 2/16 s to go, and DX(conv1) need not wait for anything behind it.
    """
    _, tasks = step_of("resnet18")
    one = np.ones(len(tasks))
    result, serial = (
        fluid_schedule(tasks, 4 * one, one, ~tasks.host_only, FREE, chunks=16, order=order)  # type: ignore[arg-type]
        for order in ("rearranged", "serial")
    )
    start, end = (dict(zip(tasks.names, one, strict=True)) for one in (result.start, result.end))
    dx, dw = "DX(layer4.1.conv2)", "DW(layer4.1.conv2)"
    assert start["BWD(layer4.1.relu1)"] == start[dx] + 4 / 16
    assert end["BWD(layer4.1.bn1)"] == end[dx] + 2 / 16
    assert (start[dw], start["DX(layer4.1.conv1)"]) == (end[dx], end[dw])
    assert start["UPD(layer4.1.conv2)"] == start[dw] + 4 / 16  # with DW's first chunk: the PIM has nothing better to do
    # Serial: nothing of the backward pass overlaps.
    backward = np.flatnonzero(tasks.backward)
    assert (serial.start[backward[1:]] == serial.end[backward[:-1]]).all()
    alone = serial.times[backward].sum()
    assert serial.makespan == pytest.approx(serial.start[backward[0]] + alone, rel=1e-9)


@settings(max_examples=20)
@given(st.sampled_from(NETWORKS), st.sampled_from([1, 3, 16]), st.floats(0.5, 1), st.floats(0.5, 1))
def test_orders_bound_and_sum(network: str, chunks: int, host: float, pim: float) -> None:
    """Sharing that loses nothing (rates that add up to 1 or more) never makes a step slower than its parts in a row."""
    rates = same_rates(host, pim)
    rearranged, serial = (schedule(network, rates, chunks=chunks, order=order) for order in ("rearranged", "serial"))
    total = rearranged.times.sum()
    assert rearranged.bound.time <= rearranged.makespan * (1 + 1e-9)
    assert rearranged.makespan <= serial.makespan * (1 + 1e-9)
    assert serial.makespan <= total * (1 + 1e-9)
    assert rearranged.bound.time == serial.bound.time
    # The bound of one placement is at least that of all.
    step, tasks = step_of(network)
    host_time, pim_time = plain_times(step)
    every = lower_bound(step.graph, host_time, np.where(tasks.host_only, np.nan, pim_time), np.zeros(len(tasks)))
    assert every.path <= rearranged.bound.path * (1 + 1e-9)
    assert every.work <= rearranged.bound.work * (1 + 1e-9)


@pytest.mark.parametrize("network", NETWORKS)
def test_serial_and_gpu_only_are_the_estimates(network: str) -> None:
    step, _ = step_of(network)
    serial, gpu_only = (pm.estimate(step.network, V100, policy).time for policy in ("serial", "gpu-only"))  # type: ignore[arg-type]
    for order in ("serial", "rearranged"):
        chosen = {"times": (step.host, step.pim), "chunks": 4, "order": order}
        assert schedule(network, lambda host, pim: TURNS, **chosen).makespan == pytest.approx(serial, rel=1e-9)
        nowhere = np.zeros(len(step.tasks), dtype=bool)
        assert schedule(network, FREE, on_pim=nowhere, **chosen).makespan == pytest.approx(gpu_only, rel=1e-9)


@pytest.mark.parametrize("network", NETWORKS)
def test_finer_chunks_help_the_shipped_networks(network: str) -> None:
    """No theorem (see below): seen on these networks."""
    for rates in (FREE, same_rates(0.9, 0.4), same_rates(0.6, 0.5)):
        for order in ("serial", "rearranged"):
            found = [schedule(network, rates, chunks=chunks, order=order).makespan for chunks in (1, 2, 4, 8, 16)]
            assert all(fine <= coarse * (1 + 1e-9) for coarse, fine in itertools.pairwise(found)), found


def test_finer_chunks_can_delay_another_branch() -> None:
    """Graham's anomaly: x comes before y in the list, and finer chunks make it ready before y is through.

    One chunk: y 0..2, x 4..8, z behind h 4..10. Four: two of y 0..1, then x behind h's chunks 1..5, y 5..6, z 6..12.
    """
    tasks = [One("h", "H", 4), One("x", "P", 4, "h"), One("y", "P", 2), One("z", "H", 6, "y!")]
    assert scheduled(tasks, FREE, chunks=1).makespan == 10
    assert scheduled(tasks, FREE, chunks=4).makespan == 12


lengths = st.floats(0.01, 10)


@given(st.lists(st.tuples(lengths, lengths), min_size=1, max_size=5), st.integers(1, 64))
def test_fine_chunks_reach_the_longest_path(layers: list[tuple[float, float]], chunks: int) -> None:
    """CONV, its PIM task, the next CONV: the path is the sum of the longer ones; what is left is the filling.

    Of a layer: fill and steady state of the longer one, and a chunk of the other, max(H, P) + min(H, P)/c.
    """
    tasks: list[One] = []
    for number, (host, pim) in enumerate(layers):
        tasks.append(One(f"conv{number}", "H", host, f"bn{number - 1}!" if number else ""))
        tasks.append(One(f"bn{number}", "P", pim, f"conv{number}"))
    result = scheduled(tasks, FREE, chunks=chunks)
    assert result.bound.path == pytest.approx(sum(map(max, layers)), rel=1e-9)
    assert result.makespan == pytest.approx(result.bound.path + sum(map(min, layers)) / chunks, rel=1e-9)


@pytest.mark.parametrize("network", NETWORKS)
def test_placement_on_the_host(network: str) -> None:
    """Half of the eligible tasks on the host: everything still runs, and nothing of the host's on the PIM."""
    _, tasks = step_of(network)
    on_pim = ~tasks.host_only & (np.arange(len(tasks)) % 2 == 0)
    result = schedule(network, same_rates(0.8, 0.6), chunks=8, on_pim=on_pim)
    parts = result.segments
    assert on_pim[parts.pim[parts.pim >= 0]].all()
    assert not on_pim[parts.host[parts.host >= 0]].any()
    assert result.bound.time <= result.makespan <= result.times.sum() * (1 + 1e-9)


@pytest.mark.parametrize("network", ["resnet50", "resnet152", "densenet121"])
@pytest.mark.parametrize("order", ["serial", "rearranged"])
def test_speed(benchmark, network: str, order: str) -> None:  # type: ignore[no-untyped-def]
    """Sixteen chunks per task; the figure is what `pytest --benchmark-enable --benchmark-only` prints."""
    step, tasks = step_of(network)
    host, pim = plain_times(step)
    rates = same_rates(0.9, 0.4)
    result = benchmark(lambda: fluid_schedule(tasks, host, pim, ~tasks.host_only, rates, chunks=16, order=order))  # type: ignore[arg-type]
    assert len(result.chunk_end) > 15 * len(tasks)
