"""What a small change of each hardware parameter does to step time and speedup: exact, from the formulas themselves.

Real-valued parameters have derivatives: the model is evaluated once on a system of :class:`pimmodel.dual.Dual` numbers,
and sympy differentiates every formula on the way. At a kink (two bounds equal) the derivatives to the left and to the
right differ; both are given. The choice of kernels, thresholds and rounded write shares is the one at the point: where
two are exactly equal, the first. Timings in clocks are kept as they are: a clock that is changed far enough moves those
that are times by whole clocks.

Whole numbers (timings in clocks, units, SMs, queue places) have no derivative: the step is evaluated again one step
below and above. Sizes in bytes go in halves and doubles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pimmodel.dual import Dual, directions, value_of
from pimmodel.errors import PimModelError
from pimmodel.hardware.change import replace
from pimmodel.hardware.system import System
from pimmodel.network.network import Network
from pimmodel.network.training import Optimizer, Precision
from pimmodel.pim.tasks import pim_kernel
from pimmodel.roofline.conv import BOUNDS
from pimmodel.scenario import Policy
from pimmodel.schedule.plan import eligible
from pimmodel.sensitivity.effects import NOTHING, RESULTS, Effect, Sensitivity, Sides
from pimmodel.sensitivity.evaluate import Point, StudyPolicy, Thresholds, check_policy
from pimmodel.sensitivity.parameters import Parameter, base_system, parameters
from pimmodel.sharing.pairs import pair_scenario
from pimmodel.step import Step, prepare


def sensitivity(
    network: Network,
    system: System,
    policy: StudyPolicy = "exclusive",
    *,
    thresholds: Thresholds = None,
    precision: Precision = "fp32",
    optimizer: Optimizer = "sgd-momentum",
    fuse_activation: bool = False,
    wanted: Sequence[str] | None = None,
    steps: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Sensitivity:
    """Derivatives and elasticities of step time and speedup with respect to the parameters of a system.

    Parameters
    ----------
    policy : "gpu-only", "serial", "exclusive" (stage model, see :mod:`pimmodel.sensitivity.evaluate`) or "ideal"
    thresholds : (theta_low, theta_high) of all stages under "exclusive" [1]; None: the best of each stage
    wanted : dotted names or patterns such as "memory.timing.*"; None: all numeric parameters
    steps : whether whole numbers are changed by a step, which takes seconds each under "exclusive"
    progress : called with the number of parameters done, and of all [1]
    others : as for `pimmodel.estimate`

    Raises
    ------
    UnknownNameError : no such policy or parameter.
    PimModelError : thresholds that the controller cannot have.

    Examples
    --------
    >>> import pimmodel as pm
    >>> found = pm.sensitivity(pm.load_network("alexnet"), pm.load_system("v100-bankgroup-pim"), "serial", steps=False)
    >>> found.effects[0].name, -1 < found.effects[0].time.right < 0  # the GPU's share of the time, at most all of it
    ('gpu.clock', True)
    """
    check_policy(policy)
    chosen = parameters(system, wanted)
    step = prepare(network, system, precision=precision, optimizer=optimizer, fuse_activation=fuse_activation)
    return step_sensitivity(step, policy, thresholds, chosen, steps, progress)


def step_sensitivity(
    step: Step, policy: StudyPolicy, thresholds: Thresholds, chosen: Sequence[Parameter], steps: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Sensitivity:  # fmt: skip
    """`sensitivity` of a prepared step to the `chosen` parameters."""
    point = Point(step, thresholds)
    times = _times(point, policy)
    real = [one for one in chosen if one.kind == "real"]
    whole = [one for one in chosen if one.kind == "whole"]
    found = {one.name: Effect(one.name, one.value, one.unit, one.kind, active="no time depends on it")
             for one in chosen if one.kind == "no effect"}  # fmt: skip
    for system, some in _by_base(step.system, real):
        base = point if system is step.system else point.at(system)
        found |= {one.name: one for one in _derivatives(base, policy, some)}
    for done, one in enumerate(whole if steps else ()):
        if progress:
            progress(done, len(whole))
        found[one.name] = _stepped(point, policy, one)
    if progress:
        progress(len(whole), len(whole))
    effects = sorted((found[one.name] for one in chosen if one.name in found), key=lambda one: -one.swing)
    return Sensitivity(
        step.network.name, step.system.name, policy, times["time"], times["speedup_gpu_only"], times["speedup_serial"],
        tuple(effects), _bounds(point, policy), point,
    )  # fmt: skip


def _by_base(system: System, chosen: Sequence[Parameter]) -> list[tuple[System, list[Parameter]]]:
    """Parameters by the system that their changes start from: itself, or the one without a stated bandwidth."""
    itself: list[Parameter] = []
    other: list[Parameter] = []
    base = system
    for one in chosen:
        started = base_system(system, one.name)
        (itself if started is system else other).append(one)
        base = base if started is system else started
    return [(one, some) for one, some in ((system, itself), (base, other)) if some]


def _times(point: Point, policy: str) -> dict[str, Any]:
    """The results of a point by name; dual numbers where it has slopes."""
    time = point.time(policy)
    plain = time if isinstance(time, Dual) else float(time)
    return {"time": plain, "speedup_gpu_only": point.time("gpu-only") / plain,
            "speedup_serial": point.time("serial") / plain}  # fmt: skip


def _derivatives(base: Point, policy: StudyPolicy, some: Sequence[Parameter]) -> list[Effect]:
    """Effects of real parameters, all in one evaluation."""
    count = len(some)
    column = directions(count)
    point = Point(base.step, base.thresholds, {one.name: column[:, place] for place, one in enumerate(some)})
    results = _times(point, policy)
    host = point.work.host[1].time
    pim = point.work.pim
    effects = []
    for place, one in enumerate(some):

        def sides(number: Any, place: int = place) -> Sides:
            if not isinstance(number, Dual):
                return NOTHING
            return Sides(0.0 - float(number.slope[count + place]), float(number.slope[place]) + 0.0)

        elasticities = {
            name: Sides(*(side * one.value / float(value_of(number)) for side in sides(number)))  # type: ignore[operator]
            for name, number in results.items()
        }
        sides_of: tuple[Any, ...] = (host, pim)
        slopes = [np.abs(side.slope[place]) if isinstance(side, Dual) else np.zeros(len(point.work))
                  for side in sides_of]  # fmt: skip
        effects.append(Effect(one.name, one.value, one.unit, one.kind, sides(results["time"]), **elasticities,
                              active=_acts(point, policy, *slopes)))  # fmt: skip
    return effects


def _acts(point: Point, policy: str, host: Any, pim: Any) -> str:
    """Where a parameter acts, from the slopes of the tasks' times on both sides, shape (T,)."""
    work = point.step.workload
    on_pim = eligible(work) if policy != "gpu-only" else np.zeros(len(work), dtype=bool)
    host, pim = np.where(on_pim, 0.0, host), np.where(on_pim, np.nan_to_num(pim), 0.0)
    said = []
    if host.any():
        most = int(np.argmax(host))
        said.append(f"{np.count_nonzero(host)} of {np.count_nonzero(~on_pim)} host tasks, most {work.tasks[most].name}"
                    f" ({_bound_of(point, most)})")  # fmt: skip
    if pim.any():
        said.append(f"{np.count_nonzero(pim)} of {np.count_nonzero(on_pim)} PIM tasks")
    return "; ".join(said) or "binds nowhere"


