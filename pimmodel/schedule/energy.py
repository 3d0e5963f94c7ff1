"""Energy of a training step: what its traffic and arithmetic take on either side, and what is drawn all the time.

Every joule is counted once:

- DRAM accesses per bit, by how far the bit travels: to the host over column, global I/O and TSV or board; to a PIM unit
  only as far as the unit sits. Opening a row is charged per bit of the row, so that a stream that takes few columns of
  each row pays for the rest of it.
- GPU arithmetic per FLOP. `gpu.flop_energy` includes the movement on the chip and excludes the DRAM (it is what is left
  of the TDP after idle power and the full memory bandwidth, over the peak rate), so no energy of L2 or registers is
  added. A FLOP on tensor cores costs `gpu.tensor_flop_energy`, made in the same way from the tensor peak: an estimate.
  Winograd kernels are charged for the products that they make, not for those of the direct sum.
- PIM arithmetic per operation, of the precision of the tensors; a weight update is always fp32.
- All the time: refresh, DRAM with rows open (IDD3N), and the board's idle power less what its idle memory draws
  (IDD2N and refresh), which that reading includes.

Known error. No measured power is in what we hold to compare with; the inputs marked as estimates (idle power, FLOP
energies of `models/gpus`) have no known error. Left out, all of it making the figures too low: movement on the chip of
streaming kernels (0.3 pJ/bit for L2 and 0.16 for L1 in AttAcc's table, 3 W at 900 GB/s); arithmetic on padding and of
Winograd transforms; clocks and leakage of a GPU that is busy but not computing; rows opened again after the memory
changes hands. For the last, the host opens a row for every 4 columns while both run with thresholds 16 and 58
(`activates_per_request` of `pimmodel.sharing`), which adds 0.8 pJ to the 3.59 pJ/bit of that traffic; who knows the
number passes it as `host_columns`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pimmodel.errors import PimModelError
from pimmodel.hardware.memory import MemoryCurrents, MemoryEnergy
from pimmodel.hardware.system import System
from pimmodel.network.training import Precision
from pimmodel.pim.order import batches_of
from pimmodel.pim.tasks import Signature, pim_kernel
from pimmodel.roofline.conv import ALGORITHMS
from pimmodel.roofline.host import host_tasks, host_work
from pimmodel.roofline.winograd import FUSED_EDGE, NON_FUSED_EDGE
from pimmodel.schedule.energy_formulas import (
    activate_energy,
    arithmetic_energy,
    board_static_power,
    refresh_power,
    standby_power,
    static_energy,
    transfer_energy,
    winograd_saving,
)
from pimmodel.schedule.result import Schedule
from pimmodel.schedule.tasks import Bools, Floats, Ints
from pimmodel.schedule.workload import Workload

if TYPE_CHECKING:
    import pandas as pd

HOST_PARTS = ("gpu_arithmetic", "host_activate", "host_column", "host_io")
PIM_PARTS = ("pim_arithmetic", "pim_activate", "pim_column")
STATIC_PARTS = ("dram_standby", "dram_refresh", "gpu_static")


@dataclass(frozen=True, eq=False)
class TaskEnergy:
    """Dynamic energy of T tasks on either side, arrays of shape (T,) [J].

    host, pim : whole; on the PIM NaN for tasks that run on the host only. Where a placement was given, 0 on the side on
        which a task does not run
    host_parts, pim_parts : by `HOST_PARTS` and `PIM_PARTS`
    """

    host: Floats
    pim: Floats
    host_parts: dict[str, Floats] = field(repr=False)
    pim_parts: dict[str, Floats] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Energy:
    """Energy of one step.

    parts : by name [J]: `HOST_PARTS`, `PIM_PARTS`, `STATIC_PARTS`
    host, pim : dynamic energy of each task on the side where it runs, 0 on the other, shape (T,) [J]
    makespan : time of the step [s]
    """

    parts: dict[str, float]
    host: Floats = field(repr=False)
    pim: Floats = field(repr=False)
    makespan: float

    @property
    def total(self) -> float:
        """All parts together [J]."""
        return float(sum(self.parts.values()))

    @property
    def dynamic(self) -> float:
        """Of accesses and arithmetic, the part that does not depend on the time of the step [J]."""
        return float(self.host.sum() + self.pim.sum())

    @property
    def static(self) -> float:
        """Of what is drawn all the time [J]."""
        return sum(self.parts[name] for name in STATIC_PARTS)

    @property
    def average_power(self) -> float:
        """Energy over time [W]; 0 for an empty step."""
        return self.total / self.makespan if self.makespan > 0 else 0.0

    @property
    def delay_product(self) -> float:
        """Energy times the time of the step [J s]."""
        return self.total * self.makespan

    def to_frame(self) -> pd.DataFrame:
        """One row per part, energy in J and share of the total."""
        import pandas as pd

        values = list(self.parts.values())
        whole = self.total or 1.0
        rows = {"part": list(self.parts), "energy_J": values, "share": [one / whole for one in values]}
        return pd.DataFrame(rows).set_index("part")


def static_powers(system: System) -> dict[str, float]:
    """Power drawn all the time, by `STATIC_PARTS` [W].

    >>> from pimmodel.hardware.load import load_system
    >>> {name: round(watts, 2) for name, watts in static_powers(load_system("v100-bankgroup-pim")).items()}
    {'dram_standby': 2.11, 'dram_refresh': 0.67, 'gpu_static': 39.79}

    Raises
    ------
    PimModelError : the memory's description has no currents.
    """
    currents, timing, channels = _currents(system), system.memory.timing, system.memory_channels
    supply = {"channels": channels, "voltage": currents.VDD}
    refresh = 0.0
    if system.controller.refresh != "off":
        refresh = float(refresh_power(**supply, refresh_current=currents.IDD5AB, standby_current=currents.IDD3N,
                                      tRFC=timing.tRFC, tREFI=timing.tREFI))  # fmt: skip
    idle = float(standby_power(**supply, standby_current=currents.IDD2N)) + refresh
    return {
        "dram_standby": float(standby_power(**supply, standby_current=currents.IDD3N)),
        "dram_refresh": refresh,
        "gpu_static": float(board_static_power(board_power=system.gpu.idle_power, memory_power=idle)),
    }


def task_energy(work: Workload, on_pim: Bools | None = None, *, chunks: Ints | None = None,
                host_columns: Floats | float | None = None) -> TaskEnergy:  # fmt: skip
    """Dynamic energy of every task of a step.

    Parameters
    ----------
    work : T tasks on a system
    on_pim : placement, shape (T,); default: what each would take on either side
    chunks : chunks of the CONV tasks, shape (T,) [1]; default: whole. More chunks read some tensors again
    host_columns : columns that the host takes per row opened, one number or shape (T,) [1]; default: the controller's
        `host_columns`

    Raises
    ------
    PimModelError : the memory's description has no energy per bit, or a task is placed where it cannot run.
    """
    if on_pim is not None and np.any(on_pim & work.conv):
        name = work.tasks[int(np.flatnonzero(on_pim & work.conv)[0])].name
        raise PimModelError(f"{name} runs on the host only")
    whole = np.ones(len(work), dtype=np.int64) if chunks is None else np.asarray(chunks)
    whole = np.where(work.conv, whole, 1)  # other tasks run in one piece on the host
    columns = work.system.controller.host_columns if host_columns is None else host_columns
    energy = _bits(work.system)
    traffic = work.host_at(whole).dram_bytes
    host = {
        "gpu_arithmetic": _gpu_arithmetic(work),
        "host_activate": activate_energy(traffic=traffic, activate_bit=energy.activate,
                                         row_columns=work.system.memory.organisation.columns_per_row,
                                         used_columns=columns),
        "host_column": transfer_energy(traffic=traffic, bit_energy=energy.cell + energy.column_to_group),
        "host_io": transfer_energy(traffic=traffic, bit_energy=energy.group_to_io + energy.io),
    }  # fmt: skip
    pim = dict(_pim_parts(work))
    if on_pim is not None:
        host = {name: np.where(on_pim, 0.0, values) for name, values in host.items()}
        pim = {name: np.where(on_pim, values, 0.0) for name, values in pim.items()}
    return TaskEnergy(_added(host), _added(pim), host, pim)


def placed_energy(work: Workload, on_pim: Bools, makespan: float, *, chunks: Ints | None = None,
                  host_columns: Floats | float | None = None) -> Energy:  # fmt: skip
    """Energy of a step whose placement and time are known: of `gpu-only` and `serial` too, which need no schedule.

    >>> import numpy as np
    >>> from pimmodel.hardware.load import load_system
    >>> from pimmodel.load import load_network
    >>> from pimmodel.network.training import training_step
    >>> from pimmodel.schedule.workload import workload
    >>> work = workload(training_step(load_network("resnet18", batch=8)), load_system("v100-bankgroup-pim"), "fp32")
    >>> on_gpu = placed_energy(work, np.zeros(len(work), dtype=bool), work.host[1].time.sum())
    >>> serial = placed_energy(work, ~work.conv, np.where(work.conv, work.host[1].time, work.pim).sum())
    >>> serial.total < on_gpu.total
    True

    Parameters (`on_pim`, `chunks`, `host_columns`), their shapes and the errors are those of `task_energy`; `makespan`
    is the time of the step [s].
    """
    tasks = task_energy(work, on_pim, chunks=chunks, host_columns=host_columns)
    parts = {name: float(values.sum()) for name, values in (tasks.host_parts | tasks.pim_parts).items()}
    for name, watts in static_powers(work.system).items():
        parts[name] = float(static_energy(power=watts, step_time=makespan))
    return Energy(parts, tasks.host, tasks.pim, float(makespan))


def step_energy(work: Workload, schedule: Schedule) -> Energy:
    """Energy of a schedule of a step.

    Parameters
    ----------
    work : the workload that was scheduled (under `partitioned` the one with copies)
    schedule : its placement, chunks and time

    Raises
    ------
    PimModelError : the memory's description lacks energy per bit or currents.
    """
    return placed_energy(work, schedule.on_pim, schedule.makespan, chunks=schedule.chunks)


def _added(parts: dict[str, Floats]) -> Floats:
    return np.asarray(np.sum(list(parts.values()), axis=0))


def _bits(system: System) -> MemoryEnergy:
    if system.memory.energy is None:
        raise PimModelError(f"memory {system.memory.name} has no `energy` (J/bit of each step of an access)")
    return system.memory.energy


def _currents(system: System) -> MemoryCurrents:
    if system.memory.currents is None:
        raise PimModelError(f"memory {system.memory.name} has no `currents` (VDD, IDD2N, IDD3N, IDD5AB)")
    return system.memory.currents


@functools.lru_cache(maxsize=16)
def _gpu_arithmetic(work: Workload) -> Floats:
    """Energy of the arithmetic of every task on the GPU, shape (T,) [J]; a workload is compared by identity."""
    described = host_tasks(work.tasks, work.precision)
    gpu = work.system.gpu
    lanes = np.bincount(described.owner, weights=described.operations, minlength=len(work))
    found = np.asarray(arithmetic_energy(operations=lanes, operation_energy=gpu.flop_energy), dtype=float)
    kernels = host_work(described, work.system).kernels
    if kernels is None:
        return found
    edges = np.array([shape.r for shape in described.shapes])
    each = kernel_arithmetic(work, kernels.macs, edges, kernels.algorithm, kernels.tensor_cores)
    return found + np.where(work.conv, each[described.kernel_of], 0.0)


def kernel_arithmetic(work: Workload, macs: Floats, edges: Ints, algorithm: Ints, tensor_cores: Bools) -> Floats:
    """Energy of the arithmetic of kernels on the GPU of a workload, arrays of one shape [J].

    Parameters
    ----------
    work : decides the system and the precision
    macs : multiply-accumulates of the layer [1]
    edges : edge of its filter [1]
    algorithm, tensor_cores : of the kernel, as in `pimmodel.roofline.conv.ConvKernels` [1]
    """
    gpu = work.system.gpu
    operation = np.where(tensor_cores, _tensor_flop_energy(work.system, work.precision), gpu.flop_energy)
    made = 2 * macs / _saving(edges, algorithm)
    return np.asarray(arithmetic_energy(operations=made, operation_energy=operation))


def _tensor_flop_energy(system: System, precision: Precision) -> float:
    """Energy of a tensor-core FLOP [J]: the file's for fp16, else from fp32; tf32 takes more as its peak is lower."""
    gpu, peak = system.gpu, system.gpu.tensor_peak(precision)
    if peak is None:
        return gpu.flop_energy
    if gpu.tensor_flop_energy is None or gpu.fp16_tensor_peak is None:
        return gpu.flop_energy * gpu.fp32_peak / peak
    return gpu.tensor_flop_energy * gpu.fp16_tensor_peak / peak


