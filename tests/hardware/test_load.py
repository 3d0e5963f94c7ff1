"""Files of one's own, and the rounding of times to clocks."""

from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimmodel.hardware.load import load_memory, load_system, source_of
from pimmodel.hardware.values import clocks_of

SYSTEM = """
name: mine
title: A system of one's own
gpu: {gpu}
memory: hbm2
memory_channels: {{value: 32, source: a guess}}
pim: bank-group
controller:
  queue_capacity: {{value: 32, source: a guess}}
  window: {{value: 32, source: a guess}}
  theta_low: {{value: 4, source: a guess}}
  theta_high: {{value: 28, source: a guess}}
"""


def test_parts_by_relative_path_and_inline(tmp_path):
    text = (files("pimmodel.models.gpus") / "v100.yaml").read_text()
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "gpu.yaml").write_text(text.replace("1.53 GHz", "1.6 GHz"))
    (tmp_path / "mine.yml").write_text(SYSTEM.format(gpu="parts/gpu.yaml"))
    by_path = load_system(str(tmp_path / "mine.yml"))
    assert by_path.gpu.clock == 1.6e9
    inline = "\n" + "\n".join(f"  {line}" for line in text.splitlines())
    (tmp_path / "inline.yaml").write_text(SYSTEM.format(gpu=inline))
    by_text = load_system(tmp_path / "inline.yaml")
    assert by_text.gpu.clock == 1.53e9
    assert source_of(by_text, "gpu.tdp") == "NVIDIA, Tesla V100 GPU accelerator data sheet (SXM2)"
    assert source_of(by_text, "controller.refresh") == "default of pimmodel"
    assert by_text.controller.refresh == "all-bank"
    # 32 channels x 16 GB/s at the file's own 1 GHz
    assert by_text.peak_bandwidth == pytest.approx(512e9)


def test_words_that_yaml_takes_for_false(tmp_path):
    text = SYSTEM.format(gpu="v100") + "  refresh: {value: off, source: a guess}\n"
    (tmp_path / "mine.yaml").write_text(text)
    assert load_system(tmp_path / "mine.yaml").controller.refresh == "off"


def test_overrides_change_parts_and_carry_their_source():
    system = load_system("titan_xp-bankgroup-pim")
    assert system.pim.simd_bytes == 64
    assert source_of(system, "pim.simd_bytes").startswith("estimate: one column")


@given(clocks=st.integers(1, 10**6), megahertz=st.integers(100, 4000))
def test_whole_clocks_stay_whole(clocks, megahertz):
    clock = megahertz * 1e6
    assert clocks_of(clocks / clock, clock) == clocks
    assert clocks_of(clocks / clock, clock, down=True) == clocks
    assert clocks_of((clocks - 0.5) / clock, clock) == clocks
    assert clocks_of((clocks + 0.5) / clock, clock, down=True) == clocks


@given(megahertz=st.integers(300, 2500))
def test_timing_at_any_clock_covers_the_times(megahertz):
    clock = megahertz * 1e6
    memory = load_memory("hbm2", clock=clock)
    assert memory.timing.tRP / clock >= 14e-9 * (1 - 1e-6)
    assert memory.timing.tRC >= memory.timing.tRAS + memory.timing.tRP
    assert memory.timing.tREFI / clock <= 3900e-9 * (1 + 1e-6)
    assert memory.timing.tCCD_L == 4
