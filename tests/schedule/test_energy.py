"""Energy of a step: by hand against cited figures per bit, a readable slow twin, invariants, plausible power."""

from __future__ import annotations

import dataclasses
import itertools
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pimmodel as pm
from pimmodel.errors import PimModelError
from pimmodel.hardware.system import System
from pimmodel.network.training import Precision, TrainingOptions, training_step
from pimmodel.optimize.policies import with_copies
from pimmodel.roofline.conv import ALGORITHMS
from pimmodel.roofline.host import host_tasks, host_work
from pimmodel.schedule.energy import (
    HOST_PARTS,
    PIM_PARTS,
    STATIC_PARTS,
    Energy,
    activate_energy,
    placed_energy,
    static_powers,
    step_energy,
    task_energy,
    transfer_energy,
    used_columns,
    winograd_saving,
)
from pimmodel.schedule.plan import eligible, run, uniform_plan
from pimmodel.schedule.workload import CHUNK_COUNTS, Workload, workload

BITS = 8


@cache
def system_of(name: str = "v100-bankgroup-pim") -> System:
    return pm.load_system(name)


@cache
def work_of(network: str = "resnet18", batch: int = 8, precision: Precision = "fp32",
            system: str = "v100-bankgroup-pim") -> Workload:  # fmt: skip
    graph = training_step(pm.load_network(network, batch=batch), TrainingOptions(precision=precision))
    return workload(graph, system_of(system), precision)


def with_part(work: Workload, path: str, **update: object) -> Workload:
    """The workload on a system with some values changed in one of its parts."""
    part = getattr(work.system, path).model_copy(update=update)
    return workload(work.graph, work.system.model_copy(update={path: part}), work.precision)


def number(work: Workload, name: str) -> int:
    return work.table.names.index(name)


# ------------------------------------------------------------------- formulas


def test_winograd_saves_what_lavin_and_gray_state() -> None:
    # Section 4.1: F(2x2, 3x3) takes 16 products for 36, F(4x4, 3x3) 36 for 144.
    np.testing.assert_allclose(winograd_saving(patch_edge=np.array([2, 4]), filter_edge=3), [36 / 16, 144 / 36])


def test_rows_half_used_cost_twice() -> None:
    whole = activate_energy(traffic=1e9, activate_bit=0.11e-12, row_columns=32, used_columns=32)
    assert whole == pytest.approx(8e9 * 0.11e-12)  # 1 GB at 0.11 pJ/bit: 0.88 mJ
    half = activate_energy(traffic=1e9, activate_bit=0.11e-12, row_columns=32, used_columns=16)
    assert half == pytest.approx(2 * whole)
    # One column of a row: the 0.9 nJ of a 1 KiB row for 32 B, 3.5 pJ/bit.
    one = activate_energy(traffic=32, activate_bit=0.11e-12, row_columns=32, used_columns=1)
    assert one == pytest.approx(1024 * 8 * 0.11e-12)


# -------------------------------------------------------------------- by hand


def test_host_path_is_3_59_pj_per_bit() -> None:
    work = work_of()
    tasks = task_energy(work)
    access = sum(tasks.host_parts[name] for name in ("host_activate", "host_column", "host_io"))
    # 0.11 + 0.44 + 1.01 + 1.23 + 0.5 + 0.3 pJ/bit, rows used whole.
    np.testing.assert_allclose(access, work.host[1].dram_bytes * BITS * 3.59e-12, rtol=1e-12)
    # To global I/O, TSV and interposer: 1.23 + 0.5 + 0.3.
    np.testing.assert_allclose(tasks.host_parts["host_io"], work.host[1].dram_bytes * BITS * 2.03e-12, rtol=1e-12)


@pytest.mark.parametrize(
    ("system", "picojoules"),
    [
        ("v100-bankgroup-pim", 1.56),  # 0.11 + 0.44 + 1.01: operands in distinct banks, rows used whole
        # 0.11 + 0.44 = 0.55 with whole rows; the two operands of a ReLU share a bank, whose row is opened again for
        # every 8 columns in the registers, 4 times for the row's 32: 4 x 0.11 + 0.44.
        ("v100-bank-pim", 0.88),
        ("v100-bankpair-pim", 0.88),
    ],
)
def test_pim_access_by_placement(system: str, picojoules: float) -> None:
    work = work_of(system=system)
    tasks, relu = task_energy(work), number(work, "FWD(layer1.0.relu1)")
    access = tasks.pim_parts["pim_activate"][relu] + tasks.pim_parts["pim_column"][relu]
    moved = 2 * 8 * 64 * 56 * 56 * 4  # read and written: 8 images of 64 x 56 x 56 fp32
    assert access == pytest.approx(moved * BITS * picojoules * 1e-12, rel=1e-12)