def _saving(edges: Ints, algorithm: Ints) -> Floats:
    """Products of the direct sum over those that kernels of filters with these edges make [1]."""
    fused, apart = (algorithm == ALGORITHMS.index(name) for name in ("winograd", "winograd_nonfused"))
    return np.select(
        [fused, apart],
        [winograd_saving(patch_edge=edge, filter_edge=edges) for edge in (FUSED_EDGE, NON_FUSED_EDGE)],
        1.0,
    )


@functools.lru_cache(maxsize=16)
def _pim_parts(work: Workload) -> dict[str, Floats]:
    """Energy of every task on the PIM by part, shape (T,) each, NaN for host tasks [J]."""
    pim, energy = work.system.pim, _bits(work.system)
    known: dict[Signature | None, float] = {None: np.nan}
    for one in work.signatures:
        if one is not None and one not in known:
            known[one] = used_columns(one, work.system)
    columns = np.array([known[one] for one in work.signatures])
    traffic = np.where(work.conv, np.nan, [float(task.bytes) for task in work.tasks])
    operations = np.array([float(sum(one.operations for one in task.passes)) for task in work.tasks])
    single = pim.operation_energy if pim.fp32_operation_energy is None else pim.fp32_operation_energy
    wide = np.array([work.precision != "fp16" or task.phase == "UPD" for task in work.tasks])
    opened = min(energy.activate, pim.access_energy)  # a design's access energy includes one opening of whole rows
    return {
        "pim_arithmetic": arithmetic_energy(operations=np.where(work.conv, np.nan, operations),
                                            operation_energy=np.where(wide, single, pim.operation_energy)),
        "pim_activate": activate_energy(traffic=traffic, activate_bit=opened,
                                        row_columns=work.system.memory.organisation.columns_per_row,
                                        used_columns=columns),
        "pim_column": transfer_energy(traffic=traffic, bit_energy=pim.access_energy - opened),
    }  # fmt: skip


def used_columns(passes: Signature, system: System) -> float:
    """Columns that a kernel on the PIM takes per row opened, mean over its operands [1].

    Operands in distinct banks keep their rows open; in the same bank a row is opened again for every batch of columns
    that the registers hold.

    >>> from pimmodel.hardware.load import load_system
    >>> one = ((False, False, True),)  # two operands read, one written; rows of 32 columns, 8 registers
    >>> used_columns(one, load_system("v100-bankgroup-pim")), used_columns(one, load_system("v100-bank-pim"))
    (32.0, 8.0)
    """
    kernel = pim_kernel(passes, system)
    operands = [len(one.operands) for one in kernel.passes]
    opened = [count * (len(batches_of(kernel, count)) if kernel.placement == "same" else 1) for count in operands]
    return sum(operands) * kernel.columns_per_row / sum(opened)
