"""Winograd CONV: fewer multiplications for 3 x 3 and 5 x 5 filters, paid for with transforms.

An output patch of m x m pixels needs a x a points, a = m + R - 1, instead of m x m x R x R products (Lavin and Gray,
Fast algorithms for convolutional neural networks, CVPR 2016, doi 10.1109/CVPR.2016.435). *Fused* kernels, F(2x2, 3x3),
keep the points in registers: a product of `patches` x inputs by outputs for each of 16 points. *Non-fused* ones,
F(4x4), write transformed inputs and filters, run one batched product for the a x a points, and transform the results
back.
"""

from __future__ import annotations

from typing import Any

from pimmodel.formula import formula, sp

FUSED_EDGE = 2
NON_FUSED_EDGE = 4


@formula
def transform_traffic(
    patches: Any, points: Any, inputs: Any, outputs: Any, element_bytes: Any, first_bytes: Any, second_bytes: Any,
    result_bytes: Any,
) -> Any:  # fmt: skip
    r"""Bytes that the transforms of a non-fused Winograd CONV write and read, tensors at both ends included.

    .. math:: B = 2 a^2 (T C + T K_o + C K_o) e + B_A + B_B + B_C

    Symbols: a^2 points [1], T patches [1], C inputs [1], K_o outputs [1], e element_bytes [B], B_A first_bytes [B],
    B_B second_bytes [B], B_C result_bytes [B]. Returns [B].

    Validity: forward and data gradient alike (C and K_o change places); the weight gradient's product sums over T.
    Known error: what stays in L2 between transform and product does not reach DRAM; `winograd_traffic` of
    :class:`pimmodel.hardware.gpu.KernelConstants` is the share that does.
    Source: Lavin and Gray, CVPR 2016, section 4.1.
    """
    points_moved = 2 * points * element_bytes * (patches * inputs + patches * outputs + inputs * outputs)
    return sp.sympify(points_moved + first_bytes + second_bytes + result_bytes)
