"""Scores of detected singing against a reference, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Frames = NDArray[np.bool_]


@dataclass(frozen=True)
class ActivityScores:
    """Scores of frames of 10 ms, each from 0 to 1; NaN if undefined.

    Args:
        f1: harmonic mean of precision and recall.
        precision: share of correct frames among those detected.
        recall: share of the sung frames that were detected.
        auc: chance that a sung frame is more probable than one that is not (Mann and Whitney 1947).
    """

    f1: float
    precision: float
    recall: float
    auc: float


def activity_scores(
    reference: Frames, active: Frames, probabilities: NDArray[np.float32]
) -> ActivityScores:
    """Compare decisions and probabilities with the reference, all ``(frames,)``.

    >>> truth = np.array([True, True, False, False])
    >>> p = np.array([0.9, 0.4, 0.3, 0.1])
    >>> activity_scores(truth, p > 0.5, p)
    ActivityScores(f1=0.6666666666666666, precision=1.0, recall=0.5, auc=1.0)
    """
    found = int((reference & active).sum())
    sung, said = int(reference.sum()), int(active.sum())
    return ActivityScores(
        f1=_share(2 * found, sung + said),
        precision=_share(found, said),
        recall=_share(found, sung),
        auc=_auc(reference, probabilities),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _auc(reference: Frames, probabilities: NDArray[np.float32]) -> float:
    sung = int(reference.sum())
    rest = len(reference) - sung
    if not (sung and rest):
        return float("nan")
    above = rankdata(probabilities)[reference].sum() - sung * (sung + 1) / 2
    return float(above / (sung * rest))
