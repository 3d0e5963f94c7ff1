"""What-if answers against the facade, and what must hold between their parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pimmodel as pm
from pimmodel.explore.what_if import KEPT, WHOLE, Answer, Choice, WhatIf, nearest

ALEXNET = Choice("alexnet", batch=8)


@pytest.fixture(scope="module")
def asked() -> WhatIf:
    return WhatIf()


@pytest.fixture(scope="module")
def answer(asked: WhatIf) -> Answer:
    return asked.answer(ALEXNET)


def test_same_times_as_estimates(answer: Answer) -> None:
    network, system = pm.load_network("alexnet", batch=8), pm.load_system("v100-bankgroup-pim")
    for time, policy in ((answer.gpu_only, "gpu-only"), (answer.serial, "serial"), (answer.ideal, "ideal")):
        assert time == pytest.approx(pm.estimate(network, system, policy).time, rel=1e-12)  # type: ignore[arg-type]


def test_units_and_timing_reach_the_model(asked: WhatIf, answer: Answer) -> None:
    # 4 units at 2 / 4 of the host's rate are twice its bandwidth, 2 units once; with tCCD_L = 2 a unit of 300 MHz takes
    # a column every 3 clocks of 877 MHz, so that 4 units have 4 x 2 / 3.
    assert answer.step.system.bandwidth_multiple == 2
    for choice, multiple in ((replace(ALEXNET, units=2), 1), (replace(ALEXNET, tccd_l=2), 8 / 3)):
        changed = asked.answer(choice)
        assert changed.step.system.bandwidth_multiple == pytest.approx(multiple)
        assert changed.gpu_only == pytest.approx(answer.gpu_only, rel=1e-12)
        assert (changed.serial < answer.serial) == (multiple > 2)


def test_own_values_are_no_change() -> None:
    assert replace(ALEXNET, units=4, tccd_l=4).built() == ALEXNET.built()


def test_answers_are_kept_and_the_oldest_forgotten() -> None:
    asked, seen = WhatIf(), []
    first = replace(ALEXNET, batch=1)
    answer = asked.answer(first, lambda done, whole: seen.append(done))
    assert seen
    seen.clear()
    assert asked.answer(first, lambda done, whole: seen.append(done)) is answer
    assert not seen
    for batch in range(2, KEPT + 2):
        asked.answer(replace(ALEXNET, batch=batch))
    assert not asked.knows(first)
    assert asked.knows(replace(ALEXNET, batch=KEPT + 1))


@pytest.mark.parametrize(
    ("values", "named"),
    [({"network": "alexnett"}, "alexnet"), ({"units": 16}, "at most 4"), ({"tccd_l": 1}, "at least tCCD_S"),
     ({"batch": 0}, "1 or more"), ({"system": "no-such"}, "no-such")],
)  # fmt: skip
def test_what_cannot_be_is_said(values: dict[str, object], named: str) -> None:
    with pytest.raises(pm.PimModelError, match=named):
        WhatIf().answer(replace(ALEXNET, **values))  # type: ignore[arg-type]


@pytest.mark.parametrize(("low", "high"), [(5, 5), (6, 5), (-1, 5), (0, 65)])
def test_thresholds_that_the_controller_cannot_have(answer: Answer, low: int, high: int) -> None:
    with pytest.raises(pm.PimModelError, match="theta_low < theta_high <= 64"):
        answer.pair(low, high)


@given(low=st.integers(-5, 90), high=st.integers(-5, 90))
def test_nearest_thresholds_are_allowed(answer: Answer, low: int, high: int) -> None:
    found = nearest(answer, low, high)
    assert answer.thresholds(answer.pair(*found)) == found
    if 0 <= low < high <= 64:
        assert found == (low, high)


@given(data=st.data())
def test_timeline_is_whole(answer: Answer, data: st.DataObject) -> None:
    pair = data.draw(st.integers(0, len(answer.grid.low) - 1))
    line = answer.timeline(pair)
    assert line.rest[1] == pytest.approx(answer.time(pair), rel=1e-12)
    for begin, end in (line.host, line.alone, line.beside, line.updates):
        assert (end >= begin - 1e-15).all()
        assert (begin[1:] >= end[:-1] - 1e-12).all()  # one thing at a time
    np.testing.assert_allclose(line.alone[1], line.host[0])  # the host starts when what it waits for is there
    assert (line.updates[1] <= line.host[1] * (1 + 1e-9)).all()


def test_layers_add_up(answer: Answer) -> None:
    assert sum(sum(parts.values()) for parts in answer.layers.values()) == pytest.approx(answer.serial, rel=1e-9)
    slower = (answer.grid.time - answer.grid.alone[:, None]).sum(axis=0)
    np.testing.assert_allclose(answer.held.sum(axis=0), slower, rtol=1e-9, atol=1e-15)


def test_squares_hold_the_allowed_pairs(answer: Answer) -> None:
    for shown in (WHOLE, answer.convs[0]):
        square = answer.square(shown)
        high, low = np.nonzero(np.isfinite(square))
        assert len(low) == 65 * 64 // 2
        assert (low < high).all()
    assert answer.square()[58, 16] == answer.time(answer.pair(16, 58))
