"""Fetches a zip file and unpacks it, whole or not at all."""

from __future__ import annotations

import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, TypeAlias
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from sepbench.errors import SepbenchError

Progress: TypeAlias = Callable[[int, "int | None"], None]
"""Called with the bytes fetched and the bytes there are, none if the server does not say."""

_CHUNK = 1 << 18
_SECONDS = 30


def no_progress(done: int, total: int | None) -> None:
    """Report to nobody."""


def fetch_zip(url: str, place: Path, *, on_progress: Progress = no_progress) -> None:
    """Unpack the zip file at ``url`` into the folder ``place``, which must not be there or empty.

    The folder appears when everything is in it. Raises `SepbenchError` for what cannot be reached,
    is incomplete, no zip file, or would write outside the folder.
    """
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise SepbenchError(
            f"{place}: something else is there; move it away or give another --root"
        )
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".fetching-") as temporary:
            archive, folder = Path(temporary) / "archive.zip", Path(temporary) / "content"
            with archive.open("wb") as file:
                _fetch(url, file, on_progress)
            _unpack(archive, folder, url)
            if place.exists():
                place.rmdir()
            shutil.move(folder, place)
    except URLError as error:
        raise SepbenchError(f"{url}: cannot be fetched: {error.reason}; try again later") from error
    except OSError as error:
        raise SepbenchError(f"{place}: cannot be made: {error.strerror or error}") from error


def _fetch(url: str, file: IO[bytes], on_progress: Progress) -> None:
    if urlsplit(url).scheme not in ("https", "http", "file"):
        raise SepbenchError(f"{url}: not an address of the web; begin it with https://")
    request = Request(url, headers={"User-Agent": "sepbench"})  # noqa: S310 - checked above
    done = 0
    with urlopen(request, timeout=_SECONDS) as response:  # noqa: S310 - checked above
        length = response.headers.get("Content-Length")
        total = int(length) if length else None
        while piece := response.read(_CHUNK):
            file.write(piece)
            done += len(piece)
            on_progress(done, total)
    if total is not None and done != total:
        raise SepbenchError(f"{url}: broke off after {done} of {total} bytes; try again")


def _unpack(archive: Path, folder: Path, url: str) -> None:
    try:
        with zipfile.ZipFile(archive) as content:
            for member in content.infolist():
                path = PurePosixPath(member.filename.replace("\\", "/"))
                is_link = stat.S_ISLNK(member.external_attr >> 16)
                if is_link or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
                    raise SepbenchError(f"{url}: not to be trusted: it holds {member.filename!r}")
            content.extractall(folder)
    except zipfile.BadZipFile as error:
        raise SepbenchError(f"{url}: not a whole zip file; try again") from error
