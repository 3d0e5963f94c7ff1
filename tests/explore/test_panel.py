"""The panel without a browser: widgets are set as a front end would, and the pictures looked at."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import pimmodel as pm
from pimmodel.explore.what_if import WHOLE, Choice

pytest.importorskip("matplotlib", reason="pictures need matplotlib")
pytest.importorskip("ipywidgets", reason="the panel needs ipywidgets")

from pimmodel.explore.panel import Panel
from pimmodel.explore.pictures import PICTURES, STILL
from pimmodel.units import format_quantity


@pytest.fixture(scope="module")
def shared() -> Panel:
    return Panel(Choice("alexnet", batch=8))


@pytest.fixture
def panel(shared: Panel) -> Panel:
    """As it begins, whatever the test before did."""
    shared.system.value, shared.units.value, shared.tccd_l.value = "v100-bankgroup-pim", 4, 4
    shared.surface.value, shared.low.value, shared.high.value = WHOLE, 0, 58
    shared.low.value = 16
    return shared


def _shown(panel: Panel) -> dict[str, bytes]:
    return {name: panel.png(name) for name in PICTURES}


def test_begins_with_the_systems_own_values(panel: Panel) -> None:
    system = pm.load_system("v100-bankgroup-pim")
    assert (panel.low.value, panel.high.value) == (system.controller.theta_low, system.controller.theta_high)
    assert (panel.units.value, panel.tccd_l.value) == (4, 4)
    assert all(value.startswith(b"\x89PNG") for value in _shown(panel).values())
    assert set(_shown(panel)) == set(PICTURES)


def test_a_threshold_moves_all_pictures_but_the_roofline(panel: Panel) -> None:
    before = _shown(panel)
    panel.low.value = 40
    after = _shown(panel)
    assert {name for name in PICTURES if before[name] == after[name]} == set(STILL)
    panel.low.value = 16
    assert _shown(panel) == before


def test_thresholds_push_each_other(panel: Panel) -> None:
    panel.low.value = 60
    assert (panel.low.value, panel.high.value) == (60, 61)
    panel.high.value = 20
    assert (panel.low.value, panel.high.value) == (19, 20)
    panel.low.value = 63
    assert (panel.low.value, panel.high.value) == (63, 64)
    panel.high.value = 1
    assert (panel.low.value, panel.high.value) == (0, 1)


def test_the_button_finds_the_best(panel: Panel) -> None:
    panel.best.click()
    assert panel.pair == panel.answer.grid.best
    assert "0.00% longer" in panel.status.value


def test_another_design_and_back(panel: Panel) -> None:
    before = _shown(panel)
    panel.units.value = 2
    assert panel.answer.step.system.bandwidth_multiple == 1
    assert all(before[name] != value for name, value in _shown(panel).items())
    panel.units.value = 4
    assert _shown(panel) == before


def test_what_needs_no_thresholds_is_said_before_the_rest(panel: Panel) -> None:
    said: list[str] = []
    panel.status.observe(lambda event: said.append(event["new"]), "value")
    panel.batch.value = 4
    early = next(at for at, text in enumerate(said) if "gpu-only" in text)
    assert "thresholds: working" in said[early]
    assert f"serial {format_quantity(panel.answer.serial, 's', 4)}" in said[early]
    assert "per step" in said[-1]
    assert early < len(said) - 1
    panel.batch.value = 8  # kept
    assert "working" not in said[-1]
    panel.status.unobserve_all()


def test_what_cannot_be_changes_nothing(panel: Panel) -> None:
    before = _shown(panel)
    panel.units.value = 16
    assert panel.units.value == 4
    assert "at most 4" in panel.status.value
    assert _shown(panel) == before


def test_another_system_brings_its_own_values(panel: Panel) -> None:
    panel.system.value = "v100-bank-pim"
    system = pm.load_system("v100-bank-pim")
    assert panel.units.value == system.pim.units_per_channel == panel.answer.step.system.pim.units_per_channel
    assert panel.tccd_l.value == system.memory.timing.tCCD_L


def test_heat_map_of_a_conv(panel: Panel) -> None:
    before = _shown(panel)
    panel.surface.value = panel.answer.convs[0]
    after = _shown(panel)
    assert {name for name in PICTURES if before[name] != after[name]} == {"thresholds"}


@pytest.fixture(scope="module")
def resnet50() -> Panel:
    return Panel()


@pytest.mark.slow
def test_speed_of_a_threshold_move(resnet50: Panel, benchmark: Any) -> None:
    """To values not seen before: every moving picture is drawn."""
    places = itertools.cycle(range(2, 50))

    def move() -> None:
        resnet50.low.value = next(places)

    benchmark(move)
    assert resnet50.low.value > 0


@pytest.mark.slow
def test_speed_of_going_back_to_a_design(resnet50: Panel, benchmark: Any) -> None:
    batches = itertools.cycle((128, 64))

    def move() -> None:
        resnet50.batch.value = next(batches)

    benchmark(move)
    assert "per step" in resnet50.status.value
