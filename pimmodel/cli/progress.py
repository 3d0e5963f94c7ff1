"""Long work says how far it is, on standard error, where that is a terminal and `--quiet` is not given."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

# Called with the number of parts done and of all parts [1].
Progress = Callable[[int, int], None]

QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress on standard error.")]


def shows_progress(quiet: bool) -> bool:
    """Whether anybody would see progress: a terminal that can move its cursor, and no `--quiet`."""
    return not quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def progress_bar(what: str, quiet: bool) -> Iterator[Progress | None]:
    """A bar that the caller moves on, with the time so far; it goes when the work is done.

    Parameters
    ----------
    what : the parts that are counted
    quiet : whether `--quiet` was given

    Returns
    -------
    context manager of what moves the bar on, or of None where nothing is shown.
    """
    if not shows_progress(quiet):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def waiting(what: str, quiet: bool) -> Iterator[None]:
    """A line that says what goes on, with the time so far, for work whose parts cannot be counted beforehand."""
    if not shows_progress(quiet):
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as line:
        line.add_task(what, total=None)
        yield
