"""Tests of whether methods differ, and by how much, over the scores of tracks.

The unit is the track, never the window: the windows of one song are not independent. Every
function takes one number a track and is deterministic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from sepbench._util.text import counted
from sepbench.metrics.protocols import Reduction
from sepbench.report.intervals import CONFIDENCE, finite, interval
from sepbench.report.resampling import RESAMPLES, SEED

MIN_TRACKS = 6
"""Fewest tracks for a p-value: the smallest two-sided one for ``n`` tracks is ``2^(1 - n)``."""


class Odds(NamedTuple):
    """Probabilities that a method is worse, equal for all practical purposes, and better."""

    worse: float
    equal: float
    better: float


def too_few(tracks: int) -> str:
    """Return why ``tracks`` tracks give no p-value, or an empty string where they do.

    >>> too_few(5)
    'no p-value: 5 tracks cannot give one under 0.0625; evaluate 6 or more'
    """
    if tracks >= MIN_TRACKS:
        return ""
    lowest = min(1.0, 2.0 ** (1 - tracks))
    have = counted(tracks, "track")
    return f"no p-value: {have} cannot give one under {lowest:g}; evaluate {MIN_TRACKS} or more"


def wilcoxon(
    differences: ArrayLike, alternative: Literal["two-sided", "less"] = "two-sided"
) -> float:
    """Return the p-value of Wilcoxon's signed-rank test, NaN under `MIN_TRACKS` tracks.

    With ``less`` it is one-sided: small if the differences are significantly below zero.
    Differences of zero count among the tracks and are then left out, as Wilcoxon did.
    """
    kept = finite(differences)
    if kept.size < MIN_TRACKS:
        return math.nan
    if not kept.any():
        return 1.0
    # With zeros among them scipy takes the normal approximation for 14 tracks or more.
    return float(stats.wilcoxon(kept[kept != 0], alternative=alternative).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm 1979); NaN stays and does not count.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    corrected, largest = list(p_values), 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        corrected[place] = largest
    return corrected


def surely_below(scores: ArrayLike, limit: float, statistic: Reduction, *, tests: int = 1) -> bool:
    """Return whether the statistic of ``scores`` is below ``limit`` with 95 % confidence.

    For ``tests`` such questions together the rate of any false positive is under 5 %: both the
    interval, widened for their number (Bonferroni), and Wilcoxon's test must be significant.
    """
    share = (1 - CONFIDENCE) / tests
    if not wilcoxon(np.asarray(scores, dtype=np.float64) - limit, "less") <= share / 2:
        return False
    return interval(scores, statistic, confidence=1 - share).high < limit


def tracks_needed(tests: int) -> int:
    """Return the fewest tracks with which `surely_below` can be true for any of ``tests``.

    >>> [tracks_needed(tests) for tests in (1, 4, 40)]
    [6, 8, 11]
    """
    return max(MIN_TRACKS, math.ceil(math.log2(2 * tests / (1 - CONFIDENCE))))


def cliffs_delta(one: ArrayLike, other: ArrayLike) -> float:
    """Return by how much a score of ``one`` tends to be above one of ``other``, from -1 to 1.

    >>> cliffs_delta([3, 4, 5], [1, 2, 3])
    0.8888888888888888
    """
    a, b = finite(one), finite(other)
    if not (a.size and b.size):
        return math.nan
    return float(np.sign(a[:, None] - b).mean())


def share_won(differences: ArrayLike) -> float:
    """Return the share of tracks whose difference is above zero, a tie counting half.

    >>> share_won([1.0, 0.0, -2.0, 3.0])
    0.625
    """
    kept = finite(differences)
    return float((np.sign(kept).mean() + 1) / 2) if kept.size else math.nan


def bayesian_signed_rank(differences: ArrayLike, rope: float) -> Odds:
    """Return the odds of the Bayesian signed-rank test with a region of practical equivalence.

    Differences within ``rope`` of zero count as equal. The prior is a Dirichlet process of
    strength 0.5 at zero (Benavoli, Corani, Demšar and Zaffalon, 2017, "Time for a Change",
    section 4.2). NaN under `MIN_TRACKS` tracks.
    """
    kept = finite(differences)
    if kept.size < MIN_TRACKS:
        return Odds(math.nan, math.nan, math.nan)
    values = np.concatenate([[0.0], kept])
    weights = np.random.default_rng(SEED).dirichlet([0.5, *np.ones(kept.size)], size=RESAMPLES)
    means = (values[:, None] + values) / 2
    cases = (means < -rope, abs(means) <= rope, means > rope)
    shares = np.stack([((weights @ held) * weights).sum(1) for held in cases])
    winners = np.bincount(shares.argmax(0), minlength=3) / RESAMPLES
    return Odds(*map(float, winners))


def groups(order: Sequence[str], distinct: set[frozenset[str]]) -> list[tuple[str, ...]]:
    """Return the longest runs of ``order``, of two or more, without a pair in ``distinct``.

    >>> groups(["a", "b", "c", "d"], {frozenset("ac"), frozenset("ad")})
    [('a', 'b'), ('b', 'c', 'd')]
    """
    found: list[tuple[int, int]] = []
    for first in range(len(order)):
        last = first
        while last + 1 < len(order) and not any(
            frozenset((order[last + 1], other)) in distinct for other in order[first : last + 1]
        ):
            last += 1
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return [tuple(order[first : last + 1]) for first, last in found]
