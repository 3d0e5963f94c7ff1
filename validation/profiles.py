"""Profiled networks: the modelled time of every CONV, batch norm and ReLU layer beside the measured one.

A profile names layers in the words of PyTorch and gives the bytes of each output; image sizes follow from these (square
images). What the tables say of their own measuring is taken into account: a fixed time in every forward figure, and
kernels that show in another line's time (:mod:`pimmodel.validation.unlisted`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pimmodel.errors import PimModelError
from pimmodel.hardware.gpu import Gpu
from pimmodel.network.conv_shape import ConvShape
from pimmodel.roofline.conv import conv_kernels
from pimmodel.roofline.products import Phase
from pimmodel.roofline.streams import BLOCK_ELEMENTS, stream_time

from .measurements import LayerTime, Table
from .unlisted import Range, Unlisted, unlisted_kernels

# PCI Express 3.0, 16 lanes of 8 GT/s, 128 of 130 bits, packets of 256 B with 24 B around them: what is left for data of
# 15.75 GB/s. No transfer of images from the host is faster [B/s].
HOST_LINK = 14.4e9
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
    for layer, unlisted in _with_unlisted(layers):
        if layer.op not in kinds:
            continue
        try:
            if kinds[layer.op] == "CONV":
                modelled = _conv(layer, gpu, bandwidth, first=unlisted.first)
            else:
                modelled = _stream(layer, gpu, bandwidth)
        except PimModelError as error:
            found.skipped.append(f"data row {layer.row + 1}: {error}; line skipped")
            continue
        forward, backward = (
            time + _elementwise(gpu, bandwidth, moved)
            for time, moved in zip(modelled, (unlisted.forward, unlisted.backward), strict=True)
        )
        modelled = forward + unlisted.images / HOST_LINK, backward
        measured = max(layer.forward - FORWARD_OVERHEAD, 0.0), layer.backward
        found.rows.append(ProfiledLayer(layer.network, kinds[layer.op], layer.layer, measured, modelled))
    return found


def _with_unlisted(layers: Sequence[LayerTime]) -> Iterator[tuple[LayerTime, Unlisted]]:
    """Every layer with the kernels that show in its time, network by network."""
    for network in dict.fromkeys(one.network for one in layers):
        lines = [one for one in layers if one.network == network]
        yield from zip(lines, unlisted_kernels(lines, [_read_range(one) for one in lines]), strict=True)


def _read_range(layer: LayerTime) -> Range | None:
    """Least and most bytes of a CONV's input: up to a stride of rows and columns may be left out at its edges [B]."""
    if layer.op != "Conv2d":
        return None
    try:
        s = conv_shape_of(layer)
    except PimModelError:
        return None
    least, most = (s.h * s.w, (s.h + s.stride_h - 1) * (s.w + s.stride_w - 1))
    return _FP32 * s.n * s.c * least, _FP32 * s.n * s.c * most


def _elementwise(gpu: Gpu, bandwidth: float, moved: Sequence[float]) -> float:
    """Time of elementwise kernels, each of which moves so many bytes, three tensors or two [s]."""
    return sum(_passes(gpu, bandwidth, [one], one / _FP32 / BLOCK_ELEMENTS) for one in moved)


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


def _stream(layer: LayerTime, gpu: Gpu, bandwidth: float) -> tuple[float, float]:
    """Batch norm: x; x, y forward and x, dy; x, dy, dx backward. ReLU: x, y and y, dy, dx."""
    one = layer.activation_bytes
    if layer.op in CLASSES["BN"]:
        norm = _NORM.match(layer.layer)
        if not norm or not int(norm[1]):
            raise _odd(layer)
        reached = bandwidth * gpu.kernels.dram_efficiency
        return tuple(_passes(gpu, reached, [tensors * one for tensors in passes], int(norm[1]))
                     for passes in ((1, 2), (2, 3)))  # type: ignore[return-value]  # fmt: skip
    blocks = one / _FP32 / BLOCK_ELEMENTS
    return _passes(gpu, bandwidth, [2 * one], blocks), _passes(gpu, bandwidth, [3 * one], blocks)


def _passes(gpu: Gpu, bandwidth: float, traffic: Sequence[float], blocks: float) -> float:
    """Time of kernels that each stream some bytes [s]."""
    times = stream_time(
        traffic=np.array(traffic, dtype=float), bandwidth=bandwidth, operations=0.0, operation_rate=gpu.fp32_peak,
        blocks=max(1.0, blocks), sms=gpu.sm_count, launch=gpu.kernels.launch_factor * gpu.launch_overhead,
    )  # fmt: skip
    return float(np.sum(times))
