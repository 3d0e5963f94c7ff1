"""The `pimmodel` command: its commands, and how errors end it.

Exit code 0; 1 for a bad input (one line on standard error); 2 for wrong usage. Heavy modules are imported inside
the commands, so that `--help` and small jobs start quickly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from pimmodel.cli import checks, choices, complete, gpu_checks, network_checks, studies, sweeps
from pimmodel.cli import report as report_command
from pimmodel.cli.options import (
    FormatOption,
    ImageOption,
    OutputOption,
    StepInput,
    TextFormatOption,
    UnknownOption,
    of_a_step,
)
from pimmodel.cli.progress import QuietOption, progress_bar, waiting
from pimmodel.errors import PimModelError


class _Commands(typer.core.TyperGroup):
    """All commands; errors that people can mend end them with one line and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except PimModelError as error:
            typer.echo(f"pimmodel: {error}", err=True)
            raise typer.Exit(1) from None


app = typer.Typer(
    name="pimmodel",
    cls=_Commands,
    help="Performance of CNN training on a GPU with processing-in-memory, in closed form.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ThresholdsOption = Annotated[
    Path | None,
    typer.Option("--thresholds", help="Thresholds per CONV task, from `pimmodel optimize -o FILE.yaml`."),
]


def _version(wanted: bool) -> None:
    if wanted:
        from pimmodel import __version__

        typer.echo(f"pimmodel {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Performance of CNN training on a GPU with processing-in-memory, in closed form."""


@app.command()
@of_a_step
def estimate(
    chosen: StepInput,
    policy: Annotated[
        choices.Policy | None, typer.Option("--policy", help="Sharing policy; default: the system's.")
    ] = None,
    thresholds: ThresholdsOption = None,
    format: FormatOption = choices.Format.table,
    output: OutputOption = None,
    quiet: QuietOption = False,
) -> None:
    """Estimate one training step: time, throughput, and what each layer takes."""
    from pimmodel.cli import output as out
    from pimmodel.estimates import SIMPLE
    from pimmodel.estimates import estimate as run

    network, system = chosen.load()
    at_once = not thresholds and (policy or system.controller.policy) in SIMPLE
    with waiting(f"estimating {network.name}", quiet or at_once):
        result = run(network, system, policy.value if policy else None, **chosen.training, thresholds=thresholds)
    out.emit_estimate(result, format.value, output)


@app.command()
@of_a_step
def compare(
    chosen: StepInput,
    format: FormatOption = choices.Format.table,
    output: OutputOption = None,
    quiet: QuietOption = False,
) -> None:
    """Show all policies side by side."""
    from pimmodel.cli import output as out
    from pimmodel.estimates import compare as run

    network, system = chosen.load()
    with progress_bar("policies", quiet) as progress:
        results = run(network, system, **chosen.training, progress=progress)
    out.emit_comparison(results, format.value, output)


@app.command()
@of_a_step
def optimize(
    chosen: StepInput,
    objective: Annotated[
        choices.Objective, typer.Option("--objective", help="What to make least.")
    ] = choices.Objective.time,
    thorough: Annotated[
        int, typer.Option("--thorough", min=0, help="Rounds of the search task by task; seconds each.")
    ] = 0,
    format: FormatOption = choices.Format.table,
    output: OutputOption = None,
    quiet: QuietOption = False,
) -> None:
    """Choose thresholds and chunks per CONV, and where each non-CONV task runs; -o FILE.yaml for `estimate`."""
    from pimmodel.cli import output as out
    from pimmodel.estimates import optimize_step
    from pimmodel.step import prepare

    network, system = chosen.load()
    step = prepare(network, system, **chosen.training)
    with waiting(f"choosing thresholds for {network.name}", quiet):
        best = optimize_step(step, objective.value, thorough)
    out.emit_optimum(best, step, format.value, output)


@app.command()
@of_a_step
def explain(
    chosen: StepInput,
    layer: Annotated[
        str, typer.Argument(help="A layer of it (see `pimmodel show NETWORK`).", autocompletion=complete.layers)
    ],
    format: TextFormatOption = choices.TextFormat.text,
    output: OutputOption = None,
    quiet: QuietOption = False,
) -> None:
    """Show why a layer takes its time: formulas with numbers, the active bound, and how far the next one is."""
    import json

    from pimmodel.cli import output as out
    from pimmodel.report.explain import explain as explained
    from pimmodel.report.explain import explanation_dict, explanation_text
    from pimmodel.step import prepare

    network, system = chosen.load()
    step = prepare(network, system, **chosen.training)
    with waiting(f"working out {layer}", quiet):
        found = explained(step, layer)
    as_json = format is choices.TextFormat.json
    out.emit(json.dumps(explanation_dict(step, layer, found), indent=2) if as_json else explanation_text(found), output)


@app.command()
@of_a_step
def timeline(
    chosen: StepInput,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="FILE.json for chrome://tracing or Perfetto; .png, .svg, .pdf: a picture."),
    ],
    policy: Annotated[
        choices.Policy, typer.Option("--policy", help="A policy with a schedule.")
    ] = choices.Policy.exclusive,
    thresholds: ThresholdsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write what GPU, PIM and memory do when, as a trace or a picture."""
    from pimmodel.cli import output as out
    from pimmodel.estimates import estimate as run

    out.timeline_form(output)  # before the work, not after it
    network, system = chosen.load()
    with waiting(f"scheduling {network.name}", quiet):
        result = run(network, system, policy.value, **chosen.training, thresholds=thresholds)
    out.emit_timeline(result, output)


@app.command("list")
def list_names(
    kind: Annotated[choices.Kind, typer.Argument(help="What to list.")],
    format: FormatOption = choices.Format.table,
    output: OutputOption = None,
) -> None:
    """List the built-in networks, systems, GPUs, memories or PIM designs."""
    from pimmodel.cli import output as out

    out.emit_names(kind.value, format.value, output)


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            help="A built-in description or network, or a YAML or .onnx file.", autocompletion=complete.shown
        ),
    ],
    batch: Annotated[int, typer.Option("--batch", help="Batch size N of a network.")] = 1,
    image_size: ImageOption = None,
    unknown_ops: UnknownOption = choices.UnknownOps.error,
    format: FormatOption = choices.Format.table,
    output: OutputOption = None,
) -> None:
    """Show every value of a description with its unit and source, or the layers of a network."""
    from pimmodel.cli import output as out
    from pimmodel.load import load_network
    from pimmodel.models import networks

    if name in networks.names() or name.lower().endswith(".onnx"):
        out.emit_network(load_network(name, batch, image_size, unknown_ops.value), format.value, output)
    else:
        out.emit_description(name, format.value, output)


for command in (report_command.report, sweeps.sweep, studies.sensitivity, studies.solve, studies.pareto,
                checks.simulate, gpu_checks.calibrate):  # fmt: skip
    app.command()(command)
checks.validate_app.command("network")(network_checks.validate_network)
app.add_typer(checks.validate_app)
