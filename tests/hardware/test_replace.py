"""Changed copies of descriptions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimmodel.errors import DescriptionError, UnknownNameError
from pimmodel.hardware.change import names_in
from pimmodel.hardware.description import leaves
from pimmodel.hardware.load import load_gpu, load_memory, load_pim, load_system, replace, source_of

SYSTEM = load_system("v100-bankgroup-pim")


def test_dotted_names():
    changed = replace(
        SYSTEM, {"pim.units_per_channel": 2, "memory.timing.tCCD_L": 2, "gpu.clock": 1.6e9, "controller.window": 32}
    )
    assert changed.pim.units_per_channel == 2
    assert changed.memory.timing.tCCD_L == 2
    assert changed.gpu.clock == 1.6e9
    assert changed.controller.window == 32
    assert changed.gpu.sm_count == SYSTEM.gpu.sm_count
    assert SYSTEM.gpu.clock == 1.53e9
    assert source_of(changed, "gpu.clock") == "changed in code"
    assert source_of(changed, "gpu.tdp") == source_of(SYSTEM, "gpu.tdp")


def test_two_more_bank_groups_and_units():
    changed = replace(SYSTEM, {"memory.organisation.bank_groups": 8, "pim.units_per_channel": 8})
    assert changed.bandwidth_multiple == 8 * 2 / 4


def test_texts_with_units_and_numpy_numbers():
    changed = replace(SYSTEM, {"gpu.clock": "1.6 GHz", "memory.timing.tRAS": "32 ns", "pim.registers": np.int64(4)})
    assert changed.gpu.clock == 1.6e9
    assert changed.memory.timing.tRAS == 29  # 32 ns x 0.877 = 28.06
    assert changed.pim.registers == 4
    assert isinstance(changed.pim.registers, int)


def test_whole_part():
    changed = replace(SYSTEM, {"pim": load_pim("bank-pair"), "pim.registers": 4})
    assert changed.bandwidth_multiple == 4
    assert changed.pim.registers == 4
    assert "ISSCC 2021" in source_of(changed, "pim.clock")
    assert source_of(changed, "pim.registers") == "changed in code"


def test_clock_of_a_memory_moves_its_times():
    faster = replace(SYSTEM, {"memory.clock": 1e9})
    assert leaves(faster.memory) == leaves(load_memory("hbm2"))
    assert faster.peak_bandwidth == pytest.approx(64 * 16e9)
    # A timing set by hand stays in clocks, and the others move.
    fixed = replace(SYSTEM, {"memory.timing.tRP": 14})
    moved = replace(fixed, {"memory.clock": 0.5e9, "memory.timing.tRC": 60})
    assert (moved.memory.timing.tRP, moved.memory.timing.tRAS, moved.memory.timing.tRC) == (14, 17, 60)


def test_each_of_tras_and_trp_can_be_swept_alone():
    timing = replace(SYSTEM, {"memory.timing.tRP": 20}).memory.timing
    assert (timing.tRP, timing.tRC) == (20, timing.tRAS + 20)
    assert replace(SYSTEM, {"memory.timing.tRP": 10}).memory.timing.tRC == SYSTEM.memory.timing.tRC


def test_a_whole_timing():
    timing = load_memory("hbm2-ramulator").timing
    assert replace(SYSTEM, {"memory.timing": timing, "memory.clock": 1.5e9}).memory.timing == timing


def test_stated_bandwidth_does_not_outlive_the_memory_it_was_stated_for():
    stated = replace(SYSTEM, {"memory_bandwidth": "900 GB/s"})
    assert stated.peak_bandwidth == 900e9
    assert replace(stated, {"memory.clock": 1e9}).peak_bandwidth == pytest.approx(1024e9)
    assert replace(stated, {"gpu.clock": 1e9}).peak_bandwidth == 900e9


@pytest.mark.parametrize(
    ("name", "hint"),
    [("gpu.clok", "gpu.clock"), ("pim.unit_per_channel", "pim.units_per_channel"), ("memory.timing.tCCDL", "tCCD_L"),
     ("window", "gpu, memory"), ("gpu.clock.rate", "gpu.clock"), ("", "gpu, memory"),
     ("sources", "gpu, memory"), ("origin", "gpu, memory")],
)  # fmt: skip
def test_unknown_names(name, hint):
    with pytest.raises(UnknownNameError, match=hint):
        replace(SYSTEM, {name: 1})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("gpu.clock", -1, "more than 0 Hz"),
        ("gpu.clock", float("nan"), "more than 0 Hz"),
        ("gpu.clock", True, "more than 0 Hz"),
        ("gpu.clock", None, "more than 0 Hz"),
        ("gpu.clock", "1 GB", "more than 0 Hz"),
        ("gpu.sm_count", 1.5, "a whole number"),
        ("pim.placement", "nowhere", "'bank_group' or"),
        ("pim.units_per_channel", 5, "at most 4, one per bank group"),
        ("memory.timing.tRC", 10, "at least tRAS"),
        ("controller.theta_low", 58, "less than theta_high"),
        ("memory_bandwidth", 1e12, "at most"),
        ("pim", 4, "a Pim"),
        ("gpu", load_pim("bank"), "a Gpu"),
    ],
)
def test_values_that_are_not_allowed(name, value, words):
    with pytest.raises(DescriptionError) as caught:
        replace(SYSTEM, {name: value})
    assert caught.value.field == name
    assert words in caught.value.allowed


def test_energy_of_a_memory_without_any():
    bare = load_memory("hbm2").model_copy(update={"energy": None})
    with pytest.raises(DescriptionError):
        replace(bare, {"energy.cell": 1e-12})


NAMES = sorted(set(names_in(SYSTEM)) - {"memory_bandwidth"})


@given(st.lists(st.sampled_from(NAMES), max_size=8))
def test_replacing_by_its_own_values_changes_nothing(names):
    own = leaves(SYSTEM)
    same = replace(SYSTEM, {name: own[name] for name in names})
    assert leaves(same) == own


@given(st.floats(3e8, 2.5e9), st.sampled_from([1, 2, 4]), st.integers(1, 1000))
def test_there_and_back(clock, units, sms):
    there = replace(SYSTEM, {"memory.clock": clock, "pim.units_per_channel": units, "gpu.sm_count": sms})
    back = replace(there, {"memory.clock": 877e6, "pim.units_per_channel": 4, "gpu.sm_count": 80})
    assert leaves(back) == leaves(SYSTEM)


@given(st.floats(1e8, 1e10))
def test_peak_rises_with_clock(clock):
    gpu = load_gpu("v100")
    assert replace(gpu, {"clock": 2 * clock}).fp32_peak == pytest.approx(2 * replace(gpu, {"clock": clock}).fp32_peak)
