"""Scales songs to the level at which a network was trained, and its stems back.

A network that is not scale-invariant separates a quiet song worse than the same song loud, and
treats a constant offset (DC) as audio. The runner therefore measures a song first, in a separate
pass over the samples: whole songs and songs in blocks get the same gain, and memory is bounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sepbench.inference.overlap_add import Samples
from sepbench.separator import AnySeparator

_WINDOW_SECONDS = 0.4
_GATE = 0.1
"""Windows with less than this share of the mean energy, 10 dB below it, are left out."""

_SILENCE = 1e-30
"""Energy, 300 dB below full scale, up to which a song is silent: no float32 could scale it up."""


@dataclass(frozen=True)
class Level:
    """A song's level in dB of full scale, None for silence, and its offset ``(channels, 1)``.

    The level is the energy of windows of 0.4 s, averaged over those that are not more than 10 dB
    below the mean: the relative gate of ITU-R BS.1770-4, without frequency weighting and without
    the absolute gate, so that it scales exactly with the song.
    """

    decibels: float | None
    offset: NDArray[np.float32]

    def gain(self, wanted: float) -> float:
        """Return the factor that scales the song to ``wanted`` dB of full scale."""
        return 1.0 if self.decibels is None else float(10 ** ((wanted - self.decibels) / 20))

    def gain_for(self, separator: AnySeparator) -> float | None:
        """Return the factor for a song without its offset, None if a separator gets it as it is.

        A filter of stereo songs gets no offset either, which it would take for a part of the sound.
        """
        if separator.level is not None:
            return self.gain(separator.level)
        chosen = separator.stereo_filter
        is_filtered = chosen is not None and chosen.iterations > 0
        # Without a remainder, nothing would take the offset.
        return 1.0 if is_filtered and separator.remainder is not None else None

    def after(self, gain: float) -> Level:
        """Return the level of the song without its offset, times ``gain``; see `applied`."""
        reached = None if self.decibels is None else self.decibels + 20 * math.log10(gain)
        return Level(reached, np.zeros_like(self.offset))


def measure(chunks: Iterable[Samples], rate: int) -> Level:
    """Measure a song given in chunks ``(channels, samples)`` of any length."""
    means, energies, lengths = [], [], []
    for window in _windows(chunks, max(1, round(_WINDOW_SECONDS * rate))):
        exact = window.astype(np.float64)
        means.append(exact.mean(axis=1))
        energies.append(np.square(exact).mean(axis=1))
        lengths.append(window.shape[1])
    if not lengths:
        return Level(None, np.zeros((1, 1), np.float32))
    offset = np.average(means, axis=0, weights=lengths)
    # Energy without the offset.
    squares = np.array(energies) - 2 * np.array(means) * offset + np.square(offset)
    energy = np.maximum(squares, 0).mean(axis=1)
    mean = float(np.average(energy, weights=lengths))
    loud = energy >= _GATE * mean
    level = float(np.average(energy[loud], weights=np.array(lengths)[loud]))
    # The remainder of a pure offset is rounding error.
    silence = max(_SILENCE, 1e-12 * float(np.square(offset).mean()))
    decibels = 10 * float(np.log10(level)) if level > silence else None
    return Level(decibels, offset.astype(np.float32)[:, None])


def _windows(chunks: Iterable[Samples], size: int) -> Iterator[Samples]:
    """Cut chunks into windows of ``size``, so that the chunk lengths do not matter."""
    held: list[Samples] = []
    count = 0
    for chunk in chunks:
        held.append(chunk)
        count += chunk.shape[1]
        if count < size:
            continue
        joined = np.concatenate(held, axis=1)
        whole = count - count % size
        for start in range(0, whole, size):
            yield joined[:, start : start + size]
        held, count = [joined[:, whole:]], count - whole
    if count:
        yield np.concatenate(held, axis=1)


def applied(chunks: Iterable[Samples], level: Level, gain: float) -> Iterator[Samples]:
    """Yield the song without its offset, times ``gain``."""
    for chunk in chunks:
        yield (chunk - level.offset) * np.float32(gain)
