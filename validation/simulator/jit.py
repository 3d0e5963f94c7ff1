"""The decorator of all compiled functions: `njit` with a disk cache that notices changes in any module of the package.

numba looks only at the file that a function is in, so a cached function would go on using an old version of one that
it calls from another file.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from numba import njit


def _drop_stale_cache(package: Path) -> None:
    """Delete cached code that is older than the newest source of the package."""
    newest = max(path.stat().st_mtime for path in [*package.glob("*.py"), package.parent / "trace.py"])
    for index in package.glob("__pycache__/*.nb[ic]"):
        with contextlib.suppress(OSError):  # another process may be deleting it too, or the folder be read-only
            if index.stat().st_mtime < newest:
                index.unlink()


_drop_stale_cache(Path(__file__).parent)
compiled = njit(cache=True, error_model="numpy")
