"""From a scenario to the simulator's state: where descriptions become numbers in records."""

from __future__ import annotations

import numpy as np
from pimmodel.validation.trace import unit_banks

from pimmodel.errors import PimModelError
from pimmodel.hardware.memory import MemoryTiming, Organisation
from pimmodel.scenario import HostStream, PimKernel, Policy

from . import engine, state

REFRESH = {"off": state.REFRESH_OFF, "all-bank": state.REFRESH_ALL, "per-bank": state.REFRESH_PER_BANK}
POLICY = {
    "gpu-only": state.GPU_ONLY,
    "serial": state.SERIAL,
    "partitioned": state.CONCURRENT,
    "uncoordinated": state.CONCURRENT,
    "exclusive": state.EXCLUSIVE,
    "watermark": state.WATERMARK,
    "bypass-cap": state.BYPASS_CAP,
    "time-slice": state.TIME_SLICE,
    "host-first": state.HOST_FIRST,
    "pim-first": state.PIM_FIRST,
}
POSTPONED_REFRESHES = 8  # JEDEC's limit, used by the policies that take turns


def set_memory(s: np.ndarray, timing: MemoryTiming, organisation: Organisation, refresh: str) -> None:
    """Timing, organisation and refresh; refreshes are not postponed unless the policy says so later."""
    p = s["parameters"][0]
    for name in state.TIMING_FIELDS:
        p[name] = getattr(timing, name)
    p["groups"], p["banks"] = organisation.bank_groups, state.at_most("banks", organisation.banks)
    s["banks"]["group"] = np.arange(state.MAX_BANKS) % organisation.bank_groups
    p["columns_per_row"] = organisation.columns_per_row
    p["refresh"], p["postpone"], p["activate_clocks"] = REFRESH[refresh], 1, 1
    p["starvation_cap"] = p["quota_host"] = p["quota_pim"] = state.NEVER
    p["host_limit"] = p["pim_limit"] = -1
    p["host_banks"] = organisation.banks
    p["policy"], p["skip"] = state.GPU_ONLY, 1


def set_queue(s: np.ndarray, capacity: int, window: int, starvation_cap: int | None) -> None:
    """Controller queue."""
    p = s["parameters"][0]
    p["capacity"], p["window"] = state.at_most("queue", capacity), window
    p["starvation_cap"] = state.NEVER if starvation_cap is None else starvation_cap


def set_stream(s: np.ndarray, stream: HostStream, seed: int) -> None:
    """Reference stream; the sub-streams are placed here, so that the random numbers do not depend on the policy."""
    p, channel = s["parameters"][0], s["channel"][0]
    p["source"] = state.STREAM
    p["credit"] = round(stream.rate * state.CREDIT_ONE)
    p["poisson"] = stream.arrival == "poisson"
    p["substreams"] = state.at_most("substreams", stream.substreams)
    p["spread"], p["columns"] = stream.spread, stream.columns
    p["write_threshold"] = round(stream.write_share * 2**53)
    channel["random"] = np.uint64((seed * 0xD1342543DE82EF95 + 0x2545F4914F6CDD1D) % 2**64)
    engine.start(s)


def set_kernel(
    s: np.ndarray, timing: MemoryTiming, organisation: Organisation, kernel: PimKernel, *, partitioned: bool = False
) -> None:
    """PIM kernel and its banks."""
    p = s["parameters"][0]
    banks = unit_banks(organisation.bank_groups, organisation.banks_per_group, kernel.units, partitioned=partitioned)
    if not banks:
        raise PimModelError(
            "policy 'partitioned' needs at least two banks per bank group: there is no half to give away"
        )
    p["units"], p["unit_banks"] = len(banks), len(banks[0])
    p["cadence"], p["registers"] = kernel.cadence, kernel.registers
    turn = timing.write_to_read_same_group if kernel.write_to_read is None else kernel.write_to_read
    p["pim_write_to_read"] = max(kernel.cadence, turn)
    p["pim_read_to_write"] = max(kernel.cadence, kernel.read_to_write or 0)
    p["pim_columns"] = kernel.columns_per_row
    p["same_bank"], p["hidden"] = kernel.placement == "same", kernel.row_switch == "hidden"
    p["all_bank_activate"], p["mode_switch"] = kernel.all_bank_activate, kernel.mode_switch
    p["n_passes"] = state.at_most("passes", len(kernel.passes))
    state.at_most("operands", sum(len(one.operands) for one in kernel.passes))
    first = 0
    for i, one in enumerate(kernel.passes):
        s["passes"][0, i] = (first, len(one.operands), one.rows)
        for operand in one.operands:
            s["operand_writes"][0, first] = operand.write
            first += 1
    for u, unit in enumerate(banks):
        for j, (group, bank) in enumerate(unit):
            s["unit_banks"][0, u, j] = bank * organisation.bank_groups + group


def set_policy(s: np.ndarray, policy: Policy, organisation: Organisation) -> None:
    """Sharing policy, and the banks that it leaves to the host."""
    p = s["parameters"][0]
    p["policy"] = POLICY[policy.kind]
    if policy.kind not in ("gpu-only", "serial", "partitioned", "uncoordinated"):
        p["postpone"] = POSTPONED_REFRESHES
    if policy.kind == "partitioned":
        kept = organisation.banks_per_group - organisation.banks_per_group // 2
        p["host_banks"] = kept * organisation.bank_groups
    for name in ("theta_low", "theta_high", "quota_host", "quota_pim", "slice_host", "slice_pim"):
        value = getattr(policy, name)
        if value is not None:
            p[name] = value
    p["window_ends_pim_turn"] = policy.kind == "exclusive" or (
        policy.theta_high is not None and policy.theta_high > p["window"]
    )
    if policy.kind == "bypass-cap" and policy.bypass_cap is not None and policy.slowdown is not None:
        p["quota_host"] = policy.bypass_cap
        p["quota_pim"] = int(-(-policy.bypass_cap // policy.slowdown))


def kernel_steps(kernel: PimKernel) -> int:
    """Column steps of one repetition of a kernel."""
    return sum(len(one.operands) * one.rows for one in kernel.passes) * kernel.columns_per_row
