"""A command line that people run all day starts fast: nothing heavy is imported, and it takes less than a second."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("sympy", "pint", "pandas", "scipy", "torch", "onnx", "numba", "matplotlib", "IPython", "plotly", "xarray")
LIST = f"""
import sys
sys.argv = ["pimmodel", *sys.argv[1:]]
from pimmodel.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("IMPORTED", *(name for name in {HEAVY} if name in sys.modules))
"""


def _imported(arguments: list[str], folder: Path) -> list[str]:
    done = subprocess.run([sys.executable, "-c", LIST, *arguments], capture_output=True, text=True, check=True,
                          cwd=folder)  # fmt: skip
    return done.stdout.splitlines()[-1].split()[1:]


@pytest.mark.parametrize(
    "arguments",
    [["estimate", "resnet50"], ["estimate", "resnet50", "--format", "json"],
     ["compare", "alexnet", "--batch", "8", "--format", "csv"], ["list", "systems"], ["list", "networks"],
     ["show", "v100-bankgroup-pim"]],
)  # fmt: skip
def test_nothing_heavy_once_the_cache_is_warm(arguments: list[str], tmp_path: Path) -> None:
    _imported(arguments, tmp_path)  # fills what the test run's cache lacks
    assert _imported(arguments, tmp_path) == []


def test_it_works_without_a_cache_and_with_one_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for cache in ("off", str(tmp_path / "file")):
        subprocess.run([sys.executable, "-m", "pimmodel", "estimate", "alexnet"], check=True, capture_output=True,
                       cwd=tmp_path, env=os.environ | {"PIMMODEL_CACHE": cache})  # fmt: skip


def test_import_of_the_library_imports_nothing_of_it(tmp_path: Path) -> None:
    code = "import sys, pimmodel; print([name for name in sys.modules if name.startswith('pimmodel.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "[]"


def test_start_to_finish(benchmark, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """A figure (`--benchmark-enable`), not an assertion: machines are noisy. The README states it, below one second.

    What makes it so, and is asserted above, is that nothing heavy is imported.
    """

    def once() -> None:
        subprocess.run([sys.executable, "-m", "pimmodel", "estimate", "resnet50"], check=True, capture_output=True,
                       cwd=tmp_path)  # fmt: skip

    once()
    benchmark.pedantic(once, rounds=9)
