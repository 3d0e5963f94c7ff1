"""Errors that are meant for people: one line naming what is wrong, where, and what is allowed.

The command line prints the message of any :class:`PimModelError` and exits with 1; everything else is a defect
of this library and shows its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PimModelError(Exception):
    """Base of every error that a user can mend."""


class DescriptionError(PimModelError):
    """A hardware, scenario or study description that cannot be used.

    Parameters
    ----------
    file : where the description came from (a path or a built-in name)
    field : dotted name of the field
    value : what was found there
    allowed : what would have been accepted
    """

    def __init__(self, file: object, field: str, value: object, allowed: str) -> None:
        self.file, self.field, self.value, self.allowed = str(file), field, value, allowed
        super().__init__(f"{file}: field '{field}' is {value!r}; allowed: {allowed}")


class UnknownNameError(PimModelError):
    """A name that is not in a list of known names; close matches are suggested."""

    def __init__(self, what: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.name, self.known = name, sorted(known)
        spelt = {one.lower(): one for one in self.known}
        close = [spelt[one] for one in difflib.get_close_matches(name.lower(), spelt, n=3, cutoff=0.6)]
        advice = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(self.known)}"
        super().__init__(f"unknown {what} '{name}'; {advice}{hint}")


class NetworkError(PimModelError):
    """A network that cannot be built, imported or shaped."""


class MissingExtraError(PimModelError):
    """An optional dependency is needed and absent."""

    def __init__(self, feature: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{feature} needs an optional package: pip install 'pimmodel[{extra}]'")
