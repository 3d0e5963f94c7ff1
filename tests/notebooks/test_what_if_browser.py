"""The what-if notebook in a real browser: sliders are moved by keyboard, the pictures change."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import pytest

pytestmark = pytest.mark.slow
for name, reason in (("selenium", "a browser is driven by selenium"), ("voila", "the notebook is served by voila"),
                     ("ipywidgets", "sliders need ipywidgets"), ("matplotlib", "pictures need matplotlib")):  # fmt: skip
    pytest.importorskip(name, reason=f"{reason}, which is not installed")

NOTEBOOK = Path(__file__).parent.parent.parent / "notebooks" / "what_if.ipynb"
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--no-proxy-server")  # fmt: skip
PATIENCE = 240  # seconds until the notebook has run, on a busy machine
# The slider's label and its handle; the pictures as the page holds them.
HANDLE = "//div[contains(@class,'widget-slider')][.//label[normalize-space()='{}']]//*[contains(@class,'noUi-handle')]"
PICTURES = ("return [...document.querySelectorAll('img.widget-image')].map(one => [one.src, one.naturalWidth,"
            " one.getBoundingClientRect().right])")  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "voila", str(NOTEBOOK), "--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield f"http://127.0.0.1:{port}/"
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="module")
def driver(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if not (BROWSER and DRIVER):
        pytest.skip("needs chromium and chromedriver on the PATH")
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}", "--window-size=1280,2400"):
        options.add_argument(flag)
    opened = webdriver.Chrome(options=options, service=Service(DRIVER))
    opened.set_page_load_timeout(PATIENCE)
    try:
        _until(lambda: _answers(server))
        opened.get(server)
        _until(lambda: [one[1] > 0 for one in opened.execute_script(PICTURES)] == [True] * 5)
        yield opened
    finally:
        opened.quit()


def _answers(url: str) -> bool:
    """Whether the server listens; its favicon does not start a kernel."""
    try:
        build_opener(ProxyHandler({})).open(f"{url}voila/static/favicon.ico", timeout=5).close()
    except URLError as error:
        return getattr(error, "code", None) is not None
    return True


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise AssertionError("it did not happen in time")
        time.sleep(0.2)


def _sources(driver: Any) -> list[str]:
    return [one[0] for one in driver.execute_script(PICTURES)]


def _bytes(driver: Any) -> list[str]:
    """Pictures as text, by canvas: a blob's address changes even where its bytes do not."""
    return driver.execute_script(  # type: ignore[no-any-return]
        "return [...document.querySelectorAll('img.widget-image')].map(one => {"
        " const sheet = document.createElement('canvas');"
        " sheet.width = one.naturalWidth; sheet.height = one.naturalHeight;"
        " sheet.getContext('2d').drawImage(one, 0, 0); return sheet.toDataURL(); })"
    )


def _press(driver: Any, slider: str, key: str) -> None:
    handle = driver.find_element("xpath", HANDLE.format(slider))
    driver.execute_script("arguments[0].focus()", handle)
    driver.switch_to.active_element.send_keys(key)


def test_an_arrow_key_on_a_threshold_moves_the_pictures(driver: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    before = _bytes(driver)
    assert all(one.startswith("data:image/png") for one in before)
    _press(driver, "theta_low", Keys.ARROW_RIGHT)
    _until(lambda: "thresholds 17, 58" in driver.page_source)
    _until(
        lambda: sum(one != other for one, other in zip(before, _bytes(driver), strict=True)) == 4
    )  # not the roofline
    _press(driver, "theta_low", Keys.ARROW_LEFT)
    _until(lambda: _bytes(driver) == before)


def test_another_number_of_units_says_that_it_works_and_moves_them_all(driver: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    before = _bytes(driver)
    _press(driver, "PIM units", Keys.ARROW_LEFT)
    _until(lambda: "working ..." in driver.page_source or _bytes(driver) != before)
    _until(lambda: all(one != other for one, other in zip(before, _bytes(driver), strict=True)))


def test_it_fits_a_page_of_1280_pixels(driver: Any) -> None:
    assert all(right <= 1280 for _, _, right in driver.execute_script(PICTURES))
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 1280
