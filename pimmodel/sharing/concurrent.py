r"""Host and PIM on one channel at the same time: `partitioned` banks, and `uncoordinated` access to all banks.

`partitioned`: see `pimmodel.sharing.partition`. `uncoordinated` is a first-order form only: a PIM under a host of x
columns per clock makes at most (1 - x tCCD_L)/tCCD_L steps per clock, a host beside a PIM that never pauses at most
1/(2 tCCD_L) columns, and each closes the other's rows. Their errors: `pimmodel validate contention`, pair times.
"""

from __future__ import annotations

from typing import Any

from pimmodel.dram.service import row_times, service_curve, sustained_rate
from pimmodel.formula import formula, sp
from pimmodel.pim.kernel import kernel_speed
from pimmodel.scenario import Rates, Scenario
from pimmodel.sharing.partition import partitioned


@formula
def shared_column_path(service: Any, tCCD_L: Any, work_rate: Any) -> Any:
    r"""Column steps per clock beside a host of mu columns per clock.

    .. math:: \min(\rho_P,\ (1 - \mu t_{CCD\_L}) / t_{CCD\_L})

    Symbols: mu host columns per clock [1/clock], tCCD_L [clock], rho_P steps per clock alone [1/clock]. Returns
    [1/clock]. Validity: mu <= 1 / (2 tCCD_L). Source: alternation of the two on one column path.
    """
    return sp.Max(0, sp.Min(work_rate, (1 - service * tCCD_L) / tCCD_L))


@formula
def row_interference(activates: Any, overhead: Any) -> Any:
    r"""Share of its rate that a side keeps when the other closes its rows A times per clock.

    .. math:: 1 / (1 + A t_{over})

    Symbols: A closings per clock [1/clock], t_over clocks lost by one [clock]. Returns [1].
    Validity: closings independent of progress. Source: renewal argument.
    """
    return 1 / (1 + activates * overhead)


def concurrent_rates(scenario: Scenario, host_alone: float, pim_alone: float) -> Rates:
    """Rates under `partitioned` or `uncoordinated`."""
    if scenario.policy.kind == "partitioned":
        beside = partitioned(scenario)
        host, steps, activates = beside.host, beside.pim, beside.activates
    else:
        host, steps, activates = _uncoordinated(scenario)
    return Rates(
        host_rate=host, host_alone=host_alone, pim_rate=steps / pim_alone, pim_alone=pim_alone,
        switches_per_kilocycle=0.0, activates_per_request=activates,
        host_stall_share=max(0.0, 1 - host / max(scenario.stream.rate, 1e-12)),
    )  # fmt: skip


def rates_when_left(scenario: Scenario, rates: Rates) -> tuple[float, float]:
    """Rates of host and PIM once the other has finished; under `partitioned` each stays in its banks [1/clock]."""
    if scenario.policy.kind == "partitioned":
        beside = partitioned(scenario)
        return beside.host_alone, beside.pim_alone
    return rates.host_alone, rates.pim_alone


def _uncoordinated(scenario: Scenario) -> tuple[float, float, float]:
    """Host requests and column steps per clock, and host activates per request."""
    timing, organisation, kernel = scenario.timing, scenario.organisation, scenario.kernel
    per_unit = organisation.banks // kernel.units
    sustained = sustained_rate(timing, organisation, scenario.stream, scenario.queue.window, scenario.refresh,
                               capacity=scenario.queue.capacity)  # fmt: skip
    speed = kernel_speed(timing, organisation, kernel, scenario.refresh)
    host = min(scenario.stream.rate, sustained, 1 / (2 * timing.tCCD_L))
    curve = service_curve(timing, organisation, scenario.stream, scenario.queue.window)
    activates = float(curve.activates_per_request[min(scenario.queue.window, len(curve.rate) - 1) // 2])
    steps = float(shared_column_path(service=host, tCCD_L=float(timing.tCCD_L), work_rate=speed.rate))
    times = row_times(timing, scenario.stream)
    used = min(1.0, max(len(one.operands) for one in kernel.passes) / per_unit)
    lost = times.row_time + timing.tRP + speed.resume
    steps *= float(row_interference(activates=host * activates * used, overhead=lost))
    openings = steps / (kernel.columns_per_row if kernel.placement == "distinct" else kernel.registers)
    host *= float(row_interference(activates=openings * used / max(1, scenario.stream.spread), overhead=lost / 8))
    return host, steps, activates
