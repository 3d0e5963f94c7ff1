"""Arrays that are written anew for every block of designs, kept so that their memory need not be had anew each time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Room:
    """Room to work in for one thread: an array got under a name holds what was written last, until it is got again."""

    def __init__(self) -> None:
        self._kept: dict[str, NDArray[Any]] = {}

    def array(self, name: str, shape: Sequence[int], dtype: Any = float) -> NDArray[Any]:
        """An array of this shape, contents not defined."""
        size = int(np.prod(shape, dtype=np.int64))
        kept = self._kept.get(name)
        if kept is None or kept.size < size or kept.dtype != dtype:
            kept = self._kept[name] = np.empty(size, dtype=dtype)
        return kept[:size].reshape(shape)
