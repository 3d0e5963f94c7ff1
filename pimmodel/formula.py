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
from pimmodel.dual import Dual, larger, smaller
from pimmodel.symbols import SYMBOLS, latex_names, sympy_symbols

_GENERATOR = 4  # raise when the generated code changes
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
        return self._kept("formula", generate)

    @functools.cached_property
    def slope_code(self) -> str:
        """Source of the generated function of value and one-sided slope, see :func:`generate_slope`."""
        return self._kept("slope", generate_slope)

    def _kept(self, kind: str, make: Callable[[str, tuple[str, ...], Any], str]) -> str:
        """Generated code of one kind, from the cache where it is there."""
        table = repr([(name, SYMBOLS[name]) for name in self.arguments])
        # The whole module, not the function alone: its constants are part of the formula.
        text = _source_of_module(self._define.__module__) or textwrap.dedent(inspect.getsource(self._define))
        key = cache.hash_text(f"{_GENERATOR}|{version('sympy')}|{table}|{text}")
        entry = f"{kind}-{self._define.__module__}.{self._define.__name__}-{key:016x}.py"
        code = cache.read(entry)
        if code is None:
            code = make(self._define.__name__, self.arguments, self.expression)
            cache.write(entry, code)
        return code

    def _made(self, code: str, scope: dict[str, Any]) -> Callable[..., Any]:
        """The function that generated code defines."""
        exec(compile(code, f"<generated {self._define.__name__}>", "exec"), scope)
        made: Callable[..., Any] = scope[self._define.__name__]
        return made

    @functools.cached_property
    def function(self) -> Callable[..., Any]:
        """The generated function of the arguments in their order."""
        import numpy

        return self._made(self.code, {"numpy": numpy})

    @functools.cached_property
    def scalar(self) -> Callable[..., Any]:
        """The same function for plain numbers alone, about ten times faster on them: no numpy."""
        return self._made(self.code, {"numpy": _PlainNumbers})

    @functools.cached_property
    def slope(self) -> Callable[..., Any]:
        """The generated function of the arguments in their order, and their slopes: value and slope."""
        import numpy

        return self._made(self.slope_code, {"numpy": numpy, "larger": larger, "smaller": smaller, "along": _along})

    def __call__(self, **values: Any) -> Any:
        """Evaluate on numbers, numpy arrays or :class:`pimmodel.dual.Dual`; every argument by its name."""
        if set(values) != set(self.arguments):
            raise TypeError(f"{self._define.__name__} takes {', '.join(self.arguments)}")
        given = [values[name] for name in self.arguments]
        if any(isinstance(one, Dual) for one in given):
            return self._dual(given)
        return self.function(*given)

    def _dual(self, given: list[Any]) -> Dual:
        import numpy

        plain = [one.value if isinstance(one, Dual) else one for one in given]
        shape = numpy.broadcast_shapes(*map(numpy.shape, plain))
        slopes = [one.at_least(len(shape)) if isinstance(one, Dual) else None for one in given]
        count = next(len(one) for one in slopes if one is not None)
        with numpy.errstate(all="ignore"):  # of arguments without a slope, the partial derivative does not matter
            value, slope = self.slope(*plain, *slopes)
        return Dual(numpy.broadcast_to(value, shape), numpy.broadcast_to(slope, (count, *shape)))


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


def _along(partial: Any, slope: Any) -> Any:
    """Share of one argument in a slope; 0 where it has none."""
    return 0.0 if slope is None else partial * slope


def _printer() -> Any:
    """Sympy's numpy printer with Max, Min and Piecewise that broadcast, and no module aliases."""
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

    return Printer({"fully_qualified_modules": True})


def generate(name: str, arguments: tuple[str, ...], expression: Any) -> str:
    """Python source of a numpy function for a sympy expression, common subexpressions taken out."""
    from sympy import Symbol, cse

    printer = _printer()
    steps, (final,) = cse([expression], symbols=(Symbol(f"_x{i}") for i in range(10**6)), order="none")
    # Divide: a product with a reciprocal misses whole numbers (93 * (1 / 31) > 3), and a ceiling of it jumps.
    reciprocals = {symbol: value for symbol, value in steps if value.is_Pow and value.exp == -1}
    lines = [f"def {name}({', '.join(arguments)}):"]
    lines += [
        f"    {symbol} = {printer.doprint(value.xreplace(reciprocals))}"
        for symbol, value in steps
        if symbol not in reciprocals
    ]
    lines.append(f"    return {printer.doprint(final.xreplace(reciprocals))}")
    return "\n".join(lines) + "\n"


def generate_slope(name: str, arguments: tuple[str, ...], expression: Any) -> str:
    """Python source of a function of the arguments and their slopes (None: 0) that returns value and slope.

    Smooth parts are differentiated by sympy. Every Max, Min, ceiling and Piecewise between them becomes a step of its
    own: the slope of a maximum is that of the larger one, at a tie the larger slope (one-sided, in the direction that
    the slopes belong to); a ceiling has none; of a Piecewise it is that of the branch that holds.
    """
    from sympy import Max, Min, Piecewise, Symbol, ceiling, floor

    printer = _printer()
    inner = [f"{argument}__slope" for argument in arguments]
    lines = [f"def {name}({', '.join((*arguments, *inner))}):"]
    slope_of = {Symbol(argument): slope for argument, slope in zip(arguments, inner, strict=True)}
    count = 0

    def slope(smooth: Any) -> str:
        named = {one.name: one for one in smooth.free_symbols}
        parts = [f"along({printer.doprint(smooth.diff(named[symbol.name]))}, {text})"
                 for symbol, text in slope_of.items() if symbol.name in named]  # fmt: skip
        return " + ".join(parts) or "0.0"

    def step(value: str, slope: str | None) -> Any:
        nonlocal count
        made = Symbol(f"_y{count}", real=True)
        count += 1
        lines.append(f"    {made}{f', {made}__slope' if slope is not None else ''} = {value}")
        if slope is not None:
            slope_of[Symbol(made.name)] = f"{made}__slope"
        return made

    known: dict[Any, Any] = {}

    def smooth(part: Any) -> Any:
        """The expression with a symbol for every part that is not smooth."""
        if part in known or not part.args:
            return known.get(part, part)
        if isinstance(part, (Max, Min)):
            terms = [smooth(one) for one in sorted(part.args, key=str)]
            choose = "larger" if isinstance(part, Max) else "smaller"
            made = terms[0]
            for other in terms[1:]:
                made = step(f"{choose}({printer.doprint(made)}, {slope(made)}, {printer.doprint(other)},"
                            f" {slope(other)})", "")  # fmt: skip
        elif isinstance(part, (ceiling, floor)):
            made = step(printer.doprint(part.func(smooth(part.args[0]))), None)
        elif isinstance(part, Piecewise):
            *branches, last = [(smooth(one.expr), one.cond) for one in part.args]
            value, along = printer.doprint(last[0]), slope(last[0])
            for one, condition in reversed(branches):
                holds = printer.doprint(condition)
                value = f"numpy.where({holds}, {printer.doprint(one)}, {value})"
                along = f"numpy.where({holds}, {slope(one)}, {along})"
            made = step(f"{value}, {along}", "")
        else:
            made = part.func(*(smooth(one) for one in part.args))
        known[part] = made
        return made

    final = smooth(expression)
    lines.append(f"    return {printer.doprint(final)}, {slope(final)}")
    return "\n".join(lines) + "\n"
