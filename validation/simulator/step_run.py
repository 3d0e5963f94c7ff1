"""Runs a step (see `step` for what runs when): starts and completes chunks between stretches of simulated clocks."""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
from pimmodel.validation.trace import PIM

from pimmodel.errors import PimModelError
from pimmodel.scenario import PimKernel, Policy

from . import build, engine, milestones, state
from .step import HostChunkTask, PimChunkTask, Step, StepResult

_SERIAL = Policy(kind="serial")
_POSITION = ("pass_", "repetition", "row", "batch", "operand", "column", "row_serial")
_ROWS_PER_TASK = 1 << 24  # row labels of a task of the PIM


def run_step(
    step: Step, *, seed: int = 0, skip_idle: bool = True, trace: bool = False, most_clocks: int = 1 << 40
) -> StepResult:
    """Simulate a step from its beginning to its end; the same with and without `skip_idle`.

    Raises
    ------
    PimModelError : the tasks wait for each other, or are not complete after `most_clocks`.
    """
    run = _Run(step, seed, skip_idle=skip_idle, trace=trace)
    while run.go_on(most_clocks):
        if run.clock >= most_clocks:
            raise PimModelError(f"the step is not complete after {most_clocks} clocks")
    return run.result()


class _Run:
    """The channel, and how far the tasks have come.

    done : complete chunks of each task; seen : the same as the PIM sees it, to whom its own last step counts as done
    over : heap of what will be complete soon, (clock, task)
    """

    def __init__(self, step: Step, seed: int, *, skip_idle: bool, trace: bool) -> None:
        self.step = step
        self.s = s = state.empty_state()
        build.set_memory(s, step.timing, step.organisation, step.refresh)
        build.set_queue(s, step.queue.capacity, step.queue.window, step.queue.starvation_cap)
        build.set_stream(s, step.stream.model_copy(update={"arrival": "even"}), seed)
        self.p, self.channel = s["parameters"][0], s["channel"][0]
        self.p["skip"], self.p["tracing"] = skip_idle, trace
        self.pieces: list[np.ndarray] = []
        self.starts: list[list[int]] = [[] for _ in step.tasks]
        self.ends: list[list[int]] = [[] for _ in step.tasks]
        self.done, self.seen = [0] * len(step.tasks), [0] * len(step.tasks)
        self.over: list[tuple[int, int]] = []
        self.host, self.pim = _Host(self), _Pim(self)
        self.pim.start()
        self.policy: Policy | None = None

    @property
    def clock(self) -> int:
        """Clock that is simulated next."""
        return int(self.channel["clock"])

    def go_on(self, most_clocks: int) -> bool:
        """Start what may start, simulate up to the next milestone, and look at what is reached; False at the end."""
        while self.over and self.over[0][0] <= self.clock:
            end, task = heappop(self.over)
            self.ends[task].append(end)
            self.done[task] += 1
            if task in self.host.tasks:
                self.seen[task] += 1
                self.pim.wake(task)
        self.host.start()
        self.pim.take()
        if not (self.over or self.host.working or self.pim.task >= 0):
            left = [i for i, task in enumerate(self.step.tasks) if self.done[i] < task.chunks]
            if left:
                raise PimModelError(f"the tasks of a step wait for each other: {len(left)} left, first task {left[0]}")
            return False
        target = self.set_authority()
        until = min(most_clocks, self.over[0][0] if self.over else most_clocks, self.host.timer)
        milestones.advance_to(self.s, until, *self.host.milestone(), target, self.pim.extra)
        if self.p["tracing"]:
            self.pieces.append(self.s["trace"][0, : self.channel["trace_length"]].copy())
            self.channel["trace_length"] = 0
        self.host.look()
        self.pim.look()
        return True

    def set_authority(self) -> int:
        """Set the policy, and how far the PIM may go; the column steps at which its chunk is complete."""
        host, pim = self.host, self.pim
        policy, limit, target = _SERIAL, pim.limit, pim.target
        if host.working and pim.task >= 0:
            wanted = host.tasks[host.task].policy
            if wanted.kind in ("serial", "gpu-only") or not self.step.shares(host.task, pim.task):
                limit, target = int(self.channel["pim_steps_total"]), state.NEVER
            else:
                policy = wanted
        if policy is not self.policy:
            self.p["postpone"] = 1
            self.p["quota_host"] = self.p["quota_pim"] = state.NEVER
            build.set_policy(self.s, policy, self.step.organisation)
            self.policy = policy
            self.forget_plans()
        if self.p["pim_limit"] != limit:
            self.p["pim_limit"] = limit
            self.forget_plans()
        return target

    def forget_plans(self) -> None:
        """Who may do what has changed; rows that the PIM opened for what it is not doing now need not wait for it."""
        self.channel["pim_valid"] = self.channel["host_valid"] = 0
        banks = self.s["banks"][0]
        banks["served"] = np.maximum(banks["served"], banks["owner"] == PIM)

    def ready(self, index: int, chunk: int, done: list[int]) -> bool:
        """True if a chunk of a task may start."""
        return all(done[need.task] >= need.chunks[chunk] for need in self.step.tasks[index].needs)

    def result(self) -> StepResult:
        """Counts and times of the run."""
        counts = self.s["statistics"][0]
        names = ("pim_steps", "switches", "stall_cycles", "host_clocks", "pim_clocks", "activates", "pim_activates",
                 "refreshes")  # fmt: skip
        return StepResult(
            clocks=max((ends[-1] for ends in self.ends), default=0),
            starts=tuple(map(tuple, self.starts)),
            ends=tuple(map(tuple, self.ends)),
            served=int(counts["served_reads"] + counts["served_writes"]),
            trace=np.concatenate(self.pieces) if self.pieces else None,
            **{name: int(counts[name]) for name in names},
        )


