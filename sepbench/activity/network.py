"""Networks that classify each frame of a spectrogram as singing or not."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class ActivityNet(nn.Module):
    """Convolutions over bands and frames, then dilated ones along time; none pads in time.

    It works at half the frame rate of its input and predicts both frames of each step.

    Args:
        bands: rows of the input, a multiple of 8.
        widths: channels at a half, a quarter and an eighth of the rows.
        features: channels of the convolutions along time.
        dilations: of these convolutions, in steps of two frames.
        dropout: share of features that is dropped before the last layer.

    Shape:
        input: levels ``(batch, bands, frames)``, ``frames`` even and above ``2 * margin``.
        output: log-odds ``(batch, 1 + bands, frames - 2 * margin)``: first of singing, then of the
        voice's share of each band, an auxiliary target with far more information.
    """

    def __init__(
        self,
        bands: int = 80,
        widths: Sequence[int] = (24, 32, 48),
        features: int = 128,
        dilations: Sequence[int] = (1, 2, 4, 8, 16, 1),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        first, second, third = widths
        self.bands = bands
        self.scale = nn.BatchNorm1d(bands)
        self.across = nn.Sequential(
            *_conv(1, first, (5, 6), (2, 2), (2, 0)),
            *_conv(first, first, (3, 3), (1, 1), (1, 0)),
            *_conv(first, second, (4, 3), (2, 1), (1, 0)),
            *_conv(second, third, (4, 3), (2, 1), (1, 0)),
        )
        self.enter = _normed(nn.Conv1d(bands // 8 * third, features, 1, bias=False))
        self.along = nn.ModuleList(
            _normed(nn.Conv1d(features, features, 3, dilation=d, bias=False)) for d in dilations
        )
        self.dilations = tuple(dilations)
        self.leave = nn.Sequential(nn.Dropout(dropout), nn.Conv1d(features, 2 * (1 + bands), 1))
        self.margin = 2 + 2 * (3 + sum(dilations))

    def forward(self, levels: torch.Tensor) -> torch.Tensor:
        """Return log-odds for every frame that has ``margin`` frames on each side."""
        x = self.enter(self.across(self.scale(levels)[:, None]).flatten(1, 2))
        for step, d in zip(self.along, self.dilations, strict=True):
            x = x[..., d:-d] + step(x)
        pairs: torch.Tensor = self.leave(x).unflatten(1, (-1, 2))
        return pairs.mT.flatten(2)


class PublishedActivityNet(nn.Module):
    """The published detector: classifies each window of 25 columns (123,985 parameters).

    Shape:
        input: ``(batch, 513, columns)`` with ``columns >= 25``.
        output: log-odds ``(batch, 1, columns - 24)`` of the class the network was trained for.
    """

    def __init__(self, bins: int = 513, frames: int = 25) -> None:
        super().__init__()
        self.frames, self.margin = frames, frames // 2
        self.body = nn.Sequential(
            *_published_pair(1), nn.MaxPool2d(3), nn.Dropout(0.25),
            *_published_pair(16), nn.MaxPool2d(3), nn.Dropout(0.25),
        )  # fmt: skip
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * (bins // 9) * (frames // 3 // 3), 64),
            nn.LeakyReLU(0.3),
            nn.Dropout(0.5),
            nn.Linear(64, 1),
        )

    def forward(self, columns: torch.Tensor) -> torch.Tensor:
        """Return the log-odds of the window around every column that has 12 on each side."""
        windows = columns.unfold(-1, self.frames, 1).movedim(2, 1).flatten(0, 1)
        size = len(windows) if self.training else 64
        judged = [self.head(self.body(part[:, None])) for part in torch.split(windows, size)]
        return torch.cat(judged).view(columns.shape[0], 1, -1)


def _conv(
    ins: int, outs: int, kernel: tuple[int, int], stride: tuple[int, int], pad: tuple[int, int]
) -> list[nn.Module]:
    return [
        nn.Conv2d(ins, outs, kernel, stride, pad, bias=False), nn.BatchNorm2d(outs), nn.ReLU()
    ]  # fmt: skip


def _normed(layer: nn.Conv1d) -> nn.Sequential:
    return nn.Sequential(layer, nn.BatchNorm1d(layer.out_channels), nn.ReLU())


def _published_pair(ins: int) -> list[nn.Module]:
    return [
        nn.Conv2d(ins, 16, 3, padding=1), nn.LeakyReLU(0.3),
        nn.Conv2d(16, 16, 3, padding=1), nn.LeakyReLU(0.3),
    ]  # fmt: skip
