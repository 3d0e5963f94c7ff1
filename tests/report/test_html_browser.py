"""The report in a real browser: a click on a head sorts, the page fits its window, nothing is fetched."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pimmodel as pm
from pimmodel.report.html_report import Origin, report_html

pytest.importorskip("matplotlib", reason="pictures need matplotlib")
pytest.importorskip("jinja2", reason="the report needs jinja2")
selenium = pytest.importorskip("selenium", reason="a browser is driven by selenium, which is not installed")

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs chromium and chromedriver on the PATH")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update")  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    estimates = pm.compare(pm.load_network("resnet18", batch=4), pm.load_system("v100-bankgroup-pim"),
                           policies=("gpu-only", "serial", "exclusive", "ideal"))  # fmt: skip
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(report_html(estimates, origin=Origin("0", "pimmodel report", "2026-01-02")), encoding="utf-8")
    return file


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = BROWSER or ""
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield opened
    opened.quit()


def _words(driver: Any, column: int) -> list[str]:
    script = "return [...document.querySelectorAll('#table-layers tbody tr')].map(r => r.cells[%d].textContent)"
    return driver.execute_script(script % column)  # type: ignore[no-any-return]


def _orders(driver: Any, column: int) -> list[float]:
    script = "return [...document.querySelectorAll('#table-layers tbody tr')].map(r => r.cells[%d].dataset.order)"
    return [float(one) for one in driver.execute_script(script % column)]


def test_a_click_sorts_up_down_and_back(driver: Any, page: Path) -> None:
    driver.get(page.as_uri())
    heads = driver.find_elements("css selector", "#table-layers thead th")
    names = [one.text.splitlines()[0] for one in heads]
    backward, layer = names.index("backward"), names.index("layer")
    original = _words(driver, layer)
    button = heads[backward].find_element("css selector", "button")
    seen = []
    for state in ("ascending", "descending", None):
        driver.execute_script("arguments[0].click()", button)
        assert heads[backward].get_attribute("aria-sort") == state
        seen.append(_orders(driver, backward))
    assert seen[0] == sorted(seen[0])
    assert seen[1] == sorted(seen[1], reverse=True)
    assert seen[0] != seen[1]
    assert _words(driver, layer) == original
    # Text is sorted as text, by keyboard too.
    button = heads[layer].find_element("css selector", "button")
    button.send_keys("\n")
    assert heads[layer].get_attribute("aria-sort") == "ascending"
    assert sorted(_words(driver, layer)) == sorted(original)
    assert _words(driver, layer) != original


@pytest.mark.parametrize("width", [1280, 420])
def test_it_fits_its_window_and_fetches_nothing(driver: Any, page: Path, width: int) -> None:
    import json

    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                           {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})  # fmt: skip
    driver.get(page.as_uri())
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    assert driver.get_log("browser") == []  # no error, no refused content
    asked = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [one["params"] for one in asked if one["method"] == "Network.requestWillBeSent"]
    urls = {one["request"]["url"] for one in sent if one["documentURL"] == page.as_uri()}  # not the browser's own pages
    assert {url for url in urls if not url.startswith("data:")} == {page.as_uri()}


def test_text_stands_out_in_the_dark_too(driver: Any, page: Path) -> None:
    """Contrast of text and page, WCAG 2.1: at least 7 to 1, in the pictures too."""
    for scheme in ("light", "dark"):
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                               {"features": [{"name": "prefers-color-scheme", "value": scheme}]})  # fmt: skip
        driver.get(page.as_uri())
        page_colour, *inks = driver.execute_script(
            "const of = (e, p) => getComputedStyle(e)[p];"
            "return [of(document.body, 'backgroundColor'), of(document.body, 'color'),"
            " of(document.querySelector('#table-layers td'), 'color'),"
            " of(document.querySelector('#roofline svg text'), 'fill')]"
        )
        for ink in inks:
            assert _contrast(page_colour, ink) >= 7, (scheme, page_colour, ink)


def _contrast(first: str, second: str) -> float:
    """Of two colours as "rgb(r, g, b)": (L1 + 0.05) / (L2 + 0.05) of their relative luminances."""

    def luminance(colour: str) -> float:
        parts = [int(one) / 255 for one in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)
