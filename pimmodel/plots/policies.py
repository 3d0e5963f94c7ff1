"""The step time under every policy, and what each idea of the flow buys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pimmodel.errors import PimModelError
from pimmodel.estimates import Estimate, Policy
from pimmodel.plots.style import BLUE, FAINT, INK, POLICIES, SMALL, TEXT, dress, new_figure, scale_of, short
from pimmodel.units import format_quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def policy_comparison(estimates: Sequence[Estimate], baseline: Policy = "serial") -> Figure:
    """Bars of the step time under each policy, with the speedup over a baseline, and the lower bound as a line.

    Parameters
    ----------
    estimates : of one step, as `compare` returns them
    baseline : policy that speedups are over

    Raises
    ------
    PimModelError : no estimate.
    MissingExtraError : matplotlib is not there.
    """
    if not estimates:
        raise PimModelError("estimates is empty; allowed: one or more, as `compare` returns them")
    step = estimates[0].step
    figure = new_figure(8, 1.2 + 0.32 * len(estimates), "a picture of policies")
    axes = figure.subplots()
    times = [one.time for one in estimates]
    factor, unit = scale_of(times, "s")
    axes.barh(range(len(estimates)), [time / factor for time in times], 0.74,
              color=[POLICIES[one.policy] for one in estimates], edgecolor=INK, linewidth=0.4)  # fmt: skip
    for place, one in enumerate(estimates):
        label = f"{format_quantity(one.time, 's')}, × {one.speedup_over(baseline):.3f}"
        axes.annotate(label, (one.time / factor, place), xytext=(4, 0), textcoords="offset points", va="center",
                      fontsize=SMALL, color=INK)  # fmt: skip
    bound = step.bound.time / factor
    axes.axvline(bound, color=INK, linewidth=1, linestyle="--")
    axes.annotate(f"lower bound {format_quantity(step.bound.time, 's')}", (bound, -0.62), xytext=(-4, 0),
                  textcoords="offset points", ha="right", va="bottom", fontsize=SMALL, color=INK)  # fmt: skip
    axes.set_yticks(range(len(estimates)), [one.policy for one in estimates])
    axes.set(ylim=(len(estimates) - 0.4, -1.3), xlim=(0, max(times) / factor * 1.22))
    name = (
        f"{short(step.network.name)}, batch {step.network.batch}, {step.options.precision} on {short(step.system.name)}"
    )
    dress(axes, f"{name} (×: speedup over {baseline})", f"time of a training step [{unit}]", grid="x")
    axes.tick_params(axis="y", length=0, labelsize=TEXT)
    return figure


def idea_comparison(ideas: Sequence[Any]) -> Figure:
    """Bars of how much longer a step takes with one idea of the flow taken away; `ideas` as `optimize.policies.ideas`.

    Raises
    ------
    MissingExtraError : matplotlib is not there.
    """
    figure = new_figure(8, 0.9 + 0.3 * len(ideas), "a picture of ideas")
    axes = figure.subplots()
    changes = [100 * one.change for one in ideas]
    axes.barh(range(len(ideas)), changes, 0.7, color=BLUE)
    for place, one in enumerate(ideas):
        label = f"{one.change:+.1%}, {format_quantity(one.time, 's')}"
        axes.annotate(label, (max(0.0, 100 * one.change), place), xytext=(4, 0), textcoords="offset points",
                      va="center", fontsize=SMALL, color=INK)  # fmt: skip
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(ideas)), [one.name for one in ideas])
    axes.set_ylim(len(ideas) - 0.4, -0.6)
    axes.set_xlim(min(0.0, *changes) * 1.3, max(0.1, *changes) * 1.35)
    dress(axes, "What each idea buys", "step time without it, over that of the whole flow [%]", grid="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_color(FAINT)
    return figure
