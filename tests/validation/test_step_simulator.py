"""Whole steps in the simulator: small ones by hand, drawn ones against what must hold, networks against the formula."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pimmodel.validation import network
from pimmodel.validation.checker import check_channel
from pimmodel.validation.simulator import kernel_time
from pimmodel.validation.simulator.build import kernel_steps
from pimmodel.validation.simulator.step import HostChunkTask, Need, PimChunkTask, Step
from pimmodel.validation.simulator.step_run import run_step
from simulator_cases import BANKS, HBM2, POLICIES, kernel, scenario
from typer.testing import CliRunner

from pimmodel.cli.app import app
from pimmodel.errors import PimModelError
from pimmodel.hardware.load import load_system
from pimmodel.load import load_network
from pimmodel.network.training import training_step
from pimmodel.scenario import Policy
from pimmodel.schedule.fluid import fluid_schedule
from pimmodel.schedule.plan import uniform_plan
from pimmodel.schedule.rates import same_rates
from pimmodel.schedule.tasks import TaskTable, needed_chunks
from pimmodel.schedule.workload import workload

SERIAL, EXCLUSIVE = Policy(kind="serial"), Policy(kind="exclusive", theta_low=4, theta_high=24)
ADD = kernel("rrw", registers=8)
LATENCY = 120  # clocks: far more than a request or a change of hands takes on an idle channel


def step(*tasks, refresh="off", **changes):
    one = scenario(EXCLUSIVE)
    return Step(timing=HBM2, organisation=BANKS, queue=one.queue, stream=one.stream, tasks=tasks, refresh=refresh,
                **changes)  # fmt: skip


def host(clocks=20_000.0, requests=1000, policy=EXCLUSIVE, chunks=1, needs=(), write_share=0.25):
    return HostChunkTask(clocks, requests, write_share, policy, chunks, needs)


def pim(steps=1920, rank=0, chunks=1, needs=(), which=ADD):
    return PimChunkTask(which, steps, rank, chunks, needs)


# ---------------------------------------------------------------------- by hand


def test_host_alone_takes_its_own_time_and_the_last_requests_latency():
    result = run_step(step(host()))
    assert 20_000 <= result.clocks < 20_000 + LATENCY
    assert (result.served, result.pim_steps, result.switches) == (1000, 0, 0)


def test_chunks_of_one_task_follow_each_other_without_a_gap():
    whole, cut = run_step(step(host())), run_step(step(host(chunks=4)))
    assert cut.clocks == whole.clocks
    assert cut.starts[0] == (0, 5000, 10_000, 15_000)
    assert all(start + 5000 <= end < start + 5000 + LATENCY for start, end in zip(*cut.starts, *cut.ends, strict=True))


def test_a_task_without_requests_is_pure_time():
    result = run_step(step(host(clocks=777.0, requests=0), host(clocks=1000.0, requests=0, chunks=4)))
    assert result.ends == ((777,), (1027, 1277, 1527, 1777))
    assert result.served == 0


def test_few_requests_are_spread_over_the_tasks_time():
    result = run_step(step(host(clocks=9000.0, requests=2, chunks=3)))
    assert result.served == 2
    assert result.ends[0][:2] == pytest.approx((3000, 6000), abs=LATENCY)
    assert 9000 <= result.clocks < 9000 + LATENCY


def test_pim_alone_takes_what_its_kernel_takes():
    result = run_step(step(pim(20 * kernel_steps(ADD), chunks=5)))
    taking_over = 1 + HBM2.tRP  # from the host, whose the memory is at first
    assert result.clocks == pytest.approx(taking_over + kernel_time(HBM2, BANKS, ADD, repetitions=20), abs=1)
    assert result.pim_steps == 20 * kernel_steps(ADD)


def test_arithmetic_lengthens_the_column_steps():
    plain = pim(20 * kernel_steps(ADD), chunks=5)
    longer = run_step(step(dataclasses.replace(plain, extra=1.3))).clocks
    assert longer == pytest.approx(run_step(step(plain)).clocks + 1.3 * plain.steps, rel=0.01)


def test_serial_is_the_sum_of_its_parts():
    parts = run_step(step(host())).clocks + run_step(step(pim())).clocks
    result = run_step(step(host(policy=SERIAL), pim()))
    assert parts <= result.clocks < parts + LATENCY
    assert result.switches == 1


def test_serial_interrupts_the_pim_when_a_host_task_comes():
    """The second host task waits for the first PIM chunk; the second chunk has begun then and is finished after it."""
    result = run_step(
        step(
            host(policy=SERIAL),
            pim(steps=3840, chunks=2, needs=(Need(0, (1, 1)),)),
            host(policy=SERIAL, needs=(Need(1, (1,)),)),
        )
    )
    assert result.starts[1][1] <= result.starts[2][0]
    assert result.ends[2][0] - result.starts[2][0] < 20_000 + LATENCY
    assert result.ends[1][1] > result.ends[2][0]


def test_exclusive_pairs_overlap():
    parts = run_step(step(host())).clocks + run_step(step(pim(3840))).clocks
    result = run_step(step(host(), pim(3840)))
    assert max(20_000, parts // 2) < result.clocks < parts - 3000
    assert result.switches > 10


def test_uncoordinated_pairs_overlap_without_turns():
    parts = run_step(step(host())).clocks + run_step(step(pim(3840))).clocks
    result = run_step(step(host(policy=POLICIES["uncoordinated"]), pim(3840)))
    assert max(20_000, parts // 2) < result.clocks < parts
    assert result.switches <= 1


def test_pairs_that_do_not_share_take_turns():
    shared = step(host(), pim())
    assert run_step(dataclasses.replace(shared, shares=lambda h, p: False)).switches == 1
    assert run_step(step(host(policy=SERIAL), pim())).clocks == pytest.approx(
        run_step(dataclasses.replace(shared, shares=lambda h, p: False)).clocks, abs=2
    )


def test_chunks_are_pipelined():
    """The PIM follows the host chunk by chunk, and only the last chunk is left when the host is done."""
    needs = (Need(0, (1, 2, 3, 4)),)
    result = run_step(step(host(chunks=4), pim(chunks=4, needs=needs)))
    for start, made in zip(result.starts[1], result.ends[0], strict=True):
        assert start >= made
    quarter = run_step(step(pim(480))).clocks
    assert result.clocks == pytest.approx(20_000 + quarter, abs=2 * LATENCY)


def test_the_pim_takes_the_ready_chunk_that_comes_first_in_its_list():
    early, late = pim(rank=0, chunks=2, needs=(Need(2, (0, 1)),)), pim(rank=1, chunks=2)
    result = run_step(step(early, late, host(clocks=500.0, requests=0)))
    order = sorted([(t, 0) for t in result.starts[0]] + [(t, 1) for t in result.starts[1]])
    assert [index for _, index in order] == [0, 0, 1, 1]
    result = run_step(step(early, late, host(clocks=30_000.0, requests=0, policy=POLICIES["host-first"])))
    order = sorted([(t, 0) for t in result.starts[0]] + [(t, 1) for t in result.starts[1]])
    assert [index for _, index in order] == [0, 1, 1, 0]


def test_a_kernel_goes_on_where_it_was_left():
    """Two kernels in turns, chunk by chunk, do the column steps that they would do one after the other."""
    other = kernel("rw", "r", registers=8)
    first = pim(960, rank=0, chunks=3, needs=(Need(1, (0, 1, 2)),))
    second = pim(960, rank=1, chunks=3, needs=(Need(0, (1, 2, 3)),), which=other)
    trace = run_step(step(first, second), trace=True).trace
    assert not check_channel(trace, HBM2, BANKS, kernel=ADD)
    steps = trace[(trace["kind"] == 10) | (trace["kind"] == 11)]
    alone = run_step(step(pim(960)), trace=True).trace
    wanted = alone[(alone["kind"] == 10) | (alone["kind"] == 11)]
    mine = steps[np.isin(np.arange(1920) // 320, (0, 2, 4))]
    assert mine["column"].tolist() == wanted["column"].tolist()
    assert mine["kind"].tolist() == wanted["kind"].tolist()
    assert mine["row"].tolist() == wanted["row"].tolist()


def test_without_conflicts_the_fluid_schedule_is_the_same():
    """Host tasks of pure time: both go through the same chunks, but for the rows that a chunk of the PIM opens."""
    chunks, sides = [4, 8, 2, 8, 16], "HPHPP"
    producers = ((), ((0, False),), ((0, True),), ((1, False), (2, False)), ((3, False),))
    kernel_clocks = run_step(step(pim(96 * 100))).clocks
    times = np.array([30_000.0, kernel_clocks, 9000.0, kernel_clocks, kernel_clocks])
    on_pim = np.array([side == "P" for side in sides])
    names = tuple("abcde")
    falses = np.zeros(5, dtype=bool)
    fluid = fluid_schedule(TaskTable(names, producers, ~on_pim, falses, falses, np.full(5, 64)), times, times, on_pim,
                           same_rates(1, 1), chunks=np.array(chunks))  # fmt: skip
    tasks = []
    for index, side in enumerate(sides):
        needs = tuple(
            Need(p, tuple(needed_chunks(j, chunks[index], chunks[p], all_of_it) for j in range(chunks[index])))
            for p, all_of_it in producers[index]
        )
        if side == "H":
            tasks.append(host(times[index], 0, chunks=chunks[index], needs=needs))
        else:
            tasks.append(pim(9600, rank=index, chunks=chunks[index], needs=needs))
    simulated = run_step(step(*tasks))
    found = np.concatenate(simulated.ends)
    assert found == pytest.approx(fluid.chunk_end, abs=60 * sum(chunks))
    assert simulated.clocks == pytest.approx(fluid.makespan, rel=0.01)


# ---------------------------------------------------------------------- drawn


@st.composite
def drawn_steps(draw):
    """A small step of tasks that need earlier ones, under any policy."""
    policies = [one for name, one in sorted(POLICIES.items()) if name != "partitioned"]
    made = []
    for index in range(draw(st.integers(1, 6))):
        chunks = draw(st.integers(1, 4))
        needs = tuple(
            Need(p, tuple(needed_chunks(j, chunks, made[p].chunks, draw(st.booleans())) for j in range(chunks)))
            for p in draw(st.lists(st.integers(0, index - 1), unique=True, max_size=2))
        ) if index else ()  # fmt: skip
        if draw(st.booleans()):
            requests = draw(st.sampled_from([0, 1, 3, 200]))
            clocks = max(requests, 1) * draw(st.sampled_from([2.0, 5.7, 31.0]))
            made.append(host(clocks, requests, draw(st.sampled_from(policies)), chunks, needs))
        else:
            which = draw(st.sampled_from([ADD, kernel("r"), kernel("rw", "r", registers=8)]))
            rank = draw(st.integers(0, 99)) * 8 + index
            steps, extra = draw(st.sampled_from([0, 1, 50, 500])), draw(st.sampled_from([0.0, 0.0, 0.7]))
            made.append(PimChunkTask(which, steps, rank, chunks, needs, extra))
    return step(*made, refresh=draw(st.sampled_from(["off", "all-bank", "per-bank"])))


@settings(max_examples=60, deadline=None)
@given(one=drawn_steps())
def test_drawn_steps(one):
    result = run_step(one, trace=True)
    assert result.served == sum(task.requests for task in one.tasks if isinstance(task, HostChunkTask))
    assert result.pim_steps == sum(task.steps for task in one.tasks if isinstance(task, PimChunkTask))
    for task, starts, ends in zip(one.tasks, result.starts, result.ends, strict=True):
        assert len(starts) == len(ends) == task.chunks
        assert list(ends) == sorted(ends)
        for need in task.needs:
            for start, count in zip(starts, need.chunks, strict=True):
                # the PIM counts its own chunk as complete when the last step is issued, a cadence before its end
                slack = ADD.cadence + 1 if isinstance(one.tasks[need.task], PimChunkTask) else 0
                assert count == 0 or start >= result.ends[need.task][count - 1] - slack
    if result.trace is not None:
        assert not check_channel(result.trace, HBM2, BANKS, kernel=ADD, refresh=one.refresh, takes_turns=True)
    plain = run_step(one, skip_idle=False)
    assert plain == dataclasses.replace(run_step(one), trace=plain.trace)


# ---------------------------------------------------------------------- bad descriptions


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ((pim(), pim()), "same rank"),
        ((pim(), pim(rank=1, which=kernel("r", units=16, cadence=8))), "same units"),
        ((host(needs=(Need(3, (1,)),)),), "task 0 needs task 3"),
        ((host(), pim(chunks=2, needs=(Need(0, (1,)),))), "for each of its 2 chunks"),
        ((host(), pim(needs=(Need(0, (2,)),))), "needs more chunks of task 0 than it has"),
        ((host(clocks=10.0, requests=11),), "allowed: above 0, one per clock"),
        ((host(clocks=0.0, requests=0),), "takes 0.0 clocks"),
        ((host(policy=POLICIES["partitioned"]),), "policy 'partitioned' in a step; allowed: serial"),
        ((pim(chunks=0),), "chunks of task 0 are 0"),
        ((pim(steps=-1),), "column steps of task 0 are -1"),
        ((dataclasses.replace(pim(), extra=-0.1),), "extra clocks per step of task 0 are -0.1; allowed: 0 to 1000"),
    ],
)
def test_refused(tasks, words):
    with pytest.raises(PimModelError, match=words):
        step(*tasks)


def test_tasks_that_wait_for_each_other():
    with pytest.raises(PimModelError, match="wait for each other: 2 left, first task 0"):
        run_step(step(host(needs=(Need(1, (1,)),)), pim(needs=(Need(0, (1,)),))))


def test_too_long():
    with pytest.raises(PimModelError, match="not complete after 5000 clocks"):
        run_step(step(host()), most_clocks=5000)


# ---------------------------------------------------------------------- networks


def test_a_plan_as_the_simulator_reads_it():
    system = load_system("v100-bankgroup-pim")
    work = workload(training_step(load_network("alexnet", 2, None, "error")), system, "fp32")
    plan = uniform_plan(work, EXCLUSIVE, chunks=4)
    described = network.step_of(work, plan)
    hosts = [one for one in described.tasks if isinstance(one, HostChunkTask)]
    assert len(described.tasks) == len(work)
    assert len(hosts) == int((~plan.on_pim).sum())
    use = work.host_at(np.where(plan.on_pim, 1, plan.chunks))
    moved = 32 * system.memory_channels * sum(one.requests for one in hosts)
    assert moved == pytest.approx(use.dram_bytes[~plan.on_pim].sum(), rel=1e-4)
    steps_bytes = 32 * 4 * system.memory_channels * sum(
        one.steps for one in described.tasks if isinstance(one, PimChunkTask)
    )  # fmt: skip
    assert steps_bytes == pytest.approx(sum(task.bytes for task, there in zip(work.tasks, plan.on_pim, strict=True)
                                            if there), rel=1e-3)  # fmt: skip


@pytest.mark.slow
def test_formula_and_simulator_agree_on_a_network():
    found = network.compare_network("resnet18", effort=network.Effort(batch=2, sweep=((8, 44), (16, 58))))
    assert {"serial", "uncoordinated", "optimized"} < {one.plan for one in found}
    assert all(abs(one.error) < 0.03 for one in found), found
    assert found[-1].simulator < 1.02 * found[-1].best_of_sweep


@pytest.mark.slow
def test_command(tmp_path):
    file = tmp_path / "steps.csv"
    done = CliRunner().invoke(app, ["validate", "network", "squeezenet1_1", "--quick", "--format", "json", "--workers",
                                    "1", "--csv", str(file)])  # fmt: skip
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert rows[0]["quantity"] == "step time, all"
    assert rows[0]["met"] is True
    assert file.read_text().startswith("network,batch,plan,formula,simulator,")
    assert len(file.read_text().splitlines()) == 1 + rows[0]["n"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["resnet5"], "unknown network 'resnet5'; did you mean resnet50"),
        (["resnet18", "vgg1"], "unknown network 'vgg1'"),
        (["absent.onnx"], "absent.onnx: no such file"),
        (["resnet18", "--batch", "0"], "batch is 0; allowed: a whole number, 1 or more"),
        (["resnet18", "--system", "v10"], "unknown system 'v10'"),
        (["resnet18", "--workers", "-1"], "--workers is -1; allowed: 0 or more"),
    ],
)
def test_bad_input(arguments, words):
    done = CliRunner().invoke(app, ["validate", "network", *arguments])
    assert done.exit_code == 1, (done.output, done.exception)
    assert done.stdout == ""
    assert done.stderr.startswith("pimmodel: ")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
