"""Slaney's mel scale and mel bands."""

from __future__ import annotations

import math

import torch

_KINK_HZ, _KINK_MEL = 1000.0, 15.0


def mel_spaced(count: int, low: float, high: float) -> torch.Tensor:
    """Return ``count`` frequencies in Hz at equal steps of Slaney's mel scale."""
    lowest, highest = _to_mel(torch.tensor([low, high], dtype=torch.float64))
    return _from_mel(torch.linspace(float(lowest), float(highest), count, dtype=torch.float64))


def mel_bands(count: int, n_fft: int, rate: int, *, low: float, high: float) -> torch.Tensor:
    """Return triangular bands, each of area one: ``(count, n_fft // 2 + 1)``.

    The bands of librosa's ``filters.mel`` with ``norm=1``: each reaches from the centre of the one
    below to the centre of the one above.

    >>> bands = mel_bands(40, 1024, 16000, low=50, high=8000)
    >>> bands.shape, bool((bands.sum(1) - 1).abs().max() < 1e-5)
    (torch.Size([40, 513]), True)
    """
    edges = mel_spaced(count + 2, low, high)
    bins = torch.linspace(0, rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    width = edges.diff()
    distance = bins - edges[:, None]
    rising, falling = distance[:-2] / width[:-1, None], -distance[2:] / width[1:, None]
    bands = torch.minimum(rising, falling).clamp_min(0)
    return (bands / bands.sum(1, keepdim=True).clamp_min(1e-9)).float()


def slaney_bands(count: int, n_fft: int, rate: int) -> torch.Tensor:
    """Return triangular bands up to half the rate, float32 ``(count, n_fft // 2 + 1)``.

    The bands of ``librosa.filters.mel`` with its defaults: each is divided by half its width in Hz.
    """
    edges = mel_spaced(count + 2, 0.0, rate / 2)
    bins = torch.linspace(0, rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    width = edges.diff()
    distance = bins - edges[:, None]
    rising, falling = distance[:-2] / width[:-1, None], -distance[2:] / width[1:, None]
    bands = torch.minimum(rising, falling).clamp_min(0)
    return (bands * (2 / (edges[2:] - edges[:-2]))[:, None]).float()


class MelBank:
    """Mel bands applied in groups, to the bins that each covers, as most weights are zero."""

    _AT_A_TIME = 32

    def __init__(self, count: int, n_fft: int, rate: int, device: torch.device) -> None:
        self._groups = []
        for group in torch.split(slaney_bands(count, n_fft, rate), self._AT_A_TIME):
            used = group.any(0).nonzero()[:, 0].tolist() or [0]
            bins = slice(used[0], used[-1] + 1)
            self._groups.append((bins, group[:, bins].T.contiguous().to(device)))

    def __call__(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """Return ``(..., count)`` of magnitudes ``(..., n_fft // 2 + 1)``."""
        return torch.cat([magnitudes[..., bins] @ matrix for bins, matrix in self._groups], dim=-1)


def _to_mel(frequency: torch.Tensor) -> torch.Tensor:
    """Linear to 1 kHz, logarithmic above (Slaney's Auditory Toolbox)."""
    above = _KINK_MEL + torch.log(frequency.clamp_min(1e-9) / _KINK_HZ) * 27 / math.log(6.4)
    return torch.where(frequency < _KINK_HZ, frequency * 3 / 200, above)


def _from_mel(mel: torch.Tensor) -> torch.Tensor:
    above = _KINK_HZ * torch.exp((mel - _KINK_MEL) * math.log(6.4) / 27)
    return torch.where(mel < _KINK_MEL, mel * 200 / 3, above)
