"""Reading a folder of DRAM cycle counts: the timing sets and the tables, with every problem named.

A folder holds `timing_parameters.json` and tables `<file>.csv` (the files of `streams.TESTS`; not all need to be
there). What makes the folder unusable raises :class:`TruthFolderError`; a single unusable line is skipped and noted.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pimmodel.errors import PimModelError, UnknownNameError
from pimmodel.hardware.memory import MemoryTiming, Organisation

from . import streams
from .report import Row

TIMING_FILE = "timing_parameters.json"
SETTING = ("simulator", "dram_config", "controller", "refresh", "window")
PIM_TABLES = ("pim_kernels", "pim_mode_phases")  # tables of the same folders that hold no request streams

# Name in MemoryTiming -> name in the file. The first group must be there; the others have a usual value.
_NEEDED = {
    "CL": "nCL", "CWL": "nCWL", "tBL": "nBL", "tRCDRD": "nRCDRD", "tRCDWR": "nRCDWR", "tRP": "nRP", "tRAS": "nRAS",
    "tRC": "nRC", "tCCD_S": "nCCDS", "tCCD_L": "nCCDL", "tRRD_S": "nRRDS", "tRRD_L": "nRRDL", "tFAW": "nFAW",
    "tRTP": "nRTPL", "tWR": "nWR", "tWTR_S": "nWTRS", "tWTR_L": "nWTRL", "tRFC": "nRFC", "tREFI": "nREFI",
}  # fmt: skip


class TruthFolderError(PimModelError):
    """A folder of measured or simulated figures that cannot be used."""


@dataclass(frozen=True)
class Case:
    """One line of a table that can be compared.

    setting : simulator, dram_config, controller, refresh ("on", "off"), window ("unbounded" or a number)
    parameters : what `streams.build` needs, by name
    cycles : clock of the last data beat, from 0 with all banks closed [clock]
    """

    file: str
    line: int
    test: str
    setting: tuple[str, str, str, str, str]
    parameters: tuple[tuple[str, Any], ...]
    cycles: float

    @property
    def stream(self) -> tuple[Any, ...]:
        """What identifies the requests: equal for equal streams."""
        return (self.file, self.test, self.parameters)

    @property
    def config(self) -> str:
        """Name of the timing set."""
        return self.setting[1]

    @property
    def refresh(self) -> bool:
        """Whether all-bank refresh was on."""
        return self.setting[3] == "on"

    @property
    def window(self) -> int | None:
        """Most requests accepted whose column command has not issued; None: limited by the queues only."""
        return None if self.setting[4] == "unbounded" else int(self.setting[4])


@dataclass
class Folder:
    """Contents of a folder: timing sets by name, comparable lines, and notes on the lines left out."""

    parts: dict[str, tuple[MemoryTiming, Organisation]]
    cases: list[Case] = field(default_factory=list)
    notes: list[Row] = field(default_factory=list)


def read_folder(path: Path) -> Folder:
    """Read all tables of a folder.

    Raises
    ------
    TruthFolderError : no such folder, no timing file or one that cannot be read, no table, a missing column, or a
        dram_config that the timing file does not have
    """
    if not path.is_dir():
        raise TruthFolderError(f"{path}: no such folder")
    folder = Folder(read_parts(path / TIMING_FILE))
    tables = sorted(path.glob("*.csv"))
    if not any(table.stem in streams.TESTS for table in tables):
        raise TruthFolderError(f"{path}: no table; known: {', '.join(f'{name}.csv' for name in streams.TESTS)}")
    for table in tables:
        if table.stem in streams.TESTS:
            _read_table(table, folder)
        elif table.stem not in PIM_TABLES:
            folder.notes.append(Row.note(table.stem, f"not compared: {table.name} is not a known table", 1))
    return folder


def read_parts(path: Path) -> dict[str, tuple[MemoryTiming, Organisation]]:
    """Timing and organisation of every dram_config of the timing file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TruthFolderError(f"{path.parent}: no {path.name}, which holds the timing of each dram_config") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise TruthFolderError(f"{path}: not JSON ({error})") from None
    if not isinstance(content, dict):
        raise TruthFolderError(f"{path}: an object with one entry per dram_config is needed")
    return {name: _part(f"{path.name}: '{name}'", entry) for name, entry in content.items()}


