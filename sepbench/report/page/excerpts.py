"""Chooses excerpts to listen to: the songs and seconds where methods differ most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sepbench.evaluation.records import Record
from sepbench.stems import in_order

SECONDS = 12
"""Length of an excerpt; windows of scores are one second."""

MIXTURE = "mixture"


@dataclass(frozen=True)
class Excerpt:
    """An excerpt of a track for one stem; ``start`` is in seconds from the run's part.

    ``spread`` is the mean of the standard deviation of SDR between methods, in dB, over its windows
    in which two methods or more have scores. By ``weight`` it was chosen: there windows without
    scores count as 0, and SDRs beyond 30 dB as 30.
    """

    subset: str
    track: str
    stem: str
    start: float
    seconds: float
    spread: float
    weight: float

    @property
    def song(self) -> tuple[str, str]:
        """Subset and track."""
        return self.subset, self.track

    @property
    def reason(self) -> str:
        """The reason of the choice."""
        if not self.spread > 0:
            return "the beginning: fewer than two methods have scores by window"
        return (
            "where methods differ most: their SDR varies by "
            f"{self.spread:.1f} dB (standard deviation between methods)"
        )


def choose(records: Sequence[Record], tracks: int) -> list[Excerpt]:
    """Return an excerpt for each stem of the ``tracks`` songs on which methods differ most."""
    of_track: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.error is None:
            of_track.setdefault(record.song, []).append(record)
    found = {key: _of_track(key, group) for key, group in of_track.items()}
    ranked = sorted(
        (key for key, excerpts in found.items() if excerpts),
        key=lambda key: (-max(one.weight for one in found[key]), key),
    )
    return [excerpt for key in ranked[:tracks] for excerpt in found[key]]


def _of_track(key: tuple[str, str], records: Sequence[Record]) -> list[Excerpt]:
    excerpts = []
    # A stem that only oracles make needs no judgement.
    judged = [record for record in records if not record.oracle and record.method != MIXTURE]
    for stem in in_order(name for record in judged or records for name in record.stems):
        frames = [
            record.stems[stem].frames["SDR"]
            for record in judged
            if stem in record.stems and "SDR" in record.stems[stem].frames
        ]
        # Imported scores do not say how long the song is, but have a window for each second.
        windows = min(map(len, frames), default=0) or SECONDS
        seconds = min((r.audio_seconds for r in records if r.audio_seconds), default=windows)
        start, spread, weight = _widest(frames)
        length = min(float(SECONDS), float(seconds) - start)
        excerpts.append(Excerpt(*key, stem, float(start), length, spread, weight))
    return excerpts


def _widest(frames: Sequence[Sequence[float]]) -> tuple[int, float, float]:
    """Return the first second of the widest spread between methods, that spread, and its weight."""
    lengths = {len(scores) for scores in frames}
    if len(frames) < 2 or len(lengths) > 1 or lengths == {0}:
        return 0, 0.0, 0.0
    scores = np.array(frames, dtype=np.float64)
    weights = np.nan_to_num(_spreads(np.clip(scores, -30, 30)))
    length = min(SECONDS, len(weights))
    sums: NDArray[np.float64] = np.convolve(weights, np.ones(length), mode="valid")
    start = int(sums.argmax())
    within = _spreads(np.where(np.isfinite(scores), scores, np.nan))[start : start + length]
    counted = within[np.isfinite(within)]
    spread = float(counted.mean()) if counted.size else 0.0
    return start, spread, float(sums[start] / length)


def _spreads(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the deviation of each window; NaN where fewer than two methods have scores."""
    counted = np.isfinite(scores).sum(axis=0) >= 2
    found = np.full(scores.shape[1], np.nan)
    found[counted] = np.nanstd(scores[:, counted], axis=0)
    return found
