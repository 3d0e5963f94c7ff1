"""Host and PIM on one channel at the same time: `partitioned` banks, and `uncoordinated` access to all banks.

See `pimmodel.sharing.partition` and `pimmodel.sharing.uncoordinated`; errors: `pimmodel validate contention`.
"""

from __future__ import annotations

from pimmodel.scenario import Rates, Scenario
from pimmodel.sharing.partition import partitioned
from pimmodel.sharing.uncoordinated import uncoordinated


def concurrent_rates(scenario: Scenario, host_alone: float, pim_alone: float) -> Rates:
    """Rates under `partitioned` or `uncoordinated`."""
    if scenario.policy.kind == "partitioned":
        beside = partitioned(scenario)
        host, steps, activates = beside.host, beside.pim, beside.activates
    else:
        host, steps, activates = uncoordinated(scenario)
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
