"""Kernels of one kind for many tasks at once, as arrays over tasks and kernels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimmodel.roofline.products import Bools, Floats, Products


@dataclass(frozen=True, eq=False)
class Family:
    """Kernels of one kind for t of the tasks, at `places`, shape (t,).

    time : shape (t, kernels), endless where one does not fit [s]; rest : all else, broadcasts to it
    """

    places: NDArray[np.int64]
    time: Floats
    rest: dict[str, NDArray[Any]]

    def fastest(self) -> dict[str, NDArray[Any]]:
        """Time and rest of the fastest kernel of each task, shape (t,)."""
        tasks = np.arange(len(self.time))
        best = np.argmin(self.time, axis=1)

        def taken(values: NDArray[Any]) -> NDArray[Any]:
            if values.ndim == 0:
                return values
            chosen: NDArray[Any] = values[tasks if len(values) > 1 else 0, best if values.shape[1] > 1 else 0]
            return chosen

        return {"time": self.time[tasks, best], **{name: taken(values) for name, values in self.rest.items()}}

    def of_all(self, tasks: int) -> Family:
        """The same kernels with arrays of shape (T, kernels) over all T `tasks`; they fit no other than their own."""

        def whole(values: NDArray[Any], other: float) -> NDArray[Any]:
            found = np.full((tasks, self.time.shape[1]), other, dtype=values.dtype)
            found[self.places] = values
            return found

        rest = {name: whole(values, 0) for name, values in self.rest.items()}
        return Family(np.arange(tasks), whole(self.time, np.inf), rest)


def of_some(work: Products, which: Bools, make: Callable[[Products], Family]) -> list[Family]:
    """The family that is made for those of T tasks that `which` says, shape (T,) [1]; none where it says none."""
    places = np.flatnonzero(which)
    if not len(places):
        return []
    return [dataclasses.replace(make(work.taken(places)), places=places)]
