"""What an access, an operation and a second cost: the formulas behind `pimmodel.schedule.energy`."""

from __future__ import annotations

from typing import Any

from pimmodel.formula import formula, sp


@formula
def activate_energy(traffic: Any, activate_bit: Any, row_columns: Any, used_columns: Any) -> Any:
    r"""Energy of opening and closing the rows that a stream goes through.

    .. math:: E = 8 B\, e_{act}\, C_{row} / n_u

    Symbols: B traffic [B], e_act activate_bit [J/bit], C_row row_columns [1], n_u used_columns [1]. Returns [J].

    Validity: n_u from 1 to C_row; whole rows are opened, as in HBM2 (no half-row or grain activates).
    Known error: the 0.11 pJ/bit of HBM are twice what the currents of a public HBM2 part give: 1.2 V (65 x 48 - 55 x 34
    - 40 x 14) mA ns = 0.83 nJ per 2 KiB row, 0.05 pJ/bit (DRAMsim3, HBM2_8Gb_x128.ini).
    Source: O'Connor et al., Fine-Grained DRAM, MICRO 2017, doi 10.1145/3123939.3124545, as tabled by the AttAcc
    simulator (scale-snu/attacc_simulator, src/config.py).
    """
    return 8 * traffic * activate_bit * row_columns / used_columns


@formula
def transfer_energy(traffic: Any, bit_energy: Any) -> Any:
    r"""Energy of reading or writing cells and moving the bits over a part of their way.

    .. math:: E = 8 B\, e

    Symbols: B traffic [B], e bit_energy [J/bit]. Returns [J].

    Validity: reads and writes alike. HBM: cell 0.44, column decoder to bank group 1.01, on to global I/O 1.23, TSV 0.5,
    interposer 0.3 pJ/bit; with whole rows opened 3.59 to the host, 1.56 to a bank group's PIM unit, 0.55 to a bank's.
    Known error: reads and writes differ by a seventh either way (IDD4R - IDD3N = 335 and IDD4W - IDD3N = 445 mA in
    DRAMsim3's HBM2 file); how many bits toggle is not looked at.
    Source: AttAcc simulator (scale-snu/attacc_simulator, src/config.py), after O'Connor et al., MICRO 2017, doi
    10.1145/3123939.3124545.
    """
    return 8 * traffic * bit_energy


@formula
def arithmetic_energy(operations: Any, operation_energy: Any) -> Any:
    r"""Energy of arithmetic.

    .. math:: E = O\, e_{op}

    Symbols: O operations [1], e_op operation_energy [J]. Returns [J].

    Validity: operations of the task itself; padding of tiles and lanes that idle are not in it. A multiply-add is two.
    Known error: the GPU's e_op charges the TDP that is left to peak arithmetic; kernels below peak that keep the chip
    awake take more per FLOP. The PIM's 0.5 pJ is of fp16; fp32 is scaled by the ratio of bare adders and multipliers.
    Source: PIM: PIMeval (UVA-LavaLab/PIMeval-PIMbench); fp32 over fp16: Horowitz, ISSCC 2014, doi
    10.1109/ISSCC.2014.6757323; GPU: derived from data sheets, see `models/gpus`.
    """
    return operations * operation_energy


@formula
def winograd_saving(patch_edge: Any, filter_edge: Any) -> Any:
    r"""Products of a direct sum over those of a Winograd kernel.

    .. math:: s = (m R)^2 / (m + R - 1)^2

    Symbols: m patch_edge [1], R filter_edge [1]. Returns [1].

    Validity: stride 1, square filters; 2.25 for F(2x2, 3x3) and 4 for F(4x4, 3x3). Patches at the edge that are not
    full, and the transforms, are not in it.
    Known error: exact for full patches, it counts.
    Source: Lavin and Gray, CVPR 2016, doi 10.1109/CVPR.2016.435, section 4.1.
    """
    return (patch_edge * filter_edge) ** 2 / (patch_edge + filter_edge - 1) ** 2


@formula
def standby_power(channels: Any, voltage: Any, standby_current: Any) -> Any:
    r"""Power of the DRAM between its accesses, rows open.

    .. math:: P = N_{ch} V_{DD} I_{3N}

    Symbols: N_ch channels [1], V_DD voltage [V], I_3N standby_current per channel [A]. Returns [W].

    Validity: an open-page controller with work for every channel, so that some row is open nearly all the time; no
    power-down. With I_2N for I_3N the power of an idle memory.
    Known error: too high where the memory idles, by I_3N - I_2N at most (27 % of it for HBM2).
    Source: definition of IDD3N and IDD2N, JEDEC JESD235; method as in Micron TN-40-07 and DRAMsim3.
    """
    return sp.sympify(channels * voltage * standby_current)


@formula
def refresh_power(
    channels: Any, voltage: Any, refresh_current: Any, standby_current: Any, tRFC: Any, tREFI: Any
) -> Any:
    r"""Power of refresh beyond standby.

    .. math:: P = N_{ch} V_{DD} (I_{5AB} - I_{3N})\, t_{RFC} / t_{REFI}

    Symbols: N_ch channels [1], V_DD voltage [V], I_5AB refresh_current and I_3N standby_current per channel [A], tRFC
    refresh cycle and tREFI refresh interval [clock]. Returns [W].

    Validity: I_5AB >= I_3N. Per-bank refresh renews the same rows in another order and is charged the same.
    Known error: that of the currents, which a data sheet gives as maxima (too high).
    Source: DRAMsim3 (umd-memsys/DRAMsim3), energy per refresh VDD (IDD5AB - IDD3N) tRFC.
    """
    return channels * voltage * (refresh_current - standby_current) * tRFC / tREFI


@formula
def board_static_power(board_power: Any, memory_power: Any) -> Any:
    r"""Idle power of a board without its memory's.

    .. math:: P_s = \max(P_{idle} - P_{mem},\; 0)

    Symbols: P_idle board_power, idle memory included [W], P_mem memory_power [W]. Returns [W].

    Validity: P_idle read with memory clocks running; a board that drops them at idle draws more as soon as it works.
    Known error: idle power grows with temperature and clocks once the GPU works; not modelled (too low).
    Source: definition; idle readings are estimates, see `models/gpus`.
    """
    return sp.Max(board_power - memory_power, 0)


@formula
def static_energy(power: Any, step_time: Any) -> Any:
    r"""Energy of what is drawn all the time.

    .. math:: E = P_s T_{step}

    Symbols: P_s power [W], T_step step_time [s]. Returns [J].

    Validity: nothing is switched off during a step. Known error: that of the power. Source: definition of power.
    """
    return sp.sympify(power * step_time)
