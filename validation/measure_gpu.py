"""Measure a GPU with PyTorch, for `pimmodel calibrate` and `pimmodel validate gpu`.

    python -m pimmodel.validation.measure_gpu -o kernels.csv --layers layers.csv

`kernels.csv` has the columns of :mod:`pimmodel.validation.measurements`: CONV forward, data gradient and weight
gradient of the shapes of a table (default: the 94 that ship) or of a network of the zoo (`--network resnet50`).
`layers.csv` has batch norm, ReLU, Add and pooling, forward and backward, with their bytes. Each time is the median of
many runs between CUDA events, after a warm-up in which cuDNN chooses its algorithms. TF32 is off in fp32 rows and on in
tf32 rows. Needs torch. `--device cpu` exists to try the script; its times say nothing about a GPU.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pimmodel.errors import PimModelError
from pimmodel.load import load_network
from pimmodel.network.conv_shape import ConvShape, conv_shape
from pimmodel.network.ops import Conv

from .measurements import read_kernels

KERNEL_HEADER = (
    "precision", "app", "N", "C", "H", "W", "K", "R", "S", "pad_h", "pad_w", "stride_h", "stride_w", "groups", "layout",
    "fwd_ms", "bwd_data_ms", "bwd_weight_ms",
)  # fmt: skip
LAYER_HEADER = ("precision", "layer", "N", "C", "H", "W", "forward_ms", "backward_ms", "tensor_bytes")
# Feature maps of the layers measured: large and small, few channels and many.
MAPS = (
    (64, 64, 112, 112), (64, 64, 56, 56), (64, 256, 56, 56), (64, 512, 28, 28), (64, 1024, 14, 14), (64, 2048, 7, 7),
    (16, 64, 28, 28), (16, 256, 14, 14),
)  # fmt: skip


class Timer:
    """Median time of a call in milliseconds: CUDA events on a GPU, a clock elsewhere."""

    def __init__(self, torch: Any, device: str, runs: int) -> None:
        self.torch, self.cuda, self.runs = torch, device.startswith("cuda"), runs

    def __call__(self, call: Callable[[], object]) -> float:
        """Median of `runs` calls [ms], after three that warm up."""
        for _ in range(3):
            call()
        if not self.cuda:
            return statistics.median(self._by_clock(call) for _ in range(self.runs))
        events = [[self.torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(self.runs)]
        self.torch.cuda.synchronize()
        for before, after in events:
            before.record()
            call()
            after.record()
        self.torch.cuda.synchronize()
        return statistics.median(float(before.elapsed_time(after)) for before, after in events)

    @staticmethod
    def _by_clock(call: Callable[[], Any]) -> float:
        start = time.perf_counter()
        call()
        return (time.perf_counter() - start) * 1e3


def conv_row(torch: Any, timer: Timer, device: str, precision: str, app: str, shape: ConvShape,
             padding: tuple[int, int], layout: str) -> dict[str, Any]:  # fmt: skip
    """One row of `KERNEL_HEADER`; the data gradient of an image (3 channels or fewer) is not measured."""
    kind = torch.float16 if precision == "fp16" else torch.float32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    memory = torch.channels_last if layout == "NHWC" else torch.contiguous_format

    def tensor(*sizes: int) -> Any:
        return torch.randn(sizes, device=device, dtype=kind).contiguous(memory_format=memory)

    x = tensor(shape.n, shape.c, shape.h, shape.w)
    w = tensor(shape.k, shape.c // shape.groups, shape.r, shape.s)
    dy = tensor(shape.n, shape.k, shape.p, shape.q)
    stride = (shape.stride_h, shape.stride_w)

    def backward(data: bool) -> Any:
        return torch.ops.aten.convolution_backward(
            dy, x, w, None, stride, padding, (1, 1), False, (0, 0), shape.groups, (data, not data, False)
        )

    forward = timer(lambda: torch.nn.functional.conv2d(x, w, None, stride, padding, 1, shape.groups))
    return {
        "precision": precision, "app": app, "N": shape.n, "C": shape.c, "H": shape.h, "W": shape.w, "K": shape.k,
        "R": shape.r, "S": shape.s, "pad_h": padding[0], "pad_w": padding[1], "stride_h": shape.stride_h,
        "stride_w": shape.stride_w, "groups": shape.groups, "layout": layout, "fwd_ms": f"{forward:.5f}",
        "bwd_data_ms": f"{timer(lambda: backward(True)):.5f}" if shape.c > 3 else "",
        "bwd_weight_ms": f"{timer(lambda: backward(False)):.5f}",
    }  # fmt: skip


def layer_rows(torch: Any, timer: Timer, device: str, precision: str, sizes: Sequence[int]) -> Iterable[dict[str, Any]]:
    """Rows of `LAYER_HEADER`: batch norm, ReLU, Add, max pooling on one feature map."""
    kind = torch.float16 if precision == "fp16" else torch.float32
    functional = torch.nn.functional
    x = torch.randn(sizes, device=device, dtype=kind, requires_grad=True)
    other = torch.randn(sizes, device=device, dtype=kind, requires_grad=True)
    scale, shift = (torch.ones(sizes[1], device=device, requires_grad=True) for _ in range(2))
    mean, variance = torch.zeros(sizes[1], device=device), torch.ones(sizes[1], device=device)
    calls: dict[str, Callable[[], Any]] = {
        "BatchNorm": lambda: functional.batch_norm(x, mean, variance, scale, shift, training=True),
        "ReLU": lambda: functional.relu(x),
        "Add": lambda: x + other,
        "MaxPool": lambda: functional.max_pool2d(x, 2, 2),
    }
    for name, call in calls.items():
        y = call()
        wanted = {"BatchNorm": [x, scale, shift], "Add": [x, other]}.get(name, [x])
        with torch.no_grad():
            forward = timer(call)
        backward = timer(partial(torch.autograd.grad, y, wanted, torch.randn_like(y), retain_graph=True))
        yield {
            "precision": precision, "layer": name, **dict(zip("NCHW", sizes, strict=True)),
            "forward_ms": f"{forward:.5f}", "backward_ms": f"{backward:.5f}",
            "tensor_bytes": x.numel() * x.element_size(),
        }  # fmt: skip


def shapes_of(
    network: str | None, batch: int, table: Path | None
) -> tuple[list[tuple[str, ConvShape, tuple[int, int]]], list[str]]:
    """Distinct CONV shapes of a network of the zoo or of a table, each with where it comes from and its padding.

    And a sentence per line of the table that was skipped.
    """
    found: dict[tuple[ConvShape, tuple[int, int]], str] = {}
    skipped: list[str] = []
    if network:
        for layer in load_network(network, batch):
            if isinstance(layer.op, Conv) and layer.op.dilation == (1, 1):
                found.setdefault((conv_shape(layer)._replace(bias=False), layer.op.padding[:2]), network)
    else:
        kernels = read_kernels(table or Path(__file__).parent / "tables" / "gpu" / "deepbench_v100_conv.csv")
        skipped = kernels.skipped
        for one in kernels.rows:
            found.setdefault((one.shape, one.padding), one.app)
    return [(app, shape, padding) for (shape, padding), app in found.items()], skipped


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; exit code 1 with one line where something is missing."""
    parser = argparse.ArgumentParser(prog="measure_gpu", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="CSV of CONV kernels to write")
    parser.add_argument("--layers", type=Path, help="CSV of batch norm, ReLU, Add and pooling to write")
    parser.add_argument("--network", help="take the shapes of this network of the zoo")
    parser.add_argument("--batch", type=int, default=64, help="batch size with --network")
    parser.add_argument("--table", type=Path, help="take the shapes of this table of kernels")
    parser.add_argument("--precision", nargs="+", default=["fp32", "fp16"], choices=["fp32", "tf32", "fp16"])
    parser.add_argument("--layout", default="NCHW", choices=["NCHW", "NHWC"])
    parser.add_argument("--runs", type=int, default=30, help="runs per median")
    parser.add_argument("--most", type=int, help="stop after this many shapes")
    parser.add_argument("--device", default="cuda")
    given = parser.parse_args(arguments)
    try:
        import torch
    except ModuleNotFoundError:
        print("measure_gpu: torch is not installed; see the README on installing it", file=sys.stderr)
        return 1
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        print("measure_gpu: torch sees no CUDA GPU", file=sys.stderr)
        return 1
    try:
        shapes, skipped = shapes_of(given.network, given.batch, given.table)
    except PimModelError as error:
        print(f"measure_gpu: {error}", file=sys.stderr)
        return 1
    for sentence in skipped:
        print(f"measure_gpu: {sentence}", file=sys.stderr)
    torch.backends.cudnn.benchmark = True
    timer = Timer(torch, given.device, given.runs)
    _write(given.output, KERNEL_HEADER, (
        conv_row(torch, timer, given.device, precision, app, shape, padding, given.layout)
        for precision in given.precision for app, shape, padding in shapes[: given.most]
    ))  # fmt: skip
    if given.layers:
        maps = MAPS[: given.most]
        _write(given.layers, LAYER_HEADER, (
            row for precision in given.precision if precision != "tf32" for sizes in maps
            for row in layer_rows(torch, timer, given.device, precision, sizes)
        ))  # fmt: skip
    return 0


def _write(path: Path, header: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    """A row as soon as it is measured, so that an interrupted run keeps what it has."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        for row in rows:
            writer.writerow(row)
            file.flush()


if __name__ == "__main__":
    sys.exit(main())
