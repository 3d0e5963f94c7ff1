"""The fluid schedule: by hand, against a slow twin, and invariants on drawn graphs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schedule_cases import Case, One, cases, scheduled, shares, spans, table, twin

from pimmodel.errors import PimModelError, UnknownNameError
from pimmodel.schedule.fluid import fluid_schedule
from pimmodel.schedule.order import ORDERS
from pimmodel.schedule.rates import TURNS, PairRate, rate_table, same_rates

orders = st.sampled_from(ORDERS)
FREE = same_rates(1, 1)

# ---------------------------------------------------------------------- by hand

FORWARD = [One("conv", "H", 4), One("bn", "P", 2, "conv"), One("next", "H", 3, "bn!")]


def test_one_chunk_is_one_after_the_other() -> None:
    assert spans(scheduled(FORWARD, FREE)) == {"conv": (0, 4), "bn": (4, 6), "next": (6, 9)}


def test_chunks_follow_their_producer() -> None:
    # Four chunks of conv end at 1, 2, 3, 4; a chunk of bn takes 0.5 and starts with each: the last ends at 4.5.
    result = scheduled(FORWARD, FREE, chunks=4)
    assert spans(result) == {"conv": (0, 4), "bn": (1, 4.5), "next": (4.5, 7.5)}
    np.testing.assert_allclose(result.chunk_start[4:8], [1, 2, 3, 4])
    np.testing.assert_allclose(result.chunk_end[4:8], [1.5, 2.5, 3.5, 4.5])


def test_a_shared_memory_slows_both() -> None:
    # Two chunks. conv: first half 0..2 alone. Then bn's first half (1 of work at rate 0.25 while conv runs) under
    # conv's second half (2 of work at rate 0.5): conv is done after 4, at 6; bn has done 1. Its second half: 6..7.
    result = scheduled(FORWARD, same_rates(0.5, 0.25), chunks=2)
    assert spans(result) == {"conv": (0, 6), "bn": (2, 7), "next": (7, 10)}


def test_serial_rates_are_the_sum_of_the_parts() -> None:
    result = scheduled(FORWARD, lambda host, pim: TURNS, chunks=4)
    assert result.makespan == 9  # 4 + 2 + 3: the PIM stands still while the host runs
    # The host waits for bn's four chunks, 2 s; the PIM for conv's first chunk, 1 s, then for the memory, 3 s.
    assert result.waits("host").seconds == {"compute": 7, "memory": 0, "dependency": 2, "order": 0, "done": 0}
    assert result.waits("pim").seconds == {"compute": 2, "memory": 3, "dependency": 1, "order": 0, "done": 3}


def test_different_chunk_counts_meet_at_channel_fractions() -> None:
    # conv in 3 chunks of 4: ends at 4, 8, 12. bn in 2 of 1: the first half needs two thirds, 8; the second all, 12.
    tasks = [One("conv", "H", 12), One("bn", "P", 2, "conv")]
    result = scheduled(tasks, FREE, chunks=np.array([3, 2]))
    np.testing.assert_allclose(result.chunk_start[3:], [8, 12])
    # And in 6 chunks of 1/3 two each become ready with every chunk of conv.
    result = scheduled(tasks, FREE, chunks=np.array([3, 6]))
    np.testing.assert_allclose(result.chunk_start[3:], [4, 4 + 1 / 3, 8, 8 + 1 / 3, 12, 12 + 1 / 3])


def test_pim_tasks_alternate_behind_their_conv() -> None:
    # bn and relu, 0.25 per chunk each: behind every chunk of conv first bn's, then relu's; relu ends 0.5 after conv.
    tasks = [One("conv", "H", 4), One("bn", "P", 1, "conv"), One("relu", "P", 1, "bn"), One("next", "H", 1, "relu!")]
    result = scheduled(tasks, FREE, chunks=4)
    np.testing.assert_allclose(result.chunk_start[4:8], [1, 2, 3, 4])
    np.testing.assert_allclose(result.chunk_start[8:12], [1.25, 2.25, 3.25, 4.25])
    assert result.makespan == 5.5


# DX(2) hands on to bwd, which DX(1) needs whole; DW(2) does not; updates hang on DW.
BACKWARD = [
    One("dx2", "H", 4, backward=True),
    One("dw2", "H", 4, backward=True),
    One("upd2", "P", 2, "dw2", backward=True, update=True),
    One("bwd", "P", 6, "dx2", backward=True),
    One("dx1", "H", 4, "bwd!", backward=True),
]


def test_rearranged_backward_work_runs_under_dx_and_dw() -> None:
    # Two chunks, no conflicts. bwd: first half 2..5 (dx2's first chunk ends at 2), second 5..8. dw2 4..8, its first
    # half at 6, when upd2's first chunk could start: but bwd runs until 8, and comes first. dx1 8..12, upd2 8..10.
    result = scheduled(BACKWARD, FREE, chunks=2)
    assert spans(result) == {"dx2": (0, 4), "dw2": (4, 8), "upd2": (8, 10), "bwd": (2, 8), "dx1": (8, 12)}


def test_serial_backward_runs_one_after_another() -> None:
    # In the order of the graph: dx2 0..4, dw2 4..8, upd2 8..10, bwd 10..16, dx1 16..20.
    result = scheduled(BACKWARD, FREE, chunks=2, order="serial")
    assert spans(result) == {"dx2": (0, 4), "dw2": (4, 8), "upd2": (8, 10), "bwd": (10, 16), "dx1": (16, 20)}
    # The host waits for upd2 by order alone, and for bwd, which dx1 needs. The PIM could have begun bwd at 2.
    assert result.waits("host").seconds == {"compute": 12, "memory": 0, "dependency": 8, "order": 0, "done": 0}
    assert result.waits("pim").seconds == {"compute": 8, "memory": 0, "dependency": 6, "order": 2, "done": 4}


def test_updates_come_last_but_before_the_end() -> None:
    # An update that is ready at 1 waits until the PIM has nothing else: x ends at 4, the update runs 4..5.
    tasks = [
        One("dw", "H", 1, backward=True),
        One("upd", "P", 1, "dw", backward=True, update=True),
        One("x", "P", 4, backward=True),
    ]
    assert spans(scheduled(tasks, FREE))["upd"] == (4, 5)
    # In the serial order x waits for the update.
    assert spans(scheduled(tasks, FREE, order="serial")) == {"dw": (0, 1), "upd": (1, 2), "x": (2, 6)}


def test_the_host_waits_in_order() -> None:
    # b is ready at 0 and a is not; the host runs a first.
    tasks = [One("p", "P", 2), One("a", "H", 1, "p!"), One("b", "H", 1)]
    assert spans(scheduled(tasks, FREE)) == {"p": (0, 2), "a": (2, 3), "b": (3, 4)}


def test_rates_depend_on_the_pair() -> None:
    # conv runs with p at (0.5, 1), and with q at (1, 0.5). p: 0..1, conv has done 0.5. q 1 s of work: 1..3, conv has
    # done 2.5; conv's last 0.5 alone: 3.5.
    tasks = [One("conv", "H", 3), One("p", "P", 1), One("q", "P", 1)]
    rates = rate_table([1, 0.5, 1], [1, 1, 0.5], tasks=3)
    assert spans(scheduled(tasks, rates)) == {"conv": (0, 3.5), "p": (0, 1), "q": (1, 3)}


def test_critical_path_by_hand() -> None:
    # conv 0..4 in four chunks, bn's last chunk 4..4.5 waits for conv's last, next waits for that.
    path = scheduled(FORWARD, FREE, chunks=4).critical_path
    found = [(link.task, link.chunk, link.start, link.end, link.cause) for link in path]
    assert found[:5] == [
        (0, 0, 0, 1, "start"), (0, 1, 1, 2, "resource"), (0, 2, 2, 3, "resource"), (0, 3, 3, 4, "resource"),
        (1, 3, 4, 4.5, "dependency"),
    ]  # fmt: skip
    assert [(one[0], one[4]) for one in found[5:]] == [(2, "dependency")] + 3 * [(2, "resource")]


def test_the_memorys_owner() -> None:
    # As above: alone, who runs has the memory. Both, at rates (0.5, 0.25): the PIM for 0.25 of the time unless told.
    parts = scheduled(FORWARD, same_rates(0.5, 0.25), chunks=2).segments
    np.testing.assert_allclose(parts.start, [0, 2, 6, 7])
    np.testing.assert_allclose(parts.end, [2, 6, 7, 10])
    np.testing.assert_allclose(parts.pim_memory, [0, 0.25, 1, 0])
    np.testing.assert_allclose(parts.host_memory, [1, 0.75, 0, 1])
    told = scheduled(FORWARD, lambda host, pim: PairRate(0.5, 0.25, 0.6, 0.3), chunks=2).segments
    assert (told.host_memory[1], told.pim_memory[1]) == (0.6, 0.3)


def test_frames() -> None:
    result = scheduled(FORWARD, FREE, chunks=2)
    frame = result.to_frame()
    assert list(frame.index) == ["conv", "bn", "next"]
    assert list(frame["runs_on"]) == ["GPU", "PIM", "GPU"]
    assert frame.loc["bn", "start_s"] == 2
    assert list(frame["critical"]) == [True, True, True]
    assert result.chunks_to_frame().loc[("bn", 1), "end_s"] == 5
    assert repr(result) == "Schedule(3 tasks, order='rearranged', makespan=8 s)"


# ---------------------------------------------------------------------- twin


@settings(max_examples=300)
@given(cases(), orders)
def test_agrees_with_the_slow_twin(case: Case, order: str) -> None:
    starts, ends = twin(case, order)
    result = case.schedule(order)
    np.testing.assert_allclose(result.chunk_start, [float(one) for task in starts for one in task], rtol=1e-9)
    np.testing.assert_allclose(result.chunk_end, [float(one) for task in ends for one in task], rtol=1e-9)


# ---------------------------------------------------------------------- invariants


@given(cases(), orders)
def test_nothing_starts_before_what_it_needs(case: Case, order: str) -> None:
    result = case.schedule(order)
    first = result.offsets
    for task, producers in enumerate(case.tasks.producers):
        for producer, barrier in producers:
            done = result.chunk_end[first[producer] : first[producer + 1]]
            for chunk in range(case.chunks[task]):
                share = 1 if barrier else (chunk + 1) / case.chunks[task]
                complete = (done <= result.chunk_start[first[task] + chunk]).sum() / case.chunks[producer]
                assert complete >= share - 1e-9
    if order == "serial":
        backward = np.flatnonzero(case.tasks.backward)
        assert (result.start[backward[1:]] >= result.end[backward[:-1]]).all()


@given(cases(), orders)
def test_a_side_does_one_chunk_at_a_time(case: Case, order: str) -> None:
    result = case.schedule(order)
    for side in (False, True):
        mine = result.on_pim[result.chunk_task] == side
        sequence = np.argsort(result.chunk_end[mine], kind="stable")
        start, end = result.chunk_start[mine][sequence], result.chunk_end[mine][sequence]
        assert (end > start).all()
        assert (start[1:] >= end[:-1]).all()
    host = np.flatnonzero(~result.on_pim)
    assert (np.diff(result.start[host]) > 0).all()  # in the order of the graph


@given(cases(), orders)
def test_work_is_conserved(case: Case, order: str) -> None:
    """Rate times time over the segments is each task's time alone."""
    result = case.schedule(order)
    parts = result.segments
    length = parts.end - parts.start
    done = np.zeros(len(case.times))
    for task, rate in ((parts.host, parts.host_rate), (parts.pim, parts.pim_rate)):
        np.add.at(done, task[task >= 0], (length * rate)[task >= 0])
    np.testing.assert_allclose(done, case.times, rtol=1e-9)
    assert parts.start[0] == 0
    assert parts.end[-1] == result.makespan
    assert (parts.start[1:] == parts.end[:-1]).all()
    assert ((parts.host >= 0) | (parts.pim >= 0)).all()  # somebody always runs


