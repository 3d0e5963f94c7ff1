"""One processing-in-memory design: where its units sit, what they can do per column, and what switching costs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pimmodel.hardware.description import (
    Bytes,
    Clocks,
    Count,
    Description,
    Hertz,
    Joules,
    JoulesPerBit,
    PositiveClocks,
)
from pimmodel.hardware.memory import Memory
from pimmodel.hardware.values import clocks_of


class Pim(Description):
    """A PIM design attached to every channel of a memory.

    All units of a channel work in lockstep, one column per unit and `cadence`. See `pimmodel.scenario.PimKernel` for
    the meaning of operand placement, registers and row switch.
    """

    placement: Literal["bank_group", "bank_pair", "bank"]
    units_per_channel: Count = Field(description="units that work at once in one (pseudo-)channel")
    clock: Hertz = Field(description="clock of a unit; one column operation per unit clock at most")
    simd_bytes: Bytes = Field(description="bytes that one unit works on per operation")
    operations_per_lane: Annotated[float, Field(gt=0)] = Field(
        default=1.0, description="arithmetic operations per lane and unit clock (2: multiply-add)"
    )
    column_interval: PositiveClocks | None = Field(
        default=None, description="power-limited clocks between column steps, where slower than tCCD_L"
    )
    registers: Count = Field(description="columns of one operand that a unit's temporary storage holds")
    operand_placement: Literal["distinct", "same"] = Field(
        description="operands of a pass in distinct banks of a group, or in different rows of the same bank"
    )
    row_switch: Literal["hidden", "exposed"] = Field(
        description="next row opened behind this row's columns in another bank, or after them in the same bank"
    )
    all_bank_activate: bool = Field(description="one command opens the row in all groups at once (no tRRD/tFAW ramp)")
    mode_switch_cycles: Clocks = Field(description="clocks per direction beside tRP, to hand over the memory")
    access_energy: JoulesPerBit = Field(description="DRAM energy of a PIM access per bit")
    operation_energy: Joules = Field(description="energy of one arithmetic operation, fp16")
    fp32_operation_energy: Joules | None = Field(default=None, description="of fp32; None: as operation_energy")


def pim_cadence(memory: Memory, pim: Pim) -> int:
    """Clocks of the memory from one column step of the PIM to the next [clock].

    The slowest of: the column commands of one bank group (tCCD_L), the power limit (`column_interval`), and the unit
    itself, which needs ceil(bytes per column / SIMD bytes) of its own clocks per column.

    Examples
    --------
    >>> from pimmodel.hardware.load import load_memory, load_pim
    >>> pim_cadence(load_memory("hbm2"), load_pim("bank-pair"))  # 1 GHz / 300 MHz = 3.3, and tCCD_L = 4
    4
    """
    operations = -(-memory.organisation.bytes_per_column // pim.simd_bytes)
    unit = clocks_of(operations / pim.clock, memory.clock)
    return max(memory.timing.tCCD_L, pim.column_interval or 1, unit)


def bandwidth_multiple(memory: Memory, pim: Pim) -> float:
    """Bandwidth of all PIM units of a channel over the channel's own peak: units x tCCD_S / cadence [1].

    Always report it: it doubles where a file says tCCD_L = tCCD_S, as some public HBM2 files do.

    Examples
    --------
    >>> from pimmodel.hardware.load import load_memory, load_pim
    >>> bandwidth_multiple(load_memory("hbm2"), load_pim("bank-group"))  # 4 units x 2 / 4
    2.0
    """
    return pim.units_per_channel * memory.timing.tCCD_S / pim_cadence(memory, pim)
