"""The commands that ask what matters: `sensitivity`, `solve` and `pareto`."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pimmodel.cli import choices
from pimmodel.cli.options import FormatOption, StepInput, TextFormatOption, of_a_step
from pimmodel.cli.progress import QuietOption, progress_bar, waiting
from pimmodel.errors import PimModelError
from pimmodel.units import format_value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pimmodel.sensitivity.effects import Effect, Sensitivity, Sides
    from pimmodel.sensitivity.pareto import Front

_PICTURES = (".png", ".svg", ".pdf")
OutputOption = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="Write to this file; .png, .svg and .pdf: a picture, beside the table."),
]
PairOption = Annotated[
    str | None,
    typer.Option("--pair", help="Thresholds LOW:HIGH of all host tasks under exclusive; default: the best of each."),
]
PolicyOption = Annotated[choices.StudyPolicy, typer.Option("--policy", help="Sharing policy.")]


@of_a_step
def sensitivity(
    chosen: StepInput,
    policy: PolicyOption = choices.StudyPolicy.exclusive,
    pair: PairOption = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", help="Only these: dotted names or patterns such as 'memory.timing.*'."),
    ] = None,
    steps: Annotated[
        bool, typer.Option("--steps/--no-steps", help="Change whole numbers by a step, which takes seconds each.")
    ] = True,
    top: Annotated[int, typer.Option("--top", min=1, help="Rows of the table, bars of the picture.")] = 15,
    format: FormatOption = choices.Format.table,
    output: OutputOption = None,
    quiet: QuietOption = False,
) -> None:
    """Show what a small change of every hardware parameter does to step time and speedup, the largest first."""
    from pimmodel.cli import output as out
    from pimmodel.files import check_writable
    from pimmodel.sensitivity.derivatives import sensitivity as run

    thresholds = _pair(pair)
    if output:
        check_writable(output)  # before the work, not after it
    network, system = chosen.load()
    with progress_bar("parameters", quiet) as progress:
        found = run(network, system, policy.value, thresholds=thresholds, wanted=parameter or None, steps=steps,
                    progress=progress, **chosen.training)  # fmt: skip
    if output and output.suffix.lower() in _PICTURES:
        with waiting("drawing", quiet):
            _draw(_tornado(found, top), output)
        output = None
    if format is choices.Format.json:
        return out.emit(found.to_json(), output)
    if format is choices.Format.csv:
        return out.emit(out.csv_text([one.row() for one in found.effects]), output)
    return out.emit(_effects_text(found, top, output), output)


def _effects_text(found: Sensitivity, top: int, output: Path | None) -> str:
    from pimmodel.cli.table import table

    shown = [one for one in found.effects if one.size > 0][:top]
    headers = ("parameter", "value", "time %/%", "down", "up", "vs gpu-only %/%", "vs serial %/%", "where it acts")
    rows = [
        (one.name, format_value(float(one.value), one.unit), _sides(one.time), *_steps(one),
         _sides(one.speedup_gpu_only), _sides(one.speedup_serial), one.active)
        for one in shown
    ]  # fmt: skip
    title = "Per cent of change per per cent of the parameter; down, up: of the time, with one step of a whole number"
    text = table(title, headers, rows, (False, True, True, True, True, True, True, False), output)
    still = [one.name for one in found.effects if one.size == 0 and one.kind != "no effect"]
    bounds = ", ".join(f"{name} {share:.0%}" for name, share in sorted(found.bounds.items(), key=lambda one: -one[1]))
    lines = [found.summary(), f"shares of the time, and of the PIM's work: {bounds}"]
    if len(shown) < sum(one.size > 0 for one in found.effects):
        lines.append(f"{sum(one.size > 0 for one in found.effects) - len(shown)} more have an effect (--top)")
    if still:
        lines.append(f"no effect here: {', '.join(still)}")
    if kinks := [one.name for one in shown if one.kink]:
        lines.append(f"at a kink (left / right): {', '.join(kinks)}")
    return text + "\n".join(lines)


def _sides(sides: Sides) -> str:
    left, right = ("-" if one is None else f"{one:+.3f}" for one in sides)
    return left if left == right else f"{left} / {right}"


def _steps(one: Effect) -> tuple[str, str]:
    if one.change is None or one.steps is None:
        return "", ""
    down, up = ("-" if change is None else f"{step:g}: {change:+.2%}" for step, change in
                zip(one.steps, one.change, strict=True))  # fmt: skip
    return down, up


def _tornado(found: Sensitivity, top: int) -> Figure:
    from pimmodel.plots import Swing, tornado

    rows = [Swing(one.name, float(values.left or 0), float(values.right or 0), float(times.left or 0),
                  float(times.right or 0), found.time, one.unit)
            for one, values, times in found.swings(top)]  # fmt: skip
    return tornado(rows)


def _draw(figure: Figure, output: Path) -> None:
    from pimmodel.cli import output as out

    drawn = io.BytesIO()
    figure.savefig(drawn, format=output.suffix.lower().removeprefix("."), dpi=150)
    out.write_bytes(drawn.getvalue(), output)


@of_a_step
def solve(
    chosen: StepInput,
    unknown: Annotated[
        str, typer.Option("--unknown", help="Dotted name of a parameter, or pim.bandwidth of all units together.")
    ],
    target: Annotated[str, typer.Option("--target", help="Such as 'speedup(serial) >= 1.1' or 'time <= 100 ms'.")],
    policy: PolicyOption = choices.StudyPolicy.exclusive,
    pair: PairOption = None,
    between: Annotated[
        tuple[str, str] | None, typer.Option("--between", help="Range that is searched: two values with units.")
    ] = None,
    format: TextFormatOption = choices.TextFormat.text,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write to this file.")] = None,
    quiet: QuietOption = False,
) -> None:
    """Find the value of a parameter at which a target is met; that none is, is an answer too."""
    from pimmodel.cli import output as out
    from pimmodel.solve.search import solve as run
    from pimmodel.solve.target import parse_target

    thresholds = _pair(pair)
    parse_target(target)  # before the network is loaded
    network, system = chosen.load()
    with progress_bar("values", quiet) as progress:
        found = run(network, system, unknown, target, policy.value, bounds=between, thresholds=thresholds,
                    progress=progress, **chosen.training)  # fmt: skip
    out.emit(found.to_json() if format is choices.TextFormat.json else found.summary(), output)


def pareto(
    points: Annotated[Path, typer.Argument(help="A CSV file with a column per objective, such as a sweep writes.")],
    minimise: Annotated[
        str, typer.Option("--minimise", help="Columns to make least, the most telling first.")
    ] = "time,energy,area",
    name: Annotated[str | None, typer.Option("--name", help="Column that names a design in the picture.")] = None,
    format: FormatOption = choices.Format.table,
    output: OutputOption = None,
) -> None:
    """Keep the designs of a table that no other beats in every objective."""
    from pimmodel.cli import output as out
    from pimmodel.sensitivity.pareto import pareto_front

    table = _read(points)
    wanted = [one.strip() for one in minimise.split(",") if one.strip()]
    found = pareto_front(table, wanted)
    if output and output.suffix.lower() in _PICTURES:
        _draw(_front_picture(table, found, name), output)
        output = None
    if format is choices.Format.csv:
        return out.emit(found.frame.to_csv(index=False), output)
    rows = json.loads(found.frame.to_json(orient="records"))
    if format is choices.Format.json:
        document = {"schema": "pimmodel/front/1", "minimise": wanted, "points": len(table), "dropped": found.dropped,
                    "front": rows}  # fmt: skip
        return out.emit(json.dumps(document, indent=2, allow_nan=False), output)
    from pimmodel.cli.table import table as as_table

    headers = [str(one) for one in found.frame.columns]
    cells = [[f"{value:.6g}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    text = as_table(f"Not beaten in {', '.join(wanted)}", headers, cells, [name != headers[0] or
                    not isinstance(next(iter(rows[0].values())), str) for name in headers] if rows else
                    [False] * len(headers), output)  # fmt: skip
    dropped = f"; {found.dropped} without a number left out" if found.dropped else ""
    return out.emit(f"{text}{len(found)} of {len(table)} designs{dropped}", output)


def _read(points: Path):  # type: ignore[no-untyped-def]  # a pandas DataFrame, imported here alone
    import pandas as pd

    try:
        return pd.read_csv(points)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise PimModelError(f"cannot read {points}: {getattr(error, 'strerror', None) or error}") from None


def _front_picture(table, found: Front, name: str | None) -> Figure:  # type: ignore[no-untyped-def]
    from pimmodel.errors import UnknownNameError
    from pimmodel.plots import Design, pareto

    if len(found.minimise) not in (2, 3):
        raise PimModelError(f"a picture of {len(found.minimise)} objectives; allowed: two (time, energy) or three")
    if name is not None and name not in table:
        raise UnknownNameError("column", name, [str(one) for one in table])
    kept = table.dropna(subset=list(found.minimise))
    names = kept[name].astype(str) if name else [""] * len(kept)
    columns = [kept[one] for one in found.minimise]
    return pareto([Design(label, *map(float, costs)) for label, *costs in zip(names, *columns, strict=True)],
                  area_unit="PIM units")  # fmt: skip


def _pair(text: str | None) -> tuple[int, int] | None:
    """Thresholds from LOW:HIGH."""
    if text is None:
        return None
    low, found, high = text.partition(":")
    if not (found and low.strip().isdecimal() and high.strip().isdecimal()):
        raise PimModelError(f"--pair is {text!r}; allowed: LOW:HIGH, two whole numbers such as 16:58")
    return int(low), int(high)