def _bound_of(point: Point, task: int) -> str:
    """What a host task is bound by."""
    work = point.step.workload
    where = int(work.host_tasks.kernel_of[task])
    kernels = point.step.host_work.kernels
    return "stream" if where < 0 or kernels is None else BOUNDS[int(kernels.bound[where])]


def _bounds(point: Point, policy: str) -> dict[str, float]:
    """Shares of the time by what binds the host, and of the PIM's work by where it is done [1]."""
    work, time = point.step.workload, float(value_of(point.time(policy)))
    on_pim = np.zeros(len(work), dtype=bool) if policy == "gpu-only" else eligible(work)
    shares: dict[str, float] = {}
    for task in np.flatnonzero(~on_pim).tolist():
        name = f"host: {_bound_of(point, task)}"
        shares[name] = shares.get(name, 0.0) + float(work.host[1].time[task]) / time
    pim = float(np.nansum(np.where(on_pim, work.pim, 0.0)))
    if policy == "serial":
        shares["PIM"] = pim / time
    if policy == "exclusive" and pim:
        beside = float(sum(one.done + one.filled for one in point.stages))
        waited = float(sum(one.wait for one in point.stages))
        shares |= {"PIM work beside the host": beside / pim, "PIM work that the host waits for": waited / pim,
                   "PIM work after the last host task": 1 - (beside + waited) / pim}  # fmt: skip
    return shares


