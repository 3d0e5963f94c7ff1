"""Docstrings say what they must: formulas their symbols, units, validity, error and source; arrays shapes and units.

The units of a formula are checked twice: each symbol's against the symbol table, and the result's against what the
expression gives when the units of its symbols are put in.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import pytest
import sympy
from every_formula import formulas, modules

from pimmodel.formula import formula
from pimmodel.symbols import SYMBOLS, SymbolInfo

HEADINGS = {"Symbols", "Returns", "Validity", "Known error", "Source"}
# Plain numbers with a unit that the expression does not show: bytes of an fp32 number.
HIDDEN_UNITS = {"split_time": {4: "B"}}


FORMULAS = formulas()


# Formulas -----------------------------------------------------------------------------------------------------------


def _printed(info: SymbolInfo) -> str:
    """A symbol's printed form as plain text: t_{launch} is t_launch, \\eta is eta."""
    return re.sub(r"[{}\\]", "", info.latex)


def _documented_units(text: str, arguments: tuple[str, ...]) -> dict[str, str]:
    """Unit of each argument in "M rows [1], tRP, tRAS timings [clock]": that of the next bracket behind its name.

    Entries are set apart by commas and "and"; a name or a printed symbol is one of an entry's first two words.
    """
    found = {}
    for group, unit in re.findall(r"([^\[\]]*)\[([^\]]*)\]", text):
        entries = re.split(r"[,;()]|\band\b", group)
        words = {word.strip("'.:") for entry in entries for word in entry.split()[:2]}
        for name in arguments:
            if name not in found and words & {name, _printed(SYMBOLS[name])}:
                found[name] = unit
    return found


def test_there_are_formulas() -> None:
    assert len(FORMULAS) >= 60


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_formula_says_all_that_it_must(name: str) -> None:
    one = FORMULAS[name]
    assert one.summary.endswith((".", "`")), f"{name}: the docstring does not begin with a sentence"
    assert not HEADINGS - set(one.notes), f"{name}: the docstring lacks {HEADINGS - set(one.notes)}"
    assert ":math:" in str(one.__doc__) or ".. math::" in str(one.__doc__), f"{name}: no equation"
    for heading, text in one.notes.items():
        assert len(text) > 2, f"{name}: {heading} is empty"


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_every_argument_of_a_formula_has_its_unit(name: str) -> None:
    one = FORMULAS[name]
    told = _documented_units(one.notes.get("Symbols", ""), one.arguments)
    known = {argument: SYMBOLS[argument].unit for argument in one.arguments}
    assert told == known, f"{name}: Symbols lacks an argument or gives it another unit than pimmodel/symbols.py"


def test_units_are_read_as_people_read_them() -> None:
    text = "a^2 points [1], tRP, tRAS [clock], g' column_gap without points: any [clock], beta bandwidth [B/s]"
    found = _documented_units(text, ("points", "tRP", "tRAS", "column_gap", "bandwidth", "tRCD"))
    assert found == {"points": "1", "tRP": "clock", "tRAS": "clock", "column_gap": "clock", "bandwidth": "B/s"}


Dimension = dict[str, Fraction]  # exponents of base units; None stands for a plain number, which may have any unit
# FLOPs and bits are counts; 8 bit are one byte, and only the exponent matters here. W = J/s, V = W/A, Hz = clock/s.
BASES: dict[str, Dimension] = {
    "1": {}, "FLOP": {}, "s": {"s": Fraction(1)}, "B": {"B": Fraction(1)}, "bit": {"B": Fraction(1)},
    "clock": {"clock": Fraction(1)}, "Hz": {"clock": Fraction(1), "s": Fraction(-1)}, "J": {"J": Fraction(1)},
    "A": {"A": Fraction(1)}, "W": {"J": Fraction(1), "s": Fraction(-1)},
    "V": {"J": Fraction(1), "s": Fraction(-1), "A": Fraction(-1)},
}  # fmt: skip


def _times(*factors: Dimension) -> Dimension:
    total: Dimension = {}
    for factor in factors:
        for base, exponent in factor.items():
            total[base] = total.get(base, Fraction(0)) + exponent
    return {base: exponent for base, exponent in total.items() if exponent}


def _power(dimension: Dimension, exponent: Fraction) -> Dimension:
    return {base: one * exponent for base, one in dimension.items()}


def _parsed(unit: str) -> Dimension:
    above, _, below = unit.partition("/")
    return _times(BASES[above], _power(BASES[below], Fraction(-1)) if below else {})


