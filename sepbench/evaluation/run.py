"""Runs methods on tracks: skips finished cells, isolates failures, stores every score at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import starmap
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

import sepbench
from sepbench._util.arguments import is_finite, is_integer
from sepbench.datasets.base import Track
from sepbench.errors import SepbenchError
from sepbench.evaluation.ahead import separated_ahead
from sepbench.evaluation.identified import identified, unidentified
from sepbench.evaluation.records import Record
from sepbench.evaluation.shards import is_part, shard
from sepbench.evaluation.store import Store
from sepbench.evaluation.stored import found, refuse_imported
from sepbench.evaluation.task import Task
from sepbench.evaluation.trained import was_trained_on
from sepbench.evaluation.unusable import Part, refuse_unusable
from sepbench.evaluation.workers import Cells, do_cells, new_pool
from sepbench.inference import overlap_add
from sepbench.registry import Method
from sepbench.registry.metrics import metric_identities
from sepbench.stems import STEMS

if TYPE_CHECKING:
    from sepbench.evaluation.cluster import Cluster

T = TypeVar("T")


@dataclass(frozen=True)
class RunConfig:
    """How to run methods on tracks.

    ``device`` is a resolved name such as ``cpu`` or ``cuda:0``; ``timeout`` counts seconds a
    method may take on a track, without loading, reading and scoring; ``isolate`` runs separators in
    separate processes, so that a crash costs one row. Several ``devices`` of one kind work on
    different tracks.
    ``shard`` is ``(I, N)``: the I-th of N parts of the cells, from 1. ``targets`` is ``largest`` or
    ``musdb``, see `sepbench.evaluation.scoring.target_sets`. Raises `SepbenchError` for values that
    are not so, and for a timeout without separate processes.
    """

    metrics: tuple[str, ...] = ("sdr",)
    device: str = "cpu"
    devices: tuple[str, ...] = ()
    shard: tuple[int, int] | None = None
    jobs: int = 1
    timeout: float | None = None
    isolate: bool = True
    save_stems: bool = False
    targets: str = "largest"

    def __post_init__(self) -> None:
        if not is_integer(self.jobs, least=1):
            raise SepbenchError(f"jobs={self.jobs!r}: give a whole number from 1 on")
        if self.shard is not None and not is_part(self.shard):
            raise SepbenchError(f"shard={self.shard!r}: give (I, N), the I-th of N parts, from 1")
        if self.targets not in ("largest", "musdb"):
            raise SepbenchError(f"targets={self.targets!r}: give 'largest' or 'musdb'")
        if self.timeout is not None and not is_finite(self.timeout, above=0):
            raise SepbenchError(f"timeout={self.timeout!r}: give seconds above 0, or None")
        if self.timeout is not None and not self.isolate:
            raise SepbenchError(
                "a timeout ends a method's process, which --no-isolate (isolate=False) does not "
                "start; leave one of the two out"
            )


@dataclass(frozen=True)
class Done:
    """A finished cell: its record, and whether it was already in the store."""

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
    """Score all cells (method and track) that are not yet in the store; return all records.

    Tracks are the outer loop, so that the parts of scores that depend only on the references are
    computed once per track. The pending cells of a track are one call to `do_cells`, made in
    ``plan.jobs`` threads, or by ``executor``, whose processes must share the store's folder.
    ``on_done`` is called after each cell, from any thread; with an ``executor``, after each track.
    Raises `SepbenchError` where a method has the name of imported scores.
    """
    records: list[Record] = []

    def finish(record: Record, *, kept: bool = False) -> None:
        records.append(record)
        on_done(Done(record, kept))

    refuse_imported(tracks, methods, store)
    part, failed = refuse_unusable(shard(tracks, methods, plan.shard), store)
    for record in failed:
        finish(record)

    def pending(track: Track, chosen: Sequence[Method]) -> Cells:
        tasks = []
        for task in _tasks(track, chosen, store, plan):
            known = found(task, store)
            if isinstance(known, Record):
                finish(known, kept=True)
            else:
                tasks.append(replace(known, made=ahead.get(known.fingerprint)))
        return Cells(tuple(tasks), store.folder.absolute(), plan.timeout, plan.isolate)

    with separated_ahead(
        _pending_batches(part, store, plan),
        store.folder.absolute(),
        timeout=plan.timeout,
        isolate=plan.isolate,
    ) as ahead:
        _do_all(part, pending, plan, finish, executor)
    return records


def _do_all(
    part: Part,
    pending: Callable[[Track, Sequence[Method]], Cells],
    plan: RunConfig,
    finish: Callable[[Record], None],
    executor: Executor | None,
) -> None:
    """Run the pending cells of all tracks, by an executor or in threads."""
    if executor is not None:
        calls = [executor.submit(do_cells, one) for one in starmap(pending, part) if one.tasks]
        for call in as_completed(calls):
            for record in call.result():
                finish(record)
        return

    pool = new_pool(plan.timeout, isolate=plan.isolate)

    free: SimpleQueue[str] = SimpleQueue()
    for device in plan.devices or (plan.device,) * plan.jobs:
        free.put(device)

    def one_track(of_track: tuple[Track, list[Method]]) -> None:
        cells = pending(*of_track)
        if not cells.tasks:
            return
        device = free.get()
        try:
            tasks = tuple(replace(task, device=device) for task in cells.tasks)
            do_cells(replace(cells, tasks=tasks), pool=pool, on_done=finish)
        finally:
            free.put(device)

    _in_threads(one_track, part, len(plan.devices) or plan.jobs, stop=pool.stop)


def run_on_cluster(
    cluster: Cluster,
    tracks: Sequence[Track],
    methods: Sequence[Method],
    store: Store,
    plan: RunConfig,
    *,
    on_done: Callable[[Done], None] = lambda done: None,
) -> None:
    """Score pending cells on the workers of a cluster, and store the records.

    Memory does not grow with the number of cells. Raises `SepbenchError` if no worker is usable,
    and where a method has the name of imported scores.
    """

    refuse_imported(tracks, methods, store)
    part, failed = refuse_unusable(shard(tracks, methods, plan.shard), store)
    for record in failed:
        on_done(Done(record, kept=False))

    def cells() -> Iterator[list[Task]]:
        for track, chosen in part:
            pending = []
            for task in _tasks(track, chosen, store, plan):
                known = found(task, store)
                if isinstance(known, Record):
                    on_done(Done(known, kept=True))
                else:
                    pending.append(known)
            if pending:
                yield pending

    for record in cluster.run(cells()):
        store.save(record)
        on_done(Done(record, kept=False))


def _pending_batches(part: Part, store: Store, plan: RunConfig) -> list[Task]:
    """Return the pending tasks of batch methods."""
    batching = [
        (track, [method for method in chosen if method.declared.batch]) for track, chosen in part
    ]
    known = (
        found(task, store)
        for track, chosen in batching
        if chosen
        for task in _tasks(track, chosen, store, plan)
    )
    return [task for task in known if isinstance(task, Task)]


def _in_threads(
    function: Callable[[T], None], tracks: Sequence[T], jobs: int, stop: Callable[[], None]
) -> None:
    """Call a function for each track, in threads; the first exception ends all others."""
    stopped = threading.Event()

    def call(track: T) -> None:
        if stopped.is_set():
            return
        try:
            function(track)
        except BaseException:
            stopped.set()
            raise

    with ThreadPoolExecutor(max(1, min(jobs, len(tracks)))) as threads:
        try:
            for future in as_completed([threads.submit(call, track) for track in tracks]):
                future.result()
        finally:
            stopped.set()
            stop()


def _tasks(
    track: Track, methods: Iterable[Method], store: Store, plan: RunConfig
) -> Iterator[Task]:
    settings = store.settings
    track, digest = identified(track, start=settings.start, duration=settings.duration)
    for method in methods:
        song, mark, is_trained = track, digest, False
        try:
            is_trained = was_trained_on(method.declared, track)
        except Exception as error:  # The data set may be a plugin's, as above.
            song, mark = unidentified(track, error)
        identity = _identity(method, song, mark, plan)
        folder = store.stems_folder(method.label, track.subset, track.name)
        yield Task(
            track=song,
            settings=settings,
            method=method,
            metrics=plan.metrics,
            device=plan.device,
            stems_folder=folder.absolute() if plan.save_stems else None,
            identity=identity,
            trained_on_this=is_trained,
            musdb_targets=plan.targets == "musdb",
        )


def _identity(method: Method, track: Track, digest: str, plan: RunConfig) -> dict[str, Any]:
    """Collect everything that affects the scores of this method on this track."""
    made = set(method.declared.stems)
    # The accompaniment of such methods was once scored without their guitar.
    has_more = "other" in made - set(track.stems) and not made <= set(STEMS)
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
        **({} if plan.targets == "largest" else {"targets": plan.targets}),
        **({"accompaniment": "with all stems"} if has_more else {}),
    }
