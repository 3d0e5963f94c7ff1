"""Where the time of a step goes: layer by layer, GPU and PIM, forward, backward and weight update."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pimmodel.errors import PimModelError
from pimmodel.estimates import Estimate, part_of
from pimmodel.plots.style import FAINT, INK, PARTS, SMALL, dress, new_figure, scale_of, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Times = dict[tuple[str, str], float]  # (part, side) -> seconds


def layer_times(estimate: Estimate) -> dict[str, Times]:
    """Busy seconds of each layer by part ("forward", "backward", "update") and side ("GPU", "PIM")."""
    found: dict[str, Times] = {layer.name: dict.fromkeys(PARTS, 0.0) for layer in estimate.step.network}
    host, pim = estimate.task_times
    for task, on_host, on_pim in zip(estimate.step.tasks, host.tolist(), pim.tolist(), strict=True):
        found[task.layer][part_of(task.phase), "GPU"] += on_host
        found[task.layer][part_of(task.phase), "PIM"] += on_pim
    return found


def grouped(times: dict[str, Times], most: int) -> dict[str, Times]:
    """At most `most` groups of layers with the same sums.

    Layers that take no time are left out. Where more are left than `most`, those with the same beginning of a dotted
    name ("layer1.0.conv1": "layer1.0", or "layer1") go together, as finely as fits; where that is not enough,
    neighbours do, in runs of equal length ("n0 .. n12").

    Raises
    ------
    PimModelError : `most` is less than 1.
    """
    if most < 1:
        raise PimModelError(f"most is {most}; allowed: 1 or more groups")
    busy = {name: parts for name, parts in times.items() if sum(parts.values()) > 0}
    deepest = max((name.count(".") + 1 for name in busy), default=1)
    for depth in range(deepest, 0, -1):
        groups: dict[str, Times] = {}
        for name, parts in busy.items():
            label = ".".join(name.split(".")[:depth])
            groups[label] = _added(groups.get(label), parts)
        if len(groups) <= most:
            return groups
    names, runs = list(groups), {}
    length = -(-len(names) // most)
    for at in range(0, len(names), length):
        run = names[at : at + length]
        whole: Times | None = None
        for name in run:
            whole = _added(whole, groups[name])
        assert whole is not None
        runs[run[0] if len(run) == 1 else f"{short(run[0], 18)} .. {short(run[-1], 18)}"] = whole
    return runs


def _added(first: Times | None, second: Times) -> Times:
    return {key: (first[key] if first else 0.0) + value for key, value in second.items()}


def layer_breakdown(estimate: Estimate, most: int = 32) -> Figure:
    """Stacked bars of the busy time of each layer, or group of layers, on GPU and PIM; `most` bars at most.

    The bars add up to `host_time + pim_time`, which is more than the step's time where both work at once.

    Raises
    ------
    PimModelError : `most` is less than 1.
    MissingExtraError : matplotlib is not there.
    """
    groups = grouped(layer_times(estimate), most)
    figure = new_figure(8, 1.6 + 0.21 * max(4, len(groups)), "a picture of the layers")
    axes = figure.subplots()
    totals = {name: sum(parts.values()) for name, parts in groups.items()}
    factor, unit = scale_of(totals.values(), "s")
    places, begin = np.arange(len(groups)), np.zeros(len(groups))
    handles = []
    for key, colour in PARTS.items():
        lengths = np.array([parts[key] for parts in groups.values()]) / factor
        if not lengths.any():
            continue
        handles.append(axes.barh(places, lengths, 0.8, left=begin, color=colour, label=f"{key[0]}, {key[1]}"))
        begin = begin + lengths
    whole = sum(totals.values())
    for place, (end, total) in enumerate(zip(begin, totals.values(), strict=True)):
        axes.annotate(f"{total / whole:.1%}", (end, place), xytext=(3, 0), textcoords="offset points", va="center",
                      fontsize=SMALL - 1, color=INK)  # fmt: skip
    axes.set_yticks(places, [short(name) for name in groups])
    axes.set(ylim=(len(groups) - 0.4, -0.6), xlim=(0, max(begin, default=1.0) * 1.08))
    step = estimate.step
    title = f"{short(step.network.name)}, batch {step.network.batch}, policy {estimate.policy}: share of the busy time"
    dress(axes, title, f"busy time of GPU and PIM [{unit}]", grid="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_color(FAINT)
    figure.legend(handles=handles, ncols=3, loc="outside lower center", frameon=False, fontsize=SMALL, labelcolor=INK)
    return figure
