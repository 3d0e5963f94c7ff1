"""A tree of YAML nodes to a description: every value checked, with its unit and its source.

A value is written `{value: 1.53 GHz, source: KEY}`, where KEY is in the file's `sources` table; `KEY; detail` adds a
detail, and any text with a space in it that starts with no key is a source by itself ("estimate: ...").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from pimmodel.errors import DescriptionError, close_names
from pimmodel.hardware.description import FieldKind, field_kinds
from pimmodel.hardware.memory import Memory, MemoryTiming
from pimmodel.hardware.values import UnfitError, allowed_in, timing_at, value_in
from pimmodel.hardware.yaml_tree import Shown, Tree
from pimmodel.units import parse_quantity

Model = TypeVar("Model", bound=BaseModel)
# Fields that are written plainly, since a name has no unit and no source.
PLAIN = ("name", "title")
MISSING = Shown("missing")


@dataclass
class Reader:
    """Reads one description of one file.

    `clock` [Hz] replaces the file's own for a memory, and is what times are turned into clocks with.
    """

    origin: str
    citations: dict[str, str]
    clock: float | None = None
    clock_source: str = ""
    sources: dict[str, str] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)

    def fail(self, tree: Tree, path: str, value: object, allowed: str) -> NoReturn:
        """Raise the error of one field, with the line it is in."""
        raise DescriptionError(f"{self.origin}:{tree.line}", path, value, allowed)

    def group(self, model: type[Model], tree: Tree, path: str = "", ignore: Iterable[str] = ()) -> Model:
        """A description or a group of fields of one, validated."""
        return self.build(model, self.values(model, tree, path, ignore), tree, path)

    def values(self, model: type[BaseModel], tree: Tree, path: str, ignore: Iterable[str] = ()) -> dict[str, Any]:
        """Values of the fields that the file gives."""
        if tree.kind != "mapping":
            self.fail(tree, path, tree.shown, f"a mapping of fields ({', '.join(field_kinds(model))})")
        kinds = {name: kind for name, kind in field_kinds(model).items() if name not in ignore}
        self.reject_unknown(tree, path, kinds, ignore)
        result: dict[str, Any] = {}
        for name, kind in kinds.items():
            dotted = f"{path}.{name}" if path else name
            if name in tree.fields:
                result[name] = self._field(kind, tree.fields[name], name, dotted)
            elif model.model_fields[name].is_required():
                allowed = "a group of fields" if kind.part else allowed_in(kind)
                self.fail(tree, dotted, MISSING, allowed)
            if model is Memory and name == "clock":
                self._choose_clock(result)
        if model is MemoryTiming and self.clock is not None:
            result |= timing_at(self.clock, {k: v for k, v in result.items() if k not in self.times}, self.times)
        return result

    def reject_unknown(self, tree: Tree, path: str, known: Iterable[str], ignore: Iterable[str] = ()) -> None:
        """Refuse fields that do not exist, naming the closest that does."""
        names = [*known, *ignore]
        for name, node in tree.fields.items():
            if name not in names and not (path == "" and name == "sources"):
                dotted = f"{path}.{name}" if path else name
                self.fail(node, dotted, Shown("unknown"), suggest(name, names))

    def build(self, model: type[Model], values: dict[str, Any], tree: Tree, path: str = "") -> Model:
        """The validated object; what its own checks reject is traced to its line."""
        try:
            return model(**values)
        except ValidationError as error:
            name, value, allowed = first_problem(error)
            node = tree
            for step in name.split("."):
                node = node.fields.get(step, node)
            raise DescriptionError(
                f"{self.origin}:{node.line}", f"{path}.{name}" if path else name, value, allowed
            ) from None

    def leaf(self, tree: Tree, path: str) -> tuple[Tree, str]:
        """Value node and source text of a `{value, source}` leaf."""
        if tree.kind != "mapping":
            self.fail(tree, path, tree.shown, "'{value: ..., source: ...}': every value needs its source")
        self.reject_unknown(tree, path, ("value", "source"))
        for part, what in (("value", "the value itself"), ("source", "a key of the file's sources table, or a text")):
            if part not in tree.fields:
                self.fail(tree, f"{path}.{part}", MISSING, what)
        return tree.fields["value"], self._source(tree.fields["source"], f"{path}.source")

    def _source(self, node: Tree, path: str) -> str:
        text = node.text.strip()
        if node.kind != "scalar" or not isinstance(node.scalar, str) or not text:
            self.fail(node, path, node.shown, "a key of the file's sources table, or a text")
        key, separator, detail = text.partition(";")
        if key.strip() in self.citations:
            return self.citations[key.strip()] + (separator and f"; {detail.strip()}")
        if " " not in text:
            hint = suggest(text, self.citations, "key in the sources table")
            self.fail(node, path, text, f"a key of the sources table, or words: {hint}")
        return text

    def _field(self, kind: FieldKind, node: Tree, name: str, dotted: str) -> Any:
        if kind.part:
            return self.group(kind.part, node, dotted)
        if name in PLAIN:
            if node.kind != "scalar" or not node.text.strip():
                self.fail(node, dotted, node.shown, "a text")
            return node.text
        value_node, self.sources[dotted] = self.leaf(node, dotted)
        return self.converted(kind, value_node, dotted)

    def converted(self, kind: FieldKind, node: Tree, dotted: str) -> Any:
        """Number or text of a value node, as the field's kind wants it."""
        if node.kind != "scalar":
            self.fail(node, dotted, node.shown, allowed_in(kind))
        # Words stay as written: to YAML, off is false.
        written = node.text if not (kind.unit or kind.type in (int, float, bool)) else node.scalar
        try:
            value = value_in(written, kind, self.clock, unit_needed=True)
        except UnfitError as error:
            self.fail(node, dotted, node.shown, str(error))
        if kind.unit == "clock" and isinstance(written, str):
            self.times[dotted.rpartition(".")[2]] = parse_quantity(written, "s")
        return value

    def _choose_clock(self, values: dict[str, Any]) -> None:
        if self.clock is None:
            self.clock = values.get("clock")
        else:
            values["clock"] = self.clock
            self.sources["clock"] = self.clock_source


