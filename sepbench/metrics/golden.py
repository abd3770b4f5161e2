"""The test signals behind the reference values of metrics."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sepbench.metrics.metric import Estimates, Golden, SetMetric, Song
from sepbench.metrics.protocols import reduce

if TYPE_CHECKING:
    from sepbench.metrics.scorer import StemScores

RATE = 44100
SECONDS = 4
STEMS = ("vocals", "accompaniment")


def signals() -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.float32]]]:
    """Return references and estimates: four seconds of stereo tones, noise and silence.

    The first second of the vocals is silent, and the last of their estimate. All samples of the
    references are 16-bit values; the numbers do not depend on library versions.

    Shape:
        each: float32 ``(2, samples)``.
    """
    time = np.arange(RATE * SECONDS) / RATE
    vibrato = 2 * np.pi * 220 * time + 3 * np.sin(2 * np.pi * 5 * time)
    voice = sum(np.sin(n * vibrato) / n for n in range(1, 13))
    beats = _noise(1) * np.exp(-12 * (time % 0.25))
    chord = sum(np.sin(2 * np.pi * hz * time) for hz in (110, 164.81, 277.18))
    vocals = 0.1 * np.stack([voice, 0.8 * voice]) * (time >= 1)
    backing = np.stack([0.1 * chord + 0.3 * beats, 0.08 * chord + 0.3 * _noise(2) * (beats != 0)])
    backing[1] *= np.exp(-12 * (time % 0.25)) * 0.9 + 0.1
    references = {"vocals": _16_bits(vocals), "accompaniment": _16_bits(backing)}
    leak = 0.2 * references["accompaniment"] + 0.01 * _noise(3)
    made = 0.9 * references["vocals"] + 0.5 * np.roll(leak, 3, axis=-1)
    made = made * (time < 3)
    rest = 0.95 * (references["vocals"] + references["accompaniment"] - made)
    return references, {
        "vocals": made.astype(np.float32),
        "accompaniment": rest.astype(np.float32),
    }


def song() -> tuple[Song, Estimates]:
    """Return the signals as a song and its estimates."""
    import torch

    references, made = (
        {stem: torch.from_numpy(wave) for stem, wave in group.items()} for group in signals()
    )
    mixture = torch.stack(list(references.values())).sum(0)
    return Song(references, mixture, RATE), Estimates(made)


def differences(metric: type[SetMetric], golden: Golden) -> dict[str, tuple[float, float]]:
    """Return actual and expected scores that differ by more than the tolerance.

    Signals are resampled to the metric's rate. For scores by window, the median is compared.
    """
    from sepbench.metrics.scorer import TrackScorer

    track, estimates = song()
    configured = metric(metric.Options(**golden.options))
    scorer = TrackScorer(track.references, track.mixture, RATE, metrics=[configured])
    scores = scorer.score(estimates.stems, targets=STEMS)
    wrong = {}
    for key, expected in golden.values.items():
        stem, _, score = key.partition(" ")
        found = _found(scores[stem], configured.id_of(score))
        if not np.isclose(found, expected, rtol=golden.tolerance, atol=golden.tolerance):
            wrong[key] = (found, expected)
    return wrong


def _found(scores: StemScores, score: str) -> float:
    if score in scores.frames:
        return reduce("median", scores.frames[score])
    return scores.totals.get(score, float("nan"))


@cache
def _noise(seed: int) -> NDArray[np.float64]:
    """Return numbers from -1 to 1 by a linear congruential generator (Knuth's MMIX)."""
    factor, step = 6364136223846793005, 1442695040888963407
    count = RATE * SECONDS
    values = np.empty(count, dtype=np.uint64)
    state, mask = seed, 2**64 - 1
    for place in range(count):
        state = (factor * state + step) & mask
        values[place] = state
    return (values >> np.uint64(11)).astype(np.float64) / 2**52 - 1


def _16_bits(wave: NDArray[np.float64]) -> NDArray[np.float32]:
    return (np.round(wave * 2**15) / 2**15).clip(-1, 1 - 2**-15).astype(np.float32)
