"""Arguments and options that several commands have."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pimmodel.cli import choices, complete

NetworkArgument = Annotated[
    str,
    typer.Argument(
        help="A built-in network (see `pimmodel list networks`) or an .onnx file.", autocompletion=complete.networks
    ),
]
SystemOption = Annotated[
    str, typer.Option("--system", help="A built-in system, or a YAML file.", autocompletion=complete.systems)
]
BatchOption = Annotated[int | None, typer.Option("--batch", help="Batch size N; default 64, or the .onnx file's own.")]
ImageOption = Annotated[int | None, typer.Option("--image-size", help="Image height and width in pixels.")]
PrecisionOption = Annotated[choices.Precision, typer.Option("--precision", help="Number format of the training.")]
OptimizerOption = Annotated[choices.Optimizer, typer.Option("--optimizer", help="Weight update rule.")]
FuseOption = Annotated[
    bool, typer.Option("--fuse-activation", help="Compute activations inside the batch norm before them.")
]
UnknownOption = Annotated[
    choices.UnknownOps, typer.Option("--unknown-ops", help="What to do with unknown ONNX operators.")
]
DEFAULT_SYSTEM = "v100-bankgroup-pim"


def load(network: str, system: str, batch: int | None, image_size: int | None, unknown: choices.UnknownOps) -> Any:
    """Network and system of a command."""
    from pimmodel.hardware.load import load_system
    from pimmodel.load import load_network

    return load_network(network, batch, image_size, unknown.value), load_system(system)


def options_of(precision: choices.Precision, optimizer: choices.Optimizer, fuse: bool) -> dict[str, Any]:
    """Training options of a command, as `prepare` takes them."""
    return {"precision": precision.value, "optimizer": optimizer.value, "fuse_activation": fuse}
