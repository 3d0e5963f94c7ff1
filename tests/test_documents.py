"""What the documents say still holds: doctests of all modules, the README's Python, its commands and its links."""

from __future__ import annotations

import doctest
import importlib
import json
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import pimmodel

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted(ROOT.glob("*.md"))


def _modules() -> list[str]:
    names = ["pimmodel"]
    for package in ("pimmodel", "pimmodel.models", "pimmodel.validation"):
        path = importlib.import_module(package).__path__
        names += [one.name for one in pkgutil.walk_packages(path, f"{package}.")]
    return sorted(set(names) - {"pimmodel.__main__"})


@pytest.mark.parametrize("name", _modules())
def test_doctests(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    failures, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failures == 0


def _blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_readme_python_runs_and_prints_what_it_says() -> None:
    """Plain Python blocks run one after another; what they print is shown in the `text` block behind them."""
    scope: dict[str, object] = {}
    pairs = re.findall(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", README, re.DOTALL | re.MULTILINE)
    assert len(pairs) >= 2
    for code, shown in pairs:
        printed: list[str] = []
        scope["print"] = lambda *values, to=printed: to.append(" ".join(map(str, values)))
        exec(compile(code, "README.md", "exec"), scope)
        _compare("\n".join(printed) + "\n", shown)


def _compare(output: str, shown: str) -> None:
    """Every line shown was printed, in this order; lines of "..." stand for what was left out."""
    lines = iter(output.splitlines())
    skipping = False
    for line in shown.splitlines():
        if line.strip() == "...":
            skipping = True
        elif skipping:
            assert any(line.rstrip() == one.rstrip() for one in lines), f"not printed: {line}"
            skipping = False
        else:
            assert line.rstrip() == next(lines, "(nothing more)").rstrip()
    assert skipping or not shown or next(lines, None) is None


@pytest.mark.parametrize("block", _blocks("console"))
def test_readme_commands_print_what_they_say(block: str, tmp_path: Path) -> None:
    """Blocks of `$ command` and its output, trimmed with lines of "..."."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
    for command, shown in zip(parts[1::2], parts[2::2], strict=True):
        name, *arguments = shlex.split(command)
        assert name == "pimmodel", command
        done = subprocess.run([sys.executable, "-m", "pimmodel", *arguments], capture_output=True, text=True,
                              encoding="utf-8", cwd=tmp_path)  # fmt: skip
        _compare((done.stdout + done.stderr).rstrip("\n"), shown.rstrip("\n"))


def test_readme_json_is_valid() -> None:
    for block in _blocks("json"):
        json.loads(block)


def test_readme_has_the_test_command_that_ci_runs() -> None:
    (command,) = re.findall(r"<!-- test command -->\n```bash\n(.*?)\n```", README, re.DOTALL)
    assert ".venv" in command
    assert "pytest" in command
    assert "torch" not in command


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_that_a_document_names_exist(document: Path) -> None:
    folders = "pimmodel|models|validation|tests|notebooks"
    for name in re.findall(rf"`((?:{folders})/[\w./*-]+)`", document.read_text(encoding="utf-8")):
        assert list(ROOT.glob(name)), f"{document.name} names {name}"


def test_version_is_the_same_everywhere() -> None:
    assert f'version = "{pimmodel.__version__}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