def test_a_unit_per_bank_that_keeps_whole_rows_takes_0_55_pj_per_bit() -> None:
    work = with_part(work_of(system="v100-bank-pim"), "pim", registers=32)
    parts = task_energy(work).pim_parts
    moved = np.array([task.bytes for task in work.tasks])[~work.conv]
    access = (parts["pim_activate"] + parts["pim_column"])[~work.conv]
    np.testing.assert_allclose(access, moved * BITS * 0.55e-12, rtol=1e-12)


def test_columns_per_row_of_pim_kernels() -> None:
    same, distinct = system_of("v100-bank-pim"), system_of()
    alone, three = ((False,),), ((False, False, True),)
    assert used_columns(alone, same) == 32  # a single operand is read through
    assert used_columns(three, same) == 8
    # Four rows: one read through by the first pass, three opened four times each by the second: 4 x 32 / (1 + 12).
    assert used_columns(alone + three, same) == pytest.approx(128 / 13)
    assert used_columns(alone + three, distinct) == 32


@pytest.mark.parametrize(("precision", "picojoules"), [("fp16", 0.5), ("fp32", 1.53)])
def test_pim_arithmetic(precision: Precision, picojoules: float) -> None:
    work = work_of(precision=precision)
    arithmetic = task_energy(work).pim_parts["pim_arithmetic"]
    add = number(work, "FWD(layer1.0.add)")
    # One operation for each of 8 x 64 x 56 x 56 results.
    assert arithmetic[add] == pytest.approx(8 * 64 * 56 * 56 * picojoules * 1e-12, rel=1e-12)
    # Weights are updated in fp32 in either: momentum takes 4 operations for each of 64 x 64 x 3 x 3 weights.
    update = number(work, "UPD(layer1.0.conv1)")
    assert arithmetic[update] == pytest.approx(64 * 64 * 9 * 4 * 1.53e-12, rel=1e-12)


def test_a_pim_without_a_figure_for_fp32_takes_that_of_fp16() -> None:
    work = with_part(work_of(), "pim", fp32_operation_energy=None)
    with_figure, without = (task_energy(one).pim_parts["pim_arithmetic"] for one in (work_of(), work))
    np.testing.assert_allclose(without * 1.53 / 0.5, with_figure)


def test_access_energy_of_a_pim_below_one_activate_is_kept() -> None:
    """What a description says an access takes is what it takes, however it divides."""
    work = with_part(work_of(), "pim", access_energy=0.05e-12)
    parts = task_energy(work).pim_parts
    assert not np.nan_to_num(parts["pim_column"]).any()
    moved = np.array([task.bytes for task in work.tasks])
    np.testing.assert_allclose(parts["pim_activate"][~work.conv], (moved * BITS * 0.05e-12)[~work.conv])


def test_gpu_arithmetic_by_hand() -> None:
    macs = 8 * 512 * 1000  # of the fully connected layer; its bias is 8 x 1000 additions in fp32
    for precision, picojoules in (("fp32", 14.8), ("fp16", 1.86)):  # lanes; tensor cores
        work = work_of(precision=precision)  # type: ignore[arg-type]
        found = task_energy(work).host_parts["gpu_arithmetic"]
        assert found[number(work, "FP(fc)")] == pytest.approx((2 * macs * picojoules + 8000 * 14.8) * 1e-12, rel=1e-9)
        assert found[number(work, "FWD(layer1.0.add)")] == pytest.approx(8 * 64 * 56 * 56 * 14.8e-12, rel=1e-12)


