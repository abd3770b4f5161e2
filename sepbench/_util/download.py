"""Downloads a file by its address: whole or not at all, and on from where it broke off."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from sepbench._util.text import printable
from sepbench.errors import SepbenchError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from hashlib import _Hash

Progress: TypeAlias = Callable[[int, "int | None"], None]
"""Called with the bytes fetched and the bytes there are, none if the server does not say."""

_CHUNK = 1 << 18
_SECONDS = 30
_PATIENCE, _SLOWEST = 300.0, 4096.0
"""Seconds after which a server has to have sent so many bytes a second."""

_LONGEST = 6 * 3600.0
"""Seconds that one try may take in all; the next goes on where it ended."""

_NOTHING_LEFT = 416


def no_progress(done: int, total: int | None) -> None:
    """Report to nobody."""


def fetch(url: str, place: Path, *, sha256: str = "", on_progress: Progress = no_progress) -> str:
    """Download ``url`` to the file ``place``, there when all of it is; return its sha256.

    ``sha256`` is what the hash must be, or how it must begin. What has come when a download breaks
    off waits beside ``place`` for the next try. Raises `SepbenchError` for what cannot be reached,
    broke off, or is not the file that was meant.
    """
    if not _is_address(url):
        raise SepbenchError(f"{url}: not an address of the web; begin it with https://")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with _part(place) as file:
            found = _fetch(url, file, on_progress)
            if not found.startswith(sha256):
                file.truncate(0)
                raise SepbenchError(
                    f"{url}: not the file that was meant: its sha256 is {found}, not {sha256}"
                )
            if fcntl is None:
                file.close()  # Windows moves no open file.
            os.replace(file.name, place)
    except URLError as error:
        reason = _told(error.reason)
        by_hand = f"or fetch it on another machine and put it by hand at {place}"
        raise SepbenchError(
            f"{url}: cannot be fetched: {reason}; try again later, {by_hand}"
        ) from error
    except (TimeoutError, ConnectionError, HTTPException) as error:
        raise SepbenchError(f"{url}: broke off ({_told(error)}); try again to go on") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise SepbenchError(
            f"{place}: cannot write: {reason}; make room there, or choose another folder"
        ) from error
    return found


def _told(reason: object) -> str:
    """Return what a server or the network said, in one line."""
    return printable(" ".join(str(reason).split()))[:200]


def _is_address(url: str) -> bool:
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        return False
    odd = any(char.isspace() or not char.isprintable() or not char.isascii() for char in url)
    return scheme in ("https", "http", "file") and not odd


@contextmanager
def _part(place: Path) -> Iterator[BinaryIO]:
    """Open what waits beside ``place`` for its rest, or a file of one's own if another is at that.

    What has come of the first is left there for a next try.
    """
    first = place.with_name(f"{place.name}.part")
    if first.is_symlink():  # It would be written through to wherever it points.
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
    """Tell whether no other process is at a file, and keep others from it until it is closed."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return _is_there(file)  # Another may have moved it to its place since it was opened.


def _is_there(file: BinaryIO) -> bool:
    """Tell whether an open file still has its name."""
    if file.closed:
        return False
    try:
        file.flush()
        return os.path.samestat(os.fstat(file.fileno()), os.stat(file.name))
    except OSError:
        return False


def _fetch(url: str, file: BinaryIO, on_progress: Progress) -> str:
    """Bring a file to its whole length; return its sha256."""
    digest = hashlib.sha256()
    done = _add(file, digest)
    try:
        response = _open(url, done)
    except HTTPError as error:
        if error.code != _NOTHING_LEFT:
            raise
        # The server has no bytes beyond what is here: a file that only waited for its check.
        return digest.hexdigest()
    with response:
        if done and response.status != 206:
            file.truncate(0)
            done, digest = 0, hashlib.sha256()
        length = str(response.headers.get("Content-Length") or "").strip()
        total = done + int(length) if length.isdecimal() and len(length) < 19 else None
        before, began = done, time.monotonic()
        # What there is, and no waiting for a whole piece: the clock is looked at between them.
        while piece := response.read1(_CHUNK):
            if total is not None and done + len(piece) > total:
                file.truncate(0)
                raise SepbenchError(f"{url}: sends more than the {total} bytes that it names")
            waited = time.monotonic() - began
            if waited > _LONGEST:
                hours = _LONGEST / 3600
                raise SepbenchError(f"{url}: not here after {hours:g} hours; try again to go on")
            if waited > _PATIENCE and (done - before) / waited < _SLOWEST:
                raise SepbenchError(
                    f"{url}: too slow: {(done - before) / waited:.0f} bytes a second; "
                    "try again to go on"
                )
            file.write(piece)
            digest.update(piece)
            done += len(piece)
            on_progress(done, total)
    if total is not None and done != total:
        raise SepbenchError(f"{url}: broke off after {done} of {total} bytes; try again to go on")
    file.flush()
    os.fsync(file.fileno())
    return digest.hexdigest()


def _open(url: str, start: int) -> Any:
    headers = {"User-Agent": "sepbench", **({"Range": f"bytes={start}-"} if start else {})}
    request = Request(url, headers=headers)  # noqa: S310 - `fetch` has looked at it
    return urlopen(request, timeout=_SECONDS)  # noqa: S310


def sha256(path: Path) -> str:
    """Return the sha256 of a file; raise `SepbenchError` where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            _add(file, digest)
    except OSError as error:
        raise SepbenchError(f"{path}: cannot be read ({error.strerror})") from None
    return digest.hexdigest()


def _add(file: BinaryIO, digest: _Hash) -> int:
    """Add what a file holds to a hash; return how much that is."""
    file.seek(0)
    while piece := file.read(_CHUNK):
        digest.update(piece)
    return file.tell()
