"""Host times of whole training steps: kernels and streams put together, task by task."""

from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pimmodel as pm
from pimmodel.hardware.change import replace
from pimmodel.network.network import Network, NetworkBuilder
from pimmodel.network.ops import Activation, Add, BatchNorm, Conv, Input, Linear, Pool
from pimmodel.network.training import Task, TrainingOptions, training_step
from pimmodel.roofline.conv import conv_kernels
from pimmodel.roofline.host import host_bandwidth, host_tasks, host_work

V100 = pm.load_system("v100-bankgroup-pim")
LAUNCH = V100.gpu.launch_overhead * V100.gpu.kernels.launch_factor


def block(batch: int = 8, channels: int = 16, size: int = 28) -> Network:
    """Two equal CONV layers with bias around batch norm, activation, Add and pooling; a classifier."""
    b = NetworkBuilder("block")
    x = b.add(Conv(channels, (1, 1), bias=False), b.add(Input((batch, 8, size, size)), name="image"), name="stem")
    y = b.add(Conv(channels, (3, 3), padding=(1, 1, 1, 1)), x, name="conv1")
    y = b.add(Activation(), b.add(BatchNorm(), y, name="bn"), name="relu")
    y = b.add(Conv(channels, (3, 3), padding=(1, 1, 1, 1)), y, name="conv2")
    b.add(Linear(10), b.add(Pool("max", (2, 2), (2, 2)), b.add(Add(), x, y, name="add"), name="pool"), name="fc")
    return b.build()


networks = st.builds(block, st.integers(1, 64), st.sampled_from([3, 8, 16, 65]), st.sampled_from([4, 14, 56]))
precisions = st.sampled_from(["fp32", "fp16"])


def tasks_of(network: Network, **options: object) -> dict[str, Task]:
    graph: nx.DiGraph = training_step(network, TrainingOptions(**options))  # type: ignore[arg-type]
    return {task.name: task for _, task in graph.nodes(data="task")}


def times_of(network: Network, system: pm.System = V100, **options: object) -> dict[str, float]:
    tasks = tasks_of(network, **options)
    precision = options.get("precision", "fp32")
    return dict(zip(tasks, host_work(host_tasks(list(tasks.values()), precision), system).time, strict=True))  # type: ignore[arg-type]


def test_equal_layers_share_a_kernel_and_every_task_has_its_own_time() -> None:
    tasks = tasks_of(block())
    found = host_tasks(list(tasks.values()), "fp32")
    # stem FP DW (the image needs no gradient); conv1 and conv2 alike FP DX DW; fc FP DX DW.
    assert len(found.shapes) == 2 + 3 + 3
    of = dict(zip(tasks, found.kernel_of, strict=True))
    assert of["FP(conv1)"] == of["FP(conv2)"] != of["DX(conv1)"]
    assert all((of[name] >= 0) == name.startswith(("FP(", "DX(", "DW(")) for name in tasks)


@settings(max_examples=25)
@given(networks, precisions)
def test_whole_step_is_its_tasks_one_by_one(network: Network, precision: str) -> None:
    """All tasks at once, against each alone: a CONV's kernel and the stream of its bias."""
    tasks = list(tasks_of(network, precision=precision).values())
    work = host_work(host_tasks(tasks, precision), V100)  # type: ignore[arg-type]
    bandwidth = host_bandwidth(V100)
    for index, task in enumerate(tasks):
        alone = host_work(host_tasks([task], precision), V100)  # type: ignore[arg-type]
        for name in ("time", "memory", "dram_bytes"):
            assert getattr(work, name)[index] == pytest.approx(getattr(alone, name)[0], rel=1e-12, abs=0)
        assert (alone.kernels is None) == (task.shape is None)
        if task.shape is not None and not task.shape.bias:
            kernel = conv_kernels([task.shape], [task.phase], V100.gpu, bandwidth, precision,  # type: ignore[list-item, arg-type]
                                  channels_last=precision == "fp16")  # fmt: skip
            assert work.time[index] == pytest.approx(kernel.time[0], rel=1e-12, abs=0)


