"""Sobol indices: which parameters make up the variance of a result when all of them vary at once over ranges.

Sampling and estimators are SALib's. Designs that differ in the host's rates alone are evaluated together by the
compiled stage model (:mod:`pimmodel.stages.batch`); others one after another, equal ones once.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pimmodel.errors import MissingExtraError, PimModelError, UnknownNameError
from pimmodel.hardware.change import kind_of, replace
from pimmodel.hardware.system import System
from pimmodel.network.network import Network
from pimmodel.network.training import Optimizer, Precision
from pimmodel.sensitivity.evaluate import Point, StudyPolicy, Thresholds, check_policy
from pimmodel.sensitivity.parameters import range_in, value_in_system
from pimmodel.stages.batch import StageBatch
from pimmodel.stages.host import fastest, system_rates
from pimmodel.stages.model import stage_model
from pimmodel.step import prepare

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
RESULTS = ("time", "speedup_gpu_only", "speedup_serial")
# Parameters that are rates of the host and nothing else: what `Rates` is made of.
_RATES = ("gpu.clock", "gpu.fp16_tensor_peak", "gpu.l2_bandwidth", "gpu.launch_overhead", "gpu.kernels.launch_factor",
          "memory_bandwidth")  # fmt: skip


@dataclass(frozen=True, eq=False)
class SobolIndices:
    """Shares of the variance of a result.

    names : of P parameters; ranges : of each, in SI units
    first, total : first-order and total indices, shape (P,) [1]; first_half, total_half : half widths of their
        confidence intervals of 95 %, shape (P,) [1]
    mean, deviation : of the result over the samples; evaluations : of the model
    """

    result: str
    names: tuple[str, ...]
    ranges: dict[str, tuple[float, float]] = field(repr=False)
    first: Floats
    total: Floats
    first_half: Floats = field(repr=False)
    total_half: Floats = field(repr=False)
    mean: float
    deviation: float
    evaluations: int

    def to_frame(self) -> pd.DataFrame:
        """One row per parameter, the largest total index first."""
        import pandas as pd

        return pd.DataFrame(self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """One dict per parameter, the largest total index first."""
        columns = zip(self.names, self.first, self.first_half, self.total, self.total_half, strict=True)
        made = [{"parameter": name, "low": self.ranges[name][0], "high": self.ranges[name][1],
                 "first": float(first), "first_half_width": float(half), "total": float(total),
                 "total_half_width": float(wide)} for name, first, half, total, wide in columns]  # fmt: skip
        return sorted(made, key=lambda row: -float(row["total"]))

    def to_json(self, indent: int | None = 2) -> str:
        """All figures as JSON text."""
        head = {"schema": "pimmodel/sobol/1", "result": self.result, "mean": self.mean, "deviation": self.deviation,
                "evaluations": self.evaluations}  # fmt: skip
        return json.dumps(head | {"parameters": self.rows()}, indent=indent, allow_nan=False)


def sobol(
    network: Network,
    system: System,
    ranges: Mapping[str, tuple[float | str, float | str]],
    policy: StudyPolicy = "exclusive",
    *,
    result: str = "time",
    samples: int = 256,
    seed: int = 0,
    thresholds: Thresholds = None,
    precision: Precision = "fp32",
    optimizer: Optimizer = "sgd-momentum",
    fuse_activation: bool = False,
) -> SobolIndices:
    """Sobol indices of a result over ranges of parameters, each uniform.

    Parameters
    ----------
    ranges : dotted name to (low, high), numbers in SI or texts with a unit; whole numbers include both ends
    result : "time", "speedup_gpu_only" or "speedup_serial"
    samples : base samples, a power of two; the model is evaluated `samples` x (parameters + 2) times [1]
    seed : of the sampling
    others : as for `pimmodel.sensitivity`

    Raises
    ------
    MissingExtraError : SALib is not installed.
    PimModelError, UnknownNameError : an empty range, or a name that is not there.
    """
    if importlib.util.find_spec("SALib") is None:
        raise MissingExtraError("Sobol indices", "sensitivity")
    from SALib.analyze import sobol as analysis
    from SALib.sample import sobol as sampling

    check_policy(policy)
    if result not in RESULTS:
        raise UnknownNameError("result", result, RESULTS)
    if samples < 2 or samples & (samples - 1):
        raise PimModelError(f"samples is {samples}; allowed: a power of two, 2 or more")
    limits = _limits(system, ranges)
    problem = {"num_vars": len(limits), "names": list(limits), "bounds": _bounds(system, limits)}
    drawn = sampling.sample(problem, samples, calc_second_order=False, seed=seed)
    for place, name in enumerate(limits):
        if kind_of(system, name).type is int:
            drawn[:, place] = np.clip(np.floor(drawn[:, place]), *limits[name])
    step = prepare(network, system, precision=precision, optimizer=optimizer, fuse_activation=fuse_activation)
    values = evaluated(Point(step, thresholds), policy, result, list(limits), drawn)
    if not np.ptp(values) > 1e-12 * abs(values.mean()):
        none = np.zeros(len(limits))
        return SobolIndices(result, tuple(limits), limits, none, none, none, none, float(values.mean()), 0.0,
                            len(values))  # fmt: skip
    # Centred: the estimators of nearly constant results lose digits otherwise.
    found = analysis.analyze(problem, values - values.mean(), calc_second_order=False, seed=seed)
    return SobolIndices(result, tuple(limits), limits, found["S1"], found["ST"], found["S1_conf"], found["ST_conf"],
                        float(values.mean()), float(values.std()), len(values))  # fmt: skip


def _limits(system: System, ranges: Mapping[str, tuple[float | str, float | str]]) -> dict[str, tuple[float, float]]:
    """Ranges in SI units, checked."""
    if not ranges:
        raise PimModelError("ranges is empty; allowed: one parameter or more")
    limits = {}
    for name, given in ranges.items():
        kind, value = kind_of(system, name), value_in_system(system, name)
        if name != "memory_bandwidth" and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise PimModelError(f"parameter {name} is {value!r}; allowed: one that has a number")
        limits[name] = range_in(name, given, kind, system.memory.clock)
        for end in limits[name]:
            replace(system, {name: end})  # says what is forbidden
    return limits


def _bounds(system: System, limits: Mapping[str, tuple[float, float]]) -> list[list[float]]:
    """What is drawn from: whole numbers are rounded down, so the highest has as much room as the others."""
    return [[low, high + 1 if kind_of(system, name).type is int else high] for name, (low, high) in limits.items()]


def evaluated(point: Point, policy: str, result: str, names: list[str], designs: Floats) -> Floats:
    """A result of M designs, shape (M,) [s] or [1]; `designs` are values of the P parameters `names`, shape (M, P)."""
    apart = [place for place, name in enumerate(names) if name not in _RATES]
    values = np.empty(len(designs))
    distinct, which = np.unique(designs[:, apart], axis=0, return_inverse=True)
    which = which.reshape(-1)
    for group, others in enumerate(distinct):
        chosen = np.flatnonzero(which == group)
        system = point.step.system
        changes = {names[place]: int(value) if kind_of(system, names[place]).type is int else float(value)
                   for place, value in zip(apart, others, strict=True)}  # fmt: skip
        here = point.at(replace(system, changes)) if changes else point
        rates = {name: designs[chosen, place] for place, name in enumerate(names) if name in _RATES}
        values[chosen] = _group(here, policy, result, rates, len(chosen))
    return values


def _group(point: Point, policy: str, result: str, rates: Mapping[str, Floats], count: int) -> Floats:
    """A result of designs that differ in rates of the host alone."""
    times: Callable[[str], Any] = point.time
    if rates:
        made = {name: batch_times(point, name, rates) for name in {policy, *_needed(result)}}
        times = made.__getitem__
    time = np.broadcast_to(np.asarray(times(policy), dtype=float), (count,))
    return np.asarray(times(_needed(result)[0]) / time if result != "time" else time)


def _needed(result: str) -> list[str]:
    return [] if result == "time" else [result.removeprefix("speedup_").replace("_", "-")]


def batch_times(point: Point, policy: str, changed: Mapping[str, Floats]) -> Floats:
    """Step times under a policy at N sets of the host's rates [s]; what is not `changed` is the system's own.

    Parameters
    ----------
    point : the step on a system
    policy : "gpu-only", "serial" or "exclusive"
    changed : dotted names as `pimmodel.stages.host.system_rates` takes them, to values, shape (N,) each, in SI units
    """
    check_policy(policy, ("gpu-only", "serial", "exclusive"))
    work = point.step.workload
    model = stage_model(work, on_pim=np.zeros(len(work), dtype=bool) if policy == "gpu-only" else None)
    batch = StageBatch(model)
    host = batch.host.at(fastest(batch.menu, system_rates(point.step.system, changed, point.step.options.precision)))
    if policy != "exclusive":
        return np.asarray(batch.host.weights() @ host.time + model.pim_total)
    if point.thresholds is None:
        model.fill_table()
        return batch.times(host)
    place = model.table.pair(*point.thresholds)
    return batch.times(host, thresholds=np.full(host.time.shape[1], place))
