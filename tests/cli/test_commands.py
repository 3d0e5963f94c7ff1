"""The commands: what they print, in which format, and what happens to the output."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from terminals import terminal
from typer.testing import CliRunner

import pimmodel as pm
from pimmodel.cli.app import app
from pimmodel.estimates import POLICIES
from pimmodel.report import schema


def run(*arguments: str, code: int = 0) -> str:
    """Output of a command that must end with this code; nothing on standard error if all is well."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == code, (done.output, done.exception)
    if code == 0:
        assert done.stderr == ""
    return done.stdout


def process(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "pimmodel", *arguments], capture_output=True, text=True,
                          encoding="utf-8", **options)  # type: ignore[call-overload, no-any-return]  # fmt: skip


# ---------------------------------------------------------------------- estimate and compare


def test_estimate_prints_every_layer_and_the_summary() -> None:
    text = run("estimate", "resnet18", "--batch", "8")
    network, system = pm.load_network("resnet18", 8), pm.load_system("v100-bankgroup-pim")
    lines = text.splitlines()
    shown = [line.split()[0] for line in lines[2 : 2 + len(network)]]
    assert shown == [layer.name for layer in network]
    assert text.endswith(pm.estimate(network, system).summary() + "\n")
    shares = [float(line.split()[-1].rstrip("%")) for line in lines[2 : 2 + len(network)]]
    assert sum(shares) == pytest.approx(100, abs=0.05 * len(network))
    assert "\033" not in text
    assert max(map(len, lines)) < 140


def test_estimate_json_is_the_librarys() -> None:
    document = json.loads(run("estimate", "alexnet", "--policy", "ideal", "--precision", "fp16", "--format", "json"))
    Draft202012Validator(schema("estimate")).validate(document)
    network, system = pm.load_network("alexnet"), pm.load_system("v100-bankgroup-pim")
    assert document == json.loads(pm.estimate(network, system, "ideal", precision="fp16").to_json())


def test_estimate_csv_has_a_row_per_layer() -> None:
    rows = list(csv.DictReader(io.StringIO(run("estimate", "alexnet", "--batch", "2", "--format", "csv"))))
    network = pm.load_network("alexnet", 2)
    assert [row["layer"] for row in rows] == [layer.name for layer in network]
    assert [int(row["macs"]) for row in rows] == [layer.macs for layer in network]
    assert rows[0]["output_shape"] == "2x3x224x224"


def test_every_option_reaches_the_estimate() -> None:
    arguments = {"--system": "p100-bankgroup-pim", "--batch": "3", "--image-size": "128", "--precision": "fp16",
                 "--optimizer": "adam", "--policy": "gpu-only"}  # fmt: skip
    flat = [part for pair in arguments.items() for part in pair]
    document = json.loads(run("estimate", "resnet18", *flat, "--fuse-activation", "--format", "json"))
    assert document["system"] == "p100-bankgroup-pim"
    assert document["network"]["batch"] == 3
    assert document["layers"][0]["output_shape"] == [3, 3, 128, 128]
    assert document["options"] == {"precision": "fp16", "optimizer": "adam", "fuse_activation": True}
    assert document["policy"] == "gpu-only"


def test_compare_in_all_formats() -> None:
    text = run("compare", "alexnet", "--batch", "8")
    policies, ideas = text.split("What each idea buys")
    assert [line.split()[0] for line in policies.splitlines()[2:] if line] == list(POLICIES)
    assert "backward pass in serial order" in ideas
    assert "no plan is shorter than the bound by more than" in ideas
    document = json.loads(run("compare", "alexnet", "--batch", "8", "--format", "json"))
    Draft202012Validator(schema("comparison")).validate(document)
    assert len(document["ideas"]) == 6
    rows = list(csv.DictReader(io.StringIO(run("compare", "alexnet", "--batch", "8", "--format", "csv"))))
    assert [float(row["time_s"]) for row in rows] == pytest.approx([row["time_s"] for row in document["policies"]])


