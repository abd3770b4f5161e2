"""Locks between processes that write into one folder."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes and threads that ask for the same lock waiting.

    ``path`` is a file that serves only as the lock. It is created, and not removed, because others
    may wait for it. If the system (Windows) or the file system lacks such locks, nobody waits.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    handle = _opened(path)
    if handle is None:
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        # Closing alone would not release it while a forked process has the file open.
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Hold a lock until the end, and yield whether no other process holds it; nobody waits.

    ``path`` is as in `locked`. The lock is of this process alone: those that it forks do not hold
    it on after this one has been killed. Without such locks the value is true.
    """
    if sys.platform == "win32":
        yield True
        return
    import fcntl

    handle = _opened(path)
    if handle is None:
        yield True
        return
    try:
        is_alone = True
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            is_alone = error.errno not in (errno.EACCES, errno.EAGAIN)
        yield is_alone
    finally:
        os.close(handle)


def _opened(path: Path) -> int | None:
    """Return a file to be locked, which may be another user's; None if it cannot be opened."""
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with suppress(OSError):
            return os.open(path, flags, 0o666)
    return None
