"""Calibration: constants that times were made with are found again, and the file that is written is a system."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml
from pimmodel.validation.calibrate import calibrate, kernels_of, relative_errors
from pimmodel.validation.calibrated import system_text
from pimmodel.validation.gpu import TABLES, system_of
from pimmodel.validation.measurements import KernelTime, read_kernels

import pimmodel as pm
from pimmodel.errors import PimModelError
from pimmodel.hardware.change import replace
from pimmodel.hardware.gpu import Gpu, KernelConstants
from pimmodel.roofline.host import host_bandwidth

V100 = pm.load_system("v100-bankgroup-pim")
BANDWIDTH = host_bandwidth(V100)
OTHER = KernelConstants(
    arithmetic_efficiency=0.8, dram_efficiency=0.75, tile_overhead=5.0, wave_latency=7000.0, winograd_traffic=0.6,
    launch_factor=1.6, compiled_kernel=1.1,
)  # fmt: skip


def with_constants(constants: KernelConstants) -> Gpu:
    return V100.gpu.model_copy(update={"kernels": constants})


def made_with(constants: KernelConstants, every: int) -> list[KernelTime]:
    """The shapes of every n-th pair of measured rows, with modelled times."""
    rows = [one for one in read_kernels(TABLES / "deepbench_v100_conv.csv").rows if one.row // 2 % every == 0]
    times = np.empty(len(rows))
    for places, kernels in kernels_of(rows, with_constants(constants), BANDWIDTH).values():
        times[places] = kernels.time
    return [dataclasses.replace(one, time=time) for one, time in zip(rows, times.tolist(), strict=True)]


def test_constants_are_found_again_from_every_second_row() -> None:
    """Times of rows 0, 2, 4 ... are the model's with other constants; the others are nonsense, and have no say."""
    times = made_with(OTHER, every=3)
    assert np.abs(relative_errors(times, V100.gpu, BANDWIDTH)).mean() > 0.1
    wild = [dataclasses.replace(one, time=one.time * 7) if one.row % 2 else one for one in times]
    seen: list[tuple[int, int]] = []
    found = calibrate(wild, V100.gpu, BANDWIDTH, progress=lambda done, total: seen.append((done, total)))
    for name, value in OTHER.model_dump().items():
        assert getattr(found.constants, name) == pytest.approx(value, rel=0.03), name
    assert len(found.fitted) == sum(one.row % 2 == 0 for one in times)
    assert len(found.held_out) == sum(one.row % 2 == 1 for one in times)
    assert np.abs(found.fitted).max() < 0.02
    assert np.abs(found.held_out - (1 / 7 - 1)).max() < 0.02
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))
    assert all(done <= total for done, total in seen)


def test_a_table_of_one_row_faster_than_any_peak() -> None:
    """It is fitted, though it is row 1, and nothing is held out; efficiencies stay shares."""
    times = [one for one in made_with(OTHER, every=1) if one.row == 1]
    fast = [dataclasses.replace(one, time=one.time / 5) for one in times]
    found = calibrate(fast, V100.gpu, BANDWIDTH)
    assert len(found.fitted) == len(times)
    assert found.held_out.shape == (0,)
    assert np.abs(found.fitted).max() < np.abs(relative_errors(fast, V100.gpu, BANDWIDTH)).max()
    assert 0.95 < max(found.constants.arithmetic_efficiency, found.constants.dram_efficiency) <= 1


def test_errors_are_relative_to_what_was_measured() -> None:
    times = made_with(V100.gpu.kernels, every=10)
    doubled = [dataclasses.replace(one, time=2 * one.time) for one in times]
    np.testing.assert_allclose(relative_errors(doubled, V100.gpu, BANDWIDTH), -0.5)


@pytest.mark.slow
def test_the_defaults_are_what_the_v100_table_gives() -> None:
    """Rounding and the flat bottom of the fit leave a few per cent; the errors do not change by half a point."""
    times = read_kernels(TABLES / "deepbench_v100_conv.csv").rows
    found = calibrate(times, V100.gpu, BANDWIDTH)
    for name, value in KernelConstants().model_dump().items():
        assert getattr(found.constants, name) == pytest.approx(value, rel=0.1), name
    held_out = [one for one in times if one.row % 2 == 1]
    before = np.abs(relative_errors(held_out, V100.gpu, BANDWIDTH))
    assert np.abs(found.held_out).mean() == pytest.approx(before.mean(), abs=0.005)


