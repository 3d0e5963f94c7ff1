"""The state behind what-if sliders: which design, which thresholds, and every figure that the pictures show.

Moves are of two kinds. Another network, system, batch, number of PIM units or tCCD_L changes the step itself: its
progress tables take seconds, and are kept. Other thresholds are looked up in what is there
(:class:`pimmodel.explore.grid.ThresholdGrid`).

Known error: that of the stage model against a schedule (`pimmodel.stages.model`), and that of the closed forms under it
(`pimmodel validate`); every figure here is of the stage model, with CONV tasks in one piece.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pimmodel.errors import PimModelError
from pimmodel.estimates import estimate_step
from pimmodel.explore.grid import Progress, ThresholdGrid, threshold_grid_of
from pimmodel.hardware.description import leaves
from pimmodel.hardware.load import load_system, replace
from pimmodel.hardware.system import System
from pimmodel.load import load_network
from pimmodel.plots.layers import Times, grouped, layer_times
from pimmodel.plots.surfaces import PairSurface, pair_surface, paired
from pimmodel.schedule.tasks import Floats
from pimmodel.stages.model import stage_model
from pimmodel.step import Step, prepare

KEPT = 8  # steps that are kept: some 10 MB for ResNet-50, 60 MB for DenseNet-201
MOST_LAYERS = 24  # bars of layers or groups of layers
WHOLE = "whole step"


@dataclass(frozen=True)
class Choice:
    """What decides the step.

    network, system : names or paths; batch : images per step [1]
    units : PIM units per channel [1]; tccd_l : clocks between columns of a bank group [clock]. None: the system's own
    """

    network: str = "resnet50"
    system: str = "v100-bankgroup-pim"
    batch: int = 64
    units: int | None = None
    tccd_l: int | None = None

    def built(self) -> System:
        """The system with this choice's changes."""
        system = load_system(self.system)
        wanted = {"pim.units_per_channel": self.units, "memory.timing.tCCD_L": self.tccd_l}
        own = {name: leaves(system)[name] for name in wanted}
        changes = {name: value for name, value in wanted.items() if value not in (None, own[name])}
        return replace(system, changes) if changes else system


class Bounds(NamedTuple):
    """Time of the step under the policies that have no thresholds [s]."""

    gpu_only: float
    serial: float
    ideal: float


Early = Callable[[Bounds], None]


@dataclass(frozen=True, eq=False)
class Answer:
    """One step and what is known of it at every threshold pair; `pair` below is a place in the grid.

    gpu_only, serial, ideal : time of the step under these policies [s]
    """

    choice: Choice
    step: Step = field(repr=False)
    grid: ThresholdGrid = field(repr=False)
    gpu_only: float
    serial: float
    ideal: float

    def pair(self, low: int, high: int) -> int:
        """Place of a threshold pair in the grid.

        Raises
        ------
        PimModelError : the controller cannot have it.
        """
        room = self.grid.room
        if not 0 <= low < high <= room:
            raise PimModelError(f"thresholds are {low} and {high}; allowed: 0 <= theta_low < theta_high <= {room}")
        return self.grid.model.table.pair(low, high)

    def thresholds(self, pair: int) -> tuple[int, int]:
        """theta_low and theta_high of a pair [1]."""
        return int(self.grid.low[pair]), int(self.grid.high[pair])

    def time(self, pair: int) -> float:
        """Time of the step under `exclusive` [s]."""
        return float(self.grid.total[pair])

    @functools.cached_property
    def layers(self) -> dict[str, Times]:
        """Busy time of each layer or group of layers, alone, by part and side [s]."""
        return grouped(layer_times(estimate_step(self.step, "serial")), MOST_LAYERS)

    @functools.cached_property
    def held(self) -> Floats:
        """Time by which the PIM slows the host tasks of each group of `layers`, shape (groups, G) [s]."""
        names = list(self.layers)
        found = np.zeros((len(names), len(self.grid.low)))
        slower = self.grid.time - self.grid.alone[:, None]
        for stage, task in enumerate(self.grid.model.structure.host.tolist()):
            found[_group(self.step.tasks[task].layer, names)] += slower[stage]
        return found

    @functools.cached_property
    def convs(self) -> list[str]:
        """CONV tasks that PIM work follows channel by channel, those first that overlap with most."""
        return paired(self.step)

    def surface(self, conv: str) -> PairSurface:
        """A CONV with the PIM work that follows it, at every threshold pair; worked out once."""
        if conv not in self._surfaces:
            self._surfaces[conv] = pair_surface(self.step, conv)
        return self._surfaces[conv]

    @functools.cached_property
    def _surfaces(self) -> dict[str, PairSurface]:
        return {}

    def square(self, shown: str = WHOLE) -> Floats:
        """Time of the step, or of one CONV and the PIM work beside it, over theta_high (rows) and theta_low [s].

        NaN where theta_low is not below theta_high.
        """
        values = self.grid.total if shown == WHOLE else self.surface(shown).time
        square = np.full((self.grid.room + 1,) * 2, np.nan)
        square[self.grid.high, self.grid.low] = values
        return square

    def timeline(self, pair: int) -> Timeline:
        """Who works when, stage by stage."""
        grid = self.grid
        wait, time = grid.wait[:, pair], grid.time[:, pair]
        end = np.cumsum(wait + time)
        start = end - time
        first = start + grid.busy[:, pair]
        return Timeline(
            host=np.stack((start, end)), alone=np.stack((start - wait, start)), beside=np.stack((start, first)),
            updates=np.stack((first, first + grid.updating[:, pair])),
            rest=(float(end[-1]), float(end[-1] + grid.left[pair])),
        )  # fmt: skip

    @functools.cached_property
    def host_phases(self) -> list[str]:
        """Phase of the host task of each stage."""
        return [self.step.tasks[task].phase for task in self.grid.model.structure.host.tolist()]

    @functools.cached_property
    def pim_phases(self) -> list[str]:
        """Phase of the PIM work that each stage has beside it; the one before it where it has none."""
        found, phase = [], "FWD"
        for tasks in self.grid.model.structure.mixed:
            phase = self.step.tasks[tasks[0]].phase if tasks else phase
            found.append(phase)
        return found


