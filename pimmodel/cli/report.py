"""The command that writes everything about one training step into one HTML file: `report`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from pimmodel.cli import choices
from pimmodel.cli.options import StepInput, of_a_step
from pimmodel.cli.progress import QuietOption, progress_bar


@of_a_step
def report(
    chosen: StepInput,
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write, such as report.html.")],
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
    from pimmodel.estimates import compare
    from pimmodel.files import check_writable
    from pimmodel.report.html_report import Origin, report_html
    from pimmodel.validation.gpu import validate_gpu

    check_writable(output)  # before the work, not after it
    network, system = chosen.load()
    origin = Origin(__version__, shlex.join(["pimmodel", *sys.argv[1:]]), datetime.now(UTC).date().isoformat())
    with progress_bar("policies", quiet) as progress:
        estimates = compare(network, system, **chosen.training, progress=progress)
    with progress_bar("pictures and tables", quiet) as progress:
        measured, _ = validate_gpu()
        page = report_html(estimates, policy.value, origin=origin, measured=[asdict(row) for row in measured],
                           progress=progress)  # fmt: skip
    out.emit(page, output)
