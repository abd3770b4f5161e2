"""A process of its own for work that may crash, hang or be killed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


class WorkerDied(Exception):  # noqa: N818 - says what happened
    """The process came to an end, or was put to one, before its work was done.

    The text says describe_exit, in words that fit behind a name.
    """


class WorkerProcess(Generic[Task, Result]):
    """Does tasks one after another in a process that is replaced when it dies.

    ``function`` is a module's function that takes a task and returns a result, all three fit for
    pickling. ``timeout`` is the number of seconds a task may take.
    """

    def __init__(self, function: Callable[[Task], Result], *, timeout: float | None = None) -> None:
        self._function = function
        self._timeout = timeout
        self._process: BaseProcess | None = None
        self._stopped = False

    def run(self, task: Task) -> Result:
        """Do one task; raise `WorkerDied` if its process crashes, is killed or times out."""
        if self._process is None or not self._process.is_alive():
            self._start()
        process = self._process
        assert process is not None  # noqa: S101 - for the type checker
        with suppress(OSError):  # One that is dead by now is told by its sentinel.
            self._connection.send(task)
        ready = wait([self._connection, process.sentinel], self._timeout)
        if self._stopped:
            raise CancelledError
        if self._connection in ready:
            try:
                result: Result = self._connection.recv()
            except (EOFError, OSError):
                pass
            else:
                return result
        elif not ready:
            self._end()
            raise WorkerDied(f"took longer than --timeout {self._timeout:g} seconds")
        process.join()
        code = process.exitcode
        self._end()
        if self._stopped:
            raise CancelledError
        raise WorkerDied(f"its process died ({describe_exit(code)})")

    def stop(self) -> None:
        """End the process, whatever it is doing; `run` raises ``CancelledError`` from now on."""
        self._stopped = True
        self._end()

    def _start(self) -> None:
        if self._stopped:
            raise CancelledError
        # Spawned, not forked: torch's threads and CUDA do not survive a fork.
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._function))
        with _interrupts_blocked():
            self._process.start()
        theirs.close()
        # No task is charged for the imports of its process.
        with suppress(EOFError, OSError):
            self._connection.recv()
        if self._stopped:
            raise CancelledError

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.join()
            self._connection.close()


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Hold back the keyboard's interrupt, so that a process started meanwhile never gets it.

    It goes to all processes at once and is the parent's to act on, even while the others import.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # Its first start would let interrupts through again.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _serve(connection: Connection, function: Callable[[Task], Result]) -> None:
    """Do tasks until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        connection.send("ready")
        while True:
            connection.send(function(connection.recv()))
    except (EOFError, BrokenPipeError):
        return


def describe_exit(code: int | None) -> str:
    """Say describe_exit a process ended."""
    if code is None or code >= 0:
        return f"exit status {code}"
    hint = "; out of memory?" if code == -signal.SIGKILL else ""
    return f"signal {signal.Signals(-code).name}{hint}"
