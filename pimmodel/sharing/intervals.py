"""How far to trust a rate: intervals calibrated by the validation harness, and the domain that it covers.

The figures are 90th percentiles of the errors of `pimmodel validate contention --n 500 --seed 20261124`, per quantity
and regime (of the PIM's absolute error the 95th: more than 90 in 100 have none); they are updated from a run, never by
hand to please a case. They hold for turns that are followed one by one (`pimmodel.sharing.orbit`); step times rest on
the mean cycle, and have intervals of their own from whole steps (`pimmodel.sensitivity.uncertainty`).
"""

from __future__ import annotations

from pimmodel.scenario import Scenario

# Relative errors, or absolute ones in share of the full rate for the PIM.
_P90_HOST_STALLING = 0.144
_P90_HOST_RUNNING = 0.01
_P90_PIM_RELATIVE = 0.210
_P95_PIM_ABSOLUTE = 0.0112
CALIBRATED_BY = "pimmodel validate contention --n 500 --seed 20261124"
_TURNS = ("exclusive", "watermark", "bypass-cap", "time-slice", "host-first")


def interval_of(scenario: Scenario, quantity: str, value: float) -> tuple[float, float] | None:
    """Interval that holds nine of ten simulated values, or None where none was calibrated.

    Parameters
    ----------
    scenario : decides the regime
    quantity : "host_rate" or "pim_rate"; others have no interval
    value : the formula's value
    """
    if scenario.policy.kind not in _TURNS:
        return None
    if quantity == "host_rate":
        share = _P90_HOST_RUNNING if value > 0.99 * scenario.stream.rate else _P90_HOST_STALLING
        return value * (1 - share), min(scenario.stream.rate, value * (1 + share))
    if quantity == "pim_rate":
        spread = max(_P90_PIM_RELATIVE * value, _P95_PIM_ABSOLUTE)
        return max(0.0, value - spread), min(1.0, value + spread)
    return None


def outside_domain(scenario: Scenario) -> list[str]:
    """What of a scenario lies outside the domain that the intervals were calibrated on; empty: nothing."""
    stream, queue, kernel = scenario.stream, scenario.queue, scenario.kernel
    limits = (
        ("stream.columns", stream.columns, 1, 64),
        ("stream.substreams", stream.substreams, 1, 64),
        ("stream.spread", stream.spread, 1, 16),
        ("stream.rate", stream.rate, 0.02, 1 / scenario.timing.tCCD_S),
        ("queue.window", queue.window, 8, 256),
        ("kernel.mode_switch", kernel.mode_switch, 0, 400),
        ("kernel.registers", kernel.registers, 1, 16),
    )
    found = [
        f"{name} = {value:g} lies outside the validated domain {low:g} .. {high:g}"
        for name, value, low, high in limits
        if not low <= value <= high
    ]
    if stream.arrival != "even":
        found.append("arrival 'poisson' is outside the validated domain (formulas take even arrivals)")
    if queue.capacity != queue.window:
        found.append(f"queue.capacity = {queue.capacity} differs from the window, the only case that was validated")
    if scenario.policy.kind in ("partitioned", "uncoordinated"):
        found.append(f"policy '{scenario.policy.kind}' has no calibrated interval; see `pimmodel validate contention`")
    return found


def calibrated_errors() -> list[tuple[str, str, float]]:
    """Quantity, regime, and the error that nine of ten simulated values stay within (PIM: the larger) [1]."""
    return [
        ("host_rate", "the host stalls", _P90_HOST_STALLING),
        ("host_rate", "the host hardly stalls (over 99 % of its rate)", _P90_HOST_RUNNING),
        ("pim_rate", "relative to its value", _P90_PIM_RELATIVE),
        ("pim_rate", "in share of the PIM's full rate", _P95_PIM_ABSOLUTE),
    ]
