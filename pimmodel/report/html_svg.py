"""A matplotlib figure as SVG inside an HTML page: text stays text, colours follow the page, no id occurs twice."""

from __future__ import annotations

import html
import io
import re
import warnings
from typing import TYPE_CHECKING

from pimmodel.plots.style import FAINT, INK, PAPER

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PROLOG = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_REFERENCES = ((re.compile(r'\bid="'), 'id="{}-'), (re.compile(r"url\(#"), "url(#{}-"),
               (re.compile(r'href="#'), 'href="#{}-'))  # fmt: skip
# Coordinates have six digits behind the point, of a unit of which 72 make an inch: two are enough, and half the file.
_LONG = re.compile(r"(?<![\w.#])-?\d+\.\d{3,}(?![\w.])")
# Neighbours of one colour, such as the bars of a timeline, as one path.
_ALIKE = re.compile(r'<path d="[^"]*" (clip-path="[^"]*" style="fill: #[0-9a-f]{6}")/>(?:\s*<path d="[^"]*" \1/>)+')
# Ink, grid and paper become those of the page, so that a dark page has light text; all other colours stay.
_COLOURS = tuple(
    (re.compile(colour, re.IGNORECASE), put)
    for colour, put in ((INK, "currentColor"), (FAINT, "var(--faint)"), (PAPER, "var(--page)"))
)


def inline_svg(figure: Figure, name: str, label: str) -> str:
    """An `<svg>` element of a figure, without background.

    Parameters
    ----------
    figure : what to draw
    name : put before every id in it; letters, digits and "-", a different one for each picture of a page
    label : what it shows, for those who do not see it

    The element has no outer size of its own: it is as wide as its container lets it be.
    """
    from matplotlib import rc_context

    drawn = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}), warnings.catch_warnings():
        # Signs that matplotlib's font lacks are the reader's browser's to draw.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(drawn, format="svg", facecolor="none", dpi=144, metadata={"Date": None})
    text = _METADATA.sub("", _PROLOG.sub("", drawn.getvalue()))
    text = _LONG.sub(lambda number: f"{float(number.group()):.2f}", text)
    text = _ALIKE.sub(_joined, text)
    for found, put in _REFERENCES:
        text = found.sub(put.format(name), text)
    for found, put in _COLOURS:
        text = found.sub(put, text)
    head, rest = text.split(">", 1)
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    title = f'<title id="{name}-title">{html.escape(label)}</title>'
    return f'{head} role="img" aria-labelledby="{name}-title">\n{title}{rest.rstrip()}'


def _joined(paths: re.Match[str]) -> str:
    """One path in place of several with the same attributes."""
    parts = re.findall(r'd="([^"]*)"', paths.group())
    return f'<path d="{" ".join(" ".join(part.split()) for part in parts)}" {paths.group(1)}/>'
