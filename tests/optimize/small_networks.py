"""Networks small enough to search exhaustively."""

from __future__ import annotations

from pimmodel.hardware.system import System
from pimmodel.network.network import Network, NetworkBuilder
from pimmodel.network.ops import Activation, BatchNorm, Conv, Input
from pimmodel.network.training import TrainingOptions, training_step
from pimmodel.schedule.workload import Workload, workload


def chain(layers: int = 2, batch: int = 16, channels: int = 64, size: int = 28) -> Network:
    """CONV, batch norm and activation, some times over: layers x 3 CONV tasks less the first data gradient."""
    b = NetworkBuilder("chain")
    x = b.add(Input((batch, 16, size, size)))
    for number in range(layers):
        x = b.add(Conv(channels, (3, 3), padding=(1, 1, 1, 1), bias=False), x, name=f"conv{number}")
        x = b.add(Activation(), b.add(BatchNorm(), x, name=f"bn{number}"), name=f"relu{number}")
    return b.build()


def work_of(network: Network, system: System) -> Workload:
    """Workload of a network's training step."""
    return workload(training_step(network, TrainingOptions()), system, "fp32")
