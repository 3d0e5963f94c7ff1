"""Pictures that follow a slider: drawn once per step, then only what moves is drawn again over the kept background.

Laying out and drawing a figure takes a tenth of a second or more; moving some of its bars and copying the rest, some
milliseconds. Bars of one colour that move are one path, however many they are. All pictures are PNG, made by Agg; no
window, no browser.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pimmodel.explore.what_if import WHOLE, Answer
from pimmodel.plots.roofs import roofline
from pimmodel.plots.style import (
    FAINT,
    GREY,
    HEAT,
    INK,
    PARTS,
    PHASES,
    POLICIES,
    SMALL,
    TEXT,
    VERMILION,
    dress,
    legend,
    new_figure,
    scale_of,
    short,
)
from pimmodel.units import format_quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 100
HALF, FULL = 6.1, 12.3  # widths [inch]
_WHAT = "a what-if picture"
_COMPRESSION = 1  # of PNG: twice the bytes of the best, in a tenth of the time
_SEEN = 16  # PNG of a picture that are kept: some 20 to 50 kB each


class Picture:
    """A figure whose `moving` artists are drawn over all else, which stays.

    set_to : changes the moving artists to a threshold pair
    """

    def __init__(self, figure: Figure, moving: Sequence[Any], set_to: Callable[[int], None]) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        self.figure, self._moving, self._set_to = figure, list(moving), set_to
        figure.set_dpi(DPI)
        self._canvas: Any = FigureCanvasAgg(figure)
        if (engine := figure.get_layout_engine()) is not None:
            engine.execute(figure)  # with all there is, so that there is room for it
        figure.set_layout_engine("none")
        for artist in self._moving:
            artist.set_animated(True)
        self._canvas.draw()
        self._background = self._canvas.copy_from_bbox(figure.bbox)
        self._seen = functools.lru_cache(_SEEN)(self.draw)

    def png(self, pair: int) -> bytes:
        """The picture at a threshold pair, a place in the grid; the last ones are kept."""
        return self._seen(pair if self._moving else 0)

    def draw(self, pair: int) -> bytes:
        """The picture at a threshold pair, drawn whether it is kept or not."""
        from PIL import Image

        self._set_to(pair)
        self._canvas.restore_region(self._background)
        for artist in self._moving:
            artist.axes.draw_artist(artist)
        file = io.BytesIO()
        whole = Image.frombuffer(
            "RGBA", self._canvas.get_width_height(), self._canvas.buffer_rgba(), "raw", "RGBA", 0, 1
        )
        whole.convert("RGB").save(file, "png", compress_level=_COMPRESSION)
        return file.getvalue()


def speedup_bars(answer: Answer) -> Picture:
    """Speedup over gpu-only of serial, of `exclusive` at the chosen and at the best thresholds, and of the bound."""
    figure = new_figure(HALF, 3.0, _WHAT)
    axes = figure.subplots()
    best = answer.grid.best
    low, high = answer.thresholds(best)
    names = ["gpu-only", "serial", "exclusive, chosen", f"exclusive, best ({low}, {high})", "ideal (bound)"]
    colours = [POLICIES[one] for one in ("gpu-only", "serial", "exclusive", "exclusive-single", "ideal")]
    times = [answer.gpu_only, answer.serial, answer.time(best), answer.time(best), answer.ideal]
    bars = axes.barh(range(5), [answer.gpu_only / time for time in times], 0.72, color=colours, edgecolor=INK,
                     linewidth=0.4)  # fmt: skip
    labels = [
        axes.annotate("", (answer.gpu_only / time, place), xytext=(4, 0), textcoords="offset points", va="center",
                      fontsize=SMALL, color=INK)
        for place, time in enumerate(times)
    ]  # fmt: skip

    def label(place: int, time: float) -> None:
        labels[place].xy = (answer.gpu_only / time, place)
        labels[place].set_text(f"{answer.gpu_only / time:.3f}   {format_quantity(time, 's', 4)}")

    for place, time in enumerate(times):
        label(place, time)
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.set_yticks(range(5), names)
    axes.set(ylim=(4.6, -0.6), xlim=(0, answer.gpu_only / min(times) * 1.32))
    choice = answer.choice
    title = f"{short(answer.step.network.name, 24)}, batch {choice.batch}, on {short(answer.step.system.name, 28)}"
    dress(axes, title, "speedup over gpu-only [1]", grid="x")
    axes.tick_params(axis="y", length=0)

    def set_to(pair: int) -> None:
        time = answer.time(pair)
        bars[2].set_width(answer.gpu_only / time)
        label(2, time)

    return Picture(figure, [bars[2], labels[2]], set_to)


def layer_bars(answer: Answer) -> Picture:
    """Stacked times of layers or groups of layers: on the GPU, held up there by the PIM, on the PIM."""
    groups, held = answer.layers, answer.held
    figure = new_figure(HALF, 1.5 + 0.175 * max(8, len(groups)), _WHAT)
    axes = figure.subplots()
    places = np.arange(len(groups))
    at_most = np.array([sum(one.values()) for one in groups.values()]) + held.max(axis=1)
    factor, unit = scale_of(at_most, "s")
    begin, alone, handles = np.zeros(len(groups)), np.zeros(len(groups)), []
    slots: list[tuple[Any, Any, Any]] = []  # bars that the held-up time pushes to the right, and their ends without it
    slowed = _bars(axes, GREY, "GPU held up by the PIM")
    for side in ("GPU", "PIM"):
        for (part, where), colour in PARTS.items():
            lengths = np.array([one[part, where] for one in groups.values()]) / factor
            if where != side or not lengths.any():
                continue
            if side == "PIM":
                handles.append(_bars(axes, colour, f"{part}, {where}"))
                slots.append((handles[-1], begin, begin + lengths))
            else:
                handles.append(axes.barh(places, lengths, 0.8, left=begin, color=colour, label=f"{part}, {where}"))
            begin = begin + lengths
        if side == "GPU":
            alone = begin
            handles.append(slowed)
    axes.set_yticks(places, [short(name, 22) for name in groups])
    axes.set(ylim=(len(groups) - 0.4, -0.6), xlim=(0, float(at_most.max(initial=factor)) / factor * 1.04))
    dress(axes, "Time of each layer", f"busy time of GPU and PIM [{unit}]", grid="x")
    axes.tick_params(axis="y", length=0, labelsize=SMALL - 1)
    axes.spines["left"].set_color(FAINT)
    figure.legend(handles=handles, ncols=3, loc="outside lower center", frameon=False, fontsize=SMALL, labelcolor=INK)

    def set_to(pair: int) -> None:
        longer = held[:, pair] / factor
        slowed.set_path(_boxes(alone, alone + longer, places))
        for bars, left, right in slots:
            bars.set_path(_boxes(left + longer, right + longer, places))

    set_to(answer.grid.best)
    return Picture(figure, [slowed, *(bars for bars, _, _ in slots)], set_to)


def roofs(answer: Answer) -> Picture:
    """The roofline of the step; thresholds do not move it."""
    figure = roofline(answer.step)
    figure.set_size_inches(HALF, 5.1)
    (axes,) = figure.axes
    old = axes.get_legend()
    assert old is not None
    handles = list(old.legend_handles)
    old.remove()
    axes.set_title(f"Rooflines: {axes.get_title(loc='left').partition(';')[0]}", loc="left", fontsize=TEXT, color=INK)
    figure.legend(handles=handles, ncols=3, loc="outside lower center", frameon=False, fontsize=SMALL - 1,
                  labelcolor=INK)  # fmt: skip
    return Picture(figure, [], lambda pair: None)


def heat_map(answer: Answer, shown: str = WHOLE) -> Picture:
    """Time over both thresholds, of the whole step or of one CONV and the PIM work beside it; the choice is marked."""
    square = answer.square(shown)
    figure = new_figure(HALF, 3.9, _WHAT)
    axes = figure.subplots()
    factor, unit = scale_of([float(np.nanmax(square))], "s")
    image = axes.imshow(square / factor, origin="lower", cmap=f"{HEAT}_r", interpolation="nearest", aspect="auto")
    bar = figure.colorbar(image, ax=axes)
    bar.set_label(f"time [{unit}]", fontsize=TEXT, color=INK)
    bar.ax.tick_params(labelsize=SMALL, colors=INK)
    bar.outline.set_visible(False)
    high, low = np.unravel_index(int(np.nanargmin(square)), square.shape)
    least = float(np.nanmin(square))
    best = axes.plot(low, high, marker="*", markersize=14, color=VERMILION, markeredgecolor="white", linestyle="none",
                     label=f"best: {low}, {high}: {format_quantity(least, 's', 4)}", clip_on=False)  # fmt: skip
    chosen = axes.plot(low, high, marker="o", markersize=11, markerfacecolor="none", markeredgecolor=VERMILION,
                       markeredgewidth=2.2, linestyle="none", label="chosen", clip_on=False)  # fmt: skip
    words = axes.text(0.985, 0.22, "\n", transform=axes.transAxes, ha="right", va="bottom", fontsize=TEXT, color=INK)
    title = "Thresholds: time of the whole step" if shown == WHOLE else f"Thresholds: {short(shown)} and its PIM work"
    dress(axes, title, "theta_low [requests]", "theta_high [requests]")
    legend(axes, [*best, *chosen], loc="lower right")

    def set_to(pair: int) -> None:
        at_low, at_high = answer.thresholds(pair)
        chosen[0].set_data([at_low], [at_high])
        time = float(square[at_high, at_low])
        words.set_text(f"chosen: {at_low}, {at_high}\n{format_quantity(time, 's', 4)}, {time / least - 1:+.1%}")

    return Picture(figure, [chosen[0], words], set_to)


def timeline(answer: Answer) -> Picture:
    """What GPU and PIM do when, stage by stage, up to the time that both take one after the other."""
    from matplotlib.patches import Patch

    figure = new_figure(FULL, 2.5, _WHAT)
    axes = figure.subplots()
    longest = max(answer.serial, float(answer.grid.total.max()))
    factor, unit = scale_of([longest], "s")
    used = dict.fromkeys([*answer.host_phases, *answer.pim_phases, *(["UPD"] if answer.grid.updating.any() else [])])
    phases = [phase for phase in PHASES if phase in used]
    bars = {phase: _bars(axes, PHASES[phase]) for phase in phases}
    # One box per stage and kind of span, and one for the rest: its row and its phase.
    pim = answer.pim_phases
    rows = np.repeat([1, 0, 0, 0], [len(pim), len(pim), len(pim), len(pim) + 1])
    of = np.array([*answer.host_phases, *pim, *pim, *(["UPD"] * len(pim)), pim[-1]])
    axes.set(xlim=(0, longest / factor * 1.01), ylim=(-0.5, 1.5), yticks=[0, 1], yticklabels=["PIM", "GPU"])
    (end,) = axes.plot([0, 0], [-0.5, 1.5], color=INK, linewidth=1.6)
    for time, style in ((answer.ideal, ":"), (answer.serial, "--")):
        axes.axvline(time / factor, color=INK, linewidth=1.1, linestyle=style)
    words = axes.text(0, 1.52, "", ha="right", va="bottom", fontsize=SMALL, color=INK)
    dress(axes, "Who works when", f"time [{unit}]")
    handles: list[Any] = [Patch(color=PHASES[phase], label=phase) for phase in phases]
    for name, style in ((f"bound {format_quantity(answer.ideal, 's')}", ":"),
                        (f"serial {format_quantity(answer.serial, 's')}", "--")):  # fmt: skip
        handles += axes.plot([], [], color=INK, linewidth=1.1, linestyle=style, label=name)
    figure.legend(handles=handles, ncols=len(handles), loc="outside lower center", frameon=False, fontsize=SMALL,
                  labelcolor=INK)  # fmt: skip

    def set_to(pair: int) -> None:
        found = answer.timeline(pair)
        rest = np.array(found.rest)[:, None]
        left, right = np.concatenate([found.host, found.alone, found.beside, found.updates, rest], axis=1) / factor
        for phase, drawn in bars.items():
            mine = (of == phase) & (right > left)
            drawn.set_path(_boxes(left[mine], right[mine], rows[mine]))
        time = answer.time(pair) / factor
        end.set_xdata([time, time])
        words.set_x(time)
        words.set_text(f"exclusive: {format_quantity(answer.time(pair), 's', 4)}")

    return Picture(figure, [*bars.values(), end, words], set_to)


def _bars(axes: Axes, colour: str, label: str = "") -> Any:
    """A patch for bars of one colour; `set_path` says where they are."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    return axes.add_patch(PathPatch(Path(np.zeros((1, 2))), facecolor=colour, linewidth=0, label=label))


def _boxes(left: Any, right: Any, row: Any) -> Any:
    """One path of K horizontal bars, 0.8 high, from left to right around their rows, shape (K,) each."""
    from matplotlib.path import Path

    low, high = row - 0.4, row + 0.4
    corners = (left, low), (right, low), (right, high), (left, high), (left, low)
    places = np.stack([np.stack(one, axis=-1) for one in corners], axis=1).reshape(-1, 2)
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    return Path(places, np.tile(np.array(codes, dtype=Path.code_type), len(left)))


PICTURES: dict[str, Callable[[Answer], Picture]] = {
    "speedup": speedup_bars, "thresholds": heat_map, "timeline": timeline, "layers": layer_bars, "roofline": roofs,
}  # fmt: skip
"""What is shown, in the order in which it is read."""

STILL = ("roofline",)  # what thresholds do not move
