"""What every `validate` command hands back: one row of error statistics per comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

STATISTICS = ("median", "mean", "p90", "p95", "worst")


@dataclass(frozen=True)
class Row:
    """Statistics of the errors of one comparison; all errors are fractions (0.01 is 1 %), never negative.

    data : what was compared with (a file of the truth folder)
    quantity : what was compared, and the setting
    n : number of compared values
    median, mean, p90, p95, worst : statistics of the n errors [1]; nan where n errors do not exist
    target : the limits in words ("median <= 1 %, worst <= 8 %"); empty: reported without a target
    met : whether all limits hold; None without a target
    """

    data: str
    quantity: str
    n: int
    median: float
    mean: float
    p90: float
    p95: float
    worst: float
    target: str = ""
    met: bool | None = None

    @classmethod
    def of(cls, data: str, quantity: str, errors: Sequence[float], limits: dict[str, float] | None = None) -> Row:
        """Row of a list of errors [1] against `limits` (statistic name to its largest allowed value [1]).

        >>> Row.of("a.csv", "cycles", [0.0, 0.01, 0.05], {"median": 0.01, "worst": 0.04})
        ... # doctest: +ELLIPSIS
        Row(data='a.csv', quantity='cycles', n=3, median=0.01, ..., target='median <= 1 %, worst <= 4 %', met=False)
        """
        limits = limits or {}
        unknown = set(limits) - set(STATISTICS)
        if unknown:
            raise ValueError(f"no such statistic: {', '.join(sorted(unknown))}")
        found = statistics(errors)
        target = ", ".join(f"{name} <= {100 * limit:g} %" for name, limit in limits.items())
        # The slack of 1e-12 keeps rounding in the division from deciding a comparison of equal numbers.
        met = all(found[name] <= limit + 1e-12 for name, limit in limits.items()) if limits else None
        return cls(data, quantity, len(errors), **found, target=target, met=met)

    @classmethod
    def note(cls, data: str, text: str, n: int) -> Row:
        """Row that reports `n` values which could not be compared; it counts as not met."""
        return cls(data, text, n, nan, nan, nan, nan, nan, target="none skipped", met=False)


def statistics(errors: Sequence[float]) -> dict[str, float]:
    """Median, mean, 90th and 95th percentile and worst of errors [1]; nan for an empty list.

    >>> statistics([0.0, 0.02])["mean"]
    0.01
    """
    if not len(errors):
        return dict.fromkeys(STATISTICS, nan)
    values = np.asarray(errors, dtype=float)
    p90, p95 = np.percentile(values, [90, 95])
    return {
        "median": float(np.median(values)),
        "mean": float(values.mean()),
        "p90": float(p90),
        "p95": float(p95),
        "worst": float(values.max()),
    }