def citations_of(tree: Tree, origin: str) -> dict[str, str]:
    """The `sources` table of a file: key to full citation."""
    table = tree.fields.get("sources")
    if table is None:
        return {}
    if table.kind != "mapping":
        raise DescriptionError(f"{origin}:{table.line}", "sources", table.shown, "a mapping of keys to citations")
    for key, node in table.fields.items():
        if node.kind != "scalar" or not node.text.strip():
            raise DescriptionError(f"{origin}:{node.line}", f"sources.{key}", node.shown, "a citation")
    return {key: " ".join(node.text.split()) for key, node in table.fields.items()}


def suggest(name: str, known: Iterable[str], what: str = "field", before: str = "") -> str:
    """'no such field; did you mean ...?', or all that there are; `before` goes before suggested names."""
    names = list(known)
    if close := close_names(name, names):
        return f"no such {what}; did you mean {' or '.join(repr(before + one) for one in close)}?"
    return f"no such {what}; there are {', '.join(names)}" if names else f"no such {what}, for it is empty"


def first_problem(error: ValidationError) -> tuple[str, object, str]:
    """Field (dotted), value and what is allowed, of the first thing that a schema rejects."""
    first = error.errors()[0]
    loc = ".".join(str(step) for step in first["loc"])
    cause = first.get("ctx", {}).get("error")
    parts = str(cause).split("|", 2) if cause is not None else []
    if len(parts) == 3:
        return f"{loc}.{parts[0]}" if loc else parts[0], Shown(parts[1]), parts[2]
    return loc or "(file)", first.get("input"), str(first["msg"]).removeprefix("Value error, ")
