"""Worker processes: work that may crash, hang or spoil its process, kept away from the rest.

A worker does tasks one after another and streams inputs in and outputs out, so that a song need not
be in memory at once. Neither a library's pool of processes nor joblib's says which signal ended a
worker, keeps one worker for one method, or streams; the processes themselves are
`multiprocessing`'s.
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, Protocol, TypeVar

from sepbench._util.messages import Answers, receive, send
from sepbench._util.serving import serve
from sepbench._util.starting import interrupts_blocked, main_hidden, worker_context
from sepbench.errors import SepbenchError, describe

Task = TypeVar("Task")
Task_contra = TypeVar("Task_contra", contravariant=True)

_STARTING = threading.Lock()
_running: weakref.WeakSet[WorkerProcess[Any]] = weakref.WeakSet()


class Work(Protocol[Task_contra]):
    """What a worker does: yields the outputs of a task, and takes the inputs that belong to it.

    It is pickled once, when its process starts, and may keep things from task to task. Setting
    ``retire`` to true ends the process after the task; the next task gets a new one.
    """

    retire: bool

    def __call__(self, task: Task_contra, inputs: Iterator[Any], /) -> Iterator[Any]:
        """Yield the outputs of a task."""
        ...


class Call:
    """Work whose only output is the return value of a module's function."""

    retire = False

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def __call__(self, task: Any, inputs: Iterator[Any]) -> Iterator[Any]:
        """Yield what the function returns for a task."""
        yield self._function(task)


class WorkerDied(Exception):  # noqa: N818 - says what happened
    """The process ended, or was ended, before its task was done.

    The text says how, in words that follow a name.
    """


class Worker(Protocol[Task_contra]):
    """Does tasks; `WorkerProcess` and `LocalWorker` are two kinds."""

    def stream(self, task: Task_contra, inputs: Iterable[Any] = ()) -> Iterator[Any]:
        """Yield the outputs of a task as they come."""
        ...

    def run(self, task: Task_contra, inputs: Iterable[Any] = ()) -> Any:
        """Return the last output of a task."""
        ...

    def stop(self) -> None:
        """Let go of everything; no task may follow."""
        ...


class LocalWorker(Generic[Task]):
    """Does tasks in this process, without any protection."""

    def __init__(self, work: Work[Task]) -> None:
        self._work = work

    def stream(self, task: Task, inputs: Iterable[Any] = ()) -> Iterator[Any]:
        """Yield the outputs of a task as they come."""
        return self._work(task, iter(inputs))

    def run(self, task: Task, inputs: Iterable[Any] = ()) -> Any:
        """Return the last output of a task."""
        *_, last = self.stream(task, inputs)
        return last

    def stop(self) -> None:
        """Nothing to stop."""


class WorkerProcess(Generic[Task]):
    """Does tasks in a process of its own, which is replaced when it dies.

    Tasks, inputs and outputs are sent as copies. Outputs may hold arrays, plain values and
    sepbench's own classes and nothing else, so that no code of a plugin runs on this side.
    ``timeout`` is the number of seconds a task may take.
    """

    def __init__(self, work: Work[Task], *, timeout: float | None = None) -> None:
        self._work = work
        self._timeout = timeout
        self._process: BaseProcess | None = None
        self._task = 0
        self._stopped = False

    @property
    def is_running(self) -> bool:
        """Whether there is a process that has done a task and waits for the next."""
        return self._process is not None

    def run(self, task: Task, inputs: Iterable[Any] = ()) -> Any:
        """Return the last output of a task; see `stream`."""
        *_, last = self.stream(task, inputs)
        return last

    def stream(self, task: Task, inputs: Iterable[Any] = ()) -> Iterator[Any]:
        """Yield the outputs of a task; ``inputs`` are handed over one by one, when asked for.

        Raises `WorkerDied` if the process crashes, is killed or times out, and `SepbenchError` for
        whatever the task itself raises.
        """
        if self._process is None or not self._process.is_alive():
            self._end()
            self._start()
        self._task += 1
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        source = iter(inputs)
        done = False
        try:
            self._send("task", task)
            while True:
                kind, value = self._receive(deadline)
                if kind == "wanted":
                    self._send("input", next(source, None))
                elif kind == "output":
                    yield value
                else:
                    done = True
                    break
        finally:
            if not done:  # The caller stopped in between, or reading an input failed.
                self._end()
        if kind == "failed":
            raise SepbenchError(value)
        if value:
            self._end()

    def stop(self) -> None:
        """End the process, whatever it is doing; `stream` raises ``CancelledError`` from now on."""
        self._stopped = True
        self._end()

    def _send(self, kind: str, value: Any) -> None:
        with suppress(OSError):  # One that is dead by now is reported by its sentinel.
            send(self._connection, (self._task, kind, value))

    def _receive(self, deadline: float | None) -> tuple[str, Any]:
        """Return the next message that belongs to the task at hand."""
        process = self._process
        while process is not None:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                ready = wait([self._connection, process.sentinel], left)
            except (OSError, ValueError):  # Closed by `stop`, from another thread.
                break
            if self._stopped:
                raise CancelledError
            if not ready:
                self._end()
                raise WorkerDied(f"took longer than --timeout {self._timeout:g} seconds")
            if self._connection not in ready:
                break
            try:
                task, kind, value = receive(self._connection, Answers)
            except (EOFError, OSError):
                break
            except Exception as error:
                self._end()
                raise WorkerDied(f"its process sent no proper answer ({describe(error)})") from None
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
            self._process = process
            _running.add(self)
        theirs.close()
        # No task is charged for the imports of its process.
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


@atexit.register
def _stop_all() -> None:
    for worker in list(_running):
        worker.stop()


def _kill(process: BaseProcess) -> None:
    """End a process and whatever it has started."""
    if hasattr(os, "killpg") and process.pid is not None:
        with suppress(OSError):  # It leads a group of its own, see `serve`.
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def describe_exit(code: int | None) -> str:
    """Return in words how a process ended, from its exit code as `multiprocessing` gives it."""
    if code is None or code >= 0:
        return f"exit status {code}"
    hint = "; out of memory?" if code == -signal.SIGKILL else ""
    return f"signal {signal.Signals(-code).name}{hint}"