def test_winograd_is_charged_for_the_products_it_makes() -> None:
    work = work_of(batch=64)
    described = host_tasks(work.tasks, work.precision)
    kernels = host_work(described, work.system).kernels
    assert kernels is not None
    name = number(work, "FP(layer1.0.conv2)")
    algorithm = ALGORITHMS[kernels.algorithm[described.kernel_of[name]]]
    saved = {"implicit_gemm": 1.0, "winograd": 2.25, "winograd_nonfused": 4.0}[algorithm]
    assert saved > 1  # 3 x 3 with 64 channels: a library takes Winograd
    flops = 2 * 64 * 64 * 64 * 9 * 56 * 56
    assert task_energy(work).host_parts["gpu_arithmetic"][name] == pytest.approx(flops * 14.8e-12 / saved, rel=1e-12)


def test_tensor_core_flop_without_a_figure_of_its_own() -> None:
    given_, derived = work_of(precision="fp16"), with_part(work_of(precision="fp16"), "gpu", tensor_flop_energy=None)
    fc = number(given_, "FP(layer4.1.conv2)")
    with_figure, without = (task_energy(one).host_parts["gpu_arithmetic"][fc] for one in (given_, derived))
    # 14.8 pJ x 15.67 / 125 TFLOP/s = 1.855 pJ
    assert without / with_figure == pytest.approx(14.8 * 15.667 / 125 / 1.86, rel=1e-4)


def test_fp16_on_lanes_costs_as_much_as_fp32() -> None:
    """A GPU without tensor cores sums products of fp16 numbers in fp32, on its fp32 units."""
    half, full = (work_of(precision=one, system="p100-bankgroup-pim") for one in ("fp16", "fp32"))  # type: ignore
    name = number(half, "FP(layer2.0.downsample.0)")  # 1 x 1, no Winograd
    first, second = (task_energy(one).host_parts["gpu_arithmetic"][name] for one in (half, full))
    assert second == pytest.approx(first)


def test_a_tf32_flop_takes_as_much_more_as_its_peak_is_lower() -> None:
    """A100: 156 TFLOP/s of tf32 and 312 of fp16, from the same power."""
    half, single = (work_of(precision=one, system="a100-bankgroup-pim") for one in ("fp16", "tf32"))  # type: ignore
    name = number(half, "FP(layer2.0.downsample.0)")
    first, second = (task_energy(one).host_parts["gpu_arithmetic"][name] for one in (half, single))
    assert second == pytest.approx(312 / 156 * first)


def test_static_power_of_the_v100_by_hand() -> None:
    system = system_of()
    found = static_powers(system)
    # 64 pseudo-channels at 1.2 V. IDD3N 27.5 mA: 2.112 W. Refresh: 125 - 27.5 mA for tRFC 307 of tREFI 3420 clocks.
    refresh = 64 * 1.2 * 0.0975 * 307 / 3420
    assert (system.memory.timing.tRFC, system.memory.timing.tREFI) == (307, 3420)  # 350 and 3900 ns at 877 MHz
    assert found["dram_standby"] == pytest.approx(2.112)
    assert found["dram_refresh"] == pytest.approx(refresh)
    # The board's 42 W at idle include 64 x 1.2 V x 20 mA and refresh of its memory.
    assert found["gpu_static"] == pytest.approx(42 - 1.536 - refresh)
    # So all of it is idle power, and what open rows draw beyond closed ones: 64 x 1.2 V x 7.5 mA.
    assert sum(found.values()) == pytest.approx(42 + 0.576)


def test_refresh_that_is_off_takes_nothing() -> None:
    off = system_of().model_copy(update={"controller": system_of().controller.model_copy(update={"refresh": "off"})})
    assert static_powers(off)["dram_refresh"] == 0
    assert sum(static_powers(off).values()) == pytest.approx(42 + 0.576)  # it is in the 42 W then


def test_energy_of_a_public_hbm2_part_is_of_this_size() -> None:
    """Activate and column energy from the currents of DRAMsim3's HBM2 file: two ways to the same thing within 2.2."""
    # 1.2 V x (65 mA x 48 - 55 mA x 34 - 40 mA x 14) ns per row of 2 KiB; 1.2 V x (390 - 55) mA x 2 ns per read of 64 B.
    activate = 1.2 * (65 * 48 - 55 * 34 - 40 * 14) * 1e-12
    column = 1.2 * (390 - 55) * 2 * 1e-12
    row = activate_energy(traffic=2048, activate_bit=0.11e-12, row_columns=32, used_columns=32)
    assert 1 < row / activate < 2.2
    # Cell, column and global I/O; the pins have a supply of their own, which the IDD currents do not include.
    assert 1 < transfer_energy(traffic=64, bit_energy=(0.44 + 1.01 + 1.23) * 1e-12) / column < 2.2


