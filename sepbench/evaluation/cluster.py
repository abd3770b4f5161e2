"""Runs cells on a Dask cluster: assigned one at a time, reassigned when a worker dies.

::

    client (tracks, methods, store) -- one cell --> worker (its own copy of the data set)
           <------- record (scores, costs) ---------

Each worker has one cell at a time, of the same track as long as there are any, so that it reads and
correlates the references once. The client keeps what is in flight and nothing else. It decides
which worker gets which cell, so that workers that join late get cells, and unusable workers none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

import sepbench
from sepbench.errors import SepbenchError, describe
from sepbench.evaluation.records import Record
from sepbench.evaluation.remote import Source, do_remotely, usable
from sepbench.evaluation.scheduler import connect
from sepbench.evaluation.task import Task

Future = Any
"""A `distributed.Future`; the library has no types."""

DEATHS = 3
"""Deaths of workers after which a cell is given up."""

_DEATHS_REASON = f"{DEATHS} workers died while running this cell"

_POLL = 1.0
"""Seconds between two checks of the list of workers."""

_FETCH = 20.0
"""Seconds to wait for a result; that of a dead worker never arrives."""

_AHEAD = 2
"""Cells of a worker at once: one running, and one queued to avoid waiting."""


@dataclass
class _Worker:
    """A worker: the cells left of its track, and its own cells, the first of them running."""

    waiting: deque[Task] = field(default_factory=deque)
    running: deque[tuple[Task, Future]] = field(default_factory=deque)


class Cluster:
    """The workers of a Dask scheduler, used for one run.

    ``patience`` counts the seconds without any usable worker after which the run ends.
    ``on_worker`` gets a message for a worker that leaves or cannot be used. ``work`` does a cell.
    """

    def __init__(
        self,
        address: str,
        source: Source,
        *,
        timeout: float | None = None,
        isolate: bool = True,
        patience: float = 60.0,
        on_worker: Callable[[str], None] = lambda line: None,
        work: Callable[..., Record] = do_remotely,
    ) -> None:
        self._client = connect(address)
        self._address, self._source = address, source
        self._timeout, self._isolate = timeout, isolate
        self._patience, self._on_worker, self._work = patience, on_worker, work
        self._workers: dict[str, _Worker] = {}
        self._checks: dict[str, Future] = {}
        self._refused: dict[str, str] = {}
        self._deaths: dict[tuple[str, str, str], int] = {}
        self._returned: deque[Task] = deque()
        self._events: SimpleQueue[tuple[str, Future]] = SimpleQueue()

    @property
    def dashboard(self) -> str:
        """The address of the scheduler's web page."""
        return str(self._client.dashboard_link)

    @property
    def workers(self) -> int:
        """The number of usable workers."""
        return len(self._workers)

    def run(self, tracks: Iterable[list[Task]]) -> Iterator[Record]:
        """Yield the record of every cell; ``tracks`` has the cells of each, read as needed.

        Raises `SepbenchError` if there is no usable worker for longer than the patience.
        """
        source = iter(tracks)
        first = next(source, None)
        if first is None:
            return
        upcoming = chain([first], source)
        checked, alone_since = 0.0, monotonic()
        try:
            while True:
                if monotonic() - checked > _POLL:
                    yield from self._update_workers(first[0])
                    checked = monotonic()
                self._assign_cells(upcoming)
                if not self._busy and not self._left and self._workers:
                    return
                alone_since = monotonic() if self._workers else alone_since
                if monotonic() - alone_since > self._patience:
                    raise SepbenchError(self._no_worker_message())
                yield from self._next_events()
        finally:
            self._stop()

    @property
    def _busy(self) -> bool:
        return any(worker.running for worker in self._workers.values())

    @property
    def _left(self) -> bool:
        return bool(self._returned) or any(worker.waiting for worker in self._workers.values())

    def _next_events(self) -> Iterator[Record]:
        """Wait for results and answers of workers; return all that have arrived."""
        try:
            events = [self._events.get(timeout=_POLL)]
        except Empty:
            return
        with suppress(Empty):
            while True:
                events.append(self._events.get_nowait())
        done = []
        for address, future in events:
            if self._checks.get(address) is future:
                self._admit(address, future)
                continue
            worker = self._workers.get(address)
            task = None if worker is None else self._remove_cell(worker, future)
            if task is not None:
                done.append((task, future))
        yield from self._fetch_records([pair for pair in done if pair[1].status == "finished"])
        for task, future in done:
            if future.status == "error":
                killed = type(future.exception()).__name__ == "KilledWorker"
                yield _failed(task, _DEATHS_REASON if killed else describe(future.exception()))
            elif future.status != "finished":  # Treat it as if its worker had died.
                yield from self._return_cell(task)

    def _fetch_records(self, done: Sequence[tuple[Task, Future]]) -> Iterator[Record]:
        """Yield the records of cells, requested together; those of dead workers are lost."""
        if not done:
            return
        ask = partial(self._client.gather, [future for _, future in done], asynchronous=True)
        try:
            records = self._client.sync(ask, callback_timeout=_FETCH)
        except Exception:  # A worker died with its result.
            if len(done) > 1:  # Request them one by one, to find which.
                for pair in done:
                    yield from self._fetch_records([pair])
                return
            ((task, future),) = done
            future.cancel()
            yield from self._return_cell(task)
        else:
            yield from records

    def _remove_cell(self, worker: _Worker, future: Future) -> Task | None:
        """Remove the cell of a future from its worker, and return it."""
        for pair in worker.running:
            if pair[1] is future:
                worker.running.remove(pair)
                return pair[0]
        return None

    def _assign_cells(self, upcoming: Iterator[list[Task]]) -> None:
        """Give every worker cells up to `_AHEAD`."""
        # Every worker gets its first cell before any gets a second.
        for depth in range(_AHEAD):
            for address, worker in self._workers.items():
                if len(worker.running) == depth:
                    self._assign_next(address, worker, upcoming)

    def _assign_next(self, address: str, worker: _Worker, upcoming: Iterator[list[Task]]) -> None:
        task = self._returned.popleft() if self._returned else None
        if task is None and not worker.waiting:
            worker.waiting.extend(next(upcoming, ()))
        if task is None and not worker.waiting:
            self._take_waiting(worker)
        if task is None and worker.waiting:
            task = worker.waiting.popleft()
        if task is not None:
            self._submit(address, worker, task)

    def _take_waiting(self, worker: _Worker) -> None:
        """Take half of the cells of the worker with most cells left.

        A worker with a cell does not take the last ones: those are for idle workers.
        """
        richest = max(self._workers.values(), key=lambda other: len(other.waiting))
        count = len(richest.waiting)
        if count > (1 if worker.running else 0):
            worker.waiting.extend(richest.waiting.pop() for _ in range((count + 1) // 2))

    def _submit(self, address: str, worker: _Worker, task: Task) -> None:
        future = self._client.submit(
            self._work,
            task,
            self._source,
            timeout=self._timeout,
            isolate=self._isolate,
            workers=[address],
            pure=False,
        )
        worker.running.append((task, future))
        future.add_done_callback(lambda done: self._events.put((address, done)))

    def _update_workers(self, example: Task) -> Iterator[Record]:
        """Ask new workers whether they can be used, and take back the cells of dead ones."""
        there = set(self._client.nthreads())
        for address in there - set(self._workers) - set(self._checks) - set(self._refused):
            question = usable(sepbench.__version__, example, self._source)
            future = self._client.submit(question, workers=[address], pure=False)
            self._checks[address] = future
            future.add_done_callback(lambda done, a=address: self._events.put((a, done)))
        for address in set(self._checks) - there:
            self._checks.pop(address).cancel()
        for address in set(self._workers) - there:
            worker = self._workers.pop(address)
            self._returned.extend(worker.waiting)
            self._on_worker(f"worker {address} is gone; its cells go to the others")
            for place, (task, future) in enumerate(worker.running):
                future.cancel()
                if place:  # It had not started, so it did not cause the death.
                    self._returned.append(task)
                else:
                    yield from self._return_cell(task)

    def _return_cell(self, task: Task) -> Iterator[Record]:
        """Take back the cell of a dead worker; yield its record if it is given up."""
        key = (task.method.label, task.track.subset, task.track.name)
        self._deaths[key] = self._deaths.get(key, 0) + 1
        if self._deaths[key] < DEATHS:
            self._returned.append(task)
        else:
            yield _failed(task, _DEATHS_REASON)

    def _admit(self, address: str, answer: Future) -> None:
        """Use a worker, or not, by its answer to `usable`."""
        del self._checks[address]
        if answer.status == "finished":
            try:
                reason = answer.result(timeout=_FETCH)
            except Exception:  # The worker died before its answer came.
                answer.cancel()
                return
        elif answer.status == "error":
            reason = f"cannot answer: {describe(answer.exception())}"
        else:
            return
        if reason:
            self._refused[address] = reason
            self._on_worker(f"worker {address} is not used: {reason}")
        else:
            self._workers[address] = _Worker()

    def _no_worker_message(self) -> str:
        reasons = "; ".join(f"{address} {reason}" for address, reason in self._refused.items())
        cure = f"start one with 'dask worker {self._address}'"
        return f"scheduler {self._address}: no usable worker; {reasons or cure}"

    def _stop(self) -> None:
        """Cancel all running cells."""
        running = [future for worker in self._workers.values() for _, future in worker.running]
        self._client.cancel([*running, *self._checks.values()])
        self._client.close()


def _failed(task: Task, reason: str) -> Record:
    return task.record(error=reason)
