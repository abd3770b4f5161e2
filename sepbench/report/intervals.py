"""Confidence intervals over tracks, for scores and differences.

The unit is the track, never the window: the windows of one song are not independent. Every
function takes one number a track (`pooled_interval`: the windows of each) and is deterministic.

Intervals are of the printed statistic. Those of means are bootstrap intervals, at each end the
wider of two: percentiles whose distance from the mean is stretched from the normal law to
Student's, which serve heavy tails, and studentized ones (Efron and Tibshirani 1993, "An
Introduction to the Bootstrap", section 12.5), which serve skewed scores.

Those of medians are interpolated between two neighbouring scores at each end (Hettmansperger and
Sheather 1986, "Confidence intervals based on interpolated order statistics", Statistics and
Probability Letters 4). The bootstrap cannot do so for few tracks: the medians of its draws of 7 are
among the 7 scores, so its interval is from the lowest to the highest (98.4 %) or from the second to
the sixth (87.5 %).

Those of medians over all windows are bootstrap percentiles, moved outwards by the small-sample
correction of Hesterberg (2015, "What Teachers Should Know About the Bootstrap", section 5.3).
``benchmarks/intervals.py`` measures how often each holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from sepbench.metrics.protocols import Reduction
from sepbench.report.resampling import Floats, pooled_medians, sums

CONFIDENCE = 0.95

_MIN_STUDENTIZED = 6
"""Fewest tracks for a studentized interval: of fewer, many draws are one track repeated."""

_ROWS = 250  # All of their draws are in memory at a time, 160 kB for each.
_TOO_SMALL = 1e-6
"""Share of the spread of the scores below which that of a draw is rounding error."""


class Interval(NamedTuple):
    """The ends of a confidence interval; NaN for fewer than two tracks."""

    low: float
    high: float


NO_INTERVAL = Interval(math.nan, math.nan)


def interval(
    scores: ArrayLike, statistic: Reduction, *, confidence: float = CONFIDENCE
) -> Interval:
    """Return the interval of the mean or median of ``scores``, one number a track.

    Scores that are not finite count as missing, as in the statistic itself. The ends of a median's
    interval are within the range of the scores, so that its coverage for ``n`` < 6 tracks is at
    most ``1 - 2^(1 - n)``.

    >>> ends = interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], "median")
    >>> print(f"{ends.low:.2f} to {ends.high:.2f}")
    1.94 to 7.06
    """
    return intervals([scores], statistic, confidence=confidence)[0]


def intervals(
    columns: Sequence[ArrayLike], statistic: Reduction, *, confidence: float = CONFIDENCE
) -> list[Interval]:
    """Return the `interval` of each column; those of the same number of tracks share the draws."""
    ordered = [np.sort(finite(scores)) for scores in columns]
    found = [NO_INTERVAL] * len(ordered)
    sizes = {scores.size for scores in ordered if scores.size > 1}
    of_all = _mean_intervals if statistic == "mean" else _median_intervals
    for size in sorted(sizes):
        alike = [place for place, scores in enumerate(ordered) if scores.size == size]
        for places in (alike[first : first + _ROWS] for first in range(0, len(alike), _ROWS)):
            ends = of_all(np.stack([ordered[place] for place in places]), confidence)
            for place, one in zip(places, ends, strict=True):
                found[place] = one
    return found


def pooled_interval(tracks: Sequence[Sequence[float]]) -> Interval:
    """Return the 95 % interval of the median over the windows of all tracks.

    Tracks are drawn with all their windows. ``tracks`` holds the score of each window by track.
    """
    kept = [windows for windows in map(finite, tracks) if windows.size]
    if len(kept) < 2:
        return NO_INTERVAL
    owner = np.repeat(np.arange(len(kept)), [len(windows) for windows in kept])
    pool = np.concatenate(kept)
    order = np.argsort(pool, kind="stable")
    return Interval(*pooled_medians(pool[order], owner[order], _levels(len(kept), CONFIDENCE)))


def finite(scores: ArrayLike) -> Floats:
    """Return the scores that are numbers, in their order."""
    values = np.asarray(scores, dtype=np.float64)
    return values[np.isfinite(values)]


def _median_intervals(rows: Floats, confidence: float) -> Iterator[Interval]:
    """Yield the interval of the median of each row, in ascending order."""
    rank, share = _ranks(rows.shape[1], confidence)
    # One share for each end, so that the interval of the negated scores is its mirror image.
    outer, inner = rows[:, [rank - 1, -rank]], rows[:, [rank, -rank - 1]]
    for low, high in outer + share * (inner - outer):
        yield Interval(float(low), float(high))


@lru_cache(maxsize=256)
def _ranks(tracks: int, confidence: float) -> tuple[int, float]:
    """Return between which scores an interval of the median ends, and where between them.

    Each end is a share of the way from the score of the rank, counted from outside, to the next.
    """
    ranks = np.arange(1, tracks // 2 + 1)
    # From rank to rank: the probability that fewer scores than the rank are on one side.
    held = 1 - 2 * stats.binom.cdf(ranks - 1, tracks, 0.5)
    rank = int((held >= confidence).sum())
    if rank in (0, len(ranks)):  # Too few tracks: from the lowest to the highest.
        return 1, 0.0
    part = (held[rank - 1] - confidence) / (held[rank - 1] - held[rank])
    return rank, float((tracks - rank) * part / (rank + (tracks - 2 * rank) * part))


def _mean_intervals(rows: Floats, confidence: float) -> Iterator[Interval]:
    """Yield the interval of the mean of each row."""
    tracks = rows.shape[1]
    away = rows - rows.mean(1, keepdims=True)
    # One product for many rows: the draws of a thousand tracks are 40 MB, which takes time to read.
    means = sums(np.concatenate([away, away**2])) / tracks
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    pairs = zip(rows.mean(1), away.std(1), *np.split(means, 2), strict=True)
    for mean, spread, drawn, squares in pairs:
        if not spread:
            yield Interval(float(mean), float(mean))
            continue
        low, high = np.quantile(drawn, tails) * _stretch(tracks, confidence)
        if tracks >= _MIN_STUDENTIZED:
            spreads = np.sqrt(np.maximum(squares - drawn**2, 0))
            known = spreads > _TOO_SMALL * spread  # Draws of a single track have none.
            least, most = np.quantile(drawn[known] / spreads[known], tails) * spread
            low, high = min(low, -most), max(high, -least)
        yield Interval(float(mean + low), float(mean + high))


@lru_cache(maxsize=256)
def _stretch(tracks: int, confidence: float) -> float:
    """Return the ratio of an interval by Student's distribution to a normal one."""
    level = (1 + confidence) / 2
    ratio = stats.t.ppf(level, tracks - 1) / stats.norm.ppf(level)
    return float(ratio * math.sqrt(tracks / (tracks - 1)))


@lru_cache(maxsize=256)
def _levels(tracks: int, confidence: float) -> tuple[float, float]:
    """Return the quantiles of the bootstrap distribution that are the ends of the interval."""
    tail = (1 - confidence) / 2
    moved = stats.norm.cdf(stats.t.ppf(tail, tracks - 1) * math.sqrt(tracks / (tracks - 1)))
    return float(moved), float(1 - moved)
