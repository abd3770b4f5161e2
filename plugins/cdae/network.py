"""Networks from magnitudes of a mixture to those of a stem: the published, and a deeper one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from sepbench.training.layers import Levels


class PublishedNet(nn.Module):
    """A convolutional denoising autoencoder (Grais and Plumbley 2017), as MiXiN has it.

    Shape:
        input: magnitudes ``(batch, bands, frames)``, bands a multiple of three.
        output: magnitudes of the stem, not negative, of the same shape.
    """

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 12, 20, 30, 40, 30, 20, 12)
        self.convs = nn.ModuleList(
            nn.Conv2d(ins, outs, 3, padding=1) for ins, outs in itertools.pairwise(widths)
        )
        self.last = nn.Conv2d(widths[-1], 1, 1)

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """Return the stem's magnitudes.

        The rectifier comes after pooling, and the last layer before repeating: the same values with
        less work.
        """
        frames = magnitudes.shape[-1]
        x = magnitudes[:, None]
        for depth, conv in enumerate(self.convs):
            if depth == 6:
                x = functional.interpolate(x, scale_factor=(1.0, 5.0))
            x = conv(x)
            if depth < 2:
                x = pool(x, 3 if depth == 0 else 1)
            x = functional.relu(x)
        x = functional.relu(self.last(x))
        return functional.interpolate(x, scale_factor=(3.0, 5.0))[:, 0, :, :frames]


def pool(x: torch.Tensor, rows: int) -> torch.Tensor:
    """Pool ``rows`` by 5 with maximum; columns are padded at both ends, as in Keras."""
    missing = -x.shape[-1] % 5
    return functional.max_pool2d(x, (rows, 5), padding=(0, missing // 2), ceil_mode=True)


class StridedNet(Levels):
    """A denoising autoencoder with skips, its finest level a quarter of bands, an eighth of frames.

    Each level has residual 3x3 convolutions and a bottleneck across all its rows; below the
    deepest, dilated convolutions along time see several seconds. The last layer returns to the
    transform's own resolution: an offset and a slope of each coefficient's own level.

    Shape:
        input: magnitudes ``(batch, bands, frames)``, bands a multiple of ``4 * 2^(levels - 1)``;
        silence fills the frames up to a multiple of `multiple`.
        output: magnitudes of the stem, between 0 and the input, of the same shape.
    """

    def __init__(
        self,
        bands: int = 256,
        widths: Sequence[int] = (20, 32, 48),
        bottleneck: int = 192,
        dilations: Sequence[int] = (1, 2, 4, 1, 2, 4),
        squeeze: int = 4,
    ) -> None:
        super().__init__()
        self.multiple = 8 * 2 ** (len(widths) - 1)
        """The number of frames is a multiple of this."""
        self.scale = nn.BatchNorm1d(bands)
        self.stem = nn.Sequential(
            nn.Conv2d(1, widths[0], (8, 16), stride=(4, 8), padding=(2, 4), bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        )
        self.add_levels(
            widths, bands // 4, bottleneck=bottleneck, dilations=dilations, squeeze=squeeze
        )
        self.head = nn.ConvTranspose2d(widths[0], 2, (8, 16), stride=(4, 8), padding=(2, 4))

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """Return the stem's magnitudes."""
        frames = magnitudes.shape[-1]
        padded = functional.pad(magnitudes, (0, -frames % self.multiple))
        levels = self.scale(torch.log10(padded + 1e-3))
        x = self.through_levels(self.stem(levels[:, None]))
        offset, slope = self.head(x).unbind(1)
        share = torch.sigmoid(offset + slope * levels)
        return magnitudes * share[..., :frames]