@given(cases(), orders)
def test_what_was_waited_for_adds_up(case: Case, order: str) -> None:
    result = case.schedule(order)
    for side, on_pim in (("host", False), ("pim", True)):
        waits = result.waits(side)  # type: ignore[arg-type]
        seconds = waits.seconds
        assert math.fsum(seconds.values()) == pytest.approx(result.makespan, rel=1e-9)
        assert seconds["compute"] == pytest.approx(sum(result.times[result.on_pim == on_pim]), rel=1e-9)
        assert (waits.start[1:] == waits.end[:-1]).all()
        assert seconds["order"] == 0 or order == "serial"


@given(cases(), orders)
def test_critical_path_explains_the_makespan(case: Case, order: str) -> None:
    result = case.schedule(order)
    path = result.critical_path
    assert (path[0].start, path[0].cause, path[-1].end) == (0, "start", result.makespan)
    for before, link in itertools.pairwise(path):
        assert link.start == before.end
        needs = dict(case.tasks.producers[link.task])
        if link.cause == "dependency":
            assert before.task in needs
        elif link.cause == "resource":
            assert result.on_pim[before.task] == result.on_pim[link.task]
        else:
            assert (link.cause, order) == ("order", "serial")
    if order == "rearranged":
        assert all(link.cause != "order" for link in path)