def _part(where: str, entry: Any) -> tuple[MemoryTiming, Organisation]:
    """One entry of the timing file as a part; what a file may leave out gets its usual value."""
    try:
        clocks, shape = entry["timing_cycles"], entry["organization"]
        values = {ours: clocks[theirs] for ours, theirs in _NEEDED.items()}
        organisation = Organisation(
            bank_groups=shape["bankgroups"],
            banks_per_group=shape["banks_per_group"],
            rows=shape["rows"],
            columns_per_row=shape["bursts_per_row"],
            bytes_per_column=shape["bytes_per_burst"],
        )
        turnaround = entry.get("derived", {}).get("read_to_write")
        gap = 2 if turnaround is None else turnaround - values["CL"] - values["tBL"] + values["CWL"]
        values["tRTW_gap"] = clocks.get("tRTRS", gap) if turnaround is None else gap
        values["tRFCpb"] = clocks.get("nRFCpb", values["tRFC"])
        values["tREFIpb"] = clocks.get("nREFIpb", max(1, values["tREFI"] // organisation.banks))
        values["tRREFD"] = clocks.get("nRREFD", 8)
        return MemoryTiming(**values), organisation
    except KeyError as error:
        raise TruthFolderError(f"{where}: no {error}") from None
    except (TypeError, AttributeError):
        raise TruthFolderError(f"{where}: 'timing_cycles' and 'organization' with whole numbers are needed") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise TruthFolderError(f"{where}: {'.'.join(map(str, first['loc']))} {first['msg']}") from None


def _read_table(table: Path, folder: Folder) -> None:
    """Add the lines of one table to the folder; lines that cannot be used are counted by reason."""
    skipped: dict[str, list[int]] = {}
    with table.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        _check_columns(table, reader.fieldnames or ())
        for entry in reader:
            line = reader.line_num
            if entry["dram_config"] not in folder.parts:
                known = ", ".join(folder.parts)
                raise TruthFolderError(
                    f"{table.name} line {line}: dram_config '{entry['dram_config']}' is not in {TIMING_FILE} ({known})"
                )
            try:
                _check_size(entry["dram_config"], folder.parts[entry["dram_config"]][1])
                folder.cases.append(_case(table.stem, line, entry))
            except (UnknownNameError, ValueError) as error:
                skipped.setdefault(str(error), []).append(line)
    for reason, numbers in skipped.items():
        shown = ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
        what = f"{len(numbers)} skipped, line{'s' if len(numbers) > 1 else ''} {shown}"
        folder.notes.append(Row.note(table.stem, f"{what}: {reason}", len(numbers)))


def _check_size(config: str, shape: Organisation) -> None:
    """ValueError where a part is smaller than the streams."""
    found = (shape.bank_groups, shape.banks_per_group, shape.columns_per_row)
    needed = (streams.GROUPS, streams.BANKS, streams.COLUMNS)
    if any(have < need for have, need in zip(found, needed, strict=True)):
        sizes = " x ".join(map(str, found)), " x ".join(map(str, needed))
        raise ValueError(f"{config} has {sizes[0]} groups, banks and columns; the streams need {sizes[1]}")


def _check_columns(table: Path, found: Any) -> None:
    needed = [*SETTING, "test", "cycles"]
    for parameters, _ in streams.TESTS[table.stem].values():
        needed += parameters
    missing = [name for name in dict.fromkeys([*needed, "requests"]) if name not in found]
    if missing:
        raise TruthFolderError(f"{table.name}: no column {', '.join(missing)}")


def _case(file: str, line: int, entry: Mapping[str, str]) -> Case:
    """One line as a case; ValueError or UnknownNameError say what is wrong with it."""
    types = streams.parameter_types(file, entry["test"])
    parameters = tuple((name, _value(name, entry[name], kind)) for name, kind in types.items())
    simulator, config, controller, refresh, window = (entry[name] or "" for name in SETTING)
    if refresh not in ("on", "off"):
        raise ValueError(f"refresh '{refresh}' is neither on nor off")
    if window != "unbounded":
        window = str(_value("window", window, int))
    setting = (simulator, config, controller, refresh, window)
    cycles = _value("cycles", entry["cycles"], float)
    streams.check(file, entry["test"], parameters)
    return Case(file, line, entry["test"], setting, parameters, cycles)


# Numbers that are zero in some tests; slice_T = -1 marks a stream without slices. All others are positive.
_LEAST = {"write": 0, "write_frac": 0, "burst": 0, "mean_gap_cycles": 0, "slice_T": -1}


def _value(name: str, text: str | None, kind: type) -> Any:
    """Value of a cell, of the kind wanted and in its range."""
    if kind is str:
        return text or ""
    try:
        number = kind(text)
    except (TypeError, ValueError):
        raise ValueError(f"{name} '{text}' is not a number") from None
    if not math.isfinite(number) or number < _LEAST.get(name, 0) or (number == 0 and name not in _LEAST):
        raise ValueError(f"{name} '{text}' is out of range")
    return number
