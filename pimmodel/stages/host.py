"""The host's tasks of one step at N sets of rates: times, memory use, energy, by the compiled loops."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimmodel.hardware.system import System
from pimmodel.network.training import Precision
from pimmodel.roofline.host import host_share
from pimmodel.roofline.menu import KernelMenu, Rates, kernel_menu
from pimmodel.schedule.energy import kernel_arithmetic
from pimmodel.schedule.energy_formulas import activate_energy, arithmetic_energy, transfer_energy
from pimmodel.schedule.tasks import Floats, Ints
from pimmodel.schedule.workload import Workload
from pimmodel.sharing.pairs import LEAST_RATE, WRITE_STEPS, near_share
from pimmodel.stages.compiled import compiled
from pimmodel.stages.items import host_items
from pimmodel.stages.progress import NODES, progress_table
from pimmodel.stages.room import Room


def system_rates(system: System, changed: Mapping[str, Any] | None = None, precision: Precision = "fp16") -> Rates:
    """The rates of a system itself, or of designs that differ from it in some.

    Parameters
    ----------
    system : the system
    changed : dotted names to values in SI, numbers or arrays of one shape: `gpu.clock`, `gpu.fp16_tensor_peak`,
        `gpu.l2_bandwidth`, `gpu.launch_overhead`, `gpu.kernels.launch_factor`, `memory_bandwidth`
    precision : of the kernels, which decides whose peak rate that of the tensor cores is; only fp16's may be changed
    """
    gpu, constants, values = system.gpu, system.gpu.kernels, changed or {}
    peak = gpu.tensor_peak("tf32" if precision == "tf32" else "fp16")
    tensor_peak = np.inf if peak is None else peak
    if precision != "tf32":
        tensor_peak = values.get("gpu.fp16_tensor_peak", tensor_peak)
    return Rates(
        values.get("gpu.clock", gpu.clock),
        tensor_peak,
        values.get("memory_bandwidth", system.peak_bandwidth) * host_share(system) * constants.dram_efficiency,
        values.get("gpu.l2_bandwidth", gpu.l2_bandwidth),
        values.get("gpu.launch_overhead", gpu.launch_overhead)
        * values.get("gpu.kernels.launch_factor", constants.launch_factor),
    )


@dataclass(frozen=True, eq=False)
class Chosen:
    """The fastest kernels of U tasks at N rates, arrays of shape (U, N): time [s] and place in the menu [1].

    clock, tensor, dram, l2 : reciprocal rates [s/clock], [s/FLOP], [s/B], [s/B]; launch [s], shape (N,) each
    """

    clock: Floats
    tensor: Floats
    dram: Floats
    l2: Floats
    launch: Floats
    time: Floats
    place: Ints


@dataclass(frozen=True, eq=False)
class HostSide:
    """I kinds of host tasks at N designs, arrays of shape (I, N).

    time : alone [s]
    node, way : of the request rate in the tables of progress, and the part of the way to the next node [1]
    share : write share in parts of `WRITE_STEPS` [1]
    """

    chosen: Chosen
    time: Floats
    node: NDArray[np.int32]
    way: Floats
    share: NDArray[np.int32]


def menu_of(work: Workload) -> KernelMenu:
    """Kernels that may be the fastest for the tasks of a step."""
    return kernel_menu(work.host_tasks.shapes, work.host_tasks.phases, work.system.gpu, work.precision,
                       channels_last=work.precision == "fp16")  # fmt: skip


def reciprocals(rates: Rates) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """N rates as `pimmodel.stages.loops` takes them: reciprocals, and the time of a launch; contiguous, shape (N,)."""
    columns = np.broadcast_arrays(*(
        np.atleast_1d(np.asarray(one, dtype=float))
        for one in (rates.clock, rates.tensor_peak, rates.bandwidth, rates.l2_bandwidth, rates.launch)
    ))  # fmt: skip
    clock, tensor, dram, l2 = (1 / one for one in columns[:4])
    return clock, tensor, dram, l2, np.ascontiguousarray(columns[4])


def fastest(menu: KernelMenu, rates: Rates, room: Room | None = None) -> Chosen:
    """The fastest kernel of every task of a menu at N sets of rates; in `room`, if given, until it is used again."""
    room = room or Room()
    clock, tensor, dram, l2, launch = reciprocals(rates)
    count = len(clock)
    time = room.array("kernel time", (len(menu), count))
    place = room.array("kernel place", (len(menu), count), np.int64)
    compiled()["kernel_side"](
        clock, tensor, dram, l2, launch, menu.first, menu.on_clock, menu.on_tensor, menu.split_bytes,
        menu.split_launches, menu.streamed, menu.near, menu.apart_bytes, menu.apart_launches, menu.kernels,
        *room.array("kernel work", (2, count)), time, place,
    )  # fmt: skip
    return Chosen(clock, tensor, dram, l2, launch, time, place)


class HostTimes:
    """Evaluator of some tasks of a step on the host, equal ones together as I kinds.

    Parameters
    ----------
    work : the step
    chunks : of its CONV tasks, shape (T,) [1]
    menu : of its kernels
    tasks : those wanted, shape (M,) [1]
    """

    def __init__(self, work: Workload, menu: KernelMenu, chunks: Ints, tasks: Ints) -> None:
        self.work, self.menu, self.loops = work, menu, compiled()
        items = host_items(work, chunks)
        self.kinds, kind_of = np.unique(items.item_of[tasks], return_inverse=True)
        self.kind_of = kind_of.astype(np.int64)  # of each wanted task
        self.tasks = tasks
        self.kernel_of, self.again = items.kernel_of[self.kinds], items.again[self.kinds]
        streams = [np.arange(items.stream_first[kind], items.stream_first[kind + 1]) for kind in self.kinds]
        self.stream_first = np.cumsum([0, *map(len, streams)])
        flat = np.concatenate(streams) if streams else np.zeros(0, dtype=np.int64)
        # Streams that do not reduce get the whole bandwidth, kernels `dram_efficiency` of it.
        efficiency = work.system.gpu.kernels.dram_efficiency
        self.stream_moved = (items.bytes * np.where(items.reduces, 1.0, efficiency))[flat]
        self.stream_operations, self.stream_blocks = items.operations[flat], items.blocks[flat]
        self.stream_bytes = np.array([items.bytes[one].sum() for one in streams], dtype=float)
        self._operations = np.array([items.operations[one].sum() for one in streams], dtype=float)
        self._traffic = np.append(menu.traffic, 0.0)
        places = [self._kernels_of(kernel) for kernel in self.kernel_of.tolist()]
        shares = [
            near_share(items.written[kind] / np.maximum(self.stream_bytes[at] + self._traffic[chosen], 1.0))
            for at, (kind, chosen) in enumerate(zip(self.kinds, places, strict=True))
        ]
        self._grid = progress_table(work.system).grid
        self._begin = np.cumsum([0, *map(len, places)])[:-1]
        self._share_of = np.round(np.concatenate(shares) * WRITE_STEPS).astype(np.int32)
        self._places = places
        self.one_share = np.array([bool((one == one[0]).all()) for one in shares], dtype=bool)

    def _kernels_of(self, kernel: int) -> Ints:
        """Places in `_traffic` of the kernels that one kind of task may run."""
        if kernel < 0:
            return np.array([len(self._traffic) - 1])
        return np.arange(self.menu.first[kernel], self.menu.first[kernel + 1])

    def at(self, chosen: Chosen, room: Room | None = None, name: str = "", scale: float = 1.0) -> HostSide:
        """All kinds of tasks with kernels chosen at N rates; in `room` under `name`, until it is used again.

        `scale` : their time over what the model says [1]; their traffic is as it was.
        """
        room = room or Room()
        menu = self.menu
        kinds, count = len(self.kernel_of), len(chosen.clock)
        time, way = (room.array(f"{name} {one}", (kinds, count)) for one in ("time", "way"))
        share, node = (room.array(f"{name} {one}", (kinds, count), np.int32) for one in ("share", "node"))
        self.loops["host_side"](
            chosen.dram, chosen.l2, chosen.launch, chosen.clock * self.per_clock, *self.limits, scale, menu.first,
            menu.streamed, menu.near, menu.apart_bytes, menu.apart_launches, menu.kernels, *self.arguments,
            chosen.time, chosen.place, np.full(count, self.no_kernel), room.array("host work", (count,)), time, node,
            way, share,
        )  # fmt: skip
        return HostSide(chosen, time, node, way, share)

    @property
    def per_clock(self) -> float:
        """Time of an operation on the lanes over that of a clock [clock]."""
        gpu = self.work.system.gpu
        return 1 / (2 * gpu.sm_count * gpu.fp32_lanes_per_sm)

    @property
    def no_kernel(self) -> int:
        """Place in the traffic of kernels that stands for none."""
        return len(self._traffic) - 1

    @functools.cached_property
    def limits(self) -> tuple[Any, ...]:
        """Numbers of `loops.host_side`."""
        system, memory = self.work.system, self.work.system.memory
        column_time = 1 / (system.memory_channels * memory.organisation.bytes_per_column * memory.clock)
        return (float(system.gpu.sm_count), column_time, LEAST_RATE, 1 / memory.timing.tCCD_S, self._grid.first,
                1 / self._grid.step, NODES - 2)  # fmt: skip

    @functools.cached_property
    def arguments(self) -> tuple[Any, ...]:
        """Arrays of `loops.host_side` that describe the tasks."""
        return (self._traffic, self.menu.in_turn, self.kernel_of, self.stream_first, self.stream_moved,
                self.stream_operations, self.stream_blocks, self.stream_bytes, self.again, self._begin,
                self._share_of)  # fmt: skip

    def weights(self, wanted: NDArray[np.bool_] | None = None) -> Floats:
        """How many tasks each kind stands for, shape (I,) [1]; `wanted`: of these only, shape (M,) [1]."""
        counted = self.kind_of if wanted is None else self.kind_of[wanted]
        return np.bincount(counted, minlength=len(self.kinds)).astype(float)

    def memory(self, side: HostSide) -> Floats:
        """Time for which the DRAM is busy in each kind of task, shape (I, N) [s]."""
        menu, chosen = self.menu, side.chosen
        memory = np.empty_like(side.time)
        self.loops["memory_side"](
            chosen.dram, chosen.launch, menu.first, menu.streamed, menu.apart_bytes, menu.apart_launches,
            self.kernel_of, self.stream_first, self.stream_moved, self.again, chosen.place, memory,
        )  # fmt: skip
        return memory

    def energy(self, chosen: Chosen, weights: Floats) -> Floats:
        """Dynamic energy of tasks, each kind `weights` times, shape (I,) [1]; at N designs, shape (N,) [J]."""
        found = np.zeros(len(chosen.clock))
        self.loops["gather_side"](weights, self.menu.first, self.kernel_of, self._begin, self._energies,
                                  chosen.place, found)  # fmt: skip
        return found

    @functools.cached_property
    def _energies(self) -> Floats:
        """Energy of every kind of task with each of its kernels [J], as `pimmodel.schedule.energy` has it."""
        work, menu, system = self.work, self.menu, self.work.system
        bits = system.memory.energy
        assert bits is not None, "checked by the caller"
        kernel_of = np.repeat(np.arange(len(menu)), np.diff(menu.first))
        shapes = work.host_tasks.shapes
        macs = np.array([float(shape.macs) for shape in shapes])[kernel_of]
        edges = np.array([shape.r for shape in shapes])[kernel_of]
        arithmetic = np.append(kernel_arithmetic(work, macs, edges, menu.algorithm, menu.tensor_cores), 0.0)
        each = []
        for kind, places in enumerate(self._places):
            traffic = self._traffic[places] + self.stream_bytes[kind] + self.again[kind]
            moved = activate_energy(traffic=traffic, activate_bit=bits.activate,
                                    row_columns=system.memory.organisation.columns_per_row,
                                    used_columns=system.controller.host_columns)  # fmt: skip
            moved = moved + transfer_energy(
                traffic=traffic, bit_energy=bits.cell + bits.column_to_group + bits.group_to_io + bits.io
            )
            lanes = arithmetic_energy(operations=self._operations[kind], operation_energy=system.gpu.flop_energy)
            each.append(arithmetic[places] + lanes + moved)
        return np.concatenate(each)
