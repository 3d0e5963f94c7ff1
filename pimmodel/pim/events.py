"""Clocks of the events of a PIM kernel's banks, each a maximum of sums: steps, precharges, activates, refreshes."""

from __future__ import annotations

from typing import Any

from pimmodel.formula import formula, sp


@formula
def column_start(clear: Any, opened: Any, tRCD: Any) -> Any:
    r"""Clock of a segment's first column step: :math:`t = \max(t_{clear},\ t_{open} + t_{RCD})`.

    Symbols: t_clear clock at which the previous step allows one in this direction, t_open activate of the row in the
    unit that is opened last, tRCD [clock]. Returns [clock]. Validity: any. Known error: exact.
    Source: JESD235C, lockstep.
    """
    return sp.Max(clear, opened + tRCD)


@formula
def closable(opened: Any, tRAS: Any, last: Any, tail: Any) -> Any:
    r"""Clock from which a bank may be precharged: :math:`t = \max(t_{open} + t_{RAS},\ t_{last} + t_{tail})`.

    Symbols: t_open its last activate, tRAS, t_last its last column, t_tail [clock]. Returns [clock].
    Validity: any. Known error: exact. Source: JESD235C.
    """
    return sp.Max(opened + tRAS, last + tail)


@formula
def activate_clock(
    ready: Any, before: Any, tRC: Any, previous: Any, tRRD_S: Any, in_group: Any, tRRD_L: Any, fourth: Any, tFAW: Any
) -> Any:
    r"""Clock of an activate.

    .. math:: t = \max(t_{ready},\ t_{bank} + t_{RC},\ t_{-1} + t_{RRD\_S},\ t_{group} + t_{RRD\_L},\ t_{-4} + t_{FAW})

    Symbols: t_ready bank closed for tRP and not in refresh, t_bank its previous activate, t_-1, t_-4 the last and the
    fourth last activate of the channel, t_group the last in the group [clock], tRC, tRRD_S, tRRD_L, tFAW [clock].
    Returns [clock]. Validity: any. Known error: exact but for the command bus. Source: JESD235C.
    """
    return sp.Max(ready, before + tRC, previous + tRRD_S, in_group + tRRD_L, fourth + tFAW)


@formula
def refresh_clock(due: Any, closed: Any, before: Any, tRC: Any, previous: Any, tRREFD: Any) -> Any:
    r"""Clock of a per-bank refresh: :math:`t = \max(t_{due},\ t_{closed},\ t_{bank} + t_{RC},\ t_{-1} + t_{RREFD})`.

    Symbols: t_due, t_closed bank closed for tRP, t_bank its last activate, t_-1 the previous refresh [clock], tRC,
    tRREFD [clock]. Returns [clock]. Validity: any. Known error: exact but for the command bus. Source: JESD235C.
    """
    return sp.Max(due, closed, before + tRC, previous + tRREFD)