def _dimension(expression: Any, hidden: dict[int, str]) -> Dimension | None:
    """What the units of an expression's symbols make of it; terms of different units are an error."""
    if expression.is_number:
        return _parsed(hidden[int(expression)]) if expression in hidden else None
    if expression.is_Symbol:
        return _parsed(SYMBOLS[expression.name].unit)
    if isinstance(expression, (sympy.Add, sympy.Max, sympy.Min)):
        return _same([_dimension(term, hidden) for term in expression.args], expression)
    if isinstance(expression, sympy.Piecewise):
        for branch in expression.args:
            for relation in branch.cond.atoms(sympy.core.relational.Relational):
                _same([_dimension(side, hidden) for side in relation.args], relation)
        return _same([_dimension(branch.expr, hidden) for branch in expression.args], expression)
    if isinstance(expression, sympy.Mul):
        return _times(*filter(None, (_dimension(factor, hidden) for factor in expression.args)))
    if isinstance(expression, sympy.Pow):
        base = _dimension(expression.base, hidden)
        if expression.exp.is_number:
            return _power(base or {}, Fraction(str(sympy.nsimplify(expression.exp))))
        assert not base, f"a power with a variable exponent of what has a unit: {expression}"
        assert not _dimension(expression.exp, hidden)
        return {}
    if isinstance(expression, sympy.exp):
        assert not _dimension(expression.args[0], hidden), f"exp of what has a unit: {expression}"
        return {}
    if isinstance(expression, sympy.ceiling):
        return _dimension(expression.args[0], hidden)
    raise AssertionError(f"units of {type(expression).__name__} are not known here")


def _same(dimensions: list[Dimension | None], where: object) -> Dimension | None:
    known = [one for one in dimensions if one is not None]
    assert all(one == known[0] for one in known), f"terms of different units: {where}: {known}"
    return known[0] if known else None


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_units_of_a_formula_agree_with_its_expression(name: str) -> None:
    one = FORMULAS[name]
    told = re.match(r"\[([^\]]*)\]", one.notes.get("Returns", ""))
    assert told, f"{name}: the docstring does not say 'Returns [unit]'"
    assert (_dimension(one.expression, HIDDEN_UNITS.get(one._define.__name__, {})) or {}) == _parsed(told[1])


def test_mixed_units_are_found() -> None:
    @formula
    def wrong(work, traffic, bandwidth, launch):  # type: ignore[no-untyped-def]
        return traffic / bandwidth + launch * traffic

    with pytest.raises(AssertionError, match="different units"):
        _dimension(wrong.expression, {})
    # W / (V A) is a number: a power over the product of a voltage and a current
    assert _times(_parsed("W"), _power(_times(_parsed("V"), _parsed("A")), Fraction(-1))) == {}
    assert _parsed("B/s") == {"B": 1, "s": -1}


# Functions and classes ----------------------------------------------------------------------------------------------


def _public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Public functions, classes and methods, each where it is defined."""
    for module in modules():
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(value) or inspect.isclass(value):
                yield f"{module.__name__}.{name}", value
            if inspect.isclass(value):
                for inner, method in vars(value).items():
                    if inspect.isfunction(method) and not inner.startswith("_"):
                        yield f"{module.__name__}.{name}.{inner}", method


PUBLIC = dict(_public())
ARRAY = re.compile(r"Floats|Ints|Bools|NDArray|ndarray|\bArray\b")


def _parameters(value: Callable[..., Any]) -> dict[str, str]:
    """Parameters and their annotations as text; none for what has no signature, such as an exception without code."""
    try:
        signature = inspect.signature(value)
    except ValueError:
        return {}
    return {name: str(one.annotation) for name, one in signature.parameters.items() if name not in ("self", "cls")}


def test_there_is_something_to_check() -> None:
    assert len(PUBLIC) > 500
    assert sum(any(map(ARRAY.search, _parameters(one).values())) for one in PUBLIC.values()) > 50


def test_everything_public_has_a_docstring() -> None:
    assert [name for name, value in PUBLIC.items() if not (value.__doc__ or "").strip()] == []


def _listed(docstring: str) -> list[str] | None:
    """Names in the section "Parameters", or None where there is none."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n-{3,}$|\Z)", docstring, re.DOTALL | re.MULTILINE)
    if not section:
        return None
    entries = re.findall(r"^(\S[^\n]*?) : ", section[1], re.MULTILINE)
    return [name.strip("* ") for entry in entries for name in entry.split(",")]


@pytest.mark.parametrize(
    "name", sorted(name for name, value in PUBLIC.items() if _listed(inspect.getdoc(value) or "") is not None)
)
def test_parameters_in_a_docstring_are_those_of_the_signature(name: str) -> None:
    """All of them, unless an entry "others" says where the rest is explained."""
    listed, real = _listed(inspect.getdoc(PUBLIC[name]) or "") or [], set(_parameters(PUBLIC[name]))
    assert set(listed) - {"others"} <= real, f"{name}: no such parameter"
    assert "others" in listed or real <= set(listed), f"{name}: not explained: {real - set(listed)}"


# State of the simulator: one record of arrays, explained field by field where it is defined.
STATE = "pimmodel.validation.simulator."


@pytest.mark.parametrize(
    "name",
    sorted(
        name for name, value in PUBLIC.items()
        if any(map(ARRAY.search, _parameters(value).values())) and not name.startswith(STATE)
    ),
)  # fmt: skip
def test_arrays_have_shapes_and_units(name: str) -> None:
    """A docstring names each array that it takes, its shape (or that shapes are broadcast), and a unit."""
    text = inspect.getdoc(PUBLIC[name]) or ""
    arrays = [parameter for parameter, kind in _parameters(PUBLIC[name]).items() if ARRAY.search(kind)]
    assert [one for one in arrays if not re.search(rf"\b{one}\b", text)] == [], f"{name}: arrays not explained"
    assert re.search(r"\b(shape|shapes|broadcast)\b", text), f"{name}: no shape"
    assert re.search(r"\[[^\]]+\]", text), f"{name}: no unit"
