"""Reference activity from a vocals stem: the energy rule."""

from __future__ import annotations

import torch
from torch.nn import functional

FRAME = 0.01
"""Seconds from one frame of activity to the next."""

_WINDOW = 4
"""Frames over which power is averaged."""

_LOUD = 1e-3
"""Lowest power, relative to the loudest frame, of frames that define the voice's level."""

_BELOW = 10 ** (-25 / 10)
"""Lowest power of an active frame, relative to the level of the voice."""

_FLOOR = 1e-6
"""Mean square below which a frame is silent: -60 dB of full scale."""

_GAP, _BURST = 20, 5
"""Frames: shorter gaps are closed, then shorter bursts are dropped."""


def frame_count(samples: int, rate: int) -> int:
    """Return the number of 10 ms frames of a signal; the last may be incomplete."""
    return -(-samples * 100 // rate)


def reference_activity(vocals: torch.Tensor, rate: int) -> torch.Tensor:
    """Return where the vocals stem sounds, frame by frame.

    The rule, on the mean square of all channels over 40 ms around each frame of 10 ms:

    1. The level of the voice is the mean power of the frames within 30 dB of the loudest.
    2. A frame is active from 25 dB below that level on, and never below -60 dB of full scale.
    3. Gaps shorter than 0.2 s are closed (a plosive is no pause), then bursts shorter than 0.05 s
       are dropped.

    Shape:
        vocals: ``(..., channels, samples)``.
        result: bool, ``(..., frames)`` with ``frames = ceil(samples / (rate / 100))``.

    >>> tone = torch.sin(torch.arange(16000) * 0.3)[None]
    >>> silence = torch.zeros(1, 16000)
    >>> activity = reference_activity(torch.cat([tone, silence], -1), 16000)
    >>> activity.shape, int(activity.sum())
    (torch.Size([200]), 102)
    """
    power = frame_power(vocals, rate)
    loudest = power.amax(-1, keepdim=True)
    loud = power >= _LOUD * loudest
    level = (power * loud).sum(-1, keepdim=True) / loud.sum(-1, keepdim=True).clamp_min(1)
    active = (power >= _BELOW * level) & (power >= _FLOOR)
    closed = ~_keep_long(~active, _GAP, at_ends=True)
    return _keep_long(closed, _BURST)


def frame_power(signal: torch.Tensor, rate: int) -> torch.Tensor:
    """Return the mean square around each frame of ``(..., channels, samples)``."""
    samples = signal.shape[-1]
    frames = frame_count(samples, rate)
    square = signal.square().mean(-2)
    # Running sums in float64: those of a long song are far larger than one frame.
    total = functional.pad(square.double().cumsum(-1), (1, 0))
    centres = (torch.arange(frames, device=signal.device) + 0.5) * rate / 100
    half = _WINDOW * rate / 200
    begin = (centres - half).round().long().clamp(0, samples)
    end = (centres + half).round().long().clamp(0, samples)
    power = (total[..., end] - total[..., begin]) / (end - begin).clamp_min(1)
    return power.clamp_min(0).to(signal.dtype)


def _keep_long(mask: torch.Tensor, frames: int, *, at_ends: bool = False) -> torch.Tensor:
    """Keep runs of at least ``frames``; with ``at_ends`` also shorter ones at the ends."""
    edge = 1.0 if at_ends else 0.0
    x = mask.to(torch.float32).reshape(-1, 1, mask.shape[-1])
    padded = functional.pad(x, (frames - 1, frames - 1), value=edge)
    eroded = -functional.max_pool1d(-padded, frames, 1)
    dilated = functional.max_pool1d(eroded, frames, 1)
    return dilated.reshape(mask.shape) > 0.5
