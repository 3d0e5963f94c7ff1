"""Hardware descriptions by built-in name or from a YAML file.

A system file names its parts by built-in name or by a path relative to itself, or holds them inline. It may say
`memory_clock`, at which all timings that its memory gives as times are rounded up anew, and `overrides`: dotted names
to values, for what differs from the parts as described.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar

from pimmodel.errors import DescriptionError, UnknownNameError
from pimmodel.files import read_text
from pimmodel.hardware.change import kind_of, replace
from pimmodel.hardware.description import Description, field_kinds, source_of, unit_of
from pimmodel.hardware.gpu import Gpu
from pimmodel.hardware.memory import Memory
from pimmodel.hardware.pim import Pim
from pimmodel.hardware.reading import MISSING, PLAIN, Reader, citations_of, suggest
from pimmodel.hardware.system import System
from pimmodel.hardware.values import UnfitError, value_in
from pimmodel.hardware.yaml_tree import Shown, Tree, parse

__all__ = [
    "list_descriptions", "load_description", "load_gpu", "load_memory", "load_pim", "load_system", "replace",
    "source_of", "unit_of",
]  # fmt: skip

Kind = Literal["gpus", "memories", "pims", "systems"]
Name = str | os.PathLike[str]
Part = TypeVar("Part", Gpu, Memory, Pim)
_CLASSES: dict[str, type[Description]] = {"gpus": Gpu, "memories": Memory, "pims": Pim, "systems": System}
_ONE: dict[str, str] = {"gpus": "GPU", "memories": "memory", "pims": "PIM", "systems": "system"}
_PARTS: dict[str, str] = {"gpu": "gpus", "memory": "memories", "pim": "pims"}
_SUFFIXES = (".yaml", ".yml")


def load_gpu(name_or_path: Name) -> Gpu:
    """A GPU by built-in name ("v100") or YAML file.

    Raises
    ------
    UnknownNameError : no built-in GPU and no file of this name.
    PimModelError : the file cannot be read.
    DescriptionError : it cannot be used; says which field, and what is allowed.
    """
    return _load(Gpu, "gpus", name_or_path)


def load_memory(name_or_path: Name, clock: float | None = None) -> Memory:
    """A memory by built-in name ("hbm2") or YAML file, as clocked at `clock` [Hz] (default: the file's own).

    Raises
    ------
    PimModelError : as for `load_gpu`.
    """
    return _load(Memory, "memories", name_or_path, clock, "given in code")


def load_pim(name_or_path: Name) -> Pim:
    """A PIM design by built-in name ("bank-group") or YAML file.

    Raises
    ------
    PimModelError : as for `load_gpu`.
    """
    return _load(Pim, "pims", name_or_path)


def load_system(name_or_path: Name) -> System:
    """A system by built-in name ("v100-bankgroup-pim") or YAML file, with all its parts.

    Raises
    ------
    PimModelError : as for `load_gpu`.
    """
    text, origin, folder = _text_of("systems", name_or_path)
    return _system(parse(text, origin), origin, folder)


def load_description(name_or_path: Name) -> Description:
    """Whatever a built-in name or a YAML file describes: system, GPU, memory or PIM.

    Raises
    ------
    PimModelError : as for `load_gpu`.
    """
    for kind in ("systems", "gpus", "memories", "pims"):
        if str(name_or_path) in list_descriptions(kind):
            return _load_kind(kind, name_or_path)
    text, origin, _ = _text_of(None, name_or_path)
    fields = parse(text, origin).fields
    fitting = {kind: len(set(fields) & set(field_kinds(model))) for kind, model in _CLASSES.items()}
    return _load_kind(max(fitting, key=lambda kind: fitting[kind]), name_or_path)


def _load_kind(kind: str, name_or_path: Name) -> Description:
    if kind == "systems":
        return load_system(name_or_path)
    if kind == "memories":
        return load_memory(name_or_path)
    return load_gpu(name_or_path) if kind == "gpus" else load_pim(name_or_path)


@cache
def _builtin(kind: str) -> dict[str, Any]:
    folder = files(f"pimmodel.models.{kind}")
    found = {item.name[: -len(".yaml")]: item for item in folder.iterdir() if item.name.endswith(".yaml")}
    return dict(sorted(found.items()))


def list_descriptions(kind: str) -> list[str]:
    """Built-in names of a kind: "gpus", "memories", "pims" or "systems".

    Raises
    ------
    UnknownNameError : no such kind.
    """
    if kind not in _CLASSES:
        raise UnknownNameError("kind of description", kind, _CLASSES)
    return list(_builtin(kind))


def _text_of(kind: str | None, name_or_path: Any, folder: Path | None = None) -> tuple[str, str, Path | None]:
    """Text, origin (for messages) and folder (for relative paths; None for built-in ones) of a description."""
    named_by_path = isinstance(name_or_path, os.PathLike)
    name = os.fspath(name_or_path) if named_by_path else str(name_or_path)
    if kind is not None and name in _builtin(kind):
        return _builtin(kind)[name].read_text(encoding="utf-8"), f"{kind}/{name}.yaml", None
    path = Path(name) if folder is None else folder / name
    named_as_file = name.endswith(_SUFFIXES) or os.sep in name or named_by_path
    if not name or (not named_as_file and not _exists(path)):
        known = _builtin(kind) if kind else [one for each in _CLASSES for one in _builtin(each)]
        raise UnknownNameError(_ONE[kind] if kind else "description", name, known, hint=" (or give a .yaml file)")
    return read_text(path), str(path), path.parent


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _load(
    model: type[Part], kind: str, name: Name, clock: float | None = None, clock_source: str = "",
    folder: Path | None = None,
) -> Part:  # fmt: skip
    text, origin, _ = _text_of(kind, name, folder)
    tree = parse(text, origin)
    return _part(model, tree, origin, citations_of(tree, origin), clock, clock_source)


def _part(
    model: type[Part], tree: Tree, origin: str, citations: dict[str, str], clock: float | None, clock_source: str
) -> Part:
    if clock is not None:
        try:
            clock = value_in(clock, field_kinds(Memory)["clock"])
        except UnfitError as error:
            raise DescriptionError(origin, "clock", clock, str(error)) from None
    reader = Reader(origin, citations, clock, clock_source)
    values = reader.values(model, tree, "")
    values |= {"origin": origin, "sources": reader.sources}
    if model is Memory:
        values["times"] = reader.times
    return reader.build(model, values, tree)


def _system(tree: Tree, origin: str, folder: Path | None) -> System:
    citations = citations_of(tree, origin)
    reader = Reader(origin, citations)
    reader.reject_unknown(tree, "", field_kinds(System), ("memory_clock", "overrides"))
    clock, clock_source = _memory_clock(reader, tree)
    parts: dict[str, Any] = {}
    for name, kind in _PARTS.items():
        if name not in tree.fields:
            reader.fail(tree, name, MISSING, f"the name of a {_ONE[kind]}, a .yaml file, or a description inline")
        chosen = (clock, clock_source) if name == "memory" else (None, "")
        parts[name] = _part_of(reader, tree.fields[name], name, kind, chosen, folder)
    values = reader.values(System, tree, "", ignore=(*_PARTS, "memory_clock", "overrides"))
    for name, part in parts.items():
        reader.sources |= {f"{name}.{field}": source for field, source in part.sources.items()}
    values |= parts | {"origin": origin, "sources": reader.sources}
    overrides = tree.fields.get("overrides")
    if overrides is not None:
        values |= _overridden(reader, overrides, values)
    return reader.build(System, values, tree)


def _memory_clock(reader: Reader, tree: Tree) -> tuple[float | None, str]:
    if "memory_clock" not in tree.fields:
        return None, ""
    node, source = reader.leaf(tree.fields["memory_clock"], "memory_clock")
    return reader.converted(field_kinds(Memory)["clock"], node, "memory_clock"), source


def _part_of(
    reader: Reader, node: Tree, name: str, kind: str, chosen: tuple[float | None, str], folder: Path | None
) -> Description:
    model: Any = _CLASSES[kind]
    if node.kind == "mapping" and "value" not in node.fields:
        inline = reader.citations | citations_of(node, reader.origin)
        return _part(model, node, reader.origin, inline, *chosen)  # type: ignore[no-any-return]
    if node.kind == "mapping":
        node, _ = reader.leaf(node, name)
    if node.kind != "scalar" or not node.text.strip():
        reader.fail(node, name, node.shown, f"the name of a {_ONE[kind]}, a .yaml file, or a description inline")
    try:
        return _load(model, kind, node.text, *chosen, folder=folder)  # type: ignore[no-any-return]
    except UnknownNameError:
        reader.fail(node, name, node.text, suggest(node.text, _builtin(kind), f"{_ONE[kind]} (nor a .yaml file)"))


def _overridden(reader: Reader, node: Tree, values: dict[str, Any]) -> dict[str, Any]:
    """The parts of a system with the values under `overrides` put in."""
    if node.kind != "mapping":
        reader.fail(node, "overrides", node.shown, "a mapping of dotted names such as 'pim.clock' to values")
    changed: dict[str, Any] = {}
    for dotted, leaf in node.fields.items():
        path, (part, _, field) = f"overrides.{dotted}", dotted.partition(".")
        if part not in _PARTS:
            reader.fail(leaf, path, Shown("unknown"), f"a name that begins with one of {', '.join(_PARTS)} and a dot")
        before: Description = changed.get(part, values[part])
        try:
            kind = kind_of(before, field)
        except UnknownNameError as error:
            reader.fail(leaf, path, Shown("unknown"), str(error))
        if kind.part or field in PLAIN:
            reader.fail(leaf, path, Shown("not a single value"), "the dotted name of one value")
        value_node, source = reader.leaf(leaf, path)
        reader.clock = before.clock if isinstance(before, Memory) else None
        value = reader.converted(kind, value_node, path)
        try:
            changed[part] = replace(before, {field: value})
        except DescriptionError as error:
            reader.fail(leaf, path, error.value, error.allowed)
        reader.sources[dotted] = source
    return changed
