"""The command that writes everything about one training step into one HTML file: `report`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from pimmodel.cli import choices
from pimmodel.cli.options import (
    DEFAULT_SYSTEM,
    BatchOption,
    FuseOption,
    ImageOption,
    NetworkArgument,
    OptimizerOption,
    PrecisionOption,
    SystemOption,
    UnknownOption,
    load,
    options_of,
)
from pimmodel.cli.progress import QuietOption, progress_bar


def report(
    network: NetworkArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write, such as report.html.")],
    system: SystemOption = DEFAULT_SYSTEM,
    batch: BatchOption = None,
    image_size: ImageOption = None,
    precision: PrecisionOption = choices.Precision.fp32,
    optimizer: OptimizerOption = choices.Optimizer.sgd_momentum,
    fuse_activation: FuseOption = False,
    unknown_ops: UnknownOption = choices.UnknownOps.error,
    policy: Annotated[
        choices.Policy, typer.Option("--policy", help="Whose layers, timeline and energy are shown.")
    ] = choices.Policy.exclusive,
    quiet: QuietOption = False,
) -> None:
    """Write a report of one training step: one HTML file with pictures, tables, assumptions, sources and errors."""
    from dataclasses import asdict
    from datetime import UTC, datetime

    from pimmodel import __version__
    from pimmodel.cli import output as out
    from pimmodel.report.html_report import Origin, report_html
    from pimmodel.step import compare
    from pimmodel.validation.gpu import validate_gpu

    out.check_writable(output)  # before the work, not after it
    net, hardware = load(network, system, batch, image_size, unknown_ops)
    origin = Origin(__version__, shlex.join(["pimmodel", *sys.argv[1:]]), datetime.now(UTC).date().isoformat())
    with progress_bar("policies", quiet) as progress:
        estimates = compare(net, hardware, **options_of(precision, optimizer, fuse_activation), progress=progress)
    with progress_bar("pictures and tables", quiet) as progress:
        measured, _ = validate_gpu()
        page = report_html(estimates, policy.value, origin=origin, measured=[asdict(row) for row in measured],
                           progress=progress)  # fmt: skip
    out.emit(page, output)
