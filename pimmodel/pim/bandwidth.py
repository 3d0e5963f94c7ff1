"""PIM time from bandwidth and arithmetic alone: the first-order model of a non-CONV task on the PIM."""

from __future__ import annotations

from typing import Any

from pimmodel.formula import formula, sp


@formula
def pim_bandwidth(units: Any, channels: Any, column_bytes: Any, clock: Any, cadence: Any) -> Any:
    r"""Internal bandwidth of all PIM units together.

    .. math:: \beta_{PIM} = N_{ch} U b_{col} f_{CK} / t_{step}

    Symbols: N_ch channels [1], U units per channel [1], b_col bytes per column [B], f_CK memory clock [Hz], t_step
    clocks per column step [clock]. Returns [B/s].

    Validity: rows open, no turnaround, no refresh: an upper bound.
    Known error: exact as that bound; what rows, turnarounds and refresh take of it is in `pimmodel.pim.kernel`.
    Source: lockstep operation; ISSCC 2021 paper 25.4 states 4x off-chip bandwidth for 8 units
    per pseudo-channel at tCCD_S/tCCD_L = 2/4, which this gives.
    """
    return channels * units * column_bytes * clock / cadence


@formula
def pim_stream_time(traffic: Any, bandwidth: Any, operations: Any, operation_rate: Any) -> Any:
    r"""Time of one PIM pass that streams its operands.

    .. math:: t = \max(B / \beta_{PIM},\; O / R_{op})

    Symbols: B bytes read and written [B], beta PIM bandwidth [B/s], O operations [1], R_op rate [1/s]. Returns [s].

    Validity: long passes with hidden row switches; row switches, turnarounds and refresh are left out, so it is a
    lower bound (see `pimmodel.pim.kernel` for the model with them).
    Known error: exact as that bound. Source: roofline, Williams et al., CACM 2009, doi 10.1145/1498765.1498785.
    """
    return sp.Max(traffic / bandwidth, operations / operation_rate)
