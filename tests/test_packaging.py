"""The package as it is installed: nothing left out, and it works away from the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOLDERS = {"pimmodel": "pimmodel", "models": "pimmodel.models", "validation": "pimmodel.validation"}
DATA = (".yaml", ".csv", ".json", ".md", ".css", ".j2", ".js")


def _packages_of_the_checkout() -> set[str]:
    found = set()
    for folder, package in FOLDERS.items():
        for path in (ROOT / folder).rglob("__init__.py"):
            found.add(".".join((package, *path.parent.relative_to(ROOT / folder).parts)))
    return found


def test_package_list_is_complete() -> None:
    assert set(SETTINGS["tool"]["setuptools"]["packages"]) == _packages_of_the_checkout()


def test_every_folder_with_python_or_descriptions_is_a_package() -> None:
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".yaml"):
                assert (path.parent / "__init__.py").exists(), path


def _environment(folder: Path, *packages: str) -> Path:
    """Scripts folder of a new virtual environment with these packages."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    _install(scripts, *packages)
    return scripts


def _install(scripts: Path, *packages: str) -> None:
    command = [scripts / "python", "-m", "pip", "install", "--quiet", *packages]
    subprocess.run(command, check=True, cwd=scripts)


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Source distribution and wheel; `build` makes the wheel from the former, so that it cannot lack anything.

    Of a copy of the checkout: a build in the checkout would leave folders behind.
    """
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("distributions")
    for name in (*FOLDERS, "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    scripts = _environment(tmp_path_factory.mktemp("builder"), "build")
    command = [scripts / "python", "-m", "build", "--outdir", str(target), str(source)]
    subprocess.run(command, check=True, cwd=target, stdout=subprocess.DEVNULL)
    (archive,), (wheel,) = target.glob("*.tar.gz"), target.glob("*.whl")
    return archive, wheel


@pytest.fixture(scope="module")
def wheel(distributions: tuple[Path, Path]) -> Path:
    return distributions[1]


@pytest.mark.slow
def test_wheel_holds_all_modules_and_data(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    for folder, package in FOLDERS.items():
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", *DATA) or path.name == "py.typed":
                name = f"{package.replace('.', '/')}/{path.relative_to(ROOT / folder).as_posix()}"
                assert name in inside, f"{name} is not in the wheel"
    assert {name.split("/")[0] for name in inside} == {"pimmodel", wheel.name.rsplit("-", 3)[0] + ".dist-info"}


@pytest.mark.slow
def test_source_distribution_holds_what_the_wheel_is_made_of(distributions: tuple[Path, Path]) -> None:
    with tarfile.open(distributions[0]) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", *DATA) or path.name == "py.typed":
                assert path.relative_to(ROOT).as_posix() in inside
    assert {"pyproject.toml", "README.md", "LICENSE", "PKG-INFO"} <= inside
    assert not any("__pycache__" in name for name in inside)


@pytest.mark.slow
def test_installed_wheel_works_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """A bare environment: only the core dependencies, and what needs more says which extra mends it."""
    scripts = _environment(tmp_path / "venv", str(wheel))

    def pimmodel(*arguments: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run([scripts / "pimmodel", *arguments], capture_output=True, text=True, cwd=tmp_path,
                              env=clean)  # fmt: skip

    done = pimmodel("estimate", "resnet50")
    assert done.returncode == 0, done.stderr
    assert "images/s" in done.stdout
    assert pimmodel("list", "systems").returncode == 0
    (tmp_path / "net.onnx").write_bytes(b"anything")
    lacking = pimmodel("estimate", "net.onnx")
    assert lacking.returncode == 1
    assert lacking.stderr == "pimmodel: ONNX import needs an optional package: pip install 'pimmodel[onnx]'\n"
    code = "from pimmodel.report import schema; print(schema('comparison')['title'])"
    subprocess.run([scripts / "python", "-c", code], check=True, cwd=tmp_path)
    code = """
import pimmodel as pm
try:
    pm.load_network(object())
except pm.PimModelError as error:
    print(error)
"""
    done = subprocess.run([scripts / "python", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "pip install 'pimmodel[torch]'" in done.stdout
    lacking = pimmodel("simulate", "exclusive")
    assert lacking.returncode == 1
    assert lacking.stderr.endswith("pip install 'pimmodel[simulate]'\n")

    _install(scripts, f"{wheel}[simulate]")
    done = pimmodel("simulate", "exclusive", "--format", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # The README's example: formula and simulator differ by half a per cent there; here it is enough that both ran.
    assert found["formula"]["host_rate"] == pytest.approx(found["simulator"]["host_rate"], rel=0.05)
    shown = subprocess.run([scripts / "python", "-m", "pimmodel", "--version"], capture_output=True, text=True,
                           check=True, cwd=tmp_path)  # fmt: skip
    assert shown.stdout == f"pimmodel {SETTINGS['project']['version']}\n"
