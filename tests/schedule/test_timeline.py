"""Timelines: the trace's slices are the schedule's, and the picture draws them."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schedule_cases import Case, One, cases, scheduled

from pimmodel.plots import busiest_window, gantt
from pimmodel.report.timeline import chrome_trace
from pimmodel.schedule.order import ORDERS
from pimmodel.schedule.rates import same_rates

# Two chunks at rates (0.5, 0.25), as in test_fluid: conv 0..6, bn 2..7, next 7..10.
FORWARD = [One("FP(conv)", "H", 4), One("FWD(bn)", "P", 2, "FP(conv)"), One("FP(next)", "H", 3, "FWD(bn)!")]
EXAMPLE = scheduled(FORWARD, same_rates(0.5, 0.25), chunks=2)


def slices(trace: dict, track: str) -> list[tuple[str, float, float]]:  # type: ignore[type-arg]
    """Name, start and end [s] of a track's slices in the order of time."""
    (number,) = {
        one["tid"] for one in trace["traceEvents"] if one.get("args", {}).get("name") == track and "tid" in one
    }
    found = [one for one in trace["traceEvents"] if one["ph"] == "X" and one["tid"] == number]
    return sorted(((one["name"], one["ts"] / 1e6, (one["ts"] + one["dur"]) / 1e6) for one in found), key=lambda s: s[1])


def test_trace_by_hand() -> None:
    trace = json.loads(json.dumps(chrome_trace(EXAMPLE)))
    assert slices(trace, "GPU") == [
        ("FP(conv)", 0, 2), ("FP(conv)", 2, 6), ("waits: dependency", 6, 7),
        ("FP(next)", 7, 8.5), ("FP(next)", 8.5, 10),
    ]  # fmt: skip
    assert slices(trace, "PIM") == [("waits: dependency", 0, 2), ("FWD(bn)", 2, 6), ("FWD(bn)", 6, 7)]
    assert slices(trace, "memory") == [("GPU", 0, 2), ("GPU 75%, PIM 25%", 2, 6), ("PIM", 6, 7), ("GPU", 7, 10)]
    first = next(one for one in trace["traceEvents"] if one["ph"] == "X")
    assert first["args"] == {"chunk": "1 of 2", "alone_us": 2e6}
    assert first["cat"] == "FP"


@settings(max_examples=50)
@given(cases(), st.sampled_from(ORDERS))
def test_tracks_do_not_overlap_and_cover_the_step(case: Case, order: str) -> None:
    result = case.schedule(order)
    trace = chrome_trace(result)
    for track in ("GPU", "PIM", "memory"):
        found = slices(trace, track)
        for before, after in itertools.pairwise(found):
            assert after[1] >= before[2] - 1e-9
        covered = sum(end - start for _, start, end in found)
        idle = {"GPU": "host", "PIM": "pim"}.get(track)
        done = result.waits(idle).seconds["done"] if idle else 0  # type: ignore[arg-type]
        assert covered == pytest.approx(result.makespan - done, rel=1e-9)


def test_the_picture_draws_what_ran() -> None:
    pytest.importorskip("matplotlib")
    figure = gantt(EXAMPLE)
    sides, memory = figure.axes
    # The bound: conv, with bn under it, and next: 4 + 3.
    assert sides.get_title(loc="left") == "rearranged: 10.0 s, lower bound 7.00 s"
    drawn = [(path.get_extents().x0, path.get_extents().x1) for one in sides.collections for path in one.get_paths()]
    assert sorted(drawn) == [(0, 6000), (2000, 7000), (7000, 10000)]  # ms; chunks behind each other are one bar
    assert [text.get_text() for text in sides.texts] == ["FP(conv)", "FP(next)", "FWD(bn)"]
    assert [text.get_text() for text in sides.get_legend().get_texts()] == ["FP", "FWD"]
    assert memory.get_xlim() == (0, 10000)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    assert picture.getvalue().startswith(b"\x89PNG")


def test_a_window_cuts() -> None:
    pytest.importorskip("matplotlib")
    sides, memory = gantt(EXAMPLE, (5, 6.5)).axes
    drawn = [(path.get_extents().x0, path.get_extents().x1) for one in sides.collections for path in one.get_paths()]
    assert sorted(drawn) == [(5000, 6000), (5000, 6500)]
    assert memory.get_xlim() == (5000, 6500)


def test_busiest_window_by_hand() -> None:
    # Both work from 2 to 6 of 10 s.
    assert busiest_window(EXAMPLE, 0.4) == (2, 6)
    assert busiest_window(EXAMPLE, 1.0) == (0, 10)


@settings(max_examples=50)
@given(cases(), st.floats(0.05, 1))
def test_the_busiest_window_is_at_least_as_busy_as_the_mean(case: Case, share: float) -> None:
    result = case.schedule("rearranged")
    begin, end = busiest_window(result, share)
    assert -1e-9 <= begin <= end <= result.makespan * (1 + 1e-9)
    assert end - begin == pytest.approx(share * result.makespan)
    parts = result.segments
    both = (parts.host >= 0) & (parts.pim >= 0)
    overlap = (np.minimum(parts.end, end) - np.maximum(parts.start, begin)).clip(0)[both].sum()
    tiled = int(1 / share) + 1  # so many windows cover the step, and the best is no worse than the mean of them
    assert overlap * tiled >= (parts.end - parts.start)[both].sum() * (1 - 1e-9)


@pytest.mark.parametrize("window", [None, (5.0, 6.5), (0.5, 9.5)])
def test_memory_is_drawn_as_it_was_held(window: tuple[float, float] | None) -> None:
    """The areas are the seconds that each side held the memory within the window."""
    pytest.importorskip("matplotlib")
    begin, end = window or (0.0, 10.0)
    _, memory = gantt(EXAMPLE, window).axes
    parts = EXAMPLE.segments
    length = (np.minimum(parts.end, end) - np.maximum(parts.start, begin)).clip(0)
    for drawn, held in zip(memory.collections, (parts.host_memory, parts.pim_memory), strict=True):
        (path,) = drawn.get_paths()
        x, y = path.vertices[:-1].T.copy()
        x = x.clip(begin * 1e3, end * 1e3) / 1e3
        area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
        assert area == pytest.approx((held * length).sum())


def test_matplotlib_is_loaded_only_for_a_picture() -> None:
    code = "import sys, pimmodel.report.timeline; assert not {'matplotlib', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
