"""Separates all tracks in one batch before scoring, with methods that support it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sepbench._util.partial import own_folder
from sepbench.evaluation.task import Task
from sepbench.inference.ahead import BATCH_FOLDER, batch
from sepbench.inference.batch import Made
from sepbench.inference.overlap_add import Samples
from sepbench.inference.workers import SeparatorWorker


@contextmanager
def separated_ahead(
    tasks: Sequence[Task], store: Path, *, timeout: float | None, isolate: bool
) -> Iterator[Mapping[str, Made]]:
    """Separate the songs of all tasks of batch methods; give the stems by fingerprint.

    The stems are kept in the store's folder until the context ends; leftovers of killed runs are
    removed.
    """
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        groups.setdefault(task.method.label, []).append(task)
    folder = own_folder(store, BATCH_FOLDER)
    made: dict[str, Made] = {}
    try:
        for index, group in enumerate(groups.values()):
            if len(group) > 1:  # A single song gains nothing.
                place = folder / str(index)
                place.mkdir(parents=True)
                made.update(_batch(group, place, timeout, isolate))
        yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _batch(
    tasks: Sequence[Task], folder: Path, timeout: float | None, isolate: bool
) -> dict[str, Made]:
    """Separate the songs of a method's tasks; unreadable ones are reported by their cell."""
    by_fingerprint = {task.fingerprint: task for task in tasks}

    def load(fingerprint: str) -> tuple[Samples, int]:
        task = by_fingerprint[fingerprint]
        song = task.track.load(start=task.settings.start, duration=task.settings.duration)
        return song.mixture, song.rate

    limit = None if timeout is None else timeout * len(tasks)
    method = tasks[0].method
    worker = SeparatorWorker(method, tasks[0].device, timeout=limit, isolate=isolate)
    try:
        return batch(worker, method.label, list(by_fingerprint), load, folder)
    finally:
        worker.stop()
