"""The HTML report: self-contained, every figure of the estimates in it once, names escaped."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
from html_page import Page

import pimmodel as pm
from pimmodel.estimates import Estimate
from pimmodel.hardware.description import entries
from pimmodel.network.network import NetworkBuilder
from pimmodel.network.ops import Activation, BatchNorm, Conv, Input
from pimmodel.report.html_report import Origin, report_html
from pimmodel.report.html_tables import hardware_values, reasons, shared_time

pytest.importorskip("matplotlib", reason="pictures need matplotlib")
pytest.importorskip("jinja2", reason="the report needs jinja2")

SYSTEM = pm.load_system("v100-bankgroup-pim")
CHOSEN = ("gpu-only", "serial", "exclusive", "ideal")
ORIGIN = Origin("1.2.3", "pimmodel report 'a & b' -o x.html", "2026-01-02")
ERRORS = {"median": 0.1, "mean": 0.2, "p90": 0.3, "worst": float("nan")}
MEASURED = [{"data": "a.csv", "quantity": "time", "n": 3, **ERRORS}]


@pytest.fixture(scope="module")
def estimates() -> list[Estimate]:
    return pm.compare(pm.load_network("resnet18", batch=4), SYSTEM, policies=CHOSEN)


@pytest.fixture(scope="module")
def text(estimates: list[Estimate]) -> str:
    return report_html(estimates, origin=ORIGIN, measured=MEASURED)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def order(row: list, column: int) -> float:  # type: ignore[type-arg]
    return float(row[column].attributes["data-order"])


def check_alone(text: str) -> None:
    """Nothing is fetched from anywhere, ids are unique, and what is referred to is there."""
    page = Page(text)
    for one in page.root.walk():
        assert one.tag not in ("link", "iframe", "object", "embed", "base", "form"), one.tag
        for name, value in one.attributes.items():
            if name in ("src", "srcset", "href", "xlink:href", "action", "poster", "data"):
                assert value.startswith(("#", "data:image/png;base64,")), f"{one.tag} {name}={value[:60]}"
                assert not value.startswith("#") or value[1:] in page.ids, value
            if name in ("aria-labelledby", "aria-describedby"):
                assert value in page.ids
            assert not name.startswith("on")
    styles = [one.text for one in page.root.all("style")]
    styles += [one.attributes["style"] for one in page.root.walk() if "style" in one.attributes]
    for style in styles:
        assert "@import" not in style
    for target in re.findall(r"url\(([^)]*)\)", text):
        assert target.startswith("#"), target
        assert target[1:] in page.ids, target
    assert len(page.ids) == len(set(page.ids))


def test_one_file_that_needs_no_network(text: str, page: Page) -> None:
    check_alone(text)
    (policy,) = [one.attributes["content"] for one in page.root.all("meta") if "http-equiv" in one.attributes]
    assert policy.startswith("default-src 'none'")


def test_sections_and_pictures(page: Page) -> None:
    sections = [one.attributes["id"] for one in page.root.all("section")]
    linked = [one.attributes["href"][1:] for one in page.root.all("nav")[0].all("a")]
    assert sections == linked
    pictures = page.root.all("svg")
    assert len(pictures) == 7
    for picture in pictures:
        assert picture.attributes["role"] == "img"
        title = page.by_id(picture.attributes["aria-labelledby"])
        assert len(title.text) > 10
        assert {"viewbox"} <= set(picture.attributes)  # the parser's lower case
        assert not {"width", "height"} & set(picture.attributes)
        assert picture.all("text"), "text of a picture is text"


def test_every_policy_layer_and_conv_task_is_there(page: Page, estimates: list[Estimate]) -> None:
    best = estimates[2]
    heads, rows = page.table("policies")
    assert [row[0].text for row in rows] == list(CHOSEN)
    assert [order(row, heads.index("step time")) for row in rows] == pytest.approx([one.time for one in estimates])
    heads, rows = page.table("layers")
    assert [row[heads.index("layer")].text for row in rows] == [layer.name for layer in best.step.network]
    whole = sum(order(row, heads.index("all")) for row in rows)
    assert whole == pytest.approx(best.host_time + best.pim_time)
    assert sum(order(row, heads.index("share of busy time")) for row in rows) == pytest.approx(1)
    heads, rows = page.table("thresholds")
    assert [row[0].text for row in rows] == [task.name for task in best.step.tasks if task.on_host_only]
    for row, policy in zip(
        rows, [one for one, conv in zip(best.step.optimum.plan.policies, best.step.workload.conv, strict=True) if conv],
        strict=True,
    ):  # fmt: skip
        expected = "-" if policy.theta_low is None else str(policy.theta_low)
        assert row[heads.index("theta_low [requests]")].text == expected
    heads, rows = page.table("waits")
    for column in (1, 2):
        assert sum(order(row, column) for row in rows) == pytest.approx(best.time)
    assert best.energy is not None
    _, rows = page.table("energy")
    assert sum(order(row, 1) for row in rows) == pytest.approx(best.energy.total)


def test_numbers_are_sorted_as_numbers(page: Page) -> None:
    for table in page.root.all("table"):
        if table.attributes.get("class") != "sortable":
            continue
        for cell in table.all("td"):
            if cell.attributes["class"] == "number":
                float(cell.attributes["data-order"])


def test_every_hardware_value_has_its_source(page: Page) -> None:
    _, rows = page.table("hardware")
    given = {one.name: one for one in entries(SYSTEM)}
    assert [row[0].text for row in rows] == list(given)
    values, listed = hardware_values(SYSTEM)
    assert len(set(listed)) == len(listed)
    shown = [one.text for one in page.root.all("ol")[0].all("li")]
    assert shown == listed
    for one in values:
        parts = ([listed[one.number - 1]] if one.number else []) + ([one.words] if one.words else [])
        assert "; ".join(parts) == given[one.field].source
    assert sum(reasons(SYSTEM).values()) == len(given)


def test_where_it_comes_from_and_how_far_to_trust_it(page: Page, estimates: list[Estimate]) -> None:
    (footer,) = page.root.all("footer")
    assert "pimmodel 1.2.3 on 2026-01-02 with pimmodel report 'a & b' -o x.html" in footer.text
    _, rows = page.table("measured")
    assert [cell.text for cell in rows[0]] == ["a.csv", "time", "3", "10.0%", "20.0%", "30.0%", "-"]
    trust = page.by_id("trust").text
    assert f"{100 * estimates[0].step.optimum.gap:.1f} % above it" in trust
    assert "pimmodel validate contention --n 500" in trust


def test_time_with_the_pim_adds_up(estimates: list[Estimate]) -> None:
    """Of every task: at its own speed alone, slower while the PIM has the memory: time x progress is its work."""
    schedule = estimates[2].schedule
    assert schedule is not None
    found = shared_time(schedule)
    assert set(found) == set(np.flatnonzero(~schedule.on_pim).tolist())
    for task, (busy, together, host, _) in found.items():
        done = (busy - together) + (together * host if together else 0.0)
        assert done == pytest.approx(schedule.times[task], rel=1e-6)


@pytest.mark.parametrize("policy", ["gpu-only", "serial", "ideal"])
def test_policies_without_a_schedule(estimates: list[Estimate], policy: str) -> None:
    text = report_html(estimates, policy, origin=ORIGIN)
    check_alone(text)
    page = Page(text)
    assert "has no schedule" in page.by_id("timeline").text
    assert ("it has no energy" in page.by_id("energy").text) == (policy == "ideal")
    assert "pimmodel validate gpu" in page.by_id("trust").text  # nothing measured was given


NAMES = ("<script>alert(1)</script>", "a\"b&amp;c'd", "$\\frac{$ 100 % $x$", "x" * 300, "名前.层", "{{ 7 * 7 }}")


def test_names_are_shown_as_they_are() -> None:
    builder = NetworkBuilder("<b>bold</b> & $\\frac{$")
    last = builder.add(Input((2, 16, 14, 14)), name="input")
    for name in NAMES:
        last = builder.add(Conv(32, (3, 3), padding=(1, 1, 1, 1)), last, name=name)
        last = builder.add(BatchNorm(), last, name=f"{name}.bn")
        last = builder.add(Activation(), last, name=f"{name}.relu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = report_html(pm.compare(builder.build(), SYSTEM, policies=CHOSEN), origin=ORIGIN)
    check_alone(text)
    page = Page(text)
    assert len(page.root.all("script")) == 1
    assert not page.root.all("b")
    heads, rows = page.table("layers")
    shown = [row[heads.index("layer")].text for row in rows]
    assert set(NAMES) <= set(shown)
    drawn = [one.text for picture in page.root.all("svg") for one in picture.all("text")]
    assert any("$\\frac{$ 100 % $x$" in one for one in drawn)
    assert page.root.all("h1")[0].text == "<b>bold</b> & $\\frac{$ on v100-bankgroup-pim"


def test_a_network_in_which_nothing_can_share() -> None:
    builder = NetworkBuilder("no CONV")
    builder.add(Activation(), builder.add(BatchNorm(), builder.add(Input((4, 32, 8, 8)), name="input")))
    text = report_html(pm.compare(builder.build(), SYSTEM, policies=CHOSEN), origin=ORIGIN)
    check_alone(text)
    assert "there is no pair to draw" in Page(text).by_id("thresholds").text


def test_what_is_refused(estimates: list[Estimate], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(pm.PimModelError, match="no policy 'exclusive'"):
        report_html(estimates[:2], origin=ORIGIN)
    with pytest.raises(pm.PimModelError, match="no policy 'watermark'"):
        report_html(estimates, "watermark", origin=ORIGIN)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(pm.PimModelError, match=r"the HTML report needs .* pip install 'pimmodel\[report\]'"):
        report_html(estimates, origin=ORIGIN)


def test_nothing_heavy_until_a_report_is_made() -> None:
    code = "import sys, pimmodel.report.html_report; assert not {'matplotlib', 'jinja2', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
