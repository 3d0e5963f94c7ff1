"""What all hardware descriptions share: values in SI with a unit per field, and a source for every value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


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


def unit_of(model: type[BaseModel], field: str) -> str | None:
    """SI unit of a field of a description class, or None for a pure number or text.

    >>> from pimmodel.hardware.gpu import Gpu
    >>> unit_of(Gpu, "clock")
    'Hz'
    """
    info = model.model_fields[field]
    marks: list[Any] = [*info.metadata]
    return next((mark.name for mark in marks if isinstance(mark, Unit)), None)
