"""A system: GPU, memory (how many channels, at which clock), PIM, and the controller between them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pimmodel.hardware.description import BytesPerSecond, Count, Description
from pimmodel.hardware.gpu import Gpu
from pimmodel.hardware.memory import Memory
from pimmodel.hardware.pim import Pim, bandwidth_multiple, pim_cadence

Requests = Annotated[int, Field(ge=0)]


class Controller(BaseModel):
    """The memory controller of one channel, as the sharing policies see it (:mod:`pimmodel.scenario`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queue_capacity: Count = Field(description="Q: host requests that one channel's queue holds")
    window: Count = Field(description="W: most host requests outstanding (queued or in flight) per channel")
    starvation_cap: Count = Field(default=16, description="columns that may pass the oldest request")
    refresh: Literal["all-bank", "per-bank", "off"] = "all-bank"
    host_substreams: Count = Field(default=16, description="sub-streams of the host's reference stream on one channel")
    host_columns: Count = Field(default=32, description="columns that a sub-stream takes of a row before the next")
    host_spread: Count = Field(default=1, description="banks that a sub-stream's visit rotates over")
    policy: str = Field(default="serial", description="sharing policy used where none is asked for")
    theta_low: Requests = Field(default=16, description="exclusive: queued requests at which the host passes on")
    theta_high: Requests = Field(default=58, description="exclusive: queued requests at which the PIM passes on")

    @property
    def room(self) -> int:
        """Most requests that can be queued: what the queue holds, and the window allows. Thresholds are at most that.

        >>> Controller(queue_capacity=64, window=48, theta_high=40).room
        48
        """
        return min(self.queue_capacity, self.window)

    @model_validator(mode="after")
    def _ordered(self) -> Controller:
        if self.theta_low >= self.theta_high:
            raise ValueError(f"theta_low|{self.theta_low}|less than theta_high = {self.theta_high}")
        return self


class System(Description):
    """Everything that an estimate needs to know of the hardware."""

    gpu: Gpu
    memory: Memory
    pim: Pim
    memory_channels: Count = Field(description="(pseudo-)channels of all devices or stacks together")
    memory_bandwidth: BytesPerSecond | None = Field(
        default=None, description="peak of all channels as the data sheet states it; checked, then used"
    )
    controller: Controller

    @model_validator(mode="after")
    def _possible(self) -> System:
        peak = self.memory_channels * self.memory.channel_bandwidth
        if self.memory_bandwidth is not None and self.memory_bandwidth > peak * 1.005:
            raise ValueError(
                f"memory_bandwidth|{self.memory_bandwidth:g}|at most {peak:.6g} B/s, which is what"
                f" {self.memory_channels} channels of {self.memory.name} at {self.memory.clock:g} Hz give"
            )
        organisation = self.memory.organisation
        most = {"bank_group": organisation.bank_groups, "bank_pair": organisation.banks // 2,
                "bank": organisation.banks}[self.pim.placement]  # fmt: skip
        if self.pim.units_per_channel > most:
            raise ValueError(
                f"pim.units_per_channel|{self.pim.units_per_channel}|at most {most}, one per"
                f" {self.pim.placement.replace('_', ' ')} of {self.memory.name}"
            )
        if organisation.banks % self.pim.units_per_channel:
            raise ValueError(
                f"pim.units_per_channel|{self.pim.units_per_channel}|a divisor of the {organisation.banks} banks of a"
                f" channel of {self.memory.name}"
            )
        return self

    @property
    def peak_bandwidth(self) -> float:
        """Peak host bandwidth of all channels together [B/s]."""
        return self.memory_bandwidth or self.memory_channels * self.memory.channel_bandwidth

    @property
    def pim_cadence(self) -> int:
        """Clocks of the memory per PIM column step [clock]; see `pimmodel.hardware.pim.pim_cadence`."""
        return pim_cadence(self.memory, self.pim)

    @property
    def bandwidth_multiple(self) -> float:
        """PIM bandwidth inside the memory over the host's peak [1]: units x tCCD_S / cadence."""
        return bandwidth_multiple(self.memory, self.pim)
