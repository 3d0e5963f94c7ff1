"""Non-CONV layers on the GPU: passes over tensors at an achievable bandwidth, one kernel each."""

from __future__ import annotations

from typing import Any

from pimmodel.formula import formula, sp

BLOCK_ELEMENTS = 1024  # elements that a thread block of an elementwise kernel takes: 256 threads, 4 each


@formula
def stream_time(
    traffic: Any, bandwidth: Any, operations: Any, operation_rate: Any, blocks: Any, sms: Any, launch: Any
) -> Any:
    r"""Time of one kernel that streams its operands once.

    .. math:: t = \max\Bigl(\frac{B}{\beta}, \frac{O}{R_{op}}\Bigr) \frac{\lceil n_b / N_{SM} \rceil}{n_b / N_{SM}}
        + t_{launch}

    An SM gets its share of the bandwidth at most, so the SM with most blocks decides: a kernel with fewer blocks than
    SMs, or a few more, gets less than the whole. That matters to a batch norm (one block per channel: 128 channels are
    two blocks for some of 80 SMs and one for the others), and to a small tensor.

    Symbols: B traffic [B], beta bandwidth that a long stream gets [B/s], O operations [1], R_op operation_rate [1/s],
    n_b blocks [1], N_SM sms [1], t_launch launch [s]. Returns [s].

    Validity: blocks of one size; tensors that L2 does not hold, smaller ones may be faster. Batch norms that split
    channels over blocks are faster where channels are few.
    Known error: batch norm and ReLU of three profiled networks, see `pimmodel validate gpu` and the README.
    Source: batch norm of PyTorch (ATen/native/cuda/Normalization.cuh, one block per channel); the rest is counting.
    """
    uneven = sp.ceiling(blocks / sms) / (blocks / sms)
    return sp.Max(traffic / bandwidth, operations / operation_rate) * uneven + launch
