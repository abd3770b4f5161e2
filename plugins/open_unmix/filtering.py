"""Computes stems from the magnitudes of all networks, segment by segment."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from sepbench.dsp.linear import from_parts, parts, planes_of, wiener
from sepbench.dsp.stft import Stft

from .network import StemNetwork

_FRAMES = 300
"""Frames of a segment, which has its own spatial covariances."""

_LOUDEST = 10.0
"""Largest magnitude of a segment without scaling; louder segments are scaled down to it."""

_EPSILON = 1e-10


def separate(
    mixture: torch.Tensor, networks: Mapping[str, StemNetwork], *, stft: Stft, iterations: int
) -> dict[str, torch.Tensor]:
    """Return the stems of a mixture, each ``(channels, samples)`` like the mixture.

    The networks process the whole song; its spectrum is never in memory completely.
    """
    blocks = list(stft.blocks(mixture.shape[-1], _FRAMES))
    followed = {}
    for stem, network in networks.items():
        features = [network.encode(stft.forward(mixture, *block).abs()) for block in blocks]
        followed[stem] = network.follow(torch.cat(features))
    stems = {stem: torch.zeros_like(mixture) for stem in networks}
    for first, last in blocks:
        spectrum = stft.forward(mixture, first, last)
        gains = [network.decode(followed[stem][first:last]) for stem, network in networks.items()]
        estimates = refine([gain * spectrum for gain in gains], spectrum, iterations)
        for signal, estimate in zip(stems.values(), estimates, strict=True):
            stft.add(signal, estimate, first)
    return stems


def refine(
    estimates: list[torch.Tensor], mixture: torch.Tensor, iterations: int
) -> list[torch.Tensor]:
    """Refine spectra by an iterative multichannel Wiener filter.

    Each iteration estimates the energy ``v`` of a stem in each bin, the mean over channels,
    and its spatial covariance ``R`` at each frequency; the filtered mixture
    ``v R (sum_k v_k R_k)^-1 x`` is the next estimate (Uhlich et al., ICASSP 2017).

    Shape:
        estimates, mixture and results: ``(channels, bins, frames)``, complex.
    """
    if iterations == 0:
        return estimates
    scale = max(1.0, float(mixture.abs().max()) / _LOUDEST)
    mixture = mixture / scale
    estimates = [estimate / scale for estimate in estimates]
    for _ in range(iterations):
        energies = [estimate.abs().square().mean(0) for estimate in estimates]
        spatial = [
            planes_of(
                torch.einsum("abf,cbf->acb", estimate, estimate.conj())[..., None]
                / (energy.sum(-1, keepdim=True) + _EPSILON)
            )
            for estimate, energy in zip(estimates, energies, strict=True)
        ]
        refined = wiener(parts(mixture), energies, spatial, floor=_EPSILON**0.5)
        estimates = [from_parts(estimate) for estimate in refined]
    return [estimate * scale for estimate in estimates]
