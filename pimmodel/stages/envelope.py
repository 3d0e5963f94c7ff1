r"""Threshold pairs that can be best for some amount of PIM work: the upper envelope over the whole integer grid.

In a stage of host work H, a pair with progress r and rho is worth (`threshold_value`, per second of host work, with a =
the PIM work at hand over H)

.. math:: \phi(a) = \left(1 - \frac{1 - r}{\rho}\right) \min\left(\frac{\rho}{r},\; a\right)

a ramp that ends in a plateau. Which pair is the highest depends on a alone, so the pairs that are best for any a are
few (tens of 2080), and are found once per mix of kernels, write share and node of the request rate. Between two nodes
the pairs of both are compared. A pair that is worth less than a thousandth more than another one, whatever a is, is
left out: the best of those that stay is worth at least 1 / (1 + `SLACK`) of the best of all, at a node.
"""

from __future__ import annotations

import functools

import numpy as np

from pimmodel.schedule.tasks import Floats, Ints
from pimmodel.stages.progress import Mix, ProgressTable

SLACK = 1e-3  # worth of a pair over another's, below which it is not kept


def useful_pairs(table: ProgressTable, mix: Mix, share: int, rate: float) -> Ints:
    """Threshold pairs worth comparing at a request rate [1/clock], places in the table's grid, rising."""
    node = int(table.grid.place(np.asarray(rate))[0])
    return np.union1d(node_pairs(table, mix, share, node), node_pairs(table, mix, share, node + 1))


@functools.lru_cache(maxsize=100_000)
def node_pairs(table: ProgressTable, mix: Mix, share: int, node: int) -> Ints:
    """Pairs of the upper envelope at one node of the rate."""
    host, pim = table.mixed(mix, share, [node], np.arange(len(table.low)))
    return upper_envelope(1 - (1 - host[0]) / pim[0], pim[0] / host[0], SLACK)


def upper_envelope(slope: Floats, reach: Floats, slack: float = 0.0) -> Ints:
    """Places of the ramps `slope` x min(a, `reach`) that are highest for some a > 0, shape (G,) each [1], rising.

    `slack` : those that are higher than all others by less than this part are left out.

    >>> upper_envelope(np.array([0.9, 0.5, 0.4]), np.array([1.0, 4.0, 2.0]))  # the third is under the second
    array([0, 1])
    """
    found: list[int] = []
    highest = -np.inf  # plateau so far, from the steepest ramp down
    for place in np.lexsort((-reach, -slope)):
        plateau = slope[place] * reach[place]
        if plateau > highest * (1 + slack) or not found:
            found.append(int(place))
            highest = plateau
    return np.array(sorted(found), dtype=np.int64)
