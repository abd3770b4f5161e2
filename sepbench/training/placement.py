"""Places mono signals between two channels."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft

from sepbench.training.augment import Signal

Stereo = NDArray[np.float32]

_POINTS = 7
"""Frequencies between 60 Hz and half the rate at which an angle is drawn."""


def same(signal: Signal) -> Stereo:
    """Return the signal in both channels, ``(2, samples)``."""
    return np.stack([signal, signal])


def placed(signal: Signal, rng: Generator, rate: int, *, width: float, spread: float) -> Stereo:
    """Pan each frequency of a signal separately, so that its instruments have different places.

    Each frequency has its own angle, a smooth random curve of at most ``width``, with the gains of
    the sine law. A delayed copy, with opposite signs in the channels, makes it wider by up to
    ``spread`` of its level, as microphones and effects do. The energy of both channels together is
    that of `same` but for the copy, and the mean of the channels does not have the copy.

    Args:
        signal: ``(samples,)``.
        rng: draws the angles, the delay and the copy's level.
        rate: in Hz.
        width: largest angle in radians; pi/4 is one channel alone.
        spread: largest gain of the copy.

    Shape:
        result: ``(2, samples)``.

    >>> tone = np.sin(np.arange(4000, dtype=np.float32))
    >>> left, right = placed(tone, np.random.default_rng(0), 8000, width=0.0, spread=0.0)
    >>> bool(np.allclose(left, tone, atol=1e-5) and np.allclose(right, tone, atol=1e-5))
    True
    """
    late = rng.uniform(0.008, 0.03)
    size = fft.next_fast_len(len(signal) + int(late * rate) + 1, real=True)
    spectrum = fft.rfft(signal, size)
    frequencies = np.linspace(0, rate / 2, len(spectrum), dtype=np.float32)
    octaves = np.linspace(np.log2(60), np.log2(rate / 2), _POINTS)
    middle = rng.uniform(-0.5, 0.5) * width
    angles = np.clip(middle + rng.uniform(-width, width, _POINTS), -width, width)
    angle = np.interp(np.log2(frequencies + 1), octaves, angles) + np.pi / 4
    copy = rng.uniform(0, spread) * np.exp(-2j * np.pi * late * frequencies)
    gains = np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)])
    gains = gains + np.stack([copy, -copy])
    both: Stereo = fft.irfft(spectrum * gains.astype(np.complex64), size)[:, : len(signal)]
    return both.astype(np.float32, copy=False)
