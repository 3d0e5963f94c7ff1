"""One training step on one system: the time of every task on both sides, before any policy says who runs what."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import networkx as nx

from pimmodel.errors import PimModelError
from pimmodel.hardware.system import System
from pimmodel.network.network import Network
from pimmodel.network.training import Optimizer, Precision, Task, TrainingOptions, training_step
from pimmodel.pim.tasks import pim_times
from pimmodel.roofline.host import Floats, HostTasks, HostWork, host_tasks, host_work
from pimmodel.schedule.bound import Bound, lower_bound

if TYPE_CHECKING:
    from pimmodel.optimize.search import Optimum
    from pimmodel.schedule.workload import Workload


@dataclass(frozen=True, eq=False)
class Step:
    """One training step with the time of every task on both sides: what all policies work on."""

    network: Network
    system: System
    options: TrainingOptions
    graph: nx.DiGraph = field(repr=False)

    @functools.cached_property
    def tasks(self) -> list[Task]:
        """All tasks in the order of the graph."""
        return [task for _, task in self.graph.nodes(data="task")]

    @functools.cached_property
    def host_tasks(self) -> HostTasks:
        """The kernels that the host would run for each task."""
        return host_tasks(self.tasks, self.options.precision)

    @functools.cached_property
    def host_work(self) -> HostWork:
        """Time, memory use and kernels of each task on the host."""
        return host_work(self.host_tasks, self.system)

    @property
    def host(self) -> Floats:
        """Time of each task on the host, shape (T,) [s]."""
        return self.host_work.time

    @functools.cached_property
    def pim(self) -> Floats:
        """Time of each task on the PIM, shape (T,), NaN for host tasks [s]."""
        return pim_times(self.tasks, self.system, self.options.precision)

    @functools.cached_property
    def workload(self) -> Workload:
        """The step as schedules see it: tasks whole and in chunks, and what shares the memory with what."""
        from pimmodel.schedule.workload import workload

        return workload(self.graph, self.system, self.options.precision, known=(self.host_tasks, self.host_work))

    @functools.cached_property
    def optimum(self) -> Optimum:
        """Thresholds, chunks and placement chosen for least time."""
        from pimmodel.optimize.search import optimize_plan

        return optimize_plan(self.workload)

    @functools.cached_property
    def bound(self) -> Bound:
        """Lower bound over all placements and schedules."""
        return lower_bound(self.graph, self.host, self.pim, self.host_work.memory)

    def on(self, system: System) -> Step:
        """The same step on another system; the network's part is shared."""
        return dataclasses.replace(self, system=system)


def prepare(
    network: Network,
    system: System,
    *,
    precision: Precision = "fp32",
    optimizer: Optimizer = "sgd-momentum",
    fuse_activation: bool = False,
) -> Step:
    """Expand the training step once, for estimates under several policies."""
    for what, given, kind in (("network", network, Network), ("system", system, System)):
        if not isinstance(given, kind):
            raise PimModelError(f"{what} is {given!r}; allowed: what load_{what} returns")
    options = TrainingOptions(precision, optimizer, fuse_activation)
    graph = training_step(network, options)
    if not graph:
        raise PimModelError(f"network {network.name}: there is nothing to train")
    return Step(network, system, options, graph)


def checked_thresholds(system: System, thresholds: tuple[int, int]) -> tuple[int, int]:
    """A threshold pair (theta_low, theta_high) that the controller can have [1].

    Raises
    ------
    PimModelError : it cannot have this one.
    """
    room = system.controller.room
    if len(thresholds) != 2 or not 0 <= thresholds[0] < thresholds[1] <= room:
        raise PimModelError(f"thresholds are {thresholds}; allowed: 0 <= theta_low < theta_high <= {room}, the smaller"
                            " of the controller's queue and window")  # fmt: skip
    return int(thresholds[0]), int(thresholds[1])
