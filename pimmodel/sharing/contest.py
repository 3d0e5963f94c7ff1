r"""Host and PIM contend for a set of banks: how often the host takes each, and how long until the PIM holds all.

The PIM steps only while its row is open in one bank of every unit. Each of these banks, once closed, goes to whoever
activates it first; a row may be closed by the other side as soon as one column came from it. On the row bus both go by
turns, so that the host wins every other contest for a bank in which it has a row waiting:

.. math:: p_r = 2^{-r} P_r

for r host rows in a bank before the PIM holds it, with P_r the probability that r rows or more wait there (`waiting`).
The last of M banks decides (`not_all_held`), and its r rows cost the PIM `regain_time`.

Neglected: that the oldest request and the lowest unit go first, which starves some banks (their requests then fill the
window, and the host asks for the others less than assumed here); rows that join the queue during the contest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimmodel.formula import formula, sp

Floats = NDArray[np.float64]

ROUNDS = 20  # rounds looked at; a twentieth comes once in a million contests


@formula
def taken_often(demanded: Any, rounds: Any) -> Any:
    r"""Probability that the host takes a bank r times before the PIM gets it: :math:`p_r = 2^{-r} P_r`.

    Symbols: P_r probability that r rows or more wait in the bank, r rounds [1]. Returns [1].

    Validity: both sides want the bank, neither is held up elsewhere. Known error: not measured apart, see
    `pimmodel.sharing.uncoordinated`. Source: strict alternation on the row bus.
    """
    return demanded * sp.Integer(2) ** -rounds


@formula
def not_all_held(taken: Any, contested: Any) -> Any:
    r"""Probability that some of M banks is taken so often: :math:`1 - (1 - p_r)^M`.

    Symbols: p_r for one bank, M banks [1]. Returns [1].

    Validity: banks are independent. Known error: not measured apart, see `pimmodel.sharing.uncoordinated`.
    Source: largest of M independent numbers.
    """
    return 1 - (1 - taken) ** contested


@formula
def regain_time(last_step: Any, ramp: Any, rounds: Any, host_row: Any) -> Any:
    r"""Clocks from the last step in a set of banks to the next one there, when one of them is lost r times.

    .. math:: t = t_0 + \max(t_A,\ t_A/2 + r\,t_H)

    Symbols: t_0 tail, tRP and tRCD, t_A clocks of the activates of the set, host rows in between, t_H clocks that a
    host row costs: at least tRAS, and tRP [clock], r [1]. Returns [clock].

    Validity: the bank that is lost most often lies anywhere in the ramp. Known error: not measured apart, see
    `pimmodel.sharing.uncoordinated`. Source: longest path.
    """
    return last_step + sp.Max(ramp, ramp / 2 + rounds * host_row)


@formula
def losses_between_steps(segment: Any, guarded: Any, gap_share: Any, loss: Any) -> Any:
    r"""How often a segment is interrupted, because the host closes a row between two of its steps.

    .. math:: \frac{(s - 1 - g)^+\, v D}{1 + v D g}

    Symbols: s steps, g of them after each opening while tRAS keeps the rows open, v share of gaps between steps that
    are longer than tRTP (or the time from a write to a precharge), D probability that the host wants one of the banks
    [1]. Returns [1].

    Validity: each gap is as good as any other. Known error: not measured apart, see `pimmodel.sharing.uncoordinated`.
    Source: renewal argument.
    """
    return sp.Max(segment - 1 - guarded, 0) * gap_share * loss / (1 + gap_share * loss * guarded)


def waiting(rows: float, banks: int, visit_banks: float) -> Floats:
    """P_r: probability that r = 0, 1 .. `ROUNDS` rows or more wait in one of `banks` banks, shape (ROUNDS + 1,) [1].

    On average `rows` wait in each; visits cover `visit_banks` different banks each and begin anywhere, so the rows in
    one bank are binomial (for a fractional number of visits: the regularised incomplete beta function).
    """
    from scipy.special import betainc

    r = np.arange(1, ROUNDS + 1)
    visits, chance = rows * banks / visit_banks, min(visit_banks / banks, 1.0)
    more = np.where(visits > r - 1, betainc(r, np.maximum(visits - r + 1, 1e-9), chance), 0.0)
    return np.concatenate([[1.0], more])


@dataclass(frozen=True)
class Contest:
    """A contest for a set of banks, arrays over r = 0 .. `ROUNDS`.

    taken : probability that the host takes one bank r times or more [1]
    wanted : probability that a row waits in one bank [1]
    rows : rows that the host opens in each bank meanwhile, mean [1]
    """

    taken: Floats
    wanted: float
    rows: float

    @staticmethod
    def of(demanded: Floats) -> Contest:
        """Contest where P_r = `demanded`, shape (ROUNDS + 1,) [1]."""
        taken = np.asarray(taken_often(demanded=demanded, rounds=np.arange(ROUNDS + 1.0)))
        return Contest(taken, float(demanded[1]), float(taken[1:].sum()))

    def rounds(self, contested: int, lost: float) -> Floats:
        """Probability that the last of `contested` banks is regained after r host rows, shape (ROUNDS + 1,) [1].

        They sum up to `lost`, the probability that any has to be opened again [1].
        """
        least = np.asarray(not_all_held(taken=self.taken, contested=contested))
        least[0] = lost
        return -np.diff(np.minimum.accumulate(least), append=0.0)

    def lost(self, contested: int) -> float:
        """Probability that the host wants any of `contested` banks [1]."""
        return float(not_all_held(taken=self.wanted, contested=contested))
