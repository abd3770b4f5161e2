"""Runs methods on tracks: skips what is done, isolates what fails, keeps every score at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from joblib import Parallel, delayed

import sepbench
from sepbench._util.process import WorkerDied, WorkerProcess
from sepbench.datasets.base import Track
from sepbench.evaluation.store import Record, Settings, Store, fingerprint
from sepbench.evaluation.workers import Task, work
from sepbench.inference import overlap_add
from sepbench.registry import Method
from sepbench.registry.metrics import metric_identities
from sepbench.separator import AnySeparator

SHARED = {"medleydb/train": "musdb18/train"}
"""Songs under two names: the Music Delta songs of MedleyDB are in MUSDB18's training set too."""


@dataclass(frozen=True)
class RunConfig:
    """What to run and how, apart from the methods and tracks themselves.

    ``device`` is a resolved name such as ``cpu`` or ``cuda:0``; ``timeout`` counts seconds a
    method may take on a track; ``isolate`` runs separators in processes of their own, so that
    one that crashes costs one row.
    """

    metrics: tuple[str, ...] = ("sdr",)
    device: str = "cpu"
    jobs: int = 1
    timeout: float | None = None
    isolate: bool = True
    save_stems: bool = False


@dataclass(frozen=True)
class Done:
    """One cell of the matrix is finished: its record, and whether it was there already."""

    record: Record
    kept: bool


def run(
    tracks: Sequence[Track],
    methods: Sequence[Method],
    store: Store,
    plan: RunConfig,
    *,
    on_done: Callable[[Done], None] = lambda done: None,
) -> list[Record]:
    """Score every method on every track that the store does not hold yet; return all records.

    Tracks are the outer loop: what the scores need of the references alone is computed once a
    track and serves all methods. ``on_done`` is called after each cell, from worker threads.
    """
    settings = store.settings
    records: list[Record] = []

    def finish(record: Record, *, kept: bool) -> None:
        records.append(record)
        on_done(Done(record, kept))

    def one_track(track: Track) -> None:
        pending = []
        for task in _tasks(track, methods, settings, store, plan):
            known = store.load(task.method.label, track.subset, track.name)
            if known is not None and _covers(known, task) and _has_stems(task):
                finish(known, kept=True)
            else:
                pending.append(task)
        if not pending:
            return
        lane = free.get()
        try:
            for task in pending:
                record = _isolated(task, lane) if plan.isolate else work(task)
                store.save(record)
                finish(record, kept=False)
        finally:
            free.put(lane)

    jobs = min(plan.jobs, len(tracks))
    lanes = [WorkerProcess(work, timeout=plan.timeout) for _ in range(jobs)]
    free: SimpleQueue[WorkerProcess[Task, Record]] = SimpleQueue()
    for lane in lanes:
        free.put(lane)
    try:
        Parallel(n_jobs=jobs, backend="threading")(delayed(one_track)(t) for t in tracks)
    finally:
        for lane in lanes:
            lane.stop()
    return records


def _isolated(task: Task, lane: WorkerProcess[Task, Record]) -> Record:
    try:
        return lane.run(task)
    except WorkerDied as death:
        return task.record(error=f"method {task.method.label}: {death}")


def _tasks(
    track: Track, methods: Iterable[Method], settings: Settings, store: Store, plan: RunConfig
) -> Iterator[Task]:
    digest = track.digest(start=settings.start, duration=settings.duration)
    for method in methods:
        identity = _identity(method, digest, plan)
        folder = store.stems_folder(method.label, track.subset, track.name)
        yield Task(
            track=track,
            settings=settings,
            method=method,
            metrics=plan.metrics,
            device=plan.device,
            stems_folder=folder if plan.save_stems else None,
            identity=identity,
            fingerprint=fingerprint(identity),
            trained_on_this=_has_heard(method.declared, track),
        )


def _has_heard(separator: AnySeparator, track: Track) -> bool:
    """Tell whether a separator was trained on songs of the subset that a track is in."""
    heard = set(separator.trained_on)
    heard |= {SHARED[name] for name in heard & set(SHARED)}
    return bool(heard & set(track.part_of))


def _identity(method: Method, digest: str, plan: RunConfig) -> dict[str, Any]:
    """Collect everything that can change a score of this method on this track."""
    return {
        "sepbench": sepbench.__version__,
        **method.identity,
        "audio": digest,
        "blocks": [
            method.declared.block_alignment,
            overlap_add.BLOCK_SECONDS,
            overlap_add.FADE_SECONDS,
        ],
        "device": plan.device.partition(":")[0],
        "metrics": metric_identities(plan.metrics),
    }


def _covers(known: Record, task: Task) -> bool:
    """Tell whether a record is of this very task, perhaps with more sets of scores."""
    has, wants = known.identity, task.identity
    # Runs of earlier versions do not name sdr, which was computed all the same.
    more = {"sdr", *has.get("metrics", ())} >= set(wants["metrics"])
    return more and fingerprint({**has, "metrics": wants["metrics"]}) == task.fingerprint


def _has_stems(task: Task) -> bool:
    folder = task.stems_folder
    return folder is None or all(
        (folder / f"{name}.wav").is_file() for name in task.method.declared.stems
    )
