"""Separates all tracks before they are scored, with methods that are given many songs at once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path

import psutil

from sepbench._util.process import WorkerDied
from sepbench.errors import SepbenchError, describe
from sepbench.evaluation.workers import Task
from sepbench.inference.batch import Made
from sepbench.inference.overlap_add import Samples
from sepbench.inference.workers import SeparatorWorker

_PREFIX = ".batch-"


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
    _remove_abandoned(store)
    folder = store / f"{_PREFIX}{os.getpid()}"
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
    readable: list[Task] = []

    def songs() -> Iterator[tuple[Samples, int]]:
        for task in tasks:
            settings = task.settings
            try:
                song = task.track.load(start=settings.start, duration=settings.duration)
            except SepbenchError:
                continue
            readable.append(task)
            yield song.mixture, song.rate

    limit = None if timeout is None else timeout * len(tasks)
    method = tasks[0].method
    worker = SeparatorWorker(method, tasks[0].device, timeout=limit, isolate=isolate)
    made: list[Made] = []
    try:
        for one in worker.batch(songs(), folder):
            made.append(one)
    except CancelledError:
        raise
    except (SepbenchError, WorkerDied) as error:
        reason = f"method {method.label}: {error}" if isinstance(error, WorkerDied) else str(error)
        made += [Made({}, error=reason)] * (len(tasks) - len(made))
    except Exception as error:  # One method must never cost the others, whatever it raises.
        reason = f"method {method.label}: {describe(error)}"
        made += [Made({}, error=reason)] * (len(tasks) - len(made))
    finally:
        worker.stop()
    named = [*readable, *(task for task in tasks if task not in readable)]
    return {task.fingerprint: one for task, one in zip(named, made, strict=False)}


def _remove_abandoned(store: Path) -> None:
    for folder in store.glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX)
        if not (pid.isdecimal() and psutil.pid_exists(int(pid))):
            shutil.rmtree(folder, ignore_errors=True)
