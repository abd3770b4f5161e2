"""Worker processes: isolate work that may crash, hang or change the state of its process.

A worker does tasks one after another, and streams inputs and outputs so that a song does not have
to be in memory at once. The process pools of `concurrent.futures`, joblib and pebble do not report
which signal killed a worker, keep one worker for one method, or stream; the processes themselves
come from `multiprocessing`.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import util
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, Protocol, TypeVar

from sepbench._util.messages import Answers, receive, send
from sepbench._util.serving import serve
from sepbench._util.starting import interrupts_blocked, main_hidden, worker_context
from sepbench.errors import describe

Task = TypeVar("Task")
Task_contra = TypeVar("Task_contra", contravariant=True)

_LONGEST_WAIT = 86_400.0
"""Seconds to wait at once: the system's timers take at most 24 days."""

_STARTING = threading.Lock()
_running: weakref.WeakSet[WorkerProcess[Any]] = weakref.WeakSet()


class Work(Protocol[Task_contra]):
    """The work of a worker: takes the inputs of a task and yields its outputs.

    It is pickled once, when its process starts, and may keep state between tasks. Setting
    ``retire`` to true ends the process after the task; the next task gets a new one.
    """

    retire: bool

    def __call__(self, task: Task_contra, inputs: Iterator[Any], /) -> Iterator[Any]:
        """Yield the outputs of a task."""
        ...


class Call:
    """Work with one output: the return value of a module-level function."""

    retire = False

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def __call__(self, task: Any, inputs: Iterator[Any]) -> Iterator[Any]:
        """Yield the function's result for a task."""
        yield self._function(task)


class WorkerDied(Exception):  # noqa: N818 - says what happened
    """The process died, or was killed, before its task was done.

    The message continues a sentence that begins with a name.
    """


@dataclass(frozen=True)
class Limit:
    """The seconds that a task may take; ``text`` ends the message that it took longer."""

    seconds: float
    text: str


class Worker(Protocol[Task_contra]):
    """Base of `WorkerProcess` and `LocalWorker`."""

    def stream(self, task: Task_contra, inputs: Iterable[Any] = ()) -> Iterator[Any]:
        """Yield the outputs of a task as they come."""
        ...

    def run(
        self, task: Task_contra, inputs: Iterable[Any] = (), *, limit: Limit | None = None
    ) -> Any:
        """Return the last output of a task, which may have a limit of its own."""
        ...

    def stop(self) -> None:
        """Release everything; no task may follow."""
        ...


class LocalWorker(Generic[Task]):
    """Does tasks in this process, without isolation."""

    def __init__(self, work: Work[Task]) -> None:
        self._work = work

    def stream(self, task: Task, inputs: Iterable[Any] = ()) -> Iterator[Any]:
        """Yield the outputs of a task as they come."""
        return self._work(task, iter(inputs))

    def run(self, task: Task, inputs: Iterable[Any] = (), *, limit: Limit | None = None) -> Any:
        """Return the last output of a task, however long it takes."""
        *_, last = self.stream(task, inputs)
        return last

    def stop(self) -> None:
        """Nothing to stop."""


