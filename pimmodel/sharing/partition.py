r"""`partitioned`: the upper half of each group's banks belongs to the PIM, the lower half to the host.

No side closes the other's rows. They meet on the column path (`pimmodel.sharing.column_path`) and at the activate
limits: while both open rows, activates go by turns, so that one side's come later by the share of slots that the other
takes. The host's window ends what waits may cost it: the outstanding requests are those queued for its own rows, those
in flight, and those that wait for the column path, :math:`W = q(x) + x\,(t_{data} + t_{path}(x))`, with the path a
server of at most x_c columns per clock (even service: :math:`t_{path} = \rho / (2 (1 - \rho) x_c)`, rho = x / x_c).
Each side is solved with the other's rate, twice over.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pimmodel.dram.rows import activate_interval
from pimmodel.dram.service import refreshed, row_times, service_curve
from pimmodel.hardware.memory import MemoryTiming
from pimmodel.pim.kernel import kernel_speed
from pimmodel.pim.order import unit_banks
from pimmodel.pim.recurrence import Recurrence
from pimmodel.scenario import PimKernel, Scenario
from pimmodel.sharing.column_path import (
    column_capacity,
    column_wait,
    delays_of,
    host_pace,
    progress,
    stretched,
)

_ROUNDS, _POINTS = 2, 400


@dataclass(frozen=True)
class Beside:
    """Host and PIM beside each other, and each alone in its banks.

    host, host_alone : requests per clock [1/clock]
    pim, pim_alone : column steps per clock, a step of fewer units counting by their share [1/clock]
    activates : host activates per request [1]
    """

    host: float
    host_alone: float
    pim: float
    pim_alone: float
    activates: float


def host_beside(
    scenario: Scenario, timing: MemoryTiming, banks: int, capacity: float, wait: float = 0.0
) -> tuple[float, float]:
    """Requests per clock of the host beside steps, and its activates per request.

    Parameters
    ----------
    scenario : stream, queue, refresh
    timing : the part as the host sees it
    banks : banks that it may use
    capacity : columns per clock that the path leaves it [1/clock]
    wait : clocks that a column waits for the path though no other host column does [clock]
    """
    stream, queue = scenario.stream, scenario.queue
    late = round(wait)
    if late:
        timing = timing.model_copy(update={"tRCDRD": timing.tRCDRD + late, "tRCDWR": timing.tRCDWR + late})
    curve = service_curve(timing, scenario.organisation, stream, queue.room, banks)
    times = row_times(timing, stream)
    queued = np.arange(len(curve.rate), dtype=float)
    rates = np.linspace(0, min(capacity, curve.rate[-1]), _POINTS + 2)[1:-1]
    own = np.interp(rates, curve.rate, queued)
    path = rates / capacity / (2 * (1 - rates / capacity)) / capacity
    most = float(np.interp(queue.window, own + rates * (times.data + path), rates))
    available = refreshed(timing, scenario.refresh, banks, times.opening + timing.tRAS)
    rate = min(stream.rate, most * available)
    at = int(np.clip(np.interp(rate, rates, own).round(), 0, len(queued) - 1))
    return rate, float(curve.activates_per_request[at])


def activates_per_step(kernel: PimKernel, units: int) -> float:
    """Activate commands per column step [1]."""
    operands = max(len(one.operands) for one in kernel.passes)
    alternating = kernel.placement == "same" and operands > 1
    steps = min(kernel.registers, kernel.columns_per_row) if alternating else kernel.columns_per_row
    return (1 if kernel.all_bank_activate else units) / steps


@lru_cache(maxsize=1024)
def partitioned(scenario: Scenario) -> Beside:
    """Both rates under `partitioned`.

    Known error of a pair's time on 80 random pairs (seeds 21 and 22, not looked at before; `pimmodel validate
    contention`, "pair time, partitioned"): median 1.1 %, p90 11 %, p95 17 %, worst 30 %.
    """
    timing, organisation, kernel = scenario.timing, scenario.organisation, scenario.kernel
    stream, refresh = scenario.stream, scenario.refresh
    first = organisation.banks_per_group - organisation.banks_per_group // 2
    banks = first * organisation.bank_groups
    units = len(unit_banks(organisation, kernel, first))
    share = units / kernel.units
    apart = Recurrence(timing, organisation, kernel, refresh, first).apart
    pace = host_pace(timing, stream, scenario.queue.window)
    slot = float(activate_interval(tRRD=timing.tRRD_S, tFAW=timing.tFAW))
    alone = kernel_speed(timing, organisation, kernel, refresh, first).rate
    run = progress(timing, organisation, kernel, refresh, first, delays_of(timing, apart, 0.0, pace, 1e-6))
    pim_slower = host_slower = 1.0
    host = activates = pim = 0.0
    for _ in range(_ROUNDS):
        room = column_capacity(
            timing, organisation, kernel, refresh, first, stream.write_share, pace, pim_slower
        )  # fmt: skip
        wait = column_wait(timing, run, stream.write_share)
        host, activates = host_beside(scenario, stretched(timing, host_slower), banks, room, wait)
        delays = delays_of(timing, apart, stream.write_share, pace, max(host, 1e-6))
        run = progress(stretched(timing, pim_slower), organisation, kernel, refresh, first, delays)
        pim = run.steps / run.clocks
        pim_slower = 1 + min(1.0, host * activates * slot)
        host_slower = 1 + min(1.0, pim * activates_per_step(kernel, units) * slot)
    host_alone, _ = host_beside(scenario, timing, banks, 1 / timing.tCCD_S)
    return Beside(host, host_alone, pim * share, alone * share, activates)
