"""Files read with errors for people, and written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pimmodel import cache
from pimmodel.errors import DescriptionError, PimModelError
from pimmodel.files import check_writable, read_fields, read_text, whole_file


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "figures.csv"
    path.write_text("before")
    with pytest.raises(UnicodeEncodeError), whole_file(path) as draft:
        draft.write_text("half \ud800", encoding="utf-8")
    assert path.read_text() == "before"
    with whole_file(path) as draft:
        assert draft.suffix == ".csv"
        draft.write_text("after")
    assert path.read_text() == "after"
    assert os.listdir(tmp_path) == ["figures.csv"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "real" / "file.json")
    with whole_file(link) as draft:
        draft.write_text("{}")
    assert link.is_symlink()
    assert (tmp_path / "real" / "file.json").read_text() == "{}"


@pytest.mark.skipif(not Path(os.devnull).is_char_device(), reason="no null device")
def test_a_device_stays_a_device() -> None:
    with whole_file(Path(os.devnull)) as draft:
        draft.write_text("gone")
    assert Path(os.devnull).is_char_device()
    check_writable(Path(os.devnull))


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "absent" / "a.csv", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(PimModelError, match=f"cannot write {path}: {reason}"):
            check_writable(path)
        with pytest.raises(PimModelError, match=f"cannot write {path}: "), whole_file(path) as draft:
            draft.write_text("lost")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe\x00", "not a text file"),
        (b"a: [", "not YAML"),
        (b"[" * 1_200, "not YAML"),
        (b"- a", "field '(whole file)' is 'list'; allowed: a mapping with a, b"),
        (b"a: 1\nc: 2", "field 'c' is 2; allowed: only a, b"),
        (b"b: 1", "field 'a' is None; allowed: a value; the field is missing"),
    ],
)
def test_fields_of_a_file(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)
    with pytest.raises(PimModelError) as caught:
        read_fields(path, ("a", "b"), ("a",))
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_fields_that_may_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")  # with a byte order mark, as some editors write it
    assert read_fields(path, ("a", "b"), ("a",)) == {"a": 1}
    with pytest.raises(DescriptionError):
        read_fields(path, ("a", "b"), ("b",))


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(2**24 + 1)  # 16 MiB and a byte, sparse
    with pytest.raises(PimModelError, match="too large; allowed: at most 16777216 bytes"):
        read_text(path)


def test_a_cache_that_cannot_be_written_is_as_good_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "entry").mkdir()  # in the place of a file
    monkeypatch.setenv("PIMMODEL_CACHE", str(tmp_path))
    cache.write("entry", "text")
    assert cache.read("entry") is None
    monkeypatch.setenv("PIMMODEL_CACHE", os.devnull)
    cache.write("entry", "text")
    assert cache.read("entry") is None
