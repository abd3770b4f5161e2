"""Runs the cells of ``sepbench evaluate``, here or on a cluster, with a progress bar."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sepbench.evaluation.cluster import Cluster
    from sepbench.evaluation.records import Record
    from sepbench.evaluation.run import Done, RunConfig
    from sepbench.evaluation.selection import Selection
    from sepbench.evaluation.store import Store
    from sepbench.registry import Method

_MOST_NOTES = 5
"""Number of notes on tracks that are printed."""


def run_cells(
    selection: Selection,
    methods: Sequence[Method],
    store: Store,
    plan: RunConfig,
    scheduler: str | None,
) -> int:
    """Run all cells, here or on a cluster, with a progress bar; return the number of failures."""
    from sepbench.cli.console import counting
    from sepbench.evaluation import run
    from sepbench.evaluation.shards import shard

    cluster: Cluster | None = None
    tally = _Tally()
    tracks = selection.tracks
    cells = sum(len(chosen) for _, chosen in shard(tracks, methods, plan.shard))
    with counting() as bar:
        task = bar.add_task("starting", total=cells)

        def on_done(done: Done) -> None:
            what = f"{done.record.label}  {done.record.track}"
            if cluster is not None:
                what = f"{cluster.workers} workers  {what}"
            bar.update(task, advance=1, description=what)
            tally.add(done)

        try:
            if scheduler is None:
                run.run(tracks, methods, store, plan, on_done=on_done)
            else:
                cluster = _cluster(scheduler, selection, store, plan)
                run.run_on_cluster(cluster, tracks, methods, store, plan, on_done=on_done)
        except CancelledError:
            raise KeyboardInterrupt from None
    tally.summary()
    return tally.failed


def _cluster(scheduler: str, selection: Selection, store: Store, plan: RunConfig) -> Cluster:
    """Connect to a Dask scheduler, whose workers open the data set by themselves."""
    from sepbench.cli.console import say
    from sepbench.evaluation.cluster import Cluster
    from sepbench.evaluation.remote import Source

    source = Source(
        selection.dataset,
        None if selection.root is None else str(selection.root.absolute()),
        selection.start,
        selection.duration,
        str(store.folder.absolute()) if plan.save_stems else None,
    )
    cluster = Cluster(scheduler, source, timeout=plan.timeout, isolate=plan.isolate, on_worker=say)
    say(f"dashboard: {cluster.dashboard}")
    return cluster


@dataclass
class _Tally:
    """Counts the finished cells of a run, and prints each error and each note once."""

    kept: int = 0
    failed: int = 0
    finished: int = 0
    notes: dict[str, dict[str, None]] = field(default_factory=dict)
    """The tracks of each note, in order."""
    told: set[tuple[str, str]] = field(default_factory=set)
    """Errors that were printed, each with its method or its track."""

    def add(self, done: Done) -> None:
        """Count a cell, and print its error if it is new."""
        from sepbench.cli.console import fail

        record = done.record
        self.kept += done.kept
        self.failed += record.error is not None
        self.finished += 1
        for note in record.notes:
            self.notes.setdefault(note, {})[record.track] = None
        if record.error is not None and self._is_new(record):
            fail(f"{record.label} on {record.track}: {record.error}")

    def _is_new(self, record: Record) -> bool:
        """Return whether an error was not yet printed for its method or, if it names it, track."""
        error = record.error or ""
        reasons = {(record.label, error)}  # The tables say on how many tracks it failed.
        if record.track in error:  # An unreadable track fails every method.
            reasons.add((record.track, error))
        is_new = self.told.isdisjoint(reasons)
        self.told.update(reasons)
        return is_new

    def summary(self) -> None:
        """Print how many scores were there before, and the first notes on tracks."""
        from sepbench.cli.console import say, warn

        if self.kept:
            say(f"{self.kept} of {self.finished} scores were already there")
        for note, tracks in list(self.notes.items())[:_MOST_NOTES]:
            more = f" (and {len(tracks) - 1} more)" if len(tracks) > 1 else ""
            warn(f"{next(iter(tracks))}{more}: {note}")
        if len(self.notes) > _MOST_NOTES:
            more_notes = len(self.notes) - _MOST_NOTES
            warn(f"{more_notes} more notes on tracks are stored with the scores")
