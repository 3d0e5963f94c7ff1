"""Pictures that follow thresholds: the same however one gets there, and fast (`--benchmark-enable`)."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pimmodel.explore.what_if import Answer, Choice, WhatIf

pytest.importorskip("matplotlib", reason="pictures need matplotlib")

from pimmodel.explore.pictures import PICTURES, STILL, Picture, heat_map

MOVING = [name for name in PICTURES if name not in STILL]


@pytest.fixture(scope="module")
def answer() -> Answer:
    return WhatIf().answer(Choice("alexnet", batch=8))


def _pixels(png: bytes) -> Any:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize("name", PICTURES)
def test_the_way_to_a_picture_does_not_matter(answer: Answer, name: str) -> None:
    far, near = answer.pair(0, 1), answer.pair(16, 58)
    moved = PICTURES[name](answer)
    first, second, again = moved.draw(far), moved.draw(near), moved.draw(far)
    assert again == first == moved.png(far)
    assert PICTURES[name](answer).png(near) == second
    assert (first == second) == (name in STILL)
    assert _pixels(first).shape[1] in (610, 1230)


@pytest.mark.parametrize("name", MOVING)
def test_what_moves_lies_over_the_same_background(answer: Answer, name: str) -> None:
    picture = PICTURES[name](answer)
    first, second = (_pixels(picture.png(answer.pair(*thresholds))) for thresholds in ((0, 1), (16, 58)))
    differ = (first != second).any(axis=2)
    assert 0 < differ.mean() < 0.5
    assert not differ[:10].any() or name == "timeline"  # titles stay


def test_speedup_bar_is_as_long_as_its_number(answer: Answer) -> None:
    """Pixels of the chosen bar's colour at two pairs: as many as the ratio of the speedups."""
    from pimmodel.plots.style import POLICIES

    picture, widths = PICTURES["speedup"](answer), []
    colour = [int(POLICIES["exclusive"][at : at + 2], 16) for at in (1, 3, 5)]
    pairs = answer.pair(0, 1), answer.grid.best
    for pair in pairs:
        mine = (_pixels(picture.png(pair)) == colour).all(axis=2)
        widths.append(mine.sum(axis=1).max())
    ratio = answer.time(pairs[0]) / answer.time(pairs[1])
    assert widths[1] / widths[0] == pytest.approx(ratio, abs=0.015)  # of some 250 pixels


def test_heat_map_of_one_conv(answer: Answer) -> None:
    whole, one = heat_map(answer), heat_map(answer, answer.convs[0])
    pair = answer.pair(16, 58)
    assert whole.png(pair) != one.png(pair)


def test_bars_of_the_timeline_are_the_stages(answer: Answer) -> None:
    """Pixels of the GPU's row that are the host's colours: the share of the axis that its tasks take."""
    from pimmodel.plots.style import PHASES

    picture, pair = PICTURES["timeline"](answer), answer.pair(16, 58)
    axes = picture.figure.axes[0]
    pixels = _pixels(picture.draw(pair))
    height = len(pixels)
    left, right = (int(axes.transData.transform((x, 1))[0]) for x in axes.get_xlim())
    row = height - int(axes.transData.transform((0, 1))[1])
    busy = np.zeros(pixels.shape[1], dtype=bool)
    for phase in set(answer.host_phases):
        busy |= (pixels[row] == [int(PHASES[phase][at : at + 2], 16) for at in (1, 3, 5)]).all(axis=1)
    longest = max(answer.serial, float(answer.grid.total.max())) * 1.01  # where the axis ends
    # Edges of boxes are mixed colours: at most two pixels for each of the tasks.
    edges = 2 * len(answer.host_phases) / (right - left)
    assert busy.sum() / (right - left) == pytest.approx(answer.grid.time[:, pair].sum() / longest, abs=edges)


@pytest.mark.parametrize("name", MOVING)
def test_move(answer: Answer, name: str, benchmark: Any) -> None:
    picture: Picture = PICTURES[name](answer)
    pairs = [answer.pair(low, 58) for low in range(0, 58, 3)]
    count = iter(range(10**9))
    move: Callable[[], bytes] = lambda: picture.draw(pairs[next(count) % len(pairs)])  # noqa: E731
    assert benchmark(move).startswith(b"\x89PNG")
