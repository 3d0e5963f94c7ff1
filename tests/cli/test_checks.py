"""The commands that compare: simulate, validate contention, validate dram."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pimmodel.cli.app import app

pytest.importorskip("numba", reason="the reference simulator needs numba")
SHORT = """
memory: hbm2-ramulator
stream: {rate: 0.2, substreams: 16, spread: 1, columns: 16, write_share: 0.0}
queue: {capacity: 64, window: 64}
kernel: {passes: [{operands: [{write: false}]}], units: 4, cadence: 4, columns_per_row: 32}
policy: {kind: exclusive, theta_low: 12, theta_high: 60}
refresh: off
cycles: 200000
warmup: 10000
seed: 1
"""


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_simulate_puts_both_side_by_side(tmp_path: Path) -> None:
    file = tmp_path / "short.yaml"
    file.write_text(SHORT)
    code, text, _ = run("simulate", str(file), "--format", "json")
    assert code == 0
    document = json.loads(text)
    assert document["schema"] == "pimmodel/simulation/1"
    rates = {"host_rate", "pim_rate", "switches_per_kilocycle", "activates_per_request", "host_stall_share"}
    assert set(document["formula"]) == set(document["simulator"]) == rates
    # Simulated in the design: the PIM at 38 % of its rate, the host 7 % below lambda = 0.2.
    assert document["simulator"]["pim_rate"] == pytest.approx(0.38, abs=0.03)
    assert document["formula"]["host_rate"] == pytest.approx(0.186, abs=0.006)
    code, text, _ = run("simulate", str(file))
    assert code == 0
    assert "requests/clock" in text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("theta_low: 12", "theta_low: 60", "theta_low' is 60; allowed: less than theta_high = 60"),
        ("rate: 0.2", "rate: -0.2", "stream.rate"),
        ("substreams: 16", "substreams: 0", "stream.substreams"),
        ("rate: 0.2", "raet: 0.2", "stream.ra"),
        ("rate: 0.2", "rate: .nan", "stream.rate"),
        ("hbm2-ramulator", "hbm9", "unknown memory 'hbm9'"),
        ("cadence: 4", "cadence: 1", "kernel.cadence' is 1; allowed: at least tCCD_L = 4"),
        ("units: 4", "units: 5", "kernel.units' is 5; allowed: a divisor of the 16 banks"),
        ("cycles: 200000", "cycles: 0", "cycles' is 0; allowed: a whole number, 1 or more"),
        ("kind: exclusive", "kind: exclusiv", "policy.kind"),
        ("memory: hbm2-ramulator", "memory: 7", "memory' is 7"),
        ("queue:", "queueue:", "queueue"),
        ("policy: {", "policy: {{", "not YAML"),
    ],
)
def test_bad_scenarios_end_with_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(SHORT.replace(old, new))
    code, text, error = run("simulate", str(file))
    assert code == 1
    assert text == ""
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_missing_file_and_unknown_name() -> None:
    code, _, error = run("simulate", "nowhere.yaml")
    assert (code, error) == (1, "pimmodel: nowhere.yaml: no such file or directory\n")
    code, _, error = run("simulate", "exclusiv")
    assert code == 1
    assert "did you mean exclusive?" in error


def test_validate_contention_rows_and_files(tmp_path: Path) -> None:
    arguments = ("validate", "contention", "--quick", "--n", "6", "--seed", "1", "--workers", "1", "--format", "json")
    files = ("--csv", str(tmp_path / "all.csv"), "--worst", str(tmp_path / "worst"))
    code, text, _ = run(*arguments, *files)
    assert code == 0
    rows = json.loads(text)
    assert set(rows[0]) == {"data", "quantity", "n", "median", "mean", "p90", "p95", "worst", "target", "met"}
    assert rows[0]["quantity"] == "sustained bandwidth"
    assert rows[0]["n"] == 6
    # Every draw is in: each gives a bandwidth, a kernel, a PIM rate in one of two regions, and a pair.
    counts = {row["quantity"]: row["n"] for row in rows}
    assert counts["PIM rate, regular region"] + counts["PIM rate, other draws [share of full rate]"] == 6
    assert counts["pair time, all policies"] == 6
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 1 + sum(
        count for quantity, count in counts.items() if not quantity.startswith("pair time, ") or "all" in quantity
    )
    code, again, _ = run(*arguments)
    assert again == text, "the same seed gives the same rows"
    worst = next((tmp_path / "worst").glob("sustained*.yaml"))
    worst.write_text(worst.read_text().replace("cycles: 2000000", "cycles: 20000"))
    assert run("simulate", str(worst))[0] == 0


def test_validate_refuses_bad_options(tmp_path: Path) -> None:
    assert run("validate", "contention", "--n", "0", "--quiet")[0] == 1
    code, _, error = run("validate", "dram", "--truth", str(tmp_path / "nowhere"))
    assert code == 1
    assert "nowhere" in error


@pytest.mark.slow
def test_targets_of_the_medians() -> None:
    """What has been reached must not be lost: medians over 120 fresh draws, well above the figures in the README."""
    from pimmodel.validation.contention import QUANTITIES, rows, validate_contention

    table = {row.quantity: row for row in rows(validate_contention(120, seed=7, workers=2), 7)}
    limits = (0.08, 0.03, 0.08, 0.12, 0.005, 0.06)
    for quantity, limit in zip(QUANTITIES, limits, strict=True):
        assert table[quantity].median <= limit, table[quantity]
