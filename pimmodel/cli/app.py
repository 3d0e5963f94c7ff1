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

FormatOption = Annotated[choices.Format, typer.Option("--format", help="Output format.")]
OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", help="Write to this file instead of the terminal.")
]
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
def estimate(
    network: NetworkArgument,
    system: SystemOption = DEFAULT_SYSTEM,
    batch: BatchOption = None,
    image_size: ImageOption = None,
    precision: PrecisionOption = choices.Precision.fp32,
    optimizer: OptimizerOption = choices.Optimizer.sgd_momentum,
    fuse_activation: FuseOption = False,
    unknown_ops: UnknownOption = choices.UnknownOps.error,
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
    from pimmodel.step import SIMPLE
    from pimmodel.step import estimate as run

    net, hardware = load(network, system, batch, image_size, unknown_ops)
    options = options_of(precision, optimizer, fuse_activation)
    at_once = not thresholds and (policy or hardware.controller.policy) in SIMPLE
    with waiting(f"estimating {net.name}", quiet or at_once):
        result = run(net, hardware, policy.value if policy else None, **options, thresholds=thresholds)
    out.emit_estimate(result, format.value, output)


@app.command()
def compare(
    network: NetworkArgument,
    system: SystemOption = DEFAULT_SYSTEM,
    batch: BatchOption = None,
    image_size: ImageOption = None,
    precision: PrecisionOption = choices.Precision.fp32,
    optimizer: OptimizerOption = choices.Optimizer.sgd_momentum,
    fuse_activation: FuseOption = False,
    unknown_ops: UnknownOption = choices.UnknownOps.error,
    format: FormatOption = choices.Format.table,
    output: OutputOption = None,
    quiet: QuietOption = False,
) -> None:
    """Show all policies side by side."""
    from pimmodel.cli import output as out
    from pimmodel.step import compare as run

    net, hardware = load(network, system, batch, image_size, unknown_ops)
    with progress_bar("policies", quiet) as progress:
        results = run(net, hardware, **options_of(precision, optimizer, fuse_activation), progress=progress)
    out.emit_comparison(results, format.value, output)


@app.command()
def optimize(
    network: NetworkArgument,
    system: SystemOption = DEFAULT_SYSTEM,
    batch: BatchOption = None,
    image_size: ImageOption = None,
    precision: PrecisionOption = choices.Precision.fp32,
    optimizer: OptimizerOption = choices.Optimizer.sgd_momentum,
    fuse_activation: FuseOption = False,
    unknown_ops: UnknownOption = choices.UnknownOps.error,
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
    from pimmodel.step import optimize_step, prepare

    net, hardware = load(network, system, batch, image_size, unknown_ops)
    step = prepare(net, hardware, **options_of(precision, optimizer, fuse_activation))
    with waiting(f"choosing thresholds for {net.name}", quiet):
        best = optimize_step(step, objective.value, thorough)
    out.emit_optimum(best, step, format.value, output)


@app.command()
def explain(
    network: NetworkArgument,
    layer: Annotated[
        str, typer.Argument(help="A layer of it (see `pimmodel show NETWORK`).", autocompletion=complete.layers)
    ],
    system: SystemOption = DEFAULT_SYSTEM,
    batch: BatchOption = None,
    image_size: ImageOption = None,
    precision: PrecisionOption = choices.Precision.fp32,
    optimizer: OptimizerOption = choices.Optimizer.sgd_momentum,
    fuse_activation: FuseOption = False,
    unknown_ops: UnknownOption = choices.UnknownOps.error,
    format: Annotated[choices.TextFormat, typer.Option("--format", help="Output format.")] = choices.TextFormat.text,
    output: OutputOption = None,
    quiet: QuietOption = False,
) -> None:
    """Show why a layer takes its time: formulas with numbers, the active bound, and how far the next one is."""
    import json

    from pimmodel.cli import output as out
    from pimmodel.report.explain import explain as explained
    from pimmodel.report.explain import explanation_dict, explanation_text
    from pimmodel.step import prepare

    net, hardware = load(network, system, batch, image_size, unknown_ops)
    step = prepare(net, hardware, **options_of(precision, optimizer, fuse_activation))
    with waiting(f"working out {layer}", quiet):
        found = explained(step, layer)
    as_json = format is choices.TextFormat.json
    out.emit(json.dumps(explanation_dict(step, layer, found), indent=2) if as_json else explanation_text(found), output)


@app.command()
def timeline(
    network: NetworkArgument,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="FILE.json for chrome://tracing or Perfetto; .png, .svg, .pdf: a picture."),
    ],
    system: SystemOption = DEFAULT_SYSTEM,
    batch: BatchOption = None,
    image_size: ImageOption = None,
    precision: PrecisionOption = choices.Precision.fp32,
    optimizer: OptimizerOption = choices.Optimizer.sgd_momentum,
    fuse_activation: FuseOption = False,
    unknown_ops: UnknownOption = choices.UnknownOps.error,
    policy: Annotated[
        choices.Policy, typer.Option("--policy", help="A policy with a schedule.")
    ] = choices.Policy.exclusive,
    thresholds: ThresholdsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write what GPU, PIM and memory do when, as a trace or a picture."""
    from pimmodel.cli import output as out
    from pimmodel.step import estimate as run

    out.timeline_form(output)  # before the work, not after it
    net, hardware = load(network, system, batch, image_size, unknown_ops)
    options = options_of(precision, optimizer, fuse_activation)
    with waiting(f"scheduling {net.name}", quiet):
        result = run(net, hardware, policy.value, **options, thresholds=thresholds)
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


app.command()(report_command.report)
app.command()(sweeps.sweep)
for study in (studies.sensitivity, studies.solve, studies.pareto):
    app.command()(study)
app.command()(checks.simulate)
app.command()(gpu_checks.calibrate)
checks.validate_app.command("network")(network_checks.validate_network)
app.add_typer(checks.validate_app)
