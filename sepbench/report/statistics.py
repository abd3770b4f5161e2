"""Confidence intervals and tests over tracks, for scores and differences.

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
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from sepbench._util.text import counted
from sepbench.metrics.protocols import Reduction
from sepbench.report.resampling import RESAMPLES, SEED, Floats, pooled_medians, sums

CONFIDENCE = 0.95

MIN_TRACKS = 6
"""Fewest tracks for a p-value: the smallest two-sided one for ``n`` tracks is ``2^(1 - n)``."""

_ROWS = 250  # Of which all draws are held at a time, 160 kB each.
_TOO_SMALL = 1e-6
"""Share of the spread of the scores below which that of a draw is rounding error."""


class Interval(NamedTuple):
    """The ends of a confidence interval; NaN for fewer than two tracks."""

    low: float
    high: float


class Odds(NamedTuple):
    """Probabilities that a method is worse, equal for all practical purposes, and better."""

    worse: float
    equal: float
    better: float


NO_INTERVAL = Interval(math.nan, math.nan)


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
    ordered = [np.sort(_finite(scores)) for scores in columns]
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


def pooled_interval(
    tracks: Sequence[Sequence[float]], *, confidence: float = CONFIDENCE
) -> Interval:
    """Return the interval of the median over the windows of all tracks.

    Tracks are drawn with all their windows. ``tracks`` holds the score of each window by track.
    """
    kept = [windows for windows in map(_finite, tracks) if windows.size]
    if len(kept) < 2:
        return NO_INTERVAL
    owner = np.repeat(np.arange(len(kept)), [len(windows) for windows in kept])
    pool = np.concatenate(kept)
    order = np.argsort(pool, kind="stable")
    return Interval(*pooled_medians(pool[order], owner[order], _levels(len(kept), confidence)))


def wilcoxon(
    differences: ArrayLike, alternative: Literal["two-sided", "less"] = "two-sided"
) -> float:
    """Return the p-value of Wilcoxon's signed-rank test, NaN under `MIN_TRACKS` tracks.

    With ``less`` it is one-sided: small if the differences are significantly below zero.
    Differences of zero count among the tracks and are then left out, as Wilcoxon did.
    """
    finite = _finite(differences)
    if finite.size < MIN_TRACKS:
        return math.nan
    if not finite.any():
        return 1.0
    return float(stats.wilcoxon(finite, alternative=alternative).pvalue)


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
    a, b = _finite(one), _finite(other)
    if not (a.size and b.size):
        return math.nan
    return float(np.sign(a[:, None] - b).mean())


def share_won(differences: ArrayLike) -> float:
    """Return the share of tracks whose difference is above zero, a tie counting half.

    >>> share_won([1.0, 0.0, -2.0, 3.0])
    0.625
    """
    finite = _finite(differences)
    return float((np.sign(finite).mean() + 1) / 2) if finite.size else math.nan


def bayesian_signed_rank(differences: ArrayLike, rope: float) -> Odds:
    """Return the odds of the Bayesian signed-rank test with a region of practical equivalence.

    Differences within ``rope`` of zero count as equal. The prior is a Dirichlet process of
    strength 0.5 at zero (Benavoli, Corani, Demšar and Zaffalon, 2017, "Time for a Change",
    section 4.2). NaN under `MIN_TRACKS` tracks.
    """
    finite = _finite(differences)
    if finite.size < MIN_TRACKS:
        return Odds(math.nan, math.nan, math.nan)
    values = np.concatenate([[0.0], finite])
    weights = np.random.default_rng(SEED).dirichlet([0.5, *np.ones(finite.size)], size=RESAMPLES)
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
        if tracks >= MIN_TRACKS:
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


def _finite(scores: ArrayLike) -> Floats:
    values = np.asarray(scores, dtype=np.float64)
    return values[np.isfinite(values)]