def _stepped(point: Point, policy: StudyPolicy, one: Parameter) -> Effect:
    """Effect of a whole number, evaluated again one step down and up."""
    base = base_system(point.step.system, one.name)
    start = point if base is point.step.system else point.at(base)
    before = _times(start, policy)
    found = [_neighbour(start, policy, one, values, before) for values in (one.below(), one.above())]
    notes = [said for _, _, said in found if said]

    def of(make: Callable[[dict[str, float], float], float]) -> Sides:
        return Sides(*(None if side is None else make(side, value) for value, side, _ in found))

    def elasticity(name: str) -> Sides:
        # From zero there is no ratio; a change by one then counts as one by all of it.
        return of(lambda side, value: math.log(side[name] / before[name])
                  / (math.log(value / one.value) if value and one.value else value - one.value) + 0.0)  # fmt: skip

    if all(side is before for _, side, _ in found):
        return Effect(one.name, one.value, one.unit, one.kind, steps=of(lambda _, value: value), change=NOTHING,
                      active="no time depends on it")  # fmt: skip
    return Effect(
        one.name, one.value, one.unit, one.kind,
        of(lambda side, value: (side["time"] - before["time"]) / (value - one.value) + 0.0),
        **{name: elasticity(name) for name in RESULTS},
        change=of(lambda side, _: side["time"] / before["time"] - 1), steps=of(lambda _, value: value),
        active="; ".join(notes) or "by steps",
    )  # fmt: skip


def _neighbour(
    start: Point, policy: StudyPolicy, one: Parameter, values: Sequence[int], before: dict[str, float]
) -> tuple[int, dict[str, float] | None, str]:
    """The first of some values that is possible, and the results there; `before` itself where nothing changes."""
    said = ""
    for value in values:
        try:
            changed = start.at(replace(start.step.system, {one.name: value}))
            return value, before if _same(start, changed) else _times(changed, policy), ""
        except PimModelError as error:
            said = said or f"{value} is not possible: {getattr(error, 'allowed', error)}"
    return 0, None, said


def _same(first: Point, second: Point) -> bool:
    """Whether two points give the same to the model of a step: tasks' times, traffic, and the channel they share."""
    a, b = first.step.workload, second.step.workload
    numbers = ((a.pim, b.pim), (a.host[1].time, b.host[1].time), (a.host[1].rate, b.host[1].rate),
               (a.host[1].memory, b.host[1].memory), (a.write_share, b.write_share))  # fmt: skip
    if not all(np.array_equal(one, other, equal_nan=True) for one, other in numbers):
        return False
    kernel = next((one for one in a.signatures if one is not None), None)
    if kernel is None:
        return True
    rule = Policy(kind="serial")
    channels = [pair_scenario(one, 0.1, 0.5, pim_kernel(kernel, one), rule).model_dump_json()
                for one in (a.system, b.system)]  # fmt: skip
    return channels[0] == channels[1]
