"""The shipped descriptions: all load, all values have a source, and they say what the data sheets say."""

import subprocess
import sys

import pytest
import yaml

from pimmodel.hardware.description import Description, entries, leaves, unit_of
from pimmodel.hardware.load import (
    list_descriptions,
    load_description,
    load_gpu,
    load_memory,
    load_pim,
    load_system,
    source_of,
)
from pimmodel.hardware.pim import bandwidth_multiple, pim_cadence

KINDS = ("gpus", "memories", "pims", "systems")
ALL = [(kind, name) for kind in KINDS for name in list_descriptions(kind)]


def load(kind: str, name: str) -> Description:
    return {"gpus": load_gpu, "memories": load_memory, "pims": load_pim, "systems": load_system}[kind](name)


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_loads_under_its_own_name(kind, name):
    description = load(kind, name)
    assert description.name == name
    assert description.title
    assert load_description(name) == description


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_every_value_has_a_source(kind, name):
    for entry in entries(load(kind, name)):
        if entry.name == "memory_bandwidth" and kind == "systems":
            assert entry.value is None  # the peak follows from channels and clock
            continue
        assert len(entry.source) > 8, entry
        assert not entry.source.startswith("default"), entry


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_every_key_of_the_sources_table_is_used(kind, name):
    import importlib.resources

    text = (importlib.resources.files(f"pimmodel.models.{kind}") / f"{name}.yaml").read_text()
    for key in yaml.safe_load(text).get("sources", {}):
        assert f"source: {key}}}" in text or f"source: {key};" in text or f'source: "{key};' in text, key


def test_wanted_names_are_there():
    assert set(list_descriptions("gpus")) == {
        "v100", "v100-sxm3", "p100", "t4", "gtx1080ti", "titan_xp", "a100", "h100", "h200",
    }  # fmt: skip
    assert {"hbm2", "hbm2-ramulator", "hbm2-dramsim3", "hbm2e", "hbm3", "gddr6", "gddr5x"} <= set(
        list_descriptions("memories")
    )
    assert set(list_descriptions("pims")) == {"bank-group", "bank-pair", "bank"}
    assert {"v100-bankgroup-pim", "v100-bankpair-pim", "v100-bank-pim"} <= set(list_descriptions("systems"))


# fp32 peaks as the vendor's data sheets print them [TFLOP/s].
@pytest.mark.parametrize(
    ("name", "teraflops"),
    [("v100", 15.7), ("p100", 10.6), ("t4", 8.1), ("a100", 19.5), ("h100", 67), ("h200", 67), ("gtx1080ti", 11.3),
     ("titan_xp", 12.15)],
)  # fmt: skip
def test_fp32_peak_is_the_data_sheets(name, teraflops):
    assert load_gpu(name).fp32_peak / 1e12 == pytest.approx(teraflops, rel=0.006)  # they round to three digits


def test_v100_values_in_si():
    gpu = load_gpu("v100")
    assert gpu.l2_size == 6 * 1024 * 1024
    assert gpu.clock == 1.53e9
    assert gpu.die_area == pytest.approx(815e-6)
    assert gpu.fp16_tensor_peak == 125e12
    assert gpu.l2_bandwidth == 2155e9


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    # HBM2: 64 bit x 2 Gbit/s; HBM2E: 64 x 3.2; HBM3: 32 x 6.4; GDDR6: 16 x 14; GDDR5X: 32 x 12; all / 8.
    [("hbm2", 16), ("hbm2-ramulator", 16), ("hbm2-dramsim3", 32), ("hbm2e", 25.6), ("hbm3", 25.6), ("gddr6", 28),
     ("gddr5x", 48)],
)  # fmt: skip
def test_channel_bandwidth(name, gigabytes):
    assert load_memory(name).channel_bandwidth / 1e9 == pytest.approx(gigabytes)


@pytest.mark.parametrize("name", list_descriptions("memories"))
def test_capacity_is_what_the_rows_hold(name):
    memory = load_memory(name)
    one = memory.organisation
    row = one.columns_per_row * one.bytes_per_column
    assert memory.channels * one.banks * one.rows * row == memory.capacity


@pytest.mark.parametrize("name", list_descriptions("systems"))
def test_system_has_the_bandwidth_that_its_gpu_is_sold_with(name):
    system = load_system(name)
    # 0.3 %: the V100's 877 MHz give 898 GB/s, its data sheet says 900.
    assert system.peak_bandwidth == pytest.approx(system.gpu.memory_bandwidth, rel=0.003)


