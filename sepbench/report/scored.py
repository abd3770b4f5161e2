"""The rows of a record in tables: one per stem, score and protocol.

Windows are aggregated here, so that tables of many thousand tracks hold few numbers of each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from sepbench.evaluation.records import Record, StemResult
from sepbench.metrics.protocols import PROTOCOLS, Protocol, shown, used
from sepbench.registry.metrics import protocols_of
from sepbench.stems import in_order

Floats = NDArray[np.float64]
T = TypeVar("T")

NAN = float("nan")

POOLED = "pooled"
"""The protocol that needs the windows of all tracks."""

VALUES = ("value", "mixture", "improvement", "frames", "frames_used")
"""The numbers of a row, in this order; see `sepbench.report.tables.SCORE_COLUMNS`."""


class Key(NamedTuple):
    """Key of a row: a stem, its target set, the id of a score, and a protocol."""

    stem: str
    set: str
    score: str
    protocol: str


Windows = Mapping[tuple[str, str], Floats]
"""Scores of windows by stem and score: first row the estimate's, second the mixture's."""


@dataclass(frozen=True)
class Scored:
    """A record and its rows: ``values[r]`` are the numbers (`VALUES`) of ``keys[r]``.

    ``record`` may lack its scores, which are in the rows. ``windows`` returns those for the pooled
    protocol. ``stamp`` changes whenever the record does, and is empty if unknown.
    """

    record: Record
    keys: tuple[Key, ...]
    values: Floats
    windows: Callable[[], Windows]
    stamp: str = ""

    def of_stems(self, stems: Sequence[str]) -> Scored:
        """Return the rows of these stems only."""
        kept = [row for row, key in enumerate(self.keys) if key.stem in stems]
        record = self.record
        results = {name: result for name, result in record.stems.items() if name in stems}
        return replace(
            self,
            record=replace(record, stems=results),
            keys=tuple(self.keys[row] for row in kept),
            values=self.values[kept],
        )


def of_metric(record: Record, metric: str, stems: Sequence[str] | None = None) -> Record:
    """Return a record with the scores of one metric, as `shown`, and of some stems.

    Rows of these take a small part of the time of all rows.
    """
    return replace(
        record,
        stems={
            name: replace(
                result,
                frames=_only(metric, result.frames),
                totals=_only(metric, result.totals),
            )
            for name, result in record.stems.items()
            if stems is None or name in stems
        },
    )


def _only(metric: str, values: dict[str, T]) -> dict[str, T]:
    return {score: value for score, value in values.items() if shown(score) == metric}


def scored(record: Record) -> Scored:
    """Return a record with its rows, in the order of tables."""
    keys, rows = [], []
    pairs: dict[tuple[str, str], Floats] = {}
    for stem in in_order(record.stems):
        result = record.stems[stem]
        known: dict[tuple[str, str], _OfTrack] = {}
        for protocol, score in measured(result):
            what = score, "" if protocol.source == "totals" else protocol.over_windows or "median"
            if what not in known and protocol.source == "totals":
                known[what] = _of_total(result, score)
            elif what not in known:
                if (stem, score) not in pairs:
                    pairs[stem, score] = _paired(result, score)
                known[what] = _of_windows(pairs[stem, score], protocol)
            keys.append(Key(stem, result.set, score, protocol.id))
            rows.append(_numbers(known[what], protocol.of(shown(score))))
    values = np.array(rows, dtype=np.float64).reshape(len(rows), len(VALUES))
    pooled = PROTOCOLS[POOLED].metrics
    windows = {what: pair for what, pair in pairs.items() if what[1] in pooled}
    return Scored(record, tuple(keys), values, lambda: windows)


def measured(result: StemResult) -> list[tuple[Protocol, str]]:
    """Return the protocols of a stem's scores, each with its scores."""
    return [
        (protocol, score)
        for protocol in protocols_of([*result.frames, *result.totals]).values()
        for score in protocol.metrics
        if score in (result.frames if protocol.source == "frames" else result.totals)
    ]


class _OfTrack(NamedTuple):
    """The scores of a track, of the estimate and of the mixture, and of how many windows."""

    value: float
    mixture: float
    windows: int
    share: float


def _of_total(result: StemResult, score: str) -> _OfTrack:
    pair = result.totals[score], result.mixture_totals.get(score, NAN)
    value, floor = (one if math.isfinite(one) else NAN for one in pair)
    return _OfTrack(value, floor, 1, float(math.isfinite(value)))


def _of_windows(pair: Floats, protocol: Protocol) -> _OfTrack:
    value, floor = map(protocol.of_track, pair)
    return _OfTrack(value, floor, pair.shape[1], used(pair[0]))


def _numbers(found: _OfTrack, protocol: Protocol) -> list[float]:
    improvement = protocol.goodness(found.value) - protocol.goodness(found.mixture)
    return [found.value, found.mixture, improvement, found.windows, found.share]


def _paired(result: StemResult, score: str) -> Floats:
    """Return the scores of the estimate and of the mixture in their common windows."""
    estimate = result.frames[score]
    mixture = result.mixture_frames.get(score, [NAN] * len(estimate))
    pair = np.array([estimate, mixture], dtype=np.float64)
    pair[1, ~np.isfinite(pair[0])] = NAN
    return pair
