"""The tables of the HTML report: cells as text for people, each with the SI number that it is sorted by."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from pimmodel.estimates import POLICY_NOTES, Estimate
from pimmodel.hardware.description import entries
from pimmodel.hardware.system import System
from pimmodel.optimize.pair import companion
from pimmodel.optimize.table import plan_rows
from pimmodel.pim.tasks import pim_kernel
from pimmodel.report.comparison import comparison_rows, idea_rows
from pimmodel.schedule.result import Schedule
from pimmodel.sharing.intervals import calibrated_errors, outside_domain
from pimmodel.sharing.pairs import pair_scenario
from pimmodel.step import Step
from pimmodel.units import format_quantity, format_value


class Cell(NamedTuple):
    """Text, and what it is sorted by: the number in SI units, or the text itself."""

    text: str
    order: float | str


@dataclass(frozen=True)
class Table:
    """A table of the page.

    name : its id; caption : the line above it; heads : of its columns, with units where the cells have none
    numbers : which columns are set flush right; rows : cells; sortable : whether a click on a head sorts it
    """

    name: str
    caption: str
    heads: tuple[str, ...]
    numbers: tuple[bool, ...]
    rows: list[list[Cell]] = field(repr=False)
    sortable: bool = True


def _words(text: str) -> Cell:
    return Cell(text, text.lower())


def _quantity(value: float | None, unit: str) -> Cell:
    """A number with its unit; a dash where there is none, or nothing."""
    if value is None or not math.isfinite(value):
        return Cell("-", -1.0)
    return Cell(format_quantity(value, unit) if value else "-", value)


def _share(value: float, digits: int = 1) -> Cell:
    return Cell(f"{value:.{digits}%}", value) if math.isfinite(value) else Cell("-", -1.0)


def _plain(value: float, digits: int = 3) -> Cell:
    return Cell(f"{value:.{digits}f}", value)


def policy_table(estimates: Sequence[Estimate]) -> Table:
    """All policies side by side."""
    rows = [
        [_words(row["policy"]), _quantity(row["time_s"], "s"), _plain(row["images_per_second"], 0),
         _quantity(row["host_time_s"], "s"), _quantity(row["pim_time_s"], "s"), _plain(row["speedup_over_gpu_only"]),
         _plain(row["speedup_over_serial"]), _quantity(row["energy_j"], "J"), _quantity(row["energy_delay_js"], "J s"),
         _words(POLICY_NOTES[row["policy"]])]
        for row in comparison_rows(estimates)
    ]  # fmt: skip
    heads = ("policy", "step time", "images/s", "GPU busy", "PIM busy", "speedup over gpu-only", "speedup over serial",
             "energy", "energy × time", "meaning")  # fmt: skip
    return Table("policies", "One training step under every sharing policy", heads, (False, *(True,) * 8, False), rows)


def idea_table(estimates: Sequence[Estimate]) -> Table:
    """What each idea of the exclusive policy is worth."""
    rows = [[_words(row["name"]), _quantity(row["time_s"], "s"), Cell(f"{row['change']:+.1%}", row["change"])]
            for row in idea_rows(estimates)]  # fmt: skip
    return Table("ideas", "The exclusive policy with one thing less", ("variant", "step time", "change"),
                 (False, True, True), rows)  # fmt: skip


def layer_table(estimate: Estimate) -> Table:
    """Every layer of the network, in its order."""
    rows, whole = [], estimate.host_time + estimate.pim_time
    for number, row in enumerate(estimate.layer_rows(), start=1):
        shape, parts = row["output_shape"], [row[f"{part}_s"] for part in ("forward", "backward", "update")]
        rows.append([
            Cell(str(number), number), _words(row["layer"]), _words(row["type"]),
            Cell("×".join(map(str, shape)), float(math.prod(shape))), _words(row["runs_on"] or "-"),
            _quantity(row["training_flops"], "FLOP"), _quantity(row["traffic_bytes"], "B"),
            *(_quantity(part, "s") for part in parts), _quantity(sum(parts), "s"), _share(sum(parts) / whole, 2),
        ])  # fmt: skip
    heads = ("#", "layer", "type", "output", "runs on", "FLOP", "traffic", "forward", "backward", "update", "all",
             "share of busy time")  # fmt: skip
    caption = f"Busy time of every layer under {estimate.policy}"
    return Table("layers", caption, heads, (True, False, False, True, False, *(True,) * 7), rows)


def threshold_table(step: Step) -> Table:
    """Thresholds and chunks of every CONV task under `exclusive`, and what both sides do while they share."""
    plan, schedule = step.optimum.plan, step.optimum.schedule
    shared = shared_time(schedule)
    index = {task.name: number for number, task in enumerate(step.workload.tasks)}
    rows = []
    for row in plan_rows(step.workload, plan):
        task = index[row["task"]]
        busy, together, host, pim = shared.get(task, (0.0, 0.0, math.nan, math.nan))
        low, high = row["theta_low"], row["theta_high"]
        rows.append([
            _words(row["task"]), Cell("-", -1.0) if low is None else Cell(str(low), low),
            Cell("-", -1.0) if high is None else Cell(str(high), high), Cell(str(row["chunks"]), row["chunks"]),
            _quantity(float(schedule.times[task]), "s"), _quantity(busy, "s"), _share(together / busy if busy else 0.0),
            _share(host), _share(pim),
        ])  # fmt: skip
    heads = ("CONV task", "theta_low [requests]", "theta_high [requests]", "chunks", "time alone", "time in the step",
             "with the PIM", "GPU's progress then", "PIM's progress then")  # fmt: skip
    return Table("thresholds", "Thresholds per CONV task (-: the PIM waits while it runs)", heads,
                 (False, *(True,) * 8), rows)  # fmt: skip


def shared_time(schedule: Schedule) -> dict[int, tuple[float, float, float, float]]:
    """Of each task on the host: time that it runs, time of it with the PIM [s], mean progress of host and PIM then [1].

    Means are NaN where the PIM did nothing meanwhile.
    """
    parts = schedule.segments
    length = parts.end - parts.start
    both = (parts.host >= 0) & (parts.pim >= 0)
    found = {}
    for task in np.unique(parts.host[parts.host >= 0]).tolist():
        mine = parts.host == task
        together = float(length[mine & both].sum())
        host, pim = (
            float((length * rate)[mine & both].sum() / together) if together else math.nan
            for rate in (parts.host_rate, parts.pim_rate)
        )
        found[task] = (float(length[mine].sum()), together, host, pim)
    return found


def wait_table(schedule: Schedule) -> Table:
    """What GPU and PIM did and waited for over the step."""
    meanings = {
        "compute": "progress at the speed that the task has alone",
        "memory": "running, without the authority to access the memory",
        "dependency": "the work that it needs is not there yet",
        "order": "the order has another task first",
        "done": "no work left",
    }
    seconds = [schedule.waits(side).seconds for side in ("host", "pim")]
    rows = [[_words(name), *(_quantity(one[name], "s") for one in seconds), _words(meaning)]
            for name, meaning in meanings.items()]  # fmt: skip
    return Table("waits", "Where the time of either side goes; each column adds up to the step",
                 ("spent on", "GPU", "PIM", "meaning"), (False, True, True, False), rows)  # fmt: skip


def energy_table(estimate: Estimate) -> Table:
    """Energy of a step by part; empty under `ideal`."""
    energy = estimate.energy
    rows = [] if energy is None else [
        [_words(_part(name)), _quantity(joules, "J"), _share(joules / (energy.total or 1.0))]
        for name, joules in energy.parts.items()
    ]  # fmt: skip
    return Table("energy", f"Energy of a step under {estimate.policy}", ("part", "energy", "share"),
                 (False, True, True), rows)  # fmt: skip


def _part(name: str) -> str:
    """A part of the energy as people write it: "host_io" -> "host I/O"."""
    spelt = {"gpu": "GPU", "pim": "PIM", "dram": "DRAM", "io": "I/O"}
    return " ".join(spelt.get(word, word) for word in name.split("_"))


def measured_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Rows of `pimmodel validate gpu`: errors against measurements."""
    cells = [
        [_words(row["data"]), _words(row["quantity"]), Cell(str(row["n"]), row["n"]),
         *(_share(row[name]) for name in ("median", "mean", "p90", "worst"))]
        for row in rows
    ]  # fmt: skip
    heads = ("table", "quantity", "values", "median error", "mean", "90 in 100 within", "worst")
    return Table("measured", "The GPU's model beside measurements, worked out for this report", heads,
                 (False, False, *(True,) * 5), cells)  # fmt: skip


