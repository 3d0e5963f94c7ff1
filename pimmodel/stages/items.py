"""What the host does in each task of a step, equal tasks once, as arrays for `pimmodel.stages.loops`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pimmodel.schedule.tasks import Bools, Floats, Ints
from pimmodel.schedule.workload import Workload, again_bytes


@dataclass(frozen=True, eq=False)
class HostItems:
    """I different kinds of host tasks.

    item_of : kind of each of T tasks, shape (T,)
    kernel_of : kernel of each kind in the step's menu, -1 for none, shape (I,)
    stream_first : first streaming kernel of each kind, shape (I + 1,)
    bytes, operations, blocks, reduces : of the streaming kernels; see `pimmodel.roofline.host.HostTasks`
    written : bytes that each kind writes [B]; again : that its chunks read again [B]
    """

    item_of: Ints
    kernel_of: Ints
    stream_first: Ints
    bytes: Floats = field(repr=False)
    operations: Floats = field(repr=False)
    blocks: Floats = field(repr=False)
    reduces: Bools = field(repr=False)
    written: Floats = field(repr=False)
    again: Floats = field(repr=False)

    def __len__(self) -> int:
        return len(self.kernel_of)


def host_items(work: Workload, chunks: Ints) -> HostItems:
    """Kinds of host tasks of a step whose CONV tasks have so many chunks, shape (T,) [1]."""
    tasks = work.host_tasks
    more = np.zeros(len(work))
    conv = tasks.kernel_of >= 0
    if tasks.shapes:
        each = again_bytes(tasks.shapes, tasks.phases, work.precision, work.system.gpu.l2_size)
        more = np.where(conv, (chunks - 1) * each[tasks.kernel_of], 0.0)
    streams: list[list[tuple[float, float, float, bool]]] = [[] for _ in work.tasks]
    listed = zip(tasks.owner.tolist(), tasks.moved, tasks.operations, tasks.blocks, tasks.reduces, strict=True)
    for owner, moved, operations, blocks, reduces in listed:
        streams[owner].append((float(moved), float(operations), float(blocks), bool(reduces)))
    kinds: dict[tuple[int, tuple[tuple[float, float, float, bool], ...], float, float], int] = {}
    item_of = np.array([
        kinds.setdefault((int(kernel), tuple(streams[index]), float(task.bytes_written), float(again)), len(kinds))
        for index, (task, kernel, again) in enumerate(zip(work.tasks, tasks.kernel_of, more, strict=True))
    ], dtype=np.int64)  # fmt: skip
    flat = np.array([one for kind in kinds for one in kind[1]], dtype=float).reshape(-1, 4)
    return HostItems(
        item_of, np.array([kind[0] for kind in kinds], dtype=np.int64),
        np.cumsum([0, *(len(kind[1]) for kind in kinds)]), flat[:, 0].copy(), flat[:, 1].copy(), flat[:, 2].copy(),
        flat[:, 3] > 0,
        np.array([kind[2] for kind in kinds]), np.array([kind[3] for kind in kinds]),
    )  # fmt: skip