@dataclass(frozen=True, eq=False)
class Timeline:
    """Spans of K stages, from and to, shape (2, K) each [s].

    host : the host's tasks; alone : the PIM while the host waits for it
    beside, updates : the PIM beside the host task, drawn together at the stage's beginning: the stage model says how
        long in a stage the PIM runs, not when
    rest : of the PIM after the last host task
    """

    host: Floats
    alone: Floats
    beside: Floats
    updates: Floats
    rest: tuple[float, float]


def _group(layer: str, names: list[str]) -> int:
    """Place of the group that a layer is in: the one named as it begins, else the last ("... others")."""
    parts = layer.split(".")
    for depth in range(len(parts), 0, -1):
        name = ".".join(parts[:depth])
        if name in names:
            return names.index(name)
    return len(names) - 1


class WhatIf:
    """Answers to what was asked, the last `KEPT` steps kept."""

    def __init__(self) -> None:
        self._known: OrderedDict[Choice, Answer] = OrderedDict()

    def knows(self, choice: Choice) -> bool:
        """Whether the answer is there at once."""
        return choice in self._known

    def answer(self, choice: Choice, progress: Progress | None = None, early: Early | None = None) -> Answer:
        """The step of a choice.

        Parameters
        ----------
        choice : the design
        progress : called with the parts of the work that are done, and all of them
        early : called with what needs no thresholds and is there long before the rest, where the step is not kept

        Raises
        ------
        PimModelError : a network or system that is not there, or values that do not fit together.
        """
        if choice not in self._known:
            self._known[choice] = _answer(choice, progress, early)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(choice)
        return self._known[choice]


def _answer(choice: Choice, progress: Progress | None, early: Early | None) -> Answer:
    system = choice.built()
    step = prepare(load_network(choice.network, choice.batch), system)
    bounds = Bounds(*(estimate_step(step, policy).time for policy in ("gpu-only", "serial", "ideal")))
    if early is not None:
        early(bounds)
    grid = threshold_grid_of(stage_model(step.workload), progress)
    return Answer(choice, step, grid, *bounds)


def nearest(answer: Answer, low: int, high: int) -> tuple[int, int]:
    """The allowed thresholds closest to those asked for: within the controller's room, theta_low below theta_high."""
    high = min(max(high, 1), answer.grid.room)
    return min(max(low, 0), high - 1), high
