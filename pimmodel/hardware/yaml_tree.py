"""YAML text to a tree of nodes that remember their line, so that an error can say where.

Values stay text until the schema says what they are: YAML's own guesses ("off" is false, "1e9" is text) would
otherwise surprise. Duplicate keys, which YAML readers silently resolve, are errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from pimmodel.errors import DescriptionError

# libyaml's parser where PyYAML was built with it: a system is four files, and the pure one takes ten times as long.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Deeper than any description; keeps hostile nesting from exhausting the stack.
_DEEPEST = 12
_WHOLE = re.compile(r"[-+]?\d+")


@dataclass(frozen=True)
class Tree:
    """One YAML node: `fields` of a mapping, or the `scalar` (a plain one has its YAML type), or neither (a list)."""

    line: int
    kind: str
    text: str = ""
    quoted: bool = False
    fields: dict[str, Tree] = field(default_factory=dict)

    @property
    def scalar(self) -> str | int | float | bool | None:
        """Value of a scalar: None, bool, int, float where written plainly, else the text."""
        if self.quoted:
            return self.text
        if self.text.lower() in ("", "null", "~", "none"):
            return None
        if self.text.lower() in ("true", "false"):
            return self.text.lower() == "true"
        if _WHOLE.fullmatch(self.text):
            return int(self.text) if len(self.text) < 400 else float("inf")
        try:
            # YAML writes .nan and .inf; Python's 1_000 is not a number in YAML 1.2.
            return self.text if "_" in self.text else float(re.sub(r"^([-+]?)\.(nan|inf)$", r"\1\2", self.text.lower()))
        except ValueError:
            return self.text

    @property
    def shown(self) -> object:
        """What an error message shows of the node."""
        return self.scalar if self.kind == "scalar" else Shown(f"a {self.kind}")


@dataclass(frozen=True)
class Shown:
    """Text that an error message prints without quotes."""

    text: str

    def __repr__(self) -> str:
        return self.text


def parse(text: str, origin: str) -> Tree:
    """Tree of one YAML document whose top is a mapping.

    Raises
    ------
    DescriptionError : not YAML, empty, more than one document, not a mapping, a key given twice.
    """
    # From events, not from nodes: libyaml's composer overflows the C stack on deeply nested text.
    events = yaml.parse(text, Loader=_LOADER)
    try:
        tree = _document(events, origin)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{origin}:{mark.line + 1}" if mark else origin
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
        if "nesting depth" in problem:  # a limit of libyaml's own, in newer builds
            raise DescriptionError(where, "(file)", Shown("nested too deeply"), "a mapping of fields") from None
        raise DescriptionError(where, "(file)", Shown(f"not YAML ({problem})"), "a YAML mapping of fields") from None
    if tree is None or (tree.kind == "scalar" and not tree.text):
        raise DescriptionError(origin, "(file)", Shown("empty"), "a YAML mapping of fields")
    if tree.kind != "mapping":
        raise DescriptionError(origin, "(file)", tree.shown, "a mapping of fields at the top level")
    return tree


def _document(events: Iterator[Any], origin: str) -> Tree | None:
    tree = None
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            if tree is not None:
                raise DescriptionError(origin, "(file)", Shown("more than one document"), "one YAML mapping of fields")
            tree = _tree(next(events), events, origin, "", 0)
    return tree


def _tree(event: Any, events: Iterator[Any], origin: str, path: str, depth: int) -> Tree:
    line = event.start_mark.line + 1
    if depth > _DEEPEST:
        raise DescriptionError(f"{origin}:{line}", "(file)", Shown("nested too deeply"), "a mapping of fields")
    if isinstance(event, yaml.ScalarEvent):
        return Tree(line, "scalar", event.value, quoted=event.style in ("'", '"', "|", ">"))
    if isinstance(event, yaml.AliasEvent):
        return Tree(line, "reference")
    if isinstance(event, yaml.SequenceStartEvent):
        for item in iter(lambda: next(events), None):
            if isinstance(item, yaml.SequenceEndEvent):
                return Tree(line, "list")
            _tree(item, events, origin, path, depth + 1)
    fields: dict[str, Tree] = {}
    for key in iter(lambda: next(events), None):
        if isinstance(key, yaml.MappingEndEvent):
            break
        key_node = _tree(key, events, origin, path, depth + 1)
        name = key_node.text if key_node.kind == "scalar" else "?"
        dotted = f"{path}.{name}" if path else name
        if name in fields:
            before = fields[name].line
            where = f"{origin}:{key_node.line}"
            raise DescriptionError(where, dotted, Shown(f"given twice (first in line {before})"), "once")
        fields[name] = _tree(next(events), events, origin, dotted, depth + 1)
    return Tree(line, "mapping", fields=fields)
