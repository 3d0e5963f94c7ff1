"""Times of training-step tasks on the host, as arrays over tasks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pimmodel.dram.refresh import stream_availability
from pimmodel.hardware.system import System
from pimmodel.network.training import Precision, Task
from pimmodel.roofline.basic import roofline_time

Floats = NDArray[np.float64]


def arithmetic_peak(system: System, precision: Precision, *, matrix: bool) -> float:
    """Peak rate of the units that a task runs on [FLOP/s].

    CONV and fully connected work (`matrix`) in fp16 runs on tensor cores where the GPU has them, else on its ordinary
    lanes at their fp16 rate or, where that is slower (consumer Pascal), in fp32 arithmetic; elementwise work is done
    in fp32 by frameworks.
    """
    gpu = system.gpu
    if not matrix or precision == "fp32":
        return gpu.fp32_peak
    return gpu.fp16_tensor_peak or gpu.fp32_peak * max(1.0, gpu.fp16_vector_ratio)


def host_bandwidth(system: System) -> float:
    """DRAM bandwidth that the host can sustain: the peak less refresh [B/s]."""
    available = stream_availability(system.memory.timing, system.controller.refresh)
    return system.peak_bandwidth * available


def host_times(tasks: Sequence[Task], system: System, precision: Precision) -> Floats:
    """Time of each task on the host [s]; every pass of a task is one kernel.

    Parameters
    ----------
    tasks : T tasks of a training step
    system : the hardware
    precision : decides which units do the arithmetic

    Returns
    -------
    Array of shape (T,) [s].
    """
    matrix = np.array([task.on_host_only for task in tasks])
    peaks = (arithmetic_peak(system, precision, matrix=False), arithmetic_peak(system, precision, matrix=True))
    times: Floats = roofline_time(
        work=np.array([task.flops for task in tasks], dtype=float),
        peak=np.where(matrix, peaks[1], peaks[0]),
        traffic=np.array([task.bytes for task in tasks], dtype=float),
        bandwidth=host_bandwidth(system),
        kernels=np.array([len(task.passes) for task in tasks]),
        launch=system.gpu.launch_overhead,
    )
    return times
