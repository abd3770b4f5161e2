"""Weighted means over members, of stems and of ratio masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from sepbench.dsp.stft import Stft

_FRAMES = 256
"""Frames of a block: few enough for the spectra of all members to stay small."""


def of_stems(
    estimates: Mapping[str, torch.Tensor], weights: Sequence[float]
) -> dict[str, torch.Tensor]:
    """Return the mean of each stem over the members.

    Shape:
        each of the estimates: ``(members, channels, samples)``.
        each stem: ``(channels, samples)``.
    """
    return {stem: _mean(stacked, weights) for stem, stacked in estimates.items()}


def of_masks(
    mixture: torch.Tensor,
    estimates: Mapping[str, torch.Tensor],
    weights: Sequence[float],
    *,
    n_fft: int,
) -> dict[str, torch.Tensor]:
    """Return the mixture under the mean of the members' masks, for each stem.

    Shape:
        mixture: ``(channels, samples)``, and each stem likewise.
        each of the estimates: ``(members, channels, samples)``.
    """
    stft = Stft(n_fft=n_fft, hop=n_fft // 4)
    stems = {stem: torch.zeros_like(mixture) for stem in estimates}
    for first, last in stft.blocks(mixture.shape[-1], _FRAMES):
        spectrum = stft.forward(mixture, first, last)
        for stem, stacked in estimates.items():
            masks = magnitude_ratio(stft.forward(stacked, first, last), spectrum)
            stft.add(stems[stem], spectrum * _mean(masks, weights), first)
    return stems


def magnitude_ratio(source: torch.Tensor, mixture: torch.Tensor) -> torch.Tensor:
    """Return ``|source| / |mixture|``, at most 1; 0 where the mixture is silent.

    Shape:
        source: a spectrum ``(..., bins, frames)``; mixture: ``(bins, frames)`` or the same.
        result: as the source, in [0, 1].
    """
    whole = mixture.abs()
    silent = whole < torch.finfo(whole.dtype).tiny
    ratio = source.abs() / whole.masked_fill(silent, 1.0)
    return ratio.clamp_max(1.0).masked_fill(silent, 0.0)


def _mean(stacked: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """Return the weighted mean over the first dimension.

    Summed in double precision: the mean of equal estimates is their value to the bit.
    """
    total = stacked[0].double() * weights[0]
    for part, weight in zip(stacked[1:], weights[1:], strict=True):
        total = total + part.double() * weight
    return total.to(stacked.dtype)
