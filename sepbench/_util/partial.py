"""Hidden names for files being written, and removal of abandoned ones."""

from __future__ import annotations

import os
import platform
import re
import uuid
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path

_NAME = re.compile(r"\.([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{8}\.part")


def partial_path(path: Path) -> Path:
    """Return a hidden name in the folder of ``path`` for the file while it is written.

    It contains machine and process, so that `remove_abandoned` knows whether that still runs.
    """
    started = _own_start(os.getpid())
    return path.with_name(f".{_machine()}-{os.getpid()}-{started}-{uuid.uuid4().hex[:8]}.part")


def remove_abandoned(folder: Path) -> list[Path]:
    """Delete the partial files in a folder whose process has ended; return them."""
    removed = []
    for path in folder.glob(".*.part"):
        found = _NAME.fullmatch(path.name)
        if found is None or found[1] != _machine():
            continue
        # Another process may have this number by now.
        if _started(int(found[2])) != int(found[3]):
            with suppress(OSError):
                path.unlink()
                removed.append(path)
    return removed


def _machine() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


@cache
def _own_start(process: int) -> int:
    return _started(process) or 0


def _started(process: int) -> int | None:
    """Return the start time of a process in seconds, None if there is no such process."""
    import psutil

    try:
        return int(psutil.Process(process).create_time())
    except psutil.Error:
        return None
