"""Commands of a trace as the checker sees them, with the banks each one touches, and what a violation is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pimmodel.errors import PimModelError
from pimmodel.hardware.memory import Organisation
from pimmodel.scenario import PimKernel

from . import trace as t

_UNIT_KINDS = frozenset({t.PIM_ACT_ALL, t.PIM_PRE, t.PIM_RD, t.PIM_WR})
_BANK_KINDS = frozenset({t.ACT, t.PRE, t.RD, t.WR, t.REFPB, t.PIM_ACT})


class TraceError(PimModelError):
    """A trace whose commands cannot even be read, such as one with a bank that the channel does not have."""


@dataclass(frozen=True)
class Command:
    """One command of a trace; `banks` are those it names (none for PREA, REF and marks), numbered group by group."""

    index: int
    clock: int
    kind: int
    owner: int
    banks: tuple[int, ...]
    row: int
    column: int
    text: str = field(compare=False)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Violation:
    """One broken rule.

    rule : its name, as in the table of `rules` or in the checker
    clock : when it was broken [clock]
    earlier, later : the two commands, or None where the rule needs only one (or the second one is missing)
    found, required : clocks between them and the least allowed [clock], or the counts that the rule compares
    """

    rule: str
    clock: int
    earlier: Command | None
    later: Command | None
    found: int | None = None
    required: int | None = None

    def __str__(self) -> str:
        pair = " -> ".join(str(command) for command in (self.earlier, self.later) if command is not None)
        numbers = "" if self.found is None else f": found {self.found}, required {self.required}"
        return f"clock {self.clock}: {self.rule}: {pair or 'no command'}{numbers}"


def read_commands(
    trace: npt.NDArray[np.void], organisation: Organisation, kernel: PimKernel | None, *, partitioned: bool = False
) -> list[Command]:
    """Commands of a `trace`, of shape (N,) and `trace.TRACE_DTYPE` with clocks [clock], in its order.

    Raises
    ------
    TraceError : another dtype, an unknown kind, a bank that does not exist, or a PIM command without a kernel
    """
    if trace.dtype != t.TRACE_DTYPE or trace.ndim != 1:
        raise TraceError(f"a trace is a one-dimensional array of TRACE_DTYPE, not {trace.ndim} x {trace.dtype}")
    unknown = [kind for kind in trace["kind"].tolist() if not 0 <= kind < len(t.KIND_NAMES)]
    if unknown:
        raise TraceError(f"unknown kind {unknown[0]} of command")
    units: list[list[int]] = []
    if kernel is not None:
        size = organisation.banks_per_group
        places = t.unit_banks(organisation.bank_groups, size, kernel.units, partitioned=partitioned)
        units = [[group * size + bank for group, bank in unit] for unit in places]
    lines = t.names(trace)
    return [
        Command(number, clock, kind, owner, _banks(text, kind, group, bank, organisation, units), row, column, text)
        for number, ((clock, kind, owner, group, bank, row, column), text) in enumerate(
            zip(trace.tolist(), lines, strict=True)
        )
    ]


def _banks(
    text: str, kind: int, group: int, bank: int, organisation: Organisation, units: list[list[int]]
) -> tuple[int, ...]:
    """Numbers of the banks that a command names."""
    if kind in _BANK_KINDS:
        if not (0 <= group < organisation.bank_groups and 0 <= bank < organisation.banks_per_group):
            raise TraceError(f"{text}: no bank {bank} in group {group}")
        return (group * organisation.banks_per_group + bank,)
    if kind in _UNIT_KINDS:
        if not units or not 0 <= bank < len(units[0]):
            raise TraceError(f"{text}: no bank {bank} in a PIM unit")
        return tuple(unit[bank] for unit in units)
    return ()
