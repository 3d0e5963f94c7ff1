"""How fast a host task and a PIM task progress while both run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pimmodel.errors import PimModelError


class PairRate(NamedTuple):
    """Progress of a pair that runs at once, as shares of what each does alone.

    host, pim : progress per time, 0 to 1, not both 0 [1]
    host_memory, pim_memory : share of the time that each holds the memory [1]; None: the PIM holds it for as long as
        its progress takes, the host for the rest
    """

    host: float
    pim: float
    host_memory: float | None = None
    pim_memory: float | None = None

    @property
    def holders(self) -> tuple[float, float]:
        """Shares of the time that host and PIM hold the memory [1]."""
        pim = self.pim if self.pim_memory is None else self.pim_memory
        return (1 - pim if self.host_memory is None else self.host_memory), pim


# (index of the host's task, index of the PIM's task) -> rates
PairRates = Callable[[int, int], PairRate]

TURNS = PairRate(1.0, 0.0)  # the PIM runs only while the host does not


def same_rates(host: float, pim: float) -> PairRates:
    """The same rates for every pair; (1, 0) is the serial policy, (1, 1) no conflict at all."""
    rate = PairRate(host, pim)
    return lambda host_task, pim_task: rate


def rate_table(host: Any, pim: Any, tasks: int) -> PairRates:
    """Rates from arrays over (host task, PIM task) that broadcast to shape (T, T), T = `tasks` [1].

    >>> rates = rate_table([[0.9], [0.5]], 0.3, tasks=2)  # the same for all PIM tasks under a host task
    >>> rates(1, 0)
    PairRate(host=0.5, pim=0.3, host_memory=None, pim_memory=None)
    """
    shape = (tasks, tasks)
    hosts, pims = (np.broadcast_to(np.asarray(one, dtype=float), shape) for one in (host, pim))
    return lambda host_task, pim_task: PairRate(float(hosts[host_task, pim_task]), float(pims[host_task, pim_task]))


def checked(rate: PairRate, host_task: str, pim_task: str) -> PairRate:
    """The rate itself.

    Raises
    ------
    PimModelError : a rate is not a share, or both are 0.
    """
    if not (0 <= rate.host <= 1 and 0 <= rate.pim <= 1 and rate.host + rate.pim > 0):
        raise PimModelError(
            f"rates of {host_task} and {pim_task} are {rate.host} and {rate.pim}; allowed: 0 to 1, not both 0"
        )
    return rate
