"""Everyday manners: progress where it is seen, quiet pipes, Ctrl-C, completion, outputs that cannot be written."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from terminals import terminal

import pimmodel as pm
from pimmodel.cli.app import app
from pimmodel.estimates import POLICIES

POSIX = pytest.mark.skipif(os.name == "nt", reason="signals, terminals and shells of POSIX")


def process(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "pimmodel", *arguments], capture_output=True, text=True,
                          encoding="utf-8", **options)  # type: ignore[call-overload, no-any-return]  # fmt: skip


# ---------------------------------------------------------------------- progress

OPTIMIZE = ("optimize", "alexnet", "--batch", "1")
CONTENTION = ("validate", "contention", "--n", "1", "--quick", "--workers", "1")


@POSIX
@pytest.mark.parametrize(("words", "arguments"), [("choosing thresholds for alexnet", OPTIMIZE),
                                                  ("scenarios", CONTENTION)])  # fmt: skip
def test_long_work_shows_progress_on_a_terminal(words: str, arguments: tuple[str, ...], tmp_path: Path) -> None:
    if arguments is CONTENTION:
        pytest.importorskip("numba", reason="the reference simulator")
    output = tmp_path / "output"
    seen = terminal(120, *arguments, output=output, NO_COLOR="1")
    assert words in seen
    assert re.search(r"\d:\d\d:\d\d", seen), "no elapsed time"
    assert not re.search(r"\033\[[\d;]*m", seen), "colours in spite of NO_COLOR"
    assert seen.rstrip().endswith("\033[2K"), "the last line is not cleared"
    assert "\033" not in output.read_text(encoding="utf-8")


@POSIX
@pytest.mark.parametrize("option", ["--quiet", "-q", None])
def test_quiet_is_quiet(option: str | None, tmp_path: Path) -> None:
    """As is a terminal that cannot move its cursor."""
    options, environment = ([option], {}) if option else ([], {"TERM": "dumb"})
    assert terminal(120, *OPTIMIZE, *options, output=tmp_path / "output", **environment) == ""


def test_every_long_command_can_be_quiet() -> None:
    from typer.main import get_command

    commands = get_command(app).commands  # type: ignore[attr-defined]
    for name in set(commands) - {"list", "show", "pareto", "validate"}:
        assert any("--quiet" in option.opts for option in commands[name].params), name
    for name, command in commands["validate"].commands.items():
        assert any("--quiet" in option.opts for option in command.params), name


def test_no_progress_in_a_pipe() -> None:
    done = process("estimate", "alexnet", "--batch", "1", "--policy", "exclusive", "--format", "json",
                   env=os.environ | {"FORCE_COLOR": "1"})  # fmt: skip
    assert done.stderr == ""
    assert json.loads(done.stdout)["policy"] == "exclusive"


def test_quick_commands_show_none(tmp_path: Path) -> None:
    assert terminal(120, "estimate", "alexnet", "--batch", "1", "--policy", "serial", output=tmp_path / "x") == ""
    assert terminal(120, "list", "gpus", output=tmp_path / "x") == ""


def test_compare_counts_policies() -> None:
    calls: list[tuple[int, int]] = []
    network, system = pm.load_network("alexnet", 1), pm.load_system("v100-bankgroup-pim")
    some = ["gpu-only", "serial", "ideal"]
    found = pm.compare(network, system, policies=some, progress=lambda *call: calls.append(call))  # type: ignore[arg-type]
    assert [one.policy for one in found] == some
    assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert len(POLICIES) == 11


# ---------------------------------------------------------------------- Ctrl-C

# Each task leaves its process number behind, so that the test knows when it runs, and then sleeps far too long.
SLEEPERS = """
import os, pathlib, sys, time
from pimmodel.cli import _interrupted
from pimmodel.validation.processes import results
import signal

def task(number):
    pathlib.Path(sys.argv[1], f"{os.getpid()}").touch()
    time.sleep(600)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, _interrupted)
    for _ in results(task, range(8), 2):
        pass