class _Host:
    """The host's task that runs.

    task : its index, -1 if none; made : its chunks that are generated; base : requests generated before it began
    unserved : of its chunks that are generated and not yet served, the clocks in which they were
    generating : False when all is generated, or the next chunk has to wait
    timer : end of the present chunk, of a task without requests [clock]
    """

    def __init__(self, run: _Run) -> None:
        self.run = run
        self.tasks = {i: task for i, task in enumerate(run.step.tasks) if isinstance(task, HostChunkTask)}
        self.coming = iter([*self.tasks, -1])
        self.head = next(self.coming)
        self.task, self.made, self.base = -1, 0, 0
        self.unserved: list[int] = []
        self.generating = False
        self.timer = state.NEVER
        run.p["host_limit"] = 0

    @property
    def working(self) -> bool:
        """True while the task generates, passes time, or has chunks that are not complete."""
        return self.task >= 0 and (self.generating or self.run.done[self.task] < self.made)

    def start(self) -> None:
        """Begin the next task, or go on with the next chunk, if it may start."""
        run, channel = self.run, self.run.channel
        if self.task >= 0 and run.done[self.task] == self.tasks[self.task].chunks:
            self.task = -1
        if self.task < 0:
            if self.head < 0 or not run.ready(self.head, 0, run.done):
                return
            self.task, self.made, self.base = self.head, 0, int(channel["generated"])
            self.head = next(self.coming)
            task = self.tasks[self.task]
            channel["credit"] = 0
            if task.requests:
                run.p["credit"] = round(task.requests / task.clocks * state.CREDIT_ONE)
                run.p["write_threshold"] = round(task.write_share * 2**53)
                engine.start(run.s)
        else:
            waits = not self.generating and self.made < self.tasks[self.task].chunks
            if not (waits and run.ready(self.task, self.made, run.done)):
                return
        self._start_chunk()

    def _start_chunk(self) -> None:
        run, task = self.run, self.tasks[self.task]
        self.generating = True
        run.starts[self.task].append(run.clock)
        if task.requests:
            run.p["host_limit"] = self.base + task.requests
        else:
            self.timer = run.clock + max(1, round(task.clocks / task.chunks))

    def milestone(self) -> tuple[int, int, int]:
        """Requests and credit at which the present chunk is generated; clock of the requests to be served first."""
        born = self.unserved[0] if self.unserved else -1
        if not self.generating or not self.tasks[self.task].requests:
            return state.NEVER, 0, born
        task = self.tasks[self.task]
        whole, credit = divmod(task.requests * (self.made + 1) * state.CREDIT_ONE // task.chunks, state.CREDIT_ONE)
        return self.base + whole, credit, born

    def look(self) -> None:
        """Note which chunks are generated and which are served."""
        run, channel = self.run, self.run.channel
        if self.timer <= run.clock:
            self.timer = state.NEVER
            heappush(run.over, (run.clock, self.task))
            self._chunk_made()
        while self.generating and self.tasks[self.task].requests:
            whole, credit, _ = self.milestone()
            if (channel["generated"], channel["credit"]) < (whole, credit):
                break
            self.unserved.append(run.clock - 1)
            self._chunk_made()
        while self.unserved:
            if channel["queued"] and run.s["queue"][0, run.s["order"][0, 0]]["born"] <= self.unserved[0]:
                break
            self.unserved.pop(0)
            heappush(run.over, (max(run.clock, int(channel["host_end"])), self.task))

    def _chunk_made(self) -> None:
        """A chunk has been generated: go on with the next one, or stop if there is none or it has to wait."""
        run = self.run
        self.made += 1
        self.generating = False
        if self.made < self.tasks[self.task].chunks and run.ready(self.task, self.made, run.done):
            self._start_chunk()
        else:
            run.p["host_limit"] = run.channel["generated"]


class _Pim:
    """The PIM's chunk that runs, and its list.

    task : whose chunk has begun, -1 if none
    loaded : the task whose kernel and arithmetic the PIM is set to
    target, limit : column steps ever done when the chunk, and when the task is complete [column step]
    heap : ranks and indices of the tasks whose next chunk may start
    """

    def __init__(self, run: _Run) -> None:
        self.run = run
        self.tasks = {i: task for i, task in enumerate(run.step.tasks) if isinstance(task, PimChunkTask)}
        self.task, self.loaded = -1, -1
        self.extra = 0
        self.target, self.limit = state.NEVER, 0
        self.kernel: PimKernel | None = None
        self.places: dict[int, tuple[int, ...]] = {}
        self.heap: list[tuple[int, int]] = []
        self.waiting = set(self.tasks)  # tasks that are neither in the heap nor begun nor complete
        self.consumers: dict[int, list[int]] = {}
        for index, task in self.tasks.items():
            for need in task.needs:
                self.consumers.setdefault(need.task, []).append(index)

    def start(self) -> None:
        """Before anything has run."""
        for index in self.tasks:
            self._admit(index)

    def _admit(self, index: int) -> None:
        run = self.run
        if index in self.waiting and run.ready(index, run.seen[index], run.seen):
            self.waiting.remove(index)
            heappush(self.heap, (self.tasks[index].rank, index))

    def wake(self, producer: int) -> None:
        """A chunk of a task is complete: let go who waited for it."""
        for index in self.consumers.get(producer, ()):
            self._admit(index)

    def take(self) -> None:
        """Begin the ready chunk of lowest rank, if none has begun; chunks without a step are complete at once."""
        run = self.run
        while self.task < 0 and self.heap:
            _, index = heappop(self.heap)
            run.starts[index].append(run.clock)
            steps, rest = self._steps(index)
            if not steps:
                self._complete(index, run.clock)
                continue
            self._load(index)
            done = int(run.channel["pim_steps_total"])
            self.task, self.target, self.limit = index, done + steps, done + steps + rest

    def _steps(self, index: int) -> tuple[int, int]:
        """Column steps of the next chunk of a task, and of those behind it."""
        task, chunk = self.tasks[index], self.run.seen[index]
        before, after = task.steps * chunk // task.chunks, task.steps * (chunk + 1) // task.chunks
        return after - before, task.steps - after

    def look(self) -> None:
        """Note whether the chunk is complete."""
        run = self.run
        if self.task >= 0 and run.channel["pim_steps_total"] >= self.target:
            index, self.task = self.task, -1
            self.target, self.limit = state.NEVER, int(run.channel["pim_steps_total"])
            self._complete(index, int(run.channel["pim_end"]))

    def _complete(self, index: int, end: int) -> None:
        run = self.run
        heappush(run.over, (end, index))
        run.seen[index] += 1
        if run.seen[index] < self.tasks[index].chunks:
            self.waiting.add(index)
            self._admit(index)
        self.wake(index)

    def _load(self, index: int) -> None:
        """Turn to a task: its kernel, and where it was in it."""
        if index == self.loaded:
            return
        run, channel, kernel = self.run, self.run.channel, self.tasks[index].kernel
        if self.loaded >= 0:
            self.places[self.loaded] = tuple(int(channel[name]) for name in _POSITION)
        if kernel != self.kernel:
            build.set_kernel(run.s, run.step.timing, run.step.organisation, kernel)
            self.kernel = kernel
        start = (0,) * (len(_POSITION) - 1) + (index * _ROWS_PER_TASK,)
        for name, value in zip(_POSITION, self.places.pop(index, start), strict=True):
            channel[name] = value
        run.forget_plans()
        self.extra = round(self.tasks[index].extra * (1 << milestones.EXTRA_BITS))
        self.loaded = index
