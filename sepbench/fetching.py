"""Downloads a file by its address: whole or not at all, and on from where it broke off."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    from hashlib import _Hash

Progress: TypeAlias = Callable[[int, "int | None"], None]
"""Called with the bytes fetched and the bytes there are, none if the server does not say."""

_CHUNK = 1 << 18
_SECONDS = 30
_NOTHING_LEFT = 416


def no_progress(done: int, total: int | None) -> None:
    """Report to nobody."""


def fetch(url: str, place: Path, *, sha256: str = "", on_progress: Progress = no_progress) -> str:
    """Download ``url`` to the file ``place``, there when all of it is; return its sha256.

    ``sha256`` is what the hash must be, or how it must begin. What has come when a download breaks
    off waits beside ``place`` for the next try. Raises `SepbenchError` for what cannot be reached,
    broke off, or is not the file that was meant.
    """
    if urlsplit(url).scheme not in ("https", "http", "file"):
        raise SepbenchError(f"{url}: not an address of the web; begin it with https://")
    part = place.with_name(f"{place.name}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        found = _fetch(url, part, on_progress)
        if not found.startswith(sha256):
            part.unlink()
            raise SepbenchError(
                f"{url}: not the file that was meant: its sha256 is {found}, not {sha256}"
            )
        os.replace(part, place)
    except URLError as error:
        reason = error.reason if isinstance(error.reason, str) else str(error.reason)
        raise SepbenchError(f"{url}: cannot be fetched: {reason}; try again later") from error
    except (TimeoutError, ConnectionError, HTTPException) as error:
        raise SepbenchError(f"{url}: broke off ({error}); try again to go on") from error
    except OSError as error:
        raise SepbenchError(f"{place}: cannot write: {error.strerror or error}") from error
    finally:
        # Nothing came: no file waits for a next try.
        with suppress(OSError):
            if part.stat().st_size == 0:
                part.unlink()
    return found


def _fetch(url: str, part: Path, on_progress: Progress) -> str:
    """Bring ``part`` to its whole length; return its sha256."""
    digest = hashlib.sha256()
    with part.open("a+b") as file:
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
            length = response.headers.get("Content-Length")
            total = done + int(length) if length else None
            while piece := response.read(_CHUNK):
                file.write(piece)
                digest.update(piece)
                done += len(piece)
                on_progress(done, total)
        if total is not None and done != total:
            raise SepbenchError(
                f"{url}: broke off after {done} of {total} bytes; try again to go on"
            )
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