@given(cases(), orders)
def test_between_the_bound_and_the_sum(case: Case, order: str) -> None:
    result = case.schedule(order)
    bound = result.bound
    assert max(bound.work, bound.memory, bound.path) <= result.makespan * (1 + 1e-9)
    # While one runs alone it makes 1 of work per second; both, the sum of their rates.
    slowest = min(1.0, *(sum(pair) for pair in case.pair_list))
    assert result.makespan <= sum(case.times) / slowest * (1 + 1e-9)


@given(cases(rates=shares.map(lambda pim: (1 - pim, pim))), orders)
def test_no_gain_without_overlap(case: Case, order: str) -> None:
    """Rates that add up to 1 share one machine: the sum of the parts, which is also what the memory bound says."""
    result = case.schedule(order, host_memory=np.array(case.times))
    assert result.makespan == pytest.approx(sum(case.times), rel=1e-9)
    assert result.bound.memory == pytest.approx(sum(case.times), rel=1e-9)
    assert result.bound.time == result.bound.memory


@given(cases(), st.lists(shares, min_size=8, max_size=8), shares, orders)
def test_the_memory_bound_holds_where_the_pim_has_what_the_host_leaves(
    case: Case, needs: list[float], host: float, order: str
) -> None:
    """A host at rate r needs the memory for r m of the time, m of its own; the PIM progresses in the rest."""
    memory = np.array(case.times) * needs[: len(case.times)]
    result = case.schedule(order, rates=lambda h, p: PairRate(host, 1 - host * needs[h]), host_memory=memory)
    assert result.bound.time <= result.makespan * (1 + 1e-9)
    on_pim = np.array(case.on_pim)
    assert result.bound.memory == pytest.approx(np.where(on_pim, case.times, memory).sum(), rel=1e-9)


