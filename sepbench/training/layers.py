"""Layers shared by the networks of several methods."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional


class Level(nn.Module):
    """Two 3x3 convolutions and a bottleneck across all rows, each with a residual connection.

    Shape:
        input, output: ``(batch, width, rows, frames)``.
    """

    def __init__(self, width: int, rows: int, squeeze: int) -> None:
        super().__init__()
        self.local = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.squeeze = nn.Linear(rows, rows // squeeze, bias=False)
        self.squeeze_norm = nn.BatchNorm2d(width)
        self.expand = nn.Linear(rows // squeeze, rows, bias=False)
        self.expand_norm = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x`` plus the output of the layer."""
        x = functional.relu(x + self.local(x))
        across = functional.relu(self.squeeze_norm(self.squeeze(x.mT).mT))
        out: torch.Tensor = x + functional.relu(self.expand_norm(self.expand(across.mT).mT))
        return out


class AlongTime(nn.Module):
    """Residual dilated convolutions along time over all rows and channels at once.

    Shape:
        input, output: ``(batch, channels, rows, frames)``, ``features`` being channels times rows.
    """

    def __init__(self, features: int, width: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.enter = nn.Sequential(
            nn.Conv1d(features, width, 1, bias=False), nn.BatchNorm1d(width), nn.ReLU()
        )
        self.steps = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(width, width, 3, padding=d, dilation=d, bias=False),
                nn.BatchNorm1d(width),
                nn.ReLU(),
            )
            for d in dilations
        )
        self.leave = nn.Conv1d(width, features, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x`` plus the output of the layer."""
        y = self.enter(x.flatten(1, 2))
        for step in self.steps:
            y = y + step(y)
        out: torch.Tensor = x + self.leave(y).view_as(x)
        return out


class Levels(nn.Module):
    """The middle of a U-Net: a `Level` for each size, skips, and `AlongTime` at the coarsest.

    A base class, so that weights keep the names of the network's own layers.
    """

    def add_levels(
        self,
        widths: Sequence[int],
        rows: int,
        *,
        bottleneck: int,
        dilations: Sequence[int],
        squeeze: int,
    ) -> None:
        """Make the layers: ``widths`` are the channels of each level, ``rows`` those of the first.

        Each level has half the rows and frames of the one before.
        """
        each = [rows // 2**level for level in range(len(widths))]
        pairs = list(itertools.pairwise(widths))
        self.encoder = nn.ModuleList(
            Level(width, row, squeeze) for width, row in zip(widths[:-1], each, strict=False)
        )
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, o, 2, stride=2, bias=False), nn.BatchNorm2d(o), nn.ReLU())
            for i, o in pairs
        )
        self.deepest = Level(widths[-1], each[-1], squeeze)
        self.along_time = AlongTime(widths[-1] * each[-1], bottleneck, dilations)
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(o, i, 2, stride=2, bias=False), nn.BatchNorm2d(i), nn.ReLU()
            )
            for i, o in reversed(pairs)
        )
        self.decoder = nn.ModuleList(
            Level(width, row, squeeze)
            for width, row in zip(widths[-2::-1], each[-2::-1], strict=True)
        )

    def through_levels(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the levels to ``(batch, widths[0], rows, frames)``, with the same output shape."""
        skips = []
        for level, down in zip(self.encoder, self.down, strict=True):
            skips.append(level(x))
            x = down(skips[-1])
        x = self.along_time(self.deepest(x))
        for up, level in zip(self.up, self.decoder, strict=True):
            x = level(up(x) + skips.pop())
        return x


class Across(nn.Module):
    """A residual block that depends on three columns and five rows, without padding in time.

    Shape:
        input: ``(batch, width, rows, columns)``; the output has two columns less.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=(1, 0), bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, (3, 1), padding=(1, 0), bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x`` without its outer columns plus the output of the layer."""
        return functional.relu(x[..., 1:-1] + self.path(x))


class Dilated(nn.Module):
    """A residual dilated convolution along time, without padding.

    Shape:
        input: ``(batch, features, columns)``; the output has ``2 * dilation`` columns less.
    """

    def __init__(self, features: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.conv = nn.Conv1d(features, features, 3, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x`` without its outer columns plus the output of the layer."""
        d = self.dilation
        return x[..., d:-d] + functional.relu(self.norm(self.conv(x)))
