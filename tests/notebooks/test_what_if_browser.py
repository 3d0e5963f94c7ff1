"""The what-if notebook in a real browser, served by voila and in JupyterLab: sliders are moved by keyboard, the pictures
change."""

from __future__ import annotations

import os
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
for name, reason in (("selenium", "a browser is driven by selenium"), ("ipywidgets", "sliders need ipywidgets"),
                     ("matplotlib", "pictures need matplotlib")):  # fmt: skip
    pytest.importorskip(name, reason=f"{reason}, which is not installed")

NOTEBOOK = Path(__file__).parent.parent.parent / "notebooks" / "what_if.ipynb"
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--no-proxy-server")  # fmt: skip
READY = ("const shown = window.jupyterapp && window.jupyterapp.shell.currentWidget;"
         " return Boolean(shown && shown.content && shown.content.widgets && shown.context.isReady"
         " && shown.sessionContext.session && shown.sessionContext.session.kernel"
         " && shown.sessionContext.session.kernel.status === 'idle')")  # fmt: skip
PATIENCE = 240  # seconds until the notebook has run, on a busy machine
# The slider's label and its handle; the pictures as the page holds them.
HANDLE = "//div[contains(@class,'widget-slider')][.//label[normalize-space()='{}']]//*[contains(@class,'noUi-handle')]"
PICTURES = ("return [...document.querySelectorAll('img.widget-image')].map(one => [one.src, one.naturalWidth,"
            " one.getBoundingClientRect().right])")  # fmt: skip


def _voila(port: int, home: Path) -> tuple[list[str], str]:
    return ["-m", "voila", str(NOTEBOOK), "--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1"], ""


def _lab(port: int, home: Path) -> tuple[list[str], str]:
    shutil.copy(NOTEBOOK, home)
    return ["-m", "jupyterlab", "--no-browser", f"--port={port}", "--ServerApp.ip=127.0.0.1", "--allow-root",
            "--IdentityProvider.token=", f"--ServerApp.root_dir={home}", "--LabApp.expose_app_in_browser=True",
            ], f"lab/tree/{NOTEBOOK.name}"  # fmt: skip


SERVERS = {"voila": _voila, "jupyterlab": _lab}


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Its address, and the notebook's below it."""
    pytest.importorskip(request.param, reason=f"the notebook is served by {request.param}, which is not installed")
    if not (BROWSER and DRIVER):
        pytest.skip("needs chromium and chromedriver on the PATH")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path_factory.mktemp("served")
    settings = tmp_path_factory.mktemp("settings")
    own = {name: str(settings) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR",
                                            "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")}  # fmt: skip
    command, page = SERVERS[request.param](port, home)
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, **own})  # fmt: skip
    yield f"http://127.0.0.1:{port}/", page
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="module")
def driver(server: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}", "--window-size=1600,2400"):
        options.add_argument(flag)
    opened = webdriver.Chrome(options=options, service=Service(DRIVER))
    opened.set_page_load_timeout(PATIENCE)
    address, page = server
    try:
        _until(lambda: _answers(address))
        opened.get(address + page)
        if page:  # JupyterLab runs nothing by itself
            _until(lambda: opened.execute_script(READY))
            opened.execute_script("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        _until(lambda: [one[1] > 0 for one in opened.execute_script(PICTURES)] == [True] * 5)
        yield opened
    finally:
        opened.quit()


def _answers(url: str) -> bool:
    """Whether the server listens; its favicon does not start a kernel."""
    try:
        build_opener(ProxyHandler({})).open(f"{url}favicon.ico", timeout=5).close()
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


@pytest.mark.parametrize("width", [1600, 1280, 800])
def test_it_fits_the_page(driver: Any, width: int) -> None:
    """No picture is cut, and no box of widgets needs to be scrolled."""
    driver.set_window_size(width, 2400)
    _until(lambda: all(right <= width for _, _, right in driver.execute_script(PICTURES)))
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    wider = "return [...document.querySelectorAll('.widget-box')].map(one => one.scrollWidth - one.clientWidth)"
    _until(lambda: max(driver.execute_script(wider)) <= 0)
