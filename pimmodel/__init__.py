"""pimmodel: analytical performance models for a GPU and processing-in-memory sharing one DRAM.

>>> import pimmodel as pm
>>> network = pm.load_network("resnet50", batch=64)
>>> system = pm.load_system("v100-bankgroup-pim")
>>> pm.estimate(network, system, policy="serial").speedup_over("gpu-only") > 1
True

Everything is imported on first use, so `import pimmodel` is cheap.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "PimModelError": "pimmodel.errors",
    "load_network": "pimmodel.load",
    "load_system": "pimmodel.hardware.load",
    "Estimate": "pimmodel.step",
    "estimate": "pimmodel.step",
    "compare": "pimmodel.step",
    "optimize": "pimmodel.step",
    "sweep": "pimmodel.sweep.run",
}
__all__ = [
    "Estimate",
    "PimModelError",
    "__version__",
    "compare",
    "estimate",
    "load_network",
    "load_system",
    "optimize",
    "sweep",
]

if TYPE_CHECKING:
    from pimmodel.errors import PimModelError
    from pimmodel.hardware.load import load_system
    from pimmodel.load import load_network
    from pimmodel.step import Estimate, compare, estimate, optimize
    from pimmodel.sweep.run import sweep


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pimmodel' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


class _Facade(ModuleType):
    """The package as users see it: the import of a subpackage `optimize` does not hide the function `optimize`."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Facade
