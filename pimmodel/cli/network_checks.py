"""The command that puts whole training steps side by side, formula and simulator: `validate network`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pimmodel.cli import choices, complete
from pimmodel.cli.checks import emit_rows, needs_numba, process_count
from pimmodel.cli.options import DEFAULT_SYSTEM, FormatOption, SystemOption
from pimmodel.cli.progress import QuietOption, progress_bar


def validate_network(
    networks: Annotated[
        list[str] | None,
        typer.Argument(
            help="Built-in networks or .onnx files; default: six common ones.", autocompletion=complete.networks
        ),
    ] = None,
    system: SystemOption = DEFAULT_SYSTEM,
    batch: Annotated[int | None, typer.Option("--batch", help="Batch size N; default 8, with --quick 1.")] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Batch 1, serial and exclusive only: no other policies, no optimum, no sweep."),
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the simulated host.")] = 0,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write every comparison to this file.")] = None,
    workers: Annotated[int, typer.Option("--workers", help="Processes; 0: one per processor.")] = 0,
    format: FormatOption = choices.Format.table,
    quiet: QuietOption = False,
) -> None:
    """Compare step times of whole networks with the reference simulator, which runs every task on one channel."""
    from dataclasses import replace

    from pimmodel.files import check_writable

    with needs_numba():
        from pimmodel.validation import network
    if csv_file:
        check_writable(csv_file)  # before the work, not after it
    processes = process_count(workers)
    effort = network.QUICK if quick else network.FULL
    if batch is not None:
        effort = replace(effort, batch=batch)
    names = networks or network.NETWORKS
    network.check_names(names, system, effort.batch)
    with progress_bar("networks", quiet) as progress:
        found = network.validate_network(
            names, system, effort=effort, seed=seed, workers=min(processes, len(names)),
            progress=progress,
        )  # fmt: skip
    if csv_file:
        network.write_csv(found, csv_file)
    emit_rows(network.rows(found), format)
