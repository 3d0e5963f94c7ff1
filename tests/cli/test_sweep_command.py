"""`pimmodel sweep`: a study file to a file of figures, and bad studies in one line."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from pimmodel.cli.app import app

STUDY = """
network: alexnet
batch: 8
thresholds: [16, 58]
policies: [serial, exclusive]
outputs: [time]
parameters:
  gpu.clock: {from: 1 GHz, to: 2 GHz, steps: 5}
  pim.units_per_channel: [3, 4]
output: figures.csv
"""


def _run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["sweep", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


def test_the_study_s_own_file(study: Path) -> None:
    code, out, err = _run(study)
    assert code == 0
    assert "10 designs of alexnet, 5 not possible" in out
    assert "not possible (5)" in err
    assert "divisor of the 16 banks" in err
    frame = pd.read_csv(study.parent / "figures.csv")
    assert len(frame) == 10
    assert frame["time_exclusive_s"].notna().sum() == 5
    assert sorted(path.name for path in study.parent.iterdir()) == ["figures.csv", "study.yaml"]


def test_another_file(study: Path, tmp_path: Path) -> None:
    code, _, _ = _run(study, "-o", tmp_path / "other.nc")
    assert code == 0
    assert (tmp_path / "other.nc").exists()
    assert not (tmp_path / "figures.csv").exists()


@pytest.mark.parametrize(
    ("line", "changed", "message"),
    [
        ("network: alexnet", "network: alexnot", "did you mean alexnet"),
        ("output: figures.csv", "", "nothing says where the figures go"),
        ("output: figures.csv", "output: figures.xls", "ends in .nc"),
        ("output: figures.csv", "output: none/figures.csv", "no folder"),
        ("gpu.clock:", "gpu.clack:", "unknown parameter 'gpu.clack'"),
    ],
)
def test_bad_studies_end_with_one_line(study: Path, line: str, changed: str, message: str) -> None:
    study.write_text(STUDY.replace(line, changed))
    code, _, err = _run(study)
    assert code == 1
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err


def test_no_such_study(tmp_path: Path) -> None:
    code, _, err = _run(tmp_path / "none.yaml")
    assert code == 1
    assert "no such file" in err
