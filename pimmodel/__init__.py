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
    "Estimate": "pimmodel.estimates",
    "estimate": "pimmodel.estimates",
    "compare": "pimmodel.estimates",
    "optimize": "pimmodel.estimates",
    "pareto_front": "pimmodel.sensitivity.pareto",
    "sensitivity": "pimmodel.sensitivity.derivatives",
    "sobol": "pimmodel.sensitivity.sobol",
    "solve": "pimmodel.solve.search",
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
    "pareto_front",
    "sensitivity",
    "sobol",
    "solve",
    "sweep",
]

if TYPE_CHECKING:
    import inspect

    from pimmodel.errors import PimModelError
    from pimmodel.estimates import Estimate, compare, estimate, optimize
    from pimmodel.hardware.load import load_system
    from pimmodel.load import load_network
    from pimmodel.sensitivity.derivatives import sensitivity
    from pimmodel.sensitivity.pareto import pareto_front
    from pimmodel.sensitivity.sobol import sobol
    from pimmodel.solve.search import solve
    from pimmodel.sweep.run import sweep


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pimmodel' has no attribute '{name}'")
    globals()[name] = _function(name)
    return globals()[name]


def _function(name: str) -> Any:
    return getattr(importlib.import_module(_HOMES[name]), name)


class _CallablePackage(ModuleType):
    """A subpackage with the name of a function of the package, such as `optimize`: a call is a call of the function."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return _function(self.__name__.rpartition(".")[2])(*arguments, **named)

    @property
    def __signature__(self) -> inspect.Signature:
        import inspect

        return inspect.signature(_function(self.__name__.rpartition(".")[2]))


class _Facade(ModuleType):
    """The package as users see it: the import of a subpackage does not take the function of its name away."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _HOMES and isinstance(value, ModuleType):
            value.__class__ = _CallablePackage
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Facade
