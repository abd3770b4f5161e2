"""Wiener masks from the magnitudes of stems."""

from __future__ import annotations

import torch

_SILENCE = 1e-7


def wiener(magnitudes: torch.Tensor, *, power: float = 2.0) -> torch.Tensor:
    """Return masks ``E^power / (sum of E^power over stems + 1e-7)``, in [0, 1].

    Shape:
        magnitudes: ``(..., stems, bands, frames)``, as the masks.
    """
    powers = _to_the(magnitudes, power)
    return powers / (powers.sum(-3, keepdim=True) + _SILENCE)


def _to_the(magnitudes: torch.Tensor, power: float) -> torch.Tensor:
    """Return powers, the usual ones without the slow logarithm of `torch.pow`."""
    if power == 1.5:
        return magnitudes * magnitudes.sqrt()
    return magnitudes.square() if power == 2 else magnitudes.pow(power)


def magnitude(bands: torch.Tensor) -> torch.Tensor:
    """Return ``|bands|``, faster than `torch.abs`, which handles numbers below 1e-19."""
    return torch.addcmul(bands.real.square(), bands.imag, bands.imag).sqrt_()
