"""One GPU: what the CONV roofline needs to know of it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

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

Share = Annotated[float, Field(gt=0, le=1)]
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class KernelConstants(BaseModel):
    """What the roofline of the host's kernels needs beside data-sheet values: one set for all GPUs.

    The defaults come from `pimmodel calibrate` on every second row (the first, third ...) of the 188 V100 rows in
    `validation/tables/gpu/deepbench_v100_conv.csv`; the errors on the other half are in the README. A GPU file may give
    its own, as `pimmodel calibrate` writes them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    DEFAULT_SOURCE: ClassVar[str] = (
        "fitted: `pimmodel calibrate` on rows 0, 2, 4 ... of the V100 measurements of baidu-research/DeepBench"
    )

    arithmetic_efficiency: Share = Field(default=0.912, description="share of peak that an endless tile reaches")
    dram_efficiency: Share = Field(default=0.93, description="share of the DRAM bandwidth that a long stream gets")
    tile_overhead: Factor = Field(
        default=2.59, description="elements of tile edge whose load costs as much as an element's arithmetic"
    )
    wave_latency: Factor = Field(default=5350.0, description="core clocks to fill and drain one wave of tiles")
    winograd_traffic: Factor = Field(
        default=0.434, description="share of the Winograd transforms' tensors that goes to DRAM"
    )
    launch_factor: Factor = Field(default=1.53, description="time per kernel over the GPU's launch overhead")
    compiled_kernel: Factor = Field(
        default=1.26, description="slowdown of fp32 kernels compiled from C++ over those scheduled by hand"
    )


class Gpu(Description):
    """A GPU without its memory (that is the system's).

    Peak rates count a multiply-add as two FLOP. `fp16_tensor_peak` is None where there are no tensor cores.
    """

    architecture: str
    clock: Hertz = Field(description="boost clock")
    sm_count: Count
    fp32_lanes_per_sm: Count
    fp16_tensor_peak: FlopPerSecond | None = Field(
        default=None, description="dense fp16-in fp32-accumulate tensor-core peak"
    )
    tf32_tensor_peak: FlopPerSecond | None = Field(
        default=None, description="dense tensor-core peak on fp32 tensors rounded to tf32; used only where asked for"
    )
    l2_size: Bytes
    l2_bandwidth: BytesPerSecond
    shared_memory_per_sm: Bytes
    registers_per_sm: Bytes
    memory_bandwidth: BytesPerSecond = Field(description="peak of the memory it is sold with")
    stream_share: Share | None = Field(
        default=None,
        description="share of the memory's peak that long streams reach where that is less than refresh leaves",
    )
    sustained_share: Share | None = Field(
        default=None,
        description="share of the clock that ordinary lanes at work keep within the power limit, if not all",
    )
    tensor_sustained_share: Share | None = Field(
        default=None, description="share of the clock that tensor cores at work keep within the power limit, if not all"
    )
    launch_overhead: Seconds = Field(description="least time from one dependent kernel to the next")
    die_area: SquareMetres | None = None
    tdp: Watts
    idle_power: Watts
    flop_energy: Joules = Field(description="energy of one fp32 FLOP, on-chip data movement included")
    tensor_flop_energy: Joules | None = Field(
        default=None, description="energy of one fp16 tensor-core FLOP, on-chip data movement included"
    )

    kernels: KernelConstants = KernelConstants()

    @property
    def fp32_peak(self) -> float:
        """Peak fp32 rate: 2 x SMs x lanes x clock [FLOP/s]."""
        return 2 * self.sm_count * self.fp32_lanes_per_sm * self.clock

    def tensor_peak(self, precision: str) -> float | None:
        """Peak rate of the tensor cores on "fp16" or "tf32" numbers [FLOP/s]; None where there are none for them."""
        return {"fp16": self.fp16_tensor_peak, "tf32": self.tf32_tensor_peak}.get(precision)
