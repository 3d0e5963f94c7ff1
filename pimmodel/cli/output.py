"""What the commands print: tables for people, JSON and CSV for programs; files are written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pimmodel.errors import PimModelError
from pimmodel.units import format_quantity

if TYPE_CHECKING:
    from pimmodel.step import Estimate


def emit(text: str, output: Path | None) -> None:
    """Print text, or write it to a file in one step (a failure leaves no half-written file behind)."""
    if output is None:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        return
    try:
        with tempfile.NamedTemporaryFile("w", dir=output.parent, prefix=f".{output.name}.", delete=False,
                                         encoding="utf-8") as file:  # fmt: skip
            file.write(text if text.endswith("\n") else text + "\n")
        os.chmod(file.name, 0o666 & ~_umask())
        os.replace(file.name, output)
    except OSError as error:
        raise PimModelError(f"cannot write {output}: {error.strerror}") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def table(title: str, headers: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[bool]) -> str:
    """A table as text; columns of numbers are set flush right. Colour only on a terminal that wants it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for header, number in zip(headers, numbers, strict=True):
        drawn.add_column(header, justify="right" if number else "left", no_wrap=number, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    width = None if sys.stdout.isatty() else 200
    buffer = io.StringIO()
    Console(file=buffer, force_terminal=sys.stdout.isatty(), width=width).print(drawn)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


def csv_text(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as CSV with a header."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _shape(sizes: Iterable[int]) -> str:
    return "x".join(map(str, sizes))


def emit_estimate(result: Estimate, form: str, output: Path | None) -> None:
    """One estimate: a summary and the table of layers."""
    if form == "json":
        return emit(result.to_json(), output)
    rows = result.layer_rows()
    if form == "csv":
        return emit(csv_text([{**row, "output_shape": _shape(row["output_shape"])} for row in rows]), output)
    headers = ("layer", "type", "output", "runs on", "FLOP", "traffic", "forward", "backward", "update", "share")
    # Under `ideal` the layers' times overlap, so that a share is of the work and not of the time.
    total = sum(row["forward_s"] + row["backward_s"] + row["update_s"] for row in rows)
    cells = [
        (row["layer"], row["type"], _shape(row["output_shape"]), row["runs_on"] or "-",
         format_quantity(row["training_flops"], "FLOP"), format_quantity(row["traffic_bytes"], "B"),
         *(format_quantity(row[part], "s") for part in ("forward_s", "backward_s", "update_s")),
         f"{(row['forward_s'] + row['backward_s'] + row['update_s']) / total:.1%}")
        for row in rows
    ]  # fmt: skip
    layers = table("One training step, per layer", headers, cells, (False,) * 4 + (True,) * 6)
    emit(f"{layers}\n{result.summary()}", output)
    return None


def emit_comparison(results: Sequence[Estimate], form: str, output: Path | None) -> None:
    """All policies side by side."""
    rows: list[dict[str, Any]] = [
        {"policy": one.policy, "time_s": one.time, "images_per_second": one.images_per_second,
         "host_time_s": one.host_time, "pim_time_s": one.pim_time,
         "speedup_over_gpu_only": one.speedup_over("gpu-only"), "speedup_over_serial": one.speedup_over("serial")}
        for one in results
    ]  # fmt: skip
    if form == "json":
        step = results[0].step
        document = {"schema": "pimmodel/comparison/1", "network": step.network.name, "batch": step.network.batch,
                    "system": step.system.name, "precision": step.options.precision,
                    "optimizer": step.options.optimizer, "policies": rows}  # fmt: skip
        return emit(json.dumps(document, indent=2, allow_nan=False), output)
    if form == "csv":
        return emit(csv_text(rows), output)
    step = results[0].step
    title = (
        f"{step.network.name}, batch {step.network.batch}, {step.options.precision}, {step.options.optimizer}"
        f" on {step.system.name}"
    )
    cells = [
        (row["policy"], format_quantity(row["time_s"], "s"), f"{row['images_per_second']:.0f}",
         format_quantity(row["host_time_s"], "s"), format_quantity(row["pim_time_s"], "s"),
         f"{row['speedup_over_gpu_only']:.3f}", f"{row['speedup_over_serial']:.3f}")
        for row in rows
    ]  # fmt: skip
    headers = ("policy", "step time", "images/s", "GPU busy", "PIM busy", "vs gpu-only", "vs serial")
    emit(table(title, headers, cells, (False,) + (True,) * 6), output)
    return None
