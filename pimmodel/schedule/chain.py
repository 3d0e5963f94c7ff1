r"""A CONV whose output channels a chain of PIM tasks follows chunk by chunk, in closed form: fill, steady state, drain.

The host runs a producer (H seconds alone, in c chunks) and then, at once, other work that the PIM tasks do not wait for
(D seconds: DW behind DX; 0 where the next CONV needs the PIM tasks). The PIM runs the tasks that consume the producer
channelwise, one behind the other (P seconds alone in all, c chunks each). While both run, they progress at rates r and
rho of what they do alone; at r', rho' once the producer is done.

* Fill: the host alone, until its first chunk is there: H/c.
* Steady state: c - 1 times, the host makes a chunk of h = H/c while the PIM works on those before, p = P/c each. Both
  run until the PIM has caught up or the host is done with its chunk, x = min(p/rho, h/r); then the rest alone.
* Drain: what is left for the PIM, and D.

Equals the event-driven schedule where all pairs of the chain have the same rates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pimmodel.formula import formula, sp
from pimmodel.schedule.tasks import Floats


def _together(host_left: Any, pim_left: Any, host_progress: Any, pim_progress: Any) -> Any:
    """Time that both run: min(pim_left / pim_progress, host_left / host_progress), one rate may be 0."""
    return host_left * pim_left / sp.Max(host_left * pim_progress, pim_left * host_progress)


@formula
def overlap_per_chunk(host_work: Any, pim_work: Any, chunks: Any, host_progress: Any, pim_progress: Any) -> Any:
    r"""Time that host and PIM both run while the producer makes one chunk.

    .. math:: x = \min\left(\frac{P}{c \rho},\; \frac{H}{c r}\right)

    Symbols: H, P time of producer and consumers alone [s], c chunks [1], r, rho progress of host and PIM while both run
    [1]. Returns [s]. Validity: r + rho > 0. Known error: exact in the fluid model. Source: derived here.
    """
    return _together(host_work, pim_work, host_progress, pim_progress) / chunks


@formula
def producer_time(host_work: Any, pim_work: Any, chunks: Any, host_progress: Any, pim_progress: Any) -> Any:
    r"""Time until the producer's last chunk is complete: fill and steady state.

    .. math:: T_1 = \frac{H}{c} + (c - 1) \left(\frac{H}{c} + (1 - r) x\right)

    Symbols: H, P time of producer and consumers alone [s], c chunks [1], r, rho progress of host and PIM while both run
    [1], x what `overlap_per_chunk` gives [s]. Returns [s]. Validity: every pair of the chain has the same rates.
    Known error: exact in the fluid model. Source: derived here.
    """
    overlap = _together(host_work, pim_work, host_progress, pim_progress) / chunks
    return host_work / chunks + (chunks - 1) * (host_work / chunks + (1 - host_progress) * overlap)


@formula
def pim_work_left(host_work: Any, pim_work: Any, chunks: Any, host_progress: Any, pim_progress: Any) -> Any:
    r"""Work that the consumers still have when the producer is complete, as time of the PIM alone.

    .. math:: L = P - (c - 1) \rho x

    Symbols: H, P time of producer and consumers alone [s], c chunks [1], r, rho progress of host and PIM while both run
    [1], x what `overlap_per_chunk` gives [s]. Returns [s]: P/c, the last chunk, where the PIM keeps up. Validity: every
    pair of the chain has the same rates. Known error: exact in the fluid model. Source: derived here.
    """
    overlap = _together(host_work, pim_work, host_progress, pim_progress) / chunks
    return pim_work - (chunks - 1) * pim_progress * overlap


@formula
def drain_time(later_work: Any, left_work: Any, host_progress: Any, pim_progress: Any) -> Any:
    r"""Time from the producer's end to the end of both the consumers and the host's other work.

    .. math:: T_2 = D + L + (1 - r' - \rho')\, y, \qquad y = \min(L / \rho',\; D / r')

    Symbols: D host work behind the producer [s], L PIM work left [s], r', rho' progress of both while they run together
    [1]. Returns [s]. Validity: L > 0, and r' > 0 where D = 0. Known error: exact in the fluid model.
    Source: derived here.
    """
    overlap = _together(later_work, left_work, host_progress, pim_progress)
    return later_work + left_work + (1 - host_progress - pim_progress) * overlap


@dataclass(frozen=True)
class Chain:
    """Times of a chain, numbers or arrays of one shape [s].

    fill : until the producer's first chunk is complete; the PIM waits for it
    steady : from there until its last one is
    drain : from there to the end of all
    """

    fill: Any
    steady: Any
    drain: Any

    @property
    def makespan(self) -> Any:
        """Time of the whole chain [s]."""
        return self.fill + self.steady + self.drain


def chain_times(
    host_work: Floats | float,
    pim_work: Floats | float,
    chunks: Any,
    rates: tuple[Any, Any],
    later_work: Floats | float = 0.0,
    later_rates: tuple[Any, Any] | None = None,
) -> Chain:
    """Fill, steady state and drain of one producer and the PIM tasks that follow it.

    Parameters
    ----------
    host_work, pim_work : time of the producer, and of all consumers together, alone [s], above 0
    chunks : chunks of the producer and of each consumer [1]
    rates : progress of host and PIM while producer and consumers run [1], not both 0
    later_work : time of host work behind the producer that does not wait for the consumers, alone [s]
    later_rates : progress while that and the consumers run; default: `rates`

    All broadcast against each other, so that a whole grid of chunk counts and rates is one call.

    >>> chain = chain_times(8.0, 4.0, 4, (1.0, 1.0))  # the PIM keeps up, and has its last chunk of 1 to do
    >>> float(chain.fill), float(chain.steady), float(chain.drain), float(chain.makespan)
    (2.0, 6.0, 1.0, 9.0)
    """
    host, pim = rates
    values = {"host_work": host_work, "pim_work": pim_work, "chunks": chunks, "host_progress": host,
              "pim_progress": pim}  # fmt: skip
    later_host, later_pim = rates if later_rates is None else later_rates
    later_host = np.where(np.asarray(later_work) > 0, later_host, 1.0)  # else it is never used, and may be 0
    fill = host_work / chunks
    left = pim_work_left(**values)
    drain = drain_time(later_work=later_work, left_work=left, host_progress=later_host, pim_progress=later_pim)
    return Chain(fill, producer_time(**values) - fill, drain)
