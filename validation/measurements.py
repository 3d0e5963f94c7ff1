"""Measured GPU times from CSV files: CONV kernels, layer profiles, network throughput. Bad lines are named and skipped.

Formats (those of `validation/tables/gpu`; more columns are ignored):

- kernels: precision, N, C, H, W, K, R, S, pad_h, pad_w, stride_h, stride_w, fwd_ms, bwd_data_ms, bwd_weight_ms;
  optional groups, layout (NCHW or NHWC), gpu, app, fwd_algorithm. An empty time was not measured. W, H are the
  unpadded input, R, S filter height and width. `gpu` is for files of several GPUs: the one that a line is of.
- profiles: network, batch, op, layer, forward_ms, backward_ms, activation_bytes.
- throughput: network, batch, precision, gpu, images_per_s; optional framework, part (what was timed: `step`, the
  default, or `forward+backward`, a step without its weight update).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pimmodel.errors import PimModelError
from pimmodel.network.conv_shape import ConvShape
from pimmodel.roofline.conv import Matrix
from pimmodel.roofline.products import Phase

T = TypeVar("T")

PRECISIONS: dict[str, Matrix] = {
    "fp32": "fp32", "float32": "fp32", "tf32": "tf32", "fp16_in_fp32_acc": "fp16", "fp16": "fp16", "float16": "fp16",
    "half": "fp16", "amp": "fp16",
}  # fmt: skip
KERNEL_TIMES: tuple[tuple[str, Phase], ...] = (("fwd_ms", "FP"), ("bwd_data_ms", "DX"), ("bwd_weight_ms", "DW"))
_SIZES = ("N", "C", "H", "W", "K", "R", "S", "pad_h", "pad_w", "stride_h", "stride_w")
_KERNEL_COLUMNS = ("precision", *_SIZES, *(column for column, _ in KERNEL_TIMES))
_PROFILE_COLUMNS = ("network", "batch", "op", "layer", "forward_ms", "backward_ms", "activation_bytes")
_PARTS = ("step", "forward+backward")
_THROUGHPUT_COLUMNS = ("network", "batch", "precision", "gpu", "images_per_s")


@dataclass(frozen=True)
class KernelTime:
    """One measured CONV kernel: `row` is the data row of its file, from 0 in file order; time [s]; padding (h, w).

    gpu : as the file writes it, "" where it names none
    """

    row: int
    precision: Matrix
    phase: Phase
    shape: ConvShape
    time: float
    channels_last: bool = False
    padding: tuple[int, int] = (0, 0)
    app: str = ""
    gpu: str = ""


@dataclass(frozen=True)
class LayerTime:
    """One layer of a measured profile: forward and backward time [s], bytes of its output [B]; `row` as above."""

    network: str
    batch: int
    op: str
    layer: str
    forward: float
    backward: float
    activation_bytes: float
    row: int = 0


@dataclass(frozen=True)
class Throughput:
    """Measured training throughput of a network [images/s]; `updates`: whether weight updates are in its time."""

    network: str
    batch: int
    precision: Matrix
    gpu: str
    images_per_second: float
    framework: str = ""
    updates: bool = True


@dataclass
class Table(Generic[T]):
    """Rows of a file, and a sentence per line that was skipped."""

    rows: list[T] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


class _BadCellError(Exception):
    """A cell that cannot be used: says which, and what is allowed."""


def read_kernels(path: Path | str) -> Table[KernelTime]:
    """Measured CONV kernels; a line with one bad cell is skipped whole.

    Raises
    ------
    PimModelError : the file cannot be read, misses a column, or has no usable line.
    """
    return _read(path, _KERNEL_COLUMNS, _kernel_line)


def read_profiles(path: Path | str) -> Table[LayerTime]:
    """Measured layers; errors as for `read_kernels`."""
    return _read(path, _PROFILE_COLUMNS, _profile_line)


def read_throughput(path: Path | str) -> Table[Throughput]:
    """Measured networks; errors as for `read_kernels`."""
    return _read(path, _THROUGHPUT_COLUMNS, _throughput_line)


def _read(path: Path | str, columns: Sequence[str], line: Callable[[int, dict[str, str]], Iterable[T]]) -> Table[T]:
    table: Table[T] = Table()
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restkey="")
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise PimModelError(f"{path}: missing column {', '.join(missing)}; needed: {', '.join(columns)}")
            for index, cells in enumerate(reader):
                try:
                    _complete(cells, columns)
                    table.rows += line(index, cells)
                except _BadCellError as error:
                    table.skipped.append(f"{path}:{reader.line_num}: {error}; line skipped")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PimModelError(
            f"{path}: cannot be read as a CSV file: {getattr(error, 'strerror', None) or error}"
        ) from None
    if not table.rows:
        raise PimModelError("\n".join([f"{path}: no usable line", *table.skipped[:5]]))
    return table


def _complete(cells: dict[str, Any], columns: Sequence[str]) -> None:
    """Refuses lines whose cells cannot be told apart: some missing, or some beyond the header."""
    if any(cells[name] is None for name in columns):
        raise _BadCellError("the line ends too early; allowed: as many cells as the header has")
    if any(cell.strip() for cell in cells.get("", [])):
        raise _BadCellError("the line has more cells than the header; is a comma not quoted?")


def _number(cells: dict[str, str], name: str, *, least: float, above: bool = False) -> float:
    text = cells[name].strip()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and (value > least if above else value >= least)):
        raise _BadCellError(f"{name} is '{text}'; allowed: a number {'above' if above else 'of at least'} {least:g}")
    return value


def _count(cells: dict[str, str], name: str, least: int) -> int:
    value = _number(cells, name, least=least)
    if value != int(value):
        raise _BadCellError(f"{name} is '{cells[name]}'; allowed: a whole number of at least {least}")
    return int(value)


def _precision(cells: dict[str, str]) -> Matrix:
    text = cells["precision"].strip().lower()
    if text not in PRECISIONS:
        raise _BadCellError(f"precision is '{text}'; allowed: {', '.join(PRECISIONS)}")
    return PRECISIONS[text]


def _kernel_line(row: int, cells: dict[str, str]) -> Iterable[KernelTime]:
    precision = _precision(cells)
    size = {name: _count(cells, name, 0 if name.startswith("pad") else 1) for name in _SIZES}
    groups = _count(cells, "groups", 1) if (cells.get("groups") or "").strip() else 1
    for channels in ("C", "K"):
        if size[channels] % groups:
            raise _BadCellError(f"groups is '{groups}'; allowed: a divisor of {channels} = {size[channels]}")
    out = [(size[a] + 2 * size[pad] - size[b]) // size[step] + 1
           for a, pad, b, step in (("H", "pad_h", "R", "stride_h"), ("W", "pad_w", "S", "stride_w"))]  # fmt: skip
    if min(out) < 1:
        raise _BadCellError(f"a filter of {size['R']} x {size['S']} does not fit the padded image")
    layout = (cells.get("layout") or "").strip().upper()
    if layout not in ("", "NCHW", "NHWC"):
        raise _BadCellError(f"layout is '{layout}'; allowed: NCHW, NHWC")
    p, q = out
    shape = ConvShape(size["N"], size["C"], size["H"], size["W"], size["K"], p, q, size["R"], size["S"],
                      size["stride_h"], size["stride_w"], groups)  # fmt: skip
    found = [
        KernelTime(row, precision, phase, shape, _number(cells, column, least=0, above=True) * 1e-3, layout == "NHWC",
                   (size["pad_h"], size["pad_w"]), (cells.get("app") or "").strip(), (cells.get("gpu") or "").strip())
        for column, phase in KERNEL_TIMES
        if cells[column].strip()
    ]  # fmt: skip
    if not found:
        raise _BadCellError(f"no time is given; allowed: at least one of {', '.join(name for name, _ in KERNEL_TIMES)}")
    return found


def _profile_line(row: int, cells: dict[str, str]) -> Iterable[LayerTime]:
    return [
        LayerTime(
            cells["network"], _count(cells, "batch", 1), cells["op"], cells["layer"],
            _number(cells, "forward_ms", least=0) * 1e-3, _number(cells, "backward_ms", least=0) * 1e-3,
            _number(cells, "activation_bytes", least=0), row,
        )
    ]  # fmt: skip


def _throughput_line(_: int, cells: dict[str, str]) -> Iterable[Throughput]:
    part = (cells.get("part") or "").strip().lower() or _PARTS[0]
    if part not in _PARTS:
        raise _BadCellError(f"part is '{part}'; allowed: {', '.join(_PARTS)}")
    return [
        Throughput(
            cells["network"].strip(), _count(cells, "batch", 1), _precision(cells), cells["gpu"].strip(),
            _number(cells, "images_per_s", least=0, above=True), cells.get("framework", "") or "", part == _PARTS[0],
        )
    ]  # fmt: skip
