"""The main loop of a worker process: runs tasks until its parent has ended."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from sepbench._util.messages import receive, send
from sepbench.errors import MethodError, SepbenchError, describe, on_one_line

if TYPE_CHECKING:
    from sepbench._util.process import Work


def serve(connection: Connection, payload: bytes, place: tuple[str, dict[str, str]]) -> None:
    """Run tasks until the other process has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # The server ignores it.
    if hasattr(os, "setsid"):
        with suppress(OSError):
            os.setsid()
    _die_with_parent()
    folder, environment = place
    with suppress(OSError):
        os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    own = os.getpid()
    work: Work[Any] | None = None
    try:
        connection.send_bytes(b"ready")
        while True:
            number, _, task = receive(connection)
            try:
                if work is None:
                    work = pickle.loads(payload)  # noqa: S301 - the parent's own
                for output in work(task, _inputs(connection, number, own)):
                    _answer(connection, own, (number, "output", output))
                answer = (number, "done", work.retire)
            # A plugin may raise anything, even KeyboardInterrupt and SystemExit.
            except BaseException as error:
                answer = (number, "failed", _portable(error))
            _answer(connection, own, answer)
    except (EOFError, BrokenPipeError):
        return


def _portable(error: BaseException) -> SepbenchError:
    """Return an error that the parent can read: not one of a plugin's own classes."""
    if isinstance(error, SepbenchError) and type(error) in (SepbenchError, MethodError):
        return on_one_line(error)
    return SepbenchError(describe(error))


def _inputs(connection: Connection, number: int, own: int) -> Iterator[Any]:
    while True:
        _answer(connection, own, (number, "wanted", None))
        _, _, value = receive(connection)
        if value is None:
            return
        yield value


def _answer(connection: Connection, own: int, message: tuple[int, str, Any]) -> None:
    if os.getpid() != own:  # This may be a fork that a plugin made; it must not send anything.
        os._exit(0)
    send(connection, message)


def _die_with_parent() -> None:
    """End this process when its parent ends, however that happens."""
    parent = parent_process()
    if parent is None:
        return
    if sys.platform == "linux":
        import fcntl

        # The kernel's signal arrives even while C code holds the interpreter lock.
        sentinel = int(parent.sentinel)
        signal.signal(signal.SIGIO, signal.SIG_DFL)
        fcntl.fcntl(sentinel, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(sentinel, fcntl.F_SETFL, fcntl.fcntl(sentinel, fcntl.F_GETFL) | os.O_ASYNC)

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
