"""How long a host turn drains what its first batch (`pimmodel.sharing.fresh`) has left: first passages of the queue."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pimmodel.dram.service import ServiceCurve

Floats = NDArray[np.float64]

_NEVER = 1e50  # clocks


class DrainCurve:
    r"""First-passage times of the queue for one rate lambda: how long to drain from any backlog to any level.

    What arrives and what is served spread less, or more, than two Poisson streams: with variance c of theirs, the
    chain's ratio of births to deaths becomes :math:`(\lambda_q/\mu(q))^{1/c}`, as in the diffusion with that variance.
    Row hits leave k at a time, k requests per activate, which makes the variance of what is served k times that of
    single departures: c = `variability` k, `variability` being 1/2 for even arrivals (no variance), 1 for random ones.
    """

    def __init__(
        self, curve: ServiceCurve, rate: float, window: int, data: float, variability: float = 1.0
    ) -> None:  # fmt: skip
        mu = np.maximum(curve.rate, 1e-9)
        queued = np.arange(len(mu), dtype=float)
        # Behind a full window a request is generated when one in flight completes.
        births = np.minimum(rate, np.maximum(window - queued, 0) / max(data, 1e-9))
        births[-1] = 0.0
        passage, deaths = np.zeros(len(mu) + 1), np.zeros(len(mu) + 1)
        for q in range(len(mu) - 1, 0, -1):
            c = variability / curve.activates_per_request[q]
            up = (births[q] / mu[q]) ** (1 / c)
            net = mu[q] - births[q]
            step = (1 - up) / net if abs(net) > 1e-6 * mu[q] else 1 / (c * mu[q])
            if passage[q + 1] > _NEVER:  # practically never drained: only the ratio, the host's rate, matters
                passage[q], deaths[q] = passage[q + 1], deaths[q + 1]
            else:
                passage[q], deaths[q] = step + up * passage[q + 1], step * mu[q] + up * deaths[q + 1]
        self.queued = queued
        # Sums from the top, where passages are short: differences of sums from below would lose them.
        self.clocks = np.cumsum(passage[:0:-1])[::-1]
        self.served = np.cumsum(deaths[:0:-1])[::-1]

    def drain(self, backlog: Floats, level: Floats) -> tuple[Floats, Floats]:
        """Clocks [clock], and requests served in them [1], from `backlog` down to `level` [1].

        The two are broadcast against each other.
        """
        between = [np.interp(level, self.queued, c) - np.interp(backlog, self.queued, c)
                   for c in (self.clocks, self.served)]  # fmt: skip
        return np.maximum(between[0], 0), np.maximum(between[1], 0)

    def level_after(self, backlog: Floats, *, clocks: Floats | None = None, requests: Floats | None = None) -> Floats:
        """Requests queued [1] when `clocks` [clock] have passed, or `requests` [1] been served, since service began.

        It began with `backlog` requests [1]; all are broadcast against each other.
        """
        above = self.clocks if clocks is not None else self.served
        amount = clocks if clocks is not None else requests
        assert amount is not None
        reached = np.interp(backlog, self.queued, above) + amount
        return np.asarray(np.interp(reached, above[::-1], self.queued[::-1]))
