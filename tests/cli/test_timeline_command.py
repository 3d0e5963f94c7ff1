"""`pimmodel timeline`: a trace that Perfetto reads, a picture, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pimmodel.cli.app import app

RUNNER = CliRunner()
STEP = ("timeline", "alexnet", "--batch", "4")


def test_a_trace_has_the_three_tracks_and_ends_with_the_step(tmp_path: Path) -> None:
    file = tmp_path / "step.json"
    assert RUNNER.invoke(app, [*STEP, "-o", str(file)]).exit_code == 0
    events = json.loads(file.read_text())["traceEvents"]
    tracks = {event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert {"GPU", "PIM"} <= tracks
    assert len(tracks) == 3
    last = max(event["ts"] + event.get("dur", 0) for event in events if event["ph"] == "X")
    shown = RUNNER.invoke(app, ["estimate", "alexnet", "--batch", "4", "--policy", "exclusive", "--format", "json"])
    assert last == pytest.approx(json.loads(shown.output)["time_s"] * 1e6, rel=1e-6)  # microseconds


@pytest.mark.parametrize(("form", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_pictures(tmp_path: Path, form: str, magic: bytes) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / f"step.{form}"
    assert RUNNER.invoke(app, [*STEP, "-o", str(file)]).exit_code == 0
    assert file.read_bytes().startswith(magic)
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-o", "step.doc"), "allowed: a file that ends in .json, .png, .svg or .pdf"),
        (("-o", "step.json", "--policy", "serial"), "--policy is serial, which has no schedule; allowed: partitioned"),
        (("-o", "missing/step.json"), "cannot write missing/step.json"),
    ],
)
def test_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str) -> None:
    monkeypatch.chdir(tmp_path)
    shown = RUNNER.invoke(app, [*STEP, *arguments])
    assert shown.exit_code == 1
    assert words in shown.output
    assert not list(tmp_path.iterdir())
