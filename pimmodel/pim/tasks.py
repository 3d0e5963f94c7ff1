"""Times of PIM-eligible tasks on the PIM, as arrays over tasks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pimmodel.dram.refresh import stream_availability
from pimmodel.hardware.system import System
from pimmodel.network.training import ELEMENT_BYTES, Precision, Task
from pimmodel.pim.bandwidth import pim_bandwidth, pim_stream_time
from pimmodel.roofline.host import Floats


def pim_operation_rate(system: System, precision: Precision) -> float:
    """Arithmetic operations per second of all PIM units together [1/s]."""
    pim = system.pim
    lanes = pim.simd_bytes / ELEMENT_BYTES[precision]
    return system.memory_channels * pim.units_per_channel * lanes * pim.operations_per_lane * pim.clock


def pim_times(tasks: Sequence[Task], system: System, precision: Precision) -> Floats:
    """Time of each task on the PIM with exclusive access to the memory; NaN for host tasks.

    Returns
    -------
    Array of shape (T,) [s].
    """
    available = stream_availability(system.memory.timing, system.controller.refresh)
    bandwidth = available * pim_bandwidth(
        units=system.pim.units_per_channel,
        channels=system.memory_channels,
        column_bytes=system.memory.organisation.bytes_per_column,
        clock=system.memory.clock,
        cadence=system.pim_cadence,
    )
    owner = np.repeat(np.arange(len(tasks)), [len(task.passes) for task in tasks])
    passes = [one for task in tasks for one in task.passes]
    per_pass = pim_stream_time(
        traffic=np.array([one.bytes_read + one.bytes_written for one in passes], dtype=float),
        bandwidth=bandwidth,
        operations=np.array([one.operations for one in passes], dtype=float),
        operation_rate=pim_operation_rate(system, precision),
    )
    times = np.bincount(owner, weights=per_pass, minlength=len(tasks))
    return np.where([task.on_host_only for task in tasks], np.nan, times)
