"""Every way to get a description wrong, and what the message says."""

import re
from importlib.resources import files

import pytest

from pimmodel.errors import DescriptionError, PimModelError, UnknownNameError
from pimmodel.hardware.load import load_description, load_gpu, load_memory, load_pim, load_system


def shipped(kind: str, name: str) -> str:
    return (files(f"pimmodel.models.{kind}") / f"{name}.yaml").read_text()


LOADERS = {"gpus": load_gpu, "memories": load_memory, "pims": load_pim, "systems": load_system}


def broken(tmp_path, kind, name, pattern, replacement):
    """Error of a shipped file with one line changed."""
    text, count = re.subn(pattern, replacement, shipped(kind, name), count=1, flags=re.MULTILINE)
    assert count == 1, "the pattern must fit"
    path = tmp_path / f"{name}.yaml"
    path.write_text(text)
    with pytest.raises(DescriptionError) as caught:
        LOADERS[kind](path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("pattern", "replacement", "field", "words"),
    [
        ("^clock:", "clok:", "clok", "did you mean 'clock'"),
        ("value: 1.53 GHz", "value: 1.53 GB/s", "clock", "Hz, such as '1.53 GHz'"),
        ("value: 900 GB/s", "value: 900 GHz", "memory_bandwidth", "such as '900 GB/s'"),
        ("value: 1.53 GHz", "value: .nan", "clock", "more than 0 Hz"),
        ("value: 1.53 GHz", "value: .inf", "clock", "more than 0 Hz"),
        ("value: 1.53 GHz", "value: nan GHz", "clock", "more than 0 Hz"),
        ("value: 1.53 GHz", "value: -1.53 GHz", "clock", "more than 0 Hz"),
        ("value: 1.53 GHz", "value: 0 GHz", "clock", "more than 0 Hz"),
        ("value: 1.53 GHz", "value: 1.53", "clock", "with its unit"),
        ("value: 1.53 GHz", "value: true", "clock", "more than 0 Hz"),
        ("value: 1.53 GHz", "value: [1.53 GHz]", "clock", "more than 0 Hz"),
        ("value: 1.53 GHz", "value: ", "clock", "more than 0 Hz"),
        ("value: 1.53 GHz", "value: fast", "clock", "more than 0 Hz"),
        ("value: 80,", "value: 0,", "sm_count", "a whole number, 1 or more"),
        ("value: 80,", "value: -80,", "sm_count", "a whole number, 1 or more"),
        ("value: 80,", "value: 80.5,", "sm_count", "a whole number, 1 or more"),
        ("value: 80,", "value: true,", "sm_count", "a whole number, 1 or more"),
        ("value: 80,", "value: '80',", "sm_count", "a whole number, 1 or more"),
        ("6 MiB", "6.0000001 B", "l2_size", "a whole number, 1 or more B"),
        ("^sm_count:.*\n", "", "sm_count", "a whole number"),
        ("^sm_count:.*\n", "sm_count: 80\n", "sm_count", "every value needs its source"),
        ("^sm_count:.*\n", "sm_count: {value: 80}\n", "sm_count.source", "sources table"),
        ("^sm_count:.*\n", "sm_count: {source: wp}\n", "sm_count.value", "the value itself"),
        ("^sm_count:.*\n", "sm_count: {value: 80, source: ''}\n", "sm_count.source", "sources table"),
        ("^sm_count:.*\n", "sm_count: {value: 80, source: jia}\n", "sm_count.source", "did you mean 'jia18'"),
        ("^sm_count:.*\n", "sm_count: {value: 80, sorce: wp}\n", "sm_count.sorce", "did you mean 'source'"),
        ("^sm_count:", "sm_count: {value: 1, source: wp}\nsm_count:", "sm_count", "once"),
        ("^sources:", "sources: []\nsorces:", "sources", "a mapping of keys to citations"),
        ("^name: v100", "name:", "name", "a text"),
    ],
)
def test_gpu_file(tmp_path, pattern, replacement, field, words):
    error = broken(tmp_path, "gpus", "v100", pattern, replacement)
    assert error.field == field
    assert words in error.allowed


@pytest.mark.parametrize(
    ("name", "pattern", "replacement", "field", "words"),
    [
        ("hbm2", "value: 47 ns", "value: 46 ns", "timing.tRC", "at least tRAS + tRP = 47"),
        ("hbm2-ramulator", "tRC: {value: 48", "tRC: {value: 40", "timing.tRC", "at least tRAS + tRP = 48"),
        ("hbm2", "value: 33 ns", "value: 33 GHz", "timing.tRAS", "whole number of clocks, 1 or more, or a time"),
        ("hbm2", "value: 33 ns", "value: 33.5", "timing.tRAS", "whole number of clocks"),
        ("hbm2", "value: 33 ns", "value: 1e300 s", "timing.tRAS", "whole number of clocks"),
        ("hbm2", "value: 33 ns", "value: 0 ns", "timing.tRAS", "whole number of clocks"),
        ("hbm2", "tCCD_L: {value: 4", "tCCD_L: {value: 1", "timing.tCCD_L", "at least tCCD_S"),
        ("hbm2", "tCCD_L:", "tCCDL:", "timing.tCCDL", "did you mean 'tCCD_L'"),
        ("hbm2", "bank_groups: {value: 4", "bank_groups: {value: 0", "organisation.bank_groups", "1 or more"),
        ("hbm2", "value: 3900 ns", "value: 300 ns", "timing.tREFI", "more than tRFC"),
        ("hbm2", "^timing:", "timing: 4\ntimeing:", "timeing", "did you mean 'timing'"),
    ],
)
def test_memory_file(tmp_path, name, pattern, replacement, field, words):
    error = broken(tmp_path, "memories", name, pattern, replacement)
    assert error.field == field
    assert words in error.allowed


