"""Pictures: every datum is drawn once, axes name their units, colours stay; what cannot be drawn is refused."""

from __future__ import annotations

import io
import math
import re
import subprocess
import sys

import numpy as np
import pytest

import pimmodel as pm
from pimmodel.estimates import POLICIES as ALL_POLICIES
from pimmodel.estimates import Estimate
from pimmodel.optimize.pair import best_thresholds, companion
from pimmodel.optimize.policies import ideas
from pimmodel.pim.tasks import pim_kernel
from pimmodel.plots import (
    Compared,
    Design,
    Swing,
    formula_against_simulator,
    idea_comparison,
    layer_breakdown,
    pareto,
    policy_comparison,
    roofline,
    threshold_surface,
    tornado,
)
from pimmodel.plots.roofs import roofs
from pimmodel.plots.style import PARTS, PHASES, POLICIES
from pimmodel.plots.surfaces import pair_surface, paired
from pimmodel.step import Step

pytest.importorskip("matplotlib", reason="pictures need matplotlib")

SYSTEM = pm.load_system("v100-bankgroup-pim")
CHOSEN = ("gpu-only", "serial", "exclusive", "ideal")


@pytest.fixture(scope="module")
def estimates() -> list[Estimate]:
    return pm.compare(pm.load_network("resnet18", batch=8), SYSTEM, policies=CHOSEN)


@pytest.fixture(scope="module")
def step(estimates: list[Estimate]) -> Step:
    return estimates[0].step


def hexes(colours) -> list[str]:  # type: ignore[no-untyped-def]
    from matplotlib.colors import to_hex

    return [to_hex(one).upper() for one in colours]


def drawable(figure) -> None:  # type: ignore[no-untyped-def]
    """It can be drawn, as PNG and as SVG, and every panel with ticks names units in brackets."""
    for form, magic in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        picture = io.BytesIO()
        figure.savefig(picture, format=form)
        assert picture.getvalue().startswith(magic)
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            words = any(re.search("[a-z]{2}|[A-Z]{2}", one.get_text()) for one in axis.get_ticklabels())
            if axis.get_label_text() or not (words or not axis.get_ticklocs().size):
                assert re.search(r"\[.+\]", axis.get_label_text()), axis.get_label_text()


def test_roofline(step: Step) -> None:
    figure = roofline(step)
    drawable(figure)
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    kernels = step.host_work.kernels
    assert kernels is not None
    pim = [task for task in step.tasks if not task.on_host_only and sum(one.operations for one in task.passes)]
    idle = sum(1 for task in step.tasks if not task.on_host_only) - len(pim)
    drawn = sum(len(one.get_offsets()) for one in axes.collections)
    assert drawn == len(kernels.time) + len(pim)
    assert (f"{idle} tasks without arithmetic" in axes.get_title(loc="left")) == (idle > 0)
    # V100: 80 SMs x 64 lanes x 2 FLOP x 1.53 GHz = 15.67 TFLOP/s; tensor cores 125 TFLOP/s (data sheet).
    assert roofs(SYSTEM, "fp32")["GPU"][1] == pytest.approx(15.67e12, rel=1e-3)
    assert roofs(SYSTEM, "fp16")["GPU"][1] == 125e12
    for name, (bandwidth, peak) in roofs(SYSTEM, "fp32").items():
        line = next(one for one in axes.lines if str(one.get_label()).startswith(name))
        x, y = line.get_data()
        assert x[1] == pytest.approx(peak / bandwidth)  # the ridge
        assert y[0] / x[0] == pytest.approx(bandwidth / 1e12)  # TFLOP/s over FLOP/B is TB/s
    # No task on the PIM is above its roof; on the GPU none but Winograd kernels, which make fewer products.
    bandwidth, peak = roofs(SYSTEM, "fp32")["PIM"]
    for one in axes.collections:
        label = str(one.get_label())
        x, y = np.asarray(one.get_offsets()).T
        if label.endswith("PIM"):
            assert (y * 1e12 <= np.minimum(x * bandwidth / 0.9, peak) * (1 + 1e-9)).all()  # 0.9: less than all refresh
        elif "Winograd" not in label:
            assert (y <= 15.67 * (1 + 1e-3)).all()


