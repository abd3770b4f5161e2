"""Scores a detector of singing on songs with known vocals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from sepbench.activity.reference import reference_activity
from sepbench.activity.scores import ActivityScores, activity_scores
from sepbench.activity.segments import Decision, is_active
from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    from sepbench.activity.detector import VoiceDetector
    from sepbench.datasets.base import Track


@dataclass(frozen=True)
class ScoredTrack:
    """Scores of a track, with the detection and the reference by frame."""

    name: str
    scores: ActivityScores
    reference: NDArray[np.bool_]
    active: NDArray[np.bool_]
    probabilities: NDArray[np.float32]


def score_tracks(
    detector: VoiceDetector,
    tracks: Sequence[Track],
    decision: Decision,
    *,
    start: float = 0.0,
    duration: float | None = None,
    on_track: Callable[[str], None] = lambda name: None,
) -> list[ScoredTrack]:
    """Compare the detection in each track's mixture with the activity of its vocals stem.

    The reference is `reference_activity`. Raises `SepbenchError` for a track without vocals.
    """
    scored = []
    for track in tracks:
        on_track(track.name)
        loaded = track.load(start=start, duration=duration)
        if "vocals" not in loaded.references:
            raise SepbenchError(
                f"track {track.name}: has no vocals stem; choose tracks that do with --track"
            )
        vocals = torch.from_numpy(loaded.references["vocals"])
        reference = reference_activity(vocals, loaded.rate).numpy()
        probabilities = detector.probabilities(loaded.mixture, loaded.rate)
        active = is_active(probabilities, decision)
        scores = activity_scores(reference, active, probabilities)
        scored.append(ScoredTrack(track.name, scores, reference, active, probabilities))
    return scored


def pooled(scored: Sequence[ScoredTrack]) -> ActivityScores:
    """Return the scores over the frames of all tracks."""
    return activity_scores(
        np.concatenate([track.reference for track in scored]),
        np.concatenate([track.active for track in scored]),
        np.concatenate([track.probabilities for track in scored]),
    )
