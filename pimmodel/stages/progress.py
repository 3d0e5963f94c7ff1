r"""Progress of host and PIM beside each other at any request rate: tables over the rate, filled where they are needed.

The exclusive policy's closed form (:mod:`pimmodel.sharing.turns`) takes milliseconds per request rate, far too long
for a million designs. It is worked out at `NODES` equally spaced rates and taken as linear in between, by every
evaluator of the stage model, so that all of them give the same numbers. That is off by less than 0.03 of full progress
on average, and by up to 0.25 where progress jumps between two nodes (bounds of `tests/stages/test_stage_model.py`).

PIM work of several kernels beside one host task has the mean progress of its kernels, weighted by their work:

.. math:: \rho = 1 / \sum_i w_i / \rho_i, \qquad r = \rho \sum_i w_i r_i / \rho_i
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pimmodel.dual import numbers, value_of
from pimmodel.hardware.system import System
from pimmodel.pim.tasks import Signature, pim_kernel
from pimmodel.schedule.tasks import Floats, Ints
from pimmodel.sharing.pairs import LEAST_RATE, WRITE_STEPS, exclusive_progress, threshold_grid

NODES = 65
_LEAST = 1e-9  # progress of a side that stands still; keeps quotients finite

Mix = tuple[tuple[Signature, float], ...]  # kernels and their shares of the work


@dataclass(frozen=True)
class Grid:
    """Request rates at which progress is worked out [1/clock]."""

    first: float
    step: float

    def place(self, rate: Floats) -> tuple[Ints, Floats]:
        """Node below each `rate`, any shape [1/clock], and the share of the way from it to the next [1]."""
        at = (numbers(rate) - self.first) / self.step
        node = np.clip(value_of(at).astype(np.int64), 0, NODES - 2)
        return node, at - node

    def rate(self, node: int) -> float:
        """Rate of a node [1/clock]."""
        return self.first + node * self.step


class ProgressTable:
    """Progress of pairs on one system, by write share, kernel mix, request rate and thresholds.

    Parameters
    ----------
    system : memory, PIM and controller decide; the GPU does not
    """

    def __init__(self, system: System) -> None:
        self.system = system
        self.low, self.high = threshold_grid(system)
        self.grid = Grid(LEAST_RATE, (1 / system.memory.timing.tCCD_S - LEAST_RATE) / (NODES - 1))
        self._room = int(self.high.max())
        self._every = np.arange(len(self.low)).tobytes()  # all pairs
        self._known: dict[tuple[Signature, int, bytes], dict[int, tuple[Floats, Floats]]] = {}

    def pairs(self, low: Ints, high: Ints) -> Ints:
        """Places of threshold pairs `low` < `high`, arrays of one shape [1], in the grid of all pairs."""
        return np.searchsorted(self.low * (self._room + 1) + self.high, low * (self._room + 1) + high)

    def pair(self, low: int, high: int) -> int:
        """Place of one threshold pair in the grid of all pairs."""
        return int(self.pairs(np.asarray(low), np.asarray(high)))

    def kernel(self, signature: Signature, share: int, nodes: Sequence[int], pairs: Ints) -> tuple[Floats, Floats]:
        """Progress of host and PIM beside one kernel, each of shape (nodes, pairs) [1].

        Parameters
        ----------
        signature : the kernel
        share : write share of the host, in parts of `WRITE_STEPS`
        nodes : of the rate
        pairs : places in the grid of all threshold pairs, shape (G,)
        """
        known = self._known.setdefault((signature, share, pairs.tobytes()), {})
        whole = self._known.get((signature, share, self._every), {})
        known |= {node: (whole[node][0][pairs], whole[node][1][pairs])
                  for node in nodes if node not in known and node in whole}  # fmt: skip
        missing = [node for node in nodes if node not in known]
        if missing:
            made = exclusive_progress(
                self.system, [self.grid.rate(node) for node in missing], share / WRITE_STEPS,
                pim_kernel(signature, self.system), self.low[pairs], self.high[pairs],
            )  # fmt: skip
            known |= {node: (made.host[row], made.pim[row]) for row, node in enumerate(missing)}
        host, pim = zip(*(known[node] for node in nodes), strict=True)
        return np.stack(host), np.stack(pim)

    def mixed(self, mix: Mix, share: int, nodes: Sequence[int], pairs: Ints) -> tuple[Floats, Floats]:
        """Progress of host and PIM beside a mix of kernels, each of shape (nodes, pairs), above 0 [1].

        A kernel that is better off in turns with the host (progress adds up to less than 1) waits for it.
        """
        slowness = host_time = np.zeros((len(nodes), len(pairs)))
        for signature, weight in mix:
            host, pim = self.kernel(signature, share, nodes, pairs)
            turns = host + pim < 1
            host, pim = np.where(turns, 1.0, np.maximum(host, _LEAST)), np.where(turns, _LEAST, np.maximum(pim, _LEAST))
            slowness = slowness + weight / pim
            host_time = host_time + weight * host / pim
        return np.minimum(host_time / slowness, 1.0), np.minimum(1 / slowness, 1.0)

    def at(self, mix: Mix, share: int, rate: Any, pairs: Ints) -> tuple[Floats, Floats]:
        """Progress of host and PIM at one request rate [1/clock], each of shape (G,) as the `pairs` [1]."""
        node, part = self.grid.place(rate)
        host, pim = self.mixed(mix, share, [int(node), int(node) + 1], pairs)
        return host[0] + part * (host[1] - host[0]), pim[0] + part * (pim[1] - pim[0])


_TABLES: dict[str, ProgressTable] = {}
_MOST_TABLES = 256


def progress_table(system: System) -> ProgressTable:
    """The table of a system, shared by all systems with the same memory, PIM and controller."""
    parts = [part.model_dump_json(exclude={"name", "title", "policy", "theta_low", "theta_high"})
             for part in (system.memory, system.pim, system.controller)]  # fmt: skip
    key = "|".join(parts)
    if key not in _TABLES:
        if len(_TABLES) >= _MOST_TABLES:
            del _TABLES[next(iter(_TABLES))]
        _TABLES[key] = ProgressTable(system)
    return _TABLES[key]


def mix_of(kernels: Sequence[Signature | None], work: Sequence[float]) -> Mix:
    """Kernels and their shares of the work, equal kernels together; shares to six digits, so that equal mixes meet."""
    found: dict[Signature, float] = {}
    for kernel, amount in zip(kernels, work, strict=True):
        assert kernel is not None
        found[kernel] = found.get(kernel, 0.0) + amount
    whole = sum(found.values())
    return tuple(sorted((kernel, round(amount / whole, 6)) for kernel, amount in found.items()))
