"""Writes files atomically, makes folders for them, and hashes files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from sepbench._util.partial import partial_path
from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    from hashlib import _Hash

_CHUNK = 1 << 18
"""Bytes to read at once."""


def write_atomic(path: Path, content: str | bytes | memoryview | Iterator[str]) -> os.stat_result:
    """Write ``content`` to ``path`` atomically, even if power fails.

    Texts of an iterator are written one after another. Parent folders are made. Returns the status
    of the file that was written, even where another process has replaced it since. Raises
    `SepbenchError` where it cannot be written.
    """
    parts = content if isinstance(content, Iterator) else iter([content])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = partial_path(path)
        try:
            with temporary.open("xb") as file:
                for part in parts:
                    file.write(_encoded(part) if isinstance(part, str) else part)
                file.flush()
                os.fsync(file.fileno())
                status = os.fstat(file.fileno())
            os.replace(temporary, path)
            # Renaming changes its ctime.
            with suppress(OSError):
                now = os.stat(path)
                status = now if os.path.samestat(now, status) else status
            return status
        except BaseException:
            with suppress(FileNotFoundError):
                temporary.unlink()
            raise
    except OSError as error:
        reason = error.strerror or error
        raise SepbenchError(f"{path}: cannot write: {reason}; choose another --out") from error


def _encoded(text: str) -> bytes:
    # A lone surrogate, from a name that is not UTF-8, becomes an escape that JSON can read.
    return text.encode(errors="backslashreplace")


def make_folder(path: Path) -> None:
    """Make a folder and its parents; raise `SepbenchError` if that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise SepbenchError(f"{path}: cannot make this folder: {reason}; choose another") from error


def sha256(path: Path) -> str:
    """Return the sha256 of a file; raise `SepbenchError` where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            add_to_hash(file, digest)
    except OSError as error:
        raise SepbenchError(f"{path}: cannot be read ({error.strerror})") from None
    return digest.hexdigest()


def add_to_hash(file: BinaryIO, digest: _Hash) -> int:
    """Add the content of a file to a hash; return its size in bytes."""
    file.seek(0)
    while piece := file.read(_CHUNK):
        digest.update(piece)
    return file.tell()


def from_here(path: Path) -> Path:
    """Return a path for a message: relative if it is below the working directory.

    >>> from_here(Path.cwd() / "separated" / "vocals.wav") == Path("separated/vocals.wav")
    True
    """
    with suppress(ValueError):
        return path.relative_to(Path.cwd())
    return path
