"""Files of a sweep: the same figures in every form, nothing lost by an interruption, nothing half written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from study_cases import network, system

import pimmodel as pm
from pimmodel.errors import PimModelError
from pimmodel.sweep import parts
from pimmodel.sweep.study_file import load_study

AXES: dict[str, Any] = {"gpu.clock": np.linspace(1e9, 2e9, 10), "pim.units_per_channel": [2, 3]}
OPTIONS: dict[str, Any] = {"thresholds": (16, 58), "part_size": 4, "outputs": ("time", "speedup", "bound")}


def _sweep(output: Path | None = None, **more: Any) -> Any:
    return pm.sweep(network(), system(), AXES, output=output, **OPTIONS | more)


def test_netcdf_gives_back_the_dataset(tmp_path: Path) -> None:
    made = _sweep(tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc") as read:
        xr.testing.assert_identical(read.load(), made)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nc"]
    assert made.time.attrs["units"] == "s"
    assert made["gpu.clock"].attrs["units"] == "Hz"


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_tables_have_a_row_per_design(tmp_path: Path, form: str) -> None:
    made = _sweep(tmp_path / f"a.{form}")
    path = tmp_path / f"a.{form}"
    frame = pd.read_csv(path, keep_default_na=True) if form == "csv" else pd.read_parquet(path)
    assert len(frame) == 20
    np.testing.assert_allclose(frame["time_exclusive_s"], made.time.sel(policy="exclusive").values.ravel())
    reasons = frame["reason"].fillna("")
    assert reasons[frame["pim.units_per_channel"] == 3].str.contains("divisor").all()
    assert (reasons[frame["pim.units_per_channel"] == 2] == "").all()


def test_an_interrupted_run_goes_on_from_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _sweep()
    done: list[tuple[int, int]] = []

    def stop(now: int, of: int) -> None:
        done.append((now, of))
        if now >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _sweep(tmp_path / "a.nc", progress=stop)
    assert not (tmp_path / "a.nc").exists()
    kept = sorted(path.name for path in (tmp_path / "a.nc.parts").glob("part-*"))
    assert kept == ["part-000000.npz", "part-000001.npz"]
    resumed: list[tuple[int, int]] = []
    xr.testing.assert_identical(_sweep(tmp_path / "a.nc", progress=lambda now, of: resumed.append((now, of))), whole)
    assert resumed[0] == (8, 20)  # two parts of four are there already
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nc"]


def test_a_damaged_part_is_worked_out_again(tmp_path: Path) -> None:
    def stop(now: int, of: int) -> None:
        if now >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _sweep(tmp_path / "a.nc", progress=stop)
    (tmp_path / "a.nc.parts" / "part-000001.npz").write_bytes(b"PK\x03\x04 cut off")
    xr.testing.assert_identical(_sweep(tmp_path / "a.nc"), _sweep())


def test_parts_of_another_study_are_not_taken(tmp_path: Path) -> None:
    def stop(now: int, of: int) -> None:
        if now:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _sweep(tmp_path / "a.nc", progress=stop)
    with pytest.raises(PimModelError, match="parts of another study"):
        _sweep(tmp_path / "a.nc", thresholds=(16, 57))


def test_a_full_disk_keeps_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 3:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(parts.os, "fsync", full)
    with pytest.raises(PimModelError, match=r"No space left on device; 2 parts are kept"):
        _sweep(tmp_path / "a.nc")
    monkeypatch.undo()
    xr.testing.assert_identical(_sweep(tmp_path / "a.nc"), _sweep())


STUDY = """
network: resnet18
batch: 8
image_size: 64
thresholds: [16, 58]
policies: [serial, exclusive]
parameters:
  gpu.clock: {from: 1 GHz, to: 2 GHz, steps: 3}
  pim.units_per_channel: [2, 4]
output: figures.nc
"""


def test_a_study_file_is_the_same_sweep(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    study = load_study(path)
    assert study.output == tmp_path / "figures.nc"
    assert study.study.designs.shape == (3, 2)
    assert study.study.designs.axes[0].values.tolist() == [1e9, 1.5e9, 2e9]
    assert study.study.policies == ("serial", "exclusive")


@pytest.mark.parametrize(
    ("line", "changed", "message"),
    [
        ("network: resnet18", "network: resnet81", "unknown network 'resnet81'"),
        ("network: resnet18", "", "field 'network'.*missing"),
        ("batch: 8", "batch: 0", "field 'batch' is 0"),
        ("batch: 8", "batches: 8", "field 'batches'.*only"),
        ("thresholds: [16, 58]", "thresholds: [58, 16]", "field 'thresholds'.*rising"),
        ("thresholds: [16, 58]", "thresholds: 16", "field 'thresholds' is 16"),
        ("steps: 3", "steps: 1", "parameters.gpu.clock.steps' is 1"),
        ("from: 1 GHz", "from: 1 m", "parameters.gpu.clock'.*Hz"),
        ("pim.units_per_channel: [2, 4]", "pim.units: [2, 4]", "no such field; did you mean 'pim.units_per_channel'"),
        ("policies: [serial, exclusive]", "policies: serial", "field 'policies' is 'serial'"),
        ("parameters:", "parameters: 3\nother:", "only network"),
    ],
)
def test_bad_study_files(tmp_path: Path, line: str, changed: str, message: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.replace(line, changed))
    with pytest.raises(PimModelError, match=message):
        load_study(path)


@pytest.mark.parametrize("text", ["", "- 1\n- 2\n", "network: [", "\x00"])
def test_no_study_at_all(tmp_path: Path, text: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(PimModelError):
        load_study(path)