"""


@POSIX
def test_ctrl_c_ends_all_processes(tmp_path: Path) -> None:
    script, marks = tmp_path / "sleepers.py", tmp_path / "marks"
    script.write_text(SLEEPERS, encoding="utf-8")
    marks.mkdir()
    command = [sys.executable, str(script), str(marks)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          start_new_session=True) as running:  # fmt: skip
        while len(list(marks.iterdir())) < 2:
            assert running.poll() is None, running.communicate()
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to the whole group
        _, errors = running.communicate(timeout=120)
    assert running.returncode == 130
    assert errors == ""
    for mark in marks.iterdir():
        with pytest.raises(ProcessLookupError):
            os.kill(int(mark.name), 0)


def test_processes_keep_the_order_and_hand_errors_on() -> None:
    from pimmodel.validation.processes import results

    assert list(results(abs, [-3, 2, -1], 1)) == [3, 2, 1]
    assert list(results(abs, range(-20, 0), 2, chunksize=3)) == list(range(20, 0, -1))
    with pytest.raises(TypeError):
        list(results(abs, ["no number", 1], 2))


# ---------------------------------------------------------------------- output that cannot be written


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
@pytest.mark.parametrize("arguments", [("list", "gpus"), ("--help",), ("--version",), ("show", "v100")])
def test_a_full_disk_is_one_line(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "pimmodel", *arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "pimmodel: cannot write to standard output: No space left on device\n"


@POSIX
def test_closed_streams() -> None:
    def shell(redirected: str) -> subprocess.CompletedProcess[str]:
        command = f"{sys.executable} -m pimmodel {redirected}"
        return subprocess.run(["bash", "-c", command], capture_output=True, text=True)

    assert shell("list gpus >&-").stderr == ""
    assert shell("list gpus >&-").returncode == 0
    refused = shell("estimate nothing-like-it 2>&-")
    assert (refused.returncode, refused.stdout) == (1, "")


@POSIX
@pytest.mark.parametrize("arguments", ["--help", "estimate --help", "list networks", "show v100 --format json"])
def test_a_closed_pipe_is_silent(arguments: str) -> None:
    command = f"{sys.executable} -m pimmodel {arguments} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")


# ---------------------------------------------------------------------- completion


@pytest.mark.skipif(not shutil.which("bash"), reason="bash")
def test_completion_in_bash(tmp_path: Path) -> None:
    """The script that `--show-completion` prints, sourced and asked as bash asks it."""
    command = tmp_path / "pimmodel"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pimmodel "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "SHELL": "/bin/bash"}

    def completed(*words: str) -> list[str]:
        script = f"""
eval "$(pimmodel --show-completion bash)"
COMP_WORDS=({" ".join(f"'{word}'" for word in words)})
COMP_CWORD={len(words) - 1}
_pimmodel_completion pimmodel
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert done.stderr == ""
        return done.stdout.split()

    assert completed("pimmodel", "est") == ["estimate"]
    assert completed("pimmodel", "estimate", "resnet1") == ["resnet101", "resnet152", "resnet18"]
    assert completed("pimmodel", "compare", "vgg16", "--system", "t4") == ["t4-bankgroup-pim"]
    assert completed("pimmodel", "explain", "alexnet", "features.1") == [
        "features.1", "features.10", "features.11", "features.12",
    ]  # fmt: skip
    assert completed("pimmodel", "explain", "nothing-like-it", "conv") == []


def test_completion_knows_every_kind_of_name() -> None:
    from pimmodel.cli import complete

    assert "alexnet" in complete.networks("")
    assert complete.shown("hbm3") == ["hbm3", "hbm3e"]
    assert complete.gpus("v100-sxm3") == ["v100-sxm3", "v100-sxm3-bankgroup-pim"]
    assert complete.scenarios("exc") == ["exclusive"]
    assert complete.systems("no such") == []
