"""The documented domain from which `pimmodel validate contention` draws its random scenarios.

Every draw is legal and none is left out afterwards. Counts are drawn log-uniformly, so that small and large ones
come equally often.

=================== ==================================================================================================
memory              every memory that ships with pimmodel, as clocked in its description
columns n           1 .. 64 (log-uniform)
sub-streams S       1 .. 64 (log-uniform)
spread              1 .. 16 banks (log-uniform)
write share w       0 in one draw of four, 1 in one of twelve, else uniform in 0 .. 1
rate lambda         0.02 .. 1 / tCCD_S requests per clock (log-uniform); even arrivals
window W            8 .. 256 requests (log-uniform); queue capacity Q = W
theta_low           uniform in 0 .. W - 2; theta_high uniform in theta_low + 1 .. W
quotas              none in three draws of four; else host 16 .. 512 requests, PIM 16 .. 512 steps (log-uniform)
mode switch         0 in one draw of two, else uniform in 0 .. 400 clocks per direction
PIM units           one per bank group, per two banks, or per bank
PIM cadence         tCCD_L, tCCD_L + 2 or 2 tCCD_L clocks
PIM kernel          1 to 2 passes of 1 to 4 operands, each written with probability 1/3; 1 to 4 rows each; a quarter,
                    half or all columns of a row; 1 to 16 registers (log-uniform); placement, row switch and all-bank
                    activate at random, `distinct` where the unit's banks allow it
refresh             off in one draw of two, else all-bank or per-bank
=================== ==================================================================================================
"""

from __future__ import annotations

import random

from pimmodel.hardware.load import list_descriptions, load_memory
from pimmodel.hardware.memory import Memory
from pimmodel.scenario import (
    HostQueue,
    HostStream,
    PimKernel,
    PimOperand,
    PimPass,
    Policy,
    Scenario,
)


def _log_uniform(rng: random.Random, low: float, high: float) -> float:
    return float(low * (high / low) ** rng.random())


def _count(rng: random.Random, low: int, high: int) -> int:
    """Log-uniform whole number in low .. high, the ends as likely as their neighbours."""
    return min(high, max(low, round(_log_uniform(rng, low - 0.499, high + 0.499))))


def draw_memory(rng: random.Random) -> Memory:
    """One of the memories that ship with the library."""
    return load_memory(rng.choice(sorted(list_descriptions("memories"))))


def draw_stream(rng: random.Random, memory: Memory) -> HostStream:
    """A host stream on that memory."""
    share = rng.choice([0.0, 0.0, 0.0, 1.0, *[rng.random()] * 8])
    return HostStream(
        rate=_log_uniform(rng, 0.02, 1 / memory.timing.tCCD_S),
        substreams=_count(rng, 1, 64),
        spread=min(_count(rng, 1, 16), memory.organisation.banks),
        columns=_count(rng, 1, 64),
        write_share=share,
    )


def draw_kernel(rng: random.Random, memory: Memory) -> PimKernel:
    """A PIM kernel on that memory."""
    organisation, timing = memory.organisation, memory.timing
    units = rng.choice([organisation.bank_groups, organisation.banks // 2, organisation.banks])
    passes = tuple(
        PimPass(
            operands=tuple(PimOperand(write=rng.random() < 1 / 3) for _ in range(rng.randint(1, 4))),
            rows=rng.randint(1, 4),
        )
        for _ in range(rng.randint(1, 2))
    )
    fits = max(len(one.operands) for one in passes) <= organisation.banks // units
    return PimKernel(
        passes=passes,
        units=units,
        cadence=rng.choice([timing.tCCD_L, timing.tCCD_L + 2, 2 * timing.tCCD_L]),
        columns_per_row=max(1, organisation.columns_per_row // rng.choice([1, 2, 4])),
        registers=_count(rng, 1, 16),
        placement=rng.choice(["distinct", "same"]) if fits else "same",
        row_switch=rng.choice(["hidden", "exposed"]),
        all_bank_activate=rng.random() < 0.5,
        mode_switch=rng.choice([0, rng.randint(0, 400)]),
    )


def draw_exclusive(rng: random.Random, window: int) -> Policy:
    """Thresholds (and now and then quotas) of the exclusive policy."""
    low = rng.randint(0, window - 2)
    quotas = rng.random() < 0.25
    return Policy(
        kind="exclusive",
        theta_low=low,
        theta_high=rng.randint(low + 1, window),
        quota_host=_count(rng, 16, 512) if quotas else None,
        quota_pim=_count(rng, 16, 512) if quotas else None,
    )


def draw_policy(rng: random.Random, window: int) -> Policy:
    """Any policy, with numbers in the range in which public designs use it."""
    kind = rng.choice(
        ["serial", "partitioned", "uncoordinated", "exclusive", "watermark", "bypass-cap", "time-slice", "host-first",
         "pim-first"]
    )  # fmt: skip
    exclusive = draw_exclusive(rng, window)
    if kind == "exclusive":
        return exclusive
    if kind == "watermark":
        return Policy(kind="watermark", theta_low=exclusive.theta_low, theta_high=exclusive.theta_high)
    if kind == "bypass-cap":
        return Policy(kind="bypass-cap", bypass_cap=_count(rng, 8, 256), slowdown=rng.choice([1.0, 2.0, 4.0]))
    if kind == "time-slice":
        return Policy(kind="time-slice", slice_host=_count(rng, 100, 4000), slice_pim=_count(rng, 100, 4000))
    return Policy.model_validate({"kind": kind})


def draw_scenario(rng: random.Random, policy: str = "exclusive") -> Scenario:
    """One random scenario: under `exclusive`, or under any policy with `policy="any"`."""
    memory = draw_memory(rng)
    window = _count(rng, 8, 256)
    stream, kernel = draw_stream(rng, memory), draw_kernel(rng, memory)
    return Scenario(
        timing=memory.timing,
        organisation=memory.organisation,
        stream=stream,
        queue=HostQueue(capacity=window, window=window),
        kernel=kernel,
        policy=draw_exclusive(rng, window) if policy == "exclusive" else draw_policy(rng, window),
        refresh=rng.choice(["off", "off", "all-bank", "per-bank"]),
    )
