"""A formula is written once, as a sympy expression; numbers come from code generated from it.

    @formula
    def roofline_time(work, peak, traffic, bandwidth):
        \"\"\"Equation, symbols, validity, error, source.\"\"\"
        return sp.Max(work / peak, traffic / bandwidth)

The parameters are names from :mod:`pimmodel.symbols`. `roofline_time.expression` is the sympy expression,
`roofline_time(work=..., peak=..., ...)` evaluates generated numpy code on numbers or arrays (broadcast against each
other). The generated source is kept in the on-disk cache under a key of its module's source text, the symbol
table and the sympy version; with a warm cache sympy is not imported at all.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
import textwrap
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from pimmodel import cache
from pimmodel.symbols import SYMBOLS, latex_names, sympy_symbols
from pimmodel.units import hash_text

_GENERATOR = 2  # raise when the generated code changes
# How the parts of a formula's docstring begin; each ends with its paragraph.
_HEADINGS = re.compile(r"\b(?:(Symbols|Validity|Known error|Source): |(Returns) (?=\[))")


class _LazySympy:
    """`sp.Max` and so on, importing sympy at first use."""

    def __getattr__(self, name: str) -> Any:
        import sympy

        return getattr(sympy, name)


sp: Any = _LazySympy()


class _PlainNumbers:
    """What generated code of sums and maxima needs of numpy, for plain numbers."""

    maximum = staticmethod(max)
    minimum = staticmethod(min)


class Formula:
    """One public formula: a sympy expression with a docstring, and the numeric function generated from it."""

    def __init__(self, define: Callable[..., Any]) -> None:
        functools.update_wrapper(self, define)
        self._define = define
        self.arguments: tuple[str, ...] = tuple(inspect.signature(define).parameters)
        unknown = [name for name in self.arguments if name not in SYMBOLS]
        if unknown:
            raise TypeError(f"formula {define.__name__}: no such symbol: {', '.join(unknown)}")

    @functools.cached_property
    def expression(self) -> Any:
        """The sympy expression."""
        symbols = sympy_symbols()
        return sp.sympify(self._define(*(symbols[name] for name in self.arguments)))

    def latex(self) -> str:
        """The expression in LaTeX, with the printed names of the symbols."""
        return str(sp.latex(self.expression, symbol_names=latex_names()))

    @functools.cached_property
    def summary(self) -> str:
        """First sentence of the docstring."""
        return " ".join(inspect.cleandoc(self.__doc__ or "").split("\n\n")[0].split())

    @functools.cached_property
    def notes(self) -> dict[str, str]:
        """Parts of the docstring by heading: Symbols, Returns (a unit), Validity, Known error, Source."""
        found: dict[str, str] = {}
        for paragraph in inspect.cleandoc(self.__doc__ or "").split("\n\n"):
            _, *parts = _HEADINGS.split(" ".join(paragraph.split()))
            for word, returns, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
                found[word or returns] = text.strip()
        return found

    @functools.cached_property
    def code(self) -> str:
        """Source of the generated numpy function."""
        table = repr([(name, SYMBOLS[name]) for name in self.arguments])
        # The whole module, not the function alone: its constants are part of the formula.
        text = _source_of_module(self._define.__module__) or textwrap.dedent(inspect.getsource(self._define))
        key = hash_text(f"{_GENERATOR}|{version('sympy')}|{table}|{text}")
        entry = f"formula-{self._define.__module__}.{self._define.__name__}-{key:016x}.py"
        code = cache.read(entry)
        if code is None:
            code = generate(self._define.__name__, self.arguments, self.expression)
            cache.write(entry, code)
        return code

    @functools.cached_property
    def function(self) -> Callable[..., Any]:
        """The generated function of the arguments in their order."""
        import numpy

        scope: dict[str, Any] = {"numpy": numpy}
        exec(compile(self.code, f"<generated {self._define.__name__}>", "exec"), scope)
        made: Callable[..., Any] = scope[self._define.__name__]
        return made

    @functools.cached_property
    def scalar(self) -> Callable[..., Any]:
        """The same function for plain numbers alone, about ten times faster on them: no numpy."""
        scope: dict[str, Any] = {"numpy": _PlainNumbers}
        exec(compile(self.code, f"<generated {self._define.__name__}>", "exec"), scope)
        made: Callable[..., Any] = scope[self._define.__name__]
        return made

    def __call__(self, **values: Any) -> Any:
        """Evaluate on numbers or numpy arrays; every argument by its name."""
        if set(values) != set(self.arguments):
            raise TypeError(f"{self._define.__name__} takes {', '.join(self.arguments)}")
        return self.function(*(values[name] for name in self.arguments))


@functools.lru_cache(maxsize=256)
def _source_of_module(name: str) -> str:
    """Text of a module's file, or "" where there is none."""
    try:
        return inspect.getsource(sys.modules[name])
    except (KeyError, OSError, TypeError):
        return ""


def formula(define: Callable[..., Any]) -> Formula:
    """Decorator: the body is sympy, the call is numbers."""
    return Formula(define)


def generate(name: str, arguments: tuple[str, ...], expression: Any) -> str:
    """Python source of a numpy function for a sympy expression, common subexpressions taken out."""
    from sympy import Symbol, cse
    from sympy.printing.numpy import NumPyPrinter

    class Printer(NumPyPrinter):  # type: ignore[misc]
        """Max, Min and Piecewise that broadcast, and no module aliases."""

        def _chain(self, function: str, terms: Any) -> str:
            first, *rest = [self._print(term) for term in terms]
            for term in rest:
                first = f"numpy.{function}({first}, {term})"
            return str(first)

        def _print_Max(self, expr: Any) -> str:
            return self._chain("maximum", expr.args)

        def _print_Min(self, expr: Any) -> str:
            return self._chain("minimum", expr.args)

        def _print_Piecewise(self, expr: Any) -> str:
            text = self._print(expr.args[-1].expr)
            for value, condition in reversed(expr.args[:-1]):
                text = f"numpy.where({self._print(condition)}, {self._print(value)}, {text})"
            return str(text)

    printer = Printer({"fully_qualified_modules": True})
    steps, (final,) = cse([expression], symbols=(Symbol(f"_x{i}") for i in range(10**6)), order="none")
    lines = [f"def {name}({', '.join(arguments)}):"]
    lines += [f"    {symbol} = {printer.doprint(value)}" for symbol, value in steps]
    lines.append(f"    return {printer.doprint(final)}")
    return "\n".join(lines) + "\n"
