"""How all pictures look: the palette of Okabe and Ito, one colour per phase and policy, sizes, axes with units.

Pictures are matplotlib `Figure`s made without pyplot, so that no global state changes and no window opens; matplotlib
is imported when the first one is made. Colours: M. Okabe and K. Ito, Color Universal Design, 2008 (told apart with
every common kind of colour vision).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pimmodel.errors import MissingExtraError
from pimmodel.units import prefixed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, SKY, GREEN, YELLOW = "#0072B2", "#56B4E9", "#009E73", "#F0E442"
ORANGE, VERMILION, PURPLE, GREY = "#E69F00", "#D55E00", "#CC79A7", "#999999"
INK, FAINT, PALE = "#222222", "#D9D9D9", "#BBBBBB"  # text and lines; grids; what stays in the background
PAPER = "#FEFEFE"  # around words that lines pass behind
OKABE_ITO = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, YELLOW, GREY)

# Phases of a task, in the order of a step.
PHASES = {
    "FP": BLUE, "FWD": SKY, "LOSS": "#555555", "DX": VERMILION, "DW": ORANGE, "BWD": GREEN, "ACC": PURPLE,
    "UPD": YELLOW,
}  # fmt: skip
# Parts of a step on either side: dark on the GPU, light on the PIM.
PARTS = {
    ("forward", "GPU"): BLUE, ("forward", "PIM"): SKY, ("backward", "GPU"): VERMILION, ("backward", "PIM"): ORANGE,
    ("update", "GPU"): GREEN, ("update", "PIM"): "#8FD9BF",
}  # fmt: skip
# Sharing policies; `exclusive`, which the others are compared with, is the one that stands out.
POLICIES = {
    "gpu-only": GREY, "serial": "#666666", "partitioned": PURPLE, "uncoordinated": ORANGE, "time-slice": YELLOW,
    "watermark": "#8FD9BF", "bypass-cap": GREEN, "host-first": VERMILION, "exclusive-single": SKY, "exclusive": BLUE,
    "ideal": FAINT,
}  # fmt: skip
HOST, PIM = BLUE, ORANGE  # the two sides, where nothing else is told apart
HEAT = "viridis"  # of surfaces: even in lightness, readable in grey
TITLE, TEXT, SMALL = 10, 9, 8  # sizes [pt]


def phase_of(task: str) -> str:
    """Phase of a task, from its name: "FP(conv1)" -> "FP"."""
    return task.partition("(")[0]


def short(name: str, most: int = 40) -> str:
    """A name with its middle left out where it is long.

    >>> short("features.denseblock4.denselayer16.conv2", 20)
    'features.d…r16.conv2'
    """
    if len(name) <= most:
        return name
    return f"{name[: most // 2]}…{name[len(name) - (most - most // 2 - 1) :]}"


def new_figure(width: float, height: float, what: str = "a picture") -> Figure:
    """An empty figure [inch] that is laid out when it is drawn.

    Raises
    ------
    MissingExtraError : matplotlib is not there.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError(what, "plot") from None
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def dress(axes: Axes, title: str = "", x: str = "", y: str = "", grid: str = "") -> None:
    """Title, axis labels (which name their unit), sizes and colours of one panel; grid: "x", "y", "both" or none.

    To be called when all else is drawn: no name in the panel is taken for mathematics.
    """
    if title:
        axes.set_title(title, loc="left", fontsize=TITLE, color=INK, parse_math=False)
    for text in (*axes.texts, *axes.get_yticklabels()):
        text.set_parse_math(False)
    axes.set_xlabel(x, fontsize=TEXT, color=INK)
    axes.set_ylabel(y, fontsize=TEXT, color=INK)
    axes.tick_params(which="both", labelsize=SMALL, colors=INK)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
    if grid:
        axes.grid(axis=grid, color=FAINT, linewidth=0.6)  # type: ignore[arg-type]
        axes.set_axisbelow(True)
    axes.set_facecolor("none")


def legend(axes: Axes, handles: Sequence[Any], columns: int = 1, **where: Any) -> None:
    """A legend without a frame; `where` as `Axes.legend` has it."""
    axes.legend(handles=handles, ncols=max(1, columns), frameon=False, fontsize=SMALL, labelcolor=INK, **where)


def scale_of(values: Iterable[float], unit: str) -> tuple[float, str]:
    """Factor to divide values by, and the prefixed unit to label their axis with, by the largest of them."""
    return prefixed(max((abs(one) for one in values), default=0.0), unit)


def plain_numbers(axis: Any) -> None:
    """Tick labels of a logarithmic axis as plain numbers (0.1, 1, 10), none at minor ticks."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
