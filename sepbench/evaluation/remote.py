"""Runs a cell on a worker of a cluster, with the worker's own copy of the track."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from sepbench._util.walk import RUN_SETTINGS
from sepbench.datasets import open_dataset
from sepbench.datasets.base import Track
from sepbench.errors import SepbenchError
from sepbench.evaluation.identified import identified
from sepbench.evaluation.records import Record
from sepbench.evaluation.task import Task
from sepbench.evaluation.workers import do_task


@dataclass(frozen=True)
class Source:
    """Source of the tracks of a run: a data set, its root on the client, and the span.

    A worker without that root searches the usual paths. ``run`` is the run's folder if separated
    audio is kept there, which all workers must share.
    """

    dataset: str
    root: str | None
    start: float
    duration: float | None
    run: str | None = None


def do_remotely(task: Task, source: Source, *, timeout: float | None, isolate: bool) -> Record:
    """Run a cell with this worker's copy of the track; failures become the record's error."""
    _allow_children()
    try:
        track = find_track(source, task.track.subset, task.track.name, task.identity["audio"])
    except SepbenchError as error:
        return task.record(error=str(error))
    return do_task(replace(task, track=track), timeout, isolate=isolate)


def usable(version: str, example: Task, source: Source) -> Callable[[], str | None]:
    """Return a question to a worker of any version: why it cannot be used, or None."""
    where = (source, example.track.subset, example.track.name, example.identity["audio"])

    def ask() -> Any:
        try:
            import sepbench
        except ImportError:
            return "sepbench is not installed there"
        if sepbench.__version__ != version:
            return f"it has sepbench {sepbench.__version__}, this is {version}"
        return reason(*where)

    reason = reason_against
    return ask


def reason_against(source: Source, subset: str, name: str, digest: str) -> str | None:
    """Return why this worker is unusable (no data set, or other audio), or None.

    If stems are kept, it may also lack the run's folder.
    """
    if source.run is not None and not (Path(source.run) / RUN_SETTINGS).is_file():
        return f"{source.run} does not exist; --save-stems needs a folder that all workers share"
    try:
        find_track(source, subset, name, digest)
    except SepbenchError as error:
        return str(error)
    return None


@lru_cache(maxsize=4096)
def find_track(source: Source, subset: str, name: str, digest: str) -> Track:
    """Return this worker's track, after checking its digest.

    Raises `SepbenchError` if the data set or the track is missing, or if the audio differs.
    """
    track = _tracks(source.dataset, source.root).get((subset, name))
    if track is None:
        raise SepbenchError(f"data set {source.dataset} has no track {name!r} here")
    track, here = identified(track, start=source.start, duration=source.duration)
    if here != digest:
        raise SepbenchError(f"track {name}: the audio here is not that of the client")
    return track


@lru_cache(maxsize=4)
def _tracks(dataset: str, root: str | None) -> dict[tuple[str, str], Track]:
    here = Path(root) if root is not None and Path(root).is_dir() else None
    found = open_dataset(dataset, here)
    if not found.is_available:
        raise SepbenchError(
            f"data set {dataset} is not here; set SEPBENCH_DATA where the worker runs, or give a "
            "--root that exists there"
        )
    return {track.song: track for track in found.tracks("all")}


def _allow_children() -> None:
    """Allow this process to start children, although Dask's nanny started it as a daemon.

    multiprocessing forbids it as children might outlive a daemon; those of sepbench do not.
    """
    settings = getattr(multiprocessing.current_process(), "_config", {})
    settings["daemon"] = False
