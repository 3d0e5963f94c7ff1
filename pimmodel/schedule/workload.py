"""A training step on one system, as schedules and optimizers see it: what each task takes, whole or in chunks.

Two ways to cut a CONV into c chunks of output channels (input channels for a data gradient):

- `in-kernel`, the default and what Choi et al. assume: one kernel that finishes its result channel by channel. Its
  arithmetic is that of the whole; its first operand (images, or the gradient of the maps) is passed over c times, and
  found in L2 as far as it fits.
- `kernels`, what a library as it is can do: c kernels of one c-th of the channels each. Smaller tiles, inputs read
  again and launches come out of the kernels' own model; more than 2 to 4 chunks cost more than they bring.

On the PIM chunks cost nothing: a kernel walks through the rows of a chunk as it would through those of the whole.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import networkx as nx
import numpy as np

from pimmodel.dual import numbers
from pimmodel.hardware.system import System
from pimmodel.network.conv_shape import ConvShape
from pimmodel.network.training import ELEMENT_BYTES, Precision, Task
from pimmodel.pim.tasks import Signature, pim_times, signature
from pimmodel.roofline.host import HostTasks, HostWork, host_bandwidth, host_tasks, host_work
from pimmodel.roofline.products import Phase
from pimmodel.schedule.tasks import Bools, Floats, Ints, TaskTable, task_table
from pimmodel.sharing.pairs import near_share, request_rate

Chunking = Literal["in-kernel", "kernels"]
CHUNK_COUNTS = (1, 2, 4, 8, 16)
PIM_CHUNKS = 16  # most chunks of a task on the PIM


@dataclass(frozen=True, eq=False)
class HostUse:
    """T tasks on the host with CONV tasks in one number of chunks, arrays of shape (T,).

    time : alone [s]; infinite where a CONV cannot be cut into so many chunks
    memory : of which the DRAM is busy [s]
    dram_bytes : traffic [B]
    rate : requests per clock on one channel [1/clock]
    """

    time: Floats
    memory: Floats
    dram_bytes: Floats
    rate: Floats


@dataclass(frozen=True, eq=False)
class Workload:
    """T tasks of a step on a system.

    tasks, table : the tasks, and their graph as integers
    pim : time of each alone on the PIM, NaN for host tasks, shape (T,) [s]
    signatures : kernel of each on the PIM, None for host tasks
    write_share : share of writes in the host's traffic, to the nearest part of 16, shape (T,) [1]
    """

    system: System
    precision: Precision
    graph: nx.DiGraph = field(repr=False)
    tasks: tuple[Task, ...] = field(repr=False)
    table: TaskTable = field(repr=False)
    pim: Floats = field(repr=False)
    signatures: tuple[Signature | None, ...] = field(repr=False)
    write_share: Floats = field(repr=False)
    chunking: Chunking
    host_tasks: HostTasks = field(repr=False)
    _whole: HostWork = field(repr=False)

    def __len__(self) -> int:
        return len(self.tasks)

    @functools.cached_property
    def host(self) -> dict[int, HostUse]:
        """The host's side for every number of chunks in `CHUNK_COUNTS`."""
        return {chunks: self._use(chunks) for chunks in CHUNK_COUNTS}

    @property
    def conv(self) -> Bools:
        """Tasks that run on the host only, shape (T,)."""
        return self.table.host_only

    def host_at(self, chunks: Ints) -> HostUse:
        """The host's side with a number of chunks of its own for every task, shape (T,) [1]."""
        tasks = np.arange(len(self))
        place = np.searchsorted(CHUNK_COUNTS, chunks)
        return HostUse(*(one[place, tasks] for one in self._stacked))

    @functools.cached_property
    def _stacked(self) -> tuple[Floats, ...]:
        """The fields of `host`, each of shape (chunk counts, T)."""
        return tuple(
            np.stack([getattr(self.host[count], one.name) for count in CHUNK_COUNTS])
            for one in dataclasses.fields(HostUse)
        )

    def _use(self, chunks: int) -> HostUse:
        parts = [
            _part(shape, phase, chunks)
            for shape, phase in zip(self.host_tasks.shapes, self.host_tasks.phases, strict=True)
        ]
        fits = np.array([part is not None for part in parts] + [True])[self.host_tasks.kernel_of]
        fits &= ~self.conv | (self.table.channels >= chunks)  # channels of a layer on tokens are theirs, not its own
        if self.chunking == "in-kernel":
            time, memory, traffic = self._in_kernel(chunks)
        else:
            shapes = tuple(part or shape for part, shape in zip(parts, self.host_tasks.shapes, strict=True))
            work = host_work(dataclasses.replace(self.host_tasks, shapes=shapes), self.system, kernels_each=chunks)
            time, memory, traffic = work.time, work.memory, work.dram_bytes
        return HostUse(np.where(fits, time, np.inf), memory, traffic, request_rate(traffic, time, self.system))

    def _in_kernel(self, chunks: int) -> tuple[Floats, Floats, Floats]:
        """Time [s], DRAM time [s] and traffic [B] of every task with its first operand passed over `chunks` times."""
        work = self._whole
        if work.kernels is None or chunks == 1:
            return work.time, work.memory, work.dram_bytes
        again = again_bytes(self.host_tasks.shapes, self.host_tasks.phases, self.precision, self.system.gpu.l2_size)
        more = (chunks - 1) * again
        slower = more / (host_bandwidth(self.system) * self.system.gpu.kernels.dram_efficiency)
        longer = work.kernels.with_more_dram(slower) - work.kernels.time
        conv, which = self.host_tasks.kernel_of >= 0, self.host_tasks.kernel_of
        return tuple(
            whole + np.where(conv, extra[which], 0.0)
            for whole, extra in ((work.time, longer), (work.memory, slower), (work.dram_bytes, more))
        )  # type: ignore[return-value]


