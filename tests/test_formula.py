"""The formula framework: one expression; generated code agrees with an evaluation of its tree, term by term."""

import importlib
import operator
import sys
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from every_formula import formulas

from pimmodel import formula as formula_module
from pimmodel.dram.refresh import refresh_availability
from pimmodel.formula import formula, sp
from pimmodel.roofline.basic import roofline_time
from pimmodel.symbols import SYMBOLS

OPERATIONS = {
    sympy.Add: lambda *terms: mpmath.fsum(terms), sympy.Mul: lambda *factors: mpmath.fprod(factors),
    sympy.Pow: operator.pow, sympy.Max: max, sympy.Min: min, sympy.exp: mpmath.exp,
    sympy.ceiling: lambda value: mpmath.ceil(value - mpmath.mpf(10) ** -30),  # 3 * (1 / 3) is 1 but for 40 digits
    sympy.Lt: operator.lt, sympy.Le: operator.le, sympy.Gt: operator.gt, sympy.Ge: operator.ge,
    sympy.Eq: operator.eq,
}  # fmt: skip


def evaluated(expression: Any, values: dict[str, Any]) -> Any:
    """Value of an expression, term by term and slowly."""
    if expression.is_Symbol:
        return values[expression.name]
    if expression.is_Boolean and not expression.args:
        return bool(expression)
    if expression.is_Rational:
        return mpmath.mpf(expression.p) / expression.q
    if expression.is_Float:
        return mpmath.mpf(expression)
    if isinstance(expression, sympy.Piecewise):
        return next(evaluated(one.expr, values) for one in expression.args if evaluated(one.cond, values))
    return OPERATIONS[expression.func](*(evaluated(one, values) for one in expression.args))


def drawn(name: str, rng: np.random.Generator) -> np.ndarray:
    """30 values of a symbol: whole numbers, shares below 1, or anything from 0.1 to 100 of its unit."""
    if SYMBOLS[name].integer:
        return rng.integers(1, 100, 30)
    return rng.uniform(0.05, 0.95, 30) if SYMBOLS[name].unit == "1" else 10 ** rng.uniform(-1, 2, 30)


@pytest.mark.parametrize("name", sorted(formulas()))
def test_generated_code_agrees_with_the_expression(name: str) -> None:
    one, rng = formulas()[name], np.random.default_rng(1)
    values = {argument: drawn(argument, rng) for argument in one.arguments}
    found = one(**values)
    with mpmath.workdps(40):
        expected = [
            float(evaluated(one.expression, {argument: mpmath.mpf(column[row].item()) for argument, column in
                                             values.items()}))
            for row in range(30)
        ]  # fmt: skip
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_every_symbol_is_in_a_formula() -> None:
    assert set(SYMBOLS) - {argument for one in formulas().values() for argument in one.arguments} == set()


def test_max_min_and_piecewise_broadcast() -> None:
    @formula
    def staircase(work, peak, traffic):  # type: ignore[no-untyped-def]
        return sp.Piecewise((sp.Min(work, peak), work < 5), (sp.Max(work, peak, traffic), True))

    got = staircase(work=np.array([1.0, 9.0]), peak=np.array([[2.0], [30.0]]), traffic=3.0)
    # rows: peak 2 and 30; columns: work 1 (min branch) and 9 (max branch)
    np.testing.assert_array_equal(got, [[1.0, 9.0], [1.0, 30.0]])


def test_a_whole_quotient_has_itself_as_its_ceiling() -> None:
    @formula
    def stepped(work, peak):  # type: ignore[no-untyped-def]
        return sp.ceiling(work / peak) + 1 / peak

    # 525 / 75 = 7, but 525 * (1 / 75) is more in floating point
    assert stepped(work=525, peak=75) == pytest.approx(7 + 1 / 75)


def test_unknown_symbol_is_refused() -> None:
    with pytest.raises(TypeError, match="no such symbol: gibberish"):

        @formula
        def bad(gibberish):  # type: ignore[no-untyped-def]
            return gibberish


def test_arguments_go_by_name() -> None:
    with pytest.raises(TypeError, match="takes tRFC, tREFI"):
        refresh_availability(tRFC=350)
    # 350 of 3900 clocks: 1 - 350/3900 = 0.910256...
    assert refresh_availability(tRFC=350, tREFI=3900) == pytest.approx(0.9102564, abs=1e-7)


def test_generated_code_comes_from_the_cache(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("PIMMODEL_CACHE", str(tmp_path))
    assert formula(roofline_time._define)(work=1, peak=2, traffic=3, bandwidth=1, kernels=0, launch=0) == 3
    (entry,) = tmp_path.glob("formula-*")
    entry.write_text(entry.read_text().replace("return ", "return 1000 + "))
    assert formula(roofline_time._define)(work=1, peak=2, traffic=3, bandwidth=1, kernels=0, launch=0) == 1003


def test_a_changed_constant_of_the_module_makes_new_code(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("PIMMODEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "from pimmodel.formula import formula\nK = {}\n@formula\ndef scaled(work):\n    return K * work\n"
    for constant in (2, 3):
        name = f"constants{constant}"
        # The same module path both times, as an edited file has.
        (tmp_path / f"{name}.py").write_text(text.format(constant))
        module = importlib.import_module(name)
        module.scaled._define.__module__ = "pimmodel_edited"
        monkeypatch.setitem(sys.modules, "pimmodel_edited", module)
        formula_module._source_of_module.cache_clear()
        assert module.scaled(work=5) == 5 * constant
