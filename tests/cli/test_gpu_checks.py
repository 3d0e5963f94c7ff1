"""`validate gpu` and `calibrate`: what they print and write, and how bad input ends."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from pimmodel.validation.gpu import TABLES
from typer.testing import CliRunner

import pimmodel as pm
from pimmodel.cli.app import app
from pimmodel.hardware.gpu import KernelConstants

KERNELS = TABLES / "deepbench_v100_conv.csv"
COLUMNS = {"data", "quantity", "n", "median", "mean", "p90", "p95", "worst", "target", "met"}


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    return result.exit_code, result.stdout, result.stderr


def some_kernels(folder: Path, *extra: str, lines: int = 6) -> Path:
    """Lines of the shipped table, of which the first was fitted, and extra ones."""
    text = KERNELS.read_text(encoding="utf-8").splitlines()
    path = folder / "some.csv"
    path.write_text("\n".join([text[0], *text[21 : 21 + lines], *extra]) + "\n", encoding="utf-8")
    return path


# ---------------------------------------------------------------------- validate gpu


def test_validate_gpu_on_all_shipped_tables() -> None:
    code, text, error = run("validate", "gpu", "--format", "json")
    assert (code, error) == (0, "")
    rows = json.loads(text)
    assert all(set(row) == COLUMNS for row in rows)
    shipped = {path.name for path in TABLES.glob("*.csv")}
    assert len(shipped) == 5
    assert {row["data"] for row in rows} == shipped
    for row in rows:
        assert 0 <= row["median"] <= row["p90"] <= row["p95"] <= row["worst"]
        assert (row["met"] is None) == (row["target"] == "")
    code, text, _ = run("validate", "gpu")
    assert code == 0
    assert text.startswith("Errors\n")
    assert all(f"{100 * row['mean']:.2f} %" in text for row in rows)


def test_only_the_tables_that_are_given(tmp_path: Path) -> None:
    code, text, _ = run("validate", "gpu", "--measurements", some_kernels(tmp_path), "--format", "csv")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["data"] for row in rows} == {"some.csv"}
    code, text, _ = run("validate", "gpu", "--profiles", TABLES / "pipedream_profiles.csv", "--format", "json")
    assert code == 0
    assert {row["data"] for row in json.loads(text)} == {"pipedream_profiles.csv"}
    assert len(json.loads(text)) == 8  # three networks, three classes; vgg16 has no batch norm


@pytest.mark.parametrize("gpu", ["p100", "a100", "t4-bankgroup-pim"])
def test_another_gpu(gpu: str, tmp_path: Path) -> None:
    code, text, error = run(
        "validate", "gpu", "--measurements", some_kernels(tmp_path), "--gpu", gpu, "--format", "json"
    )
    assert (code, error) == (0, "")
    titles = [row["quantity"] for row in json.loads(text)]
    assert titles[0] == f"{gpu.split('-')[0]} fp32 kernel time, rows not fitted"
    assert not any("fitted rows" in title for title in titles)


def test_bad_lines_are_named_and_counted_on_standard_error(tmp_path: Path) -> None:
    bad = "fp32,x,4,16,28,28,32,3,3,1,1,1,1,-1,2,3,"
    path = some_kernels(tmp_path, *[bad] * 12)
    code, text, error = run("validate", "gpu", "--measurements", path, "--format", "json")
    assert code == 0
    json.loads(text)
    lines = error.splitlines()
    assert lines[0] == f"pimmodel: {path}:8: fwd_ms is '-1'; allowed: a number above 0; line skipped"
    assert len(lines) == 11
    assert lines[-1] == "pimmodel: 12 lines skipped"
    assert run("validate", "gpu", "--measurements", some_kernels(tmp_path, bad))[2].endswith(" 1 line skipped\n")


@pytest.mark.parametrize("option", ["--measurements", "--profiles", "--throughput"])
def test_files_that_cannot_be_used(option: str, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "bytes.csv").write_bytes(bytes(range(256)))
    for path, words in (
        (tmp_path / "absent.csv", "No such file"), (tmp_path, "directory"), (tmp_path / "empty.csv", "missing column"),
        (tmp_path / "other.csv", "missing column"), (tmp_path / "bytes.csv", "cannot be read as a CSV file"),
    ):  # fmt: skip
        code, text, error = run("validate", "gpu", option, path)
        assert (code, text) == (1, "")
        assert error.startswith(f"pimmodel: {path}: ")
        assert words in error
        assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("v10", "did you mean"),
        ("hbm2", "hbm2, which has no system; allowed: a GPU or system"),
        ("absent.yaml", "absent"),
    ],
)
@pytest.mark.parametrize("command", [["validate", "gpu"], ["calibrate", str(KERNELS)]])
def test_unknown_gpus(command: list[str], name: str, words: str) -> None:
    code, text, error = run(*command, "--gpu", name)
    assert (code, text) == (1, "")
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("arguments", [["calibrate"], ["validate", "gpu", "--measurement", "x"],
                                       ["validate", "gpu", "x.csv"], ["calibrate", "a.csv", "b.csv"],
                                       ["validate", "gpu", "--format", "xml"]])  # fmt: skip
def test_wrong_usage(arguments: list[str]) -> None:
    assert run(*arguments)[0] == 2


# ---------------------------------------------------------------------- calibrate


@pytest.mark.slow
def test_calibrate_writes_a_system_that_estimate_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = some_kernels(tmp_path, "fp32,x,4,16,28,28,32,3,3,1,1,1,1,N/A,2,3,")
    monkeypatch.chdir(tmp_path)
    code, text, error = run("calibrate", path, "--quiet")
    assert code == 0
    assert error.endswith("pimmodel: 1 line skipped\n")
    lines = text.splitlines()
    assert lines[-1] == "written: v100-bankgroup-pim-calibrated.yaml"
    assert [name for name in KernelConstants.model_fields if any(line.startswith(name) for line in lines)] == list(
        KernelConstants.model_fields
    )
    assert any(line.startswith("held-out rows") for line in lines)
    written = tmp_path / "v100-bankgroup-pim-calibrated.yaml"
    fitted = pm.load_system(written).gpu.kernels
    assert fitted != KernelConstants()
    assert "fitted: pimmodel calibrate some.csv --gpu v100" in written.read_text(encoding="utf-8")
    estimates = [run("estimate", "resnet18", "--policy", "gpu-only", "--system", name, "--format", "json")
                 for name in (str(written), "v100-bankgroup-pim")]  # fmt: skip
    assert [one[0] for one in estimates] == [0, 0]
    times = [json.loads(one[1])["time_s"] for one in estimates]
    assert times[0] != times[1]
    # And `validate gpu` takes it too: on rows it was fitted on it is better than the shipped constants.
    means = []
    for gpu in (str(written), "v100"):
        rows = json.loads(run("validate", "gpu", "--measurements", path, "--gpu", gpu, "--format", "json")[1])
        means.append(next(row["mean"] for row in rows if "fitted rows" in row["quantity"]))
    assert means[0] < means[1]
    # The JSON says the same, and the file is replaced whole.
    code, text, _ = run("calibrate", path, "-o", written, "--format", "json")
    assert code == 0
    document = json.loads(text)
    assert document["schema"] == "pimmodel/calibration/1"
    assert document["constants"] == pytest.approx(fitted.model_dump(), rel=1e-3)
    assert [row["rows"] for row in document["errors"]] == ["fitted rows", "held-out rows"]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["some.csv", written.name]


def test_calibrate_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = some_kernels(tmp_path, lines=1)
    code, text, error = run("calibrate", path, "-q", "-o", tmp_path / "nowhere" / "out.yaml")
    assert (code, text) == (1, "")
    assert "cannot write" in error
    code, _, error = run("calibrate", tmp_path / "absent.csv")
    assert code == 1
    assert "absent.csv: cannot be read as a CSV file: No such file" in error
    assert [one.name for one in tmp_path.iterdir()] == ["some.csv"]