def again_bytes(shapes: Sequence[ConvShape], phases: Sequence[Phase], precision: Precision, l2_size: float) -> Floats:
    """Bytes that one more pass over the first operand of each kernel reads from DRAM: what L2 does not hold [B].

    >>> shape = ConvShape(n=64, c=64, h=56, w=56, k=256, p=56, q=56)
    >>> again_bytes([shape], ["FP"], "fp32", 6 * 2**20) / (64 * 64 * 56 * 56 * 4 - 6 * 2**20)
    array([1.])
    """
    first = np.array([
        shape.n * (shape.k * shape.p * shape.q if phase == "DX" else shape.c * shape.h * shape.w)
        for shape, phase in zip(shapes, phases, strict=True)
    ], dtype=float)  # fmt: skip
    again: Floats = numbers(np.maximum(first * ELEMENT_BYTES[precision] - l2_size, 0.0))
    return again


def _part(shape: ConvShape, phase: Phase, chunks: int) -> ConvShape | None:
    """One of so many equal chunks of a CONV; None where its channels do not divide."""
    if chunks == 1:
        return shape
    if shape.groups % chunks == 0:
        return shape._replace(c=shape.c // chunks, k=shape.k // chunks, groups=shape.groups // chunks)
    channels = shape.c if phase == "DX" else shape.k
    if shape.groups > 1 or channels % chunks:
        return None
    return shape._replace(c=channels // chunks) if phase == "DX" else shape._replace(k=channels // chunks)


def workload(
    graph: nx.DiGraph, system: System, precision: Precision, chunking: Chunking = "in-kernel",
    known: tuple[HostTasks, HostWork] | None = None,
) -> Workload:  # fmt: skip
    """Workload of a task graph, as `training_step` makes it; `known`: its tasks on the host, if worked out before."""
    tasks = tuple(task for _, task in graph.nodes(data="task"))
    if known is None:
        described = host_tasks(tasks, precision)
        known = described, host_work(described, system)
    described, whole = known
    written = np.array([task.bytes_written for task in tasks], dtype=float)
    return Workload(
        system, precision, graph, tasks, task_table(graph),
        pim=pim_times(tasks, system, precision),
        signatures=tuple(None if task.on_host_only else signature(task) for task in tasks),
        write_share=near_share(written / np.maximum(whole.dram_bytes, 1.0)),
        chunking=chunking,
        host_tasks=described,
        _whole=whole,
    )  # fmt: skip