@pytest.mark.parametrize("policy", CHOSEN)
def test_layer_breakdown(estimates: list[Estimate], policy: str) -> None:
    estimate = next(one for one in estimates if one.policy == policy)
    figure = layer_breakdown(estimate, most=12)
    drawable(figure)
    (axes,) = figure.axes
    seconds = sum(bar.get_width() for bar in axes.patches) / 1e3  # the axis is in ms
    assert "[ms]" in axes.get_xlabel()
    assert seconds == pytest.approx(estimate.host_time + estimate.pim_time)
    assert len(axes.get_yticks()) <= 12
    drawn = {tuple(str(one.get_label()).split(", ")): hexes([one[0].get_facecolor()])[0] for one in axes.containers}
    assert drawn == {key: colour.upper() for key, colour in PARTS.items() if key in drawn}
    assert ("update", "PIM") not in drawn or policy != "gpu-only"


def test_policy_comparison(estimates: list[Estimate]) -> None:
    figure = policy_comparison(estimates)
    drawable(figure)
    (axes,) = figure.axes
    assert [bar.get_width() * 1e-3 for bar in axes.patches] == pytest.approx([one.time for one in estimates])
    assert hexes(bar.get_facecolor() for bar in axes.patches) == [POLICIES[name].upper() for name in CHOSEN]
    assert [one.get_text() for one in axes.get_yticklabels()] == list(CHOSEN)
    shown = [one.get_text() for one in axes.texts]
    assert any(text.endswith("× 1.000") for text in shown)  # serial over itself
    (line,) = [one for one in axes.lines if one.get_linestyle() == "--"]
    assert np.asarray(line.get_xdata())[0] * 1e-3 == pytest.approx(estimates[0].step.bound.time)
    with pytest.raises(pm.PimModelError, match="estimates is empty"):
        policy_comparison([])


def test_idea_comparison(step: Step) -> None:
    found = ideas(step.workload, step.optimum)
    figure = idea_comparison(found)
    drawable(figure)
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([100 * one.change for one in found])


def test_threshold_surface_marks_the_best(step: Step) -> None:
    for conv in paired(step)[:3]:
        figure = threshold_surface(step, conv, chosen=(3, 40))
        drawable(figure)
        axes, bar = figure.axes
        assert re.search(r"time of the pair \[.?s\]", bar.get_ylabel())
        # The pair's own optimum, found without the picture.
        work = step.workload
        index = next(number for number, task in enumerate(work.tasks) if task.name == conv)
        beside = companion(work, index)
        assert beside is not None
        kernel = pim_kernel(work.signatures[beside], SYSTEM)  # type: ignore[arg-type]
        use = work.host[1]
        best = best_thresholds(SYSTEM, use.rate[index], work.write_share[index], kernel, use.time[index],
                               work.pim[beside])  # fmt: skip
        marks = {str(one.get_label()): one for one in axes.lines}
        star = next(one for label, one in marks.items() if label.startswith("best"))
        assert (star.get_xdata()[0], star.get_ydata()[0]) == (best.theta_low, best.theta_high)  # type: ignore[index]
        assert any("3, 40" in label for label in marks)
        values = np.ma.filled(axes.images[0].get_array(), np.nan)
        room = SYSTEM.controller.window
        assert np.isfinite(values).sum() == room * (room + 1) / 2  # every theta_low < theta_high up to the window
        assert pair_surface(step, conv).time.min() == pytest.approx(best.time)


def test_threshold_surface_of_progress_and_what_it_refuses(step: Step) -> None:
    for show in ("host", "pim"):
        figure = threshold_surface(step, show=show)  # type: ignore[arg-type]
        drawable(figure)
        assert figure.axes[0].images[0].get_clim() == (0, 1)
    with pytest.raises(pm.PimModelError, match=r"unknown quantity 'speed'"):
        threshold_surface(step, show="speed")  # type: ignore[arg-type]
    with pytest.raises(pm.PimModelError, match=r"did you mean FP\(conv1\)"):
        threshold_surface(step, "FP(conv_1)")


ROWS = [
    Swing("units", 2, 8, low=0.15, high=0.13, base=0.14),
    Swing("clock", 7e8, 1e9, low=0.18, high=0.12, base=0.14, unit="Hz"),
    Swing("refresh", "off", "all-bank", low=0.139, high=0.14, base=0.14),
    Swing("nothing", 1, 2, low=0.14, high=0.14, base=0.14),
    Swing("one side", 1, 2, low=0.141, high=0.142, base=0.14),
]