def test_optimized_thresholds_are_read_back(tmp_path: Path) -> None:
    file = tmp_path / "thresholds.yaml"
    shown = json.loads(run("optimize", "alexnet", "--batch", "8", "--format", "json", "-o", str(file)))
    arguments = ("estimate", "alexnet", "--batch", "8", "--format", "json")
    found = json.loads(run(*arguments, "--thresholds", str(file)))
    assert found["policy"] == "exclusive"
    assert found["time_s"] == pytest.approx(shown["time_s"], rel=1e-12)
    assert found["time_s"] == pytest.approx(json.loads(run(*arguments, "--policy", "exclusive"))["time_s"], rel=1e-12)
    assert shown["bound_s"] <= shown["time_s"] <= shown["single_pair_time_s"] * (1 + 1e-12)
    assert {row["phase"] for row in shown["tasks"]} == {"FP", "DX", "DW"}


def test_an_onnx_file_needs_no_other_option(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the network is shipped with onnx")
    shipped = Path(onnx.__file__).parent / "backend/test/data/light/light_resnet50.onnx"
    arguments = ("--batch", "128", "--policy", "gpu-only", "--format", "json")
    theirs, ours = (json.loads(run("estimate", name, *arguments)) for name in (str(shipped), "resnet50"))
    assert theirs["network"]["macs"] == ours["network"]["macs"]
    assert theirs["time_s"] == pytest.approx(ours["time_s"], rel=0.01)
    assert json.loads(run("show", str(shipped), "--batch", "2", "--format", "json"))["batch"] == 2


# ---------------------------------------------------------------------- list and show


@pytest.mark.parametrize("kind", ["networks", "systems", "gpus", "memories", "pims"])
def test_list_and_show_every_name(kind: str) -> None:
    rows = json.loads(run("list", kind, "--format", "json"))["names"]
    names = [row["name"] for row in rows]
    assert names == [row["name"] for row in csv.DictReader(io.StringIO(run("list", kind, "--format", "csv")))]
    assert names == [line.split()[0] for line in run("list", kind).splitlines()[2:]]
    for name in names[:: 4 if kind == "networks" else 1]:
        assert name in run("show", name)


def test_show_gives_every_value_its_unit_and_source() -> None:
    rows = json.loads(run("show", "v100-bankgroup-pim", "--format", "json"))["values"]
    values = {row["field"]: row for row in rows}
    assert all(row["source"] for row in rows)
    assert values["gpu.clock"]["value"] == 1.53e9
    assert values["gpu.clock"]["unit"] == "Hz"
    assert values["memory.timing.tCCD_L"]["unit"] == "clock"
    text = run("show", "v100-bankgroup-pim")
    # 4 units x tCCD_S / tCCD_L = 4 x 2 / 4, and 64 x 32 B x 877 MHz / 2.
    assert "derived: PIM bandwidth = 2 x the host's peak of 898.0 GB/s" in text
    assert next(iter(csv.DictReader(io.StringIO(run("show", "v100", "--format", "csv")))))["source"]


def test_show_network() -> None:
    document = json.loads(run("show", "resnet50", "--format", "json", "--batch", "2", "--image-size", "448"))
    assert (document["batch"], document["layers"][0]["output"]) == (2, "2x3x448x448")
    assert sum(layer["macs"] for layer in document["layers"]) == document["macs"]
    # 25.6 million parameters and 4.09 G multiply-accumulates are the published figures.
    assert run("show", "resnet50").splitlines()[-1] == "25.6 M parameters, 4.09 GMAC forward"


def test_show_a_file(tmp_path: Path) -> None:
    from importlib.resources import files

    path = tmp_path / "mine.yaml"
    path.write_text((files("pimmodel.models.gpus") / "v100.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    assert run("show", str(path)) == run("show", "v100")


# ---------------------------------------------------------------------- files


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_a_file_holds_what_would_be_printed(form: str, tmp_path: Path) -> None:
    path = tmp_path / "result"
    for command in (("estimate", "alexnet"), ("compare", "alexnet", "--batch", "8"), ("list", "gpus"), ("show", "t4")):
        assert run(*command, "--format", form, "-o", str(path)) == ""
        assert path.read_text(encoding="utf-8") == run(*command, "--format", form)
    assert [one.name for one in tmp_path.iterdir()] == ["result"]


@pytest.mark.skipif(os.name == "nt", reason="modes of files")
def test_a_file_has_the_usual_mode(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        run("list", "gpus", "-o", str(tmp_path / "result"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "result").stat().st_mode) == 0o644


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for target, reason in (("absent/x.json", "No such file"), ("folder", "directory")):
        done = CliRunner().invoke(app, ["list", "gpus", "-o", str(tmp_path / target)])
        assert done.exit_code == 1
        assert done.stderr.startswith(f"pimmodel: cannot write {tmp_path / target}: ")
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1
    assert [one.name for one in tmp_path.rglob("*")] == ["folder"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        done = CliRunner().invoke(app, ["list", "gpus", "-o", str(tmp_path / "x")])
    finally:
        tmp_path.chmod(0o700)
    assert done.exit_code == 1
    assert "Permission denied" in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_interrupted_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    done = CliRunner().invoke(app, ["list", "gpus", "-o", str(path)])
    assert (done.exit_code, path.read_text()) == (1, "old")
    assert "No space left on device" in done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["result"]


# ---------------------------------------------------------------------- as a process


def test_module_and_version(tmp_path: Path) -> None:
    done = process("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"pimmodel {pm.__version__}\n", "")
    assert "estimate" in process("--help", cwd=tmp_path).stdout


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
def test_a_reader_that_goes_early(tmp_path: Path) -> None:
    command = f"{sys.executable} -m pimmodel estimate resnet50 | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == ""
    title, code = done.stdout.splitlines()
    assert title.startswith("One training step")
    assert code == "0"


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("delay", [0.15, 0.3, 0.6])
def test_ctrl_c_ends_without_a_traceback(delay: float, tmp_path: Path) -> None:
    """Whenever it comes: while modules are imported, or in the middle of the work."""
    command = [sys.executable, "-m", "pimmodel", "list", "networks"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as running:
        time.sleep(delay)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    if running.returncode == 0:
        pytest.skip("it was done before")
    if running.returncode == -signal.SIGINT or re.search(r"site\.py|frozen site|import_site", errors):
        pytest.skip("Python itself had not started yet")
    assert running.returncode == 130
    assert errors == ""


def test_no_unicode(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "pimmodel", "estimate", "alexnet"], capture_output=True, cwd=tmp_path,
                          env=os.environ | {"PYTHONIOENCODING": "ascii"})  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"?s" in done.stdout


# ---------------------------------------------------------------------- on a terminal


def test_headers_are_bold_on_a_terminal_only(tmp_path: Path) -> None:
    assert "\033[1mname" in terminal(120, "list", "gpus")
    assert "\033" not in terminal(120, "list", "gpus", NO_COLOR="1")
    assert "\033" not in terminal(120, "list", "gpus", TERM="dumb")
    assert "\033" not in terminal(20, "list", "gpus", NO_COLOR="1")
    terminal(120, "list", "gpus", "-o", str(tmp_path / "x"))
    assert "\033" not in (tmp_path / "x").read_text()


@pytest.mark.parametrize("width", [40, 60, 80])
def test_tables_fold_on_a_narrow_terminal(width: int) -> None:
    text = terminal(width, "show", "v100", NO_COLOR="1")
    assert max(map(len, text.splitlines())) <= width
    assert "Volta" in text
    assert "…" not in text  # folded, nothing cut off
