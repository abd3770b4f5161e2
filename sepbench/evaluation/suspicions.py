"""Looks for estimates that can hardly be what they are called: swapped, inverted, or the truth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sepbench.inference.overlap_add import Samples

_ALIKE = 0.6
"""Correlation from which on two signals are of one source."""

_UNLIKE = 0.2
"""Correlation below which an estimate may be of another stem."""

_STRANGE = 0.02
"""Correlation below which two signals have nothing in common."""

_WIDE = 0.05
"""Least level of the difference of left and right, relative to the stem, that is compared."""

_OPPOSITE = 0.4
"""Correlation of these differences, with a minus sign, from which on left and right are swapped."""

_PURE = 0.9
"""Correlation from which on the level of an estimate is compared with its reference's."""

_GAIN = 2.0
"""Factor from which on an estimate that correlates as `_PURE` is called too loud or too quiet."""

_SWAPPED = "left and right of the estimate are swapped"


def suspicions(stems: Mapping[str, Samples], references: Mapping[str, Samples]) -> list[str]:
    """Return what is odd about the estimates of a track, each ``(channels, samples)``.

    Nothing is changed: a separator may well be bad. But files whose names, channels or sign were
    mixed up score the same whatever is in them, and nobody sees why.
    """
    scored = {name: stem for name, stem in stems.items() if name in references}
    truths = {name: references[name] for name in scored}
    odd = [
        f"{name}: {found}" for name, stem in scored.items() for found in _odd(name, stem, truths)
    ]
    odd += _names_of_all_the_rest(scored, references)
    audible = [name for name in scored if scored[name].any() and truths[name].any()]
    if not odd and audible and all(_strange(scored[n], truths[n]) for n in audible):
        odd.append("no estimate resembles its reference; are they of this song?")
    return odd


def _names_of_all_the_rest(
    stems: Mapping[str, Samples], references: Mapping[str, Samples]
) -> Iterator[str]:
    """Say so if ``other`` is the whole accompaniment, as networks of two stems call it."""
    if set(stems) == {"vocals", "other"} and "accompaniment" in references:
        of_all = _correlation(stems["other"], references["accompaniment"])
        if of_all > _PURE > _correlation(stems["other"], references["other"]):
            yield "other: the estimate is of the whole accompaniment; call its file so"


def _odd(name: str, stem: Samples, references: Mapping[str, Samples]) -> Iterator[str]:
    truth = references[name]
    if np.array_equal(stem, truth):
        if truth.any():
            yield "the estimate is the reference itself"
        return
    own = _correlation(stem, truth)
    if own > 0 and len(stem) == 2 and _sides_are_opposite(stem, truth):
        yield _SWAPPED
    elif own > _PURE:
        gain = own * _norm(stem) / _norm(truth)
        if not 1 / _GAIN < gain < _GAIN:
            yield f"the estimate is {gain:.2g} times as loud as the reference"
    elif own < -_ALIKE:
        yield "the estimate has the opposite sign of the reference"
    elif abs(own) < _UNLIKE:
        others = {o: _correlation(stem, ref) for o, ref in references.items() if o != name}
        best = max(others, key=lambda other: others[other], default=None)
        if best is not None and others[best] > _ALIKE:
            yield f"the estimate is of {best}; are their files mixed up?"
        elif len(stem) == 2 and _correlation(stem[::-1], truth) > _ALIKE:
            yield _SWAPPED


def _sides_are_opposite(stem: Samples, truth: Samples) -> bool:
    """Return whether the differences of left and right are of one sound, with opposite signs.

    The sum of both channels of most voices is far louder than this.
    """
    side, true_side = stem[:1] - stem[1:], truth[:1] - truth[1:]
    is_wide = _norm(true_side) > _WIDE * _norm(truth)
    return is_wide and _correlation(side, true_side) < -_OPPOSITE


def _strange(stem: Samples, truth: Samples) -> bool:
    """Return whether two signals have nothing in common, channel by channel."""
    return all(
        abs(_correlation(one, other)) < _STRANGE for one, other in zip(stem, truth, strict=True)
    )


def _correlation(one: Samples, other: Samples) -> float:
    one, other = _at_full_scale(one), _at_full_scale(other)
    norm = _norm(one) * _norm(other)
    return float(np.vdot(one, other)) / norm if norm else 0.0


def _norm(samples: Samples) -> float:
    scaled = _at_full_scale(samples)
    return float(np.abs(samples).max(initial=0)) * math.sqrt(np.vdot(scaled, scaled))


def _at_full_scale(samples: Samples) -> Samples:
    """Return a signal with a peak of 1: float32 has no squares of very large or small samples."""
    peak = np.abs(samples).max(initial=0)
    return samples / peak if peak else samples
