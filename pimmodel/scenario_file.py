"""Scenario files: what `pimmodel simulate CONFIG.yaml` reads.

    memory: hbm2                      # a built-in memory, a YAML file, or {timing: {...}, organisation: {...}}
    stream: {rate: 0.2, substreams: 16, spread: 1, columns: 16, write_share: 0.0}
    queue: {capacity: 64, window: 64}
    kernel: {passes: [{operands: [{write: false}]}], units: 4, cadence: 4, columns_per_row: 32}
    policy: {kind: exclusive, theta_low: 12, theta_high: 60}
    refresh: "off"
    cycles: 4000000                   # clocks that the simulator counts
    warmup: 100000
    seed: 0

Units are those of :mod:`pimmodel.scenario`: clocks, and requests per clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pimmodel.errors import DescriptionError
from pimmodel.files import read_fields
from pimmodel.hardware.load import load_memory
from pimmodel.hardware.reading import first_problem
from pimmodel.scenario import Scenario

_PARTS = ("memory", "stream", "queue", "kernel", "policy")
_RUN = {"cycles": 4_000_000, "warmup": 100_000, "seed": 0}


@dataclass(frozen=True)
class ScenarioRun:
    """A scenario and how to simulate it: clocks counted, clocks before them, seed."""

    scenario: Scenario
    cycles: int
    warmup: int
    seed: int


def load_scenario(path: str | Path) -> ScenarioRun:
    """Read and check a scenario file.

    Raises
    ------
    DescriptionError : names file, field, value and what is allowed.
    PimModelError : the file cannot be read or is not YAML.
    """
    raw = read_fields(path, (*_PARTS, "refresh", *_RUN), _PARTS)
    counts = {name: raw.get(name, default) for name, default in _RUN.items()}
    for name, value in counts.items():
        least = 1 if name == "cycles" else 0
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise DescriptionError(path, name, value, f"a whole number, {least} or more")
    parts = {name: raw[name] for name in raw if name not in ("memory", *_RUN)}
    if parts.get("refresh") is False:
        parts["refresh"] = "off"  # YAML 1.1 reads a bare `off` as false
    return ScenarioRun(_build(path, _memory(raw["memory"], Path(path)), parts), **counts)


def _memory(memory: Any, path: Path) -> dict[str, Any]:
    if isinstance(memory, dict):
        return memory
    if not isinstance(memory, str):
        raise DescriptionError(path, "memory", memory, "a name, a YAML file, or {timing: ..., organisation: ...}")
    beside = path.parent / memory
    part = load_memory(beside if beside.suffix in (".yaml", ".yml") and beside.exists() else memory)
    return {"timing": part.timing, "organisation": part.organisation}


def _build(path: str | Path, memory: dict[str, Any], parts: dict[str, Any]) -> Scenario:
    try:
        return Scenario.model_validate({**memory, **parts})
    except ValidationError as error:
        raise DescriptionError(path, *first_problem(error)) from None


def shipped_scenarios() -> dict[str, Path]:
    """The scenarios that ship with the library, by name."""
    entries = files("pimmodel.models.scenarios").iterdir()
    return {entry.name[:-5]: Path(str(entry)) for entry in entries if entry.name.endswith(".yaml")}