def test_tornado_is_sorted_and_names_values_with_units() -> None:
    figure = tornado(ROWS)
    drawable(figure)
    (axes,) = figure.axes
    assert [one.get_text() for one in axes.get_yticklabels()] == [
        "clock", "units", "one side (1 .. 2)", "refresh", "nothing"
    ]  # fmt: skip
    ends = sorted(round(bar.get_x() + bar.get_width()) for bar in axes.patches)
    assert ends == [120, 130, 139, 140, 141, 142, 150, 180]  # ms
    shown = {one.get_text() for one in axes.texts}
    assert {"700 MHz", "1.00 GHz", "off", "2", "8", "1 .. 2: no change"} <= shown
    with pytest.raises(pm.PimModelError, match="rows is empty"):
        tornado([])
    with pytest.raises(pm.PimModelError, match=r"base result is 0.13 and 0.14"):
        tornado([ROWS[0], Swing("other", 1, 2, 0.1, 0.2, base=0.13)])


def test_pareto_draws_every_design_once_and_names_those_not_beaten() -> None:
    designs = [Design("a", 1.0, 3.0), Design("b", 2.0, 2.0), Design("c", 3.0, 3.0), Design("d", 3.0, 1.0)]
    figure = pareto(designs)
    drawable(figure)
    (axes,) = figure.axes
    assert {one.get_text() for one in axes.texts} == {"a", "b", "d"}  # b is better than c in both
    assert sum(len(one.get_offsets()) for one in axes.collections) == 4
    # With an area, c may be worth it for that alone; the colour bar says what it is.
    areas = [
        Design(one.name, one.time, one.energy, area)
        for one, area in zip(designs, (9e-6, 8e-6, 1e-6, 7e-6), strict=True)
    ]
    figure = pareto(areas)
    drawable(figure)
    axes, bar = figure.axes
    assert {one.get_text() for one in axes.texts} == {"a", "b", "c", "d"}
    assert bar.get_ylabel() == "area [mm²]"
    assert bar.get_ylim() == pytest.approx((1, 9))
    with pytest.raises(pm.PimModelError, match="1 of 2 points have an area"):
        pareto([Design("a", 1, 1, 1), Design("b", 1, 1)])
    with pytest.raises(pm.PimModelError, match="points is empty"):
        pareto([])


def test_formula_against_simulator_counts_what_it_cannot_draw() -> None:
    rows = [Compared("rate", "1/clock", 1.0 * k, 1.05 * k) for k in range(1, 21)]
    rows += [Compared("share", "1", 0.0, 0.1), Compared("share", "1", 0.2, 0.0), Compared("share", "1", math.inf, 1.0)]
    figure = formula_against_simulator(rows, ["rate", "share", "absent"])
    drawable(figure)
    rate, share, absent = figure.axes
    assert [axes.get_xscale() for axes in (rate, share)] == ["log", "linear"]
    assert [len(axes.collections[0].get_offsets()) for axes in (rate, share)] == [20, 2]
    assert share.get_title(loc="left") == "share (2, 1 not drawn)"
    assert absent.get_title(loc="left") == "absent: nothing to compare"
    assert (rate.get_xlabel(), rate.get_ylabel()) == ("simulator [1/clock]", "formula [1/clock]")
    for axes in (rate, share):
        ends = np.asarray(axes.lines[0].get_xdata()), np.asarray(axes.lines[0].get_ydata())
        assert np.array_equal(*ends)  # the line of agreement
        band = axes.collections[1].get_paths()[0].vertices
        low = band[np.isclose(band[:, 0], ends[0][-1])][:, 1]
        assert sorted({round(float(one / ends[0][-1]), 6) for one in low}) == [0.9, 1.1]
    with pytest.raises(pm.PimModelError, match="rows is empty"):
        formula_against_simulator([])


def test_every_policy_and_phase_has_a_colour_of_its_own() -> None:
    from typing import get_args

    from pimmodel.network.training import Phase

    assert set(POLICIES) == set(ALL_POLICIES)
    assert set(PHASES) == set(get_args(Phase))
    for colours in (POLICIES, PHASES, PARTS):
        assert len(set(colours.values())) == len(colours)


def test_no_pyplot_and_nothing_heavy_until_a_picture_is_made() -> None:
    code = "import sys, pimmodel.plots; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = """
import sys
from pimmodel.plots import Swing, tornado
tornado([Swing("x", 1, 2, 0.1, 0.2, 0.15)]).savefig(sys.argv[1])
assert "matplotlib.pyplot" not in sys.modules
"""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", code, str(Path(folder) / "t.png")], check=True)


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        pm.PimModelError, match=r"a tornado chart needs an optional package: pip install 'pimmodel\[plot\]'"
    ):
        tornado(ROWS)
