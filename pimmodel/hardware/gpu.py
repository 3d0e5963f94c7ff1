"""One GPU: what the CONV roofline needs to know of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pimmodel.hardware.description import (
    Bytes,
    BytesPerSecond,
    Count,
    Description,
    FlopPerSecond,
    Hertz,
    Joules,
    Seconds,
    SquareMetres,
    Watts,
)


class Gpu(Description):
    """A GPU without its memory (that is the system's).

    Peak rates count a multiply-add as two FLOP. `fp16_tensor_peak` is None where there are no tensor cores.
    """

    architecture: str
    clock: Hertz = Field(description="boost clock")
    sm_count: Count
    fp32_lanes_per_sm: Count
    fp16_vector_ratio: Annotated[float, Field(gt=0)] = Field(
        description="fp16 rate of the ordinary lanes relative to fp32 (2 where packed, 1/64 on consumer Pascal)"
    )
    fp16_tensor_peak: FlopPerSecond | None = Field(
        default=None, description="dense fp16-in fp32-accumulate tensor-core peak"
    )
    l2_size: Bytes
    l2_bandwidth: BytesPerSecond
    shared_memory_per_sm: Bytes
    registers_per_sm: Bytes
    memory_bandwidth: BytesPerSecond = Field(description="peak of the memory it is sold with")
    launch_overhead: Seconds = Field(description="least time from one dependent kernel to the next")
    die_area: SquareMetres | None = None
    tdp: Watts
    idle_power: Watts
    flop_energy: Joules = Field(description="energy of one fp32 FLOP, on-chip data movement included")

    @property
    def fp32_peak(self) -> float:
        """Peak fp32 rate: 2 x SMs x lanes x clock [FLOP/s]."""
        return 2 * self.sm_count * self.fp32_lanes_per_sm * self.clock
