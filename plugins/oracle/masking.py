"""Masks from the true stems, separately for each channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from sepbench.dsp.masks import binary_mask, ratio_masks
from sepbench.dsp.stft import Stft

_FRAMES = 256

Stems = Mapping[str, torch.Tensor]


def binary(
    mixture: torch.Tensor, references: Stems, *, n_fft: int, power: float, threshold: float
) -> dict[str, torch.Tensor]:
    """Return the mixture where a stem reaches its share: ``(|s| / |x|)^power >= threshold``."""
    return _masked(
        mixture,
        references,
        n_fft,
        lambda whole, parts: [
            binary_mask(part, whole, power=power, threshold=threshold) for part in parts
        ],
    )


def ratio(
    mixture: torch.Tensor, references: Stems, *, n_fft: int, power: float
) -> dict[str, torch.Tensor]:
    """Return the mixture times ``|s|^power`` over the sum of all stems' ``|s|^power``."""
    return _masked(mixture, references, n_fft, lambda whole, parts: ratio_masks(parts, power=power))


def _masked(
    mixture: torch.Tensor,
    references: Stems,
    n_fft: int,
    masks: Callable[[torch.Tensor, list[torch.Tensor]], list[torch.Tensor]],
) -> dict[str, torch.Tensor]:
    """Return the mixture with masks from the magnitudes of mixture and references.

    Shape:
        mixture, references and results: ``(channels, samples)``.
    """
    stft = Stft(n_fft=n_fft, hop=n_fft // 2)
    estimates = {name: torch.zeros_like(mixture) for name in references}
    for first, last in stft.blocks(mixture.shape[-1], _FRAMES):
        spectrum = stft.forward(mixture, first, last)
        parts = [stft.forward(stem, first, last).abs() for stem in references.values()]
        shares = masks(spectrum.abs(), parts)
        for estimate, share in zip(estimates.values(), shares, strict=True):
            stft.add(estimate, spectrum * share, first)
    return estimates
