"""The draws of the bootstrap over tracks, and medians of many windows under them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
SEED = 95

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

_AT_ONCE = 100
"""Draws that are made at a time."""

_FEW = 100
"""Number of tracks up to which the median of every draw is computed exactly."""

_MARKS = 32
"""Number of parts into which the windows around the medians are divided."""


@lru_cache(maxsize=4)
def resamples(tracks: int) -> NDArray[np.float32]:
    """Return bootstrap draws of all of a number of tracks, always the same, ``(draws, tracks)``.

    They say how often each draw has each track: whole numbers, exact in float32.
    """
    generator = np.random.default_rng([SEED, tracks])
    counts = np.empty((RESAMPLES, tracks), dtype=np.float32)
    for first in range(0, RESAMPLES, _AT_ONCE):  # Some at a time, which stay in the cache.
        part = slice(first, first + _AT_ONCE)
        ranks = generator.integers(0, tracks, (len(counts[part]), tracks))
        rows = np.arange(len(ranks))[:, None] * tracks
        drawn = np.bincount((ranks + rows).ravel(), minlength=ranks.size)
        counts[part] = drawn.reshape(ranks.shape)
    return counts


def pooled_medians(pool: Floats, owner: Places, levels: Sequence[float]) -> list[float]:
    """Return quantiles of the medians of windows, with tracks drawn with all their windows.

    ``pool`` are the windows of all tracks in ascending order, ``owner`` the track of each.
    """
    windows = np.bincount(owner)
    counts = _counts(len(windows), _kind(windows.max() * len(windows)))
    ranks = _ranks(windows, counts)
    if counts.shape[1] <= _FEW:
        values = pool[_middles(owner, counts, ranks, *_range(owner, counts, ranks))].mean(0)
        return [float(value) for value in np.quantile(values, levels)]
    marks, parts = _parts(owner, counts, ranks)
    places = [level * (len(parts) - 1) for level in levels]
    return [_at_place(place, pool, owner, counts, ranks, marks, parts) for place in places]


def sums(columns: Floats) -> Floats:
    """Return the sum of each column ``(columns, tracks)`` in every draw, ``(columns, draws)``."""
    counts = resamples(columns.shape[1])
    parts = [counts[first : first + 10 * _AT_ONCE] for first in range(0, RESAMPLES, 10 * _AT_ONCE)]
    return np.concatenate([columns @ part.astype(np.float64).T for part in parts], axis=1)


@lru_cache(maxsize=2)
def _counts(tracks: int, kind: str) -> NDArray[Any]:
    """Return how often each draw has each track, as numbers of a kind."""
    return resamples(tracks).astype(kind, copy=False)


def _kind(most: int) -> str:
    """Return a type for whole numbers: those below 2^24 are exact in ``f4``, twice as fast."""
    return "f4" if most < 2**23 else "f8"


def _ranks(windows: Places, counts: NDArray[Any]) -> NDArray[Any]:
    """Return the ranks of the lower and the upper middle window of each draw, from 1."""
    total = counts @ windows.astype(counts.dtype)
    return np.stack([(total + 1) // 2, (total + 2) // 2])


def _range(owner: Places, counts: NDArray[Any], ranks: NDArray[Any]) -> tuple[int, int]:
    """Return the range of windows that contains the middle ones of all draws."""
    marks = np.linspace(0, len(owner), _MARKS + 1).astype(np.intp)
    reached = counts @ _below(owner, marks, counts.shape[1]).astype(counts.dtype).T
    lower, upper = ((reached < rank[:, None]).sum(1) for rank in ranks)
    return int(marks[lower.min()]), int(marks[upper.max() + 1])


def _below(owner: Places, marks: Places, tracks: int) -> NDArray[Any]:
    """Return how many windows each track has below each of the inner marks."""
    inside = np.searchsorted(marks[1:-1], np.arange(len(owner)), side="right")
    shares = np.bincount(inside * tracks + owner, minlength=(len(marks) - 1) * tracks)
    return np.cumsum(shares.reshape(-1, tracks), axis=0)[:-1]


def _parts(owner: Places, counts: NDArray[Any], ranks: NDArray[Any]) -> tuple[Places, Places]:
    """Return marks among the windows, and the part in which the median of each draw is."""
    low, high = 0, len(owner)
    # A few draws locate the medians roughly; medians outside belong to the outermost parts.
    for some in (slice(500), slice(500), slice(None)):
        marks = np.linspace(low, high, _MARKS + 1).astype(np.intp)
        parts = _part_of(owner, counts[some], ranks[:, some], marks)
        low, high = marks[max(parts.min() - 1, 0)], marks[min(parts.max() + 2, _MARKS)]
    return marks, parts


def _part_of(
    owner: Places, counts: NDArray[Any], ranks: NDArray[Any], marks: Places
) -> NDArray[np.intp]:
    """Return the part between the marks in which the lower middle window of each draw is."""
    below = _below(owner, marks, counts.shape[1]).astype(counts.dtype)
    reached: NDArray[Any] = counts @ below.T
    return np.asarray((reached < ranks[0, :, None]).sum(1), dtype=np.intp)


def _at_place(
    place: float,
    pool: Floats,
    owner: Places,
    counts: NDArray[Any],
    ranks: NDArray[Any],
    marks: Places,
    parts: Places,
) -> float:
    """Return the median at a place in the order of all draws; between two, a mean of both.

    Draws whose median is certainly on one side of it are left out, in a few rounds.
    """
    while True:
        ordered = np.sort(parts)
        # With many tracks the two middle windows of a draw are neighbours, so a draw whose median
        # is more than a part away is certainly on its side.
        first = max(int(ordered[int(place)]) - 1, 0)
        last = min(int(ordered[int(np.ceil(place))]) + 1, len(marks) - 2)
        near = (parts >= first) & (parts <= last)
        place -= int((parts < first).sum())
        counts, ranks = counts[near], ranks[:, near]
        low, high = int(marks[first]), int(marks[last + 1])
        if high - low <= _MARKS:
            break
        marks = np.linspace(low, high, _MARKS + 1).astype(np.intp)
        parts = _part_of(owner, counts, ranks, marks)
    values = np.sort(pool[_middles(owner, counts, ranks, low, high)].mean(0))
    return float(np.interp(place, np.arange(len(values)), values))


def _middles(
    owner: Places, counts: NDArray[Any], ranks: NDArray[Any], low: int, high: int
) -> Places:
    """Return the indices of the two middle windows of each draw, by bisection from low to high."""
    tracks = counts.shape[1]
    ranks = ranks - counts @ np.bincount(owner[:low], minlength=tracks).astype(counts.dtype)
    # Row k: how many of the k lowest windows each track has.
    below = np.zeros((high - low + 1, tracks), dtype=counts.dtype)
    below[np.arange(1, high - low + 1), owner[low:high]] = 1
    np.cumsum(below, axis=0, out=below)
    marks = np.linspace(0, high - low, _MARKS + 1).astype(np.intp)
    reached = counts @ below[marks[1:-1]].T
    middles = np.empty(ranks.shape, dtype=np.intp)
    middles[0] = _bisected(counts, below, marks, reached, ranks[0])
    # An odd number of windows has one in the middle.
    middles[1], two = middles[0], ranks[1] != ranks[0]
    middles[1, two] = _bisected(counts[two], below, marks, reached[two], ranks[1, two])
    return middles + (low - 1)


def _bisected(
    counts: NDArray[Any],
    below: NDArray[Any],
    marks: Places,
    reached: NDArray[Any],
    ranks: NDArray[Any],
) -> Places:
    """Return the first row of ``below`` in which each draw has as many windows as its rank says.

    ``reached`` says how many it has at the inner ``marks``.
    """
    part = (reached < ranks[:, None]).sum(1)
    left: Places = marks[part]
    right: Places = marks[part + 1]
    rows = np.empty_like(
        counts
    )  # Once: such an array again in each round costs more than the rest.
    while (right - left > 1).any():
        middle = (left + right) // 2
        np.take(below, middle, axis=0, out=rows, mode="clip")
        enough = np.einsum("ij,ij->i", counts, rows) >= ranks
        right, left = np.where(enough, middle, right), np.where(enough, left, middle)
    return right