# ---------------------------------------------------------------------- the file


def test_the_file_is_a_system_with_these_constants(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(system_text(V100, OTHER, "fitted: my.csv"), encoding="utf-8")
    system = pm.load_system(path)
    assert system.gpu.kernels == OTHER
    assert system.name == "v100-bankgroup-pim-calibrated"
    # All else is as it was.
    assert system.gpu.model_copy(update={"kernels": V100.gpu.kernels}).model_dump() == V100.gpu.model_dump()
    assert system.memory.model_dump() == V100.memory.model_dump()
    network = pm.load_network("resnet18", 16)
    changed = pm.estimate(network, system, "gpu-only").time
    assert changed > 1.05 * pm.estimate(network, V100, "gpu-only").time  # every constant but one makes it slower
    same = replace(V100, {f"gpu.kernels.{name}": value for name, value in OTHER.model_dump().items()})
    assert changed == pm.estimate(network, same, "gpu-only").time


def test_it_says_where_the_constants_come_from() -> None:
    tree = yaml.safe_load(system_text(V100, OTHER, "fitted: my.csv"))
    assert tree["overrides"]["gpu.kernels.tile_overhead"] == {"value": 5.0, "source": "fitted: my.csv"}
    assert len(tree["overrides"]) == len(KernelConstants.model_fields)


def test_a_users_system_with_parts_beside_it(tmp_path: Path) -> None:
    """Relative part paths still lead there from another folder; other overrides stay; calibrating twice replaces."""
    from importlib.resources import files

    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    (home / "parts").mkdir(parents=True)
    elsewhere.mkdir()
    gpu = (files("pimmodel.models.gpus") / "v100.yaml").read_text(encoding="utf-8")
    (home / "parts" / "gpu.yaml").write_text(gpu.replace("name: v100", "name: my-v100"), encoding="utf-8")
    tree = yaml.safe_load((files("pimmodel.models.systems") / "v100-bankgroup-pim.yaml").read_text(encoding="utf-8"))
    tree |= {"name": "mine", "gpu": "parts/gpu.yaml"}
    tree["overrides"] = tree.get("overrides", {}) | {"gpu.l2_size": {"value": "5 MiB", "source": "estimate: by hand"}}
    (home / "mine.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    mine = pm.load_system(home / "mine.yaml")
    (elsewhere / "out.yaml").write_text(system_text(mine, OTHER, "fitted: a.csv"), encoding="utf-8")
    out = pm.load_system(elsewhere / "out.yaml")
    assert (out.gpu.name, out.gpu.kernels, out.gpu.l2_size) == ("my-v100", OTHER, 5 * 2**20)
    again = system_text(out, KernelConstants(), "fitted: b.csv")
    (elsewhere / "again.yaml").write_text(again, encoding="utf-8")
    assert pm.load_system(elsewhere / "again.yaml").gpu.kernels == KernelConstants()
    assert "a.csv" not in again


def test_a_gpus_own_file(tmp_path: Path) -> None:
    """`--gpu my-gpu.yaml`: the file that is written has that GPU, in a system with as fast a memory."""
    from importlib.resources import files

    text = (files("pimmodel.models.gpus") / "v100.yaml").read_text(encoding="utf-8")
    (tmp_path / "gpu.yaml").write_text(text.replace("sm_count: {value: 80,", "sm_count: {value: 40,"), encoding="utf-8")
    system = system_of(str(tmp_path / "gpu.yaml"))
    (tmp_path / "out.yaml").write_text(system_text(system, OTHER, "fitted: a.csv"), encoding="utf-8")
    out = pm.load_system(tmp_path / "out.yaml")
    assert (out.gpu.sm_count, out.gpu.kernels) == (40, OTHER)
    assert host_bandwidth(out) == BANDWIDTH


def test_a_system_that_came_from_no_file() -> None:
    with pytest.raises(PimModelError, match="came from no file; allowed: a built-in system"):
        system_text(V100.model_copy(update={"origin": "given in code"}), OTHER, "fitted")
