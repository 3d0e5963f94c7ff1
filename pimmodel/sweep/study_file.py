"""Study files: what `pimmodel sweep STUDY.yaml` reads.

    network: resnet50                 # a built-in network or an .onnx file, as `pimmodel estimate` takes it
    system: v100-bankgroup-pim        # a built-in system, or a YAML file beside this one
    batch: 64
    precision: fp32                   # optimizer, fuse_activation, image_size alike
    policies: [gpu-only, serial, exclusive, ideal]
    outputs: [time, speedup, energy, bound]
    thresholds: [16, 58]              # of all host tasks; left out: the best for each
    chunks: 1
    model: stages                     # or schedule, event by event
    method: grid                      # or random, latin, sobol, with `points` and `seed`
    parameters:
      gpu.clock: {from: 1 GHz, to: 2 GHz, steps: 11}
      pim.units_per_channel: [1, 2, 4]
    output: study.nc                  # .nc, .csv or .parquet

With a sampler a parameter is `[least, greatest]` or `{from: ..., to: ...}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pimmodel.errors import DescriptionError, PimModelError
from pimmodel.files import read_fields
from pimmodel.hardware.load import load_system
from pimmodel.hardware.values import UnfitError, value_in
from pimmodel.load import load_network
from pimmodel.sweep.axes import OWN, designs
from pimmodel.sweep.study import DEFAULT, STAGED, Study

_TEXTS = ("network", "system", "precision", "optimizer", "method", "model", "output", "unknown_ops")
_COUNTS = ("batch", "image_size", "chunks", "points", "seed")
_LISTS = ("policies", "outputs")
_KNOWN = (*_TEXTS, *_COUNTS, *_LISTS, "fuse_activation", "thresholds", "parameters")
_RANGE = ("from", "to", "steps")


@dataclass(frozen=True)
class StudyFile:
    """A study, and the file that its figures go to (None: not said)."""

    study: Study
    output: Path | None


def load_study(path: str | Path) -> StudyFile:
    """Read and check a study file.

    Raises
    ------
    DescriptionError : names file, field, value and what is allowed.
    PimModelError : the file cannot be read, or a network, system or parameter that is not there.
    """
    raw = read_fields(path, _KNOWN, ("network", "parameters"))
    _check(path, raw)
    folder = Path(path).parent
    network = load_network(_beside(raw["network"], folder, (".onnx",)), raw.get("batch"), raw.get("image_size"),
                           raw.get("unknown_ops", "error"))  # fmt: skip
    system = load_system(_beside(raw.get("system", "v100-bankgroup-pim"), folder, (".yaml", ".yml")))
    method = raw.get("method", "grid")
    parameters = {name: _values(path, name, given, system, method) for name, given in raw["parameters"].items()}
    low, high = raw.get("thresholds", (None, None))
    study = Study(
        network, system, designs(system, parameters, method, raw.get("points"), raw.get("seed", 0)),
        tuple(raw.get("policies", STAGED)), tuple(raw.get("outputs", DEFAULT)), low, high, raw.get("chunks", 1),
        raw.get("precision", "fp32"), raw.get("optimizer", "sgd-momentum"),
        raw.get("fuse_activation", False), raw.get("model", "stages"),
    )  # fmt: skip
    return StudyFile(study, folder / raw["output"] if "output" in raw else None)


def _check(path: str | Path, raw: Mapping[str, Any]) -> None:
    for field in _TEXTS:
        if field in raw and not isinstance(raw[field], str):
            raise DescriptionError(path, field, raw[field], "a text")
    for field in _COUNTS:
        least = 0 if field == "seed" else 1
        value = raw.get(field, least)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise DescriptionError(path, field, value, f"a whole number, {least} or more")
    for field in _LISTS:
        if field in raw and not (isinstance(raw[field], list) and all(isinstance(one, str) for one in raw[field])):
            raise DescriptionError(path, field, raw[field], "a list of names")
    if not isinstance(raw.get("fuse_activation", False), bool):
        raise DescriptionError(path, "fuse_activation", raw["fuse_activation"], "true or false")
    if not isinstance(raw["parameters"], dict) or not all(isinstance(name, str) for name in raw["parameters"]):
        raise DescriptionError(path, "parameters", raw["parameters"], "a mapping of dotted names to values")
    pair = raw.get("thresholds", [0, 1])
    if (
        not isinstance(pair, list)
        or len(pair) != 2
        or any(type(one) is not int for one in pair)
        or not 0 <= pair[0] < pair[1]
    ):
        raise DescriptionError(path, "thresholds", pair, "[theta_low, theta_high], whole numbers in rising order")


def _beside(name: str, folder: Path, suffixes: tuple[str, ...]) -> str:
    """A file named relative to the study's folder, or the name as it is."""
    return str(folder / name) if name.endswith(suffixes) and (folder / name).exists() else name


def _values(path: str | Path, name: str, given: Any, system: Any, method: str) -> Any:
    """Values of a parameter: a list, or a range written out."""
    if not isinstance(given, dict):
        return given if isinstance(given, list) else [given]
    allowed = "a list, or {from: ..., to: ..., steps: ...}"
    if not {"from", "to"} <= set(given) <= set(_RANGE):
        raise DescriptionError(path, f"parameters.{name}", given, allowed)
    if method != "grid":
        if "steps" in given:
            raise DescriptionError(path, f"parameters.{name}", given, "{from: ..., to: ...} where designs are sampled")
        return [given["from"], given["to"]]
    steps = given.get("steps")
    if type(steps) is not int or steps < 2:
        raise DescriptionError(path, f"parameters.{name}.steps", steps, "a whole number, 2 or more")
    kind = _kind_or_none(system, name)
    if kind is None:
        return [given["from"], given["to"]]  # named with the other errors of names
    try:
        first, last = (value_in(given[end], kind) for end in ("from", "to"))
    except UnfitError as error:
        raise DescriptionError(path, f"parameters.{name}", given, str(error)) from None
    values = np.linspace(first, last, steps)
    return np.unique(np.round(values)).astype(np.int64) if kind.type is int else values


def _kind_or_none(system: Any, name: str) -> Any:
    from pimmodel.hardware.change import kind_of

    try:
        kind = OWN.get(name) or kind_of(system, name)
    except PimModelError:
        return None
    return kind if kind.type in (int, float) else None
