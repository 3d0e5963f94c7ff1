"""What the commands print: tables for people, JSON and CSV for programs; files are written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pimmodel.cli.table import table
from pimmodel.errors import PimModelError
from pimmodel.files import whole_file
from pimmodel.units import format_quantity, format_value

if TYPE_CHECKING:
    from pimmodel.estimates import Estimate
    from pimmodel.network.network import Network
    from pimmodel.optimize.search import Optimum
    from pimmodel.step import Step


def emit(text: str, output: Path | None) -> None:
    """Print text, or write it to a file in one step."""
    text = text if text.endswith("\n") else text + "\n"
    if output is None:
        _print(text)
    else:
        write_bytes(text.encode("utf-8"), output)


def write_bytes(data: bytes, output: Path) -> None:
    """Write a file in one step: a failure leaves no half-written one behind."""
    with whole_file(output) as draft:
        draft.write_bytes(data)


def _print(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) has gone: end quietly, and keep Python from flushing into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except UnicodeEncodeError:
        # A terminal without µ and ×: better a question mark than no table.
        encoding = sys.stdout.encoding
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))


def csv_text(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as CSV with a header."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _shape(sizes: Iterable[int]) -> str:
    return "x".join(map(str, sizes))


def emit_estimate(result: Estimate, form: str, output: Path | None) -> None:
    """One estimate: a summary and the table of layers."""
    if form == "json":
        return emit(result.to_json(), output)
    rows = result.layer_rows()
    if form == "csv":
        return emit(csv_text([{**row, "output_shape": _shape(row["output_shape"])} for row in rows]), output)
    headers = ("layer", "type", "output", "runs on", "FLOP", "traffic", "forward", "backward", "update", "share")
    parts = ("forward_s", "backward_s", "update_s")
    total = result.host_time + result.pim_time
    cells = [
        (row["layer"], row["type"], _shape(row["output_shape"]), row["runs_on"] or "-",
         _or_dash(row["training_flops"], "FLOP"), _or_dash(row["traffic_bytes"], "B"),
         *(_or_dash(row[part], "s") for part in parts), f"{sum(row[part] for part in parts) / total:.1%}")
        for row in rows
    ]  # fmt: skip
    title = "One training step, per layer (share: of the busy time of GPU and PIM)"
    layers = table(title, headers, cells, (False,) * 4 + (True,) * 6, output)
    emit(f"{layers}\n{result.summary()}", output)
    return None


def _count(value: int) -> str:
    return format_quantity(value, "").strip() if value else "-"


def _or_dash(value: float, unit: str) -> str:
    return format_quantity(value, unit) if value else "-"


def emit_comparison(results: Sequence[Estimate], form: str, output: Path | None) -> None:
    """All policies side by side."""
    from pimmodel.report.comparison import comparison_dict, comparison_rows, idea_rows

    rows = comparison_rows(results)
    if form == "json":
        return emit(json.dumps(comparison_dict(results), indent=2, allow_nan=False), output)
    if form == "csv":
        return emit(csv_text(rows), output)
    step = results[0].step
    title = (
        f"{step.network.name}, batch {step.network.batch}, {step.options.precision}, {step.options.optimizer}"
        f" on {step.system.name}"
    )
    cells = [
        (row["policy"], format_quantity(row["time_s"], "s"), f"{row['images_per_second']:.0f}",
         _or_dash(row["host_time_s"], "s"), _or_dash(row["pim_time_s"], "s"),
         f"{row['speedup_over_gpu_only']:.3f}", f"{row['speedup_over_serial']:.3f}",
         _or_dash(row["energy_j"] or 0.0, "J"), _or_dash(row["energy_delay_js"] or 0.0, "J s"))
        for row in rows
    ]  # fmt: skip
    headers = ("policy", "step time", "images/s", "GPU busy", "PIM busy", "vs gpu-only", "vs serial", "energy",
               "energy x time")  # fmt: skip
    text = table(title, headers, cells, (False,) + (True,) * 8, output)
    if worth := idea_rows(results):
        variants = [(row["name"], format_quantity(row["time_s"], "s"), f"{row['change']:+.1%}") for row in worth]
        text += "\n" + table("What each idea buys: the exclusive policy with one thing less",
                             ("variant", "step time", "change"), variants, (False, True, True), output)  # fmt: skip
        optimum = results[0].step.optimum
        text += f"\nno plan is shorter than the bound by more than {optimum.gap:.1%} of it"
    emit(text, output)
    return None


def emit_optimum(result: Optimum, step: Step, form: str, output: Path | None) -> None:
    """Thresholds per CONV task: a table and a summary; as YAML into a file that `estimate --thresholds` reads."""
    from pimmodel.optimize.table import plan_rows, plan_text

    work = step.workload
    if output is not None and output.suffix in (".yaml", ".yml"):
        emit(plan_text(work, result.plan, step.network.name), output)
    rows = plan_rows(work, result.plan)
    document = None if output is None or output.suffix in (".yaml", ".yml") else output
    figures = {
        "time_s": result.schedule.makespan, "single_pair_time_s": result.uniform_schedule.makespan,
        "bound_s": result.bound.time, "gap": result.gap,
    }  # fmt: skip
    if form == "json":
        named = {"network": step.network.name, "system": step.system.name, "objective": result.objective}
        return emit(json.dumps({"schema": "pimmodel/optimum/1", **named, **figures, "tasks": rows}, indent=2), document)
    if form == "csv":
        return emit(csv_text(rows), document)
    cells = [
        (row["task"], *(("-", "-") if not row["shares"] else (str(row["theta_low"]), str(row["theta_high"]))),
         str(row["chunks"]))
        for row in rows
    ]  # fmt: skip
    kept = sum(1 for task, on_pim in zip(work.tasks, result.plan.on_pim, strict=True)
               if not on_pim and not task.on_host_only)  # fmt: skip
    single = next(policy for policy, conv in zip(result.uniform.policies, work.conv, strict=True) if conv)
    lines = [
        table("Thresholds per CONV task (-: the PIM waits while it runs)",
              ("task", "theta_low", "theta_high", "chunks"), cells, (False, True, True, True), document),
        f"step time      {format_quantity(figures['time_s'], 's')}   ({result.objective} minimised,"
        f" {result.evaluations} schedules judged)",
        f"single pair    {format_quantity(figures['single_pair_time_s'], 's')}   (theta_low {single.theta_low},"
        f" theta_high {single.theta_high} for all)",
        f"lower bound    {format_quantity(figures['bound_s'], 's')}   (over all plans; the gap is {result.gap:.1%})",
        f"on the GPU     {kept} of {int((~work.conv).sum())} non-CONV tasks",
    ]  # fmt: skip
    if output is not None and document is None:
        lines.append(f"written: {output}")
    emit("\n".join(lines), document)
    return None


def emit_timeline(result: Estimate, output: Path) -> None:
    """A schedule as Chrome trace (.json) or picture."""
    from pimmodel.estimates import POLICIES, SIMPLE
    from pimmodel.plots import gantt
    from pimmodel.report.timeline import chrome_trace

    if result.schedule is None:
        known = ", ".join(one for one in POLICIES if one not in SIMPLE)
        raise PimModelError(f"--policy is {result.policy}, which has no schedule; allowed: {known}")
    form = timeline_form(output)
    if form == "json":
        return emit(json.dumps(chrome_trace(result.schedule)), output)
    drawn = io.BytesIO()
    gantt(result.schedule).savefig(drawn, format=form, dpi=150)
    return write_bytes(drawn.getvalue(), output)


def timeline_form(output: Path) -> str:
    """Form of a timeline, from the file's name."""
    form = output.suffix.lower().removeprefix(".")
    if form not in ("json", "png", "svg", "pdf"):
        raise PimModelError(f"--output is {output}; allowed: a file that ends in .json, .png, .svg or .pdf")
    return form


