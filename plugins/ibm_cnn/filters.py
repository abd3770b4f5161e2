"""Post filters of the vocals stem."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch.nn import functional

from sepbench.activity.detector import VoiceDetector
from sepbench.activity.gate import closed_where_silent
from sepbench.dsp.hpss import harmonic_percussive
from sepbench.dsp.stft import Stft

Filter = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]
"""Takes vocals and mixture ``(channels, samples)`` and the rate in Hz; returns filtered vocals."""

_WIENER = 300
"""Bins and frames of the adaptive Wiener filter's neighbourhood, as published."""


def harmonic_part(vocals: torch.Tensor, mixture: torch.Tensor, rate: int) -> torch.Tensor:
    """Keep the harmonic part, by medians over 31 frames and 31 bins (Fitzgerald 2010)."""
    hop = _hop(rate)
    return harmonic_percussive(
        vocals, n_fft=4 * hop, hop=hop, kernels=(31, 31), margins=(1.0, 1.0), power=2.0
    )[0]


def adaptive_wiener(vocals: torch.Tensor, mixture: torch.Tensor, rate: int) -> torch.Tensor:
    """Smooth magnitudes that vary less than noise (Lee 1980).

    The filter of `scipy.signal.wiener` over 300 bins and 300 frames; the noise is the mean
    variance.
    """
    hop = _hop(rate)
    stft = Stft(n_fft=4 * hop, hop=hop)
    spectrum = stft.forward(vocals)
    magnitude = spectrum.abs()
    mean = _local_mean(magnitude)
    variance = (_local_mean(magnitude.square()) - mean.square()).clamp_min(0)
    noise = variance.mean((-2, -1), keepdim=True)
    share = (variance - noise).clamp_min(0) / variance.clamp_min(1e-20)
    filtered = mean + share * (magnitude - mean)
    # Never louder than before: the filter must not add energy.
    gain = (filtered / magnitude.clamp_min(1e-12)).clamp(0, 1)
    return stft.inverse(spectrum * gain, vocals.shape[-1])


def closed(vocals: torch.Tensor, mixture: torch.Tensor, rate: int) -> torch.Tensor:
    """Mute the vocals where the detector finds no singing in the mixture."""
    detector = VoiceDetector(device=vocals.device)
    probabilities = detector.probabilities(mixture.cpu().numpy(), rate)
    return closed_where_silent(vocals, probabilities, rate)


FILTERS: Mapping[str, Filter] = {
    "hpss": harmonic_part,
    "wiener": adaptive_wiener,
    "vad": closed,
}


def _local_mean(x: torch.Tensor) -> torch.Tensor:
    """Return means over rectangles of `_WIENER`, zero-padded, one axis after the other."""
    for axis in (-2, -1):
        size = x.shape[axis]
        half = _WIENER // 2
        pad = (half + 1, _WIENER - 1 - half)
        sums = functional.pad(x.movedim(axis, -1).double(), pad).cumsum(-1)
        width = (sums[..., _WIENER:] - sums[..., :-_WIENER])[..., :size]
        x = (width / _WIENER).to(x.dtype).movedim(-1, axis)
    return x


def _hop(rate: int) -> int:
    """Return the power of two nearest to 256 samples at 22050 Hz."""
    return int(2 ** round(math.log2(rate * 256 / 22050)))
