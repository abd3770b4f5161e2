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

    ``spread`` is the mean over its windows of the standard deviation of SDR between methods, in dB.
    """

    subset: str
    track: str
    stem: str
    start: float
    seconds: float
    spread: float

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
        key=lambda key: (-max(one.spread for one in found[key]), key),
    )
    return [excerpt for key in ranked[:tracks] for excerpt in found[key]]


def _of_track(key: tuple[str, str], records: Sequence[Record]) -> list[Excerpt]:
    excerpts = []
    # Of a stem that only oracles make there is nothing to judge.
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
        start, spread = _widest(frames)
        length = min(float(SECONDS), float(seconds) - start)
        excerpts.append(Excerpt(*key, stem, float(start), length, spread))
    return excerpts


def _widest(frames: Sequence[Sequence[float]]) -> tuple[int, float]:
    """Return the first second of the widest spread between methods, and that spread in dB."""
    lengths = {len(scores) for scores in frames}
    if len(frames) < 2 or len(lengths) > 1:
        return 0, 0.0
    scores = np.clip(np.array(frames, dtype=np.float64), -30, 30)
    counted = np.isfinite(scores).sum(axis=0) >= 2
    by_window = np.zeros(scores.shape[1])
    by_window[counted] = np.nanstd(scores[:, counted], axis=0)
    if not by_window.size:
        return 0, 0.0
    length = min(SECONDS, len(by_window))
    sums: NDArray[np.float64] = np.convolve(by_window, np.ones(length), mode="valid")
    start = int(sums.argmax())
    return start, float(sums[start] / length)
