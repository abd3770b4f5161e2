"""Two U-Nets from a spectrogram to a mask: the published, and a faster one with more context."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from sepbench.training.layers import Levels


class PublishedUNet(nn.Module):
    """Six strided convolutions down, six up, skips between them (Jansson et al., ISMIR 2017).

    As in song-splitter: 5x5 kernels, skips from before normalisation, ReLU before normalisation in
    the decoder, dropout in the three deepest steps.

    Shape:
        input: magnitudes ``(batch, bins, frames)``, both multiples of 64.
        output: a mask in (0, 1) of the same shape.
    """

    multiple = 64

    def __init__(self, widths: Sequence[int] = (16, 32, 64, 128, 256, 512)) -> None:
        super().__init__()
        ins = [1, *widths[:-1]]
        self.down = nn.ModuleList(
            nn.Conv2d(i, o, 5, stride=2) for i, o in zip(ins, widths, strict=True)
        )
        self.down_norms = nn.ModuleList(_keras_norm(width) for width in widths)
        outs = [*reversed(ins[1:]), 1]
        doubled = [widths[-1], *(2 * width for width in outs[:-1])]
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(i, o, 5, stride=2) for i, o in zip(doubled, outs, strict=True)
        )
        self.up_norms = nn.ModuleList(_keras_norm(width) for width in outs[:-1])
        self.dropout = nn.Dropout(0.5)

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """Return the mask of ``magnitudes``."""
        skips = []
        x = magnitudes[:, None]
        for conv, norm in zip(self.down, self.down_norms, strict=True):
            # Keras pads an even length at stride 2 by one before and two after.
            skips.append(conv(functional.pad(x, (1, 2, 1, 2))))
            x = functional.leaky_relu(norm(skips[-1]), 0.2)
        skips.pop()
        for depth, (conv, norm) in enumerate(zip(self.up, self.up_norms, strict=False)):
            x = norm(functional.relu(_crop(conv(x))))
            x = self.dropout(x) if depth < 3 else x
            x = torch.cat([skips.pop(), x], dim=1)
        return torch.sigmoid(_crop(self.up[-1](x)))[:, 0]


class CompactUNet(Levels):
    """A U-Net whose finest level is a quarter of the bins and half of the frames.

    Each level has residual 3x3 convolutions and a bottleneck across all its rows (the
    time-distributed layer of Choi et al., ISMIR 2020); below the deepest, dilated convolutions
    along time have several seconds of context.

    Shape:
        input: magnitudes ``(batch, bins, frames)``, bins a multiple of ``4 * 2^levels``; silence
        fills the frames up to a multiple of `multiple`.
        output: a mask in (0, 1) of the same shape.
    """

    def __init__(
        self,
        bins: int = 512,
        widths: Sequence[int] = (16, 32, 64, 96),
        bottleneck: int = 384,
        dilations: Sequence[int] = (1, 2, 4, 1, 2, 4),
        squeeze: int = 4,
    ) -> None:
        super().__init__()
        self.multiple = 2 ** len(widths)
        """The number of frames is a multiple of this."""
        self.reach = self.multiple * (sum(dilations) + 2 * len(widths) + 2)
        """Context of a frame of the mask on each side, at most, in frames."""
        self.scale = nn.BatchNorm1d(bins)
        self.stem = nn.Conv2d(1, widths[0], (8, 4), stride=(4, 2), padding=(2, 1))
        self.add_levels(
            widths, bins // 4, bottleneck=bottleneck, dilations=dilations, squeeze=squeeze
        )
        self.head = nn.ConvTranspose2d(widths[0], 8, (8, 4), stride=(4, 2), padding=(2, 1))
        self.refine = nn.Conv2d(9, 1, 3, padding=1)

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """Return the mask of ``magnitudes``."""
        frames = magnitudes.shape[-1]
        padded = functional.pad(magnitudes, (0, -frames % self.multiple))
        levels = self.scale(torch.log10(padded + 1e-3))[:, None]
        x = self.through_levels(functional.relu(self.stem(levels)))
        fine = torch.cat([functional.relu(self.head(x)), levels], dim=1)
        return torch.sigmoid(self.refine(fine))[:, 0, :, :frames]


def _keras_norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)


def _crop(x: torch.Tensor) -> torch.Tensor:
    """Crop a transposed 5x5 convolution of stride 2 to twice the input, as Keras does."""
    return x[..., 1:-2, 1:-2]
