"""The plain roofline of a host kernel: arithmetic against DRAM bandwidth, plus launching it."""

from __future__ import annotations

from typing import Any

from pimmodel.formula import formula, sp


@formula
def roofline_time(work: Any, peak: Any, traffic: Any, bandwidth: Any, kernels: Any, launch: Any) -> Any:
    r"""Time of a host task that overlaps its arithmetic with its memory traffic.

    .. math:: t = \max(F / \Pi,\; B / \beta) + n_k t_{launch}

    Symbols: F work [FLOP], Pi peak rate [FLOP/s], B DRAM traffic [B], beta bandwidth [B/s], n_k kernels [1],
    t_launch overhead of one kernel [s]. Returns [s].

    Validity: any task; it is a lower bound where peak, bandwidth and traffic are peaks and least traffic.
    Known error: 31-47 % median on measured V100 CONV kernels when fitted with one scale
    (`tests/validation/test_gpu_truth.py`).
    Source: Williams, Waterman, Patterson, Roofline, CACM 52(4), 2009, doi 10.1145/1498765.1498785.
    """
    return sp.Max(work / peak, traffic / bandwidth) + kernels * launch
