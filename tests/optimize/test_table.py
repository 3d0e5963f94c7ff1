"""Threshold files: written, read back, and refused with file, line and task."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_networks import chain, work_of

import pimmodel as pm
from pimmodel.errors import DescriptionError, PimModelError
from pimmodel.optimize.search import optimize_plan
from pimmodel.optimize.table import load_plan, plan_rows, plan_text
from pimmodel.scenario import Policy
from pimmodel.schedule.plan import run, uniform_plan

V100 = pm.load_system("v100-bankgroup-pim")
WORK = work_of(chain(2), V100)
HEAD = "schema: pimmodel/thresholds/1\norder: rearranged\ntasks:\n"


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "thresholds.yaml"
    file.write_text(text)
    return file


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    found = optimize_plan(WORK)
    plan = load_plan(written(tmp_path, plan_text(WORK, found.plan, "chain")), WORK)
    assert plan_rows(WORK, plan) == plan_rows(WORK, found.plan)
    assert plan.on_pim.tolist() == found.plan.on_pim.tolist()
    assert run(WORK, plan).makespan == pytest.approx(found.schedule.makespan, rel=1e-12)


def test_quotas_and_placement_are_kept(tmp_path: Path) -> None:
    policy = Policy(kind="exclusive", theta_low=3, theta_high=40, quota_host=100, quota_pim=200)
    on_pim = uniform_plan(WORK).on_pim.copy()
    on_pim[WORK.table.names.index("FWD(bn1)")] = False
    plan = uniform_plan(WORK, policy, chunks=2, order="serial", on_pim=on_pim)
    again = load_plan(written(tmp_path, plan_text(WORK, plan, "chain")), WORK)
    assert plan_rows(WORK, again) == plan_rows(WORK, plan)
    assert again.on_pim.tolist() == on_pim.tolist()
    assert again.order == "serial"


def test_a_task_that_is_not_listed_does_not_share(tmp_path: Path) -> None:
    plan = load_plan(written(tmp_path, HEAD + "  FP(conv1): {theta_low: 4, theta_high: 50, chunks: 4}\n"), WORK)
    rows = {row["task"]: row for row in plan_rows(WORK, plan)}
    assert rows["FP(conv1)"]["theta_high"] == 50
    assert not rows["DW(conv1)"]["shares"]
    assert rows["DW(conv1)"]["chunks"] == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("FP(conv9): {theta_low: 1, theta_high: 2}", "yaml:4: field 'tasks.FP(conv9)' is no task of this step"),
        ("FP(conv1): {theta_low: 9, theta_high: 9}", ":4: field 'tasks.FP(conv1).theta_low' is 9; allowed: less than"),
        ("FP(conv1): {theta_low: 9, theta_high: 65}", "'tasks.FP(conv1).theta_high' is 65; allowed: at most 64"),
        ("FP(conv1): {theta_low: -1, theta_high: 5}", "'tasks.FP(conv1).theta_low' is -1"),
        ("FP(conv1): {theta_low: 1.5, theta_high: 5}", "'tasks.FP(conv1).theta_low' is 1.5; allowed: a whole number"),
        ("FP(conv1): {theta_low: 1}", "'tasks.FP(conv1).theta_high' is None"),
        ("FP(conv1): {theta_low: 1, theta_high: 5, chunks: 3}", "chunks' is 3; allowed: one of 1, 2, 4, 8, 16"),
        ("FP(conv1): {share: false, theta_low: 5}", "allowed: nothing, since the task does not share"),
        ("FP(conv1): {low: 1}", "'tasks.FP(conv1).low' is unknown"),
        ("FP(conv1): 5", "'tasks.FP(conv1)' is 5"),
        ("FWD(bn1): {theta_low: 1, theta_high: 5}", "'tasks.FWD(bn1)' is not a CONV task"),
    ],
)  # fmt: skip
def test_bad_entries_are_refused_with_line_and_task(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(DescriptionError) as error:
        load_plan(written(tmp_path, HEAD + "  " + line + "\n"), WORK)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tasks: {}\n", "field 'schema' is missing; allowed: pimmodel/thresholds/1"),
        ("schema: pimmodel/thresholds/9\n", "allowed: pimmodel/thresholds/1"),
        ("schema: pimmodel/thresholds/1\norder: sideways\n", ":2: field 'order' is 'sideways'"),
        ("schema: pimmodel/thresholds/1\nthetas: {}\n", ":2: field 'thetas' is unknown"),
        ("schema: pimmodel/thresholds/1\non_gpu: {FP(conv0): true}\n", "is a CONV task"),
        ("schema: pimmodel/thresholds/1\non_gpu: {FWD(bn0): 3}\n", "allowed: true"),
        ("schema: pimmodel/thresholds/1\ntasks: 7\n", "'tasks' is 7; allowed: a mapping"),
        ("[1, 2\n", "not YAML"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(PimModelError) as error:
        load_plan(written(tmp_path, text), WORK)
    assert words in str(error.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.yaml", tmp_path):
        with pytest.raises(PimModelError, match=str(path)):
            load_plan(path, WORK)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(PimModelError, match="not a text file"):
        load_plan(tmp_path / "binary.yaml", WORK)


def test_thresholds_need_the_exclusive_policy(tmp_path: Path) -> None:
    file = written(tmp_path, HEAD + "  FP(conv1): {theta_low: 4, theta_high: 50}\n")
    with pytest.raises(PimModelError, match="thresholds are given for policy 'serial'"):
        pm.estimate(chain(2), V100, "serial", thresholds=file)
    assert pm.estimate(chain(2), V100, thresholds=file).policy == "exclusive"
