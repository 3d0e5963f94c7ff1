"""A whole training step on one channel: the host's tasks and the PIM's tasks in chunks, each waiting for others.

What runs when, exactly:

- **Host.** Its tasks run one at a time in the order of the list. A task is a reference stream of its own, its
  sub-streams placed anew when it begins, of `requests` requests spread evenly over `clocks` stall-free clocks. Chunk j
  of m is generated when (j + 1) / m of the requests are (as the fraction may be that of a request: when the host would
  have generated so much of the next one); since a stalled host generates nothing, stalls lengthen it by what they last.
  It is complete at the last data beat of the last request generated until then. The next chunk is generated on from
  there if it may start, else the host waits; the next task begins when this one is complete, and may start. A task
  without requests is pure time.
- **PIM.** Whenever it has completed a chunk it takes, of all tasks whose next chunk may start, the one of lowest rank,
  and waits if there is none. A chunk is a number of column steps of the task's kernel, which goes on where its previous
  chunk ended; rows are opened ahead within a task, not across a change of tasks. It is complete for the PIM itself when
  its last step has been issued, and for the host when that step is over.
- **Dependencies.** Every task says for each of its chunks how many chunks of each producer must be complete.
- **Memory.** While a task of the host runs and the PIM has a chunk begun, its policy decides; where they do not share
  (policies `serial` and `gpu-only`, or `shares` says no) the chunk waits until the host's task is over. When the host
  has generated its task (or waits for its next chunk), its last requests are served before the PIM goes on, as in
  `simulate.run_pair`. While only one side has work it has the memory alone, with refreshes that are not postponed.
  Open rows, queue, owner and refreshes live on from task to task. Under `uncoordinated` rows that the PIM has opened in
  advance are anybody's once it turns to another task or waits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from pimmodel.errors import PimModelError
from pimmodel.hardware.memory import MemoryTiming, Organisation
from pimmodel.scenario import HostQueue, HostStream, PimKernel, Policy

POLICIES = ("serial", "gpu-only", "uncoordinated", "exclusive", "watermark", "bypass-cap", "time-slice", "host-first",
            "pim-first")  # fmt: skip


@dataclass(frozen=True)
class Need:
    """Chunks of another task that must be complete: `chunks[j]` of them before chunk j starts.

    task : index of that task in the step
    """

    task: int
    chunks: tuple[int, ...]


@dataclass(frozen=True)
class HostChunkTask:
    """A task of the host on one channel.

    clocks : stall-free time [clock]
    requests : requests in that time [1]
    write_share : of the requests [1]
    policy : who may access the memory while it runs
    chunks : equal parts that others may wait for [1]
    """

    clocks: float
    requests: int
    write_share: float
    policy: Policy
    chunks: int = 1
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True)
class PimChunkTask:
    """A task of the PIM on one channel: `steps` column steps of a kernel, in `chunks` equal parts (to a whole step).

    rank : place in the PIM's list, all different; the ready task of lowest rank is taken first
    extra : clocks by which the task's arithmetic lengthens a column step, on average [clock]
    """

    kernel: PimKernel
    steps: int
    rank: int
    chunks: int = 1
    needs: tuple[Need, ...] = ()
    extra: float = 0.0


def all_share(host_task: int, pim_task: int) -> bool:
    """Every pair runs at once."""
    return True


@dataclass(frozen=True)
class Step:
    """A training step on one channel.

    timing, organisation, refresh : of the memory
    queue : of the controller
    stream : access pattern of the host; rate and write share are those of its tasks
    tasks : of both sides; the host's run in this order
    shares : whether a pair (index of the host's task, of the PIM's) runs at once where its policy would let it
    """

    timing: MemoryTiming
    organisation: Organisation
    queue: HostQueue
    stream: HostStream
    tasks: tuple[HostChunkTask | PimChunkTask, ...]
    refresh: str = "off"
    shares: Callable[[int, int], bool] = field(default=all_share, repr=False)

    def __post_init__(self) -> None:
        ranks = [task.rank for task in self.tasks if isinstance(task, PimChunkTask)]
        if len(set(ranks)) < len(ranks):
            raise PimModelError("two tasks of the PIM have the same rank")
        if len({task.kernel.units for task in self.tasks if isinstance(task, PimChunkTask)}) > 1:
            raise PimModelError("the kernels of a step must use the same units")
        for index, task in enumerate(self.tasks):
            _check_task(index, task, self.tasks)


def _check_task(
    index: int, task: HostChunkTask | PimChunkTask, tasks: tuple[HostChunkTask | PimChunkTask, ...]
) -> None:
    """Refuse what the simulator cannot run."""
    if task.chunks < 1:
        raise PimModelError(f"chunks of task {index} are {task.chunks}; allowed: 1 or more")
    for need in task.needs:
        if not 0 <= need.task < len(tasks) or len(need.chunks) != task.chunks:
            raise PimModelError(f"task {index} needs task {need.task}, for each of its {task.chunks} chunks")
        if max(need.chunks) > tasks[need.task].chunks:
            raise PimModelError(f"task {index} needs more chunks of task {need.task} than it has")
    if isinstance(task, PimChunkTask):
        if task.steps < 0:
            raise PimModelError(f"column steps of task {index} are {task.steps}; allowed: 0 or more")
        if not 0 <= task.extra <= 1000:
            raise PimModelError(f"extra clocks per step of task {index} are {task.extra}; allowed: 0 to 1000")
        return
    if not (isfinite(task.clocks) and task.clocks > 0) or not 0 <= task.requests <= task.clocks:
        raise PimModelError(
            f"task {index} takes {task.clocks} clocks for {task.requests} requests; allowed: above 0, one per clock"
        )
    if task.policy.kind not in POLICIES:
        raise PimModelError(f"policy '{task.policy.kind}' in a step; allowed: {', '.join(POLICIES)}")


@dataclass(frozen=True)
class StepResult:
    """What a step took.

    clocks : until the last chunk was complete [clock]
    starts, ends : per task, of each of its chunks, when it began and when it was complete [clock]
    served, pim_steps : host requests served and column steps done
    switches : changes of the owner
    stall_cycles : clocks in which the host might not generate, window or queue being full [clock]
    host_clocks, pim_clocks : clocks in which each owned the channel; switches and refreshes are in neither [clock]
    activates, pim_activates, refreshes : commands, banks opened by the PIM
    trace : command trace (`pimmodel.validation.trace`), if asked for
    """

    clocks: int
    starts: tuple[tuple[int, ...], ...] = field(repr=False)
    ends: tuple[tuple[int, ...], ...] = field(repr=False)
    served: int
    pim_steps: int
    switches: int
    stall_cycles: int
    host_clocks: int
    pim_clocks: int
    activates: int
    pim_activates: int
    refreshes: int
    trace: np.ndarray | None = field(default=None, repr=False)
