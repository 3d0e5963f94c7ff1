"""`pimmodel report`: one HTML file, whole or not at all, and what is refused before any work."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pimmodel.cli.app import app

RUNNER = CliRunner()


@pytest.mark.slow
def test_a_file_with_the_measured_errors_of_this_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    pytest.importorskip("jinja2", reason="the report needs jinja2")
    monkeypatch.setattr("sys.argv", ["pimmodel", "report", "alexnet", "-o", "a b.html"])
    file = tmp_path / "report.html"
    done = RUNNER.invoke(app, ["report", "alexnet", "--batch", "4", "--optimizer", "adam", "-q", "-o", str(file)])
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
    text = file.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert text.rstrip().endswith("</html>")
    assert "pimmodel report alexnet -o &#39;a b.html&#39;" in text
    assert "batch 4, fp32, adam" in text
    for table in ("deepbench_v100_conv.csv", "pipedream_profiles.csv", "throughput.csv"):
        assert table in text
    assert stat.S_IMODE(file.stat().st_mode) & 0o444


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["resnet5O", "-o", "r.html"], "unknown network 'resnet5O'; did you mean resnet50"),
        (["alexnet", "--system", "v99", "-o", "r.html"], "unknown system 'v99'"),
        (["alexnet", "--batch", "0", "-o", "r.html"], "batch is 0; allowed: a whole number, 1 or more"),
        (["alexnet", "-o", "missing/r.html"], "cannot write missing/r.html: No such file or directory"),
        (["alexnet", "-o", "."], "cannot write .: Is a directory"),
        (["alexnet", "-o", "x" * 400], "File name too long"),
    ],
)
def test_refused_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = RUNNER.invoke(app, ["report", *arguments, "-q"])
    assert done.exit_code == 1, (done.output, done.exception)
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_file_to_write_must_be_named() -> None:
    assert RUNNER.invoke(app, ["report", "alexnet"]).exit_code == 2
