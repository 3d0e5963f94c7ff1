"""The package as it is installed: nothing left out, and it works away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOLDERS = {"pimmodel": "pimmodel", "models": "pimmodel.models", "validation": "pimmodel.validation"}
DATA = (".yaml", ".csv", ".json", ".md")


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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what it is made of: a build in the checkout would leave folders behind."""
    import shutil

    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in (*FOLDERS, "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(target), str(source)]
    subprocess.run(command, check=True, cwd=target)
    (made,) = target.glob("*.whl")
    return made


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
def test_installed_wheel_works_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """A bare environment: only the core dependencies, and what needs more says which extra mends it."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    scripts = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run([scripts / "python", "-m", "pip", "install", "--quiet", str(wheel)], check=True, cwd=tmp_path)

    def pimmodel(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([scripts / "pimmodel", *arguments], capture_output=True, text=True, cwd=tmp_path)

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
