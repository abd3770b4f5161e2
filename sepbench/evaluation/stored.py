"""What a run already has of a task: a finished record, or scores that a new one must keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from sepbench.datasets.base import Track
from sepbench.errors import SepbenchError
from sepbench.evaluation.records import Record, fingerprint, missing_metrics, same_but_metrics
from sepbench.evaluation.store import Store
from sepbench.evaluation.task import Task
from sepbench.registry import Method
from sepbench.registry.metrics import metric_identities, resolve_metrics


def found(task: Task, store: Store) -> Record | Task:
    """Return the stored record of a task, if it has everything that was requested, or the task.

    A task whose record lacks metrics or stems gets the metrics of the record too, so that no score
    is lost. Stems that were kept of other audio or weights are removed. Raises `SepbenchError` for
    scores of a metric that cannot be computed any more.
    """
    place = task.method.label, task.track.subset, task.track.name
    known = store.load(*place)
    if known is not None and _covers(known, task) and _has_stems(known, task):
        return known
    if known is not None and same_but_metrics(known.identity, task.identity):
        metrics = with_metrics_of(known, task.metrics, store)
        identity = {**task.identity, "metrics": metric_identities(metrics)}
        return replace(task, metrics=metrics, identity=identity)
    if known is not None and task.stems_folder is None:
        store.remove_stems(*place)  # They would be played next to the new scores.
    return task


def refuse_imported(tracks: Iterable[Track], methods: Iterable[Method], store: Store) -> None:
    """Raise `SepbenchError` where a method has the name of scores that were imported."""
    tracks = list(tracks)
    for method in methods:
        records = (store.load(method.label, track.subset, track.name) for track in tracks)
        known = next((record for record in records if record is not None), None)
        if known is not None and "method" not in known.identity:
            raise SepbenchError(
                f"{store.folder} has imported scores called {method.label!r}; choose another --out"
            )


def _covers(known: Record, task: Task) -> bool:
    """Return whether a record is of the same task, perhaps with more metrics."""
    has, wants = known.identity, task.identity
    # Runs of earlier versions do not name sdr, which was always computed.
    more = {"sdr", *has.get("metrics", ())} >= set(wants["metrics"])
    same = more and fingerprint({**has, "metrics": wants["metrics"]}) == task.fingerprint
    return same and _has_scores(known, task.metrics)


def _has_scores(known: Record, metrics: Sequence[str]) -> bool:
    """Return whether a record has every score of metrics; a plugin may have renamed some since."""
    chosen = resolve_metrics(metrics)
    frames = {metric.id_of(score) for metric in chosen for score in metric.frames}
    totals = {metric.id_of(score) for metric in chosen for score in metric.totals}
    return all(
        frames <= result.frames.keys() and totals <= result.totals.keys()
        for result in known.stems.values()
    )


def _has_stems(known: Record, task: Task) -> bool:
    folder, declared = task.stems_folder, task.method.declared
    if folder is None:
        return True
    # An oracle makes those of its stems that the song has.
    names = [name for name in declared.stems if not known.oracle or name in known.stems]
    return all((folder / f"{name}.wav").is_file() for name in names)


def with_metrics_of(known: Record, metrics: Sequence[str], store: Store) -> tuple[str, ...]:
    """Return metrics and those of a record too, in their present versions.

    Raises `SepbenchError` for one that cannot be computed any more.
    """
    more = list(metrics)
    for name in missing_metrics(metric_identities(metrics), known.identity):
        spec = _installed(name)
        if spec is None:
            raise SepbenchError(
                f"{store.folder}: {known.label}, {known.track}: its scores of {name}, which is not "
                "installed, would be lost; install it again, or choose another --out"
            )
        more.append(spec)
    return tuple(more)


def _installed(identity: str) -> str | None:
    """Return how to write the metric of an identity, which may end in another version, or None."""
    for spec in (identity, identity.rpartition(" ")[0]):
        with suppress(SepbenchError):
            if spec and metric_identities([spec]):
                return spec
    return None
