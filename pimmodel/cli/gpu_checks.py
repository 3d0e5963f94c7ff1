"""The commands that put the GPU's model beside measurements: `validate gpu` and `calibrate`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pimmodel.cli import choices, complete
from pimmodel.cli.checks import emit_rows, validate_app
from pimmodel.cli.options import FormatOption
from pimmodel.cli.progress import QuietOption, progress_bar, waiting

GpuOption = Annotated[
    str,
    typer.Option(
        "--gpu",
        help="GPU that was measured: a built-in GPU or system, or a system's YAML file.",
        autocompletion=complete.gpus,
    ),
]


@validate_app.command("gpu")
def validate_gpu_command(
    measurements: Annotated[
        Path | None, typer.Option("--measurements", help="CSV of CONV kernels; see the README for its columns.")
    ] = None,
    gpu: GpuOption = "v100",
    profiles: Annotated[Path | None, typer.Option("--profiles", help="CSV of layer profiles.")] = None,
    throughput: Annotated[Path | None, typer.Option("--throughput", help="CSV of training throughput.")] = None,
    format: FormatOption = choices.Format.table,
    quiet: QuietOption = False,
) -> None:
    """Compare the GPU's model with measured kernels, layers and training steps (default: all tables that ship)."""
    from pimmodel.validation.gpu import validate_gpu

    with waiting("evaluating measured kernels, layers and steps", quiet):
        rows, skipped = validate_gpu(measurements, gpu, profiles, throughput)
    _report_skipped(skipped)
    emit_rows(rows, format)


def calibrate(
    measurements: Annotated[Path, typer.Argument(help="CSV of measured CONV kernels.", metavar="FILE.csv")],
    gpu: GpuOption = "v100",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="System file to write; default: NAME-calibrated.yaml.")
    ] = None,
    format: FormatOption = choices.Format.table,
    quiet: QuietOption = False,
) -> None:
    """Fit the kernel constants to measured kernels, and write a system file that `--system` accepts.

    Every second row is fitted; the errors on the other rows are shown beside it.
    """
    import numpy as np

    from pimmodel.cli.output import csv_text, emit
    from pimmodel.cli.table import table
    from pimmodel.roofline.host import host_bandwidth
    from pimmodel.validation.calibrate import calibrate as fit
    from pimmodel.validation.calibrated import system_text
    from pimmodel.validation.gpu import system_of
    from pimmodel.validation.measurements import read_kernels

    system = system_of(gpu)
    found = read_kernels(measurements)
    _report_skipped(found.skipped)
    with progress_bar("evaluations", quiet) as progress:
        result = fit(found.rows, system.gpu, host_bandwidth(system), progress)
    target = output or Path(f"{system.name}-calibrated.yaml")
    source = f"fitted: pimmodel calibrate {measurements.name} --gpu {system.gpu.name}, rows 0, 2, 4 ..."
    emit(system_text(system, result.constants, source), target)
    errors = {"fitted rows": result.fitted, "held-out rows": result.held_out}
    sizes = {name: np.abs(values) for name, values in errors.items() if len(values)}
    statistics: list[dict[str, Any]] = [
        {"rows": name, "n": len(size), "median": float(np.median(size)), "mean": float(np.mean(size))}
        for name, size in sizes.items()
    ]
    before: dict[str, float] = system.gpu.kernels.model_dump()
    constants = [{"constant": name, "before": before[name], "fitted": value}
                 for name, value in result.constants.model_dump().items()]  # fmt: skip
    if format is choices.Format.json:
        document = {"schema": "pimmodel/calibration/1", "system": system.name, "file": str(target),
                    "constants": result.constants.model_dump(), "errors": statistics}  # fmt: skip
        emit(json.dumps(document, indent=2), None)
        return
    if format is choices.Format.csv:
        emit(csv_text(constants), None)
        return
    lines = [table("Kernel constants", ("constant", "before", "fitted"),
                   [(row["constant"], f"{row['before']:.4g}", f"{row['fitted']:.4g}") for row in constants],
                   (False, True, True), None),
             table("Errors of time", ("rows", "n", "median", "mean"),
                   [(row["rows"], str(row["n"]), f"{row['median']:.1%}", f"{row['mean']:.1%}") for row in statistics],
                   (False, True, True, True), None),
             f"written: {target}"]  # fmt: skip
    emit("\n".join(lines), None)


def _report_skipped(skipped: Sequence[str]) -> None:
    """Lines that were skipped, on standard error: the first ones in full, then their number."""
    for sentence in skipped[:10]:
        typer.echo(f"pimmodel: {sentence}", err=True)
    if skipped:
        typer.echo(f"pimmodel: {len(skipped)} {'line' if len(skipped) == 1 else 'lines'} skipped", err=True)
