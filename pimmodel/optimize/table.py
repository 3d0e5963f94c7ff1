"""The table that an architect could put into a memory controller: thresholds and chunks per CONV task, as YAML.

    schema: pimmodel/thresholds/1
    network: resnet50
    system: v100-bankgroup-pim
    order: rearranged
    tasks:                                  # one line per CONV task; the others are their forward and gradient phases
      FP(conv1): {theta_low: 14, theta_high: 56, chunks: 4}
      DX(layer4.2.conv3): {share: false, chunks: 8}   # the PIM waits while it runs
    on_gpu:                                 # non-CONV tasks that stay on the GPU; all others run on the PIM
      UPD(fc): true

`quota_host` and `quota_pim` may stand beside the thresholds. A CONV task that is not listed does not share.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from pydantic import ValidationError

from pimmodel.errors import DescriptionError
from pimmodel.files import read_text
from pimmodel.hardware.reading import first_problem, suggest
from pimmodel.hardware.yaml_tree import Shown, Tree, parse
from pimmodel.scenario import Policy
from pimmodel.schedule.order import ORDERS
from pimmodel.schedule.plan import SERIAL, Plan, chunk_counts, eligible
from pimmodel.schedule.workload import CHUNK_COUNTS, Workload

SCHEMA = "pimmodel/thresholds/1"
_TOP = ("schema", "network", "system", "order", "tasks", "on_gpu")
_NUMBERS = ("theta_low", "theta_high", "quota_host", "quota_pim")


def plan_rows(work: Workload, plan: Plan) -> list[dict[str, Any]]:
    """One row per CONV task: thresholds (None where it does not share), quotas and chunks."""
    rows = []
    for index in np.flatnonzero(work.conv).tolist():
        policy, task = plan.policies[index], work.tasks[index]
        rows.append({
            "task": task.name, "layer": task.layer, "phase": task.phase, "shares": policy.kind == "exclusive",
            **{name: getattr(policy, name) for name in _NUMBERS}, "chunks": int(plan.chunks[index]),
        })  # fmt: skip
    return rows


def plan_text(work: Workload, plan: Plan, network: str) -> str:
    """YAML text of a plan whose CONV tasks share by thresholds or not at all."""
    lines = [
        f"schema: {SCHEMA}",
        f"network: {network}",
        f"system: {work.system.name}",
        f"order: {plan.order}",
        "tasks:",
    ]
    for row in plan_rows(work, plan):
        numbers = {name: row[name] for name in _NUMBERS if row[name] is not None}
        fields = numbers if row["shares"] else {"share": "false"}
        text = ", ".join(f"{name}: {value}" for name, value in {**fields, "chunks": row["chunks"]}.items())
        lines.append(f"  {_quoted(row['task'])}: {{{text}}}")
    kept = [work.tasks[index].name for index in np.flatnonzero(eligible(work) & ~plan.on_pim)]
    if kept:
        lines += ["on_gpu:", *(f"  {_quoted(name)}: true" for name in kept)]
    return "\n".join(lines) + "\n"


def _quoted(name: str) -> str:
    """A task's name as a YAML key: quoted where a plain one would be read otherwise."""
    plain = all(letter.isalnum() or letter in "()._-+/" for letter in name)
    return name if plain else "'" + name.replace("'", "''") + "'"


def load_plan(path: str | os.PathLike[str], work: Workload) -> Plan:
    """Read a plan for a step.

    Raises
    ------
    DescriptionError : an unknown task or field, theta_low >= theta_high, a threshold beyond the controller's queue, a
        chunk count that a task cannot have; names file, line, task and what is allowed.
    PimModelError : the file cannot be read.
    """
    return _Reader(str(path), work).plan(parse(read_text(path), str(path)))


