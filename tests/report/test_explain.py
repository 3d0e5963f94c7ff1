"""`pimmodel explain`: numbers put into the formulas are the model's own, and the active bound is the largest."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

import pimmodel as pm
from pimmodel.cli.app import app
from pimmodel.errors import UnknownNameError
from pimmodel.report.explain import explain, explanation_dict, explanation_text, substituted
from pimmodel.roofline.tiles import kernel_time, memory_time
from pimmodel.step import prepare

V100 = pm.load_system("v100-bankgroup-pim")
STEP = prepare(pm.load_network("resnet18", batch=16), V100)


def test_numbers_stand_where_the_symbols_stood() -> None:
    # 3-4-5: sqrt((3 ms)^2 + (4 ms)^2) + 2 us
    one = substituted(kernel_time, "s", compute=3e-3, memory=4e-3, kernels=1, launch=2e-6)
    assert one.value == pytest.approx(5.002e-3)
    assert eval(one.numbers, {"sqrt": math.sqrt}) == pytest.approx(one.value)
    one = substituted(memory_time, "s", traffic=900e9, bandwidth=900e9, l2_traffic=1e9, l2_bandwidth=2e12)
    assert one.expression == "Max(traffic/bandwidth, l2_traffic/l2_bandwidth)"
    assert eval(one.numbers, {"Max": max}) == 1.0


@pytest.mark.parametrize("layer", ["conv1", "layer1.0.conv1", "layer1.0.bn1", "relu", "maxpool", "fc"])
def test_every_task_of_a_layer_is_explained_with_its_own_time(layer: str) -> None:
    parts = explain(STEP, layer)
    for index, task in enumerate(STEP.tasks):
        if task.layer != layer:
            continue
        on_gpu = next(one for one in parts if one.title.startswith(f"{task.name} on the GPU"))
        assert on_gpu.bounds
        assert max(on_gpu.bounds.values()) <= STEP.host[index] * (1 + 1e-9)
        assert sum(on_gpu.bounds.values()) >= STEP.host[index] * (1 - 1e-9)
        assert on_gpu.active.startswith(max(on_gpu.bounds, key=lambda name: on_gpu.bounds[name]))
        on_pim = [one for one in parts if one.title.startswith(f"{task.name} on the PIM")]
        assert len(on_pim) == (not np.isnan(STEP.pim[index]))
        for one in on_pim:
            assert one.formulas[0].value == pytest.approx(STEP.pim[index], rel=1e-9)
            assert max(one.bounds.values()) == pytest.approx(STEP.pim[index], rel=1e-9)


def test_streams_add_up_to_the_task() -> None:
    (forward,) = [one for one in explain(STEP, "layer1.0.bn1") if one.title.startswith("FWD(layer1.0.bn1) on the GPU")]
    index = next(i for i, task in enumerate(STEP.tasks) if task.name == "FWD(layer1.0.bn1)")
    assert sum(one.value for one in forward.formulas) == pytest.approx(STEP.host[index], rel=1e-9)
    assert len(forward.formulas) == 2  # two passes


def test_sharing_goes_with_the_work_that_follows() -> None:
    titles = [one.title for one in explain(STEP, "layer1.0.conv1") if " with " in one.title]
    assert [title.split(" on the PIM")[0] for title in titles] == [
        "FP(layer1.0.conv1) with FWD(layer1.0.bn1)",  # not the backward pass, which reads y again later
        "DX(layer1.0.conv1) with ACC(maxpool)",
        "DW(layer1.0.conv1) with UPD(layer1.0.conv1)",
    ]


def test_text_and_document() -> None:
    parts = explain(STEP, "layer1.0.bn1")
    text = explanation_text(parts)
    assert "stream_time = launch + sms*ceiling(blocks/sms)*Max(traffic/bandwidth" in text
    assert "bandwidth: DRAM bandwidth [B/s]" in text
    document = json.loads(json.dumps(explanation_dict(STEP, "layer1.0.bn1", parts), allow_nan=False))
    assert document["schema"] == "pimmodel/explanation/1"
    assert [part["title"] for part in document["parts"]] == [one.title for one in parts]


def test_unknown_layer() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean layer1\.0\.conv1"):
        explain(STEP, "layer1.0.conv")


def test_command_line() -> None:
    runner = CliRunner()
    shown = runner.invoke(app, ["explain", "alexnet", "features.0", "--batch", "4"])
    assert shown.exit_code == 0, shown.output
    assert "on the GPU" in shown.output
    shown = runner.invoke(app, ["explain", "alexnet", "features.0", "--batch", "4", "--format", "json"])
    assert json.loads(shown.output)["layer"] == "features.0"
    shown = runner.invoke(app, ["explain", "alexnet", "features.99"])
    assert shown.exit_code == 1
    assert "Traceback" not in shown.output
