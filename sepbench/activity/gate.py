"""Mutes a vocals stem where nobody sings."""

from __future__ import annotations

import torch

from sepbench.activity.segments import Decision, Probabilities, gain, segments

CAUTIOUS = Decision(threshold=0.2, hold=0.5, shortest_gap=0.4, shortest=0.1)
"""Decision of the gate: cutting off a voice is worse than leaving some noise in."""

_BEFORE, _AFTER, _FADE = 0.15, 0.3, 0.1
"""Seconds that the gate is open before and after a segment, and length of its fades."""


def closed_where_silent(
    vocals: torch.Tensor, probabilities: Probabilities, rate: int, decision: Decision = CAUTIOUS
) -> torch.Tensor:
    """Return the vocals with a gain that falls to zero where nobody sings.

    The gain is the same for all channels and frequencies and never above one.

    Shape:
        vocals: ``(channels, samples)``; the result has the same shape.
        probabilities: of singing at each frame of 10 ms.
    """
    found = segments(probabilities, decision)
    curve = gain(found, vocals.shape[-1], rate, before=_BEFORE, after=_AFTER, fade=_FADE)
    return vocals * torch.from_numpy(curve).to(vocals)
