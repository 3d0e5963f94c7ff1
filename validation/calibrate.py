"""Kernel constants from measured CONV kernels: fitted on every second row of a file, reported on the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pimmodel.hardware.description import field_kinds
from pimmodel.hardware.gpu import Gpu, KernelConstants
from pimmodel.roofline.conv import ConvKernels, Matrix, conv_kernels

from .measurements import KernelTime

Floats = NDArray[np.float64]
_STEPS = (0.25, -0.15, 0.1)  # edges of one starting simplex after the other, in natural logarithms
_ITERATIONS = 500


@dataclass(frozen=True)
class Calibration:
    """Fitted constants, and relative errors of kernels, in their order.

    fitted, held_out : those of every second kernel, and of the others, shapes (F,) and (H,) [1]
    """

    constants: KernelConstants
    fitted: Floats
    held_out: Floats


Group = tuple[Matrix, bool]


def kernels_of(times: Sequence[KernelTime], gpu: Gpu, bandwidth: float) -> dict[Group, tuple[list[int], ConvKernels]]:
    """Modelled kernels by precision and layout (channels last or not), with the places of the measured ones."""
    found: dict[Group, tuple[list[int], ConvKernels]] = {}
    for group in dict.fromkeys((one.precision, one.channels_last) for one in times):
        places = [index for index, one in enumerate(times) if (one.precision, one.channels_last) == group]
        shapes, phases = [times[index].shape for index in places], [times[index].phase for index in places]
        found[group] = places, conv_kernels(shapes, phases, gpu, bandwidth, group[0], channels_last=group[1])
    return found


def relative_errors(times: Sequence[KernelTime], gpu: Gpu, bandwidth: float) -> Floats:
    """Modelled over measured time, less one, of every kernel [1]."""
    errors = np.empty(len(times))
    for places, kernels in kernels_of(times, gpu, bandwidth).values():
        errors[places] = kernels.time / np.array([times[index].time for index in places]) - 1
    return errors


def calibrate(times: Sequence[KernelTime], gpu: Gpu, bandwidth: float,
              progress: Callable[[int, int], None] | None = None) -> Calibration:  # fmt: skip
    """Constants that make mean plus median of |ln(modelled / measured)| least, precisions weighing the same.

    Rows 0, 2, 4 ... of the file are fitted, the others held out. Nelder-Mead from the GPU's present constants,
    and twice more from what that finds: a simplex that has shrunk in a valley of two constants spreads again.
    """
    from scipy.optimize import minimize

    fitted = [one for one in times if one.row % 2 == 0]
    held_out = [one for one in times if one.row % 2 == 1]
    if not fitted:
        fitted, held_out = held_out, []
    names = list(field_kinds(KernelConstants))
    start = np.log([getattr(gpu.kernels, name) for name in names])
    upper = np.array([0.0 if kind.type is float and _is_share(name) else np.inf
                      for name, kind in field_kinds(KernelConstants).items()])  # fmt: skip
    groups = [
        np.array([one.precision == precision for one in fitted]) for precision in {one.precision for one in fitted}
    ]

    def with_constants(point: Floats) -> Gpu:
        values = dict(zip(names, map(float, np.exp(np.minimum(point, upper))), strict=True))
        return gpu.model_copy(update={"kernels": KernelConstants(**values)})

    calls = 0

    def loss(point: Floats) -> float:
        nonlocal calls
        calls += 1
        if progress:
            progress(calls, len(_STEPS) * _ITERATIONS)
        logs = np.abs(np.log1p(relative_errors(fitted, with_constants(point), bandwidth)))
        beyond = float(np.maximum(point - upper, 0).sum())
        return float(sum(logs[group].mean() + np.median(logs[group]) for group in groups)) + 10 * beyond

    best = None
    for step in _STEPS:
        at = start if best is None else best.x
        simplex = np.vstack([at, at + step * np.where(np.isfinite(upper), -np.sign(step), 1.0) * np.eye(len(names))])
        found = minimize(loss, at, method="Nelder-Mead",
                         options={"maxfev": _ITERATIONS, "adaptive": True, "initial_simplex": simplex})  # fmt: skip
        best = found if best is None or found.fun < best.fun else best
    assert best is not None
    chosen = with_constants(best.x)
    empty = np.empty(0)
    return Calibration(
        chosen.kernels,
        relative_errors(fitted, chosen, bandwidth),
        relative_errors(held_out, chosen, bandwidth) if held_out else empty,
    )


def _is_share(name: str) -> bool:
    """Whether a constant is a share of a peak, at most 1."""
    return name.endswith("_efficiency")
