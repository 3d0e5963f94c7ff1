"""A system file with fitted kernel constants: the description it was fitted on, and the constants as overrides."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from pimmodel.errors import PimModelError
from pimmodel.hardware.gpu import KernelConstants
from pimmodel.hardware.load import list_descriptions, load_system
from pimmodel.hardware.system import System

_PARTS = ("gpu", "memory", "pim")


def system_text(system: System, constants: KernelConstants, source: str) -> str:
    """YAML text of a system with these constants; `source` says where they come from.

    Raises
    ------
    PimModelError : the system did not come from a file.
    """
    import yaml

    folder, text = _origin(system)
    tree: dict[str, Any] = yaml.safe_load(text)
    tree["name"] = f"{system.name}-calibrated"
    tree["title"] = f"{system.title}, kernel constants calibrated"
    for part in _PARTS:
        if folder is not None and isinstance(tree[part], str) and tree[part].endswith((".yaml", ".yml")):
            tree[part] = str((folder / tree[part]).resolve())
    if system.gpu.origin != load_system(system.origin if folder else system.name).gpu.origin:
        # A GPU's own file, in a built-in system: the system's changes are not meant for it.
        tree["gpu"] = str(Path(system.gpu.origin).resolve())
        kept = {name: value for name, value in tree.get("overrides", {}).items() if not name.startswith("gpu.")}
        tree["overrides"] = kept
    overrides = tree.setdefault("overrides", {})
    for name, value in constants.model_dump().items():
        overrides[f"gpu.kernels.{name}"] = {"value": float(f"{value:.4g}"), "source": source}
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=110)


def _origin(system: System) -> tuple[Path | None, str]:
    """Folder (None for a built-in one) and text of the file that a system came from."""
    if system.name in list_descriptions("systems") and system.origin == f"systems/{system.name}.yaml":
        entry = files("pimmodel.models.systems") / f"{system.name}.yaml"
        return None, entry.read_text(encoding="utf-8")
    path = Path(system.origin)
    try:
        return path.parent, path.read_text(encoding="utf-8-sig")
    except OSError:
        raise PimModelError(
            f"system {system.name} came from no file; allowed: a built-in system or a system's file"
        ) from None
