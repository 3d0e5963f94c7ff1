"""What all hardware descriptions share: values in SI with a unit per field, and a source for every value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from pimmodel.errors import UnknownNameError


@dataclass(frozen=True)
class Unit:
    """Marks a pydantic field with the SI unit that its number is in (`Annotated[float, Unit("B/s")]`)."""

    name: str


# Field types of the descriptions: the unit is parsed at the file edge, the range checked by pydantic.
Hertz = Annotated[float, Unit("Hz"), Field(gt=0, allow_inf_nan=False)]
Seconds = Annotated[float, Unit("s"), Field(ge=0, allow_inf_nan=False)]
Bytes = Annotated[int, Unit("B"), Field(gt=0)]
BytesPerSecond = Annotated[float, Unit("B/s"), Field(gt=0, allow_inf_nan=False)]
FlopPerSecond = Annotated[float, Unit("FLOP/s"), Field(gt=0, allow_inf_nan=False)]
Joules = Annotated[float, Unit("J"), Field(ge=0, allow_inf_nan=False)]
JoulesPerBit = Annotated[float, Unit("J/bit"), Field(ge=0, allow_inf_nan=False)]
Watts = Annotated[float, Unit("W"), Field(ge=0, allow_inf_nan=False)]
SquareMetres = Annotated[float, Unit("m**2"), Field(gt=0, allow_inf_nan=False)]
Amperes = Annotated[float, Unit("A"), Field(ge=0, allow_inf_nan=False)]
Volts = Annotated[float, Unit("V"), Field(gt=0, allow_inf_nan=False)]
# Numbers of clocks; in a file also written as a time ("14 ns"), rounded up to whole clocks as a controller does.
Clocks = Annotated[int, Unit("clock"), Field(ge=0)]
PositiveClocks = Annotated[int, Unit("clock"), Field(gt=0)]
Count = Annotated[int, Field(gt=0)]


class Description(BaseModel):
    """Base of every hardware description: frozen, no unknown fields, numbers in SI.

    `origin` says where it came from (file or built-in name); `sources` maps each dotted field to the text of its
    source.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    title: str
    origin: str = Field(default="given in code", exclude=True, repr=False)
    sources: dict[str, str] = Field(default_factory=dict, exclude=True, repr=False)


@dataclass(frozen=True)
class FieldKind:
    """What a field of a description holds, read off its annotation.

    `lowest` is its least value, itself not allowed where `above` is true.
    """

    type: Any
    unit: str | None
    optional: bool
    lowest: float | None
    above: bool

    @property
    def part(self) -> type[BaseModel] | None:
        """The class of a field that is itself a description or a group of fields."""
        return self.type if isinstance(self.type, type) and issubclass(self.type, BaseModel) else None


@cache
def field_kinds(model: type[BaseModel]) -> dict[str, FieldKind]:
    """Kinds of all fields that a description file may give (not `origin`, `sources` and the like)."""
    return {
        name: _kind_of(info.annotation, info.metadata, optional=False)
        for name, info in model.model_fields.items()
        if not info.exclude
    }


def _kind_of(annotation: Any, marks: Sequence[Any], optional: bool) -> FieldKind:
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return _kind_of(inner, [*marks, *more], optional)
    if get_origin(annotation) in (Union, UnionType):
        (inner,) = (one for one in get_args(annotation) if one is not NoneType)
        return _kind_of(inner, marks, optional=True)
    flat = [one for mark in marks for one in (mark.metadata if isinstance(mark, FieldInfo) else [mark])]
    unit = next((mark.name for mark in flat if isinstance(mark, Unit)), None)
    above = next((float(mark.gt) for mark in flat if hasattr(mark, "gt")), None)
    least = next((float(mark.ge) for mark in flat if hasattr(mark, "ge")), None)
    return FieldKind(annotation, unit, optional, least if above is None else above, above is not None)


def unit_of(model: type[BaseModel] | BaseModel, field: str) -> str | None:
    """SI unit of a field by dotted name, or None for a pure number or text.

    >>> from pimmodel.hardware.gpu import Gpu
    >>> unit_of(Gpu, "clock")
    'Hz'
    >>> from pimmodel.hardware.system import System
    >>> unit_of(System, "memory.timing.tRP")
    'clock'

    Raises
    ------
    UnknownNameError : there is no such field.
    """
    kinds = field_kinds(model if isinstance(model, type) else type(model))
    first, _, rest = field.partition(".")
    if first not in kinds:
        raise UnknownNameError("field", first, kinds)
    part = kinds[first].part
    if rest and part is None:
        raise UnknownNameError("field", field, kinds)
    return unit_of(part, rest) if part and rest else kinds[first].unit


def source_of(description: Description, field: str) -> str:
    """Source of a value by dotted name: a citation, or how it was derived or estimated."""
    unit_of(description, field)
    value: Any = description
    for name in field.split("."):
        owner, value = value, getattr(value, name)
    given = getattr(type(owner), "DEFAULT_SOURCE", "default of pimmodel") if not isinstance(value, BaseModel) else ""
    return description.sources.get(field, given)


@dataclass(frozen=True)
class Entry:
    """One value of a description: dotted name, value in `unit`, where it came from."""

    name: str
    value: Any
    unit: str | None
    source: str


def entries(description: Description) -> list[Entry]:
    """Every value of a description with its unit and source, parts included, in the order of the schema."""
    return [
        Entry(name, value, unit_of(description, name), source_of(description, name))
        for name, value in leaves(description).items()
        if name.rpartition(".")[2] not in ("name", "title")
    ]


def leaves(model: BaseModel, prefix: str = "") -> dict[str, Any]:
    """Values by dotted name, parts included."""
    found: dict[str, Any] = {}
    for name, kind in field_kinds(type(model)).items():
        value = getattr(model, name)
        if kind.part and value is not None:
            found |= leaves(value, f"{prefix}{name}.")
        elif not kind.part:
            found[prefix + name] = value
    return found
