"""Arguments and options that several commands have."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pimmodel.cli import choices, complete

if TYPE_CHECKING:
    from pimmodel.hardware.system import System
    from pimmodel.network.network import Network

DEFAULT_SYSTEM = "v100-bankgroup-pim"
SystemOption = Annotated[
    str, typer.Option("--system", help="A built-in system, or a YAML file.", autocompletion=complete.systems)
]
ImageOption = Annotated[int | None, typer.Option("--image-size", help="Image height and width in pixels.")]
UnknownOption = Annotated[
    choices.UnknownOps, typer.Option("--unknown-ops", help="What to do with unknown ONNX operators.")
]
FormatOption = Annotated[choices.Format, typer.Option("--format", help="Output format.")]
TextFormatOption = Annotated[choices.TextFormat, typer.Option("--format", help="Output format.")]
OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", help="Write to this file instead of the terminal.")
]


@dataclass(frozen=True)
class StepInput:
    """The training step that a command is about, as its arguments and options say it."""

    network: Annotated[
        str,
        typer.Argument(
            help="A built-in network (see `pimmodel list networks`) or an .onnx file.",
            autocompletion=complete.networks,
        ),
    ]
    system: SystemOption = DEFAULT_SYSTEM
    batch: Annotated[int | None, typer.Option("--batch", help="Batch size N; default 64, or the .onnx file's own.")] = (
        None
    )
    image_size: ImageOption = None
    precision: Annotated[choices.Precision, typer.Option("--precision", help="Number format of the training.")] = (
        choices.Precision.fp32
    )
    optimizer: Annotated[choices.Optimizer, typer.Option("--optimizer", help="Weight update rule.")] = (
        choices.Optimizer.sgd_momentum
    )
    fuse_activation: Annotated[
        bool, typer.Option("--fuse-activation", help="Compute activations inside the batch norm before them.")
    ] = False
    unknown_ops: UnknownOption = choices.UnknownOps.error

    def load(self) -> tuple[Network, System]:
        """Network and system."""
        from pimmodel.hardware.load import load_system
        from pimmodel.load import load_network

        network = load_network(self.network, self.batch, self.image_size, self.unknown_ops.value)
        return network, load_system(self.system)

    @property
    def training(self) -> dict[str, Any]:
        """Training options, as `prepare` takes them."""
        return {"precision": self.precision.value, "optimizer": self.optimizer.value,
                "fuse_activation": self.fuse_activation}  # fmt: skip


def of_a_step(command: Callable[..., None]) -> Callable[..., None]:
    """The command line of a command whose first parameter is a `StepInput`: the fields of that, then its own."""
    fields = inspect.signature(StepInput, eval_str=True).parameters
    _, *own = inspect.signature(command, eval_str=True).parameters.values()

    @functools.wraps(command)
    def run(**given: Any) -> None:
        command(StepInput(**{name: given.pop(name) for name in fields}), **given)

    parameters = sorted((*fields.values(), *own), key=lambda one: one.default is not one.empty)  # needed ones first
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run
