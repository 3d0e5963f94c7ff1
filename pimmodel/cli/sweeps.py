"""`pimmodel sweep`: a study file to a file of figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pimmodel.cli.progress import QuietOption, progress_bar


def sweep(
    study: Annotated[Path, typer.Argument(help="A study: a YAML file (see the README).")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A .nc, .csv or .parquet file; default: the study's own.")
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Threads; default: all cores.")] = None,
    quiet: QuietOption = False,
) -> None:
    """Work out many designs; an interrupted run goes on from what it wrote."""
    from pimmodel.errors import PimModelError
    from pimmodel.sweep.run import run
    from pimmodel.sweep.study_file import load_study

    loaded = load_study(study)
    target = output or loaded.output
    if target is None:
        raise PimModelError(f"{study}: nothing says where the figures go; give `output: FILE.nc` there, or -o FILE.nc")
    with progress_bar("designs", quiet) as progress:
        collected = run(loaded.study, target, workers, progress=progress)
    count, impossible = len(loaded.study.designs), int((collected.codes > 0).sum())
    typer.echo(f"{count} designs of {loaded.study.network.name}, {impossible} not possible; written: {target}")
    for reason, code in collected.reasons.items():
        if code:
            typer.echo(f"not possible ({int((collected.codes == code).sum())}): {reason}", err=True)
