"""Networks from a window of a spectrogram to the mask of its centre column.

The published ones reduce a window to one vector. `DilatedNet` is the same idea without padding in
time, so a song is one pass: the windows of neighbouring frames share all work.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import nn

from sepbench.training.layers import Across, Dilated

ResDims = Sequence[tuple[int, int, bool]]
"""Channels in, channels out, and whether pooling follows, for each residual block."""

RES_DIMS: ResDims = (
    (32, 32, False),
    (32, 32, True),
    (32, 64, False),
    (64, 64, False),
    (64, 16, True),
)

_WINDOWS = 64
"""Windows in a batch; more gain nothing and take memory."""


class Residual(nn.Module):
    """Two pre-activated 3x3 convolutions beside the identity, or beside a 1x1 convolution."""

    def __init__(self, ins: int, outs: int, stride: int = 1) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.BatchNorm2d(ins),
            nn.ReLU(),
            nn.Conv2d(ins, outs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outs),
            nn.ReLU(),
            nn.Conv2d(outs, outs, 3, 1, 1, bias=False),
        )
        same = ins == outs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(ins, outs, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the block's output."""
        shortcut: torch.Tensor = self.shortcut(x)
        out: torch.Tensor = shortcut + self.path(x)
        return out


class WindowNet(nn.Module):
    """The published networks: from a window of columns to the mask of its centre.

    Args:
        architecture: ``residual`` (by ``res_dims``), ``convnet`` or ``resnet18``.
        bins, frames: size of the window.
        res_dims: the residual blocks.

    Shape:
        input: levels ``(batch, bins, columns)`` with ``columns >= frames``.
        output: masks ``(batch, bins, columns - frames + 1)``.
    """

    def __init__(
        self,
        architecture: str,
        bins: int = 513,
        frames: int = 25,
        res_dims: ResDims = RES_DIMS,
    ) -> None:
        super().__init__()
        self.bins, self.frames = bins, frames
        self.margin = frames // 2
        if architecture == "resnet18":
            self.body, width = _resnet18(), 512
            self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, bins))
            self._kaiming()
            return
        if architecture == "convnet":
            self.body = nn.Sequential(
                *_conv(1, 32), *_conv(32, 16), nn.MaxPool2d(2), nn.Dropout(0.25),
                *_conv(16, 64), *_conv(64, 16), nn.MaxPool2d(2), nn.Dropout(0.5),
            )  # fmt: skip
            pools, width = 2, 16
        else:
            blocks: list[nn.Module] = [nn.Conv2d(1, res_dims[0][0], 3, 1, 1, bias=False)]
            for ins, outs, pool in res_dims:
                blocks += [Residual(ins, outs), *([nn.MaxPool2d(2)] if pool else [])]
            pools, width = sum(pool for _, _, pool in res_dims), res_dims[-1][1]
            self.body = nn.Sequential(*blocks, nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.5))
        features = width * (bins >> pools) * (frames >> pools)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(features, 128),
            nn.BatchNorm1d(128),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(128, bins),
        )

    def forward(self, levels: torch.Tensor) -> torch.Tensor:
        """Return the mask of every column that has ``margin`` columns on each side.

        Windows are processed in large batches; a single window gives a single column.
        """
        windows = levels.unfold(-1, self.frames, 1).movedim(2, 1).flatten(0, 1)
        size = len(windows) if self.training else _WINDOWS
        masks = torch.cat([self._masks(part) for part in torch.split(windows, size)])
        return masks.view(levels.shape[0], -1, masks.shape[-1]).mT

    def _masks(self, windows: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.head(self.body(windows[:, None].contiguous())))

    def _kaiming(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class DilatedNet(nn.Module):
    """Convolutions across frequency, then dilated ones along time; none pads in time.

    Shape:
        input: levels ``(batch, bins, frames)`` with ``frames > 2 * margin``.
        output: masks ``(batch, bins, frames - 2 * margin)``; one for a single window.
    """

    def __init__(
        self,
        bins: int = 512,
        widths: Sequence[int] = (16, 24, 32, 48),
        features: int = 384,
        dilations: Sequence[int] = (1, 2, 4, 8, 1, 2, 4, 8),
    ) -> None:
        super().__init__()
        self.bins = bins
        self.scale = nn.BatchNorm1d(bins)
        self.stem = nn.Sequential(
            nn.Conv2d(1, widths[0], (9, 3), stride=(4, 1), padding=(4, 0), bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        )
        self.blocks = nn.ModuleList(Across(width) for width in widths)
        self.narrow = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(i, o, (2, 1), stride=(2, 1), bias=False), nn.BatchNorm2d(o), nn.ReLU()
            )
            for i, o in itertools.pairwise(widths)
        )
        rows = bins // 4 // 2 ** (len(widths) - 1)
        self.enter = nn.Sequential(
            nn.Conv1d(rows * widths[-1], features, 1, bias=False),
            nn.BatchNorm1d(features),
            nn.ReLU(),
        )
        self.along = nn.ModuleList(Dilated(features, dilation) for dilation in dilations)
        self.leave = nn.Conv1d(features, bins, 1)
        self.direct = nn.Conv1d(bins, bins, 1, groups=bins)
        self.margin = 1 + len(widths) + sum(dilations)

    def forward(self, levels: torch.Tensor) -> torch.Tensor:
        """Return the mask of every frame that has ``margin`` frames on each side."""
        scaled: torch.Tensor = self.scale(levels)
        x = self.stem(scaled[:, None])
        for block, narrow in zip(self.blocks, [*self.narrow, nn.Identity()], strict=True):
            x = narrow(block(x))
        x = self.enter(x.flatten(1, 2))
        for step in self.along:
            x = step(x)
        centre = scaled[..., self.margin : scaled.shape[-1] - self.margin]
        return torch.sigmoid(self.leave(x) + self.direct(centre))


def _conv(ins: int, outs: int) -> list[nn.Module]:
    return [nn.Conv2d(ins, outs, 3, padding=1), nn.BatchNorm2d(outs), nn.ReLU()]


def _resnet18() -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(1, 64, (7, 3), (2, 1), (3, 1), bias=False)]
    ins = 64
    for outs in (64, 64, 128, 128, 128, 256, 256, 256, 512, 512, 512):
        layers.append(Residual(ins, outs, 1 if ins == outs else 2))
        ins = outs
    return nn.Sequential(*layers, nn.BatchNorm2d(512), nn.ReLU())