class _Reader:
    """One file being read for one step."""

    def __init__(self, origin: str, work: Workload) -> None:
        self.origin, self.work = origin, work
        self.index = {task.name: number for number, task in enumerate(work.tasks)}

    def fail(self, node: Tree, field: str, value: object, allowed: str) -> Any:
        raise DescriptionError(f"{self.origin}:{node.line}", field, value, allowed)

    def plan(self, tree: Tree) -> Plan:
        for name, node in tree.fields.items():
            if name not in _TOP:
                self.fail(node, name, Shown("unknown"), suggest(name, _TOP))
        schema = tree.fields.get("schema")
        if schema is None or schema.scalar != SCHEMA:
            self.fail(schema or tree, "schema", schema.shown if schema else Shown("missing"), SCHEMA)
        order: Any = tree.fields["order"].scalar if "order" in tree.fields else ORDERS[-1]
        if order not in ORDERS:
            self.fail(tree.fields["order"], "order", order, " or ".join(ORDERS))
        on_pim = eligible(self.work)
        for name, node in self.mapping(tree, "on_gpu").items():
            task = self.task(node, f"on_gpu.{name}", name)
            if not on_pim[task]:
                self.fail(node, f"on_gpu.{name}", Shown("a CONV task"), "tasks that could run on the PIM")
            if node.scalar is not True:
                self.fail(node, f"on_gpu.{name}", node.shown, "true")
            on_pim[task] = False
        policies = [SERIAL] * len(self.work)
        wanted = np.ones(len(self.work), dtype=np.int64)
        for name, node in self.mapping(tree, "tasks").items():
            task = self.task(node, f"tasks.{name}", name)
            if not self.work.conv[task]:
                self.fail(node, f"tasks.{name}", Shown("not a CONV task"), "FP, DX and DW tasks")
            policies[task], wanted[task] = self.entry(node, f"tasks.{name}", task)
        return Plan(on_pim, chunk_counts(self.work, on_pim, wanted), tuple(policies), order)

    def mapping(self, tree: Tree, name: str) -> dict[str, Tree]:
        node = tree.fields.get(name)
        if node is None or (node.kind == "scalar" and node.scalar is None):
            return {}
        if node.kind != "mapping":
            self.fail(node, name, node.shown, "a mapping of task names")
        return node.fields

    def task(self, node: Tree, field: str, name: str) -> int:
        if name not in self.index:
            self.fail(node, field, Shown("no task of this step"), suggest(name, self.index, "task"))
        return self.index[name]

    def entry(self, node: Tree, field: str, task: int) -> tuple[Policy, int]:
        """Policy and chunks of one CONV task."""
        if node.kind != "mapping":
            self.fail(node, field, node.shown, "{theta_low: ..., theta_high: ..., chunks: ...} or {share: false}")
        allowed = (*_NUMBERS, "chunks", "share")
        values: dict[str, Any] = {}
        for name, leaf in node.fields.items():
            if name not in allowed:
                self.fail(leaf, f"{field}.{name}", Shown("unknown"), suggest(name, allowed))
            values[name] = leaf.scalar
            if name != "share" and (not isinstance(leaf.scalar, int) or isinstance(leaf.scalar, bool)):
                self.fail(leaf, f"{field}.{name}", leaf.shown, "a whole number")
        chunks = values.pop("chunks", 1)
        possible = [count for count in CHUNK_COUNTS if np.isfinite(self.work.host[count].time[task])]
        if chunks not in possible:
            self.fail(node.fields["chunks"], f"{field}.chunks", chunks, f"one of {', '.join(map(str, possible))}")
        share = values.pop("share", bool(values))
        if not isinstance(share, bool):
            self.fail(node.fields["share"], f"{field}.share", share, "true or false")
        if not share:
            for name in values:
                self.fail(node.fields[name], f"{field}.{name}", values[name], "nothing, since the task does not share")
            return SERIAL, chunks
        try:
            policy = Policy(kind="exclusive", **values)
        except ValidationError as error:
            name, value, wanted = first_problem(error)
            self.fail(node.fields.get(name, node), f"{field}.{name}", value, wanted)
        room = self.work.system.controller.room
        if policy.theta_high is not None and policy.theta_high > room:
            self.fail(node.fields["theta_high"], f"{field}.theta_high", policy.theta_high,
                      f"at most {room}, what the controller's queue and window hold")  # fmt: skip
        return policy, chunks
