"""A matplotlib figure as SVG inside an HTML page: text stays text, colours follow the page, no id occurs twice."""

from __future__ import annotations

import html
import io
import re
import warnings
from typing import TYPE_CHECKING

from pimmodel.plots.style import FAINT, INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PROLOG = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_REFERENCES = ((re.compile(r'\bid="'), 'id="{}-'), (re.compile(r"url\(#"), "url(#{}-"),
               (re.compile(r'href="#'), 'href="#{}-'))  # fmt: skip
# Ink and grid become those of the page, so that a dark page has light text; all other colours stay.
_COLOURS = ((re.compile(INK, re.IGNORECASE), "currentColor"), (re.compile(FAINT, re.IGNORECASE), "var(--faint)"))


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
    for found, put in _REFERENCES:
        text = found.sub(put.format(name), text)
    for found, put in _COLOURS:
        text = found.sub(put, text)
    head, rest = text.split(">", 1)
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    title = f'<title id="{name}-title">{html.escape(label)}</title>'
    return f'{head} role="img" aria-labelledby="{name}-title">\n{title}{rest.rstrip()}'
