"""Profiled networks: the modelled time of every CONV, batch norm and ReLU layer beside the measured one.

A profile names layers in the words of PyTorch and gives the bytes of each output; image sizes follow from these (square
images). What the tables say of their own measuring is taken into account: a fixed time in every forward figure, and
in-place Adds that are not timed themselves. An Add's kernel shows in the layer after it; so does, backward, the sum
of the two gradients where its output forks, as it does in a residual network.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pimmodel.errors import PimModelError
from pimmodel.hardware.gpu import Gpu
from pimmodel.network.conv_shape import ConvShape
from pimmodel.roofline.conv import Phase, conv_kernels
from pimmodel.roofline.streams import BLOCK_ELEMENTS, stream_time

from .measurements import LayerTime, Table

FORWARD_OVERHEAD = 0.30e-3  # fixed time in each forward figure [s]; README of the tables
CLASSES = {"CONV": ("Conv2d", "Linear"), "BN": ("BatchNorm2d",), "ReLU": ("ReLU",)}
_FP32 = 4
_CONV = re.compile(
    r"Conv2d\((\d+), (\d+), kernel_size=\((\d+), (\d+)\), stride=\((\d+), (\d+)\)(?:, padding=\((\d+), (\d+)\))?(.*)\)"
)
_LINEAR = re.compile(r"Linear\(in_features=(\d+), out_features=(\d+)")
_NORM = re.compile(r"BatchNorm2d\((\d+)")


@dataclass(frozen=True)
class ProfiledLayer:
    """One layer: its class in `CLASSES`, forward and backward time measured and modelled [s]."""

    network: str
    kind: str
    layer: str
    measured: tuple[float, float]
    modelled: tuple[float, float]


def profiled_layers(layers: Sequence[LayerTime], gpu: Gpu, bandwidth: float) -> Table[ProfiledLayer]:
    """All layers of the three classes, in the order of the file; a layer whose text is none of PyTorch's is skipped.

    Parameters
    ----------
    layers : of one or more networks, fp32
    gpu, bandwidth : the GPU and the DRAM bandwidth of its host side, refresh taken off [B/s]
    """
    kinds = {op: kind for kind, ops in CLASSES.items() for op in ops}
    found: Table[ProfiledLayer] = Table()
    before: LayerTime | None = None
    for layer in layers:
        previous = before.op if before is not None and before.network == layer.network else ""
        before = layer
        if layer.op not in kinds:
            continue
        try:
            if kinds[layer.op] == "CONV":
                modelled = _conv(layer, gpu, bandwidth, first=previous in ("", "Input"))
            else:
                modelled = _stream(layer, gpu, bandwidth, after_add=previous == "Add")
        except PimModelError as error:
            found.skipped.append(f"data row {layer.row + 1}: {error}; line skipped")
            continue
        measured = max(layer.forward - FORWARD_OVERHEAD, 0.0), layer.backward
        found.rows.append(ProfiledLayer(layer.network, kinds[layer.op], layer.layer, measured, modelled))
    return found


def _conv(layer: LayerTime, gpu: Gpu, bandwidth: float, *, first: bool) -> tuple[float, float]:
    """Forward; data gradient (not of the first layer) and weight gradient; biases by kernels of their own."""
    shape = conv_shape_of(layer)
    phases: tuple[Phase, ...] = ("FP", "DX", "DW")
    forward, data, weight = map(float, conv_kernels([shape] * 3, phases, gpu, bandwidth, "fp32").time)
    backward = weight if first else data + weight
    if not shape.bias:
        return forward, backward
    moved, blocks = layer.activation_bytes, layer.activation_bytes / _FP32 / BLOCK_ELEMENTS
    return (forward + _passes(gpu, bandwidth, [2 * moved], blocks),
            backward + _passes(gpu, bandwidth * gpu.kernels.dram_efficiency, [moved], blocks))  # fmt: skip


def conv_shape_of(layer: LayerTime) -> ConvShape:
    """Shape of a Conv2d or Linear layer of a profile.

    Raises
    ------
    PimModelError : its text is none that PyTorch prints, or its sizes do not fit together.

    >>> conv_shape_of(LayerTime("net", 2, "Conv2d", "Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))",
    ...                         0.0, 0.0, 2 * 8 * 16 * 16 * 4))
    ConvShape(n=2, c=3, h=31, w=31, k=8, p=16, q=16, r=3, s=3, stride_h=2, stride_w=2, groups=1, bias=True)
    """
    if linear := _LINEAR.match(layer.layer):
        inputs, outputs = map(int, linear.groups())
        return ConvShape(layer.batch, inputs, 1, 1, outputs, 1, 1, bias="bias=False" not in layer.layer)
    conv = _CONV.match(layer.layer)
    if not conv:
        raise _odd(layer)
    *sizes, rest = conv.groups()
    c, k, r, s, stride_h, stride_w, pad_h, pad_w = (int(size or 0) for size in sizes)
    groups = int(found[1]) if (found := re.search(r"groups=(\d+)", rest)) else 1
    if min(c, k, r, s, stride_h, stride_w, groups) < 1 or c % groups or k % groups or not layer.activation_bytes:
        raise _odd(layer)
    p = max(1, round(math.sqrt(layer.activation_bytes / _FP32 / layer.batch / k)))
    height, width = max(1, (p - 1) * stride_h + r - 2 * pad_h), max(1, (p - 1) * stride_w + s - 2 * pad_w)
    return ConvShape(layer.batch, c, height, width, k, p, p, r, s, stride_h, stride_w, groups,
                     "bias=False" not in rest)  # fmt: skip


def _odd(layer: LayerTime) -> PimModelError:
    return PimModelError(f"layer '{layer.layer}' of {layer.network} is not as PyTorch prints it")


def _stream(layer: LayerTime, gpu: Gpu, bandwidth: float, *, after_add: bool) -> tuple[float, float]:
    """Batch norm: x; x, y forward and x, dy; x, dy, dx backward. ReLU: x, y and y, dy, dx. Add: operands, result."""
    one = layer.activation_bytes
    if layer.op in CLASSES["BN"]:
        norm = _NORM.match(layer.layer)
        if not norm or not int(norm[1]):
            raise _odd(layer)
        reached = bandwidth * gpu.kernels.dram_efficiency
        return tuple(_passes(gpu, reached, [tensors * one for tensors in passes], int(norm[1]))
                     for passes in ((1, 2), (2, 3)))  # type: ignore[return-value]  # fmt: skip
    blocks = one / _FP32 / BLOCK_ELEMENTS
    added = [3 * one] if after_add else []
    return _passes(gpu, bandwidth, [2 * one, *added], blocks), _passes(gpu, bandwidth, [3 * one, *added], blocks)


def _passes(gpu: Gpu, bandwidth: float, traffic: Sequence[float], blocks: float) -> float:
    """Time of kernels that each stream some bytes [s]."""
    times = stream_time(
        traffic=np.array(traffic, dtype=float), bandwidth=bandwidth, operations=0.0, operation_rate=gpu.fp32_peak,
        blocks=max(1.0, blocks), sms=gpu.sm_count, launch=gpu.kernels.launch_factor * gpu.launch_overhead,
    )  # fmt: skip
    return float(np.sum(times))
