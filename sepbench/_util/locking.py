"""Locks between processes that write into one folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes and threads that ask for the same lock waiting.

    ``path`` is a file for nothing else; it is made, and stays, as others may wait for it. Where the
    system or the file system has no locks, nobody waits.
    """
    handle = None
    if sys.platform != "win32":
        import fcntl

        with suppress(OSError):
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)
