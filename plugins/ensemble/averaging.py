"""Means, medians, minima and maxima over members, of stems, spectra and ratio masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from sepbench.dsp.stft import Stft

_FRAMES = 256
"""Frames of a block, to bound the memory for the spectra of all members."""


Weights = Mapping[str, Sequence[float]]
"""For each stem the weights of members, which sum to one."""


def of_spectra(
    mixture: torch.Tensor,
    estimates: Mapping[str, torch.Tensor],
    weights: Weights,
    *,
    n_fft: int,
    of: str = "mean",
) -> dict[str, torch.Tensor]:
    """Return each stem combined from the members' complex spectra, bin by bin.

    Shape:
        mixture: ``(channels, samples)``, and each stem likewise.
        each of the estimates: ``(members, channels, samples)``.
    """
    stft = Stft(n_fft=n_fft, hop=n_fft // 4)
    stems = {stem: torch.zeros_like(mixture) for stem in estimates}
    for first, last in stft.blocks(mixture.shape[-1], _FRAMES):
        for stem, stacked in estimates.items():
            spectra = stft.forward(stacked, first, last)
            stft.add(stems[stem], combined(spectra, weights[stem], of), first)
    return stems


def of_masks(
    mixture: torch.Tensor,
    estimates: Mapping[str, torch.Tensor],
    weights: Weights,
    *,
    n_fft: int,
    of: str = "mean",
) -> dict[str, torch.Tensor]:
    """Return the mixture with a mask combined from the members', for each stem.

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
            stft.add(stems[stem], spectrum * combined(masks, weights[stem], of), first)
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


def combined(stacked: torch.Tensor, weights: Sequence[float], of: str) -> torch.Tensor:
    """Combine the members' values, over the first dimension.

    ``of``: the weighted ``mean``; the ``median``, of real and imaginary parts separately; the value
    of smallest (``min``) or largest (``max``) magnitude.

    >>> combined(torch.tensor([[1.0], [-4.0], [3.0]]), [1 / 3] * 3, "max")
    tensor([-4.])
    """
    if of == "mean":
        return _mean(stacked, weights)
    if of == "median":
        if stacked.is_complex():
            parts = torch.view_as_real(stacked)
            return torch.view_as_complex(_median(parts).contiguous())
        return _median(stacked)
    size = stacked.abs()
    chosen = size.argmin(0, keepdim=True) if of == "min" else size.argmax(0, keepdim=True)
    return stacked.gather(0, chosen)[0]


def _median(stacked: torch.Tensor) -> torch.Tensor:
    """Return the median over the first dimension; the mean of the middle two of an even number."""
    ordered, count = stacked.sort(0).values, len(stacked)
    return (ordered[(count - 1) // 2] + ordered[count // 2]) / 2


def _mean(stacked: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """Return the weighted mean over the first dimension.

    Summed in double precision, so that the mean of equal estimates is exact.
    """
    wide = torch.complex128 if stacked.is_complex() else torch.float64
    total = stacked[0].to(wide) * weights[0]
    for part, weight in zip(stacked[1:], weights[1:], strict=True):
        total = total + part.to(wide) * weight
    return total.to(stacked.dtype)
