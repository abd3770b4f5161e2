"""Layers that the networks of several methods share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional


class Level(nn.Module):
    """Two 3x3 convolutions and a bottleneck across all rows, each added to what came in.

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
        """Return ``x`` with what the layer adds to it."""
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
        """Return ``x`` with what the layer adds to it."""
        y = self.enter(x.flatten(1, 2))
        for step in self.steps:
            y = y + step(y)
        out: torch.Tensor = x + self.leave(y).view_as(x)
        return out
