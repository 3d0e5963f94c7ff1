"""Bad input: one clear line on standard error and exit code 1, wrong usage 2, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pimmodel.cli.app import app


def refused(*arguments: str | Path) -> str:
    """The line that a bad input gives."""
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    assert done.exit_code == 1, (done.output, done.exception)
    assert done.stdout == ""
    assert done.stderr.startswith("pimmodel: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


# ---------------------------------------------------------------------- networks


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["resnet5"], "unknown network 'resnet5'; did you mean resnet50"),
        (["ResNet50"], "did you mean resnet50? (or give an .onnx file)"),
        ([""], "unknown network ''"),
        (["x" * 5000], "unknown network 'xxx"),
        (["absent.onnx"], "absent.onnx: no such file"),
        (["resnet50", "--batch", "0"], "batch is 0; allowed: a whole number, 1 or more"),
        (["resnet50", "--batch", "-8"], "batch is -8; allowed: a whole number, 1 or more"),
        (["resnet50", "--batch", "1" + "0" * 30], "batch is too large; allowed: at most 1000000000"),
        (["resnet50", "--image-size", "0"], "image size is 0; allowed: a whole number, 1 or more"),
        (["vgg16", "--image-size", "16"], "'features.30' (Pool): image too small"),
        (["inception_v3", "--image-size", "64"], "(image size 64 x 64)"),
        (["resnet50", "--system", "v100-bankgroup"], "did you mean v100-bankgroup-pim"),
        (["resnet50", "--system", "V100-bankgroup-PIM"], "did you mean v100-bankgroup-pim?"),
        (["resnet50", "--system", "absent.yaml"], "absent.yaml: no such file or directory"),
    ],
)
@pytest.mark.parametrize("command", ["estimate", "compare"])
def test_networks_and_sizes(command: str, arguments: list[str], words: str) -> None:
    assert words in refused(command, *arguments)


def test_show_and_list() -> None:
    assert "did you mean hbm2" in refused("show", "HBM-2")
    assert "did you mean resnet50?" in refused("show", "RESNET50")
    assert "batch is 0" in refused("show", "resnet50", "--batch", "0")
    assert "absent.yaml" in refused("show", "absent.yaml")


@pytest.mark.parametrize(
    "arguments",
    [[], ["estimate"], ["estimate", "resnet50", "--batch", "many"], ["estimate", "resnet50", "--batch", "2.5"],
     ["estimate", "resnet50", "--policy", "exclusiv"], ["estimate", "resnet50", "--precision", "fp8"],
     ["estimate", "resnet50", "--bacth", "2"], ["estimate", "resnet50", "resnet18"], ["list", "disks"],
     ["estimate", "resnet50", "--format", "xml"], ["estimat", "resnet50"], ["list"], ["show"], ["-o"]],
)  # fmt: skip
def test_wrong_usage(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert "Traceback" not in done.output


# ---------------------------------------------------------------------- ONNX files


onnx = pytest.importorskip("onnx", reason="ONNX import needs onnx")
LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"


def save(path: Path, nodes: list, shape: tuple = (2, 4, 8, 8)) -> Path:  # type: ignore[type-arg]
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.zeros((6, 4, 3, 3), np.float32), "w")
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [weight],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def node(kind: str, inputs: str, output: str, name: str = ""):  # type: ignore[no-untyped-def]
    return onnx.helper.make_node(kind, inputs.split(), [output], name=name)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"\x89PNG\r\n\x1a\n", "not an ONNX"),
        (b"GIF89a" + bytes(range(256)), "not an ONNX"),
        ((LIGHT / "light_resnet50.onnx").read_bytes()[:1234], "not an ONNX file, or cut short"),
        ((LIGHT / "light_resnet50.onnx").read_bytes()[:-100], "not an ONNX file, or cut short"),
    ],
)
def test_bytes_that_are_no_onnx_file(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(content)
    message = refused("estimate", tmp_path / "net.onnx")
    assert words in message
    assert str(tmp_path / "net.onnx") in message


def test_a_directory() -> None:
    assert "is a directory" in refused("estimate", LIGHT)


def test_unknown_operator_is_named_and_accepted_on_request(tmp_path: Path) -> None:
    path = save(tmp_path / "net.onnx", [node("Conv", "x w", "a"), node("Frobnicate", "a", "y", name="n7")])
    message = refused("estimate", path)
    assert "node 'n7' (Frobnicate)" in message
    assert "--unknown-ops elementwise" in message
    done = CliRunner().invoke(app, ["estimate", str(path), "--unknown-ops", "elementwise"])
    assert done.exit_code == 0, done.output
    assert "Elementwise" in done.stdout


def test_open_image_size(tmp_path: Path) -> None:
    path = save(tmp_path / "net.onnx", [node("Conv", "x w", "y")], shape=("N", 4, "height", "width"))
    assert "dimension 2 ('height') has no fixed size; give the image size" in refused("estimate", path)
    assert CliRunner().invoke(app, ["estimate", str(path), "--image-size", "32"]).exit_code == 0
    assert "batch is -1" in refused("estimate", path, "--batch", "-1", "--image-size", "32")


def test_image_too_small(tmp_path: Path) -> None:
    path = save(tmp_path / "net.onnx", [node("Conv", "x w", "y")], shape=("N", 4, "height", "width"))
    assert "image too small" in refused("estimate", path, "--image-size", "2")


def test_cycle(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "c"), node("Add", "c b", "a"), node("Relu", "a", "b"), node("Add", "c a", "y")]
    assert "the graph has a cycle" in refused("estimate", save(tmp_path / "net.onnx", nodes))


def test_nothing_to_train(tmp_path: Path) -> None:
    assert "no trainable layer" in refused("estimate", save(tmp_path / "net.onnx", [node("Relu", "x", "y")]))


# ---------------------------------------------------------------------- YAML files


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("value: 877 MHz,", "value: 877 MB,", "field 'memory_clock' is '877 MB'; allowed: more than 0 Hz"),
        ("value: 877 MHz,", "value: nan MHz,", "field 'memory_clock' is 'nan MHz'"),
        ("value: 877 MHz,", "value: .nan,", "field 'memory_clock' is"),
        ("queue_capacity", "queue_capacty", "did you mean 'queue_capacity'"),
        ("memory_channels: {value: 64", "memory_channels: {value: 0", "a whole number, 1 or more"),
        ("memory_channels: {value: 64", "memory_channels: {value: .nan", "a whole number, 1 or more"),
        ("gpu: v100", "gpu: v1000", "did you mean 'v100'"),
        ("gpu: v100", "gpu: [v100", "not YAML"),
        ("theta_low: {value: 16", "theta_low: {value: 90", "less than theta_high = 58"),
    ],
)
def test_descriptions(old: str, new: str, words: str, tmp_path: Path) -> None:
    text = (files("pimmodel.models.systems") / "v100-bankgroup-pim.yaml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    message = refused("estimate", "resnet18", "--system", path)
    assert words in message
    assert str(path) in message


# ---------------------------------------------------------------------- as a process


@pytest.mark.parametrize(
    ("arguments", "code"), [(["estimate", "resnet5"], 1), (["estimate", "resnet50", "--batch", "x"], 2), ([], 2)]
)
def test_exit_codes_of_the_process(arguments: list[str], code: int, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "pimmodel", *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    if code == 1:
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""
