"""One DRAM part: timing of a (pseudo-)channel in clocks, organisation, energy per bit, and standby currents.

Timing names are JEDEC's. Every timing is a whole number of clocks; description files may give a time
instead ("14 ns"), which is rounded up to whole clocks of the part as it is clocked in the system at hand.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pimmodel.hardware.description import (
    Amperes,
    Bytes,
    Clocks,
    Count,
    Description,
    Hertz,
    JoulesPerBit,
    PositiveClocks,
    Volts,
)


class MemoryTiming(BaseModel):
    """Timing constraints of one channel, all in clocks [clock].

    CL, CWL: column command to first data beat, read and write. tBL: data bus time of one burst. The bus turnaround
    read to write is derived (`read_to_write`), the write recovery counts from the last data beat.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    CL: PositiveClocks
    CWL: PositiveClocks
    tBL: PositiveClocks
    tRCDRD: PositiveClocks
    tRCDWR: PositiveClocks
    tRP: PositiveClocks
    tRAS: PositiveClocks
    tRC: PositiveClocks
    tCCD_S: PositiveClocks
    tCCD_L: PositiveClocks
    tRRD_S: PositiveClocks
    tRRD_L: PositiveClocks
    tFAW: PositiveClocks
    tRTP: PositiveClocks
    tWR: PositiveClocks
    tWTR_S: PositiveClocks
    tWTR_L: PositiveClocks
    tRTW_gap: Clocks = Field(default=2, description="idle clocks of the data bus between a read and a write burst")
    tRFC: PositiveClocks
    tRFCpb: PositiveClocks
    tREFI: PositiveClocks
    tREFIpb: PositiveClocks
    tRREFD: PositiveClocks = Field(default=8, description="per-bank refresh to the next one, or to an activate")

    @property
    def read_to_write(self) -> int:
        """Least clocks from a read to a write column command: CL + tBL + gap - CWL [clock]."""
        return self.CL + self.tBL + self.tRTW_gap - self.CWL

    @property
    def write_to_read_same_group(self) -> int:
        """Least clocks from a write to a read in the same bank group: CWL + tBL + tWTR_L [clock]."""
        return self.CWL + self.tBL + self.tWTR_L

    @property
    def write_to_read_other_group(self) -> int:
        """Least clocks from a write to a read in another bank group: CWL + tBL + tWTR_S [clock]."""
        return self.CWL + self.tBL + self.tWTR_S

    @property
    def write_to_precharge(self) -> int:
        """Least clocks from a write to a precharge of its bank: CWL + tBL + tWR [clock]."""
        return self.CWL + self.tBL + self.tWR

    @model_validator(mode="after")
    def _possible(self) -> MemoryTiming:
        """Reject timing that no DRAM can have."""
        if self.tRC < self.tRAS + self.tRP:
            raise ValueError(f"tRC|{self.tRC}|at least tRAS + tRP = {self.tRAS + self.tRP} clocks")
        if self.tCCD_L < self.tCCD_S:
            raise ValueError(f"tCCD_L|{self.tCCD_L}|at least tCCD_S = {self.tCCD_S} clocks")
        if self.tCCD_S < self.tBL:
            raise ValueError(f"tCCD_S|{self.tCCD_S}|at least tBL = {self.tBL} clocks (bursts may not overlap)")
        if self.tRRD_L < self.tRRD_S:
            raise ValueError(f"tRRD_L|{self.tRRD_L}|at least tRRD_S = {self.tRRD_S} clocks")
        if self.tRAS < max(self.tRCDRD, self.tRCDWR):
            raise ValueError(f"tRAS|{self.tRAS}|at least tRCD = {max(self.tRCDRD, self.tRCDWR)} clocks")
        if self.tREFI <= self.tRFC:
            raise ValueError(f"tREFI|{self.tREFI}|more than tRFC = {self.tRFC} clocks")
        if self.read_to_write < 1:
            raise ValueError(f"CWL|{self.CWL}|less than CL + tBL + tRTW_gap = {self.CL + self.tBL + self.tRTW_gap}")
        return self


class Organisation(BaseModel):
    """Banks, rows and columns of one (pseudo-)channel."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bank_groups: Count
    banks_per_group: Count
    rows: Count
    columns_per_row: Count = Field(description="bursts per row")
    bytes_per_column: Bytes = Field(description="bytes per burst")

    @property
    def banks(self) -> int:
        """Banks of one channel."""
        return self.bank_groups * self.banks_per_group


class MemoryEnergy(BaseModel):
    """Energy per bit of each step of a DRAM access [J/bit]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    activate: JoulesPerBit
    cell: JoulesPerBit
    column_to_group: JoulesPerBit
    group_to_io: JoulesPerBit
    io: JoulesPerBit = Field(description="from the die's global I/O to the processor (TSV, interposer or board)")


class MemoryCurrents(BaseModel):
    """What one (pseudo-)channel draws beside its accesses: supply [V] and JEDEC's currents [A]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    VDD: Volts
    IDD2N: Amperes = Field(description="all banks closed, clock running")
    IDD3N: Amperes = Field(description="a row open")
    IDD5AB: Amperes = Field(description="during a refresh of all banks")

    @model_validator(mode="after")
    def _possible(self) -> MemoryCurrents:
        if self.IDD3N < self.IDD2N:
            raise ValueError(f"IDD3N|{self.IDD3N:g}|at least IDD2N = {self.IDD2N:g} A")
        if self.IDD5AB < self.IDD3N:
            raise ValueError(f"IDD5AB|{self.IDD5AB:g}|at least IDD3N = {self.IDD3N:g} A")
        return self


class Memory(Description):
    """One DRAM part as clocked in a system."""

    standard: str
    clock: Hertz
    channels: Count = Field(description="independent (pseudo-)channels of one device or stack")
    capacity: Bytes = Field(description="bytes of one device or stack")
    timing: MemoryTiming
    organisation: Organisation
    energy: MemoryEnergy | None = None
    currents: MemoryCurrents | None = None
    times: dict[str, float] = Field(
        default_factory=dict, exclude=True, repr=False, description="timings given as times [s]: they follow the clock"
    )

    @property
    def channel_bandwidth(self) -> float:
        """Peak data rate of one channel: bytes per column x clock / tCCD_S [B/s]."""
        return self.organisation.bytes_per_column * self.clock / self.timing.tCCD_S
