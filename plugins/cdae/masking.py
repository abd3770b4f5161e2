"""From the magnitudes that networks hear of each stem to the stems' shares of a mixture."""

from __future__ import annotations

import torch

_SILENCE = 1e-7


def wiener(magnitudes: torch.Tensor, *, power: float = 2.0) -> torch.Tensor:
    """Return masks ``E^power / (sum of E^power over stems + 1e-7)``, in [0, 1].

    Shape:
        magnitudes: ``(..., stems, bands, frames)``, as the masks.
    """
    powers = magnitudes.square() if power == 2 else magnitudes.pow(power)
    return powers / (powers.sum(-3, keepdim=True) + _SILENCE)


def magnitude(bands: torch.Tensor) -> torch.Tensor:
    """Return ``|bands|``, faster than `torch.abs`, which takes care of numbers below 1e-19."""
    return torch.addcmul(bands.real.square(), bands.imag, bands.imag).sqrt_()


def bels(
    masks: torch.Tensor,
    mixture: torch.Tensor,
    stems: torch.Tensor,
    inner: torch.Tensor,
    frames: int,
) -> torch.Tensor:
    """Return ``log10(error / mixture)`` of masked stems by segments of ``frames`` frames.

    The error of a mask ``m`` is ``|m X - S|^2 = m (m |X|^2 - 2 Re(X* S)) + |S|^2``. A floor 20 dB
    below the mixture keeps silent stems from taking the networks' whole effort.

    Shape:
        masks, inner: ``(batch, stems, bands, frames)``.
        mixture: energies ``(batch, 1, bands, frames)``.
        stems: energies by segment ``(batch, stems, segments)``, as the result.
    """
    error = segments(masks * (masks * mixture - 2 * inner), frames) + stems
    whole = segments(mixture, frames)
    floor = 1e-2 * whole + 1e-3 * whole.mean(-1, keepdim=True) + 1e-6
    return torch.log10((error.clamp_min(0) + floor) / (whole + floor))


def segments(energy: torch.Tensor, frames: int) -> torch.Tensor:
    """Sum ``(..., bands, frames)`` over bands and over segments of frames."""
    along = energy.sum(-2)
    count = max(1, along.shape[-1] // frames)
    length = min(frames, along.shape[-1])
    return along[..., : count * length].reshape(*along.shape[:-1], count, length).sum(-1)
