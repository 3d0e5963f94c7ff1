"""Tables as text: plain and fast where they fit, folded by rich where the terminal is too narrow."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

_GAP = "  "


def table(
    title: str, headers: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[bool], output: Path | None
) -> str:
    """A table as text.

    Parameters
    ----------
    title : the line above it
    headers : of C columns
    rows : C cells each
    numbers : whether a column is set flush right
    output : file that it is for, or None for standard output; headers are bold only on a terminal that wants it
    """
    cells = [list(row) for row in rows]
    terminal = output is None and sys.stdout.isatty()
    styled = terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    width = shutil.get_terminal_size().columns
    if terminal and sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        return _folded(title, headers, cells, numbers, width, styled)
    lines = [_line(cell, widths, numbers) for cell in (headers, *cells)]
    if styled:
        lines[0] = f"\033[1m{lines[0]}\033[0m"
    return "\n".join([title, *lines]) + "\n"


def _line(cells: Sequence[str], widths: Sequence[int], numbers: Sequence[bool]) -> str:
    padded = (
        cell.rjust(width) if number else cell.ljust(width)
        for cell, width, number in zip(cells, widths, numbers, strict=True)
    )
    return _GAP.join(padded).rstrip()


def _folded(
    title: str, headers: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[bool], width: int, styled: bool
) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(
        title=Text(title), title_justify="left", title_style="", header_style="bold", box=None, pad_edge=False
    )
    for header, number in zip(headers, numbers, strict=True):
        drawn.add_column(header, justify="right" if number else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    buffer = io.StringIO()
    Console(file=buffer, force_terminal=styled, color_system="standard" if styled else None, width=width).print(drawn)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"
