"""Runs methods on tracks: skips what is done, isolates what fails, keeps every score at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import Any

import sepbench
from sepbench.datasets.base import Track
from sepbench.evaluation.ahead import separated_ahead
from sepbench.evaluation.store import Record, Settings, Store, fingerprint
from sepbench.evaluation.workers import Cells, Task, do_cells, new_pool
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
    executor: Executor | None = None,
) -> list[Record]:
    """Score every method on every track that the store does not hold yet; return all records.

    Tracks are the outer loop: what the scores need of the references alone is computed once a
    track and serves all methods. The pending cells of a track are one call to `do_cells`, made in
    ``plan.jobs`` threads, or by ``executor``, whose processes must reach the store's folder.
    ``on_done`` is called after each cell, from any thread; with an ``executor``, when a track is
    done.
    """
    records: list[Record] = []

    def finish(record: Record, *, kept: bool = False) -> None:
        records.append(record)
        on_done(Done(record, kept))

    def pending(track: Track) -> Cells:
        tasks = []
        for task in _tasks(track, methods, store.settings, store, plan):
            known = _known(task, store)
            if known is not None:
                finish(known, kept=True)
            else:
                tasks.append(replace(task, made=ahead.get(task.fingerprint)))
        return Cells(tuple(tasks), store.folder.absolute(), plan.timeout, plan.isolate)

    with separated_ahead(
        _pending_batches(tracks, methods, store, plan),
        store.folder.absolute(),
        timeout=plan.timeout,
        isolate=plan.isolate,
    ) as ahead:
        _do_all(tracks, pending, plan, finish, executor)
    return records


def _do_all(
    tracks: Sequence[Track],
    pending: Callable[[Track], Cells],
    plan: RunConfig,
    finish: Callable[[Record], None],
    executor: Executor | None,
) -> None:
    """Do the pending cells of all tracks, by an executor or in threads."""
    if executor is not None:
        calls = [executor.submit(do_cells, cells) for cells in map(pending, tracks) if cells.tasks]
        for call in as_completed(calls):
            for record in call.result():
                finish(record)
        return

    pool = new_pool(plan.timeout, isolate=plan.isolate)

    def one_track(track: Track) -> None:
        cells = pending(track)
        if cells.tasks:
            do_cells(cells, pool=pool, on_done=finish)

    _in_threads(one_track, tracks, plan.jobs, stop=pool.stop)


def _pending_batches(
    tracks: Sequence[Track], methods: Sequence[Method], store: Store, plan: RunConfig
) -> list[Task]:
    """Return the tasks to be done of methods that take many songs at once."""
    batching = [method for method in methods if method.declared.batch]
    return [
        task
        for track in (tracks if batching else ())
        for task in _tasks(track, batching, store.settings, store, plan)
        if _known(task, store) is None
    ]


def _known(task: Task, store: Store) -> Record | None:
    """Return the record of a task, if the store has it and all that was asked for with it."""
    known = store.load(task.method.label, task.track.subset, task.track.name)
    return known if known is not None and _covers(known, task) and _has_stems(task) else None


def _in_threads(
    function: Callable[[Track], None], tracks: Sequence[Track], jobs: int, stop: Callable[[], None]
) -> None:
    """Call a function for each track, in threads; the first to raise ends all others."""
    stopped = threading.Event()

    def call(track: Track) -> None:
        if stopped.is_set():
            return
        try:
            function(track)
        except BaseException:
            stopped.set()
            raise

    with ThreadPoolExecutor(min(jobs, len(tracks))) as threads:
        try:
            for future in as_completed([threads.submit(call, track) for track in tracks]):
                future.result()
        finally:
            stopped.set()
            stop()


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
