"""The closed form as a contention model: every sharing policy, scenario in, rates out; and the time of a pair."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pimmodel.dram.service import service_curve, sustained_rate
from pimmodel.pim.kernel import kernel_speed
from pimmodel.scenario import Policy, Rates, Scenario
from pimmodel.sharing.concurrent import concurrent_rates, rates_when_left
from pimmodel.sharing.host_turn import TurnLimits
from pimmodel.sharing.orbit import followed
from pimmodel.sharing.turns import Turns, turn_rates


@dataclass(frozen=True)
class ClosedForm:
    """The closed form as a :class:`pimmodel.scenario.ContentionModel`.

    follow : whether the turns of host and PIM are followed one by one (`pimmodel.sharing.orbit`, some 0.1 s a scenario)
        or taken from one mean cycle (`pimmodel.sharing.turns`, as for whole arrays of thresholds)
    """

    follow: bool = True

    def rates(self, scenario: Scenario) -> Rates:
        """Progress rates of host and PIM in steady state.

        Validity: the domain of `pimmodel.validation.scenarios`. Known error: `pimmodel validate contention`.
        """
        kind = scenario.policy.kind
        host_alone = host_alone_rate(scenario)
        pim_alone = kernel_speed(scenario.timing, scenario.organisation, scenario.kernel, scenario.refresh).rate
        if kind in ("partitioned", "uncoordinated"):
            return concurrent_rates(scenario, host_alone, pim_alone)
        if kind in ("gpu-only", "serial", "pim-first"):
            curve = service_curve(scenario.timing, scenario.organisation, scenario.stream, scenario.queue.room)
            host = 0.0 if kind == "pim-first" else host_alone
            return Rates(
                host_rate=host, host_alone=host_alone, pim_rate=0.0 if kind == "gpu-only" else 1.0,
                pim_alone=pim_alone, switches_per_kilocycle=0.0,
                activates_per_request=float(np.interp(host, curve.rate, curve.activates_per_request)),
                host_stall_share=max(0.0, 1 - host / max(scenario.stream.rate, 1e-12)),
            )  # fmt: skip
        turns = _turns(scenario, self.follow)
        return Rates(
            host_rate=float(turns.host_rate),
            host_alone=host_alone,
            pim_rate=min(1.0, float(turns.pim_steps) / pim_alone),
            pim_alone=pim_alone,
            switches_per_kilocycle=2000 / float(turns.cycle),
            activates_per_request=float(turns.activates_per_request),
            host_stall_share=float(turns.stall_share),
        )


def host_alone_rate(scenario: Scenario) -> float:
    """Requests per clock of the host with the memory to itself: what it generates, or what can be served [1/clock]."""
    queue = scenario.queue
    sustained = sustained_rate(scenario.timing, scenario.organisation, scenario.stream, queue.window, scenario.refresh,
                               capacity=queue.capacity)  # fmt: skip
    return min(scenario.stream.rate, sustained)


def _turns(scenario: Scenario, follow: bool) -> Turns:
    """Rates of a policy of turns: of turns followed one by one, or of the mean cycle."""
    low, high, limits = _limits(scenario)
    if follow:
        return followed(scenario, low, high, limits)
    return turn_rates(scenario, low, high, limits)


def _limits(scenario: Scenario) -> tuple[int, int, TurnLimits]:
    """The policy as thresholds, and quotas and slices of host and PIM turns."""
    policy = scenario.policy
    if policy.kind in ("exclusive", "watermark"):
        limits = TurnLimits(quota_host=policy.quota_host or math.inf, quota_pim=policy.quota_pim or math.inf)
        return policy.theta_low or 0, policy.theta_high or 1, limits
    if policy.kind == "bypass-cap":
        cap = float(policy.bypass_cap or 1)
        return 0, 1, TurnLimits(quota_host=cap, quota_pim=math.ceil(cap / (policy.slowdown or 1.0)), pim_must=True)
    if policy.kind == "time-slice":
        slices = (float(policy.slice_host or 1), float(policy.slice_pim or 1))
        return 0, 1, TurnLimits(host_clocks=slices[0], pim_clocks=slices[1], host_stays=True)
    return 0, 1, TurnLimits()  # host-first


@dataclass(frozen=True)
class PairTime:
    """Completion of a finite amount of host and PIM work [clock]."""

    host_clocks: float
    pim_clocks: float

    @property
    def clocks(self) -> float:
        """Clocks until both are complete [clock]."""
        return max(self.host_clocks, self.pim_clocks)


def pair_time(scenario: Scenario, host_requests: int, pim_steps: int) -> PairTime:
    """Clocks of a (CONV, non-CONV) pair run to completion under the scenario's policy.

    Both advance at the policy's rates until one is complete; the other goes on with exclusive access. `serial`: host
    first, then PIM; `gpu-only`: host alone; `pim-first`: PIM first, then host.

    Parameters
    ----------
    scenario : memory, stream, kernel and policy
    host_requests, pim_steps : the work [1]
    """
    rates = ClosedForm().rates(scenario)
    host_alone, pim_alone = host_requests / rates.host_alone, pim_steps / rates.pim_alone
    kind = scenario.policy.kind
    if kind == "gpu-only":
        return PairTime(host_alone, 0.0)
    if kind == "serial":
        return PairTime(host_alone, host_alone + pim_alone)
    if kind == "pim-first":
        return PairTime(pim_alone + host_alone, pim_alone)
    host_shared = host_requests / rates.host_rate if rates.host_rate > 0 else math.inf
    pim_shared = pim_alone / rates.pim_rate if rates.pim_rate > 0 else math.inf
    left = rates_when_left(scenario, rates)
    host_alone, pim_alone = host_requests / left[0], pim_steps / left[1]
    if math.isinf(host_shared) and math.isinf(pim_shared):
        return PairTime(math.inf, math.inf)
    if host_shared <= pim_shared:
        return PairTime(host_shared, host_shared + pim_alone * (1 - host_shared / pim_shared))
    return PairTime(pim_shared + host_alone * (1 - pim_shared / host_shared), pim_shared)


def with_policy(scenario: Scenario, **policy: object) -> Scenario:
    """The scenario under another policy, checked."""
    return Scenario.model_validate({**scenario.model_dump(), "policy": Policy.model_validate(policy).model_dump()})
