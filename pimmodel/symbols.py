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
    # Kernels of the host: matrix products in tiles on streaming multiprocessors (SMs)
    "rows": SymbolInfo("rows of the result of a matrix product", "1", r"M", integer=True),
    "cols": SymbolInfo("columns of the result of a matrix product", "1", r"N", integer=True),
    "depth": SymbolInfo("products summed per element of the result", "1", r"K"),
    "batch": SymbolInfo("independent matrix products of one kernel", "1", r"b", integer=True),
    "tile_m": SymbolInfo("rows of a tile", "1", r"t_M", integer=True),
    "tile_n": SymbolInfo("columns of a tile", "1", r"t_N", integer=True),
    "tile_k": SymbolInfo("products that a tile sums per step", "1", r"t_K", integer=True),
    "splits": SymbolInfo("parts that the depth is cut into, summed afterwards", "1", r"s", integer=True),
    "resident": SymbolInfo("tiles that one SM holds at once", "1", r"r", integer=True),
    "sms": SymbolInfo("SMs", "1", r"N_{SM}", integer=True),
    "core_clock": SymbolInfo("clock of the SMs", "Hz", r"f"),
    "efficiency": SymbolInfo("share of peak that an endless tile reaches", "1", r"\eta"),
    "tile_overhead": SymbolInfo("tile edge whose load costs as much as an element's arithmetic", "1", r"\kappa"),
    "wave_latency": SymbolInfo("clocks to fill and drain one wave of tiles", "clock", r"L", zero=True),
    "first_bytes": SymbolInfo("bytes of the operand that makes the rows", "B", r"B_A"),
    "second_bytes": SymbolInfo("bytes of the operand that makes the columns", "B", r"B_B"),
    "result_bytes": SymbolInfo("bytes of the result", "B", r"B_C"),
    "l2_size": SymbolInfo("size of the L2 cache", "B", r"S_{L2}"),
    "l2_bandwidth": SymbolInfo("bandwidth of the L2 cache", "B/s", r"\beta_{L2}"),
    "l2_traffic": SymbolInfo("bytes moved from and to the L2 cache", "B", r"B_{L2}", zero=True),
    "compute": SymbolInfo("time of a kernel's arithmetic, loads into tiles included", "s", r"t_c", zero=True),
    "memory": SymbolInfo("time of a kernel's traffic", "s", r"t_m", zero=True),
    "busy": SymbolInfo("time of a kernel without its launches", "s", r"t_b", zero=True),
    "grown_memory": SymbolInfo("time of a kernel's traffic when there is more of it", "s", r"t_m'", zero=True),
    "patches": SymbolInfo("output patches of a Winograd transform", "1", r"T", integer=True),
    "points": SymbolInfo("points of a Winograd transform per patch", "1", r"a^2", integer=True),
    "filter_edge": SymbolInfo("edge of a filter", "1", r"R", integer=True),
    "patch_edge": SymbolInfo("edge of the patch of results of a Winograd kernel", "1", r"m", integer=True),
    "inputs": SymbolInfo("input channels", "1", r"C", integer=True),
    "outputs": SymbolInfo("output channels", "1", r"K_o", integer=True),
    "element_bytes": SymbolInfo("bytes of one element", "B", r"e", integer=True),
    "blocks": SymbolInfo("thread blocks that a kernel is cut into", "1", r"n_b"),
    # DRAM timing (JEDEC names)
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
    # Queueing of a host stream on the banks of a channel
    "queued": SymbolInfo("host requests queued", "1", r"q"),
    "service": SymbolInfo("requests served per clock", "1/clock", r"\mu"),
    "visit_rate": SymbolInfo("requests per clock of one sub-stream to one of its banks", "1/clock", r"a"),
    "sharers": SymbolInfo("sub-streams that visit the same bank", "1", r"m", integer=True),
    "opening": SymbolInfo("clocks from a request for a closed row to its column: tRP + tRCD", "clock", r"t_{open}"),
    "switch_row": SymbolInfo("clocks from the last column of a row to the first of the next", "clock", r"h"),
    "row_time": SymbolInfo("least clocks between activates of a bank, one column each", "clock", r"D_1"),
    "visit_time": SymbolInfo("clocks of a whole row visit, n columns", "clock", r"D_n"),
    "activate_gap": SymbolInfo("clocks per activate of the channel", "clock", r"T_{act}"),
    "activates": SymbolInfo("activates per clock", "1/clock", r"A", zero=True),
    "share": SymbolInfo("share of writes among visits", "1", r"w", zero=True),
    "changes": SymbolInfo("changes of direction per column in order of arrival", "1", r"p_d", zero=True),
    "wide": SymbolInfo("banks of one visit", "1", r"b"),
    "row_cycle_time": SymbolInfo("least clocks from activate to activate of a bank", "clock", r"D"),
    "visit_columns": SymbolInfo("columns that the opening of one visit's rows brings", "1", r"c"),
    "interval": SymbolInfo("clocks from the opening of one visit's rows to the next", "clock", r"T"),
    "at_hand": SymbolInfo("banks with work", "1", r"B_q"),
    "order_run": SymbolInfo("columns of a direction in a row, in order of arrival", "1", r"\rho_0"),
    "jobs": SymbolInfo("rows with requests queued", "1", r"K"),
    "recovery": SymbolInfo("clocks from a bank's last column to its next activate", "clock", r"t_{rec}", zero=True),
    "row_backlog": SymbolInfo("requests queued per row", "1", r"x", zero=True),
    "bank": SymbolInfo("requests per clock that the banks serve", "1/clock", r"\mu_b"),
    "slot_interval": SymbolInfo("clocks per request that its activates take", "clock", r"T_s"),
    "bank_share": SymbolInfo("part of the clocks per request that banks, not the bus, make", "1", r"\beta", zero=True),
    "data_latency": SymbolInfo("clocks from a column to its last data beat", "clock", r"t_{data}", zero=True),
    "overlap": SymbolInfo("banks that a visit has in common with the one before", "1", r"j"),
    "stall": SymbolInfo("clocks that the columns stand still", "clock", r"s", zero=True),
    "pure": SymbolInfo("clocks per request if there were no changes of direction", "clock", r"P"),
    "turnaround": SymbolInfo("clocks between columns of different direction", "clock", r"t_{turn}", zero=True),
    # PIM kernels and turns
    "last": _clocks("last column in the bank", r"t_{last}", zero=True),
    "rate": SymbolInfo("requests per clock that the host generates while not stalled", "1/clock", r"\lambda"),
    "start": SymbolInfo("requests queued when a turn begins", "1", r"q_0", zero=True),
    "goal": SymbolInfo("requests queued at which a turn ends", "1", r"q_1"),
    "residual": SymbolInfo("part of an interval between arrivals that is left, on average", "1", r"r", zero=True),
    "overhead": SymbolInfo("clocks of a turn in which its owner makes no progress", "clock", r"t_{over}", zero=True),
    "work_rate": SymbolInfo("column steps per clock of the kernel alone", "1/clock", r"\rho_P"),
    "turn": SymbolInfo("clocks of a turn", "clock", r"T"),
    # Events of a bank (clocks of the channel)
    "clear": _clocks("step allowed by the one before", r"t_{clear}", zero=True),
    "opened": _clocks("activate of the unit opened last", r"t_{open}", zero=True),
    "ready": _clocks("bank closed for tRP and not in refresh", r"t_{ready}", zero=True),
    "before": _clocks("the bank's activate before", r"t_{bank}", zero=True),
    "previous": _clocks("the channel's previous command of the kind", r"t_{-1}", zero=True),
    "in_group": _clocks("the bank group's previous activate", r"t_{group}", zero=True),
    "fourth": _clocks("the fourth last activate", r"t_{-4}", zero=True),
    "due": _clocks("refresh due", r"t_{due}", zero=True),
    "closed": _clocks("bank closed for tRP", r"t_{closed}", zero=True),
    "tRRD_S": _clocks("activate to activate, other bank group", r"t_{RRD\_S}"),
    "tRRD_L": _clocks("activate to activate, same bank group", r"t_{RRD\_L}"),
    "tREFIpb": _clocks("interval of per-bank refreshes", r"t_{REFIpb}"),
    "slot_load": SymbolInfo("share of the activate slots that is used", "1", r"u", zero=True),
    "tRREFD": _clocks("per-bank refresh to the next one or to an activate", r"t_{RREFD}"),
    # Chains of a host task and the PIM tasks that follow it
    "host_work": SymbolInfo("time of the producing host task alone", "s", r"H"),
    "pim_work": SymbolInfo("time of all consuming PIM tasks alone", "s", r"P"),
    "later_work": SymbolInfo("time alone of the host task behind the producer", "s", r"D", zero=True),
    "left_work": SymbolInfo("time alone of what is left of the PIM tasks", "s", r"L"),
    "chunks": SymbolInfo("chunks of channels that a task is cut into", "1", r"c", integer=True),
    "host_progress": SymbolInfo("progress of the host while both run, share of its own alone", "1", r"r", zero=True),
    "pim_progress": SymbolInfo("progress of the PIM while both run, share of its own alone", "1", r"\rho", zero=True),
    # Stages: a host task and the PIM work beside it
    "capacity": SymbolInfo("PIM work that fits beside a host task", "s", r"K", zero=True),
    "backlog": SymbolInfo("PIM work waiting when a stage begins", "s", r"L", zero=True),
    "passed_work": SymbolInfo("PIM work queued behind that which the host waits for", "s", r"A", zero=True),
    "done": SymbolInfo("urgent PIM work done beside a host task", "s", r"D", zero=True),
    "updates": SymbolInfo("weight updates waiting", "s", r"F", zero=True),
    "filled": SymbolInfo("weight updates done beside a host task", "s", r"f", zero=True),
    "update_capacity": SymbolInfo("weight updates that fit beside a host task", "s", r"K'", zero=True),
    "cost": SymbolInfo("time that the host loses per time of PIM work beside it", "1", r"\kappa", zero=True),
    "update_cost": SymbolInfo(
        "time that the host loses per time of weight updates beside it", "1", r"\kappa'", zero=True
    ),
    # Two on one column path
    "step_interval": SymbolInfo("clocks between two column steps of the kernel alone", "clock", r"\tau"),
    "host_gap": SymbolInfo("clocks from a step to a host column", "clock", r"g_1"),
    "step_gap": SymbolInfo("clocks from a host column to a step", "clock", r"g_2"),
    "host_columns": SymbolInfo("host columns between two steps", "1", r"n", integer=True),
    "pace": SymbolInfo("clocks from one host column to the next", "clock", r"s"),
    "window_clocks": SymbolInfo("clocks before a step in which a column can have come", "clock", r"U"),
    "least_delay": SymbolInfo("least clocks of delay once a column has come", "clock", r"b", zero=True),
    # Two in all banks
    "session_steps": SymbolInfo("column steps between two losses of a bank", "1", r"K"),
    "taken": SymbolInfo("probability that a session ends with a loss", "1", r"p", zero=True),
    "lost": SymbolInfo("clocks that a loss costs", "clock", r"T"),
    # PIM
    "units": SymbolInfo("PIM units per channel", "1", r"U", integer=True),
    "channels": SymbolInfo("memory channels", "1", r"N_{ch}", integer=True),
    "column_bytes": SymbolInfo("bytes of one column (burst)", "B", r"b_{col}", integer=True),
    "cadence": _clocks("clocks per PIM column step", r"t_{step}"),
    "clock": SymbolInfo("memory clock", "Hz", r"f_{CK}"),
    "operations": SymbolInfo("arithmetic operations", "1", r"O", zero=True),
    "operation_rate": SymbolInfo("arithmetic operations per second of all units", "1/s", r"R_{op}"),
    # Energy
    "activate_bit": SymbolInfo("energy to open and close a row, per bit of it", "J/bit", r"e_{act}", zero=True),
    "bit_energy": SymbolInfo("energy of moving a bit over a part of the way", "J/bit", r"e", zero=True),
    "row_columns": SymbolInfo("columns of a row", "1", r"C_{row}", integer=True),
    "used_columns": SymbolInfo("columns taken per row opened", "1", r"n_u"),
    "operation_energy": SymbolInfo("energy of one arithmetic operation", "J", r"e_{op}", zero=True),
    "voltage": SymbolInfo("supply of the DRAM", "V", r"V_{DD}"),
    "standby_current": SymbolInfo("current of a channel with a row open", "A", r"I_{3N}", zero=True),
    "refresh_current": SymbolInfo("current of a channel during a refresh of all banks", "A", r"I_{5AB}", zero=True),
    "board_power": SymbolInfo("power of the idle board, its memory included", "W", r"P_{idle}", zero=True),
    "memory_power": SymbolInfo("power of the idle memory, refresh included", "W", r"P_{mem}", zero=True),
    "power": SymbolInfo("power drawn all the time", "W", r"P_s", zero=True),
    "step_time": SymbolInfo("time of a step", "s", r"T_{step}", zero=True),
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
