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


class Pim(Description):
    """A PIM design attached to every channel of a memory.

    All units of a channel work in lockstep, one column per unit and `cadence`. See DESIGN.md sections 7 and 8 for
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
    operation_energy: Joules = Field(description="energy of one arithmetic operation")
