"""Hardware and scenarios that the simulator's tests share: HBM2 at 1 GHz, one pseudo-channel, 4 x 4 banks."""

from __future__ import annotations

from typing import Any

from pimmodel.hardware.memory import MemoryTiming, Organisation
from pimmodel.scenario import HostQueue, HostStream, PimKernel, PimOperand, PimPass, Policy, Scenario

HBM2 = MemoryTiming(
    CL=14, CWL=5, tBL=2, tRCDRD=14, tRCDWR=12, tRP=14, tRAS=34, tRC=48, tCCD_S=2, tCCD_L=4, tRRD_S=4, tRRD_L=4,
    tFAW=15, tRTP=5, tWR=16, tWTR_S=6, tWTR_L=8, tRFC=260, tRFCpb=160, tREFI=3900, tREFIpb=244,
)  # fmt: skip
BANKS = Organisation(bank_groups=4, banks_per_group=4, rows=32768, columns_per_row=32, bytes_per_column=32)


def kernel(*passes: str, rows: int = 1, **options: Any) -> PimKernel:
    """Kernel from passes like "rrw" (one letter per operand)."""
    settings = {"cadence": 4, "columns_per_row": 32} | options
    return PimKernel(
        passes=tuple(
            PimPass(operands=tuple(PimOperand(write=letter == "w") for letter in one), rows=rows)
            for one in (passes or ("r",))
        ),
        **settings,
    )


def scenario(policy: Policy, *, refresh: str = "off", pim: PimKernel | None = None, **stream: Any) -> Scenario:
    """The scenario of the shipped `exclusive` example at other rates, with changes."""
    queue = {name: stream.pop(name, default) for name, default in (("capacity", 64), ("window", 64))}
    queue["starvation_cap"] = stream.pop("starvation_cap", 16)
    settings = {"rate": 0.2, "substreams": 16, "spread": 1, "columns": 16, "write_share": 0.0} | stream
    return Scenario(
        timing=HBM2,
        organisation=BANKS,
        stream=HostStream(**settings),
        queue=HostQueue(**queue),
        kernel=pim or kernel(),
        policy=policy,
        refresh=refresh,
    )


POLICIES = {
    "gpu-only": Policy(kind="gpu-only"),
    "serial": Policy(kind="serial"),
    "partitioned": Policy(kind="partitioned"),
    "uncoordinated": Policy(kind="uncoordinated"),
    "exclusive": Policy(kind="exclusive", theta_low=4, theta_high=24),
    "exclusive-quotas": Policy(kind="exclusive", theta_low=0, theta_high=60, quota_host=40, quota_pim=70),
    "watermark": Policy(kind="watermark", theta_low=2, theta_high=16),
    "bypass-cap": Policy(kind="bypass-cap", bypass_cap=20, slowdown=1.5),
    "time-slice": Policy(kind="time-slice", slice_host=500, slice_pim=333),
    "host-first": Policy(kind="host-first"),
    "pim-first": Policy(kind="pim-first"),
}
