"""Unit strings at the file edge."""

import json
import math
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimmodel import cache, units
from pimmodel.units import UnitError, example_of, format_quantity, parse_quantity


@pytest.mark.parametrize(
    ("text", "unit", "number"),
    [
        ("900 GB/s", "B/s", 9e11),
        ("3.35 TB/s", "B/s", 3.35e12),
        ("1.53 GHz", "Hz", 1.53e9),
        ("14 ns", "s", 14e-9),
        ("1.9 us", "s", 1.9e-6),
        ("6 MiB", "B", 6 * 2**20),
        ("2816 KiB", "B", 2816 * 2**10),
        ("0.11 pJ/bit", "J/bit", 0.11e-12),
        ("0.88 pJ/B", "J/bit", 0.11e-12),
        ("15.7 TFLOP/s", "FLOP/s", 15.7e12),
        ("815 mm**2", "m**2", 815e-6),
        ("300 W", "W", 300),
        ("256 bit", "B", 32),
        ("2 Gbit/s", "B/s", 0.25e9),
        ("15.7 TFLOPS", "FLOP/s", 15.7e12),
        ("3 µs", "s", 3e-6),
        ("815 mm^2", "m**2", 815e-6),
        ("4 clocks", "clock", 4),
    ],
)
def test_si_numbers(text, unit, number):
    assert parse_quantity(text, unit) == pytest.approx(number, rel=1e-14)


@pytest.mark.parametrize("value", [3, 3.5])
def test_bare_numbers_are_in_the_unit_already(value):
    assert parse_quantity(value, "B/s") == value


@pytest.mark.parametrize(
    "value",
    ["900 GHz", "nonsense", "", "nan GB/s", "1e999 GB/s", "900", math.nan, math.inf,
     True, None, [1], "__import__('os')"],
)  # fmt: skip
def test_not_a_bandwidth(value):
    with pytest.raises(UnitError):
        parse_quantity(value, "B/s")


@pytest.mark.parametrize("unit", ["B/s", "Hz", "s", "B", "FLOP/s", "J/bit", "J", "W", "m**2"])
def test_examples_parse(unit):
    assert parse_quantity(example_of(unit), unit) > 0


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(9e11, "B/s", "900 GB/s"), (0.00123456, "s", "1.23 ms"), (0, "s", "0 s"), (999.6, "B", "1.00 kB"),
     (-2e-9, "s", "-2.00 ns"), (math.inf, "s", "inf s"), (1.5e9, "Hz", "1.50 GHz")],
)  # fmt: skip
def test_texts_for_people(value, unit, text):
    assert format_quantity(value, unit) == text


@given(st.floats(1e-11, 1e17))
def test_text_and_back(value):
    assert parse_quantity(format_quantity(value, "B/s", digits=6), "B/s") == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("stored", ["", "{", "[1]", '{"14 ns|s": "fast"}', '{"14 ns|s": NaN}', '{"14 ns|s": null}'])
def test_damaged_cache_is_as_good_as_none(tmp_path, monkeypatch, stored):
    monkeypatch.setenv("PIMMODEL_CACHE", str(tmp_path))
    (tmp_path / units._entry()).write_text(stored)
    units._known.cache_clear()
    assert parse_quantity("14 ns", "s") == 14e-9
    assert json.loads((tmp_path / units._entry()).read_text())["14 ns|s"] == 14e-9
    units._known.cache_clear()


def test_cache_keeps_what_other_processes_added(tmp_path, monkeypatch):
    monkeypatch.setenv("PIMMODEL_CACHE", str(tmp_path))
    units._known.cache_clear()
    parse_quantity("1 ns", "s")
    (tmp_path / units._entry()).write_text('{"7 ns|s": 7e-9}')
    parse_quantity("2 ns", "s")
    assert set(json.loads((tmp_path / units._entry()).read_text())) == {"1 ns|s", "2 ns|s", "7 ns|s"}
    units._known.cache_clear()


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("PIMMODEL_CACHE", str(tmp_path))
    (tmp_path / "entry").mkdir()  # where the entry would go
    cache.write("entry", "text")
    assert [one.name for one in tmp_path.iterdir()] == ["entry"]


def test_every_shipped_description_loads_on_a_fresh_machine(tmp_path):
    """In a process and with a cache of its own: the order in which units are first met must not matter."""
    code = """
from pimmodel.hardware.load import list_descriptions, load_description
for kind in ("memories", "gpus", "pims", "systems"):
    for name in list_descriptions(kind):
        load_description(name)
"""
    for folder in ("off", str(tmp_path)):
        subprocess.run(
            [sys.executable, "-c", code], check=True, cwd=tmp_path, env=os.environ | {"PIMMODEL_CACHE": folder}
        )
