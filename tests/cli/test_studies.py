"""The commands sensitivity, solve and pareto."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from pimmodel.cli.app import app


def _run(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == code, done.output
    return done.output


def test_sensitivity_and_solve() -> None:
    common = ("alexnet", "--batch", "4", "--policy", "serial")
    found = json.loads(_run("sensitivity", *common, "--no-steps", "--format", "json"))
    assert found["schema"] == "pimmodel/sensitivity/1"
    assert "gpu.clock" in _run("sensitivity", *common, "-p", "gpu.clock")
    asked = ("--unknown", "gpu.clock", "--target")
    assert "impossible" in _run("solve", *common, *asked, "time <= 1 ns")
    assert json.loads(_run("solve", *common, *asked, "time <= 1 ns", "--format", "json"))["status"] == "impossible"
    for bad in (("--unknown", "gpu.clok", "--target", "time <= 1 s"), (*asked, "time")):
        assert _run("solve", *common, *bad, code=1).count("\n") == 1


def test_pareto(tmp_path: Path) -> None:
    points = tmp_path / "points.csv"
    points.write_text("name,time,energy,area\na,1,3,4\nb,2,2,4\nc,3,3,9\nd,1,,2\n")
    assert "2 of 4 designs; 1 without a number" in _run("pareto", str(points))
    _run("pareto", str(points), "--name", "name", "-o", str(tmp_path / "front.png"))
    assert (tmp_path / "front.png").stat().st_size > 1000
    assert _run("pareto", str(tmp_path / "none.csv"), code=1).count("\n") == 1
