"""Unit strings at the file edge: "900 GB/s" to SI numbers, and SI numbers to text for people.

Inside the library every number is SI (s, B, B/s, FLOP, FLOP/s, J, m2), DRAM timing in clock cycles. Parsing is
pint's; the result of each distinct string is kept in the on-disk cache, because importing pint costs more than a
whole estimate.
"""

from __future__ import annotations

import json
import math
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from pimmodel import cache

# All units that a description can use, in pint's language. Its own list is left out: there a bit is a pure number, so
# that 900 GHz would pass for a bandwidth; redefining units of it leaves their multiples (6 MiB) as they were.
_DEFINITIONS = """
yocto- = 1e-24 = y-
zepto- = 1e-21 = z-
atto- = 1e-18 = a-
femto- = 1e-15 = f-
pico- = 1e-12 = p-
nano- = 1e-9 = n-
micro- = 1e-6 = µ- = μ- = u-
milli- = 1e-3 = m-
centi- = 1e-2 = c-
kilo- = 1e3 = k-
mega- = 1e6 = M-
giga- = 1e9 = G-
tera- = 1e12 = T-
peta- = 1e15 = P-
exa- = 1e18 = E-
kibi- = 2**10 = Ki-
mebi- = 2**20 = Mi-
gibi- = 2**30 = Gi-
tebi- = 2**40 = Ti-
second = [time] = s = sec
minute = 60 * second = min
hour = 60 * minute = h
hertz = 1 / second = Hz
meter = [length] = m = metre
gram = [mass] = g
joule = 1000 * gram * meter ** 2 / second ** 2 = J
watt = joule / second = W
electron_volt = 1.602176634e-19 * joule = eV
ampere = [current] = A = amp
volt = watt / ampere = V
bit = [information]
byte = 8 * bit = B = octet
bit_per_second = bit / second = bps
FLOP = [operation] = _ = flop
FLOP_per_second = FLOP / second = FLOPS
clock = [clock_cycle] = clk
"""


class UnitError(ValueError):
    """A text that is not a quantity of the wanted unit."""


@lru_cache(maxsize=1)
def _registry() -> Any:
    import pint

    registry: Any = pint.UnitRegistry(None)
    registry.load_definitions(_DEFINITIONS.strip().splitlines())
    return registry


@lru_cache(maxsize=1)
def _entry() -> str:
    return f"units-{version('pint')}-{cache.hash_text(_DEFINITIONS):016x}.json"


@lru_cache(maxsize=1)
def _known() -> dict[str, float]:
    return _stored()


def _stored() -> dict[str, float]:
    """What the cache on disk holds; a damaged entry is the same as none."""
    try:
        found = json.loads(cache.read(_entry()) or "{}")
    except ValueError:
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {key: number for key, number in pairs if type(number) in (int, float) and math.isfinite(number)}


def parse_quantity(value: str | float | int, unit: str) -> float:
    """Number in `unit` of a quantity written as text; a bare number is taken to be in `unit` already.

    >>> parse_quantity("900 GB/s", "B/s")
    900000000000.0
    >>> parse_quantity("1.53 GHz", "Hz")
    1530000000.0

    Raises
    ------
    UnitError : not a quantity, of another dimension, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UnitError(f"a quantity in {unit} is wanted")
    if isinstance(value, (int, float)):
        if not math.isfinite(value):
            raise UnitError(f"a finite quantity in {unit} is wanted")
        return value
    key = f"{value}|{unit}"
    if key in _known():
        return _known()[key]
    number = _parse_with_pint(value, unit)
    # Other processes may have added theirs meanwhile.
    _known().update(_stored() | {key: number})
    cache.write(_entry(), json.dumps(_known()))
    return number


def _parse_with_pint(text: str, unit: str) -> float:
    registry = _registry()
    try:
        quantity = registry.Quantity(text)
        number = float(quantity.to(unit).magnitude)
    except Exception as error:  # pint raises a dozen unrelated types for bad text
        raise UnitError(f"a quantity in {unit} is wanted, such as '{example_of(unit)}'") from error
    if not math.isfinite(number):
        raise UnitError(f"a finite quantity in {unit} is wanted")
    # 1.53e9, not 1530000000.0000002: the nearest number with 15 digits is what the author wrote.
    return float(f"{number:.15g}")


def example_of(unit: str) -> str:
    """How a quantity of a unit may be written: 'Hz' -> '1.53 GHz'."""
    return _EXAMPLES.get(unit, f"1 {unit}")


_EXAMPLES = {
    "B/s": "900 GB/s", "Hz": "1.53 GHz", "s": "14 ns", "B": "6 MiB", "FLOP/s": "15.7 TFLOP/s",
    "J/bit": "0.11 pJ/bit", "J": "0.5 pJ", "W": "300 W", "m**2": "815 mm**2",
}  # fmt: skip


def format_value(value: object, unit: str | None) -> str:
    """A value of a description as people read it: "-" for none, words as they are, numbers with their unit.

    >>> format_value(True, None), format_value(14, "clock"), format_value(1.53e9, "Hz")
    ('yes', '14 clock', '1.530 GHz')
    """
    if value is None or isinstance(value, bool):
        return "-" if value is None else "yes" if value else "no"
    if not isinstance(value, float):
        return f"{value} {unit or ''}".strip()
    if not unit or unit == "clock" or "**" in unit:  # a prefix would be raised too
        return f"{value:.6g} {unit or ''}".strip()
    return format_quantity(value, unit, 4)


_PREFIXES = (
    (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""),
    (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"),
)  # fmt: skip


def prefixed(value: float, unit: str, digits: int = 3) -> tuple[float, str]:
    """Factor and name of the unit in which a value reads well: value / factor is from 1 to 1000 of that unit.

    >>> prefixed(0.0123, "s")
    (0.001, 'ms')
    >>> prefixed(0.0, "FLOP/s")
    (1.0, 'FLOP/s')
    """
    if value == 0 or not math.isfinite(value):
        return 1.0, unit
    # 999.6 rounds to 1000 at three digits: compare what will be shown.
    shown = float(f"{abs(value):.{digits}g}")
    factor, prefix = next((pair for pair in _PREFIXES if shown >= pair[0]), _PREFIXES[-1])
    return factor, f"{prefix}{unit}"


def format_quantity(value: float, unit: str, digits: int = 3) -> str:
    """Text of an SI number with a prefix that people read: 0.00123 s -> '1.23 ms'.

    >>> format_quantity(9e11, "B/s")
    '900 GB/s'
    >>> format_quantity(0.00123456, "s")
    '1.23 ms'
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    factor, name = prefixed(value, unit, digits)
    whole_digits = len(str(int(abs(value) / factor)))
    return f"{value / factor:.{max(0, digits - whole_digits)}f} {name}"
