"""Methods whose facts cannot be read, such as one with a wrong card: each costs its own row."""

from __future__ import annotations

from collections.abc import Sequence

import sepbench
from sepbench.datasets.base import Track
from sepbench.errors import SepbenchError
from sepbench.evaluation.identified import identified
from sepbench.evaluation.records import Record
from sepbench.evaluation.store import Store
from sepbench.evaluation.task import record_of
from sepbench.registry import Method, why_unusable

Part = Sequence[tuple[Track, list[Method]]]
"""Tracks, and the methods to run on each."""


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
    _, digest = identified(track, start=settings.start, duration=settings.duration)
    identity = {
        "sepbench": sepbench.__version__,
        "method": method.name,
        "options": vars(method.options),
        "audio": digest,
    }
    return record_of(method, track, settings, identity, error=method.reason(error))
