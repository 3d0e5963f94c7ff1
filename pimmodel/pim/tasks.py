"""PIM-eligible tasks on the PIM: the kernel that each of them is, its column steps, and its time alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pimmodel.hardware.system import System
from pimmodel.network.training import ELEMENT_BYTES, Precision, Task
from pimmodel.pim.bandwidth import pim_stream_time
from pimmodel.pim.kernel import kernel_speed
from pimmodel.roofline.host import Floats
from pimmodel.scenario import PimKernel, PimOperand, PimPass

# Which operands of every pass are written: all that the time per column step depends on.
Signature = tuple[tuple[bool, ...], ...]


def pim_operation_rate(system: System, precision: Precision) -> float:
    """Arithmetic operations per second of all PIM units together [1/s]."""
    pim = system.pim
    lanes = pim.simd_bytes / ELEMENT_BYTES[precision]
    return system.memory_channels * pim.units_per_channel * lanes * pim.operations_per_lane * pim.clock


def signature(task: Task) -> Signature:
    """Passes of a task, each as whether its operands are written, reads first."""
    return tuple((False,) * len(one.reads) + (True,) * len(one.writes) for one in task.passes)


def pim_kernel(passes: Signature, system: System) -> PimKernel:
    """The kernel of a task on one channel, a row of every operand per pass.

    A pass with more operands than a unit has banks to keep them apart in is cut into several.
    """
    pim = system.pim
    most = system.memory.organisation.banks // pim.units_per_channel if pim.operand_placement == "distinct" else 99
    parts = [one[at : at + most] for one in passes for at in range(0, len(one), most)]
    return PimKernel(
        passes=tuple(PimPass(operands=tuple(PimOperand(write=write) for write in part)) for part in parts),
        units=pim.units_per_channel, cadence=system.pim_cadence,
        columns_per_row=system.memory.organisation.columns_per_row, registers=pim.registers,
        placement=pim.operand_placement, row_switch=pim.row_switch, all_bank_activate=pim.all_bank_activate,
        mode_switch=pim.mode_switch_cycles,
    )  # fmt: skip


def column_steps(tasks: Sequence[Task], system: System) -> Floats:
    """Column steps of each task on every channel, a column of every unit at once, shape (T,) [1]."""
    per_step = system.memory_channels * system.pim.units_per_channel * system.memory.organisation.bytes_per_column
    return np.array([task.bytes for task in tasks], dtype=float) / per_step


def pim_times(tasks: Sequence[Task], system: System, precision: Precision) -> Floats:
    """Time of each task on the PIM with exclusive access to the memory; NaN for host tasks.

    Its column steps at the rate of its kernel (rows opened, turnarounds and refresh included), or its arithmetic where
    that takes longer.

    Returns
    -------
    Array of shape (T,) [s].
    """
    memory, refresh = system.memory, system.controller.refresh
    steps = column_steps(tasks, system)
    signatures = [None if task.on_host_only else signature(task) for task in tasks]
    rate_of: dict[Signature | None, float] = {None: np.nan}
    for one in signatures:
        if one is not None and one not in rate_of:
            rate_of[one] = kernel_speed(memory.timing, memory.organisation, pim_kernel(one, system), refresh).rate
    rates = np.array([rate_of[one] for one in signatures])
    times: Floats = pim_stream_time(
        traffic=steps, bandwidth=rates * memory.clock,
        operations=np.array([sum(one.operations for one in task.passes) for task in tasks], dtype=float),
        operation_rate=pim_operation_rate(system, precision),
    )  # fmt: skip
    return times
