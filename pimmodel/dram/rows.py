"""Backlogged streams of one direction: the three things that can limit row visits, and their combination.

A stream visits rows; each visit serves n columns of one row and the next visit goes to another bank, k banks in
turn, with enough requests queued that whatever does not limit is hidden.
"""

from __future__ import annotations

from typing import Any

from pimmodel.formula import formula, sp


@formula
def row_cycle(columns: Any, tCCD_L: Any, tRCD: Any, tail: Any, tRP: Any, tRC: Any) -> Any:
    r"""Least clocks from one activate of a bank to its next, with n columns served in between.

    .. math:: T_{row} = \max(t_{RC},\; t_{RCD} + (n - 1) t_{CCD\_L} + t_{tail} + t_{RP})

    Symbols: n columns [1], tCCD_L, tRCD, tRP, tRC [clock], tail: tRTP of a read, CWL + tBL + tWR of a write [clock].
    Returns [clock].

    Validity: all n requests wait when the row opens; one direction.
    Known error: 0.2 % against two public simulators (`pimmodel validate dram`, rows of a single bank).
    Source: JESD235C timing; Jacob, Ng, Wang, Memory Systems (2007), chapter 11.
    """
    return sp.Max(tRC, tRCD + (columns - 1) * tCCD_L + tail + tRP)


@formula
def activate_interval(tRRD: Any, tFAW: Any) -> Any:
    r"""Least average clocks between activates of a channel.

    .. math:: T_{act} = \max(t_{RRD},\; t_{FAW} / 4)

    Symbols: tRRD [clock], tFAW [clock]. Returns [clock].

    Validity: long runs of activates; tRRD is the average over the order of banks (all short where bank groups take
    turns). Known error: exact for such runs. Source: JESD235C.
    """
    return sp.Max(tRRD, tFAW / 4)


@formula
def backlogged_interval(
    columns: Any, banks: Any, column_gap: Any, tCCD_L: Any, tRCD: Any, tail: Any, tRP: Any, tRC: Any, tRRD: Any,
    tFAW: Any,
) -> Any:  # fmt: skip
    r"""Clocks per request of a backlogged stream of one direction.

    .. math:: T = \max(t_{col},\; T_{row} / (k n),\; T_{act} / n)

    with :math:`T_{row}` of `row_cycle` and :math:`T_{act}` of `activate_interval`. Symbols: t_col clocks per column
    where columns limit (tCCD_S if bank groups take turns, tCCD_L within one) [clock], n columns per visit [1], k banks
    in turn [1], tRCD, t_tail, tRP, tRC, tRRD, tFAW as there [clock]. Returns [clock].

    Validity: one direction, no refresh, queue long enough to see the next banks' requests.
    Known error: see `pimmodel validate dram`.
    Source: Yuan and Aamodt, A hybrid analytical DRAM performance model, MoBS 2009.
    """
    row = sp.Max(tRC, tRCD + (columns - 1) * tCCD_L + tail + tRP)
    activate = sp.Max(tRRD, tFAW / 4)
    return sp.Max(column_gap, row / (banks * columns), activate / columns)
