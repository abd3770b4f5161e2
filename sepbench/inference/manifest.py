"""The manifest ``separated.json`` of a folder of stems: how each was made.

It is written before the stems are moved into place, with a digest of each, so that even after a
kill between the two, stems are never attributed to the wrong song.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from sepbench._util.files import sha256, write_atomic
from sepbench._util.plain import read_object
from sepbench._util.walk import MANIFEST

NAME = MANIFEST
"""Maps the name of each stem file to the song, the part of it, and the method."""

Origin = Literal["same", "other", "unknown"]
Owner = Literal["this", "copy", "another", "unknown"]

_FILE, _PATH, _BEFORE = "file", "path", "before"
"""Keys for the file's signature, the song's path, and the file before it."""


def origin(path: Path, made_of: Mapping[str, Any]) -> Origin:
    """Return whether a file was made from this song and method, from others, or is unknown."""
    known = _known(path)
    if known is None:
        return "unknown"
    return "same" if _making(known) == _plain(made_of) else "other"


def owner(path: Path, song: Path) -> Owner:
    """Return whether a file was made from this song, from a copy of it, or from another song.

    "unknown" if there is no file or no entry for it. The song is read only if its path is not the
    recorded one.
    """
    known = _known(path)
    if known is None or not path.is_file():
        return "unknown"
    place = known.get(_PATH)
    if place is None:
        return "copy" if known.get("song") == song.name else "another"
    if place == str(song.resolve()):
        return "this"
    is_copy = song.is_file() and known.get("sha256") == sha256(song)
    return "copy" if is_copy else "another"


def of_others(paths: Iterable[Path], song: Path) -> set[Path]:
    """Return which of the files are known to be stems of another song."""
    return {path for path in paths if owner(path, song) == "another"}


@contextmanager
def locked(top: Path) -> Iterator[None]:
    """Keep other runs on this machine from writing stems below a folder.

    The lock is in the system's folder for temporary files, so that none is left among the stems.
    """
    from filelock import FileLock

    name = hashlib.sha256(os.fsencode(top.resolve())).hexdigest()[:16]
    user = os.getuid() if hasattr(os, "getuid") else ""
    with FileLock(Path(tempfile.gettempdir(), f"sepbench-{user}-{name}.lock")):
        yield


def stems(folder: Path) -> list[Path]:
    """Return the stems in a folder whose origin is recorded."""
    return [path for path in map(folder.joinpath, _read(folder)) if path.is_file()]


def remember(
    files: Mapping[Path, Path], made_of: Mapping[Path, Mapping[str, Any]], song: Path
) -> None:
    """Record how files will be made, in the manifests of their folders.

    ``files`` maps the final path of each to its temporary file, ``made_of`` to what decides its
    content. Entries of deleted files are dropped.
    """
    folders: dict[Path, dict[Path, Path]] = {}
    for place, now in files.items():
        folders.setdefault(place.parent, {})[place] = now
    for folder, places in folders.items():
        known = {name: what for name, what in _read(folder).items() if (folder / name).is_file()}
        for place, now in places.items():
            before = _known(place)
            known[place.name] = {
                **_plain(made_of[place]),
                _PATH: str(song.resolve()),
                _FILE: _signature(now),
                **({} if before is None else {_BEFORE: {**before, _BEFORE: None}}),
            }
        text = json.dumps(dict(sorted(known.items())), indent=1, ensure_ascii=False)
        # A name that is not UTF-8 is escaped as in JSON.
        write_atomic(folder / NAME, text.encode(errors="backslashreplace") + b"\n")


def _known(path: Path) -> dict[str, Any] | None:
    """Return the entry of a file, None if the file was changed since."""
    entry = _read(path.parent).get(path.name)
    while isinstance(entry, dict):
        if not path.is_file() or _is(path, entry.get(_FILE)):
            return entry
        entry = entry.get(_BEFORE)
    return None


def _is(path: Path, signature: Any) -> bool:
    if not isinstance(signature, dict):
        return True  # Written by a version without signatures.
    status = path.stat()
    if status.st_size != signature.get("size"):
        return False
    if status.st_mtime_ns == signature.get("mtime_ns"):
        return True
    return sha256(path) == signature.get("sha256")


def _signature(path: Path) -> dict[str, Any]:
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": sha256(path)}


def _read(folder: Path) -> dict[str, Any]:
    """Return the entries of a folder's manifest; empty if it is absent or damaged."""
    return read_object(folder / NAME)


def _making(known: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in known.items() if key not in {_FILE, _PATH, _BEFORE}}


def _plain(made_of: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(made_of))
