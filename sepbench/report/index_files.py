"""The files that an index reads, how it writes their paths, and digests of its rows."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from sepbench.evaluation.record_file import Stamp, stamp_of


def files(folder: Path) -> Iterator[tuple[str, Stamp]]:
    """Yield the files of a store by relative path; no failure of which there is a score."""
    found = set()
    for kind in ("scores", "failures"):
        for method in _folders(folder / kind):
            for subset in _folders(method):
                within = f"{kind}/{method.name}/{subset.name}/"
                with os.scandir(subset) as entries:
                    for entry in entries:
                        cell = method.name, subset.name, entry.name
                        is_file = entry.name.endswith(".json") and not entry.name.startswith(".")
                        if is_file and cell not in found:
                            found.add(cell)
                            yield encoded(within + entry.name), stamp_of(entry.stat())


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


def encoded(path: str) -> str:
    """Return a path as JSON, as SQLite cannot store one that is not UTF-8."""
    return json.encoder.encode_basestring_ascii(path)


def decoded(path: str) -> str:
    """Return the path that `encoded` has written."""
    return str(json.loads(path))


def digest_of(*parts: str | bytes) -> int:
    """Return a number that tells damaged rows from those that were written."""
    number = 0
    for part in parts:
        number = zlib.crc32(part.encode() if isinstance(part, str) else part, number)
    return number