@given(cases(), orders)
def test_turns_are_the_sum_of_the_parts(case: Case, order: str) -> None:
    result = case.schedule(order, rates=lambda host, pim: TURNS)
    assert result.makespan == pytest.approx(sum(case.times), rel=1e-9)


@given(cases(rates=st.just((1.0, 1.0))))
def test_time_scales(case: Case) -> None:
    twice = case.schedule().chunk_end * 2
    times = 2 * np.array(case.times)
    longer = fluid_schedule(case.tasks, times, times, np.array(case.on_pim), case.rates, chunks=np.array(case.chunks))
    np.testing.assert_allclose(longer.chunk_end, twice, rtol=1e-12)


@given(cases(), orders)
def test_all_on_the_host_is_the_sum(case: Case, order: str) -> None:
    result = fluid_schedule(case.tasks, np.array(case.times), np.full(len(case.times), np.nan),
                            np.zeros(len(case.times), dtype=bool), case.rates, order=order)  # type: ignore[arg-type]  # fmt: skip
    assert result.makespan == pytest.approx(sum(case.times), rel=1e-12)
    assert result.waits("pim").seconds["done"] == pytest.approx(result.makespan)


def test_tasks_too_short_for_the_clock() -> None:
    """1e-20 s behind 1 s leaves the clock where it is: the critical path still ends."""
    tasks = [One("h", "H", 1), One("b", "P", 1e-20, "h!"), One("a", "P", 1e-20, "b!"), One("z", "H", 1, "a!")]
    path = scheduled(tasks, FREE, chunks=2).critical_path
    assert (path[0].start, path[-1].end) == (0, 2)
    assert {link.task for link in path} == {0, 1, 2, 3}


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"order": "serail"}, UnknownNameError, "unknown order 'serail'; did you mean serial"),
        ({"chunks": 0}, PimModelError, "chunks of conv are 0; allowed: 1 to its 64 channels"),
        ({"chunks": np.array([1, 65, 1])}, PimModelError, "chunks of bn are 65; allowed: 1 to its 64"),
        ({"chunks": np.array([1, 2])}, PimModelError, r"array\(\[1, 2\]\); allowed: .* one for each of 3 tasks"),
        ({"chunks": 2.5}, PimModelError, "chunks are 2.5; allowed: a whole number"),
        ({"rates": same_rates(0, 0)}, PimModelError, "rates of conv and bn are 0 and 0; allowed"),
        ({"rates": same_rates(1.5, 0)}, PimModelError, "rates of conv and bn are 1.5 and 0"),
        ({"rates": same_rates(math.nan, 0)}, PimModelError, "rates of conv and bn are nan"),
        ({"on_pim": np.array([True, True, False])}, PimModelError, "conv is placed on the PIM"),
        ({"pim": np.full(3, math.nan)}, PimModelError, "time of bn is nan s; allowed: above 0"),
        ({"host": np.array([1.0, 1.0, 0.0])}, PimModelError, "time of next is 0.0 s"),
        ({"host": np.ones(2)}, PimModelError, r"host times have shape \(2,\); the step has 3 tasks"),
        ({"on_pim": np.array([False, True])}, PimModelError, r"placement have shape \(2,\)"),
    ],
)
def test_bad_input(change: dict[str, object], error: type[PimModelError], words: str) -> None:
    times = np.array([4.0, 2.0, 3.0])
    good = {"host": times, "pim": times, "on_pim": np.array([False, True, False]), "rates": FREE, "chunks": 2}
    with pytest.raises(error, match=words):
        fluid_schedule(table(FORWARD), **(good | change))  # type: ignore[arg-type]


def test_tasks_that_are_not_in_order() -> None:
    with pytest.raises(PimModelError, match="task a comes before one that it needs"):
        table([One("a", "H", 1, "b"), One("b", "H", 1)])


def test_many_chunks_are_cut_to_the_channels() -> None:
    assert list(table(FORWARD, channels=3).chunk_counts(16)) == [3, 3, 3]
