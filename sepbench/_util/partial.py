"""Names for files and folders in use, and removal of those that killed processes left."""

from __future__ import annotations

import os
import platform
import re
import shutil
import uuid
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path

_OWNER = re.compile(r"([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{8}")
"""Machine, process, start of the process, and a random number."""


def partial_path(path: Path) -> Path:
    """Return a hidden name in the folder of ``path`` for the file while it is written.

    It contains machine and process, so that `remove_abandoned` can tell whether that process still
    runs.
    """
    return path.with_name(f".{_owned()}.part")


def remove_abandoned(folder: Path) -> list[Path]:
    """Delete the partial files in a folder whose process has ended; return them."""
    removed = []
    for path in folder.glob(".*.part"):
        if _is_abandoned(path.name.removeprefix(".").removesuffix(".part")):
            with suppress(OSError):
                path.unlink()
                removed.append(path)
    return removed


def own_folder(parent: Path, prefix: str) -> Path:
    """Return the path of a new folder of this process; it is not made.

    Folders of this prefix whose process has ended, on this machine, are removed.
    """
    for folder in parent.glob(f"{prefix}-*"):
        if _is_abandoned(folder.name.removeprefix(f"{prefix}-")):
            shutil.rmtree(folder, ignore_errors=True)
    return parent / f"{prefix}-{_owned()}"


def _owned() -> str:
    return f"{_machine()}-{os.getpid()}-{_own_start(os.getpid())}-{uuid.uuid4().hex[:8]}"


def _is_abandoned(owner: str) -> bool:
    found = _OWNER.fullmatch(owner)
    if found is None or found[1] != _machine():
        return False
    # Another process may have this number by now.
    return _started(int(found[2])) != int(found[3])


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
