"""A small on-disk cache for work that need not be repeated at every start (parsed units, generated code, PIM kernels).

The cache is only ever a shortcut: entries are keyed by everything they depend on, an unreadable or unwritable
folder is the same as an empty cache, and `PIMMODEL_CACHE` names another folder (`PIMMODEL_CACHE=off`: none).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pimmodel.errors import PimModelError
from pimmodel.files import whole_file


def cache_folder() -> Path | None:
    """Folder of the cache, or None where caching is switched off."""
    named = os.environ.get("PIMMODEL_CACHE")
    if named == "off":
        return None
    if named:
        return Path(named)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "pimmodel"


def read(name: str) -> str | None:
    """Text of one entry, or None."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        return (folder / name).read_text(encoding="utf-8")
    except OSError:
        return None


def write(name: str, text: str) -> None:
    """Store one entry whole or not at all; failure is silent, since the cache is only a shortcut."""
    folder = cache_folder()
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / name) as draft:
            draft.write_text(text, encoding="utf-8")
    except (OSError, PimModelError):
        return


def hash_text(text: str) -> int:
    """Stable 64-bit hash of a text, for names of entries (Python's own hash differs from run to run)."""
    import hashlib

    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