class WorkerProcess(Generic[Task]):
    """Does tasks in a separate process, which is replaced when it dies.

    Tasks, inputs and outputs are sent as copies. Outputs may hold arrays, plain values and
    sepbench's own classes and nothing else, so that no plugin code runs in this process.
    ``timeout`` is the number of seconds a task may take that has no limit of its own.
    """

    def __init__(self, work: Work[Task], *, timeout: float | None = None) -> None:
        self._work = work
        self._limit = None if timeout is None else Limit(timeout, f"--timeout {timeout:g} seconds")
        self._process: BaseProcess | None = None
        self._task = self._owner = 0
        self._stopped = False

    @property
    def is_running(self) -> bool:
        """Whether a process is idle after a task."""
        return self._process is not None

    def run(self, task: Task, inputs: Iterable[Any] = (), *, limit: Limit | None = None) -> Any:
        """Return the last output of a task; see `stream`."""
        *_, last = self.stream(task, inputs, limit=limit)
        return last

    def stream(
        self, task: Task, inputs: Iterable[Any] = (), *, limit: Limit | None = None
    ) -> Iterator[Any]:
        """Yield the outputs of a task; ``inputs`` are sent one by one, on request.

        Raises `WorkerDied` if the process crashes, is killed or times out, and `SepbenchError` for
        whatever the task itself raises.
        """
        if self._process is None or not self._process.is_alive():
            self._end()
            self._start()
        self._task += 1
        limit = limit or self._limit
        deadline = None if limit is None else time.monotonic() + limit.seconds
        source = iter(inputs)
        done = False
        try:
            self._send("task", task)
            while True:
                kind, value = self._receive(limit, deadline)
                if kind == "wanted":
                    self._send("input", next(source, None))
                elif kind == "output":
                    yield value
                else:
                    done = True
                    break
        finally:
            if not done:  # The caller stopped early, or reading an input failed.
                self._end()
        if kind == "failed":
            raise value
        if value:
            self._end()

    def stop(self) -> None:
        """Kill the process; `stream` raises ``CancelledError`` from now on."""
        self._stopped = True
        self._end()

    def _send(self, kind: str, value: Any) -> None:
        with suppress(OSError):  # The death of the process is reported by its sentinel.
            send(self._connection, (self._task, kind, value))

    def _receive(self, limit: Limit | None, deadline: float | None) -> tuple[str, Any]:
        """Return the next message of the current task."""
        process = self._process
        while process is not None:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                pause = None if left is None else min(left, _LONGEST_WAIT)
                ready = wait([self._connection, process.sentinel], pause)
            except (OSError, ValueError):  # Closed by `stop`, from another thread.
                break
            if self._stopped:
                raise CancelledError
            if limit is not None and not ready:
                if left != pause:
                    continue
                self._end()
                raise WorkerDied(f"took longer than {limit.text}")
            if self._connection not in ready:
                break
            try:
                task, kind, value = receive(self._connection, Answers)
            except (EOFError, OSError):
                break
            except Exception as error:
                self._end()
                raise WorkerDied(
                    f"its process sent an invalid answer ({describe(error)})"
                ) from None
            if task == self._task:
                return str(kind), value
        raise self._death()

    def _death(self) -> Exception:
        process = self._process
        if process is not None:
            process.join()
        self._end()
        if self._stopped:
            return CancelledError()
        code = None if process is None else process.exitcode
        return WorkerDied(f"its process died ({describe_exit(code)})")

    def _start(self) -> None:
        context = worker_context()
        self._connection, theirs = context.Pipe()
        payload = pickle.dumps(self._work)
        place = os.getcwd(), dict(os.environ)
        process = context.Process(target=serve, args=(theirs, payload, place))
        with _STARTING, main_hidden(payload), interrupts_blocked():
            if self._stopped:
                raise CancelledError
            process.start()
            self._process, self._owner = process, os.getpid()
            _running.add(self)
            _stop_at_exit()
        theirs.close()
        # The timeout of a task does not include the imports of its process.
        with suppress(EOFError, OSError):
            self._connection.recv_bytes()
        if self._stopped:
            raise CancelledError

    def _end(self) -> None:
        with _STARTING:  # `stop` may be called while another thread starts the process.
            process, self._process = self._process, None
        if process is not None:
            _running.discard(self)
            _kill(process)
            process.join()


_ending: set[int] = set()
"""The processes that stop their workers when they end: this one, if it is in here."""


def _stop_at_exit() -> None:
    """Have the workers of this process stopped before it waits for its children to end.

    `atexit` is too late where this process is itself one of `multiprocessing`'s, as with an
    executor: it waits for its children first.
    """
    if os.getpid() not in _ending:
        _ending.add(os.getpid())
        util.Finalize(None, _stop_all, exitpriority=100)


def _stop_all() -> None:
    for worker in list(_running):
        if worker._owner == os.getpid():  # A fork has those of its parent, too.
            worker.stop()


def _kill(process: BaseProcess) -> None:
    """Kill a process and its children."""
    if hasattr(os, "killpg") and process.pid is not None:
        with suppress(OSError):  # It leads its own process group, see `serve`.
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def describe_exit(code: int | None) -> str:
    """Describe how a process ended, from its `multiprocessing` exit code."""
    if code is None or code >= 0:
        return f"exit status {code}"
    hint = "; out of memory?" if code == -signal.SIGKILL else ""
    return f"signal {signal.Signals(-code).name}{hint}"
