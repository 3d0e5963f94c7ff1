"""Measured tables: what a good line means, and that every bad one is named by its line and skipped."""

from __future__ import annotations

from pathlib import Path

import pytest
from pimmodel.validation.gpu import TABLES, validate_gpu
from pimmodel.validation.measurements import read_kernels, read_profiles, read_throughput

from pimmodel.errors import PimModelError
from pimmodel.network.conv_shape import ConvShape

HEADER = "precision,app,N,C,H,W,K,R,S,pad_h,pad_w,stride_h,stride_w,fwd_ms,bwd_data_ms,bwd_weight_ms"
GOOD = "fp32,net,4,16,28,30,32,3,5,1,2,2,1,0.5,0.75,1.5"
COLUMNS = HEADER.split(",")


def write(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "kernels.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def changed(**cells: str) -> str:
    """The good line with other cells."""
    values = dict(zip(COLUMNS, GOOD.split(","), strict=True)) | cells
    return ",".join(values[name] for name in COLUMNS)


# ---------------------------------------------------------------------- good lines


def test_a_line_is_up_to_three_kernels(tmp_path: Path) -> None:
    table = read_kernels(write(tmp_path, GOOD, changed(bwd_data_ms="", precision="FP16")))
    # (28 + 2 - 3) // 2 + 1 = 14 rows out, (30 + 4 - 5) // 1 + 1 = 30 columns.
    shape = ConvShape(4, 16, 28, 30, 32, 14, 30, 3, 5, 2, 1)
    assert [(one.row, one.precision, one.phase, one.time) for one in table.rows] == [
        (0, "fp32", "FP", 0.5e-3), (0, "fp32", "DX", 0.75e-3), (0, "fp32", "DW", 1.5e-3),
        (1, "fp16", "FP", 0.5e-3), (1, "fp16", "DW", 1.5e-3),
    ]  # fmt: skip
    assert {one.shape for one in table.rows} == {shape}
    assert table.skipped == []
    assert not any(one.channels_last for one in table.rows)


def test_optional_columns(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + ",4,nhwc,x,T4", GOOD + ",,,,", header=HEADER + ",groups,layout,anything,gpu")
    table = read_kernels(path)
    assert [one.shape.groups for one in table.rows] == [4, 4, 4, 1, 1, 1]
    assert [one.channels_last for one in table.rows] == [True] * 3 + [False] * 3
    assert [one.gpu for one in table.rows] == ["T4"] * 3 + [""] * 3


def test_spreadsheets_mark_their_files(tmp_path: Path) -> None:
    """A byte order mark, quotes and CRLF, columns in any order, white space around cells, blank lines."""
    path = tmp_path / "kernels.csv"
    names, cells = COLUMNS[::-1], GOOD.split(",")[::-1]
    text = ",".join(f'"{name}"' for name in names) + "\r\n\r\n" + ",".join(f'" {cell} "' for cell in cells) + "\r\n"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    (tmp_path / "plain").mkdir()
    assert read_kernels(path).rows == read_kernels(write(tmp_path / "plain", GOOD)).rows


def test_shipped_tables_are_read_whole() -> None:
    # README of the tables: 94 layers in two precisions; the first layers have no data gradient.
    kernels = read_kernels(TABLES / "deepbench_v100_conv.csv")
    assert kernels.skipped == []
    assert {one.row for one in kernels.rows} == set(range(188))
    assert sum(one.phase == "FP" for one in kernels.rows) == sum(one.phase == "DW" for one in kernels.rows)
    profiles, throughput = read_profiles(TABLES / "pipedream_profiles.csv"), read_throughput(TABLES / "throughput.csv")
    assert profiles.skipped == throughput.skipped == []
    assert {one.network for one in profiles.rows} == {"inception_v3", "resnet50", "vgg16"}
    assert len(throughput.rows) == 13


# ---------------------------------------------------------------------- bad lines


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (changed(fwd_ms="-0.5"), "fwd_ms is '-0.5'; allowed: a number above 0"),
        (changed(bwd_data_ms="0"), "bwd_data_ms is '0'; allowed: a number above 0"),
        (changed(bwd_weight_ms="N/A"), "bwd_weight_ms is 'N/A'"),
        (changed(fwd_ms="nan"), "fwd_ms is 'nan'"),
        (changed(fwd_ms="inf"), "fwd_ms is 'inf'"),
        (changed(fwd_ms="1,5"), "more cells than the header"),
        (changed(fwd_ms="", bwd_data_ms="", bwd_weight_ms=""), "no time is given"),
        (changed(N="0"), "N is '0'; allowed: a number of at least 1"),
        (changed(C="16.5"), "C is '16.5'; allowed: a whole number of at least 1"),
        (changed(K=""), "K is ''"),
        (changed(K="many"), "K is 'many'"),
        (changed(stride_w="0"), "stride_w is '0'"),
        (changed(pad_h="-1"), "pad_h is '-1'; allowed: a number of at least 0"),
        (changed(R="31"), "a filter of 31 x 5 does not fit the padded image"),
        (changed(precision="int8"), "precision is 'int8'; allowed: fp32, float32, tf32"),
        (changed(precision=""), "precision is ''"),
        ("fp32,net,4,16", "the line ends too early"),
        (GOOD.rpartition(",")[0], "the line ends too early"),
        ("total", "the line ends too early"),
    ],
)
def test_a_bad_line_is_named_and_skipped(line: str, words: str, tmp_path: Path) -> None:
    path = write(tmp_path, GOOD, line, changed(N="8"))
    table = read_kernels(path)
    (sentence,) = table.skipped
    assert sentence.startswith(f"{path}:3: ")
    assert words in sentence
    assert sentence.endswith("; line skipped")
    # The lines around it stay, and keep their places: every second row is fitted.
    assert [one.row for one in table.rows] == [0, 0, 0, 2, 2, 2]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ("3,", "groups is '3'; allowed: a divisor of C = 16"),
        ("0,", "groups is '0'"),
        ("2.5,", "groups is '2.5'; allowed: a whole number"),
        (",NCWH", "layout is 'NCWH'; allowed: NCHW, NHWC"),
    ],
)
def test_bad_optional_cells(cells: str, words: str, tmp_path: Path) -> None:
    table = read_kernels(write(tmp_path, f"{GOOD},{cells}", f"{GOOD},1,NCHW", header=HEADER + ",groups,layout"))
    (sentence,) = table.skipped
    assert ":2: " in sentence
    assert words in sentence
    assert len(table.rows) == 3


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    """Blank lines and quoted line breaks count."""
    path = write(tmp_path, "", changed(app='"two\nlines"'), changed(N="none"))
    assert read_kernels(path).skipped[0].startswith(f"{path}:5: N is 'none'")


