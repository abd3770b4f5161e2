"""Harmonic-percussive separation by two median filters, block by block."""

from __future__ import annotations

import torch

from sepbench.dsp.masks import soft_mask
from sepbench.dsp.median import running_median
from sepbench.dsp.stft import Stft

_FRAMES = 512
"""Frames of a block: few enough for its spectra to fit the cache."""


def harmonic_percussive(
    mixture: torch.Tensor,
    *,
    n_fft: int,
    hop: int,
    kernels: tuple[int, int],
    margins: tuple[float, float],
    power: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the harmonic and the percussive part of ``mixture``.

    Pairs are (harmonic, percussive). Memory beyond the two parts does not grow with the length.

    Shape:
        mixture: ``(channels, samples)``, and each part likewise.
    """
    stft = Stft(n_fft=n_fft, hop=hop)
    harmonic, percussive = torch.zeros_like(mixture), torch.zeros_like(mixture)
    for channel, tones, clicks in zip(mixture, harmonic, percussive, strict=True):
        for first, last in stft.blocks(mixture.shape[-1], _FRAMES):
            # Context of the median; at the ends of the song the median mirrors the signal.
            begin = max(first - kernels[0] // 2, 0)
            end = min(last + kernels[0] // 2, stft.frames(mixture.shape[-1]))
            spectrum = stft.forward(channel, begin, end)
            inside = slice(first - begin, last - begin)
            masks = _masks(spectrum.abs(), inside, kernels, margins, power)
            for part, mask in zip((tones, clicks), masks, strict=True):
                stft.add(part, spectrum[:, inside] * mask, first)
    return harmonic, percussive


def _masks(
    magnitude: torch.Tensor,
    inside: slice,
    kernels: tuple[int, int],
    margins: tuple[float, float],
    power: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both masks ``(bins, frames)`` for the frames ``inside`` the magnitude's."""
    lasting = running_median(magnitude.mT, kernels[0])[inside].mT
    wide = running_median(magnitude[:, inside], kernels[1])
    # Silence is split equally, or goes to the residual if there is one.
    silence = 0.5 if margins == (1.0, 1.0) else 0.0
    return (
        soft_mask(lasting, wide * margins[0], power=power, silence=silence),
        soft_mask(wide, lasting * margins[1], power=power, silence=silence),
    )
