"""The roofline of a step: roofs of GPU and PIM, and every task under them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pimmodel.hardware.system import System
from pimmodel.network.training import Precision
from pimmodel.pim.tasks import pim_operation_rate
from pimmodel.plots.style import HOST, INK, PAPER, PHASES, PIM, SMALL, dress, legend, new_figure, plain_numbers, short
from pimmodel.roofline.conv import ALGORITHMS
from pimmodel.roofline.host import host_bandwidth
from pimmodel.step import Step
from pimmodel.units import format_quantity, prefixed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
_WINOGRAD = [index for index, name in enumerate(ALGORITHMS) if name.startswith("winograd")]


def roofs(system: System, precision: Precision) -> dict[str, tuple[float, float]]:
    """Bandwidth [B/s] and peak rate [FLOP/s] of "GPU" and "PIM".

    The GPU's bandwidth is what it sustains of its peak; its rate that of tensor cores for fp16 and tf32 where it has
    them, else of the ordinary lanes. The PIM's bandwidth is what all units together read or write inside the memory.
    """
    gpu = system.gpu
    peak = gpu.tensor_peak(precision) or gpu.fp32_peak
    bandwidth = host_bandwidth(system)
    return {
        "GPU": (bandwidth, peak),
        "PIM": (bandwidth * system.bandwidth_multiple, pim_operation_rate(system, precision)),
    }


def roofline(step: Step) -> Figure:
    """Roofline of a step: what each task attains [FLOP/s] over its arithmetic intensity [FLOP/B], both logarithmic.

    One point per distinct CONV or fully connected kernel on the GPU (FLOP of the layer over DRAM traffic, as
    `ConvKernels.intensity` has it; Winograd kernels, which make fewer products, may lie above the roof), and one per
    non-CONV task on the PIM. Tasks without arithmetic have no place on a logarithmic axis; the title counts them.

    Raises
    ------
    MissingExtraError : matplotlib is not there.
    """
    figure = new_figure(8, 4.8, "a roofline")
    axes = figure.subplots()
    limits = roofs(step.system, step.options.precision)
    groups, left_out = _points(step)
    rates = np.concatenate([rate for _, _, rate, _ in groups] or [np.ones(1)])
    places = np.concatenate([place for _, place, _, _ in groups] or [np.ones(1)])
    ridges = [peak / bandwidth for bandwidth, peak in limits.values()]
    low, high = min(places.min(), *ridges) / 2, max(places.max(), *ridges) * 3
    factor, unit = prefixed(max(peak for _, peak in limits.values()), "FLOP/s")
    handles = [*_draw_roofs(axes, limits, low, high, factor)]
    for phase, place, rate, marker in groups:
        drawn = axes.scatter(place, rate / factor, s=18, marker=marker, color=PHASES[phase], edgecolors=INK,
                             linewidths=0.3, alpha=0.85, label=_label(phase, marker), zorder=3)  # fmt: skip
        handles.append(drawn)
    axes.set(xscale="log", yscale="log", xlim=(low, high))
    # A task that hardly fills a block is far below all others; the picture is for those that matter.
    axes.set_ylim(
        max(rates.min(), rates.max() * 1e-6) / factor / 2, max(peak for _, peak in limits.values()) / factor * 2.5
    )
    for axis in (axes.xaxis, axes.yaxis):
        plain_numbers(axis)
    note = f"; {left_out} tasks without arithmetic not drawn" if left_out else ""
    name = (
        f"{short(step.network.name)}, batch {step.network.batch}, {step.options.precision} on {short(step.system.name)}"
    )
    dress(axes, name + note, "arithmetic intensity [FLOP/B]", f"rate [{unit}]", "both")
    legend(axes, handles, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _points(step: Step) -> tuple[list[tuple[str, Floats, Floats, str]], int]:
    """Phase, intensities [FLOP/B], rates [FLOP/s] and marker of each group, and how many tasks have no arithmetic."""
    groups: list[tuple[str, Floats, Floats, str]] = []
    kernels, tasks = step.host_work.kernels, step.host_tasks
    if kernels is not None:
        rate = 2 * kernels.macs / kernels.time
        wino, phases = np.isin(kernels.algorithm, _WINOGRAD), np.array(tasks.phases)
        for phase in ("FP", "DX", "DW"):
            for chosen, marker in ((~wino, "o"), (wino, "^")):
                mine = chosen & (phases == phase)
                if mine.any():
                    groups.append((phase, kernels.intensity[mine], rate[mine], marker))
    work = np.array([float(sum(one.operations for one in task.passes)) for task in step.tasks])
    moved = np.array([float(task.bytes) for task in step.tasks])
    phases = np.array([task.phase for task in step.tasks])
    eligible = ~np.isnan(step.pim)
    for phase in ("FWD", "LOSS", "BWD", "ACC", "UPD"):
        mine = eligible & (phases == phase) & (work > 0)
        if mine.any():
            groups.append((phase, work[mine] / moved[mine], work[mine] / step.pim[mine], "s"))
    return groups, int((eligible & (work == 0)).sum())


def _label(phase: str, marker: str) -> str:
    return f"{phase} {({'o': 'on the GPU', '^': 'on the GPU, Winograd', 's': 'on the PIM'})[marker]}"


def _draw_roofs(
    axes: Axes, limits: dict[str, tuple[float, float]], low: float, high: float, factor: float
) -> list[object]:
    """Both roofs with their ridge points; handles for the legend."""
    from matplotlib.patheffects import withStroke

    lines: list[object] = []
    for (name, (bandwidth, peak)), colour in zip(limits.items(), (HOST, PIM), strict=True):
        ridge = peak / bandwidth
        label = f"{name}: {format_quantity(bandwidth, 'B/s')}, {format_quantity(peak, 'FLOP/s')}"
        lines += axes.plot([low, ridge, high], [low * bandwidth / factor, peak / factor, peak / factor], color=colour,
                           linewidth=1.8, label=label)  # fmt: skip
        axes.plot(ridge, peak / factor, marker="D", color=colour, markersize=5)
        words = axes.annotate(f"{ridge:.3g} FLOP/B", (ridge, peak / factor), xytext=(-4, 5),
                              textcoords="offset points", fontsize=SMALL, color=INK, ha="right")  # fmt: skip
        words.set_path_effects([withStroke(linewidth=2.5, foreground=PAPER)])  # the other roof may pass behind it
    return lines