def test_v100_system_has_64_pseudo_channels_at_877_mhz():
    system = load_system("v100-bankgroup-pim")
    assert system.memory_channels == 4 * 16
    assert system.memory.clock == 877e6
    assert system.peak_bandwidth == pytest.approx(64 * 32 * 877e6 / 2)
    timing = system.memory.timing
    # 14 ns x 0.877 = 12.3; 33 ns = 28.9; 47 ns = 41.2, and tRAS + tRP = 29 + 13.
    assert (timing.tRP, timing.tRAS, timing.tRC) == (13, 29, 42)
    assert (timing.tCCD_S, timing.tCCD_L, timing.tBL) == (2, 4, 2)  # clocks, at any speed
    assert timing.tREFI == 3420  # 3900 ns x 0.877 = 3420.3, down: refresh may not come late


@pytest.mark.parametrize(("pim", "multiple"), [("bank-group", 2), ("bank-pair", 4), ("bank", 8)])
def test_multiple_is_units_x_tccd_s_over_tccd_l(pim, multiple):
    # 4, 8, 16 units x 2 / 4; 4x for the bank pair is what ISSCC 2021 paper 25.4 states.
    assert bandwidth_multiple(load_memory("hbm2"), load_pim(pim)) == multiple
    # The bank pair's 300 MHz are a quarter of 1.2 GHz, its own memory clock.
    assert bandwidth_multiple(load_memory("hbm2", clock=1.2e9), load_pim(pim)) == multiple


def test_multiple_doubles_where_a_file_has_equal_tccd():
    # 4 x 2 / 2 at a clock where the unit keeps pace; the 64 B columns need two operations of 32 B.
    pim = load_pim("bank-group").model_copy(update={"simd_bytes": 64, "clock": 1e9})
    assert bandwidth_multiple(load_memory("hbm2-dramsim3"), pim) == 4


@pytest.mark.parametrize(
    ("update", "cadence"),
    [
        ({}, 4),  # tCCD_L
        ({"clock": 200e6}, 5),  # 1 GHz / 200 MHz
        ({"clock": 250e6}, 4),  # exactly 4, not 5
        ({"simd_bytes": 16, "clock": 400e6}, 5),  # two operations of 2.5 clocks
        ({"column_interval": 8}, 8),
    ],
)
def test_cadence_is_the_slowest_of_column_unit_and_power(update, cadence):
    assert pim_cadence(load_memory("hbm2"), load_pim("bank-group").model_copy(update=update)) == cadence


def test_peak_operations_of_published_parts():
    pair, bank = load_pim("bank-pair"), load_pim("bank")
    # ISSCC 2021 25.4: 1.2 TFLOP/s per stack of 16 pseudo-channels, fp16. ISSCC 2022 11.1: 1 TFLOP/s per two channels.
    assert 16 * pair.units_per_channel * pair.simd_bytes / 2 * pair.operations_per_lane * pair.clock == pytest.approx(
        1.2e12, rel=0.03
    )
    assert 2 * bank.units_per_channel * bank.simd_bytes / 2 * bank.operations_per_lane * bank.clock == pytest.approx(
        1e12, rel=0.03
    )


def test_host_path_energy():
    # scale-snu/attacc_simulator: 3.59 pJ/bit in all.
    energy = load_memory("hbm2").energy
    assert energy is not None
    assert sum(leaves(energy).values()) == pytest.approx(3.59e-12)


def test_ramulator_set_is_the_published_one():
    timing = load_memory("hbm2-ramulator").timing
    derived = (timing.read_to_write, timing.write_to_read_same_group, timing.write_to_read_other_group)
    assert (*derived, timing.write_to_precharge) == (13, 15, 13, 23)


def test_units_and_sources_by_dotted_name():
    system = load_system("v100-bankgroup-pim")
    assert unit_of(system, "memory.timing.tRP") == "clock"
    assert unit_of(system, "gpu.fp16_tensor_peak") == "FLOP/s"
    assert unit_of(system, "controller.theta_low") is None
    assert "1804.06826" in source_of(system, "gpu.l2_bandwidth")
    assert "877 MHz" in source_of(system, "memory.clock")
    assert source_of(load_memory("hbm2"), "timing.tRP").startswith("Samsung PIMSimulator")


def test_loading_does_not_import_pint_when_its_units_are_cached():
    load_system("v100-bankgroup-pim")
    code = (
        "import sys; from pimmodel.hardware.load import load_system; load_system('v100-bankgroup-pim');"
        "sys.exit('pint' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_speed_of_loading_a_system(benchmark):
    benchmark(load_system, "v100-bankgroup-pim")
