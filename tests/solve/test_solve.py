"""Inverse questions: targets as text, boundaries that meet, closed forms, impossible as an answer."""

from __future__ import annotations

import pytest

import pimmodel as pm
from pimmodel.errors import PimModelError
from pimmodel.estimates import estimate
from pimmodel.hardware.change import replace
from pimmodel.solve.search import solve
from pimmodel.solve.target import parse_target

SYSTEM = "v100-bankgroup-pim"


def _solve(unknown: str, target: str, **more: object) -> object:
    return solve(pm.load_network("alexnet", batch=4), pm.load_system(SYSTEM), unknown, target, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "time", "time <= ", "tme <= 1 s", "time <= 1 Hz", "time <= -1 s", "speedup >= 2",
                                  "speedup(serial >= 2", "speedup(ideal) >= 2", "time(serial) <= 1 s", "1 <= time <= 2",
                                  "images_per_second >= 5 s"])  # fmt: skip
def test_targets_that_cannot_be_read(text: str) -> None:
    with pytest.raises(PimModelError) as error:
        parse_target(text)
    assert "\n" not in str(error.value)


def test_the_boundary_is_where_estimate_meets_the_target() -> None:
    network, system = pm.load_network("alexnet", batch=4), pm.load_system(SYSTEM)
    now = estimate(network, system, "gpu-only").time
    found = solve(network, system, "gpu.clock", f"time <= {0.9 * now} s", "gpu-only")
    assert (found.status, found.side, found.monotone) == ("met", "smallest", True)
    at = estimate(network, replace(system, {"gpu.clock": found.value}), "gpu-only").time
    assert at == pytest.approx(0.9 * now, rel=1e-8)


def test_pim_bandwidth_has_a_closed_form() -> None:
    """Time under `serial` is a + b / x in the bandwidth of the PIM: at break-even both policies take as long."""
    found = _solve("pim.bandwidth", "speedup(gpu-only) == 1", policy="serial")
    assert (found.method, found.expression) == ("closed form", "time = a + b/x")  # type: ignore[attr-defined]
    assert found.result == pytest.approx(1, rel=1e-9)  # type: ignore[attr-defined]


def test_whole_numbers_have_both_neighbours() -> None:
    network, system = pm.load_network("alexnet", batch=4), pm.load_system(SYSTEM)
    one, four = (estimate(network, replace(system, {"pim.units_per_channel": n}), "serial").time for n in (1, 4))
    found = solve(network, system, "pim.units_per_channel", f"time <= {(one + four) / 2} s", "serial")
    assert found.bracket is not None
    low, high = found.bracket
    assert low.result > (one + four) / 2 >= high.result
    assert found.value == high.value == 2


def test_impossible_is_an_answer() -> None:
    found = _solve("pim.units_per_channel", "speedup(gpu-only) >= 50", policy="serial")
    assert found.status == "impossible"  # type: ignore[attr-defined]
    assert "set by" in found.forbidden_by  # type: ignore[attr-defined]


@pytest.mark.parametrize("more", [{"bounds": (2e9, 1e9)}, {"bounds": ("1 s", "2 s")}, {"policy": "ideal"}])
def test_refused(more: dict[str, object]) -> None:
    with pytest.raises(PimModelError):
        _solve("gpu.clock", "time <= 1 s", **more)
