"""Figures of a sweep as an xarray Dataset, and as files."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pimmodel.errors import MissingExtraError, PimModelError
from pimmodel.files import whole_file
from pimmodel.sweep.axes import Numbers
from pimmodel.sweep.evaluator import Figures
from pimmodel.sweep.study import BASES, Study

if TYPE_CHECKING:
    import xarray as xr

FORMS = (".nc", ".csv", ".parquet")
DESIGN = "design"
_NOTES = {
    "time": ("time of one training step", "s"), "speedup": ("speedup over a policy", "1"),
    "energy": ("energy of one training step", "J"), "bound": ("lower bound over all placements and schedules", "s"),
}  # fmt: skip


class Collected:
    """Figures of N designs, filled part by part."""

    def __init__(self, study: Study) -> None:
        self.study, count = study, len(study.designs)
        policies = len(study.policies)
        sizes = {"time": (policies,), "speedup": (policies, len(BASES)), "energy": (policies,), "bound": ()}
        self.arrays: dict[str, Numbers] = {
            name: np.full((*size, count), np.nan) for name, size in sizes.items() if name in study.outputs
        }
        if "interval" in study.outputs:
            self.arrays |= {f"{name}_{end}": np.full((*sizes[name], count), np.nan)
                            for name in ("time", "speedup") for end in ("low", "high")}  # fmt: skip
        self.codes = np.zeros(count, dtype=np.int32)
        self.reasons: dict[str, int] = {"": 0}

    def put(self, begin: int, figures: Figures) -> None:
        """Figures of the designs from `begin` on."""
        reasons: list[str] = [str(one) for one in figures["reason"].tolist()]
        end = begin + len(reasons)
        for name in self.study.figures:
            self._row(name)[begin:end] = figures[name]
        if set(reasons) != {""}:
            self.codes[begin:end] = [self.reasons.setdefault(one, len(self.reasons)) for one in reasons]

    def _row(self, figure: str) -> Any:
        kind, *rest = figure.split(" ")
        row = self.arrays[kind]
        if rest:
            row = row[self.study.policies.index(rest[0])]
        return row[BASES.index(rest[2])] if len(rest) > 1 else row

    def dataset(self) -> xr.Dataset:
        """The dataset: dimensions are those of the grid, or `design`.

        Raises
        ------
        MissingExtraError : xarray is not installed.
        """
        xarray = _xarray()
        study, designs = self.study, self.study.designs
        grid = designs.method == "grid"
        names = [axis.name for axis in designs.axes] if grid else [DESIGN]
        own = {"time": ["policy"], "speedup": ["policy", "over"], "energy": ["policy"], "bound": []}
        data: dict[str, Any] = {}
        for name, array in self.arrays.items():
            quantity, _, end = name.partition("_")
            note, unit = _NOTES[quantity]
            note += f", {end} end of an interval of nine tenths" if end else ""
            shaped = array.reshape(*array.shape[:-1], *designs.shape)
            data[name] = ([*own[quantity], *names], shaped, {"long_name": note, "units": unit})
        meanings = {
            "long_name": "why a design is not possible; 0: it is",
            "flag_values": np.arange(len(self.reasons), dtype=np.int32),
            "flag_meanings": "\n".join(one or "possible" for one in self.reasons),
        }
        data["reason"] = (names, self.codes.reshape(designs.shape), meanings)
        coordinates: dict[str, Any] = {"policy": list(study.policies)}
        if "speedup" in self.arrays or "speedup_low" in self.arrays:
            coordinates["over"] = list(BASES)
        if not grid:
            coordinates[DESIGN] = np.arange(len(designs))
        sampled = {} if grid else designs.part(0, len(designs))
        for axis in designs.axes:
            attributes = {"units": axis.unit or "1"}
            coordinates[axis.name] = (
                axis.name if grid else DESIGN,
                axis.values if grid else sampled[axis.name],
                attributes,
            )
        made: xr.Dataset = xarray.Dataset(data, coordinates, _attributes(study))
        return made


def _attributes(study: Study) -> dict[str, Any]:
    thresholds = "best of every stage" if study.low is None else f"{study.low}, {study.high}"
    return {
        "title": f"{study.network.name} on {study.system.name}", "network": study.network.name,
        "batch": study.network.batch, "system": study.system.name, "precision": study.precision,
        "optimizer": study.optimizer, "model": study.model, "thresholds": thresholds, "chunks": study.chunks,
        "method": study.designs.method, "source": f"pimmodel {version('pimmodel')}",
    }  # fmt: skip


def _xarray() -> Any:
    try:
        import xarray
    except ImportError:
        raise MissingExtraError("a sweep", "sweep") from None
    return xarray


def check_form(output: Path) -> str:
    """Suffix of an output file.

    Raises
    ------
    PimModelError : none of `FORMS`, or no such folder.
    MissingExtraError : a package for it is not installed.
    """
    form = output.suffix.lower()
    if form not in FORMS:
        raise PimModelError(f"the output is {output}; allowed: a file that ends in {', '.join(FORMS)}")
    if not output.absolute().parent.is_dir():
        raise PimModelError(f"cannot write {output}: there is no folder {output.parent}")
    _xarray()
    if form == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise MissingExtraError("a Parquet file", "parquet") from None
    return form


def save(collected: Collected, output: Path) -> None:
    """Write a file whole or not at all: netCDF, or one row per design as CSV or Parquet.

    Raises
    ------
    PimModelError : it cannot be written.
    """
    form = check_form(output)
    with whole_file(output) as draft:
        if form == ".nc":
            collected.dataset().to_netcdf(draft)
        else:
            _write_rows(collected, draft, form)


def _write_rows(collected: Collected, path: Path, form: str, rows: int = 2**18) -> None:
    """Rows in pieces, so that the table never lies in memory as a whole."""
    count = len(collected.study.designs)
    pieces = (_frame(collected, begin, min(begin + rows, count)) for begin in range(0, count, rows))
    if form == ".csv":
        for number, frame in enumerate(pieces):
            frame.to_csv(path, mode="a", header=number == 0, index=False, lineterminator="\n")
        return
    import pyarrow
    import pyarrow.parquet

    _write_parquet(pyarrow, path, pieces)


def _write_parquet(pyarrow: Any, path: Path, pieces: Iterable[Any]) -> None:
    writer = None
    try:
        for frame in pieces:
            table = pyarrow.Table.from_pandas(frame, preserve_index=False)
            writer = writer or pyarrow.parquet.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _frame(collected: Collected, begin: int, end: int) -> Any:
    import pandas as pd

    study = collected.study
    columns: dict[str, Any] = dict(study.designs.part(begin, end))
    units = {"time": "s", "energy": "J", "bound": "s"}
    for name in study.figures:
        kind, *rest = name.split(" ")
        unit = units.get(kind.partition("_")[0])
        label = "_".join([kind, *rest]).replace("-", "_") + (f"_{unit}" if unit else "")
        columns[label] = collected._row(name)[begin:end]
    reasons = np.array(list(collected.reasons), dtype=object)
    columns["reason"] = reasons[collected.codes[begin:end]]
    return pd.DataFrame(columns)
