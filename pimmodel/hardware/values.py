"""One value of a description: from what a file or a person wrote to a number in SI (or clocks), range checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from pimmodel.hardware.description import FieldKind
from pimmodel.units import UnitError, example_of, parse_quantity

# More clocks than any timing has; keeps the arithmetic exact in a double.
_MOST_CLOCKS = 10**12
# Longest times between two commands, which a controller must not exceed: rounded down where all others go up.
_ROUNDED_DOWN = ("tREFI", "tREFIpb")


class UnfitError(ValueError):
    """A value that a field cannot take; the text says what it can."""


def clocks_of(time: float, clock: float, down: bool = False) -> int:
    """Whole clocks that cover a time [s] at a clock [Hz]; with `down`, those that fit into it.

    Products such as 14e-9 x 1e9 that miss a whole number by rounding alone count as whole.

    >>> clocks_of(14e-9, 1e9), clocks_of(14e-9, 877e6), clocks_of(3.9e-6, 877e6, down=True)
    (14, 13, 3420)
    """
    product = time * clock
    nearest = round(product)
    if abs(product - nearest) <= 1e-6 + 1e-9 * abs(product):
        return nearest
    return math.floor(product) if down else math.ceil(product)


def timing_at(clock: float, timing: Mapping[str, int], times: Mapping[str, float]) -> dict[str, int]:
    """Timing of a memory [clock] as clocked: those in `times` [s] follow the clock [Hz], the others stay.

    tRC is at least tRAS + tRP in clocks: a controller that rounds each of these up waits for both in any case.
    """
    result = dict(timing) | {name: clocks_of(time, clock, name in _ROUNDED_DOWN) for name, time in times.items()}
    period = {name: times.get(name, result[name] / clock) for name in ("tRC", "tRAS", "tRP") if name in result}
    # A tRC that is too short before any rounding is a mistake of the file, and is left for the schema to reject.
    if len(period) == 3 and period["tRC"] >= (period["tRAS"] + period["tRP"]) * (1 - 1e-9):
        result["tRC"] = max(result["tRC"], result["tRAS"] + result["tRP"])
    return result


def allowed_in(kind: FieldKind) -> str:
    """What a field takes, in words."""
    least = "" if kind.lowest is None else f"{'more than ' if kind.above else ''}{kind.lowest:g}"
    if get_origin(kind.type) is Literal:
        text = " or ".join(repr(one) for one in get_args(kind.type))
    elif kind.type is bool:
        text = "true or false"
    elif kind.type is str:
        text = "a text"
    elif kind.unit == "clock":
        text = f"a whole number of clocks, {'1' if kind.above else '0'} or more, or a time such as '14 ns'"
    elif kind.type is int:
        whole = f"a whole number, {int(kind.lowest or 0) + (1 if kind.above else 0)} or more"
        text = f"{whole} {kind.unit}, such as '{example_of(kind.unit)}'" if kind.unit else whole
    elif kind.unit:
        text = f"{least}{' ' + kind.unit if kind.above else ' ' + kind.unit + ' or more'}, such as '"
        text += f"{example_of(kind.unit)}'"
    else:
        text = f"a number {least}" if kind.above else f"a number, {least} or more"
    return text + (", or none" if kind.optional else "")


def value_in(value: Any, kind: FieldKind, clock: float | None = None, unit_needed: bool = False) -> Any:
    """Value of a field in SI (or clocks).

    Parameters
    ----------
    value : what was written
    kind : the field's kind
    clock : Hz of the memory, where a field in clocks may be given as a time
    unit_needed : refuse bare numbers for fields that have a unit other than clocks (in files: which unit was meant?)

    Raises
    ------
    UnfitError : the field cannot take it; the text says what it can.
    """
    if value is None and kind.optional:
        return None
    if get_origin(kind.type) is Literal:
        fits = isinstance(value, str) and value in get_args(kind.type)
    elif kind.type in (bool, str):
        fits = isinstance(value, kind.type) and value != ""
    else:
        return _number(value, kind, clock, unit_needed)
    if not fits:
        raise UnfitError(allowed_in(kind))
    return value


def _number(value: Any, kind: FieldKind, clock: float | None, unit_needed: bool) -> float | int:
    allowed = allowed_in(kind)
    if hasattr(value, "item"):  # numpy scalars, from sweeps over arrays
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise UnfitError(allowed)
    if isinstance(value, str):
        number = _quantity(value, kind, clock)
    elif unit_needed and kind.unit not in (None, "clock"):
        raise UnfitError(f"{allowed} (with its unit)")
    else:
        number = value
    if isinstance(number, float) and not math.isfinite(number):
        raise UnfitError(allowed)
    if kind.type is int:
        if number != int(number) or (kind.unit == "clock" and number > _MOST_CLOCKS):
            raise UnfitError(allowed)
        number = int(number)
    if kind.lowest is not None and (number < kind.lowest or (kind.above and number == kind.lowest)):
        raise UnfitError(allowed)
    return number if kind.type is int else float(number)


def _quantity(text: str, kind: FieldKind, clock: float | None) -> float:
    if kind.unit is None:
        raise UnfitError(allowed_in(kind))
    try:
        if kind.unit != "clock":
            return parse_quantity(text, kind.unit)
        if clock is None:
            raise UnfitError("a whole number of clocks")
        time = parse_quantity(text, "s")
    except UnitError:
        raise UnfitError(allowed_in(kind)) from None
    return float("inf") if time * clock > _MOST_CLOCKS else clocks_of(time, clock)
