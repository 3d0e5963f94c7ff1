r"""How sure a step time or a speedup is: factors between model and measurement, carried through.

Two things are measured, each as the ratio of the truth to the model over cases that nothing was fitted to:

- `HOST`: whole training steps on real GPUs over the model's. It is about the host's tasks, so it is *common* to all
  policies of one step, and largely cancels in a speedup: the model is evaluated with the host's times scaled.
- `CONCURRENT`, `SERIAL`: steps on the reference simulator over the closed forms, GPU times being the same on both
  sides. It is about sharing the memory, so each policy has its own.

Both are taken as independent. With quantiles q and medians m of two factors, the logarithms of the half-widths add up
as squares:

.. math:: \ln q = \ln m_1 + \ln m_2 \pm \sqrt{\ln^2(q_1 / m_1) + \ln^2(q_2 / m_2)}

An interval is where nine of ten such cases were. It knows nothing of what neither simulator nor measurement tried:
PIM hardware that does not exist, other access patterns of the host, networks of another kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pimmodel.sensitivity.evaluate import Point

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Factor:
    """Truth over model: quantiles 5 %, 50 % and 95 % over `cases`, and the command that shows the errors."""

    low: float
    median: float
    high: float
    cases: int
    command: str


EXACT = Factor(1.0, 1.0, 1.0, 0, "")
# Quantiles of measured time over modelled time of whole training steps on six GPUs, none of them fitted.
HOST = Factor(0.915, 1.105, 1.338, 37, "pimmodel validate gpu")
# Quantiles of simulated time over the formulas' time of whole training steps: all plans but `serial`, and `serial`.
CONCURRENT = Factor(0.984, 1.007, 1.016, 54, "pimmodel validate network --csv FILE")
SERIAL = Factor(1.003, 1.003, 1.008, 6, "pimmodel validate network --csv FILE")


class Interval(NamedTuple):
    """Ends of an interval of nine tenths, and the middle: numbers or arrays of one shape, in the unit of the result."""

    low: Any
    middle: Any
    high: Any


def sharing_factor(policy: str) -> Factor:
    """The simulator's factor of a policy; none for steps without PIM and for the bound."""
    if policy in ("gpu-only", "ideal"):
        return EXACT
    return SERIAL if policy == "serial" else CONCURRENT


def time_interval(time: Any, policy: str, host_share: Any = 1.0) -> Interval:
    """Interval of step times.

    Parameters
    ----------
    time : of steps, a number or an array of any shape [s]
    policy : under which they run
    host_share : part of the time that grows with the host's [1]; the whole of it where it is not known, which gives
        the wider interval

    Examples
    --------
    >>> low, middle, high = time_interval(0.1, "exclusive")
    >>> bool(low < middle < high)
    True
    """
    time, share = np.asarray(time, dtype=float), np.asarray(host_share, dtype=float)
    low, middle, high = (1 + share * (factor - 1) for factor in (HOST.low, HOST.median, HOST.high))
    return _joined(Interval(time * low, time * middle, time * high), sharing_factor(policy))


def scaled_time_interval(times: Callable[[float], Any], policy: str) -> Interval:
    """Interval of step times from the model itself: `times` gives them [s] for a factor on the host's times [1]."""
    ends = [np.asarray(times(factor), dtype=float) for factor in (HOST.low, HOST.median, HOST.high)]
    return _joined(Interval(*ends), sharing_factor(policy))


def speedup_interval(
    times: Callable[[float], Any], reference_times: Callable[[float], Any], policy: str, reference: str
) -> Interval:
    """Interval of the speedup of one policy over another [1]; the host's factor is the same for both.

    Parameters
    ----------
    times, reference_times : step times under both policies, numbers or arrays of one shape [s], for a factor on the
        host's times [1]
    policy, reference : the policies
    """
    ratios = [np.asarray(reference_times(factor), dtype=float) / np.asarray(times(factor), dtype=float)
              for factor in (HOST.low, HOST.median, HOST.high)]  # fmt: skip
    lowest, highest = np.minimum.reduce(ratios), np.maximum.reduce(ratios)
    own, other = sharing_factor(policy), sharing_factor(reference)
    slower = Factor(1 / own.high, 1 / own.median, 1 / own.low, own.cases, own.command)
    return _joined(_joined(Interval(lowest, ratios[1], highest), slower), other)


def point_intervals(point: Point, policy: str) -> dict[str, Interval]:
    """Intervals of step time and of the speedups over `gpu-only` and `serial` at a point, by name."""

    def of(name: str) -> Callable[[float], Any]:
        return lambda factor: point.time(name, factor)

    found = {"time": scaled_time_interval(of(policy), policy)}
    for reference in ("gpu-only", "serial"):
        name = f"speedup_{reference.replace('-', '_')}"
        found[name] = speedup_interval(of(policy), of(reference), policy, reference)
    return found


def _joined(one: Interval, factor: Factor) -> Interval:
    """An interval times an independent factor."""
    middle = one.middle * factor.median
    down = np.hypot(np.log(one.low / one.middle), np.log(factor.low / factor.median))
    up = np.hypot(np.log(one.high / one.middle), np.log(factor.high / factor.median))
    return Interval(middle * np.exp(-down), middle, middle * np.exp(up))
