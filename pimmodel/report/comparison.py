"""Several policies for one training step, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pimmodel.estimates import Estimate

SCHEMA = "pimmodel/comparison/2"


def comparison_rows(estimates: Sequence[Estimate]) -> list[dict[str, Any]]:
    """One row per policy: times in s, throughput in 1/s, speedups, energy in J and energy-delay in J s."""
    return [
        {
            "policy": one.policy,
            "time_s": one.time,
            "images_per_second": one.images_per_second,
            "host_time_s": one.host_time,
            "pim_time_s": one.pim_time,
            "speedup_over_gpu_only": one.speedup_over("gpu-only"),
            "speedup_over_serial": one.speedup_over("serial"),
            "energy_j": one.energy.total if one.energy else None,
            "energy_delay_js": one.energy.delay_product if one.energy else None,
        }
        for one in estimates
    ]


def comparison_dict(estimates: Sequence[Estimate]) -> dict[str, Any]:
    """All figures in SI units, in the layout of `comparison.schema.json`; the estimates share one step."""
    head = estimates[0].to_dict()
    return {
        "schema": SCHEMA,
        **{name: head[name] for name in ("network", "system", "options", "bound_s")},
        "policies": comparison_rows(estimates),
        "ideas": idea_rows(estimates),
    }


def idea_rows(estimates: Sequence[Estimate]) -> list[dict[str, Any]]:
    """What each idea of the exclusive policy is worth, one row per idea taken away; empty where it is not compared."""
    if not any(one.policy == "exclusive" for one in estimates):
        return []
    from pimmodel.optimize.policies import ideas

    step = estimates[0].step
    return [{"name": one.name, "time_s": one.time, "change": one.change} for one in ideas(step.workload, step.optimum)]
