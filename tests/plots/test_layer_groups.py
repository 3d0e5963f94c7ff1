"""Layers put together for a picture: sums kept, as finely as fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pimmodel as pm
from pimmodel.plots.layers import grouped
from pimmodel.plots.style import PARTS

KEYS = list(PARTS)


def times(**seconds: float) -> dict[str, dict[tuple[str, str], float]]:
    return {
        name.replace("_", "."): {key: value if key == KEYS[0] else 0.0 for key in KEYS}
        for name, value in seconds.items()
    }


def totals(groups: dict[str, dict[tuple[str, str], float]]) -> dict[str, float]:
    return {name: sum(parts.values()) for name, parts in groups.items()}


BLOCKS = times(conv1=1, a_0_x=2, a_0_y=3, a_1_x=4, b_0_x=5, idle=0, fc=6)


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (6, {"conv1": 1, "a.0.x": 2, "a.0.y": 3, "a.1.x": 4, "b.0.x": 5, "fc": 6}),
        (5, {"conv1": 1, "a.0": 5, "a.1": 4, "b.0": 5, "fc": 6}),
        (4, {"conv1": 1, "a": 9, "b": 5, "fc": 6}),
        (3, {"conv1 .. a": 10, "b .. fc": 11}),
        (2, {"conv1 .. a": 10, "b .. fc": 11}),
        (1, {"conv1 .. fc": 21}),
    ],
)
def test_as_finely_as_fits(most: int, expected: dict[str, float]) -> None:
    assert totals(grouped(BLOCKS, most)) == expected
    assert list(grouped(BLOCKS, most)) == list(expected)


def test_no_groups_at_all_are_refused() -> None:
    with pytest.raises(pm.PimModelError, match="most is 0; allowed: 1 or more"):
        grouped(BLOCKS, 0)


names = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(".".join)


@given(st.dictionaries(names, st.integers(0, 100), max_size=40), st.integers(1, 12))
def test_sums_are_kept(seconds: dict[str, int], most: int) -> None:
    given_times = {name: dict.fromkeys(KEYS, float(value)) for name, value in seconds.items()}
    found = grouped(given_times, most)
    assert len(found) <= most
    for key in KEYS:
        assert sum(parts[key] for parts in found.values()) == sum(seconds.values())
