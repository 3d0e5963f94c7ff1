"""The measuring script: tried on the processor with tiny shapes; what it writes is read, and used, as measurements."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest
from pimmodel.validation.measure_gpu import KERNEL_HEADER, LAYER_HEADER, main, shapes_of
from pimmodel.validation.measurements import read_kernels

HEADER = "precision,N,C,H,W,K,R,S,pad_h,pad_w,stride_h,stride_w,fwd_ms,bwd_data_ms,bwd_weight_ms"
TINY = [
    "fp32,1,3,9,8,4,3,3,1,1,2,2,0.1,,0.1",  # an image: no data gradient
    "fp32,2,4,6,7,8,1,3,0,1,1,1,0.1,0.1,0.1",
    "fp16,2,4,6,7,8,1,3,0,1,1,1,0.1,0.1,0.1",  # the same shape: measured once per precision asked for
]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "shapes.csv"
    path.write_text("\n".join([HEADER, *TINY]) + "\n", encoding="utf-8")
    return path


def test_shapes_of_a_table_are_distinct(table: Path) -> None:
    found, skipped = shapes_of(None, 64, table)
    assert skipped == []
    # (9 + 2 - 3) // 2 + 1 = 5, (8 + 2 - 3) // 2 + 1 = 4; 6 x 7 as it is.
    assert [(shape.n, shape.c, shape.k, shape.p, shape.q, padding) for _, shape, padding in found] == [
        (1, 3, 4, 5, 4, (1, 1)), (2, 4, 8, 6, 7, (0, 1)),
    ]  # fmt: skip


def test_groups_of_a_table_are_kept_and_bad_lines_named(tmp_path: Path) -> None:
    path = tmp_path / "grouped.csv"
    path.write_text(f"{HEADER},groups\n{TINY[1]},4\n{TINY[1]},\n{TINY[1]},N/A\n", encoding="utf-8")
    found, skipped = shapes_of(None, 64, path)
    assert [shape.groups for _, shape, _ in found] == [4, 1]
    (sentence,) = skipped
    assert f"{path}:4: groups is 'N/A'" in sentence


def test_shapes_of_a_network() -> None:
    # ResNet-18: 7 x 7; 3 x 3 of four widths; three 3 x 3 of stride 2 that widen, three 1 x 1 beside them.
    found, _ = shapes_of("resnet18", 2, None)
    assert len(found) == 1 + 4 + 3 + 3
    assert all(shape.n == 2 for _, shape, _ in found)
    assert found[0][1:] == ((2, 3, 224, 224, 64, 112, 112, 7, 7, 2, 2, 1, False), (3, 3))


def test_default_shapes_are_those_that_ship() -> None:
    # 94 rows of DeepBench, of which `cut -d, -f3-13 | sort -u` leaves 90.
    shapes, _ = shapes_of(None, 64, None)
    assert len(shapes) == 90


def test_without_torch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["-o", str(tmp_path / "out.csv")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("measure_gpu: torch is not installed")
    assert error.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()


def test_without_a_cuda_gpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch", reason="the script measures with torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["-o", str(tmp_path / "out.csv")]) == 1
    assert capsys.readouterr().err == "measure_gpu: torch sees no CUDA GPU\n"
    assert not (tmp_path / "out.csv").exists()


def test_bad_arguments(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the script measures with torch")
    cpu = ["-o", str(tmp_path / "out.csv"), "--device", "cpu"]
    assert main([*cpu, "--table", str(tmp_path / "absent.csv")]) == 1
    assert "absent.csv" in capsys.readouterr().err
    assert main([*cpu, "--network", "resnet5"]) == 1
    assert "unknown network 'resnet5'" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_what_it_writes_is_read_as_measurements(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="the script measures with torch")
    monkeypatch.setattr("pimmodel.validation.measure_gpu.MAPS", ((2, 4, 8, 8), (1, 2, 4, 4)))
    out, layers = tmp_path / "out.csv", tmp_path / "layers.csv"
    arguments = ["-o", str(out), "--layers", str(layers), "--table", str(table), "--device", "cpu", "--runs", "1"]
    assert main([*arguments, "--precision", "fp32", "--most", "1"]) == 0
    measured = read_kernels(out)
    assert measured.skipped == []
    (first, *_) = read_kernels(table).rows
    assert {one.shape for one in measured.rows} == {first.shape}
    assert [one.phase for one in measured.rows] == ["FP", "DW"]
    with open(layers, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == LAYER_HEADER
    assert [row["layer"] for row in rows] == ["BatchNorm", "ReLU", "Add", "MaxPool"]
    assert all(float(row["forward_ms"]) > 0 and float(row["backward_ms"]) > 0 for row in rows)
    assert {row["tensor_bytes"] for row in rows} == {str(2 * 4 * 8 * 8 * 4)}


def test_channels_last_and_tf32(table: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the script measures with torch")
    out = tmp_path / "out.csv"
    arguments = ["-o", str(out), "--table", str(table), "--device", "cpu", "--runs", "1", "--layout", "NHWC"]
    assert main([*arguments, "--precision", "fp32", "tf32"]) == 0
    with open(out, newline="", encoding="utf-8") as file:
        assert tuple(next(csv.reader(file))) == KERNEL_HEADER
    measured = read_kernels(out).rows
    assert [(one.precision, one.phase) for one in measured] == [
        (precision, phase) for precision in ("fp32", "tf32") for phase in ("FP", "DW", "FP", "DX", "DW")
    ]
    assert all(one.channels_last for one in measured)