def emit_names(kind: str, form: str, output: Path | None) -> None:
    """Built-in networks or descriptions, one a line."""
    rows = _network_rows() if kind == "networks" else _description_rows(kind)
    if form == "json":
        return emit(json.dumps({"schema": "pimmodel/names/1", "kind": kind, "names": rows}, indent=2), output)
    if form == "csv":
        return emit(csv_text(rows), output)
    headers = list(rows[0])
    numbers = [isinstance(value, int) for value in rows[0].values()]
    cells = [[_count(value) if key in ("parameters", "macs") else str(value) for key, value in row.items()]
             for row in rows]  # fmt: skip
    emit(table(f"Built-in {kind}", headers, cells, numbers, output), output)
    return None


def _network_rows() -> list[dict[str, Any]]:
    from pimmodel.models import networks

    rows = []
    for name in networks.names():
        network = networks.build(name, batch=1)
        rows.append({"name": name, "layers": len(network), "parameters": network.parameters,
                     "macs": network.macs, "image": networks.usual_image_size(name)})  # fmt: skip
    return rows


def _description_rows(kind: str) -> list[dict[str, Any]]:
    from pimmodel.hardware import load

    loaders = {
        "gpus": load.load_gpu,
        "memories": load.load_memory,
        "pims": load.load_pim,
        "systems": load.load_system,
    }
    return [{"name": name, "title": loaders[kind](name).title} for name in load.list_descriptions(kind)]  # type: ignore[operator]


