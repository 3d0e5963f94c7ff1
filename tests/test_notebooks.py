"""Notebooks as they lie in the repository: valid, without outputs, nothing of one machine in them (CI runs them)."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def _cells(path: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return cells


def _source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def test_the_notebooks_that_teach_are_there() -> None:
    assert {"quickstart", "own_model", "formulas", "validation", "contention", "paper"} <= {
        path.stem for path in NOTEBOOKS
    }


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_format(path: Path) -> None:
    book = json.loads(path.read_text(encoding="utf-8"))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    assert book["metadata"]["kernelspec"]["name"] == "python3"
    names = [cell["id"] for cell in book["cells"]]
    assert len(set(names)) == len(names)
    assert _source(book["cells"][0]).startswith("# ")
    for cell in book["cells"]:
        assert cell["cell_type"] in ("markdown", "code")
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_code_is_python_that_fits_a_page(path: Path) -> None:
    for cell in _cells(path):
        if cell["cell_type"] == "code":
            code = re.sub(r"^%.*$", "", _source(cell), flags=re.MULTILINE)
            ast.parse(code)
            assert max(map(len, code.splitlines())) <= 130, _source(cell)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_of_one_machine(path: Path) -> None:
    text = "\n".join(map(_source, _cells(path)))
    assert not re.search(r"(?<![\w.])/(?:home|root|tmp|work|mnt|Users|opt)/|[A-Z]:\\\\", text)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_it_names_exists(path: Path) -> None:
    for cell in _cells(path):
        if cell["cell_type"] == "markdown":
            for target in re.findall(r"\]\(([^)#]+)\)", _source(cell)):
                assert target.startswith("https://") or (path.parent / target).exists(), target
            for name in re.findall(r"`((?:pimmodel|models|validation|tests|notebooks)/[\w./-]+)`", _source(cell)):
                assert (ROOT / name).exists(), name