PROFILE = "network,batch,op,layer,forward_ms,backward_ms,activation_bytes"
THROUGHPUT = "network,batch,precision,gpu,images_per_s"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("net,64,ReLU,ReLU(),-1,2,3", "forward_ms is '-1'"),
        ("net,64,ReLU,ReLU(),1,N/A,3", "backward_ms is 'N/A'"),
        ("net,64,ReLU,ReLU(),1,2,", "activation_bytes is ''"),
        ("net,0.5,ReLU,ReLU(),1,2,3", "batch is '0.5'"),
        ("net,64,Conv2d,Conv2d(3, 8),1,2,3", "more cells than the header; is a comma not quoted?"),
    ],
)
def test_bad_profile_lines(line: str, words: str, tmp_path: Path) -> None:
    table = read_profiles(write(tmp_path, "net,64,ReLU,ReLU(),0,2,3", line, header=PROFILE))
    (sentence,) = table.skipped
    assert ":3: " in sentence
    assert words in sentence
    (row,) = table.rows
    assert (row.forward, row.backward, row.activation_bytes) == (0, 2e-3, 3)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("resnet50,64,fp32,v100,0", "images_per_s is '0'"),
        ("resnet50,64,fp32,v100,fast", "images_per_s is 'fast'"),
        ("resnet50,-64,fp32,v100,300", "batch is '-64'"),
        ("resnet50,64,fp64,v100,300", "precision is 'fp64'"),
    ],
)
def test_bad_throughput_lines(line: str, words: str, tmp_path: Path) -> None:
    table = read_throughput(write(tmp_path, "resnet50,64,amp,V100,300", line, header=THROUGHPUT))
    (sentence,) = table.skipped
    assert ":3: " in sentence
    assert words in sentence
    assert [one.precision for one in table.rows] == ["fp16"]


