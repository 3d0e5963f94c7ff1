"""A validated copy of a description with some values changed: what sweeps and what-if questions are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pimmodel.errors import DescriptionError, UnknownNameError
from pimmodel.hardware.description import Description, FieldKind, field_kinds, leaves
from pimmodel.hardware.memory import Memory, MemoryTiming
from pimmodel.hardware.reading import first_problem, suggest
from pimmodel.hardware.system import System
from pimmodel.hardware.values import UnfitError, timing_at, value_in

D = TypeVar("D", bound=Description)
M = TypeVar("M", bound=BaseModel)

CHANGED = "changed in code"


class UnknownParameterError(UnknownNameError):
    """A dotted name that a description does not have; the closest at the level where it goes wrong are suggested."""

    def __init__(self, dotted: str, name: str, before: str, siblings: Iterable[str], known: Iterable[str]) -> None:
        super().__init__("parameter", dotted, known)
        self.args = (f"unknown parameter '{dotted}': {suggest(name, siblings, before=before)}",)


def kind_of(model: BaseModel | type[BaseModel], dotted: str) -> FieldKind:
    """Kind of the field of a dotted name.

    Raises
    ------
    UnknownNameError : there is no such field; the closest are suggested.
    """
    kind: FieldKind | None = None
    kinds = field_kinds(model if isinstance(model, type) else type(model))
    steps = dotted.split(".")
    for depth, name in enumerate(steps):
        if name not in kinds:
            before = "".join(f"{step}." for step in steps[:depth])
            raise UnknownParameterError(dotted, name, before, kinds, names_in(model))
        kind = kinds[name]
        kinds = field_kinds(kind.part) if kind.part else {}
    assert kind is not None
    return kind


def names_in(model: BaseModel | type[BaseModel], prefix: str = "") -> list[str]:
    """Dotted names of all values that `replace` can change."""
    found = []
    for name, kind in field_kinds(model if isinstance(model, type) else type(model)).items():
        found += names_in(kind.part, f"{prefix}{name}.") if kind.part else [prefix + name]
    return found


def replace(description: D, changes: Mapping[str, Any]) -> D:
    """A validated copy with values changed by dotted name.

    A new `memory.clock` moves the timings that are times along, as a controller would be set; those in clocks stay. A
    system's stated `memory_bandwidth` is dropped when what it was checked against changes, so that a faster memory is
    faster. Changed values have the source "changed in code".

    Parameters
    ----------
    description : any description
    changes : dotted name to a number in SI (or clocks), a text with a unit, or a whole part (`{"pim": load_pim(...)}`)

    Raises
    ------
    UnknownNameError : a name that is not there.
    DescriptionError : a value that is not allowed, or not together with the others.

    Examples
    --------
    >>> from pimmodel.hardware.load import load_system, replace
    >>> faster = replace(load_system("v100-bankgroup-pim"), {"memory.clock": "1 GHz", "memory.timing.tCCD_L": 2})
    >>> faster.memory.timing.tRP, faster.memory.timing.tCCD_L, faster.bandwidth_multiple
    (14, 2, 2.6666666666666665)
    """
    values: dict[str, Any] = {}
    for dotted, value in changes.items():
        kind = kind_of(description, dotted)
        if kind.part and isinstance(value, kind.part):
            values[dotted] = value
            continue
        if kind.part:
            raise DescriptionError(description.origin, dotted, value, f"a {kind.part.__name__}")
        try:
            values[dotted] = value_in(value, kind, _clock_for(description, changes, dotted))
        except UnfitError as error:
            raise DescriptionError(description.origin, dotted, value, str(error)) from None
    try:
        return _changed(description, values)
    except ValidationError as error:
        name, value, allowed = first_problem(error)
        raise DescriptionError(description.origin, _full_name(description, name), value, allowed) from None


def _clock_for(description: Description, changes: Mapping[str, Any], dotted: str) -> float | None:
    """Clock [Hz] with which a timing given as a time becomes clocks."""
    memory, prefix = (description, "") if isinstance(description, Memory) else (None, "memory.")
    if isinstance(description, System):
        memory = changes.get("memory", description.memory)
    if not isinstance(memory, Memory) or not dotted.startswith(f"{prefix}timing."):
        return None
    if f"{prefix}clock" in changes:
        return float(value_in(changes[f"{prefix}clock"], field_kinds(Memory)["clock"]))
    return memory.clock


def _full_name(description: BaseModel, name: str) -> str:
    """Dotted name from the top for a field that a part's own check names without its path."""
    known = leaves(description)
    if name in known:
        return name
    return next((one for one in known if one.endswith(f".{name}")), name)


def _changed(model: M, changes: Mapping[str, Any]) -> M:
    values = {name: getattr(model, name) for name in type(model).model_fields}
    inner: dict[str, dict[str, Any]] = {}
    # Whole parts first, then values inside them.
    for dotted, value in sorted(changes.items(), key=lambda item: item[0].count(".")):
        first, _, rest = dotted.partition(".")
        if rest:
            inner.setdefault(first, {})[rest] = value
        else:
            values[first] = value
    if isinstance(model, Memory):
        whole = changes["timing"].model_dump() if "timing" in changes else {}
        values |= _retimed(model, values["clock"], whole | inner.pop("timing", {}))
    for name, part_changes in inner.items():
        values[name] = _changed(values[name], part_changes) if values[name] is not None else _no_part(name)
    if isinstance(model, System) and any(name.split(".")[0] in ("memory", "memory_channels") for name in changes):
        values["memory_bandwidth"] = changes.get("memory_bandwidth")
    if isinstance(model, Description):
        values["sources"] = _sources(model, values, changes)
    return type(model)(**values)


def _no_part(name: str) -> Any:
    raise DescriptionError("given in code", name, None, "a description that has this part")


def _retimed(memory: Memory, clock: float, explicit: Mapping[str, Any]) -> dict[str, Any]:
    """Timing of a memory at a clock [Hz], with the timings that are given explicitly.

    A tRC that is not given explicitly is raised to tRAS + tRP, which a controller keeps anyway: so each of these can be
    swept alone.
    """
    times = {name: time for name, time in memory.times.items() if name not in explicit}
    timing = memory.timing.model_dump() | dict(explicit)
    if clock != memory.clock:
        timing = timing_at(clock, timing, times)
    if "tRC" not in explicit:
        timing["tRC"] = max(timing["tRC"], timing["tRAS"] + timing["tRP"])
    return {"times": times, "timing": MemoryTiming(**timing)}


def _sources(model: Description, values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, str]:
    sources = dict(model.sources)
    for dotted, value in changes.items():
        if isinstance(value, Description):
            sources = {name: text for name, text in sources.items() if not name.startswith(f"{dotted}.")}
            sources |= {f"{dotted}.{name}": text for name, text in value.sources.items()}
    return sources | {name: CHANGED for name, value in changes.items() if not isinstance(value, BaseModel)}
