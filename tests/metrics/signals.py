"""Signals with the properties that scores depend on, from a seed."""

from __future__ import annotations

import songs
import torch


def noise(*shape: int, seed: int, level: float = 0.1, bits: int | None = 16) -> torch.Tensor:
    """White noise as float32, of 16-bit values unless ``bits`` is None."""
    wave = level * songs.noise(*shape, seed=seed)
    return wave if bits is None else _in_bits(wave, bits)


def stems(count: int, channels: int, samples: int, *, seed: int) -> torch.Tensor:
    """Coloured, correlated 16-bit sources ``(count, channels, samples)``."""
    white = noise(count, channels, samples, seed=seed, bits=None)
    colour = torch.arange(1, count + 1) / (count + 1)
    wave = white.clone()
    wave[..., 1:] += colour[:, None, None] * white[..., :-1]
    wave += 0.3 * wave.mean(1, keepdim=True)
    return _in_bits(wave, 16)


def estimates(references: torch.Tensor, *, seed: int, leak: float = 0.2) -> torch.Tensor:
    """What a separator might make: filtered references, some of each other, and noise."""
    made = references.clone()
    made[..., 3:] += 0.3 * references[..., :-3]
    made += leak * references.sum(0, keepdim=True)
    return made + noise(*references.shape, seed=seed + 1, level=0.01, bits=None)


def _in_bits(wave: torch.Tensor, bits: int) -> torch.Tensor:
    """Round to the values that integers of ``bits`` bits can have."""
    full = 2 ** (bits - 1)
    return (wave * full).round().clamp(-full, full - 1) / full
