"""Computes masks of any length by segments with cross-fades."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from sepbench.dsp.masks import soft_mask

FRAMES, BINS = 512, 1024
"""The input size of the networks."""

_UNSURE = 8
"""Frames at a segment's ends that are discarded if another segment covers them."""


def mask(voice: nn.Module, rest: nn.Module, magnitudes: torch.Tensor, *, step: int) -> torch.Tensor:
    """Return the share of the voice, ``voice^2 / (voice^2 + rest^2)``, of two networks' masks.

    Shape:
        magnitudes: ``(2, bins, frames)``, of which the lowest `BINS` rows count.
        result: ``(2, BINS, frames)``.
    """
    frames = magnitudes.shape[-1]
    starts = range(0, max(frames - (FRAMES - step), 1), step)
    total = magnitudes.new_zeros(2, BINS, frames)
    weights = magnitudes.new_zeros(frames)
    for start in starts:
        seen = magnitudes[:, :BINS, start : start + FRAMES]
        length = seen.shape[-1]
        segment = functional.pad(seen, (0, FRAMES - length))[None]
        share = soft_mask(voice(segment), rest(segment))
        weight = _weight(FRAMES - step, start == 0, start == starts[-1]).to(magnitudes)[:length]
        total[..., start : start + length] += share[0, ..., :length] * weight
        weights[start : start + length] += weight
    return total / weights


def _weight(overlap: int, is_first: bool, is_last: bool) -> torch.Tensor:
    """Return the window of a segment."""
    ramp = (torch.arange(overlap) + 0.5 - _UNSURE) / (overlap - 2 * _UNSURE)
    rise, flat = ramp.clamp(0, 1), torch.ones(overlap)
    middle = torch.ones(FRAMES - 2 * overlap)
    return torch.cat([flat if is_first else rise, middle, flat if is_last else rise.flip(0)])
