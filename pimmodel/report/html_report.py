"""One training step as a self-contained HTML page: figures, tables, pictures, assumptions with their sources, errors.

The page needs no network and no library: pictures are inline SVG, the script that sorts tables is a few lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pimmodel.errors import MissingExtraError, PimModelError
from pimmodel.estimates import POLICY_NOTES, Estimate
from pimmodel.optimize.policies import ideas
from pimmodel.plots import (
    busiest_window,
    gantt,
    idea_comparison,
    layer_breakdown,
    policy_comparison,
    roofline,
    threshold_surface,
)
from pimmodel.plots.surfaces import paired
from pimmodel.report import html_tables as tables
from pimmodel.report.html_svg import inline_svg
from pimmodel.schedule.bound import BOUND_NOTES
from pimmodel.sharing.intervals import CALIBRATED_BY
from pimmodel.step import Step
from pimmodel.units import format_quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Progress = Callable[[int, int], None]
_PARTS = 8  # pictures, and all tables together, for the progress bar


@dataclass(frozen=True)
class Origin:
    """Where a report comes from: version of the library, command line and date, as they are shown."""

    version: str
    command: str
    date: str


def report_html(
    estimates: Sequence[Estimate], policy: str = "exclusive", *, origin: Origin,
    measured: Sequence[Mapping[str, Any]] = (), progress: Progress | None = None,
) -> str:  # fmt: skip
    """The page as text.

    Parameters
    ----------
    estimates : of one step under all policies, as `compare` returns them
    policy : the one whose layers, timeline and energy are shown
    origin : shown at its end
    measured : error rows of `pimmodel.validation.gpu.validate_gpu` as dicts; empty: the page says how to make them
    progress : called with (parts done, parts)

    Raises
    ------
    PimModelError : no estimate under `exclusive` or under `policy`.
    MissingExtraError : jinja2 or matplotlib is not there.
    """
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ImportError:
        raise MissingExtraError("the HTML report", "report") from None
    named = {one.policy: one for one in estimates}
    for wanted in ("exclusive", policy):
        if wanted not in named:
            raise PimModelError(f"estimates have no policy '{wanted}'; allowed: estimates under all policies")
    folder = files("pimmodel.report")
    sheet, script, template = (
        (folder / name).read_text(encoding="utf-8") for name in ("report.css", "report.js", "report.html.j2")
    )
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    shown, best = named[policy], named["exclusive"]  # type: ignore[index]
    content = _content(list(estimates), shown, best, progress or (lambda done, total: None))
    pictures = {name: Markup(picture) for name, picture in content.pop("pictures").items()}
    return page.from_string(template).render(
        **content, pictures=pictures, origin=origin, measured=tables.measured_table(measured),
        sheet=Markup(sheet), script=Markup(script),
    )  # fmt: skip


def _content(estimates: list[Estimate], shown: Estimate, best: Estimate, progress: Progress) -> dict[str, Any]:
    """All that the template shows."""
    step, done = best.step, 0
    pictures: dict[str, str] = {}

    def picture(name: str, label: str, figure: Figure) -> None:
        nonlocal done
        pictures[name] = inline_svg(figure, f"picture-{name}", label)
        done += 1
        progress(done, _PARTS)

    title = f"{step.network.name} on {step.system.name}"
    picture("policies", f"Step time under every policy: {title}", policy_comparison(estimates))
    picture("ideas", "How much longer a step takes with one idea less",
            idea_comparison(ideas(step.workload, step.optimum)))  # fmt: skip
    picture("layers", f"Busy time of layers under {shown.policy}", layer_breakdown(shown))
    picture("roofline", "Roofline of GPU and PIM with all tasks", roofline(step))
    pair = _pair(step)
    if pair:
        picture("surface", f"Time of {pair[0]} and the PIM work beside it over both thresholds",
                threshold_surface(step, pair[0], chosen=pair[1]))  # fmt: skip
    if shown.schedule is not None:
        picture("timeline", "What GPU and PIM run when, and who holds the memory", gantt(shown.schedule))
        picture("window", "The same for the part of the step in which both work at once most",
                gantt(shown.schedule, busiest_window(shown.schedule)))  # fmt: skip
    values, sources = tables.hardware_values(step.system)
    content = {
        "title": title, "step": step, "shown": shown, "best": best, "pictures": pictures,
        "key": _key_figures(best), "sentences": _sentences(best), "note": POLICY_NOTES[shown.policy],
        "bound": _bound(step), "multiple": f"{step.system.bandwidth_multiple:g}",
        "peak": format_quantity(step.system.peak_bandwidth, "B/s"), "calibrated_by": CALIBRATED_BY,
        "policies": tables.policy_table(estimates), "ideas": tables.idea_table(estimates),
        "layers": tables.layer_table(shown), "thresholds": tables.threshold_table(step),
        "waits": tables.wait_table(shown.schedule) if shown.schedule is not None else None,
        "energy": tables.energy_table(shown), "intervals": tables.interval_table(),
        "domain": tables.domain_notes(step), "values": values, "sources": sources,
        "reasons": tables.reasons(step.system),
    }  # fmt: skip
    progress(_PARTS, _PARTS)
    return content


def _pair(step: Step) -> tuple[str, tuple[int, int] | None] | None:
    """The CONV task of the surface, and the thresholds that the plan gave it; None where nothing can share."""
    names = paired(step)
    if not names:
        return None
    index = next(number for number, task in enumerate(step.workload.tasks) if task.name == names[0])
    policy = step.optimum.plan.policies[index]
    if policy.theta_low is None or policy.theta_high is None:
        return names[0], None
    return names[0], (policy.theta_low, policy.theta_high)


def _key_figures(best: Estimate) -> list[tuple[str, str, str]]:
    """Name, figure and remark of what matters most."""
    step, energy = best.step, best.energy
    figures = [
        ("training step", format_quantity(best.time, "s"), f"{best.images_per_second:.0f} images/s"),
        ("speedup over GPU alone", f"{best.speedup_over('gpu-only'):.3f}", "same GPU, no PIM"),
        ("speedup over serial", f"{best.speedup_over('serial'):.3f}", "GPU and PIM one after the other"),
        ("lower bound", format_quantity(step.bound.time, "s"), f"the plan is {step.optimum.gap:.1%} above it"),
    ]
    if energy is not None:
        figures.append(("energy of a step", format_quantity(energy.total, "J"),
                        f"{format_quantity(energy.average_power, 'W')} on average"))  # fmt: skip
    return figures


def _sentences(best: Estimate) -> list[str]:
    """What the report says, in words."""
    over_gpu, over_serial = best.speedup_over("gpu-only"), best.speedup_over("serial")
    step, ideal = best.step, best.time / best.step.bound.time
    verdict = "is faster with the PIM" if over_gpu > 1 else "is not faster with the PIM"
    sharing = "gains by letting both work at once" if over_serial > 1 else "gains nothing by letting both work at once"
    return [
        f"The step {verdict}: {over_gpu:.3f} times as fast as the GPU alone. It {sharing}:"
        f" {over_serial:.3f} times as fast as GPU and PIM one after the other.",
        f"Perfect overlap would be {ideal:.3f} times as fast; the bound is set by {BOUND_NOTES[step.bound.active]}.",
    ]


def _bound(step: Step) -> list[tuple[str, str]]:
    """The three parts of the lower bound, in words and figures."""
    return [(BOUND_NOTES[name], format_quantity(float(getattr(step.bound, name)), "s")) for name in BOUND_NOTES]
