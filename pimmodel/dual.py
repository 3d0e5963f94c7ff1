"""Numbers that carry their derivatives: forward differentiation through formulas, one-sided at kinks.

A :class:`Dual` is a value with its slope in each of D directions. In a direction d the slope is the *one-sided*
derivative lim (f(x + h d) - f(x)) / h for h > 0, so that right and left derivative of a parameter are two directions.
The arithmetic here is + - * / and the choice between values (maxima, selections); whatever else a model computes is a
:class:`pimmodel.formula.Formula`, whose slopes come from its sympy expression. Anything that would lose the slopes
unnoticed (`float`, `np.asarray`, other numpy functions) raises TypeError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TIE = 1e-12  # relative difference below which two numbers count as equal

Floats = NDArray[np.float64]


def larger(a: Any, da: Any, b: Any, db: Any) -> tuple[Any, Any]:
    """The larger of two numbers with its slope; where they are equal, the larger slope is that of their maximum."""
    with np.errstate(invalid="ignore"):  # kernels that do not fit take endless time
        tie = np.abs(a - b) <= _TIE * np.minimum(np.abs(a), np.abs(b))
    return np.maximum(a, b), np.where(tie, np.maximum(da, db), np.where(a > b, da, db))


def smaller(a: Any, da: Any, b: Any, db: Any) -> tuple[Any, Any]:
    """The smaller of two numbers with its slope."""
    value, slope = larger(-a, -da, -b, -db)
    return -value, -slope


class Dual:
    """Numbers with slopes.

    Parameters
    ----------
    value : numbers of shape S
    slope : their one-sided derivatives in D directions, shape (D, *S)
    """

    __slots__ = ("slope", "value")
    __hash__ = object.__hash__

    def __init__(self, value: Any, slope: Any) -> None:
        self.value: Floats = np.asarray(value, dtype=float)
        self.slope: Floats = np.asarray(slope, dtype=float)

    def __repr__(self) -> str:
        return f"Dual({self.value!r}, {self.slope!r})"

    # Shape ----------------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return self.value.shape

    @property
    def ndim(self) -> int:
        """Number of dimensions of the value."""
        return self.value.ndim

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, key: Any) -> Dual:
        keys = key if isinstance(key, tuple) else (key,)
        return Dual(self.value[key], self.slope[(slice(None), *keys)])

    def at_least(self, ndim: int) -> Floats:
        """The slope with as many dimensions as belong to a value of `ndim` dimensions."""
        return self.slope.reshape(self.slope.shape[0], *(1,) * (ndim - self.ndim), *self.shape)

    def astype(self, dtype: Any, **_: Any) -> Dual:
        """Itself: duals are always floating-point numbers."""
        if np.dtype(dtype) != np.float64:
            raise TypeError("a dual number stays a floating-point number")
        return self

    def min(self, axis: int) -> Dual:
        """Least along an axis."""
        return self._chosen(axis, smaller)

    def sum(self, axis: int | None = None) -> Dual:
        """Sum along an axis, or of all."""
        axes = tuple(range(1, self.slope.ndim)) if axis is None else axis % self.ndim + 1
        return Dual(self.value.sum(axis=axis), self.slope.sum(axis=axes))

    def _chosen(self, axis: int, choose: Callable[..., tuple[Any, Any]]) -> Dual:
        values, slopes = np.moveaxis(self.value, axis, 0), np.moveaxis(self.slope, axis % self.ndim + 1, 0)
        value, slope = values[0], slopes[0]
        for one, its in zip(values[1:], slopes[1:], strict=True):
            value, slope = choose(value, slope, one, its)
        return Dual(value, slope)

    # Arithmetic -----------------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Dual:
        (a, da), (b, db) = _aligned(self, other)
        return Dual(a + b, _wide(da + db, a, b))

    def __sub__(self, other: Any) -> Dual:
        (a, da), (b, db) = _aligned(self, other)
        return Dual(a - b, _wide(da - db, a, b))

    def __rsub__(self, other: Any) -> Dual:
        (a, da), (b, db) = _aligned(other, self)
        return Dual(a - b, _wide(da - db, a, b))

    def __mul__(self, other: Any) -> Dual:
        (a, da), (b, db) = _aligned(self, other)
        return Dual(a * b, _wide(_times(da, b) + _times(db, a), a, b))

    def __truediv__(self, other: Any) -> Dual:
        return _quotient(self, other)

    def __rtruediv__(self, other: Any) -> Dual:
        return _quotient(other, self)

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.slope)

    __radd__ = __add__
    __rmul__ = __mul__

    def __lt__(self, other: Any) -> Any:
        return self.value < value_of(other)

    def __le__(self, other: Any) -> Any:
        return self.value <= value_of(other)

    def __gt__(self, other: Any) -> Any:
        return self.value > value_of(other)

    def __ge__(self, other: Any) -> Any:
        return self.value >= value_of(other)

    def __bool__(self) -> bool:
        return bool(self.value)

    # Whole numbers are constant around a point: they have no slope.
    def __ceil__(self) -> int:
        return math.ceil(self.value)

    def __floor__(self) -> int:
        return math.floor(self.value)

    def __round__(self, digits: int | None = None) -> Any:
        # To so many digits, a number moves nearly as it would without.
        rounded = round(float(self.value), digits)
        return rounded if digits is None else Dual(rounded, self.slope)

    def __abs__(self) -> Any:
        return np.maximum(self, -self)

    def __float__(self) -> float:
        raise TypeError("a dual number would lose its derivatives here")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a dual number would lose its derivatives here")

    # Numpy ----------------------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **given: Any) -> Any:
        """Arithmetic, maxima, and tests of values."""
        if method == "__call__" and not given:
            if ufunc in _ARITHMETIC:
                return _ARITHMETIC[ufunc](*inputs)
            if ufunc in _TESTS:
                return ufunc(*map(value_of, inputs))
        return NotImplemented

    def __array_function__(self, function: Any, types: Any, args: Any, given: Any) -> Any:
        """Selections, shapes and sums."""
        return _FUNCTIONS[function](*args, **given) if function in _FUNCTIONS else NotImplemented


def numbers(values: Any) -> Any:
    """An array of plain numbers; dual ones as they are."""
    return values if isinstance(values, Dual) else np.asarray(values)


def put(into: Any, places: Any, values: Any) -> Any:
    """An array with other numbers at some places of its first axis: itself, or a dual one where either is dual."""
    if not isinstance(into, Dual) and not isinstance(values, Dual):
        into[places] = values
        return into
    count = next(one.slope.shape[0] for one in (into, values) if isinstance(one, Dual))
    value = np.array(value_of(into), dtype=float)
    slope = into.slope.copy() if isinstance(into, Dual) else np.zeros((count, *value.shape))
    value[places] = value_of(values)
    slope[:, places] = _slopes(values)
    return Dual(value, slope)


def _slopes(values: Any) -> Any:
    if not isinstance(values, Dual):
        return 0.0
    return values.slope if values.ndim else values.slope[:, None]


def value_of(number: Any) -> Any:
    """The value of a dual number; anything else as it is."""
    return number.value if isinstance(number, Dual) else number


def directions(count: int) -> Floats:
    """Slopes of `count` parameters in 2 x `count` directions: each upwards, then each downwards, (2 count, count)."""
    return np.concatenate([np.eye(count), -np.eye(count)])


def _aligned(*numbers: Any) -> list[tuple[Any, Any]]:
    """Values and slopes, slopes with the dimensions of the result; 0 for plain numbers."""
    ndim = max(np.ndim(value_of(one)) for one in numbers)
    return [(one.value, one.at_least(ndim)) if isinstance(one, Dual) else (one, 0.0) for one in numbers]


def _wide(slope: Any, *values: Any) -> Any:
    """A slope broadcast to the shape of what comes of these values."""
    return np.broadcast_to(slope, (slope.shape[0], *np.broadcast_shapes(*map(np.shape, values))))


def _times(slope: Any, factor: Any) -> Any:
    return 0.0 if isinstance(slope, float) else slope * factor


def _quotient(above: Any, below: Any) -> Dual:
    (a, da), (b, db) = _aligned(above, below)
    value = a / b
    return Dual(value, _wide(_times(da, 1 / b) - _times(db, value / b), a, b))


def _choice(choose: Callable[..., tuple[Any, Any]]) -> Callable[[Any, Any], Dual]:
    def chosen(first: Any, second: Any) -> Dual:
        (a, da), (b, db) = _aligned(first, second)
        value, slope = choose(a, da, b, db)
        return Dual(value, _wide(slope, a, b))

    return chosen


def _where(condition: Any, first: Any, second: Any) -> Dual:
    condition = value_of(condition)
    (a, da), (b, db), _ = _aligned(first, second, condition)
    return Dual(np.where(condition, a, b), _wide(np.where(condition, da, db), condition, a, b))


def _stack(numbers: Sequence[Any], axis: int = 0) -> Dual:
    count = next(one.slope.shape[0] for one in numbers if isinstance(one, Dual))
    slopes = [one.slope if isinstance(one, Dual) else np.zeros((count, *np.shape(one))) for one in numbers]
    return Dual(np.stack([value_of(one) for one in numbers], axis), np.stack(slopes, axis + 1))


def _broadcast_to(number: Dual, shape: tuple[int, ...]) -> Dual:
    return Dual(np.broadcast_to(number.value, shape),
                np.broadcast_to(number.at_least(len(shape)), (len(number.slope), *shape)))  # fmt: skip


def _bincount(places: Any, weights: Any = None, minlength: int = 0) -> Dual:
    count = np.bincount(places, weights=weights.value, minlength=minlength)
    slopes = [np.bincount(places, weights=one, minlength=minlength) for one in weights.slope]
    return Dual(count, np.stack(slopes))


def _nan_to_num(number: Dual) -> Dual:
    return Dual(np.nan_to_num(number.value), np.where(np.isnan(number.value), 0.0, number.slope))


def _clip(number: Any, least: Any, most: Any) -> Dual:
    return _choice(smaller)(_choice(larger)(number, least), most)


_ARITHMETIC: dict[Any, Callable[..., Dual]] = {
    np.add: lambda a, b: a + b if isinstance(a, Dual) else b + a,
    np.subtract: lambda a, b: a - b if isinstance(a, Dual) else b.__rsub__(a),
    np.multiply: lambda a, b: a * b if isinstance(a, Dual) else b * a,
    np.divide: _quotient,
    np.negative: lambda a: -a,
    np.maximum: _choice(larger),
    np.minimum: _choice(smaller),
}
_TESTS = (np.less, np.less_equal, np.greater, np.greater_equal, np.isfinite, np.isnan)
_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.where: _where,
    np.stack: _stack,
    np.broadcast_to: _broadcast_to,
    np.bincount: _bincount,
    np.nan_to_num: _nan_to_num,
    np.clip: _clip,
    np.argmin: lambda number, axis=None: np.argmin(number.value, axis=axis),
    np.argmax: lambda number, axis=None: np.argmax(number.value, axis=axis),
    np.sum: lambda number, axis=None: number.sum(axis),
    np.zeros_like: lambda number: np.zeros_like(number.value),
    np.shape: lambda number: number.shape,
    np.ndim: lambda number: number.ndim,
}