def interval_table() -> Table:
    """Errors of the rates under sharing, against the cycle simulator."""
    names = {"host_rate": "GPU: requests per clock", "pim_rate": "PIM: share of its exclusive rate"}
    rows = [[_words(names[quantity]), _words(regime), _share(error)] for quantity, regime, error in calibrated_errors()]
    heads = ("quantity", "regime", "error of nine in ten")
    caption = "Rates under sharing policies beside the cycle simulator"
    return Table("intervals", caption, heads, (False, False, True), rows, sortable=False)


def domain_notes(step: Step) -> list[str]:
    """What of the CONV tasks and the PIM work beside them lies outside the domain that the intervals hold for."""
    work, counted, pairs = step.workload, Counter[str](), 0
    policies = step.optimum.plan.policies
    for index in np.flatnonzero(work.conv).tolist():
        beside = companion(work, index)
        signature = None if beside is None else work.signatures[beside]
        if signature is None or policies[index].kind != "exclusive":
            continue
        pairs += 1
        scenario = pair_scenario(work.system, float(work.host[1].rate[index]), float(work.write_share[index]),
                                 pim_kernel(signature, work.system), policies[index])  # fmt: skip
        for note in outside_domain(scenario):
            name, _, rest = note.partition(" = ")
            limits = rest.partition("domain ")[2]
            counted[f"{name} outside {limits}" if limits else note] += 1
    return [f"{note}: {number} of {pairs} CONV tasks that share" for note, number in counted.items()]


class Source(NamedTuple):
    """One value of the hardware: dotted name, value with unit, number of its source in the list (0: none), the rest."""

    field: str
    value: str
    number: int
    words: str


def hardware_values(system: System) -> tuple[list[Source], list[str]]:
    """Every value with its source, and the list of those sources that more than one value has (numbered from 1).

    A source reads "citation; what of it". Where several values have the same citation it is listed once.
    """
    found = entries(system)
    heads = Counter(one.source.split("; ")[0] for one in found)
    listed = [head for head, count in heads.items() if count > 1 and not head.startswith(_REASONS)]
    rows = []
    for one in found:
        head, _, rest = one.source.partition("; ")
        number = listed.index(head) + 1 if head in listed else 0
        rows.append(Source(one.name, format_value(one.value, one.unit), number, rest if number else one.source))
    return rows, listed


_REASONS = ("derived", "estimate", "fitted")


def reasons(system: System) -> dict[str, int]:
    """How many values are "cited", "derived", an "estimate" or "fitted"."""
    kinds = Counter({"cited": 0} | dict.fromkeys(_REASONS, 0))
    for one in entries(system):
        kinds[next((kind for kind in _REASONS if one.source.startswith(kind)), "cited")] += 1
    return dict(kinds)
