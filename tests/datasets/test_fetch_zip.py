"""Zip files from elsewhere: unpacked whole into their folder, or refused in one line."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sepbench.datasets.download import fetch_zip
from sepbench.errors import SepbenchError


def zipped(*members: tuple[str, bytes]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members:
                archive.writestr(name, content)

    return make


def link(path: Path) -> None:
    member = zipfile.ZipInfo("link")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, "/etc")


def changed(before: bytes, after: bytes, *, count: int = -1) -> Callable[[Path], None]:
    """Return what makes a zip file with other bytes in it."""

    def make(path: Path) -> None:
        zipped(("name", bytes(range(256))))(path)
        path.write_bytes(path.read_bytes().replace(before, after, count))

    return make


def encrypted(path: Path) -> None:
    zipped(("name", b"x"))(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x03\x04") + 6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)


HOSTILE = {
    "above": (zipped(("../../outside", b"x")), "unsafe zip file: it contains '../../outside'"),
    "backslashes": (zipped(("..\\outside", b"x")), "unsafe"),
    "absolute": (zipped(("/outside", b"x")), "unsafe"),
    "drive": (zipped(("C:/outside", b"x")), "unsafe"),
    "link": (link, "unsafe"),
    "nameless": (changed(b"name", b"\0\0\0\0"), "unsafe"),
    "bomb": (zipped(("big", bytes(1 << 22))), "unpack to"),
    "empty": (zipped(), "an empty zip file"),
    "encrypted": (encrypted, "is encrypted"),
    "stream": (changed(b"\x01\x02\x03\x04", b"\x01\x02\x03\x05"), "not a complete zip file"),
    "method": (changed(b"\x08\x00", b"\x63\x00"), "cannot be unpacked"),
    "file and folder": (zipped(("a", b"x"), ("a/b", b"x")), "cannot be made"),
    "long name": (zipped(("n" * 300, b"x")), "cannot be made"),
    "text": (lambda path: path.write_text("hello"), "not a complete zip file"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_zip_files_are_refused_and_leave_nothing(kind: str, tmp_path: Path) -> None:
    make, reason = HOSTILE[kind]
    make(tmp_path / "a.zip")
    home = tmp_path / "home"
    with pytest.raises(SepbenchError) as error:
        fetch_zip((tmp_path / "a.zip").as_uri(), home / "place")
    assert reason in str(error.value)
    assert "\n" not in str(error.value)
    assert not list(home.iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip", "home"}


def test_a_good_one_is_unpacked(tmp_path: Path) -> None:
    zipped(("./", b""), ("test/song/vocals.wav", b"x" * 100))(tmp_path / "a.zip")
    fetch_zip((tmp_path / "a.zip").as_uri(), tmp_path / "place")
    assert (tmp_path / "place" / "test" / "song" / "vocals.wav").read_bytes() == b"x" * 100
