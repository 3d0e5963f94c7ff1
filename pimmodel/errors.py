"""Errors that are meant for people: one line naming what is wrong, where, and what is allowed.

The command line prints the message of any :class:`PimModelError` and exits with 1; everything else is a defect
of this library and shows its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SHOWN = 40  # names listed where none is close


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
        close = close_names(name, self.known)
        shown = ", ".join(self.known[:_SHOWN]) + (
            f" and {len(self.known) - _SHOWN} more" if len(self.known) > _SHOWN else ""
        )
        advice = f"did you mean {' or '.join(close)}?" if close else f"known: {shown}"
        super().__init__(f"unknown {what} '{name}'; {advice}{hint}")


def close_names(name: str, known: Iterable[str]) -> list[str]:
    """Known names that were perhaps meant: the same in another case, else those that it begins, else similar ones."""
    spelt, wanted = {one.lower(): one for one in known}, name.lower()
    if wanted in spelt:
        return [spelt[wanted]]
    begun = [one for one in spelt if len(wanted) > 1 and one.startswith(wanted)]
    similar = difflib.get_close_matches(wanted, spelt, n=3, cutoff=0.6)
    return [spelt[one] for one in dict.fromkeys([*begun, *similar])][:3]


class NetworkError(PimModelError):
    """A network that cannot be built, imported or shaped."""


class MissingExtraError(PimModelError):
    """An optional dependency is needed and absent."""

    def __init__(self, feature: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{feature} needs an optional package: pip install 'pimmodel[{extra}]'")