def emit_description(name: str, form: str, output: Path | None) -> None:
    """Every value of a hardware description with unit and source."""
    from pimmodel.errors import UnknownNameError
    from pimmodel.hardware.load import load_description
    from pimmodel.models import networks

    try:
        description = load_description(name)
    except UnknownNameError as error:
        raise UnknownNameError("name", name, [*error.known, *networks.names()]) from None
    from pimmodel.hardware.description import entries

    rows = [{"field": one.name, "value": one.value, "unit": one.unit or "", "source": one.source}
            for one in entries(description)]  # fmt: skip
    if form == "json":
        document = {"schema": "pimmodel/description/1", "name": description.name, "title": description.title,
                    "values": rows}  # fmt: skip
        return emit(json.dumps(document, indent=2), output)
    if form == "csv":
        return emit(csv_text(rows), output)
    cells = [(row["field"], format_value(row["value"], row["unit"]), row["source"]) for row in rows]
    text = table(f"{description.name}: {description.title}", ("field", "value", "source"), cells,
                 (False, True, False), output)  # fmt: skip
    multiple = getattr(description, "bandwidth_multiple", None)
    if multiple is not None:
        peak = format_value(description.peak_bandwidth, "B/s")  # type: ignore[attr-defined]
        text += f"\nderived: PIM bandwidth = {multiple:g} x the host's peak of {peak}"
    emit(text, output)
    return None


def emit_network(network: Network, form: str, output: Path | None) -> None:
    """The layers of a network."""
    rows: list[dict[str, Any]] = [
        {"layer": layer.name, "type": layer.op.kind, "output": _shape(layer.output_shape),
         "parameters": layer.parameters, "macs": layer.macs}
        for layer in network
    ]  # fmt: skip
    if form == "json":
        document = {"schema": "pimmodel/network/1", "name": network.name, "batch": network.batch,
                    "parameters": network.parameters, "macs": network.macs, "layers": rows}  # fmt: skip
        return emit(json.dumps(document, indent=2), output)
    if form == "csv":
        return emit(csv_text(rows), output)
    cells = [(row["layer"], row["type"], row["output"], _count(row["parameters"]),
              _count(row["macs"])) for row in rows]  # fmt: skip
    text = table(f"{network.name}, batch {network.batch}", ("layer", "type", "output", "parameters", "MACs"), cells,
                 (False, False, False, True, True), output)  # fmt: skip
    total = f"{_count(network.parameters)} parameters, {format_quantity(network.macs, 'MAC')} forward"
    emit(f"{text}\n{total}", output)
    return None
