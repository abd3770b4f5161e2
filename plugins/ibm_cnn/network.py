"""The default network: a U-Net across frequency with dilated convolutions along time.

No layer pads in time, so a song is one pass in which the windows of neighbouring columns share all
their work.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from sepbench.training.layers import Across, Dilated


class FrequencyUNet(nn.Module):
    """A U-Net over rows with dilated convolutions along time at the lowest level.

    Along time it has the dilated convolutions of a temporal convolutional network (Bai et al.
    2018); across frequency, skip connections keep single harmonics apart (Ronneberger et al. 2015).

    Args:
        bins: rows of the spectrogram, a multiple of ``8 * 2^(levels - 1)``.
        widths: channels of each level.
        features: channels of the convolutions along time.
        dilations: of these convolutions, in columns.

    Shape:
        input: levels ``(batch, bins, columns)`` with ``columns > 2 * margin``.
        output: masks ``(batch, bins, columns - 2 * margin)``; one column for a single window.
    """

    def __init__(
        self,
        bins: int = 1024,
        widths: Sequence[int] = (16, 24, 32, 48),
        features: int = 384,
        dilations: Sequence[int] = (1, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4),
    ) -> None:
        super().__init__()
        levels = len(widths)
        if bins % (8 << (levels - 1)):
            raise ValueError(f"{bins} rows cannot be halved {levels + 2} times")
        rows = bins // 8 >> (levels - 1)
        pairs = list(itertools.pairwise(widths))
        self.scale = nn.BatchNorm1d(bins)
        self.stem = _normed(nn.Conv2d(1, widths[0], (17, 3), (8, 1), (8, 0), bias=False))
        self.blocks = nn.ModuleList(Across(width) for width in widths)
        self.narrow = nn.ModuleList(
            _normed(nn.Conv2d(i, o, (2, 1), (2, 1), bias=False)) for i, o in pairs
        )
        self.enter = _normed(nn.Conv1d(rows * widths[-1], features, 1, bias=False))
        self.along = nn.ModuleList(Dilated(features, dilation) for dilation in dilations)
        self.leave = nn.Conv1d(features, bins, 1)
        self.direct = nn.Parameter(torch.zeros(bins, 1))
        self.spread = _normed(nn.Conv1d(features, rows * widths[-1], 1, bias=False))
        self.widen = nn.ModuleList(
            _normed(nn.ConvTranspose2d(o, i, (2, 1), (2, 1), bias=False))
            for i, o in reversed(pairs)
        )
        self.join = nn.ModuleList(Across(width) for width in reversed(widths))
        self.fine = nn.ConvTranspose2d(widths[0], 8, (16, 1), (8, 1), (4, 0))
        self.refine = nn.Sequential(
            nn.Conv2d(9, 8, 3, padding=(1, 0)),
            nn.ReLU(),
            nn.Conv2d(8, 1, (3, 1), padding=(1, 0)),
        )
        self.margin = 1 + levels + sum(dilations) + levels + 1

    def forward(self, levels: torch.Tensor) -> torch.Tensor:
        """Return the mask of every column that has ``margin`` columns on each side."""
        scaled: torch.Tensor = self.scale(levels)
        x = self.stem(scaled[:, None])
        skips = []
        for block, narrow in zip(self.blocks, [*self.narrow, nn.Identity()], strict=True):
            skips.append(block(x))
            x = narrow(skips[-1])
        deepest = x.shape[1:3]
        x = self.enter(x.flatten(1, 2))
        for step in self.along:
            x = step(x)
        coarse = self.leave(x)
        x = self.spread(x).unflatten(1, deepest)
        for block, widen in zip(self.join, [*self.widen, nn.Identity()], strict=True):
            x = widen(block(x + _middle(skips.pop(), x.shape[-1])))
        x = functional.relu(self.fine(x))
        seen = _middle(scaled, x.shape[-1])
        x = self.refine(torch.cat([x, seen[:, None]], 1))[:, 0]
        columns = x.shape[-1]
        total = x + _middle(coarse, columns) + self.direct * _middle(seen, columns)
        return torch.sigmoid(total)


def _normed(layer: nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    norm = nn.BatchNorm1d if isinstance(layer, nn.Conv1d) else nn.BatchNorm2d
    return nn.Sequential(layer, norm(layer.out_channels), nn.ReLU())


def _middle(x: torch.Tensor, columns: int) -> torch.Tensor:
    """Return the ``columns`` columns in the middle."""
    first = (x.shape[-1] - columns) // 2
    return x[..., first : first + columns]
