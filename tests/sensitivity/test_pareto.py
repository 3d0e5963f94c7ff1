"""Pareto fronts against brute force, ties and NaN included; factors of intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimmodel.errors import PimModelError
from pimmodel.sensitivity.pareto import pareto_front, undominated

NAMES = ("a", "b", "c", "d")


@given(st.integers(1, 4).flatmap(lambda k: st.lists(st.tuples(*[st.integers(0, 5)] * k), min_size=1, max_size=30)))
def test_as_brute_force(points: list[tuple[int, ...]]) -> None:
    costs = np.array(points, dtype=float)
    beaten = [any((other <= one).all() and (other < one).any() for other in costs) for one in costs]
    np.testing.assert_array_equal(undominated(costs), ~np.array(beaten))


def test_frame_and_nan() -> None:
    frame = pd.DataFrame({"time": [2.0, 1.0, np.nan, 2.0], "energy": [1.0, 3.0, 0.0, 1.0], "name": list("wxyz")})
    found = pareto_front(frame, ("time", "energy"))
    assert found.dropped == 1
    assert list(found.frame["name"]) == ["x", "w", "z"]  # equal points are all kept
    with pytest.raises(PimModelError, match="energy"):
        pareto_front(frame, ("time", "enrgy"))
    with pytest.raises(PimModelError, match="shapes"):
        pareto_front({"time": [1.0], "energy": [1.0, 2.0]}, ("time", "energy"))
