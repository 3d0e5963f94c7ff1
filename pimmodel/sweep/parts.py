"""A sweep's figures on disk, part by part: what is written stays, whatever happens to the process afterwards.

Beside the wanted file `NAME` a folder `NAME.parts` holds one compressed array file per part of the designs, each
written whole or not at all, and the fingerprint of the study, so that a later run takes up what is there and nothing
else's. It goes when `NAME` is complete.
"""

from __future__ import annotations

import io
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pimmodel.errors import PimModelError
from pimmodel.files import whole_file, writing
from pimmodel.sweep.evaluator import Figures

_STUDY = "study.txt"


@dataclass(frozen=True)
class PartStore:
    """Parts of one study in a folder."""

    folder: Path
    fingerprint: str

    @classmethod
    def beside(cls, output: Path, fingerprint: str) -> PartStore:
        """The store beside an output file, made where it is not there.

        Raises
        ------
        PimModelError : the folder holds parts of another study, or cannot be made.
        """
        store = cls(output.with_name(output.name + ".parts"), fingerprint)
        with writing(store.folder):
            store.folder.mkdir(exist_ok=True)
            marker = store.folder / _STUDY
            if not marker.exists():
                store._write(fingerprint.encode(), _STUDY)
            elif marker.read_text(encoding="utf-8") != fingerprint:
                raise PimModelError(
                    f"{store.folder} holds parts of another study;"
                    f" remove it, or write to another file than {output.name}"
                )
        return store

    def done(self) -> set[int]:
        """Numbers of the parts that are there."""
        return {int(path.stem.removeprefix("part-")) for path in self.folder.glob("part-*.npz")}

    def put(self, part: int, figures: Figures) -> None:
        """Store one part.

        Raises
        ------
        PimModelError : it cannot be written; what was written before stays.
        """
        buffer = io.BytesIO()
        plain: dict[str, Any] = dict(figures) | {"reason": figures["reason"].astype("U")}
        np.savez_compressed(buffer, **plain)
        try:
            self._write(buffer.getvalue(), f"part-{part:06}.npz")
        except PimModelError as error:
            raise PimModelError(
                f"{error}; {len(self.done())} parts are kept there, and a later run of the same study goes on from them"
            ) from None

    def get(self, part: int) -> Figures | None:
        """One part, or None where its file cannot be read (it is then worked out again)."""
        try:
            with np.load(self.folder / f"part-{part:06}.npz", allow_pickle=False) as stored:
                figures = {name: stored[name] for name in stored.files}
        except (OSError, ValueError, KeyError, EOFError):
            return None
        except Exception as error:  # zipfile.BadZipFile and zlib.error, by whatever module numpy uses
            if type(error).__name__ in ("BadZipFile", "error"):
                return None
            raise
        figures["reason"] = figures["reason"].astype(object)
        return figures

    def remove(self) -> None:
        """Remove the folder: the output file is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, data: bytes, name: str) -> None:
        with whole_file(self.folder / name) as draft, draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
