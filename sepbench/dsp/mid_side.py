"""Mid and side: the mean of two channels, and half their difference.

A voice is mostly in the middle of a song. So the mid has the voice with less of the other sources,
and the side has little of the voice.
"""

from __future__ import annotations

import torch


def mid_and_side(song: torch.Tensor) -> torch.Tensor:
    """Return mid and side of a song of two channels.

    Shape:
        song and result: ``(2, samples)``.

    >>> mid_and_side(torch.tensor([[3.0], [1.0]]))
    tensor([[2.],
            [1.]])
    """
    left, right = song
    return torch.stack([left + right, left - right]).div_(2)


def left_and_right(song: torch.Tensor) -> torch.Tensor:
    """Return the left and right channel, given mid and side: the inverse of `mid_and_side`.

    Shape:
        song and result: ``(2, samples)``.

    >>> left_and_right(torch.tensor([[2.0], [1.0]]))
    tensor([[3.],
            [1.]])
    """
    mid, side = song
    return torch.stack([mid + side, mid - side])
