"""Downloads and unpacks a zip file, atomically."""

from __future__ import annotations

import lzma
import shutil
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from sepbench._util.download import Progress, fetch, no_progress
from sepbench._util.text import printable
from sepbench.errors import SepbenchError

_MOST_RATIO = 100
"""Bytes unpacked for a byte of a zip file; audio has 1 to 3, and what fills a disk 1000."""


def fetch_zip(url: str, place: Path, *, on_progress: Progress = no_progress) -> None:
    """Unpack the zip file at ``url`` into the folder ``place``, which must be absent or empty.

    The folder appears when it is complete. Raises `SepbenchError` for a failed download, and for a
    zip file that is incomplete, invalid, or would write outside the folder.
    """
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise SepbenchError(
            f"{place}: already exists with other content; move it away or give another --root"
        )
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".fetching-") as temporary:
            archive, folder = Path(temporary) / "archive.zip", Path(temporary) / "content"
            by_hand = f"unzip it into {place}"
            fetch(url, archive, on_progress=on_progress, by_hand=by_hand)
            _unpack(archive, folder, url)
            if place.exists():
                place.rmdir()
            shutil.move(folder, place)
    except OSError as error:
        raise SepbenchError(f"{place}: cannot be made: {error.strerror or error}") from error


def _unpack(archive: Path, folder: Path, url: str) -> None:
    folder.mkdir()
    try:
        with zipfile.ZipFile(archive) as content:
            _check(content, archive.stat().st_size, url)
            content.extractall(folder)
    except RuntimeError as error:  # Encrypted, or compressed in a way that Python does not know.
        reason = printable(" ".join(str(error).split()))[:200]
        raise SepbenchError(f"{url}: cannot be unpacked: {reason}; unzip it by hand") from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError) as error:
        raise SepbenchError(f"{url}: not a complete zip file; try again") from error
    if not any(folder.iterdir()):
        raise SepbenchError(f"{url}: an empty zip file; give another address")


def _check(content: zipfile.ZipFile, size: int, url: str) -> None:
    """Raise `SepbenchError` for members outside the folder, and for far more bytes than came."""
    for member in content.infolist():
        path = PurePosixPath(member.filename.replace("\\", "/"))
        is_link = stat.S_ISLNK(member.external_attr >> 16)
        has_drive = any(":" in part for part in path.parts[:1])
        outside = path.is_absolute() or ".." in path.parts or has_drive
        if outside or is_link or not member.filename:
            raise SepbenchError(f"{url}: unsafe zip file: it contains {member.filename!r}")
    unpacked = sum(member.file_size for member in content.infolist())
    if unpacked > _MOST_RATIO * size:
        raise SepbenchError(
            f"{url}: unsafe zip file: its {size / 1e6:.1f} MB unpack to {unpacked / 1e9:.1f} GB"
        )