@pytest.mark.parametrize(
    ("pattern", "replacement", "field", "words"),
    [
        ("value: bank_group,", "value: bank_goup,", "placement", "'bank_group' or 'bank_pair' or 'bank'"),
        ("units_per_channel: {value: 4", "units_per_channel: {value: four", "units_per_channel", "a whole number"),
        ("all_bank_activate: {value: false", "all_bank_activate: {value: 0", "all_bank_activate", "true or false"),
        ("mode_switch_cycles: {value: 0", "mode_switch_cycles: {value: 10 ns", "mode_switch_cycles", "clocks"),
    ],
)
def test_pim_file(tmp_path, pattern, replacement, field, words):
    error = broken(tmp_path, "pims", "bank-group", pattern, replacement)
    assert error.field == field
    assert words in error.allowed


EXTRA = "overrides:\n  {}\ncontroller:"


@pytest.mark.parametrize(
    ("pattern", "replacement", "field", "words"),
    [
        ("^gpu: v100", "gpu: v1000", "gpu", "did you mean 'v100'"),
        ("^gpu: v100\n", "", "gpu", "the name of a GPU"),
        ("^gpu: v100", "gpu: [v100]", "gpu", "the name of a GPU"),
        ("877 MHz, source", "877 MB, source", "memory_clock", "such as '1.53 GHz'"),
        ("theta_low: {value: 16", "theta_low: {value: 60", "controller.theta_low", "less than theta_high = 58"),
        ("refresh: {value: all-bank", "refresh: {value: never", "controller.refresh", "'all-bank' or 'per-bank'"),
        ("^controller:", "memory_bandwidth: {value: 1 TB/s, source: a guess}\ncontroller:", "memory_bandwidth",
         "at most 8.98048e+11 B/s, which is what 64 channels of hbm2"),
        ("^controller:", EXTRA.format("pim.units_per_channel: {value: 5, source: a guess}"), "pim.units_per_channel",
         "at most 4, one per bank group"),
        ("^controller:", EXTRA.format("pim.unitz: {value: 5, source: a guess}"), "overrides.pim.unitz",
         "unknown parameter"),
        ("^controller:", EXTRA.format("disk.size: {value: 5, source: a guess}"), "overrides.disk.size", "begins with"),
        ("^controller:", EXTRA.format("memory.timing.tRC: {value: 5, source: a guess}"),
         "overrides.memory.timing.tRC", "at least tRAS + tRP"),
        ("^controller:", EXTRA.format("pim.simd_bytes: 5 B"), "overrides.pim.simd_bytes", "needs its source"),
    ],
)  # fmt: skip
def test_system_file(tmp_path, pattern, replacement, field, words):
    text, count = re.subn(pattern, replacement, shipped("systems", "v100-bankgroup-pim"), count=1, flags=re.M)
    assert count == 1
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(DescriptionError) as caught:
        load_system(path)
    assert caught.value.field == field
    assert words in caught.value.allowed


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"# nothing but a comment\n", "empty"),
        (b"- a\n- b\n", "a list"),
        (b"just words", "just words"),
        (b"\x00\x01\x02\xff\xfe", "not a text file"),
        (b"a: \x07", "not YAML"),
        (b"a: {b: [", "not YAML"),
        (b"a: 1\n---\nb: 2\n", "more than one document"),
        (b"a: !!python/object:os.system {}\n", "unknown"),
        (b"[" * 100_000, "nested too deeply"),
        (b"a: " + b"{a: " * 40 + b"1" + b"}" * 40, "nested too deeply"),
        (b"a: &x [*x]\n", ""),
    ],
)
def test_not_a_description(tmp_path, content, words):
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)
    for load in (load_gpu, load_memory, load_pim, load_system, load_description):
        with pytest.raises(PimModelError) as caught:
            load(path)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)


def test_missing_unreadable_and_directory(tmp_path):
    with pytest.raises(PimModelError, match=r"none\.yaml: no such file"):
        load_gpu(tmp_path / "none.yaml")
    with pytest.raises(PimModelError, match="is a directory"):
        load_gpu(tmp_path)
    with pytest.raises(PimModelError, match="null byte"):
        load_gpu("a\0b.yaml")


def test_part_of_a_system_that_is_not_there(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(shipped("systems", "v100-bankgroup-pim").replace("gpu: v100", "gpu: other.yaml"))
    with pytest.raises(PimModelError, match=r"other\.yaml: no such file"):
        load_system(path)


def test_line_is_named(tmp_path):
    error = broken(tmp_path, "gpus", "v100", "value: 1.53 GHz", "value: 1.53 parsecs")
    line = shipped("gpus", "v100").split("1.53 GHz, source")[0].count("\n") + 1
    assert error.file.endswith(f":{line}")


@pytest.mark.parametrize(
    ("load", "name", "hint"),
    [
        (load_gpu, "v10", "v100"),
        (load_memory, "HBM-2", "hbm2"),
        (load_pim, "bankgroup", "bank-group"),
        (load_system, "v100-bankgroup", "v100-bankgroup-pim"),
        (load_gpu, "", "known: a"),
        (load_gpu, None, "known: a"),
        (load_gpu, "a\0b", "known: a"),
    ],
)
def test_unknown_names_are_suggested(load, name, hint):
    with pytest.raises(UnknownNameError, match=re.escape(hint)):
        load(name)


@pytest.mark.parametrize("clock", [0, -1e9, float("nan"), float("inf"), True, "1 GB"])
def test_memory_clock_given_in_code(clock):
    with pytest.raises(DescriptionError, match="clock"):
        load_memory("hbm2", clock=clock)
