"""Figures of many designs: sorted into groups of one structure, each evaluated by the compiled stage model.

Fields that only set rates (`FAST`) vary inside a group for a microsecond per design; everything else (timings, units,
SMs, batch) makes a new group, which costs some tenths of a second once: the tasks' kernels, the PIM's times, and the
progress of pairs on that memory. A design that the description forbids has no figures, and a reason.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pimmodel.errors import PimModelError
from pimmodel.estimates import estimate_step
from pimmodel.hardware.system import System
from pimmodel.network.training import Precision
from pimmodel.roofline.menu import KernelMenu, Rates
from pimmodel.schedule.energy import static_powers, task_energy
from pimmodel.schedule.tasks import Floats
from pimmodel.sensitivity.uncertainty import HOST, scaled_time_interval, speedup_interval
from pimmodel.stages.batch import BLOCK, CACHED, StageBatch
from pimmodel.stages.host import Chosen, fastest, menu_of, system_rates
from pimmodel.stages.model import stage_model
from pimmodel.stages.room import Room
from pimmodel.stages.simple import SimpleBatch
from pimmodel.step import Step
from pimmodel.sweep.axes import HIGH, LOW, Numbers
from pimmodel.sweep.study import BASES, Study

# Rates: a design's own, within a group of designs that share everything else.
FAST = ("gpu.clock", "gpu.fp16_tensor_peak", "gpu.l2_bandwidth", "gpu.launch_overhead", "memory_bandwidth", LOW, HIGH)
_MOST_GROUPS = 64  # kept at once
_MARGIN = 1.005  # of a stated bandwidth over what channels and clock give, as the description allows

Figures = dict[str, Numbers]


@dataclass(eq=False)
class _Group:
    """Designs that differ in rates and thresholds alone."""

    step: Step
    chunks: int
    menu: KernelMenu = field(init=False)
    simple: SimpleBatch = field(init=False)
    stages: StageBatch = field(init=False)
    filled: bool = False

    def __post_init__(self) -> None:
        work = self.step.workload
        self.menu = menu_of(work)
        self.simple = SimpleBatch(work, self.menu)
        self.stages = StageBatch(stage_model(work, chunks=self.chunks), self.menu)


class Evaluator:
    """Evaluates designs of one study; keeps what groups of them share."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self._groups: OrderedDict[tuple[Any, ...], _Group | str] = OrderedDict()
        self._lock = threading.Lock()
        self._local = threading.local()

    def evaluate(self, values: Mapping[str, Numbers], workers: int = 1) -> Figures:
        """Figures of N designs.

        Parameters
        ----------
        values : by name, arrays of shape (N,), in SI
        workers : threads

        Returns
        -------
        the study's `figures`, arrays of shape (N,) in SI, NaN where a design is not possible; and `reason`, why not, ""
        where it is.
        """
        count = len(next(iter(values.values())))
        found = {name: np.full(count, np.nan) for name in self.study.figures}
        found["reason"] = np.full(count, "", dtype=object)
        slow = [name for name in values if name not in self.fast]
        for key, places in _grouped([values[name] for name in slow], count):
            group = self._group(dict(zip(slow, key, strict=True)))
            if isinstance(group, str):
                found["reason"][places] = group
                continue
            given = self.study.low is not None or LOW in values
            size = 16 * BLOCK if self._times_alone and given else BLOCK
            blocks = [places[begin : begin + size] for begin in range(0, len(places), size)]

            def one(block: Any, group: _Group = group) -> None:
                self._block(group, {name: values[name][block] for name in values if name in self.fast}, block, found)

            if not group.filled:  # the first block fills the tables that the others share
                one(blocks.pop(0))
                group.filled = True
            if workers > 1 and len(blocks) > 1:
                with ThreadPoolExecutor(workers) as pool:
                    list(pool.map(one, blocks))
            else:
                for block in blocks:
                    one(block)
        return found

    @property
    def _room(self) -> Room:
        """Room to work in of this thread."""
        if not hasattr(self._local, "room"):
            self._local.room = Room()
        room: Room = self._local.room
        return room

    @property
    def fast(self) -> tuple[str, ...]:
        """Names that vary inside a group."""
        gpu = self.study.system.gpu
        if gpu.fp16_tensor_peak is not None and gpu.tensor_flop_energy is None and "energy" in self.study.outputs:
            # The energy of a tensor-core FLOP is then taken from the ratio of the peaks.
            return tuple(name for name in FAST if name not in ("gpu.clock", "gpu.fp16_tensor_peak"))
        if gpu.fp16_tensor_peak is None or self.study.precision == "tf32":  # its kernels run at another peak
            return tuple(name for name in FAST if name != "gpu.fp16_tensor_peak")
        return FAST

    def _group(self, key: dict[str, Any]) -> _Group | str:
        """The group of some slow values, or why there is none."""
        place = tuple(key.items())
        with self._lock:
            if place in self._groups:
                self._groups.move_to_end(place)
                return self._groups[place]
        made = self._made(key)
        with self._lock:
            self._groups[place] = made
            while len(self._groups) > _MOST_GROUPS:
                self._groups.popitem(last=False)
        return made

    def _made(self, key: dict[str, Any]) -> _Group | str:
        try:
            step = self.study.step(key)
            if "energy" in self.study.outputs:
                static_powers(step.system)
            return _Group(step, int(key.get("chunks", self.study.chunks)))
        except PimModelError as error:
            return str(error)

    def _block(self, group: _Group, values: Mapping[str, Numbers], block: Any, found: Figures) -> None:
        """Evaluate one block of designs of a group into its places."""
        system, count = group.step.system, len(block)
        reasons = _refused(system, values, count, self.study.low, self.study.high)
        possible = np.array([not reason for reason in reasons]) if reasons is not None else np.ones(count, dtype=bool)
        if reasons is not None:
            found["reason"][block] = reasons
            if not possible.any():
                return
            values, block = {name: one[possible] for name, one in values.items()}, block[possible]
        rates, pairs = _rates(system, values, len(block), self.study.precision), self._pairs(group, values, len(block))
        if self._times_alone and pairs is not None and len(block) >= CACHED:
            figures = {"time exclusive": group.stages.from_rates(rates, pairs, self._room)}
        else:
            figures = self._figures(group, fastest(group.menu, rates, self._room), pairs)
        for name in self.study.figures:
            found[name][block] = figures[name]

    @property
    def _times_alone(self) -> bool:
        """Whether nothing but times of the exclusive policy is wanted."""
        return self.study.figures == ("time exclusive",)

    def _figures(self, group: _Group, chosen: Chosen, pairs: Any) -> dict[str, Floats]:
        study, figures = self.study, dict[str, Floats]()
        times = self._times(group, chosen, pairs)
        figures |= {f"time {policy}": time for policy, time in times.items()}
        figures["bound"] = times.get("ideal", np.zeros(0))
        if "energy" in study.outputs:
            figures |= self._energies(group, chosen, times)
        if "speedup" in study.outputs:
            figures |= speedups(study, figures)
        if "interval" in study.outputs:
            scaled = {
                factor: self._times(group, chosen, pairs, factor) for factor in (HOST.low, HOST.median, HOST.high)
            }
            figures |= intervals(study, scaled)
        return figures

    def _times(self, group: _Group, chosen: Chosen, pairs: Any, scale: float = 1.0) -> dict[str, Floats]:
        """Times of the policies that are needed [s], those of the host's tasks `scale` times the model's [1]."""
        study, simple, times = self.study, group.simple, dict[str, Floats]()
        if study.simple:
            side = simple.host.at(chosen, self._room, "all", scale)
            if "gpu-only" in study.needed:
                times["gpu-only"] = simple.gpu_only(side)
            if "serial" in study.needed:
                times["serial"] = simple.serial(side)
            if "bound" in study.figures or "ideal" in study.policies:
                times["ideal"] = simple.bounds(side).time
        if "exclusive" in study.policies:
            side = group.stages.host.at(chosen, self._room, "stages", scale)
            times["exclusive"] = group.stages.times(side, pairs, room=self._room)
        return times

    def _energies(self, group: _Group, chosen: Chosen, times: Mapping[str, Floats]) -> dict[str, Floats]:
        """Energies of the study's policies [J], from what their tasks take and what is drawn all the time."""
        work, simple, found = group.step.workload, group.simple, dict[str, Floats]()
        power = sum(static_powers(work.system).values())
        for policy in self.study.policies:
            if policy == "ideal":
                continue
            tasks = group.stages.host if policy == "exclusive" else simple.host
            on_pim = np.zeros(len(work), dtype=bool) if policy == "gpu-only" else simple.on_pim
            dynamic = tasks.energy(chosen, tasks.weights(None if policy == "exclusive" else ~on_pim))
            pim = float(np.nansum(np.where(on_pim, task_energy(work).pim, 0.0)))
            found[f"energy {policy}"] = dynamic + pim + power * times[policy]
        return found

    def _pairs(self, group: _Group, values: Mapping[str, Numbers], count: int) -> Any:
        """Place of every design's threshold pair in the table; None: the best of every stage."""
        if self.study.low is None and LOW not in values:
            return None
        low = np.asarray(values.get(LOW, self.study.low), dtype=np.int64)
        high = np.asarray(values.get(HIGH, self.study.high), dtype=np.int64)
        table = group.stages.model.table
        return np.broadcast_to(table.pairs(low, high), (count,))


