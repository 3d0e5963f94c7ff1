r"""In which order host and PIM take their tasks.

Both orders start from the graph's own node order, which is topological: forward pass from first to last layer, loss,
backward pass from last to first; of a CONV layer DX, then DW, then the weight update; the branches of a fork one after
another. Call it :math:`\sigma`.

* The **host** runs its tasks in :math:`\sigma`, one task after another, all chunks of it. Where the next chunk of its
  task is not ready it waits (kernels of a GPU's stream run in the order in which they were launched).
* The **PIM** takes, whenever it has completed a chunk, the ready chunk that comes first in its list, and waits only
  where none of its chunks is ready: a batch norm and the activation behind it alternate chunk by chunk behind their
  CONV, as the pipeline in units of channels wants it. A chunk that was begun is not given up.

`rearranged` (the paper's): the PIM's list is all but the weight updates in :math:`\sigma`, and behind them the updates
in :math:`\sigma`. DX(l) runs first; the non-CONV backward work of the layer before follows it chunk by chunk and goes
on under DW(l); the update of l takes what time the PIM has left, under later CONV work, at the latest at the end.

`serial`: the PIM's list is :math:`\sigma`, and of the backward pass (loss included) every task also waits until the
backward task before it in :math:`\sigma` has ended: they run one after another, whoever runs them. The forward pass is
pipelined as under `rearranged`. It is the flow that the paper's rearrangement starts from.

Neither can block for ever. Let u be the first task in :math:`\sigma` that is not done. All that it needs comes before
it in :math:`\sigma` (under `serial` also the task that it follows), so it is done and every chunk of u is ready. If u
is the host's, it is the host's next, since the host follows :math:`\sigma`; if it is the PIM's, the PIM has a ready
chunk. So while work is left, one of them runs.

A list can have anomalies (Graham 1969, doi 10.1137/0117039): on graphs with branches, finer chunks may make another
task ready first, and the step longer. On chains they cannot where a pair's rates add up to at least 1
(`pimmodel.schedule.chain`).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from pimmodel.errors import UnknownNameError
from pimmodel.schedule.tasks import Ints, Producers, TaskTable

Order = Literal["serial", "rearranged"]
ORDERS: tuple[Order, ...] = get_args(Order)


def check_order(order: str) -> None:
    """Raise UnknownNameError for an order that is not known."""
    if order not in ORDERS:
        raise UnknownNameError("order", order, ORDERS)


def pim_ranks(tasks: TaskTable, order: Order) -> Ints:
    """Place of each task in the PIM's list, smallest first, shape (T,), all different; rank modulo T is the task."""
    ranks = np.arange(len(tasks))
    return ranks + len(tasks) * tasks.update if order == "rearranged" else ranks


def followed(tasks: TaskTable, order: Order) -> Ints:
    """Task that each must follow beside what it needs, shape (T,), -1 where there is none."""
    before = np.full(len(tasks), -1)
    if order == "serial":
        backward = np.flatnonzero(tasks.backward)
        before[backward[1:]] = backward[:-1]
    return before


def ordered_producers(tasks: TaskTable, order: Order) -> tuple[Producers, ...]:
    """What each task waits for: its producers, and the task that the order makes it follow."""
    if order != "serial":
        return tasks.producers
    return tuple(
        needed if one < 0 else (*needed, (one, True))
        for needed, one in zip(tasks.producers, followed(tasks, order).tolist(), strict=True)
    )
