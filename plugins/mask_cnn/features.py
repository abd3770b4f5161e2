"""Perceptually weighted levels, the input of the published mask networks."""

from __future__ import annotations

import math

import torch

_AMIN = 1e-10
_REFERENCE = 20.0
_TOP = 80.0


def a_weighting(frequencies: torch.Tensor) -> torch.Tensor:
    """Return the A-weighting in dB (IEC 61672-1), no lower than -80 dB."""
    square = frequencies.double().square()
    low, lower_mid, upper_mid, high = (f * f for f in (20.598997, 107.65265, 737.86223, 12194.217))
    gain = (
        high
        * square.square()
        / ((square + low) * (square + high) * ((square + lower_mid) * (square + upper_mid)).sqrt())
    )
    return (2.0 + 20 * torch.log10(gain.clamp_min(1e-30))).clamp_min(-80.0)


def pre_emphasis(coefficient: float, bins: int) -> torch.Tensor:
    """Return the gain of ``y[n] = x[n] - coefficient * x[n - 1]`` at each bin, ``(bins,)``."""
    angle = torch.linspace(0, math.pi, bins)
    return (1 + coefficient**2 - 2 * coefficient * torch.cos(angle)).clamp_min(0).sqrt()


def weighted_levels(
    magnitudes: torch.Tensor, weighting: torch.Tensor, *, power: float = 3.0
) -> torch.Tensor:
    """Return levels in [0, 1]: ``magnitude^power`` in dB, weighted, 100 dB mapped to one.

    80 dB below the loudest is silence.

    Shape:
        magnitudes and the result: ``(batch, bins, frames)``.
        weighting: dB, ``(bins,)``.
    """
    levels = 10 * torch.log10(magnitudes.pow(power).clamp_min(_AMIN) / _REFERENCE)
    levels = torch.maximum(levels, levels.amax((-2, -1), keepdim=True) - _TOP)
    return ((levels + weighting.to(levels)[:, None] + 80.0) / 100.0).clamp(0.0, 1.0)
