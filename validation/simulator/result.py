"""Results of a simulation: counts over a number of clocks, and the rates that follow from them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class SimulationResult:
    """Counts over `cycles` clocks, after the warm-up.

    cycles : clocks that were counted [clock]
    generated, queued : host requests generated, and those queued at the end
    queued_before : host requests queued when counting began (generated + queued_before = served + queued)
    served, served_reads, served_writes : host columns issued
    pim_steps : column steps of the PIM
    active_units, units : units that take part in a step, and units of the kernel (they differ under `partitioned`)
    switches : changes of the owner that began
    row_hits, row_misses, row_conflicts : served requests that needed no row command of their own, an activate, a
        precharge as well
    activates, pim_activates, precharges : activates by the host, banks opened by the PIM, banks closed by any command
    stall_cycles : clocks in which the host might not generate, window or queue being full [clock]
    refreshes : REF or REFPB commands
    host_clocks, pim_clocks : clocks in which each owned the channel; switches and refreshes are in neither [clock]
    mean_latency, mean_read_latency : generation to last data beat, of all requests and of reads; NaN if none [clock]
    latency_histogram : requests by latency in clocks, the last bin holding all longer ones
    trace : command trace (`pimmodel.validation.trace`), if asked for; it includes the warm-up
    """

    cycles: int
    generated: int
    queued: int
    queued_before: int
    served_reads: int
    served_writes: int
    pim_steps: int
    active_units: int
    units: int
    switches: int
    row_hits: int
    row_misses: int
    row_conflicts: int
    activates: int
    pim_activates: int
    precharges: int
    stall_cycles: int
    refreshes: int
    host_clocks: int
    pim_clocks: int
    mean_latency: float
    mean_read_latency: float
    latency_histogram: np.ndarray
    trace: np.ndarray | None = None

    @property
    def served(self) -> int:
        """Host requests served."""
        return self.served_reads + self.served_writes

    @property
    def host_rate(self) -> float:
        """Host requests served per clock [1/clock]."""
        return self.served / self.cycles

    @property
    def pim_step_rate(self) -> float:
        """Column steps per clock, counting a step by the share of units that take part [1/clock]."""
        return self.pim_steps / self.cycles * (self.active_units / self.units if self.units else 0.0)

    @property
    def switches_per_kilocycle(self) -> float:
        """Changes of the owner per 1000 clocks [1/kclock]."""
        return 1000 * self.switches / self.cycles

    @property
    def activates_per_request(self) -> float:
        """Host activates per served request; 0 if none was served [1]."""
        return self.activates / self.served if self.served else 0.0

    @property
    def stall_share(self) -> float:
        """Share of clocks in which the host might not generate [1]."""
        return self.stall_cycles / self.cycles

    def to_dict(self) -> dict[str, Any]:
        """All counts and rates as plain numbers, without histogram and trace."""
        plain = {k: v for k, v in asdict(self).items() if k not in ("latency_histogram", "trace")}
        rates = ("served", "host_rate", "pim_step_rate", "switches_per_kilocycle", "activates_per_request")
        return plain | {name: getattr(self, name) for name in (*rates, "stall_share")}


@dataclass(frozen=True)
class PairResult:
    """Completion of a finite amount of host and PIM work under a policy.

    host_clocks : clock of the last data beat of the host's last request, 0 if it had none [clock]
    pim_clocks : clock in which the PIM's last column step is over (its start + cadence), 0 if it had none [clock]
    clocks : when both are complete [clock]
    switches : changes of the owner
    """

    host_clocks: int
    pim_clocks: int
    switches: int

    @property
    def clocks(self) -> int:
        """When both are complete [clock]."""
        return max(self.host_clocks, self.pim_clocks)
