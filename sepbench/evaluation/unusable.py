"""Methods whose facts cannot be read, such as one with a wrong card: each costs its own row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sepbench
from sepbench.datasets.base import Track
from sepbench.errors import MethodError, SepbenchError
from sepbench.evaluation.records import Record, fingerprint
from sepbench.evaluation.store import Store
from sepbench.registry import Method

Part = Sequence[tuple[Track, list[Method]]]
"""Tracks, and the methods to run on each."""


def why_unusable(methods: Iterable[Method]) -> dict[str, SepbenchError]:
    """Return why methods cannot be used, by label; usable ones are left out."""
    found = {}
    for method in methods:
        try:
            _ = method.identity, method.declared.stems
        except SepbenchError as error:
            found[method.label] = error
    return found


def refuse_unusable(part: Part, store: Store) -> tuple[Part, list[Record]]:
    """Return the cells of usable methods, and a record of failure for each other cell.

    Failures are stored where there are no scores: older ones stay until the method is usable again.
    """
    faults = why_unusable({one.label: one for _, methods in part for one in methods}.values())
    if not faults:
        return part, []
    usable = [
        (track, [one for one in methods if one.label not in faults]) for track, methods in part
    ]
    failed = [
        _failure(track, method, faults[method.label], store)
        for track, methods in part
        for method in methods
        if method.label in faults
    ]
    for record in failed:
        if store.load(record.label, record.subset, record.track) is None:
            store.save(record)
    return usable, failed


def _failure(track: Track, method: Method, error: SepbenchError, store: Store) -> Record:
    settings = store.settings
    identity = {
        "sepbench": sepbench.__version__,
        "method": method.name,
        "options": vars(method.options),
        "audio": track.digest(start=settings.start, duration=settings.duration),
    }
    return Record(
        dataset=settings.dataset,
        subset=track.subset,
        track=track.name,
        label=method.label,
        method=method.name,
        options=vars(method.options),
        fingerprint=fingerprint(identity),
        identity=identity,
        error=reason(method, error),
        oracle=method.is_oracle,
    )


def reason(method: Method, error: SepbenchError) -> str:
    """Return why a method failed; only other methods, such as its members, are named."""
    if isinstance(error, MethodError) and error.method in (method.label, method.name):
        return error.reason
    return str(error)
