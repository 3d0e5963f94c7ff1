"""Which designs a sweep has, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from study_cases import system

from pimmodel.errors import PimModelError
from pimmodel.sweep.axes import designs


def test_a_grid_is_all_combinations_in_order() -> None:
    made = designs(system(), {"gpu.clock": [1e9, "1.5 GHz"], "batch": [1, 2, 4]})
    assert made.shape == (2, 3)
    part = made.part(0, 6)
    assert part["gpu.clock"].tolist() == [1e9, 1e9, 1e9, 1.5e9, 1.5e9, 1.5e9]
    assert part["batch"].tolist() == [1, 2, 4, 1, 2, 4]
    assert made.part(4, 5) == {"gpu.clock": [1.5e9], "batch": [2]}


def test_units_are_parsed_and_named() -> None:
    (axis,) = designs(system(), {"memory.timing.tRP": ["14 ns", 20]}).axes
    assert axis.values.tolist() == [13, 20]  # 14 ns x 877 MHz = 12.3, rounded up
    assert axis.unit == "clock"


@pytest.mark.parametrize("method", ["random", "latin", "sobol"])
def test_samples_fill_the_range_and_repeat_with_the_seed(method: str) -> None:
    ranges: dict[str, Any] = {"gpu.clock": (1e9, 2e9), "pim.units_per_channel": (1, 4)}
    part = designs(system(), ranges, method, 256, seed=3).part(0, 256)
    assert part["gpu.clock"].min() >= 1e9
    assert part["gpu.clock"].max() <= 2e9
    # Whole numbers: both ends included, about 64 of 256 each.
    values, counts = np.unique(part["pim.units_per_channel"], return_counts=True)
    assert values.tolist() == [1, 2, 3, 4]
    assert counts.min() > 40
    again = designs(system(), ranges, method, 256, seed=3).part(0, 256)
    other = designs(system(), ranges, method, 256, seed=4).part(0, 256)
    assert np.array_equal(part["gpu.clock"], again["gpu.clock"])
    assert not np.array_equal(part["gpu.clock"], other["gpu.clock"])


def test_a_latin_hypercube_has_one_point_per_stratum() -> None:
    part = designs(system(), {"gpu.clock": (0.5e9, 1.5e9)}, "latin", 100).part(0, 100)
    assert sorted(((part["gpu.clock"] - 0.5e9) // 1e7).astype(int).tolist()) == list(range(100))


@pytest.mark.parametrize(
    ("parameters", "arguments", "message"),
    [
        ({"gpu.clok": [1e9]}, {}, "did you mean.*gpu.clock"),
        ({"batches": [1]}, {}, "unknown parameter 'batches'.*batch"),
        ({"gpu.clock": []}, {}, "gpu.clock has no values"),
        ({"gpu.clock": [2e9, 1e9]}, {}, "rising order"),
        ({"gpu.clock": [1e9, 1e9]}, {}, "rising order"),
        ({"gpu.clock": np.array([2e9, 1e9])}, {}, "rising order"),
        ({"gpu.clock": [-1]}, {}, "gpu.clock has the value -1"),
        ({"gpu.clock": np.array([-1.0])}, {}, "gpu.clock has the value"),
        ({"gpu.clock": ["fast"]}, {}, "gpu.clock has the value 'fast'"),
        ({"gpu.clock": "1 GHz"}, {}, "a list of values"),
        ({"gpu.name": ["x"]}, {}, "not a number"),
        ({"gpu": [1]}, {}, "not a number"),
        ({"batch": [0]}, {}, "batch has the value 0"),
        ({"batch": [1.5]}, {}, "batch has the value 1.5"),
        ({}, {}, "at least one parameter"),
        ({"batch": [1]}, {"points": 4}, "points"),
        ({"gpu.clock": (1e9, 2e9)}, {"method": "sobol"}, "points is None"),
        ({"gpu.clock": (1e9, 2e9, 3e9)}, {"method": "sobol", "points": 4}, "least and greatest"),
        ({"gpu.clock": (1e9, 2e9)}, {"method": "sobel", "points": 4}, "did you mean sobol"),
        ({"gpu.clock": np.linspace(1e9, 2e9, 40_000), "batch": np.arange(1, 40_000)}, {}, "at most"),
    ],
)  # fmt: skip
def test_refused(parameters: dict[str, Any], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PimModelError, match=message):
        designs(system(), parameters, **arguments)