def speedups(study: Study, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Speedups of a study's policies from their times [1]."""
    return {
        f"speedup {policy} over {base}": figures[f"time {base}"] / figures[f"time {policy}"]
        for policy in study.policies for base in BASES
    }  # fmt: skip


def intervals(study: Study, scaled: Mapping[float, Mapping[str, Any]]) -> dict[str, Any]:
    """Intervals of a study's times [s] and speedups [1], from times by factor on the host's times and policy [s]."""

    def of(policy: str) -> Callable[[float], Any]:
        return lambda factor: scaled[factor][policy]

    found: dict[str, Any] = {}
    for policy in study.policies:
        made = scaled_time_interval(of(policy), policy)
        found |= {f"time_low {policy}": made.low, f"time_high {policy}": made.high}
        for base in BASES:
            made = speedup_interval(of(policy), of(base), policy, base)
            found |= {f"speedup_low {policy} over {base}": made.low, f"speedup_high {policy} over {base}": made.high}
    return found


def evaluator(study: Study) -> Evaluator | ScheduleEvaluator:
    """What evaluates the designs of a study."""
    return Evaluator(study) if study.model == "stages" else ScheduleEvaluator(study)


class ScheduleEvaluator:
    """Evaluates designs one by one by `pimmodel.estimate`: all policies, at some designs per second at best."""

    def __init__(self, study: Study) -> None:
        self.study = study

    def evaluate(self, values: Mapping[str, Numbers], workers: int = 1) -> Figures:
        """As `Evaluator.evaluate`; `workers` is not looked at."""
        count = len(next(iter(values.values())))
        found = {name: np.full(count, np.nan) for name in self.study.figures}
        found["reason"] = np.full(count, "", dtype=object)
        for place in range(count):
            try:
                figures = self._one({name: one[place].item() for name, one in values.items()})
            except PimModelError as error:
                found["reason"][place] = str(error)
                continue
            for name in self.study.figures:
                found[name][place] = figures[name]
        return found

    def _one(self, values: dict[str, Any]) -> dict[str, float]:
        study, figures = self.study, dict[str, float]()
        low, high = values.pop(LOW, study.low), values.pop(HIGH, study.high)
        thresholds = None if low is None or high is None else (int(low), int(high))
        step = study.step(values)
        for policy in sorted(study.needed):
            given = thresholds if policy == "exclusive" else None
            made = estimate_step(step, policy, given, "schedule", int(values.get("chunks", study.chunks)))
            figures[f"time {policy}"] = made.time
            if "energy" in study.outputs and made.energy:
                figures[f"energy {policy}"] = made.energy.total
        figures["bound"] = step.bound.time
        return figures | (speedups(study, figures) if "speedup" in study.outputs else {})


def _grouped(columns: list[Numbers], count: int) -> list[tuple[tuple[Any, ...], Any]]:
    """Designs with equal values in all columns: the values, and the places of the designs."""
    if not columns:
        return [((), np.arange(count))]
    codes = np.zeros(count, dtype=np.int64)
    for column in columns:
        _, code = np.unique(column, return_inverse=True)
        _, codes = np.unique(codes * (int(code.max()) + 1) + code, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    begins = np.flatnonzero(np.diff(codes[order], prepend=-1))
    parts = np.split(order, begins[1:])
    return [(tuple(column[part[0]].item() for column in columns), part) for part in parts]


def _rates(system: System, values: Mapping[str, Numbers], count: int, precision: Precision) -> Rates:
    """Rates of designs that differ from a system in some."""
    found = system_rates(system, values, precision)
    return replace(found, clock=np.broadcast_to(found.clock, (count,)))


def _refused(system: System, values: Mapping[str, Numbers], count: int, low: int | None, high: int | None) -> Any:
    """Why designs are not possible, shape (N,), "" where they are; None where all are."""
    reasons = np.full(count, "", dtype=object)
    if "memory_bandwidth" in values:
        peak = system.memory_channels * system.memory.channel_bandwidth
        beyond = values["memory_bandwidth"] > peak * _MARGIN
        reasons[beyond] = f"memory_bandwidth is more than the {peak:.6g} B/s of channels and clock"
    if low is not None or LOW in values:
        room = system.controller.room
        lows, highs = np.asarray(values.get(LOW, low)), np.asarray(values.get(HIGH, high))
        reasons[np.broadcast_to(lows >= highs, (count,))] = "thresholds.low is not below thresholds.high"
        reasons[np.broadcast_to(highs > room, (count,))] = (
            f"thresholds.high is more than the {room} requests of the queue"
        )
    return reasons if (reasons != "").any() else None
