"""One cell of the benchmark: separate one track with one method and score the stems.

Songs are read and scored in one process, each method separates in a process of its own::

    this process --- track ---> songs and scores (no plugin's code runs there)
         |   <-- mixture ---        ^
         |                          | stems
         +----- mixture ---> one process a method

All keep their state from cell to cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import psutil

from sepbench._util.process import Limit, LocalWorker, Worker, WorkerDied, WorkerProcess
from sepbench.errors import MethodError, SepbenchError, describe
from sepbench.evaluation.records import Record
from sepbench.evaluation.scoring import (
    OpenedSong,
    OpenSong,
    Request,
    ScoreStems,
    Scoring,
    ShowReferences,
    SongKey,
)
from sepbench.evaluation.store import Store
from sepbench.evaluation.task import Task
from sepbench.inference import memory
from sepbench.inference.workers import SeparatorWorker, share_imports

_SCARCE = 0.15
"""Share of free memory below which methods are not kept loaded."""

SCORING = 3600.0
"""Seconds that reading or scoring a song may take where methods have a timeout, unless longer."""


class Workers:
    """The processes that work on one track at a time: one for songs, and one per method.

    ``timeout`` is in seconds, for a method on one song; reading and scoring it may take `SCORING`.
    Without ``isolate`` everything runs in this process.
    """

    def __init__(self, *, timeout: float | None = None, isolate: bool = True) -> None:
        self._timeout, self._isolate = timeout, isolate
        self._songs: Worker[Request]
        if isolate:
            self._songs = WorkerProcess(Scoring())
        else:
            self._songs = LocalWorker(Scoring())
        self._methods: dict[tuple[str, str], SeparatorWorker] = {}
        self._song: tuple[SongKey, OpenedSong | SepbenchError] | None = None
        self._stopped = False

    def work(self, task: Task) -> Record:
        """Run a task; a failure becomes the record's ``error``."""
        try:
            return self._work(task)
        except CancelledError:
            raise
        except SepbenchError as error:
            return task.record(error=task.method.reason(error))
        except Exception as error:  # No exception of a cell may affect the others.
            return task.record(error=describe(error))

    def stop(self) -> None:
        """Kill all processes, even in the middle of a task."""
        self._stopped = True
        self._songs.stop()
        for worker in list(self._methods.values()):
            worker.stop()

    def _work(self, task: Task) -> Record:
        song = self._opened(task)
        label = task.method.label
        truth = self._asked(ShowReferences(task.song_key), task) if task.method.is_oracle else None
        try:
            if task.made is not None:
                separation, changed = task.made.load(), tuple[str, ...]()
            else:
                seconds = song.mixture.shape[1] / song.rate
                how = (task.method.declared, label, seconds, song.rate, len(song.mixture))
                with memory.reserved(*how):
                    separator = self._separator(task)
                    separation, changed = separator.separate(song.mixture, song.rate, truth)
        except WorkerDied as death:
            raise MethodError(label, str(death)) from None
        notes = [f"{label}: {note}" for note in separation.notes]
        notes += [f"{label} changed the process's {what}" for what in changed]
        request = ScoreStems(task.song_key, separation.stems, task.stems_folder, task.musdb_targets)
        return task.record(
            stems=self._asked(request, task),
            seconds=separation.seconds,
            audio_seconds=song.mixture.shape[1] / song.rate,
            peak_bytes=separation.peak_bytes,
            notes=(*song.notes, *notes),
        )

    def _opened(self, task: Task) -> OpenedSong:
        """Return the song of a task; an unreadable one is not read again immediately."""
        key = task.song_key
        if self._song is None or self._song[0] != key:
            self._song = None  # Release one song before reading the next.
            try:
                self._song = (key, self._asked(_opening(task), task))
            except SepbenchError as error:
                self._song = (key, error)
        opened = self._song[1]
        if isinstance(opened, SepbenchError):
            raise opened
        return opened

    def _asked(self, request: Request, task: Task) -> Any:
        """Return the answer of the song process, which may have to read the song again."""
        limit = None
        if self._timeout is not None:
            seconds = max(SCORING, self._timeout)
            limit = Limit(seconds, f"{seconds:g} seconds")
        try:
            if not isinstance(request, OpenSong) and not self._knows_song():
                self._songs.run(_opening(task), limit=limit)
            return self._songs.run(request, limit=limit)
        except WorkerDied as death:
            raise SepbenchError(f"track {task.track.name}, read and scored: {death}") from None

    def _knows_song(self) -> bool:
        return not isinstance(self._songs, WorkerProcess) or self._songs.is_running

    def _separator(self, task: Task) -> SeparatorWorker:
        if self._stopped:  # While the task waited for memory.
            raise CancelledError
        key = (task.method.label, task.device)
        worker = self._methods.get(key)
        if worker is None or not worker.is_running:
            self._make_room()
        if worker is None:
            worker = self._methods[key] = SeparatorWorker(
                task.method, task.device, timeout=self._timeout, isolate=self._isolate
            )
        return worker

    def _make_room(self) -> None:
        """If memory is scarce, end the method used last: its next use is the farthest away."""
        system = psutil.virtual_memory()
        running = [key for key, worker in self._methods.items() if worker.is_running]
        if running and system.available < _SCARCE * system.total:
            self._methods.pop(running[-1]).stop()


