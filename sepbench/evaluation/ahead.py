"""Separates all tracks before they are scored, with methods that are given many songs at once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sepbench.evaluation.workers import Task
from sepbench.inference.ahead import batch, own_folder
from sepbench.inference.batch import Made
from sepbench.inference.overlap_add import Samples
from sepbench.inference.workers import SeparatorWorker


@contextmanager
def separated_ahead(
    tasks: Sequence[Task], store: Path, *, timeout: float | None, isolate: bool
) -> Iterator[Mapping[str, Made]]:
    """Give what methods that take batches make of the songs of some tasks, by fingerprint.

    What they make is kept in the store's folder until the context ends; what a run that was killed
    left there is removed.
    """
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        groups.setdefault(task.method.label, []).append(task)
    folder = own_folder(store)
    made: dict[str, Made] = {}
    try:
        for index, group in enumerate(groups.values()):
            if len(group) > 1:  # One song alone has nothing to gain.
                place = folder / str(index)
                place.mkdir(parents=True)
                made.update(_batch(group, place, timeout, isolate))
        yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _batch(
    tasks: Sequence[Task], folder: Path, timeout: float | None, isolate: bool
) -> dict[str, Made]:
    """Separate the songs of a method's tasks; those that cannot be read are left to their cell."""
    by_print = {task.fingerprint: task for task in tasks}

    def load(print_: str) -> tuple[Samples, int]:
        task = by_print[print_]
        song = task.track.load(start=task.settings.start, duration=task.settings.duration)
        return song.mixture, song.rate

    limit = None if timeout is None else timeout * len(tasks)
    method = tasks[0].method
    worker = SeparatorWorker(method, tasks[0].device, timeout=limit, isolate=isolate)
    try:
        return batch(worker, method.label, list(by_print), load, folder)
    finally:
        worker.stop()
