"""Converts probabilities of singing to segments, and segments to a gain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sepbench.activity.reference import FRAME

Probabilities = NDArray[np.float32]


@dataclass(frozen=True)
class Segment:
    """A stretch of time in which someone sings.

    Args:
        start, end: seconds.
        confidence: mean probability of singing in it, 0 to 1.
    """

    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Decision:
    """How probabilities become segments.

    Args:
        threshold: a segment needs one frame at least this probable.
        hold: it goes on while frames are at least ``hold * threshold`` probable.
        shortest_gap: seconds; shorter gaps are closed.
        shortest: seconds; shorter segments are dropped.
    """

    threshold: float = 0.4
    hold: float = 0.5
    shortest_gap: float = 0.2
    shortest: float = 0.1


def is_active(probabilities: Probabilities, decision: Decision) -> NDArray[np.bool_]:
    """Return in which frames someone sings, by ``decision``.

    >>> p = np.array([0, 0.45, 0.9, 0.45, 0, 0.45, 0], np.float32)
    >>> decision = Decision(threshold=0.5, hold=0.8, shortest_gap=0, shortest=0)
    >>> is_active(p, decision).astype(int)
    array([0, 1, 1, 1, 0, 0, 0])
    """
    low = probabilities >= decision.hold * decision.threshold
    runs, count = ndimage.label(low)
    highest = ndimage.maximum(probabilities, runs, np.arange(1, count + 1)) if count else []
    kept = np.concatenate([[False], np.asarray(highest) >= decision.threshold])
    active: NDArray[np.bool_] = kept[runs]
    for first, last in _runs(~active):
        inside = first > 0 and last < len(active)
        if inside and (last - first) * FRAME < decision.shortest_gap:
            active[first:last] = True
    for first, last in _runs(active):
        if (last - first) * FRAME < decision.shortest:
            active[first:last] = False
    return active


def segments(probabilities: Probabilities, decision: Decision | None = None) -> list[Segment]:
    """Return where someone sings, in order.

    >>> p = np.repeat(np.array([0.1, 0.9, 0.1], np.float32), 100)
    >>> segments(p)
    [Segment(start=1.0, end=2.0, confidence=0.9)]
    """
    active = is_active(probabilities, decision or Decision())
    return [
        Segment(
            round(first * FRAME, 3),
            round(last * FRAME, 3),
            round(float(probabilities[first:last].mean(dtype=np.float64)), 3),
        )
        for first, last in _runs(active)
    ]


def gain(
    found: Sequence[Segment], samples: int, rate: float, *, before: float, after: float, fade: float
) -> NDArray[np.float32]:
    """Return a gain ``(samples,)`` that is 1 inside segments and 0 outside.

    Each segment is widened by ``before`` and ``after`` seconds; outside of that it fades in and out
    as a raised cosine of ``fade`` seconds.

    >>> gain([Segment(1.0, 2.0, 0.9)], 4, 1, before=0, after=0, fade=0.5)
    array([0., 1., 1., 0.], dtype=float32)
    """
    times = np.arange(samples) / rate
    out = np.zeros(samples, np.float32)
    for segment in found:
        begin, end = segment.start - before, segment.end + after
        first = max(0, int((begin - fade) * rate))
        last = max(first, min(samples, int((end + fade) * rate) + 1))
        here = times[first:last]
        away = np.maximum(np.maximum(begin - here, here - end), 0) / fade
        slope = 0.5 + 0.5 * np.cos(np.pi * np.minimum(away, 1))
        out[first:last] = np.maximum(out[first:last], slope.astype(np.float32))
    return out


def audacity_labels(found: Sequence[Segment]) -> str:
    r"""Return the text of an Audacity label track.

    >>> audacity_labels([Segment(1.0, 2.5, 0.9)])
    '1.000000\t2.500000\tvoice 0.90\n'
    """
    return "".join(f"{s.start:.6f}\t{s.end:.6f}\tvoice {s.confidence:.2f}\n" for s in found)


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the ``(first, last)`` ranges in which ``mask`` is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]
