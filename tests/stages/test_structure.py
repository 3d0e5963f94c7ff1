"""Stages of small task graphs, worked out by hand."""

from __future__ import annotations

import numpy as np

from pimmodel.schedule.tasks import TaskTable
from pimmodel.stages.structure import stages_of


def _table(
    producers: dict[str, list[tuple[str, bool]]], host: set[str], update: frozenset[str] = frozenset()
) -> TaskTable:
    names = tuple(producers)
    index = {name: place for place, name in enumerate(names)}
    return TaskTable(
        names, tuple(tuple((index[one], barrier) for one, barrier in needs) for needs in producers.values()),
        np.array([name in host for name in names]), np.zeros(len(names), dtype=bool),
        np.array([name in update for name in names]), np.full(len(names), 64),
    )  # fmt: skip


def test_a_chain_waits_at_every_conv() -> None:
    # conv1 -> bn1 -> relu1 => conv2 -> bn2: => is a barrier
    table = _table({"conv1": [], "bn1": [("conv1", False)], "relu1": [("bn1", False)], "conv2": [("relu1", True)],
                    "bn2": [("conv2", False)]}, {"conv1", "conv2"})  # fmt: skip
    found = stages_of(table, ~table.host_only)
    assert found.host.tolist() == [0, 3]
    assert found.under == ((1, 2), (4,))
    assert found.waits.tolist() == [False, True]
    assert found.passed == ((), ())  # all that is queued is needed


def test_backward_work_runs_on_under_the_weight_gradient() -> None:
    # dx2 -> bwd1 => dx1; dw2 needs nothing of it; upd2 follows dw2 and nobody waits for it
    table = _table({"dx2": [], "bwd1": [("dx2", False)], "dw2": [], "upd2": [("dw2", False)], "dx1": [("bwd1", True)]},
                   {"dx2", "dw2", "dx1"}, frozenset({"upd2"}))  # fmt: skip
    found = stages_of(table, ~table.host_only)
    assert found.under == ((1,), (), ())
    assert found.updates == ((), (3,), ())
    assert found.waits.tolist() == [False, False, True]
    assert found.mixed == ((1,), (1,), ())  # beside dw2 runs what dx2 left


def test_work_behind_that_which_is_needed_does_not_hold_the_host_up() -> None:
    # b and c follow a; d needs b alone, e needs c
    table = _table({"a": [], "b": [("a", False)], "c": [("a", False)], "d": [("b", True)],
                    "e": [("c", True), ("d", True)]}, {"a", "d", "e"})  # fmt: skip
    found = stages_of(table, ~table.host_only)
    assert found.waits.tolist() == [False, True, True]
    assert found.passed == ((), (2,), ())


def test_a_barrier_on_the_way_holds_work_until_the_task_is_complete() -> None:
    table = _table({"a": [], "sum": [("a", True)], "next": [("sum", False)], "b": [("next", True)]}, {"a", "b"})
    found = stages_of(table, ~table.host_only)
    assert found.under == ((), ())
    assert found.behind == ((1, 2), ())
