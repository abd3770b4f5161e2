"""Records: the scores of one method on one track."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sepbench._util.text import composed


@dataclass(frozen=True)
class StemResult:
    """The scores of one stem of one track.

    ``frames`` and ``totals`` are the scores of the estimate per window and per track, by metric;
    ``mixture_frames`` and ``mixture_totals`` those of the unprocessed mixture. ``targets`` names
    the stems scored together with it; ``notes`` says why a score is missing or unreliable.
    """

    targets: tuple[str, ...]
    frames: dict[str, list[float]]
    totals: dict[str, float]
    mixture_frames: dict[str, list[float]] = field(default_factory=dict)
    mixture_totals: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def set(self) -> str:
        """The targets as tables show them, such as ``vocals+accompaniment``."""
        return "+".join(self.targets)


@dataclass(frozen=True)
class Record:
    """One method on one track: its scores, or why it failed.

    ``error`` does not repeat the method's name; ``track`` is kept in Unicode NFC, as by a `Track`.
    """

    dataset: str
    subset: str
    track: str
    label: str
    method: str
    options: dict[str, Any]
    fingerprint: str
    identity: dict[str, Any]
    stems: dict[str, StemResult] = field(default_factory=dict)
    seconds: float | None = None
    audio_seconds: float | None = None
    peak_bytes: int | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None
    oracle: bool = False
    trained_on_this: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "track", composed(self.track))

    @property
    def song(self) -> tuple[str, str]:
        """Subset and track."""
        return self.subset, self.track

    @property
    def fixed_identity(self) -> dict[str, Any]:
        """Everything that made the scores, except the song and the metrics."""
        return {k: v for k, v in self.identity.items() if k not in ("audio", "metrics")}


def same_but_metrics(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two identities differ in nothing but their metrics.

    >>> same_but_metrics({"audio": "a", "metrics": ["sdr"]}, {"audio": "a", "metrics": []})
    True
    """
    return fingerprint({**one, "metrics": []}) == fingerprint({**other, "metrics": []})


_OF_SOUND = ("audio", "method", "version", "options", "weights", "provenance", "estimates", "align")


def of_sound(identity: Mapping[str, Any]) -> str:
    """Return the sha256, in hex, over what stems are made of, wherever and however they are scored.

    >>> of_sound({"audio": "a", "metrics": ["sdr"]}) == of_sound({"audio": "a", "targets": "musdb"})
    True
    """
    return fingerprint(_of_sound(identity))


def _of_sound(identity: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: identity[name] for name in _OF_SOUND if name in identity}
    return {**known, "members": [_of_sound(member) for member in identity.get("members", ())]}


def missing_metrics(metrics: Iterable[str], known: Mapping[str, Any]) -> list[str]:
    """Return the metrics of a known identity that are not among others in any version.

    >>> missing_metrics(["peaq 2", "sdr"], {"metrics": ["level", "peaq", "sdr"]})
    ['level']
    """
    names = {name for metric in metrics for name in _names(metric)}
    return [metric for metric in known.get("metrics", ()) if not names & _names(metric)]


def _names(metric: str) -> set[str]:
    """Return the identity of a metric, and its label if the identity ends in a version."""
    label = metric.rpartition(" ")[0]
    return {metric, label} if label and label.count("[") == label.count("]") else {metric}


def with_scores_of(record: Record, known: Record) -> Record:
    """Return a record with the scores of metrics that only a known one has.

    Both must be of the same but their metrics, see `same_but_metrics`.
    """
    metrics = record.identity.get("metrics", ())
    more = missing_metrics(metrics, known.identity)
    if not more:
        return record
    identity = {**record.identity, "metrics": sorted([*metrics, *more])}
    stems = {
        name: _joined(result, known.stems[name]) if name in known.stems else result
        for name, result in record.stems.items()
    }
    return replace(record, identity=identity, fingerprint=fingerprint(identity), stems=stems)


def _joined(result: StemResult, known: StemResult) -> StemResult:
    if result.targets != known.targets:
        return result
    return StemResult(
        result.targets,
        frames={**known.frames, **result.frames},
        totals={**known.totals, **result.totals},
        mixture_frames={**known.mixture_frames, **result.mixture_frames},
        mixture_totals={**known.mixture_totals, **result.mixture_totals},
        notes=tuple(dict.fromkeys([*known.notes, *result.notes])),
    )


def sort_key(record: Record) -> tuple[str, str, str, str]:
    """Return the sort key of records, independent of when they were made."""
    return record.subset, record.track, record.label, record.error or ""


def fingerprint(identity: Mapping[str, Any]) -> str:
    """Return the sha256, in hex, over everything that affects a score.

    >>> fingerprint({"b": 1, "a": 2}) == fingerprint({"a": 2, "b": 1})
    True
    """
    text = json.dumps(identity, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
