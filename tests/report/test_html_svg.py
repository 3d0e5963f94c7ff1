"""Pictures inside a page: nothing lost, ids apart, colours of the page."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from pimmodel.plots import Swing, tornado
from pimmodel.plots.style import BLUE, INK
from pimmodel.report.html_svg import inline_svg

pytest.importorskip("matplotlib", reason="pictures need matplotlib")
SVG = "{http://www.w3.org/2000/svg}"


def picture(name: str) -> str:
    rows = [Swing(f"row {number}", 1, 2, 0.1 - 0.01 * number, 0.2, 0.15) for number in range(4)]
    return inline_svg(tornado(rows), name, "a < b & c")


def test_it_is_one_element_with_a_title() -> None:
    root = ElementTree.fromstring(picture("one"))
    assert root.tag == f"{SVG}svg"
    assert root.attrib["role"] == "img"
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == "a < b & c"
    assert title.attrib["id"] == root.attrib["aria-labelledby"]
    assert root.find(f"{SVG}metadata") is None


def test_ids_of_two_pictures_differ_and_references_follow() -> None:
    found = []
    for name in ("one", "two"):
        text = picture(name)
        ids = re.findall(r'\bid="([^"]+)"', text)
        assert len(ids) == len(set(ids))
        targets = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', text)
        assert targets
        assert {one or other for one, other in targets} <= set(ids)
        found.append(set(ids))
    assert not found[0] & found[1]


def test_ink_is_the_page_s_and_other_colours_stay() -> None:
    text = picture("one")
    assert INK.lower() not in text.lower()
    assert "currentColor" in text
    assert BLUE.lower() in text.lower()
    assert "<text" in text  # words are not drawn as shapes
    assert "row 3" in text


def test_the_same_picture_each_time() -> None:
    assert picture("one") == picture("one")


def test_neighbours_put_together_are_the_same_shapes() -> None:
    """Many bars of one colour in one collection: one path with as many closed parts."""
    from pimmodel.plots.style import new_figure

    figure = new_figure(4, 2)
    axes = figure.subplots()
    axes.broken_barh([(start, 0.5) for start in range(50)], (0, 1), color=BLUE, linewidth=0)
    root = ElementTree.fromstring(inline_svg(figure, "bars", "bars"))
    bars = [one for one in root.iter(f"{SVG}path") if BLUE.lower() in one.attrib.get("style", "").lower()]
    assert len(bars) == 1
    shape = bars[0].attrib["d"]
    assert shape.count("M") == shape.count("z") == 50
    # Bars of half a unit at every unit: corners at most a hundredth of a point from where they belong.
    corners = [(float(x), float(y)) for x, y in re.findall(r"[ML] (\S+) (\S+)", shape)]
    lefts = [min(x for x, _ in corners[4 * bar : 4 * bar + 4]) for bar in range(50)]
    unit = (lefts[-1] - lefts[0]) / 49
    for bar, left in enumerate(lefts):
        assert left == pytest.approx(lefts[0] + bar * unit, abs=0.011)
        assert max(x for x, _ in corners[4 * bar : 4 * bar + 4]) == pytest.approx(left + unit / 2, abs=0.021)


def test_paper_around_words_is_that_of_the_page() -> None:
    """White around the words of a roofline would blot them out on a dark page."""
    from pimmodel.hardware.load import load_system
    from pimmodel.load import load_network
    from pimmodel.plots import roofline
    from pimmodel.step import prepare

    step = prepare(load_network("alexnet", batch=4), load_system("v100-bankgroup-pim"))
    text = inline_svg(roofline(step), "roofs", "both roofs")
    assert "var(--page)" in text
    assert not re.search(r"fefefe", text, re.IGNORECASE)
