"""Downloads files atomically, and resumes interrupted downloads."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from sepbench._util.files import add_to_hash
from sepbench._util.text import printable
from sepbench.errors import SepbenchError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Progress: TypeAlias = Callable[[int, "int | None"], None]
"""Called with the bytes fetched and the total, None if the server does not give it."""

_CHUNK = 1 << 18
_SECONDS = 30
_PATIENCE, _SLOWEST = 300.0, 4096.0
"""Seconds after which a server must have reached this rate, in bytes per second."""

_LONGEST = 6 * 3600.0
"""Longest time for one attempt, in seconds; the next attempt resumes."""

_NOTHING_LEFT = 416


def no_progress(done: int, total: int | None) -> None:
    """Ignore the progress."""


def fetch(
    url: str,
    place: Path,
    *,
    sha256: str = "",
    on_progress: Progress = no_progress,
    by_hand: str = "",
) -> str:
    """Download ``url`` to the file ``place`` atomically; return its sha256.

    ``sha256`` is the expected hash, or its first digits. An interrupted download is kept next to
    ``place`` and resumed by the next call. ``by_hand`` is what to do with a file fetched on
    another machine, by default to copy it to ``place``. Raises `SepbenchError` for an address
    that cannot be reached, an interrupted download, and a wrong hash.
    """
    if not _is_address(url):
        raise SepbenchError(f"{url}: not a web address; write it as https://host/path")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with _part(place) as file:
            found = _fetch(url, file, on_progress)
            if not found.startswith(sha256):
                file.truncate(0)
                raise SepbenchError(
                    f"{url}: not the expected file: its sha256 is {found}, not {sha256}"
                )
            if fcntl is None:
                file.close()  # Windows cannot move an open file.
            os.replace(file.name, place)
    except URLError as error:
        reason = _one_line(error.reason)
        elsewhere = f"fetch it on another machine and {by_hand or f'copy it to {place}'}"
        raise SepbenchError(
            f"{url}: download failed: {reason}; try again later, or {elsewhere}"
        ) from error
    except (TimeoutError, ConnectionError, HTTPException) as error:
        reason = _one_line(error)
        raise SepbenchError(f"{url}: interrupted ({reason}); try again to resume") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise SepbenchError(
            f"{place}: cannot write: {reason}; make room there, or choose another folder"
        ) from error
    return found


def _one_line(reason: object) -> str:
    """Return the message of a server or network error in one line."""
    return printable(" ".join(str(reason).split()))[:200]


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        _ = parts.port
    except ValueError:
        return False
    odd = any(char.isspace() or not char.isprintable() or not char.isascii() for char in url)
    return (
        parts.scheme == "file" or (parts.scheme in ("https", "http") and bool(host))
    ) and not odd


@contextmanager
def _part(place: Path) -> Iterator[BinaryIO]:
    """Open the partial download, or a private one if another process holds the lock.

    The shared partial download is left for the next attempt.
    """
    first = place.with_name(f"{place.name}.part")
    if first.is_symlink():  # Writing would follow the link to its target.
        first.unlink()
    file = first.open("a+b")
    if not _is_ours(file):
        file.close()
        file = place.with_name(f"{place.name}.{uuid.uuid4().hex}.part").open("a+b")
    path = Path(file.name)
    with file:
        try:
            yield file
        finally:
            useless = _is_there(file) and (path != first or path.stat().st_size == 0)
            if fcntl is None:
                file.close()
            if useless:
                with suppress(OSError):
                    path.unlink()


def _is_ours(file: BinaryIO) -> bool:
    """Lock a file until it is closed; return False if another process holds the lock."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return _is_there(file)  # Another process may have moved it to its final place since.


def _is_there(file: BinaryIO) -> bool:
    """Return whether an open file still has its name."""
    if file.closed:
        return False
    try:
        file.flush()
        return os.path.samestat(os.fstat(file.fileno()), os.stat(file.name))
    except OSError:
        return False


def _fetch(url: str, file: BinaryIO, on_progress: Progress) -> str:
    """Download the rest of a file; return its sha256."""
    digest = hashlib.sha256()
    done = add_to_hash(file, digest)
    try:
        response = _open(url, done)
    except HTTPError as error:
        if error.code != _NOTHING_LEFT:
            raise
        # The file is complete; only its hash was not checked yet.
        return digest.hexdigest()
    with response:
        if done and response.status != 206:
            file.truncate(0)
            done, digest = 0, hashlib.sha256()
        length = str(response.headers.get("Content-Length") or "").strip()
        total = done + int(length) if length.isdecimal() and len(length) < 19 else None
        before, began = done, time.monotonic()
        # Take what has arrived instead of waiting for a full piece, so that the clock is checked.
        while piece := response.read1(_CHUNK):
            if total is not None and done + len(piece) > total:
                file.truncate(0)
                raise SepbenchError(
                    f"{url}: the server sent more than the {total} bytes it announced"
                )
            waited = time.monotonic() - began
            if waited > _LONGEST:
                hours = _LONGEST / 3600
                raise SepbenchError(
                    f"{url}: not complete after {hours:g} hours; try again to resume"
                )
            if waited > _PATIENCE and (done - before) / waited < _SLOWEST:
                raise SepbenchError(
                    f"{url}: too slow: {(done - before) / waited:.0f} bytes a second; "
                    "try again to resume"
                )
            file.write(piece)
            digest.update(piece)
            done += len(piece)
            on_progress(done, total)
    if total is not None and done != total:
        raise SepbenchError(
            f"{url}: interrupted after {done} of {total} bytes; try again to resume"
        )
    file.flush()
    os.fsync(file.fileno())
    return digest.hexdigest()


def _open(url: str, start: int) -> Any:
    headers = {"User-Agent": "sepbench", **({"Range": f"bytes={start}-"} if start else {})}
    request = Request(url, headers=headers)  # noqa: S310 - `fetch` has looked at it
    return urlopen(request, timeout=_SECONDS)  # noqa: S310
