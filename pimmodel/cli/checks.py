"""The commands that put formula and simulator side by side: `simulate`, `validate dram`, `validate contention`."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pimmodel.cli import choices, complete
from pimmodel.cli.options import FormatOption
from pimmodel.cli.progress import QuietOption, progress_bar, waiting

if TYPE_CHECKING:
    from pimmodel.validation.report import Row

validate_app = typer.Typer(
    name="validate", help="Compare the formulas with simulators and measurements.", no_args_is_help=True
)
_RATES = ("host_rate", "pim_rate", "switches_per_kilocycle", "activates_per_request", "host_stall_share")


def simulate(
    config: Annotated[
        str,
        typer.Argument(
            help="A scenario YAML file, or the name of a shipped one (a policy).", autocompletion=complete.scenarios
        ),
    ],
    format: FormatOption = choices.Format.table,
    quiet: QuietOption = False,
) -> None:
    """Run one contention scenario: formula and reference simulator side by side."""
    from pimmodel.cli.output import csv_text, emit
    from pimmodel.cli.table import table
    from pimmodel.scenario_file import load_scenario
    from pimmodel.sharing.intervals import interval_of, outside_domain
    from pimmodel.sharing.model import ClosedForm

    run = load_scenario(_scenario_path(config))
    with waiting(f"simulating {run.cycles} clocks (compiled first, once)", quiet):
        with needs_numba():
            from pimmodel.validation.simulator.simulate import Simulator
        formula = ClosedForm().rates(run.scenario)
        simulator = Simulator(run.cycles, run.warmup, run.seed).rates(run.scenario)
    warnings = outside_domain(run.scenario)
    intervals = {name: interval_of(run.scenario, name, getattr(formula, name)) for name in _RATES}
    if format is choices.Format.json:
        document = {
            "schema": "pimmodel/simulation/1",
            "policy": run.scenario.policy.model_dump(exclude_none=True),
            "cycles": run.cycles, "warmup": run.warmup, "seed": run.seed, "warnings": warnings,
            "formula": {name: getattr(formula, name) for name in _RATES},
            "formula_interval": {name: pair for name, pair in intervals.items() if pair},
            "simulator": {name: getattr(simulator, name) for name in _RATES},
        }  # fmt: skip
        emit(json.dumps(document, indent=2), None)
        return
    units = ("requests/clock", "share of its exclusive rate", "1/kiloclock", "1", "share of clocks")
    rows = [
        {"quantity": name, "unit": unit, "formula": getattr(formula, name), "low": (intervals[name] or ("", ""))[0],
         "high": (intervals[name] or ("", ""))[1], "simulator": getattr(simulator, name)}
        for name, unit in zip(_RATES, units, strict=True)
    ]  # fmt: skip
    if format is choices.Format.csv:
        emit(csv_text(rows), None)
        return
    cells = [
        (row["quantity"], f"{row['formula']:.4f}",
         f"{row['low']:.4f} .. {row['high']:.4f}" if row["low"] != "" else "-", f"{row['simulator']:.4f}", row["unit"])
        for row in rows
    ]  # fmt: skip
    title = f"{run.scenario.policy.kind}, {run.cycles} clocks simulated, seed {run.seed}"
    text = table(title, ("quantity", "formula", "90 % interval", "simulator", "unit"), cells,
                 (False, True, True, True, False), None)  # fmt: skip
    emit(text + "".join(f"\nwarning: {warning}" for warning in warnings), None)


def _scenario_path(config: str) -> Path:
    """A file, or a scenario that ships with the library."""
    from pimmodel.errors import UnknownNameError
    from pimmodel.scenario_file import shipped_scenarios

    if Path(config).suffix in (".yaml", ".yml") or os.sep in config or Path(config).exists():
        return Path(config)
    shipped = shipped_scenarios()
    if config not in shipped:
        raise UnknownNameError("scenario", config, shipped, hint=" (or give a .yaml file)")
    return shipped[config]


@validate_app.command("dram")
def validate_dram_command(
    truth: Annotated[Path | None, typer.Option("--truth", help="Folder of tables; default: those that ship.")] = None,
    format: FormatOption = choices.Format.table,
    quiet: QuietOption = False,
) -> None:
    """Compare simulator and closed form with cycle counts of independent DRAM simulators."""
    from pimmodel.dram.replayed import list_clocks

    with needs_numba():
        from pimmodel.validation.dram_truth import validate_dram
    with progress_bar("streams", quiet) as progress:
        rows = validate_dram(truth, progress=progress, closed_form=list_clocks)
    emit_rows(rows, format)


@validate_app.command("contention")
def validate_contention_command(
    n: Annotated[int, typer.Option("--n", help="Random scenarios.")] = 500,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the draws.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="60 draws with short simulations, under a minute.")] = False,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write every comparison to this file.")] = None,
    plot_file: Annotated[Path | None, typer.Option("--plot", help="Write a scatter plot (PNG, PDF, SVG).")] = None,
    worst_file: Annotated[
        Path | None, typer.Option("--worst", help="Write the worst cases to this folder, ready for `simulate`.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", help="Processes; 0: one per processor.")] = 0,
    format: FormatOption = choices.Format.table,
    quiet: QuietOption = False,
) -> None:
    """Compare the closed forms with the reference simulator on random scenarios."""
    with needs_numba():
        from pimmodel.validation import contention
    from pimmodel.files import check_writable

    processes = process_count(workers)
    for file in filter(None, (csv_file, plot_file)):
        check_writable(file)  # before the work, not after it
    effort, n = (contention.QUICK, min(n, 60)) if quick else (contention.FULL, n)
    with progress_bar("scenarios", quiet) as progress:
        found = contention.validate_contention(n, seed, effort=effort, workers=processes, progress=progress)
    if csv_file:
        contention.write_csv(found, csv_file)
    if plot_file:
        contention.plot(found, plot_file)
    if worst_file:
        contention.write_worst(found, worst_file)
    emit_rows(contention.rows(found, seed), format)


def emit_rows(rows: list[Row], format: choices.Format) -> None:
    """The rows of a `validate` command: errors as fractions in JSON and CSV, in per cent for people."""
    from pimmodel.cli.output import csv_text, emit
    from pimmodel.cli.table import table

    def number(value: Any) -> Any:
        return None if isinstance(value, float) and not math.isfinite(value) else value

    plain = [{name: number(value) for name, value in asdict(row).items()} for row in rows]
    if format is choices.Format.json:
        emit(json.dumps(plain, indent=2), None)
        return
    if format is choices.Format.csv:
        emit(csv_text(plain), None)
        return

    def percent(value: float) -> str:
        return f"{100 * value:.2f} %" if math.isfinite(value) else "-"

    cells = [
        (row.data, row.quantity, str(row.n), percent(row.median), percent(row.mean), percent(row.p90),
         percent(row.p95), percent(row.worst), row.target, {True: "yes", False: "no", None: ""}[row.met])
        for row in rows
    ]  # fmt: skip
    headers = ("data", "quantity", "n", "median", "mean", "p90", "p95", "worst", "target", "met")
    emit(table("Errors", headers, cells, (False, False) + (True,) * 6 + (False, False), None), None)


def process_count(workers: int) -> int:
    """Processes to use: as many as asked for, or one per processor."""
    from pimmodel.errors import PimModelError

    if workers < 0:
        raise PimModelError(f"--workers is {workers}; allowed: 0 or more")
    return workers or os.cpu_count() or 1


@contextmanager
def needs_numba() -> Iterator[None]:
    """Say what to install where numba is missing."""
    from pimmodel.errors import MissingExtraError

    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "numba":
            raise
        raise MissingExtraError("the reference simulator", "simulate") from None
