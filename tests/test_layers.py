"""Imports point one way found in the syntax tree: imports inside functions count too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# A module may import from those before it, and from its own package.
ORDER = [
    "errors", "files", "cache", "units", "dual", "symbols", "formula", "hardware", "network", "models", "scenario",
    "scenario_file", "dram", "roofline", "pim", "sharing", "schedule", "stages", "optimize", "importers", "load",
    "step", "estimates", "sensitivity", "solve", "sweep", "plots", "explore", "report", "validation", "cli",
]  # fmt: skip
# The facade hands out names lazily, and `python -m pimmodel` starts the command line.
ENTRANCES = {"pimmodel", "pimmodel.__main__"}
# What must not share a formula with the library, and all that it may use of it.
INDEPENDENT = ("pimmodel.validation.simulator", "pimmodel.validation.trace", "pimmodel.validation.checker")
SHARED = ("pimmodel.hardware", "pimmodel.scenario", "pimmodel.errors")


def _modules() -> dict[str, Path]:
    found = {}
    for folder, package in (("pimmodel", "pimmodel"), ("models", "pimmodel.models"),
                            ("validation", "pimmodel.validation")):  # fmt: skip
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join((package, *(part for part in parts if part != "__init__")))] = path
    return found


MODULES = _modules()


@cache
def _imports(module: str) -> tuple[str, ...]:
    """Modules of pimmodel that a module imports, by their full names."""
    return tuple(_found(module))


def _found(module: str) -> Iterator[str]:
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "pimmodel")
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            if source.split(".")[0] == "pimmodel":
                for alias in node.names:
                    whole = f"{source}.{alias.name}"
                    yield whole if whole in MODULES else source


def _rank(module: str) -> int:
    return ORDER.index(module.split(".")[1])


def test_every_module_has_its_place_in_the_order() -> None:
    assert len(MODULES) > 50
    assert {module.split(".")[1] for module in MODULES if module not in ENTRANCES} == set(ORDER)


def test_the_parser_sees_relative_and_lazy_imports() -> None:
    assert "pimmodel.validation.simulator.state" in set(_imports("pimmodel.validation.simulator.engine"))
    assert "pimmodel.importers.onnx_graph" in set(_imports("pimmodel.load"))


@pytest.mark.parametrize("module", sorted(set(MODULES) - ENTRANCES))
def test_imports_point_down(module: str) -> None:
    own = module.split(".")[1]
    for imported in _imports(module):
        if imported == "pimmodel":
            assert own == "cli", f"{module} imports the facade"
        else:
            below = imported.split(".")[1] == own or _rank(imported) < _rank(module)
            assert below, f"{module} imports {imported}, which comes after it"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_no_cycles(module: str) -> None:
    seen: set[str] = set()
    waiting = [one for one in _imports(module) if one != "pimmodel"]
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            # A package's __init__ names its members for its users; members importing the package would be the cycle.
            waiting += [] if MODULES[one].name == "__init__.py" else _imports(one)
    assert module not in seen or module in ENTRANCES


def _within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("module", sorted(one for one in MODULES if _within(one, INDEPENDENT)))
def test_simulator_and_checker_share_no_formula(module: str) -> None:
    """Nor does anything in validation/ that they use."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        for imported in _imports(one):
            assert _within(imported, (*SHARED, "pimmodel.validation")), f"{one} imports {imported}"
            if _within(imported, ("pimmodel.validation",)) and imported != "pimmodel.validation":
                waiting.append(imported)


def test_checker_shares_nothing_with_the_simulator() -> None:
    for module in ("checker", "trace_commands", "rules", "turns", "refresh_rules", "trace"):
        assert not [one for one in _imports(f"pimmodel.validation.{module}") if "simulator" in one]
