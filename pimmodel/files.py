"""Files: read as text with errors for people, written whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pimmodel.errors import DescriptionError, PimModelError

_LARGEST = 16 * 2**20  # bytes of a text file; more is no description


def read_text(path: str | os.PathLike[str]) -> str:
    """Text of a file in UTF-8.

    Raises
    ------
    PimModelError : it is not there, cannot be read, is too large, or is no text; names the file.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise PimModelError(f"{path}: {str(getattr(error, 'strerror', None) or error).lower()}") from None
    if len(data) > _LARGEST:
        raise PimModelError(f"{path}: too large; allowed: at most {_LARGEST} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PimModelError(f"{path}: not a text file; allowed: UTF-8") from None


def read_fields(path: str | os.PathLike[str], known: Collection[str], needed: Collection[str]) -> dict[str, Any]:
    """Fields of a YAML file whose top is a mapping.

    Parameters
    ----------
    path : of the file
    known, needed : fields that it may have, and those of them that it must have

    Raises
    ------
    DescriptionError : another field, or one that is missing.
    PimModelError : the file cannot be read, or is not YAML.
    """
    import yaml

    try:
        raw = yaml.safe_load(read_text(path))
    except (yaml.YAMLError, RecursionError) as error:
        raise PimModelError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise DescriptionError(path, "(whole file)", type(raw).__name__, f"a mapping with {', '.join(known)}")
    for field in raw:
        if field not in known:
            raise DescriptionError(path, str(field), raw[field], f"only {', '.join(known)}")
    for field in needed:
        if field not in raw:
            raise DescriptionError(path, field, None, "a value; the field is missing")
    return raw


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A draft beside a file, of the same ending, that takes its place when the block ends; after an error it is gone.

    A link stays: the file that it leads to is written. What is no file, such as /dev/null, is written to as it is.

    Raises
    ------
    PimModelError : the draft cannot be made or written, or cannot take the file's place; names the file.
    """
    with writing(path):
        path = Path(os.path.realpath(path))
        if path.exists() and not (path.is_file() or path.is_dir()):
            yield path
            return
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix, delete=False
        ) as file:
            draft = Path(file.name)
        try:
            yield draft
            draft.chmod(0o666 & ~_umask())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Errors of the operating system as one that names the file or folder that was to be written.

    Raises
    ------
    PimModelError : the block could not write.
    """
    try:
        yield
    except OSError as error:
        raise PimModelError(f"cannot write {path}: {error.strerror or error}") from None


def check_writable(path: Path) -> None:
    """Refuse a file that could not be written, before long work whose result it is to hold.

    Raises
    ------
    PimModelError : it is a folder, or its folder cannot be written to.
    """
    with writing(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists() and not path.is_file():
            return  # a device, or a pipe
        with tempfile.NamedTemporaryFile(dir=Path(os.path.realpath(path)).parent, prefix=f".{path.name}."):
            pass


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
