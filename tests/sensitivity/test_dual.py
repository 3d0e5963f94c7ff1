"""Dual numbers: arithmetic against difference quotients, one-sided slopes at ties against theory, all formulas."""

from __future__ import annotations

import numpy as np
import pytest
from every_formula import formulas
from hypothesis import given
from hypothesis import strategies as st

from pimmodel.dual import Dual, directions
from pimmodel.formula import formula, sp
from pimmodel.roofline.tiles import kernel_time, memory_time
from pimmodel.stages.formulas import work_done
from pimmodel.symbols import SYMBOLS

POSITIVE = st.floats(0.1, 10)


def _pair(x: float, y: float) -> tuple[Dual, Dual]:
    """Two numbers in four directions: x up, y up, x down, y down."""
    column = directions(2)
    return Dual(x, column[:, 0]), Dual(y, column[:, 1])


@given(POSITIVE, POSITIVE)
def test_arithmetic(x: float, y: float) -> None:
    a, b = _pair(x, y)
    # f = (x - 2 y) x / y + 3 / x: df/dx = 2 x / y - 2 - 3 / x^2, df/dy = -x^2 / y^2
    found = (a - 2 * b) * a / b + 3 / a
    assert float(found.value) == pytest.approx((x - 2 * y) * x / y + 3 / x)
    expected = np.array([2 * x / y - 2 - 3 / x**2, -(x**2) / y**2])
    np.testing.assert_allclose(found.slope, np.r_[expected, -expected], rtol=1e-9, atol=1e-9)


@given(POSITIVE, POSITIVE, st.lists(POSITIVE, min_size=1, max_size=4))
def test_arrays_and_numbers_broadcast(x: float, y: float, values: list[float]) -> None:
    a, b = _pair(x, y)
    array = np.array(values)
    for found in (array * a - b, np.multiply(a, array) - b, -b + a * array):
        np.testing.assert_allclose(found.value, array * x - y)
        np.testing.assert_allclose(found.slope[0], array)
        np.testing.assert_allclose(found.slope[1], -np.ones(len(array)))
    np.testing.assert_allclose((array / a).slope[0], -array / x**2)
    np.testing.assert_allclose((np.stack([array, array * a])).sum().slope[0], array.sum())


def test_a_maximum_of_equals_has_two_slopes() -> None:
    # max(10 / b, 10 / c) at b = c: b up leaves it to c (slope 0), b down raises it by 10 / b^2.
    b, c = _pair(2.0, 2.0)
    found = memory_time(traffic=10.0, bandwidth=b, l2_traffic=10.0, l2_bandwidth=c)
    np.testing.assert_allclose(found.slope, [0, 0, 2.5, 2.5])
    np.testing.assert_allclose(np.maximum(b, c).slope, [1, 1, 0, 0])
    np.testing.assert_allclose(np.minimum(b, c).slope, [0, 0, -1, -1])


def test_work_done_at_the_edge_of_its_capacity() -> None:
    # One chunk: D = min(K, L). At K = L more of either alone brings nothing, less of either takes as much away.
    capacity, backlog = _pair(3.0, 3.0)
    found = work_done(capacity=capacity, backlog=backlog, pim_work=1.0, chunks=1)
    np.testing.assert_allclose(found.slope, [0, 0, -1, -1])


def test_overlap_is_a_root_of_squares() -> None:
    # d sqrt(c^2 + m^2) / dc = c / sqrt(c^2 + m^2) = 3 / 5, with respect to m 4 / 5
    compute, memory = _pair(3.0, 4.0)
    found = kernel_time(compute=compute, memory=memory, kernels=2, launch=0.5)
    assert float(found.value) == pytest.approx(6)
    np.testing.assert_allclose(found.slope, [0.6, 0.8, -0.6, -0.8])


def test_a_ceiling_is_flat_and_a_branch_has_its_own_slope() -> None:
    @formula
    def stepped(traffic, bandwidth):  # type: ignore[no-untyped-def]
        """Of this test alone."""
        return sp.ceiling(traffic) * bandwidth + sp.Piecewise((traffic, bandwidth > 1), (3 * traffic, True))

    for bandwidth, slope in ((2.0, 1.0), (0.5, 3.0)):
        traffic, rate = _pair(2.5, bandwidth)
        np.testing.assert_allclose(stepped(traffic=traffic, bandwidth=rate).slope, [slope, 3, -slope, -3])


@pytest.mark.parametrize("lose", [float, np.asarray, np.sqrt, np.exp, lambda one: np.concatenate([one, one])])
def test_slopes_are_not_lost_unnoticed(lose: object) -> None:
    with pytest.raises(TypeError):
        lose(Dual([1.0, 2.0], [[1.0, 0.0]]))  # type: ignore[operator]


@pytest.mark.parametrize("name", sorted(formulas()))
def test_slopes_of_every_formula_are_its_difference_quotients(name: str) -> None:
    one = formulas()[name]
    drawn = np.random.default_rng(5)
    compared = 0
    for _ in range(8):
        values = {argument: float(drawn.uniform(0.05, 0.95)) if SYMBOLS[argument].unit == "1" and not
                  SYMBOLS[argument].integer else float(drawn.uniform(1.2, 9.7)) for argument in
                  one.arguments}  # fmt: skip
        with np.errstate(all="ignore"):
            base = float(one(**values))
        if not np.isfinite(base):
            continue
        for argument, value in values.items():
            step = 1e-6 * value
            with np.errstate(all="ignore"):
                above, below = (float(one(**values | {argument: value + change})) for change in (step, -step))
            right, left = (above - base) / step, (base - below) / step
            if not abs(right - left) <= 1e-3 * (abs(right) + abs(left)) + 1e-6 * abs(base):
                continue  # a kink or a jump within the step
            found = one(**values | {argument: Dual(value, [1.0, -1.0])})
            assert float(found.value) == pytest.approx(base, rel=1e-12)
            expected = (above - below) / (2 * step)
            size = 1e-5 * abs(expected) + 1e-8 * abs(base)
            assert float(found.slope[0]) == pytest.approx(expected, abs=size), argument
            assert float(found.slope[1]) == pytest.approx(-expected, abs=size), argument
            compared += 1
    assert compared >= 4 * len(one.arguments)