@settings(max_examples=25)
@given(networks, precisions)
def test_memory_is_busy_for_part_of_the_time_and_never_above_its_peak(network: Network, precision: str) -> None:
    tasks = list(tasks_of(network, precision=precision).values())
    work = host_work(host_tasks(tasks, precision), V100)  # type: ignore[arg-type]
    assert (work.memory > 0).all()
    assert (work.memory < work.time).all()
    assert (work.dram_bytes <= work.memory * host_bandwidth(V100) * (1 + 1e-12)).all()


@settings(max_examples=20)
@given(networks)
def test_fused_activations_cost_nothing_of_their_own_forward_and_backward(network: Network) -> None:
    plain, fused = times_of(network), times_of(network, fuse_activation=True)
    assert plain["FWD(relu)"] > LAUNCH
    assert "FWD(relu)" not in fused or fused["FWD(relu)"] == 0
    assert sum(fused.values()) < sum(plain.values())


def test_bandwidth_falls_for_small_tensors() -> None:
    """Bytes per second of an activation: next to nothing for a few elements, the whole bandwidth for millions."""
    reached = []
    for batch, size in ((1, 4), (8, 14), (64, 28), (64, 112)):
        tasks = [tasks_of(block(batch, 16, size))["FWD(relu)"]]
        work = host_work(host_tasks(tasks, "fp32"), V100)
        reached.append(float(work.dram_bytes[0] / work.time[0]) / host_bandwidth(V100))
    assert reached == sorted(reached)
    # 16 x 16 elements: 2 KiB in one launch of 3 us or more is below 0.7 GB/s of about 800.
    assert reached[0] < 1e-3
    # 64 x 16 x 112 x 112 x 4 B, read and written: 103 MB, 125 us; a launch is 3 % of that.
    assert 0.95 < reached[-1] < 1


def test_few_channels_hold_a_batch_norm_back() -> None:
    # A block per channel: 16 channels keep 16 of 80 SMs busy, 160 all of them; per byte five times as slow.
    few, many = (times_of(block(64, channels, 56))["FWD(bn)"] - 2 * LAUNCH for channels in (16, 160))
    assert few / 16 == pytest.approx(5 * many / 160, rel=1e-9)


def test_tasks_without_conv_have_no_kernels() -> None:
    tasks = [task for task in tasks_of(block()).values() if task.shape is None]
    work = host_work(host_tasks(tasks, "fp32"), V100)
    assert work.kernels is None
    assert (work.time >= LAUNCH).all()
    nothing = host_work(host_tasks([], "fp32"), V100)
    assert nothing.time.shape == nothing.memory.shape == (0,)


def test_fp16_uses_tensor_cores_on_the_image_too() -> None:
    """Frameworks put channels last for tensor cores, so three channels are filled up."""
    tasks = list(tasks_of(pm.load_network("resnet18", 32), precision="fp16").values())
    work = host_work(host_tasks(tasks, "fp16"), V100)
    assert work.kernels is not None
    assert work.kernels.tensor_cores.all()


@pytest.mark.parametrize("field", ["gpu.launch_overhead", "gpu.kernels.launch_factor"])
def test_each_launch_counts_once(field: str) -> None:
    tasks = [tasks_of(block())[name] for name in ("FWD(relu)", "FWD(bn)", "FP(conv1)")]
    part, _, name = field.rpartition(".")
    owner = V100.gpu if part == "gpu" else V100.gpu.kernels
    slow = replace(V100, {field: 1.5 * getattr(owner, name)})
    gained = host_work(host_tasks(tasks, "fp32"), slow).time - host_work(host_tasks(tasks, "fp32"), V100).time
    # ReLU 1, batch norm 2; CONV and bias: 1 or, where Winograd's transforms are kernels of their own, 4, and 1.
    assert gained[:2] == pytest.approx([0.5 * LAUNCH, LAUNCH], rel=1e-9)
    assert 2 - 1e-9 <= gained[2] / (0.5 * LAUNCH) <= 5 + 1e-9


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnext50_32x4d", "inception_v3"])
def test_no_task_of_a_large_network_is_free_or_endless(name: str) -> None:
    times = np.array(list(times_of(pm.load_network(name, 16)).values()))
    assert (times >= LAUNCH * (1 - 1e-12)).all()
    assert math.isfinite(times.sum())
