"""All symbols of all formulas: name, meaning, SI unit and domain, in one table.

Formulas name their symbols as parameters (see :mod:`pimmodel.formula`); the sympy symbols are made from this table on
first use, so that a start of the command line that needs no symbolic work does not pay for importing sympy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any


@dataclass(frozen=True)
class SymbolInfo:
    """Meaning, unit and domain of one symbol; `latex` is its printed form."""

    meaning: str
    unit: str
    latex: str
    integer: bool = False
    zero: bool = False  # may be zero


def _clocks(meaning: str, latex: str, *, zero: bool = False) -> SymbolInfo:
    return SymbolInfo(meaning, "clock", latex, integer=True, zero=zero)


SYMBOLS: dict[str, SymbolInfo] = {
    # Host roofline
    "work": SymbolInfo("floating-point operations of a task", "FLOP", r"F", zero=True),
    "peak": SymbolInfo("peak arithmetic rate", "FLOP/s", r"\Pi"),
    "traffic": SymbolInfo("bytes moved from and to DRAM", "B", r"B", zero=True),
    "bandwidth": SymbolInfo("DRAM bandwidth", "B/s", r"\beta"),
    "launch": SymbolInfo("launch overhead of one kernel", "s", r"t_{launch}", zero=True),
    "kernels": SymbolInfo("kernels launched", "1", r"n_k", integer=True, zero=True),
    # DRAM timing (JEDEC names)
    "tCCD_S": _clocks("column to column, other bank group", r"t_{CCD\_S}"),
    "tCCD_L": _clocks("column to column, same bank group", r"t_{CCD\_L}"),
    "tRP": _clocks("precharge to activate", r"t_{RP}"),
    "tRAS": _clocks("activate to precharge", r"t_{RAS}"),
    "tRC": _clocks("activate to activate, same bank", r"t_{RC}"),
    "tRCD": _clocks("activate to column, of the direction at hand", r"t_{RCD}"),
    "tRRD": _clocks("activate to activate, other bank (short or long as the order of banks has it)", r"t_{RRD}"),
    "tFAW": _clocks("four-activate window", r"t_{FAW}"),
    "tRFC": _clocks("refresh cycle time, all banks", r"t_{RFC}"),
    "tREFI": _clocks("refresh interval", r"t_{REFI}"),
    "tail": _clocks("last column to precharge: tRTP of a read, CWL + tBL + tWR of a write", r"t_{tail}"),
    # Streams
    "columns": SymbolInfo("columns per row visit", "1", r"n", integer=True),
    "banks": SymbolInfo("banks in turn", "1", r"k", integer=True),
    "column_gap": SymbolInfo("clocks per column command on the bus that limits", "clock", r"t_{col}"),
    # PIM
    "units": SymbolInfo("PIM units per channel", "1", r"U", integer=True),
    "channels": SymbolInfo("memory channels", "1", r"N_{ch}", integer=True),
    "column_bytes": SymbolInfo("bytes of one column (burst)", "B", r"b_{col}", integer=True),
    "cadence": _clocks("clocks per PIM column step", r"t_{step}"),
    "clock": SymbolInfo("memory clock", "Hz", r"f_{CK}"),
    "operations": SymbolInfo("arithmetic operations", "1", r"O", zero=True),
    "operation_rate": SymbolInfo("arithmetic operations per second of all units", "1/s", r"R_{op}"),
}


@lru_cache(maxsize=1)
def sympy_symbols() -> dict[str, Any]:
    """The sympy symbol of every name."""
    import sympy

    made = {}
    for name, info in SYMBOLS.items():
        domain = {"nonnegative": True} if info.zero else {"positive": True}
        made[name] = sympy.Symbol(name, integer=True if info.integer else None, real=True, **domain)
    return made


def latex_names() -> dict[Any, str]:
    """Printed form of every symbol, for `sympy.latex(symbol_names=...)`."""
    return {symbol: SYMBOLS[name].latex for name, symbol in sympy_symbols().items()}
