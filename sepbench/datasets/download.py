"""Downloads and unpacks a zip file, atomically."""

from __future__ import annotations

import shutil
import stat
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from sepbench._util.download import Progress, fetch, no_progress
from sepbench.errors import SepbenchError


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
            fetch(url, archive, on_progress=on_progress)
            _unpack(archive, folder, url)
            if place.exists():
                place.rmdir()
            shutil.move(folder, place)
    except OSError as error:
        raise SepbenchError(f"{place}: cannot be made: {error.strerror or error}") from error


def _unpack(archive: Path, folder: Path, url: str) -> None:
    try:
        with zipfile.ZipFile(archive) as content:
            for member in content.infolist():
                path = PurePosixPath(member.filename.replace("\\", "/"))
                is_link = stat.S_ISLNK(member.external_attr >> 16)
                if is_link or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
                    raise SepbenchError(f"{url}: unsafe zip file: it contains {member.filename!r}")
            content.extractall(folder)
    except zipfile.BadZipFile as error:
        raise SepbenchError(f"{url}: not a complete zip file; try again") from error
