"""Times of training-step tasks on the host, as arrays over tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from pimmodel.dram.refresh import stream_availability
from pimmodel.hardware.system import System
from pimmodel.network.conv_shape import ConvShape
from pimmodel.network.training import ELEMENT_BYTES, Precision, Task
from pimmodel.roofline.conv import ConvKernels, conv_kernels
from pimmodel.roofline.products import Phase
from pimmodel.roofline.streams import BLOCK_ELEMENTS, stream_time

Floats = NDArray[np.float64]
_PER_CHANNEL = ("BatchNorm",)  # layers whose kernels give a channel to a block, where channels do not come last
_REDUCING = (
    "BatchNorm",
    "GroupNorm",
    "LayerNorm",
    "LocalResponseNorm",
    "Pool",
    "AdaptivePool",
    "Softmax",
    "ReduceMean",
)


@dataclass(frozen=True, eq=False)
class HostTasks:
    """What the host would run for T tasks, read off them once.

    shapes, phases : U distinct CONV and fully connected kernels
    kernel_of : index into these of each task, -1 for non-CONV tasks, shape (T,)
    owner : task of each of S streaming kernels (non-CONV passes, and biases), shape (S,)
    moved, operations, blocks : bytes [B], arithmetic operations [1] and thread blocks [1] of each, shape (S,)
    reduces : whether it gathers or reduces, shape (S,)
    """

    precision: Precision
    shapes: tuple[ConvShape, ...]
    phases: tuple[Phase, ...]
    kernel_of: NDArray[np.int64]
    owner: NDArray[np.int64]
    moved: Floats
    operations: Floats
    blocks: Floats
    reduces: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class HostWork:
    """T tasks on the host, arrays of shape (T,).

    time : with exclusive use of the memory [s]
    memory : of which the DRAM is busy [s]
    dram_bytes : traffic from and to DRAM [B]
    kernels : the distinct kernels of the CONV and fully connected tasks; None where there are none
    """

    time: Floats
    memory: Floats
    dram_bytes: Floats
    kernels: ConvKernels | None = field(repr=False)


def host_share(system: System) -> float:
    """Share of the DRAM's peak bandwidth that the host can sustain: what refresh leaves, or the GPU's own limit [1]."""
    available, limit = stream_availability(system.memory.timing, system.controller.refresh), system.gpu.stream_share
    return available if limit is None else cast(float, np.minimum(available, limit))


def host_bandwidth(system: System) -> float:
    """DRAM bandwidth that the host can sustain [B/s]."""
    return system.peak_bandwidth * host_share(system)


def host_tasks(tasks: Sequence[Task], precision: Precision) -> HostTasks:
    """Kernels that the host would run for T tasks of a training step.

    `precision` decides which units do the arithmetic of CONV and fully connected layers; all else is fp32 arithmetic.
    It decides the layout too (see `host_work`): with channels last, a batch norm's blocks are pixels, not channels.
    """
    distinct: dict[tuple[Phase, ConvShape], int] = {}
    kernel_of = np.full(len(tasks), -1)
    for index, task in enumerate(tasks):
        if task.shape is not None:
            key = cast(Phase, task.phase), task.shape
            kernel_of[index] = distinct.setdefault(key, len(distinct))
    size = ELEMENT_BYTES[precision]
    listed = [(index, *kernel) for index, task in enumerate(tasks) for kernel in _streams_of(task, size, precision)]
    owner, moved, operations, blocks, reduces = np.array(listed, dtype=float).reshape(-1, 5).T
    return HostTasks(
        precision, tuple(shape for _, shape in distinct), tuple(phase for phase, _ in distinct), kernel_of,
        owner.astype(np.int64), moved, operations, blocks, reduces > 0,
    )  # fmt: skip


def _streams_of(task: Task, size: int, precision: Precision) -> list[tuple[float, float, float, bool]]:
    """Of each streaming kernel of a task: bytes moved, arithmetic operations, thread blocks, whether it reduces."""
    if task.shape is not None:
        if not task.shape.bias or task.phase == "DX":
            return []
        outputs = task.shape.n * task.shape.k * task.shape.p * task.shape.q
        moves = 2 if task.phase == "FP" else 1  # y is read and written; dy is summed
        return [(moves * outputs * size, outputs, max(1.0, outputs / BLOCK_ELEMENTS), task.phase == "DW")]
    found: list[tuple[float, float, float, bool]] = []
    reduces = task.op.kind in _REDUCING and task.phase in ("FWD", "BWD")
    for one in task.passes:
        largest = max(operand.elements for operand in (*one.reads, *one.writes))
        per_channel = task.op.kind in _PER_CHANNEL and reduces and precision != "fp16"
        blocks = task.channels if per_channel else max(1.0, largest / BLOCK_ELEMENTS)
        found.append((one.bytes_read + one.bytes_written, one.operations, blocks, reduces))
    return found


def host_work(tasks: HostTasks, system: System, kernels_each: int = 1) -> HostWork:
    """Time and memory use of every task on the host.

    fp16 tensors lie in memory with their channels last, as frameworks advise for tensor cores. `kernels_each`: a CONV
    task runs its kernel so many times, for as many chunks [1].
    """
    bandwidth = host_bandwidth(system)
    time, memory, traffic = _stream_work(tasks, system, bandwidth)
    if not tasks.shapes:
        return HostWork(time, memory, traffic, None)
    kernels = conv_kernels(tasks.shapes, tasks.phases, system.gpu, bandwidth, tasks.precision,
                           channels_last=tasks.precision == "fp16")  # fmt: skip
    conv, which = tasks.kernel_of >= 0, tasks.kernel_of
    # The streams of these tasks are those of their bias, which is added by a kernel of its own.
    return HostWork(
        time + np.where(conv, kernels_each * kernels.time[which], 0.0),
        memory + np.where(conv, kernels_each * kernels.dram[which], 0.0),
        traffic + np.where(conv, kernels_each * kernels.dram_bytes[which], 0.0),
        kernels,
    )


def _stream_work(tasks: HostTasks, system: System, bandwidth: float) -> tuple[Floats, Floats, Floats]:
    """Time [s], DRAM time [s] and traffic [B] of the streaming kernels of every task, shape (T,) each."""
    constants = system.gpu.kernels
    # Elementwise kernels reach the whole bandwidth; those that gather and reduce reach what other kernels do.
    reached = bandwidth * np.where(tasks.reduces, constants.dram_efficiency, 1.0)
    times = stream_time(
        traffic=tasks.moved, bandwidth=reached, operations=tasks.operations, operation_rate=system.gpu.fp32_peak,
        blocks=tasks.blocks, sms=system.gpu.sm_count, launch=constants.launch_factor * system.gpu.launch_overhead,
    )  # fmt: skip

    def per_task(values: Floats) -> Floats:
        return np.bincount(tasks.owner, weights=values, minlength=len(tasks.kernel_of)).astype(np.float64, copy=False)

    return per_task(times), per_task(tasks.moved / reached), per_task(tasks.moved)
