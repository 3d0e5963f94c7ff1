"""All formulas of the library, found in its modules."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import ModuleType

from pimmodel.formula import Formula


@cache
def modules() -> tuple[ModuleType, ...]:
    """Every module of the package, but the one that runs the command line."""
    names = []
    for package in ("pimmodel", "pimmodel.models", "pimmodel.validation"):
        path = importlib.import_module(package).__path__
        names += [package, *(one.name for one in pkgutil.walk_packages(path, f"{package}."))]
    return tuple(importlib.import_module(name) for name in sorted(set(names) - {"pimmodel.__main__"}))


@cache
def formulas() -> dict[str, Formula]:
    """Every formula by its full name."""
    found = [one for module in modules() for one in vars(module).values() if isinstance(one, Formula)]
    return {f"{one._define.__module__}.{one._define.__name__}": one for one in found}
