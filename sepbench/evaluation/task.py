"""The task of a cell: one method on one track, and the record of its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sepbench.datasets.base import Track
from sepbench.evaluation.records import Record, fingerprint
from sepbench.evaluation.scoring import SongKey
from sepbench.evaluation.store import Settings
from sepbench.inference.batch import Made
from sepbench.registry import Method


@dataclass(frozen=True)
class Task:
    """A method, a track, and everything else that a `Record` contains."""

    track: Track
    settings: Settings
    method: Method
    metrics: tuple[str, ...]
    device: str
    stems_folder: Path | None
    identity: dict[str, Any]
    trained_on_this: bool
    made: Made | None = None
    """Stems that the method made earlier, in a batch."""
    musdb_targets: bool = False

    @cached_property
    def fingerprint(self) -> str:
        """The hash of everything that affects the scores."""
        return fingerprint(self.identity)

    def record(self, **results: Any) -> Record:
        """Return the record of this task with these results, or with an ``error``."""
        results["trained_on_this"] = self.trained_on_this
        return record_of(self.method, self.track, self.settings, self.identity, **results)

    @property
    def song_key(self) -> SongKey:
        """Identifies the song and how it is scored."""
        audio = str(self.identity["audio"])
        return (self.settings, self.track.subset, self.track.name, audio, self.metrics, self.device)


def record_of(
    method: Method, track: Track, settings: Settings, identity: Mapping[str, Any], **results: Any
) -> Record:
    """Return the record of a method on a track with its results, or with an ``error``."""
    return Record(
        dataset=settings.dataset,
        subset=track.subset,
        track=track.name,
        label=method.label,
        method=method.name,
        options=vars(method.options),
        fingerprint=fingerprint(identity),
        identity=dict(identity),
        oracle=method.is_oracle,
        **results,
    )
