"""Derivatives of whole steps against difference quotients on random systems; whole numbers, kinks, refusals."""

from __future__ import annotations

import json
import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pimmodel as pm
from pimmodel.errors import DescriptionError, PimModelError, UnknownNameError
from pimmodel.estimates import estimate
from pimmodel.hardware.change import replace
from pimmodel.hardware.system import System
from pimmodel.network.network import Network, NetworkBuilder
from pimmodel.network.ops import Activation, BatchNorm, Conv, Input
from pimmodel.sensitivity.derivatives import step_sensitivity
from pimmodel.sensitivity.evaluate import Point
from pimmodel.sensitivity.parameters import base_system, parameters
from pimmodel.stages import progress
from pimmodel.step import Step, prepare

PAIR = (16, 58)
SYSTEMS = ("v100-bankgroup-pim", "gtx1080ti-bankgroup-pim", "v100-bankpair-pim")


def _network(batch: int = 8) -> Network:
    """Two CONVs, 3 x 3 and 1 x 1, each with batch norm and activation."""
    b = NetworkBuilder("pair")
    x = b.add(Input((batch, 32, 28, 28)))
    for number, edge in enumerate((3, 1)):
        x = b.add(Conv(64, (edge, edge), padding=(edge // 2,) * 4, bias=number == 1), x, name=f"conv{number}")
        x = b.add(Activation(), b.add(BatchNorm(), x, name=f"bn{number}"), name=f"relu{number}")
    return b.build()


@cache
def _step(precision: Any = "fp32") -> Step:
    return prepare(_network(), pm.load_system("v100-bankgroup-pim"), precision=precision)


def _quotients(point: Point, policy: str, name: str, value: float, step: float) -> tuple[float, float, float]:
    """Left, central and right difference quotient of the time, as elasticities."""
    base = point.at(base_system(point.step.system, name))

    def time(changed: float) -> float:
        number = round(changed) if name == "gpu.l2_size" else changed
        return float(base.at(replace(base.step.system, {name: number})).time(policy))

    low, middle, high = time(value * (1 - step)), time(value), time(value * (1 + step))
    return (middle - low) / step / middle, (high - low) / (2 * step) / middle, (high - middle) / step / middle


def _random(system: System, factors: dict[str, float]) -> System:
    """The system with its real parameters times factors; those that it refuses stay."""
    for one in parameters(system):
        if one.kind == "real":
            try:
                changed = one.value * factors.get(one.name.rpartition(".")[2], 1.0)
                system = replace(system, {one.name: round(changed) if one.unit == "B" else changed})
            except DescriptionError:
                continue
    return system


NAMES = ("clock", "fp16_tensor_peak", "l2_size", "l2_bandwidth", "launch_overhead", "arithmetic_efficiency",
         "dram_efficiency", "tile_overhead", "wave_latency", "operations_per_lane")  # fmt: skip


@settings(max_examples=3)
@given(st.data())
def test_as_difference_quotients_on_random_systems(data: st.DataObject) -> None:
    name, precision = data.draw(st.sampled_from(SYSTEMS)), data.draw(st.sampled_from(["fp32", "fp16"]))
    factors = data.draw(st.fixed_dictionaries({one: st.floats(0.4, 2.5) for one in NAMES}))
    step = _step(precision).on(_random(pm.load_system(name), factors))
    point = Point(step)
    chosen = [one for one in parameters(step.system) if one.kind == "real"]
    for policy in ("gpu-only", "serial", "ideal"):
        found = step_sensitivity(step, policy, None, chosen)  # type: ignore[arg-type]
        compared = 0
        for one in found.effects:
            left, middle, right = _quotients(point, policy, one.name, one.value, 1e-6)
            assert one.time.left is not None
            assert one.time.right is not None
            if abs(left - right) > 1e-3 * abs(middle) + 1e-6:
                continue  # another kernel, or another bound, within the step
            compared += 1
            for side in one.time:
                assert side == pytest.approx(middle, rel=1e-5, abs=1e-7), (policy, one.name)
        assert compared >= 0.8 * len(found.effects)


@settings(max_examples=3)
@given(st.data())
def test_the_stage_model_too(data: st.DataObject) -> None:
    """Host rates move the progress tables' places, all of a step at once; shares of kernel mixes unrounded."""
    factors = data.draw(st.fixed_dictionaries({one: st.floats(0.5, 2) for one in NAMES}))
    system = _random(pm.load_system("v100-bankgroup-pim"), {**factors, "clock": 1.0})
    step = _step().on(system)
    point = Point(step, PAIR)
    wanted = ["gpu.clock", "gpu.l2_bandwidth", "gpu.launch_overhead", "gpu.kernels.*", "pim.operations_per_lane"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress, "round", lambda number, _: number, raising=False)
        found = step_sensitivity(step, "exclusive", PAIR, parameters(system, wanted))
        for one in found.effects:
            left, middle, right = _quotients(point, "exclusive", one.name, one.value, 1e-6)
            if abs(left - right) <= 1e-3 * abs(middle) + 1e-6:
                assert one.time.right == pytest.approx(middle, rel=1e-5, abs=1e-7), one.name
                assert one.time.left == pytest.approx(middle, rel=1e-5, abs=1e-7), one.name


def test_speedups_have_the_difference_of_two_elasticities() -> None:
    chosen = parameters(_step().system, ["gpu.clock", "memory.clock", "gpu.kernels.dram_efficiency"])
    times = {policy: step_sensitivity(_step(), policy, PAIR, chosen) for policy in ("gpu-only", "serial", "exclusive")}
    for name in ("gpu.clock", "memory.clock"):
        exclusive = times["exclusive"][name]
        for reference, speedup in (("gpu-only", exclusive.speedup_gpu_only), ("serial", exclusive.speedup_serial)):
            assert speedup.right == pytest.approx(times[reference][name].time.right - exclusive.time.right, abs=1e-12)


@pytest.mark.parametrize("policy", ["gpu-only", "serial"])
def test_rates_and_overheads_add_up_to_one(policy: Any) -> None:
    """Time is homogeneous: all rates twice as fast and the launch half as long make half of the time (Euler)."""
    chosen = parameters(_step().system)
    found = step_sensitivity(_step(), policy, None, [one for one in chosen if one.kind == "real"])
    rates = sum(found[name].time.right or 0 for name in ("gpu.clock", "gpu.l2_bandwidth", "memory.clock"))
    pim = 0.0 if policy == "gpu-only" else found["pim.clock"].time.right or 0
    assert found["gpu.launch_overhead"].time.right - rates - pim == pytest.approx(1, abs=1e-12)  # type: ignore[operator]


def test_without_energies_no_time_changes() -> None:
    step = _step()
    for one in parameters(step.system):
        if one.kind == "no effect":
            changed = step.on(replace(step.system, {one.name: one.value * 1.01}))
            assert float(Point(changed).time("serial")) == float(Point(step).time("serial")), one.name


def test_times_are_those_of_estimate() -> None:
    for policy in ("gpu-only", "serial", "ideal"):
        expected = estimate(_network(), pm.load_system("v100-bankgroup-pim"), policy).time  # type: ignore[arg-type]
        assert float(Point(_step()).time(policy)) == pytest.approx(expected, rel=1e-12)


def test_whole_numbers_are_evaluated_one_step_away() -> None:
    step = _step()
    wanted = ["pim.units_per_channel", "gpu.sm_count", "memory.timing.tRP", "memory.capacity", "memory.timing.tRC"]
    found = step_sensitivity(step, "serial", None, parameters(step.system, wanted))
    base = float(Point(step).time("serial"))
    for name, value, side in (("gpu.sm_count", 79, 0), ("gpu.sm_count", 81, 1), ("memory.timing.tRP", 14, 1)):
        time = float(Point(step.on(replace(step.system, {name: value}))).time("serial"))
        one = found[name]
        assert one.change is not None
        assert one.change[side] == pytest.approx(time / base - 1, abs=1e-12)
        expected = math.log(time / base) / math.log(value / one.value)
        assert one.time[side] == pytest.approx(expected, abs=1e-9)
    units = found["pim.units_per_channel"]
    assert units.steps == (2, None)  # three units do not divide sixteen banks, and five are more than there are groups
    assert "at most 4" in units.active
    assert found["memory.timing.tRC"].steps == (None, 43)  # at least tRAS + tRP
    assert found["memory.capacity"].change == (0, 0)


def test_at_a_kink_both_sides_are_given() -> None:
    """Streams get the less of what refresh leaves and the GPU's own share: where both are equal, only losses count."""
    system = pm.load_system("gtx1080ti-bankgroup-pim")
    step = _step().on(system)
    one = step_sensitivity(step, "gpu-only", None, parameters(system, ["gpu.stream_share"])).effects[0]
    assert not one.kink  # 0.71 of the peak; refresh leaves more
    left = 1 - system.memory.timing.tRFC / system.memory.timing.tREFI
    assert left > 0.8
    system = replace(system, {"gpu.stream_share": left})
    step = _step().on(system)
    one = step_sensitivity(step, "gpu-only", None, parameters(system, ["gpu.stream_share"])).effects[0]
    assert one.kink
    assert one.time.right == 0
    assert one.time.left is not None
    assert -1 < one.time.left < -0.1


def test_a_stated_bandwidth_goes_when_the_memory_changes() -> None:
    """As `replace` has it: the derivative with respect to the clock is that of the memory's own bandwidth."""
    system = replace(pm.load_system("v100-bankgroup-pim"), {"memory_bandwidth": 8e11})
    step = _step().on(system)
    found = step_sensitivity(step, "gpu-only", None, parameters(system, ["memory.clock", "memory_bandwidth"]))
    for name in ("memory.clock", "memory_bandwidth"):
        one = found[name]
        _, middle, _ = _quotients(Point(step), "gpu-only", name, one.value, 1e-6)
        assert one.time.right == pytest.approx(middle, rel=1e-5)
    assert found["memory.clock"].time.right != pytest.approx(found["memory_bandwidth"].time.right, rel=1e-3)


def test_result_as_table_and_document() -> None:
    found = pm.sensitivity(_network(), pm.load_system("v100-bankgroup-pim"), "serial", wanted=["gpu.*", "pim.clock"],
                           steps=False)  # fmt: skip
    frame = found.to_frame()
    assert list(frame["parameter"]) == [one.name for one in found.effects]
    swings = [one.swing for one in found.effects]
    assert swings == sorted(swings, reverse=True)
    document = json.loads(found.to_json())
    assert document["schema"] == "pimmodel/sensitivity/1"
    assert document["parameters"][0]["unit"] == frame["unit"][0]
    assert sum(share for name, share in found.bounds.items()) == pytest.approx(1)
    assert "<table" in found._repr_html_()


def test_swings_are_times_at_both_ends() -> None:
    step = _step()
    found = step_sensitivity(step, "gpu-only", None, parameters(step.system, ["gpu.clock", "gpu.sm_count"]))
    for one, values, times in found.swings(change=0.2):
        for value, time in zip(values, times, strict=True):
            number = round(value or 0) if one.kind == "whole" else value
            changed = step.on(replace(step.system, {one.name: number}))
            assert time == pytest.approx(float(changed.host.sum()), rel=1e-12)


def test_slower_hosts_share_less() -> None:
    """Twice as slow a host takes twice as long alone, and less than that with the PIM's work beside it."""
    point = Point(_step(), PAIR)
    assert point.time("gpu-only", 2.0) == pytest.approx(2 * point.time("gpu-only"))
    one, two = (float(point.time("exclusive", scale)) for scale in (1.0, 2.0))
    assert one < two < 2 * one
    assert float(point.time("exclusive", 1.0)) == pytest.approx(float(point.model.time(point.pairs)), rel=1e-12)


def test_filling_tables_beforehand_changes_nothing() -> None:
    point = Point(_step())
    low, high = np.array([(one.theta_low, one.theta_high) for one in point.model.stages()]).T
    chosen = point.pairs
    for stage, pair in enumerate(chosen):
        if low[stage] >= 0:
            assert (point.model.table.low[pair], point.model.table.high[pair]) == (low[stage], high[stage])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"policy": "watermark"}, "unknown policy of a study 'watermark'"),
        ({"wanted": ["gpu.clok"]}, "gpu.clock"),
        ({"wanted": ["gpu.name"]}, "unknown numeric parameter 'gpu.name'"),
        ({"wanted": ["memory.timing.t?"]}, "memory.timing"),
        ({"thresholds": (58, 16)}, "0 <= theta_low < theta_high <= 64"),
    ],
)
def test_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(PimModelError) as error:
        pm.sensitivity(_network(), pm.load_system("v100-bankgroup-pim"), **given)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert isinstance(error.value, UnknownNameError) or "thresholds" in given
