"""The task graph of a step as plain integers, made once and scheduled many times."""

from __future__ import annotations

from dataclasses import dataclass, field

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from pimmodel.errors import PimModelError

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Producers = tuple[tuple[int, bool], ...]  # (task, whether all of it is needed) of every in-edge

_FORWARD = ("FP", "FWD")


@dataclass(frozen=True, eq=False)
class TaskTable:
    """T tasks in an order in which they may run one after another, and what each needs.

    names : of the tasks, in the order of the graph
    producers : per task its in-edges, (index of the producer, barrier or not)
    host_only : CONV and fully connected work, shape (T,)
    backward : all but the forward pass, shape (T,)
    update : weight updates, shape (T,)
    channels : the finest chunks that each can be cut into, shape (T,) [1]
    """

    names: tuple[str, ...]
    producers: tuple[Producers, ...] = field(repr=False)
    host_only: Bools = field(repr=False)
    backward: Bools = field(repr=False)
    update: Bools = field(repr=False)
    channels: Ints = field(repr=False)

    def __post_init__(self) -> None:
        for index, needed in enumerate(self.producers):
            if any(producer >= index for producer, _ in needed):
                raise PimModelError(f"task {self.names[index]} comes before one that it needs")

    def __len__(self) -> int:
        return len(self.names)

    def chunk_counts(self, chunks: int | Ints) -> Ints:
        """Chunks of every task, shape (T,) [1].

        `chunks` is one number for all, cut down to the channels that a task has, or one per task, shape (T,).

        Raises
        ------
        PimModelError : no whole numbers, fewer than one chunk, or more of a task than its channels.
        """
        given = np.asarray(chunks)
        if given.dtype.kind not in "iu" or given.shape not in ((), (len(self),)):
            raise PimModelError(f"chunks are {chunks!r}; allowed: a whole number, or one for each of {len(self)} tasks")
        counts = given.astype(np.int64) if given.shape else np.minimum(given, self.channels)
        for index in np.flatnonzero((counts < 1) | (counts > self.channels))[:1]:
            raise PimModelError(
                f"chunks of {self.names[index]} are {counts[index]}; allowed: 1 to its {self.channels[index]} channels"
            )
        return counts


def task_table(graph: nx.DiGraph) -> TaskTable:
    """Table of a step's task graph, as `training_step` makes it: nodes carry `task`, edges `kind`.

    Raises
    ------
    PimModelError : the graph's nodes are not in topological order.
    """
    tasks = [task for _, task in graph.nodes(data="task")]
    return TaskTable(
        names=tuple(graph),
        producers=producers_of(graph),
        host_only=np.array([task.on_host_only for task in tasks], dtype=bool),
        backward=np.array([task.phase not in _FORWARD for task in tasks], dtype=bool),
        update=np.array([task.phase == "UPD" for task in tasks], dtype=bool),
        channels=np.array([task.channels for task in tasks], dtype=np.int64),
    )


def producers_of(graph: nx.DiGraph) -> tuple[Producers, ...]:
    """In-edges of every node of a task graph, nodes by their number."""
    index = {name: number for number, name in enumerate(graph)}
    return tuple(
        tuple(sorted((index[producer], kind == "barrier") for producer, _, kind in graph.in_edges(name, data="kind")))
        for name in graph
    )


def needed_chunks(chunk: int, own: int, total: int, barrier: bool) -> int:
    """Chunks of a producer of `total` that are complete before a consumer's chunk, one of `own`, may start.

    >>> needed_chunks(0, 2, 3, barrier=False)  # the first half of the channels reaches into the second third
    2
    """
    return total if barrier else -(-(chunk + 1) * total // own)
