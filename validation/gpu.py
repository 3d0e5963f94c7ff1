"""`pimmodel validate gpu`: the host's model beside measured kernels, layer profiles and whole training steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pimmodel.errors import PimModelError, UnknownNameError
from pimmodel.estimates import part_of
from pimmodel.hardware.gpu import Gpu
from pimmodel.hardware.load import list_descriptions, load_description, load_system
from pimmodel.hardware.system import System
from pimmodel.load import load_network
from pimmodel.network.training import Precision
from pimmodel.roofline.conv import ALGORITHMS
from pimmodel.roofline.host import host_bandwidth
from pimmodel.roofline.products import PHASES
from pimmodel.step import prepare

from .calibrate import kernels_of
from .measurements import (
    KernelTime,
    LayerTime,
    Table,
    Throughput,
    read_kernels,
    read_profiles,
    read_throughput,
)
from .profiles import CLASSES, profiled_layers
from .report import Row

Errors = NDArray[np.float64]
TABLES = Path(str(files("pimmodel.validation") / "tables" / "gpu"))
SHIPPED = (
    ("deepbench_v100_conv.csv", "other_gpus_conv.csv"),
    ("pipedream_profiles.csv",),
    ("throughput.csv", "other_gpus_steps.csv"),
)
FITTED_GPU = "v100"
V100_TARGETS = {"fp32": {"median": 0.10, "mean": 0.18}, "fp16": {"median": 0.15, "mean": 0.25}}
OTHER_TARGET = {"median": 0.20}
PROFILE_TARGET = {"worst": 0.12}
STEP_TARGET = {"median": 0.12}
# Frameworks of throughput tables that compute an activation inside the batch norm before it: XLA fuses them, NVIDIA's
# MXNet has a kernel for both.
_FUSING = ("xla", "mxnet")


def system_of(name: str) -> System:
    """System of a GPU, for its GPU and its DRAM bandwidth: a built-in system or GPU, or a file that describes a system.

    Raises
    ------
    UnknownNameError, DescriptionError : no such name; a file that cannot be used.
    PimModelError : the description is not one of a system, and no built-in system has this GPU.
    """
    if name in list_descriptions("gpus"):
        return load_system(f"{name}-bankgroup-pim")
    described = load_description(name)
    if isinstance(described, System):
        return described
    if isinstance(described, Gpu):
        for system in list_descriptions("systems"):
            found = load_system(system)
            if found.gpu.memory_bandwidth == described.memory_bandwidth:
                return found.model_copy(update={"gpu": described})
    raise PimModelError(
        f"--gpu is {name}, which has no system; allowed: a GPU or system of `pimmodel list`, or a system's file"
    )


def validate_gpu(
    measurements: Path | None = None,
    gpu: str = FITTED_GPU,
    profiles: Path | None = None,
    throughput: Path | None = None,
) -> tuple[list[Row], list[str]]:
    """Error rows of every table given (of all that ship, where none is), and a sentence per line skipped.

    Parameters
    ----------
    measurements, profiles, throughput : CSV files in the formats of :mod:`pimmodel.validation.measurements`
    gpu : GPU or system that `measurements` and `profiles` were taken on; a throughput table names its own, and a
        kernel's line may

    Raises
    ------
    PimModelError : a file that cannot be used, or an unknown GPU.
    """
    system = system_of(gpu)
    kernel_files, profile_files, step_files = (
        [Path(one)] if one else [] for one in (measurements, profiles, throughput)
    )
    if not kernel_files + profile_files + step_files:
        kernel_files, profile_files, step_files = ([TABLES / name for name in names] for names in SHIPPED)
    rows: list[Row] = []
    skipped: list[str] = []

    def add(found: list[Row], *odd: list[str]) -> None:
        rows.extend(found)
        skipped.extend(sentence for some in odd for sentence in some)

    for path in kernel_files:
        kernels = read_kernels(path)
        found, unknown = kernel_table_rows(path.name, kernels.rows, system)
        add(found, kernels.skipped, unknown)
    for path in profile_files:
        layers = read_profiles(path)
        found, odd = profile_rows(path.name, layers.rows, system)
        add(found, layers.skipped, odd)
    for path in step_files:
        steps = read_throughput(path)
        found, unknown = step_rows(path.name, steps)
        add(found, steps.skipped, unknown)
    return rows, skipped


def _fitted_rows() -> set[tuple[object, ...]]:
    """The measured kernels that the default constants were fitted on."""
    table = read_kernels(TABLES / "deepbench_v100_conv.csv").rows
    return {(one.precision, one.phase, one.shape, one.time) for one in table if one.row % 2 == 0}


def kernel_table_rows(data: str, times: Sequence[KernelTime], system: System) -> tuple[list[Row], list[str]]:
    """`kernel_rows` of every GPU that the kernels name, of `system` where they name none; and unknown GPUs.

    A file that names its GPUs is of several, the V100 maybe among them for comparison: all have the target of unseen
    rows, and only the first table of each.
    """
    rows: list[Row] = []
    unknown = []
    for name in dict.fromkeys(one.gpu for one in times):
        chosen = [one for one in times if one.gpu == name]
        if not name:
            rows += kernel_rows(data, chosen, system)
            continue
        try:
            rows += kernel_rows(data, chosen, system_of(_gpu_name(name)), several=True)
        except UnknownNameError as error:
            unknown.append(f"{data}: {len(chosen)} kernels on {name}: {error}; skipped")
    return rows, unknown


def kernel_rows(data: str, times: Sequence[KernelTime], system: System, *, several: bool = False) -> list[Row]:
    """Errors of time by precision, with targets, then by pass, algorithm and filter size.

    Kernels that the default constants were fitted on are listed apart, without a target. `several`: the file is of
    several GPUs, see `kernel_table_rows`.
    """
    bandwidth = host_bandwidth(system)
    is_v100 = system.gpu.name == FITTED_GPU and not several
    fitted = _fitted_rows() if is_v100 else set()
    rows = []
    for (precision, channels_last), (places, kernels) in kernels_of(times, system.gpu, bandwidth).items():
        chosen = [times[index] for index in places]
        errors = np.abs(kernels.time / np.array([one.time for one in chosen]) - 1)
        new = np.array([(one.precision, one.phase, one.shape, one.time) not in fitted for one in chosen])
        targets = V100_TARGETS.get(precision, OTHER_TARGET) if is_v100 else OTHER_TARGET
        title = f"{system.gpu.name} {precision}{' NHWC' if channels_last else ''} kernel time"
        if np.any(new):
            rows.append(Row.of(data, f"{title}, rows not fitted", list(errors[new]), targets))
        if not np.all(new):
            rows.append(Row.of(data, f"{title}, fitted rows", list(errors[~new])))
        groups: tuple[tuple[str, Callable[[int], str]], ...] = (
            ("pass", lambda index, chosen=chosen: chosen[index].phase),  # type: ignore[misc]
            ("algorithm", lambda index, kernels=kernels: ALGORITHMS[kernels.algorithm[index]]),  # type: ignore[misc]
            ("filter", lambda index, chosen=chosen: _filter(chosen[index])),  # type: ignore[misc]
        )
        for what, group_of in groups if not several else ():
            rows += _grouped(data, title, what, errors, new, group_of)
    return rows


def _grouped(data: str, title: str, what: str, errors: Errors, new: NDArray[np.bool_],
             group_of: Callable[[int], str]) -> Iterable[Row]:  # fmt: skip
    """A row per group of the kernels that were not fitted."""
    names = np.array([group_of(index) for index in range(len(errors))])
    order = PHASES if what == "pass" else sorted(set(names))
    for name in order:
        taken = errors[new & (names == name)]
        if len(taken):
            yield Row.of(data, f"{title}, {what} {name}", list(taken))


def _filter(one: KernelTime) -> str:
    shape = one.shape
    stride = "" if shape.stride_h == shape.stride_w == 1 else f" stride {shape.stride_h}"
    return f"{shape.r} x {shape.s}{stride}" + (f" groups {shape.groups}" if shape.groups > 1 else "")


def profile_rows(data: str, layers: Sequence[LayerTime], system: System) -> tuple[list[Row], list[str]]:
    """Error of the total time of each class of layers, per network (forward plus backward, measuring overhead off).

    And a sentence per layer that cannot be modelled.
    """
    table = profiled_layers(layers, system.gpu, host_bandwidth(system))
    found = table.rows
    rows = []
    for network in dict.fromkeys(one.network for one in found):
        for kind in CLASSES:
            chosen = [one for one in found if one.network == network and one.kind == kind]
            measured = sum(sum(one.measured) for one in chosen)
            if measured > 0:
                error = abs(sum(sum(one.modelled) for one in chosen) / measured - 1)
                rows.append(Row.of(data, f"{network}, {kind} total", [error], PROFILE_TARGET))
    return rows, [f"{data}, {sentence}" for sentence in table.skipped]


def step_rows(data: str, table: Table[Throughput]) -> tuple[list[Row], list[str]]:
    """Error of the time of whole training steps on the GPU alone; and rows that name an unknown network or GPU.

    V100s together, then by precision; other GPUs one by one.
    """
    steps, unknown = step_times(table)
    errors: dict[tuple[str, str], list[float]] = {}
    for one in steps:
        of = "" if one.gpu.startswith(FITTED_GPU) else f"{one.gpu} "
        errors.setdefault((of, one.precision), []).append(abs(one.modelled / one.measured - 1))
    rows = []
    for of in sorted({of for of, _ in errors}):
        parts = {precision: found for (whose, precision), found in sorted(errors.items()) if whose == of}
        title = f"{of}training step"
        rows.append(Row.of(data, title, [error for found in parts.values() for error in found],
                           OTHER_TARGET if of else STEP_TARGET))  # fmt: skip
        rows += [Row.of(data, f"{title}, {precision}", found) for precision, found in parts.items()]
    return rows, [f"{data}: {sentence}; row skipped" for sentence in unknown]


class StepTime(NamedTuple):
    """A training step on the GPU alone, measured and modelled [s]."""

    gpu: str
    precision: Precision
    measured: float
    modelled: float


def step_times(table: Table[Throughput]) -> tuple[list[StepTime], list[str]]:
    """Steps of a table, and why others are left out: rows that name an unknown network or GPU."""
    found, unknown = [], []
    for one in table.rows:
        try:
            network = load_network(_network_name(one.network), one.batch)
            system = system_of(_gpu_name(one.gpu))
        except UnknownNameError as error:
            unknown.append(f"{one.network} on {one.gpu}: {error}")
            continue
        fused = any(name in one.framework.lower() for name in _FUSING)
        step = prepare(network, system, precision=one.precision, fuse_activation=fused)
        time = sum(time for task, time in zip(step.tasks, step.host, strict=True)
                   if one.updates or part_of(task.phase) != "update")  # fmt: skip
        found.append(StepTime(system.gpu.name, one.precision, one.batch / one.images_per_second, float(time)))
    return found, unknown


def _network_name(name: str) -> str:
    """`resnet50_v1.5` is the ResNet-50 of the zoo, which strides in its 3 x 3 layers."""
    return name.lower().removesuffix("_v1.5").removesuffix("v1.5")


def _gpu_name(name: str) -> str:
    """Built-in name of a GPU as benchmark tables write it: `V100-SXM2-16GB` is v100.

    >>> _gpu_name("V100-SXM3-32GB"), _gpu_name("A100 80GB"), _gpu_name("Tesla T4"), _gpu_name("GTX 1080 Ti")
    ('v100-sxm3', 'a100', 't4', 'gtx1080ti')
    """
    known = list_descriptions("gpus")
    text = "".join(letter for letter in name.lower() if letter.isalnum())
    fitting = [one for one in known if "".join(letter for letter in one if letter.isalnum()) in text]
    return max(fitting, key=len) if fitting else name
