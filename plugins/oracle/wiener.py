"""The multichannel Wiener filter of the local Gaussian model.

Stem ``j`` is Gaussian with covariance ``v_j R_j`` in each bin: ``v_j`` is its energy there, the
mean over channels, and ``R_j`` its spatial covariance at that frequency, the mean over the song.
Its estimate is ``v_j R_j (sum_k v_k R_k)^-1 x`` (Duong 2010; one iteration of norbert's expectation
maximisation from the true stems).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from sepbench.dsp.linear import from_parts, parts, planes_of, wiener
from sepbench.dsp.stft import Stft

_FRAMES = 128

_EPSILON = torch.finfo(torch.float64).eps
"""Relative to the energy of the mixture's loudest bin; its root is added to the covariances."""


def multichannel(
    mixture: torch.Tensor, references: Mapping[str, torch.Tensor], *, n_fft: int
) -> dict[str, torch.Tensor]:
    """Return the filtered mixture for each reference.

    Shape:
        mixture, references and results: ``(channels, samples)``.
    """
    stft = Stft(n_fft=n_fft, hop=n_fft // 2)
    stems = list(references.values())
    scale = _loudest(mixture, stft)
    spatial = [_spatial_covariance(stem, stft, scale) for stem in stems]
    estimates = {name: torch.zeros_like(mixture) for name in references}
    for first, last in stft.blocks(mixture.shape[-1], _FRAMES):
        spectrum = stft.forward(mixture, first, last).to(torch.complex128)
        energies = [
            (stft.forward(stem, first, last) / scale).abs().double().square().mean(0)
            for stem in stems
        ]
        stems_there = wiener(parts(spectrum), energies, spatial, floor=_EPSILON**0.5)
        for estimate, stem in zip(estimates.values(), stems_there, strict=True):
            stft.add(estimate, from_parts(stem).to(torch.complex64), first)
    return estimates


def _loudest(mixture: torch.Tensor, stft: Stft) -> float:
    """Return the greatest magnitude of the mixture's spectrum, 1 for silence."""
    blocks = stft.blocks(mixture.shape[-1], _FRAMES)
    greatest = max(float(stft.forward(mixture, *block).abs().max()) for block in blocks)
    return greatest or 1.0


def _spatial_covariance(stem: torch.Tensor, stft: Stft, scale: float) -> torch.Tensor:
    """Return the covariance of the channels over the song, over their mean energy.

    Shape:
        result: planes of `sepbench.dsp.linear`, ``(channels^2, bins, 1)``.
    """
    channels = stem.shape[0]
    total = torch.zeros(channels, channels, stft.bins, dtype=torch.complex128, device=stem.device)
    for first, last in stft.blocks(stem.shape[-1], _FRAMES):
        spectrum = (stft.forward(stem, first, last) / scale).to(total.dtype)
        total += torch.einsum("aft,bft->abf", spectrum, spectrum.conj())
    energy = total.diagonal(dim1=0, dim2=1).real.mean(-1)
    return planes_of(total / (energy + _EPSILON))[..., None]