def _opening(task: Task) -> OpenSong:
    return OpenSong(task.song_key, task.track, task.settings, task.metrics, task.device)


class Pool:
    """A pool of `Workers`, reused from track to track."""

    def __init__(self, make: Callable[[], Workers]) -> None:
        self._make = make
        self._free: SimpleQueue[Workers] = SimpleQueue()
        self._all: list[Workers] = []

    @contextmanager
    def borrow(self) -> Iterator[Workers]:
        """Lend workers exclusively."""
        try:
            workers = self._free.get_nowait()
        except Empty:
            workers = self._make()
            self._all.append(workers)
        try:
            yield workers
        finally:
            self._free.put(workers)

    def stop(self) -> None:
        """Kill all processes."""
        for workers in list(self._all):
            workers.stop()


@dataclass(frozen=True)
class Cells:
    """Cells of one track, done in order by any process with access to the store's folder.

    It can be pickled, so any `concurrent.futures.Executor` may call `do_cells` with it.
    """

    tasks: tuple[Task, ...]
    store: Path
    timeout: float | None
    isolate: bool


_pools: dict[tuple[float | None, bool], Pool] = {}
"""The workers of an executor's process; they end with it."""


def do_cells(
    cells: Cells,
    *,
    pool: Pool | None = None,
    on_done: Callable[[Record], None] = lambda record: None,
) -> list[Record]:
    """Do cells, store each record as soon as it is made, and return all.

    Without a ``pool`` the workers belong to this process and stay for its next cells.
    """
    pool = pool or _own_pool(cells.timeout, isolate=cells.isolate)
    if cells.isolate:
        share_imports(task.method for task in cells.tasks)
    store, records = Store(cells.store), []
    with pool.borrow() as workers:
        for task in cells.tasks:
            record = workers.work(task)
            store.save(record)
            records.append(record)
            on_done(record)
    return records


def do_task(task: Task, timeout: float | None, *, isolate: bool) -> Record:
    """Do one cell with the workers of this process, which stay for its next cells."""
    with _own_pool(timeout, isolate=isolate).borrow() as workers:
        return workers.work(task)


def _own_pool(timeout: float | None, *, isolate: bool) -> Pool:
    """Return the pool of this process, which is kept."""
    return _pools.setdefault((timeout, isolate), new_pool(timeout, isolate=isolate))


def new_pool(timeout: float | None, *, isolate: bool) -> Pool:
    """Return a new pool; no process is started yet."""
    return Pool(lambda: Workers(timeout=timeout, isolate=isolate))