def test_what_was_timed(tmp_path: Path) -> None:
    lines = [f"resnet50,64,fp32,v100,300{part}" for part in (",", ",step", ",Forward+Backward", ",forward")]
    table = read_throughput(write(tmp_path, *lines, header=THROUGHPUT + ",part"))
    assert [one.updates for one in table.rows] == [True, True, False]
    assert table.skipped[0].endswith("part is 'forward'; allowed: step, forward+backward; line skipped")


def test_unknown_networks_gpus_and_layers_are_named_and_skipped(tmp_path: Path) -> None:
    steps = tmp_path / "steps.csv"
    steps.write_text(
        f"{THROUGHPUT}\nresnet50,64,fp32,V100,300\nresnet51,64,fp32,V100,300\nresnet50,64,fp32,MI300,300\n"
    )
    rows, skipped = validate_gpu(throughput=steps)
    assert [row.n for row in rows if row.quantity == "training step"] == [1]
    assert len(skipped) == 2
    assert "resnet51 on V100: unknown network 'resnet51'" in skipped[0]
    assert "resnet50 on MI300" in skipped[1]
    layers = tmp_path / "layers.csv"
    odd = ("Conv2d,Conv2d(3 to 8),1,2,4096", '"Conv2d","Conv2d(3, 8, kernel_size=(3, 3), stride=(0, 1))",1,2,4096',
           "BatchNorm2d,BatchNorm2d,1,2,4096")  # fmt: skip
    layers.write_text("\n".join([PROFILE, "net,1,ReLU,ReLU(),1,2,4096", *(f"net,1,{one}" for one in odd)]))
    rows, skipped = validate_gpu(profiles=layers)
    assert [row.quantity for row in rows] == ["net, ReLU total"]
    assert [sentence.split(":")[0] for sentence in skipped] == [f"layers.csv, data row {row}" for row in (2, 3, 4)]
    assert all("is not as PyTorch prints it" in sentence for sentence in skipped)


# ---------------------------------------------------------------------- files that are none


def refused(path: Path) -> str:
    with pytest.raises(PimModelError) as caught:
        read_kernels(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_missing_columns_are_all_named(tmp_path: Path) -> None:
    header = HEADER.replace("pad_h,", "").replace("bwd_data_ms", "bwd_ms")
    assert "missing column pad_h, bwd_data_ms; needed: precision, N" in refused(write(tmp_path, GOOD, header=header))
    (tmp_path / "kernels.csv").write_bytes(b"")
    assert "missing column precision" in refused(tmp_path / "kernels.csv")


def test_no_usable_line(tmp_path: Path) -> None:
    assert "no usable line" in refused(write(tmp_path))
    message = refused(write(tmp_path, *[changed(fwd_ms="N/A")] * 9))
    assert "no usable line" in message
    assert message.count("line skipped") == 5, "the first few say what is wrong"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "absent.csv")
    assert "directory" in refused(tmp_path)
    bad = tmp_path / "bad.csv"
    bad.write_bytes(HEADER.encode() + b"\nfp32,caf\xe9" + GOOD[8:].encode())
    assert "cannot be read as a CSV file: 'utf-8' codec" in refused(bad)
    bad.write_bytes(HEADER.encode() + b"\n" + b'"' + b"x" * 200_000)
    assert "field larger than field limit" in refused(bad)
