"""What a PIM kernel does in which order: its rows, their segments, and the banks of its units."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from pimmodel.hardware.memory import Organisation
from pimmodel.scenario import PimKernel


@dataclass(frozen=True)
class Row:
    """One row of every operand of a pass.

    writes : direction of each operand
    banks : bank index within the unit, of each operand
    serial : its number, counted over passes and repetitions
    phase : the same number in every repetition that puts the same operands into the same banks
    """

    writes: tuple[int, ...]
    banks: tuple[int, ...]
    serial: int
    phase: int


def unit_banks(organisation: Organisation, kernel: PimKernel, first: int = 0) -> list[list[tuple[int, int]]]:
    """(bank group, bank) of every bank of every unit, units in the order in which they are activated.

    Units own consecutive banks of a group, and are activated by bank first and group second, so that consecutive
    activates go to different groups.

    Parameters
    ----------
    organisation, kernel : the part and the kernel
    first : lowest bank of each group that the PIM may use; a unit without any takes no part
    """
    per_unit = organisation.banks // kernel.units
    places = [divmod(x, organisation.banks_per_group) for x in range(organisation.banks)]
    units = [places[u * per_unit : (u + 1) * per_unit] for u in range(kernel.units)]
    used = [[(group, bank) for group, bank in unit if bank >= first] for unit in units]
    used = sorted((unit for unit in used if unit), key=lambda unit: (unit[0][1], unit[0][0]))
    fewest = min((len(unit) for unit in used), default=0)
    return [unit[:fewest] for unit in used]


def rows_of(kernel: PimKernel, per_unit: int) -> Iterator[Row]:
    """Rows of a kernel that is repeated without end, in program order (banks: see `pimmodel.scenario.PimKernel`)."""
    hidden = kernel.row_switch == "hidden"
    serial = 0
    for repetition in itertools.count():
        for one in kernel.passes:
            k = len(one.operands)
            writes = tuple(int(operand.write) for operand in one.operands)
            for row in range(repetition * one.rows, (repetition + 1) * one.rows):
                if kernel.placement == "same":
                    banks = (row % per_unit if hidden else 0,) * k
                else:
                    banks = tuple((i + k * row if hidden else i) % per_unit for i in range(k))
                phase = serial % (per_unit * sum(each.rows for each in kernel.passes))
                yield Row(writes, banks, serial, phase)
                serial += 1


def batches_of(kernel: PimKernel, operands: int) -> list[int]:
    """Columns of each batch of a row: as many of each operand as the registers hold, the last perhaps fewer."""
    if operands == 1:  # batches of a single operand follow each other without a change
        return [kernel.columns_per_row]
    full, rest = divmod(kernel.columns_per_row, kernel.registers)
    return [kernel.registers] * full + [rest] * (rest > 0)