# ------------------------------------------------------------------ slow twin


def slow_energy(work: Workload, on_pim: np.ndarray, makespan: float, chunks: np.ndarray) -> dict[str, float]:
    """Task by task, without the formulas."""
    system, total = work.system, dict.fromkeys((*HOST_PARTS, *PIM_PARTS, *STATIC_PARTS), 0.0)
    bits, currents, gpu, pim = system.memory.energy, system.memory.currents, system.gpu, system.pim
    assert bits is not None
    assert currents is not None
    described = host_tasks(work.tasks, work.precision)
    kernels = host_work(described, system).kernels
    row = system.memory.organisation.columns_per_row
    for index, task in enumerate(work.tasks):
        operations = sum(one.operations for one in task.passes)
        if on_pim[index]:
            wide = work.precision == "fp32" or task.phase == "UPD"
            total["pim_arithmetic"] += operations * (pim.fp32_operation_energy if wide else pim.operation_energy)
            rows = openings = 0
            for one in task.passes:
                operands = len(one.reads) + len(one.writes)
                again = pim.operand_placement == "same" and operands > 1
                rows += operands
                openings += operands * (-(-row // pim.registers) if again else 1)
            total["pim_activate"] += task.bytes * 8 * bits.activate * openings / rows
            total["pim_column"] += task.bytes * 8 * (pim.access_energy - bits.activate)
            continue
        bytes_ = work.host[int(chunks[index]) if work.conv[index] else 1].dram_bytes[index] * 8
        total["host_activate"] += bytes_ * bits.activate * row / system.controller.host_columns
        total["host_column"] += bytes_ * (bits.cell + bits.column_to_group)
        total["host_io"] += bytes_ * (bits.group_to_io + bits.io)
        if task.shape is None:
            total["gpu_arithmetic"] += operations * gpu.flop_energy
            continue
        shape, kernel = task.shape, int(described.kernel_of[index])
        if shape.bias and task.phase != "DX":
            total["gpu_arithmetic"] += shape.n * shape.k * shape.p * shape.q * gpu.flop_energy
        assert kernels is not None
        products = float(task.macs)
        if ALGORITHMS[kernels.algorithm[kernel]] == "winograd":
            products *= (2 + shape.r - 1) ** 2 / (2 * shape.r) ** 2
        elif ALGORITHMS[kernels.algorithm[kernel]] == "winograd_nonfused":
            products *= (4 + shape.r - 1) ** 2 / (4 * shape.r) ** 2
        each = gpu.tensor_flop_energy if kernels.tensor_cores[kernel] else gpu.flop_energy
        assert each is not None
        total["gpu_arithmetic"] += 2 * products * each
    timing, channels = system.memory.timing, system.memory_channels
    refresh = channels * currents.VDD * (currents.IDD5AB - currents.IDD3N) * timing.tRFC / timing.tREFI
    total["dram_standby"] = channels * currents.VDD * currents.IDD3N * makespan
    total["dram_refresh"] = refresh * makespan
    total["gpu_static"] = (gpu.idle_power - channels * currents.VDD * currents.IDD2N - refresh) * makespan
    return total


SYSTEMS = ["v100-bankgroup-pim", "v100-bank-pim", "v100-bankpair-pim", "h100-bankgroup-pim"]
placements = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def drawn(work: Workload, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A placement and chunk counts."""
    on_pim = eligible(work) & (random.random(len(work)) < random.random())
    return on_pim, random.choice(CHUNK_COUNTS, len(work))


@settings(max_examples=25)
@given(random=placements, makespan=st.floats(0, 10), system=st.sampled_from(SYSTEMS),
       network=st.sampled_from(["resnet18", "googlenet", "vgg16"]),
       precision=st.sampled_from(["fp32", "fp16"]))  # fmt: skip
def test_agrees_with_the_slow_twin(random, makespan, system, network, precision):
    work = work_of(network, precision=precision, system=system)
    on_pim, chunks = drawn(work, random)
    found = placed_energy(work, on_pim, makespan, chunks=chunks).parts
    assert found == pytest.approx(slow_energy(work, on_pim, makespan, chunks), rel=1e-12, abs=1e-18)


# ----------------------------------------------------------------- invariants


@settings(max_examples=50)
@given(random=placements, makespan=st.floats(1e-6, 10), system=st.sampled_from(SYSTEMS))
def test_parts_add_up_and_none_is_negative(random, makespan, system):
    work = work_of(system=system)
    on_pim, chunks = drawn(work, random)
    found = placed_energy(work, on_pim, makespan, chunks=chunks)
    assert tuple(found.parts) == (*HOST_PARTS, *PIM_PARTS, *STATIC_PARTS)
    assert all(part >= 0 for part in found.parts.values())
    assert found.total == pytest.approx(found.dynamic + found.static, rel=1e-12)
    assert found.host.sum() == pytest.approx(sum(found.parts[name] for name in HOST_PARTS), rel=1e-12)
    assert found.pim.sum() == pytest.approx(sum(found.parts[name] for name in PIM_PARTS), rel=1e-12)
    assert not found.host[on_pim].any()
    assert not found.pim[~on_pim].any()
    assert found.delay_product == pytest.approx(found.average_power * makespan**2, rel=1e-12)
    assert found.to_frame()["share"].sum() == pytest.approx(1)


@settings(max_examples=50)
@given(random=placements)
def test_moving_a_task_changes_exactly_its_own_parts(random):
    work = work_of()
    on_pim, chunks = drawn(work, random)
    moved = int(random.choice(np.flatnonzero(eligible(work))))
    other = on_pim.copy()
    other[moved] = ~on_pim[moved]
    before, after = (placed_energy(work, one, 1.0, chunks=chunks) for one in (on_pim, other))
    either = task_energy(work, chunks=chunks)
    rest = np.arange(len(work)) != moved
    np.testing.assert_array_equal(before.host[rest], after.host[rest])
    np.testing.assert_array_equal(before.pim[rest], after.pim[rest])
    change = (either.pim - either.host)[moved] * (1 if other[moved] else -1)
    assert after.total - before.total == pytest.approx(change, rel=1e-6, abs=1e-12)
    assert {name: after.parts[name] for name in STATIC_PARTS} == {name: before.parts[name] for name in STATIC_PARTS}


@settings(max_examples=30)
@given(random=placements, idle=st.floats(0, 300), more=st.floats(0, 100), makespan=st.floats(0, 1))
def test_more_static_power_or_time_never_takes_less(random, idle, more, makespan):
    work = work_of()
    on_pim, _ = drawn(work, random)
    lower, higher = (with_idle(one) for one in (idle, idle + more))
    first, second = (placed_energy(one, on_pim, makespan).total for one in (lower, higher))
    assert second >= first
    assert placed_energy(lower, on_pim, makespan + more).total >= first


def with_idle(watts: float) -> Workload:
    """The same tasks on a board that draws so much at idle."""
    work = work_of()
    gpu = work.system.gpu.model_copy(update={"idle_power": watts})
    return dataclasses.replace(work, system=work.system.model_copy(update={"gpu": gpu}))


def test_dynamic_part_is_linear_in_the_batch() -> None:
    one, two, four = (task_energy(work_of(batch=batch)) for batch in (8, 16, 32))
    work = work_of()
    for name in ("FWD(layer1.0.relu1)", "BWD(layer1.0.relu1)", "FWD(layer1.0.add)", "FWD(maxpool)"):
        index = number(work, name)
        for side in ("host", "pim"):
            small, middle, large = (getattr(each, side)[index] for each in (one, two, four))
            assert middle == pytest.approx(2 * small, rel=1e-12)
            assert large == pytest.approx(4 * small, rel=1e-12)
    # The weight update does not depend on it.
    update = number(work, "UPD(layer1.0.conv1)")
    assert (one.host[update], one.pim[update]) == (two.host[update], two.pim[update])


def test_more_chunks_never_take_less_on_the_host() -> None:
    work = work_of()
    taken = [task_energy(work, chunks=np.full(len(work), count)).host for count in CHUNK_COUNTS]
    assert all((later >= earlier * (1 - 1e-12)).all() for earlier, later in itertools.pairwise(taken))
    np.testing.assert_array_equal(taken[0][~work.conv], taken[-1][~work.conv])


def test_rows_opened_more_often_change_the_activate_part_alone() -> None:
    work = work_of()
    usual, short = task_energy(work), task_energy(work, host_columns=4)
    np.testing.assert_allclose(short.host_parts["host_activate"], 8 * usual.host_parts["host_activate"])
    for name in ("gpu_arithmetic", "host_column", "host_io"):
        np.testing.assert_array_equal(short.host_parts[name], usual.host_parts[name])


# ------------------------------------------------------------- steps, and what they draw


def test_energy_of_a_schedule() -> None:
    work = work_of(batch=16)
    schedule = run(work, uniform_plan(work, chunks=4))
    found = step_energy(work, schedule)
    assert isinstance(found, Energy)
    assert found.makespan == schedule.makespan
    assert found.delay_product == pytest.approx(found.total * schedule.makespan)
    by_hand = placed_energy(work, schedule.on_pim, schedule.makespan, chunks=schedule.chunks)
    assert found.parts == by_hand.parts


def test_serial_policies_need_no_schedule() -> None:
    work = work_of(batch=16)
    host = placed_energy(work, np.zeros(len(work), dtype=bool), work.host[1].time.sum())
    assert not host.pim.any()
    scheduled = step_energy(work, run(work, uniform_plan(work, on_pim=np.zeros(len(work), dtype=bool))))
    assert host.parts == pytest.approx(scheduled.parts, rel=1e-9)


def test_copies_of_a_partitioned_memory_are_charged() -> None:
    work = work_of()
    on_pim = eligible(work)
    plain, copied = (placed_energy(one, on_pim, 1.0) for one in (work, with_copies(work, on_pim)))
    assert copied.parts["host_io"] > plain.parts["host_io"]
    assert copied.parts["pim_column"] == plain.parts["pim_column"]


@pytest.mark.parametrize(
    ("system", "precision"),
    [("v100-bankgroup-pim", "fp32"), ("v100-bankgroup-pim", "fp16"), ("v100-bank-pim", "fp32"),
     ("a100-bankgroup-pim", "fp16"), ("t4-bankgroup-pim", "fp32"), ("p100-bankgroup-pim", "fp16"),
     ("titan_xp-bankgroup-pim", "fp32"), ("h200-bankgroup-pim", "fp16")],
)  # fmt: skip
def test_power_lies_between_idle_and_tdp(system: str, precision: Precision) -> None:
    work = work_of("resnet50", 64, precision, system)
    gpu = work.system.gpu
    for on_pim in (np.zeros(len(work), dtype=bool), eligible(work)):
        found = step_energy(work, run(work, uniform_plan(work, on_pim=on_pim)))
        assert gpu.idle_power < found.average_power < gpu.tdp


def test_no_host_task_alone_draws_more_than_the_tdp() -> None:
    """Each while it runs, with all that is drawn all the time: arithmetic and traffic have their peaks."""
    for precision in ("fp32", "fp16"):
        work = work_of("resnet50", 64, precision)  # type: ignore[arg-type]
        power = task_energy(work).host / work.host[1].time + sum(static_powers(work.system).values())
        assert power.max() < work.system.gpu.tdp * 1.01


def test_pim_saves_energy_on_what_is_bound_by_memory() -> None:
    work = work_of("resnet50", 64)
    tasks = task_energy(work)
    relu = number(work, "FWD(layer1.0.relu1)")
    # Two bytes streams at 3.59 against 1.56 pJ/bit; arithmetic 14.8 against 1.53 pJ per element of 64 bits moved.
    assert tasks.host[relu] / tasks.pim[relu] == pytest.approx((64 * 3.59 + 14.8) / (64 * 1.56 + 1.53), rel=1e-9)


# --------------------------------------------------------------------- errors


def test_a_memory_without_figures_is_named() -> None:
    for section in ("energy", "currents"):
        work = with_part(work_of(), "memory", **{section: None})
        with pytest.raises(PimModelError, match=f"memory hbm2 has no `{section}`"):
            placed_energy(work, eligible(work), 1.0)


def test_conv_cannot_be_placed_on_the_pim() -> None:
    work = work_of()
    with pytest.raises(PimModelError, match=r"FP\(conv1\) runs on the host only"):
        task_energy(work, np.ones(len(work), dtype=bool))


def test_speed_within_a_search(benchmark) -> None:
    work = work_of("resnet50", 64)
    schedule = run(work, uniform_plan(work))
    benchmark(step_energy, work, schedule)
