"""The published networks: from a window of nine columns to the mask of one or all of them.

Kernels are twelve rows tall and three columns wide, and every convolution pads its window. A column
therefore comes out otherwise near the edge of a window than inside, and windows that are one column
apart share less than they seem to. `Columns` keeps what they do share: how a column looks after
``n`` convolutions depends on how far it is from an edge only up to ``n`` columns.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.nn import functional

FRAMES = 9
"""Columns of a window."""

_KERNEL = 12
_AT_ONCE = 32
"""Windows in a batch; more gain nothing and take memory."""


@dataclass(frozen=True)
class Layout:
    """The differences between the published networks."""

    filters: tuple[int, int, int, int]
    dense: tuple[int, ...]
    slope: float = 0.3
    """Slope of the rectifiers below zero."""
    normed: tuple[bool, bool, bool, bool] = (False, False, False, False)
    """Convolutions followed by batch normalisation."""
    pool_dropout: float = 0.25
    dropout: tuple[float, ...] = (0.5,)
    """Dropout before or after each dense layer but the last."""
    ceil: bool = False
    """Whether pooling pads rows up to a multiple of twelve."""
    rectified: bool = False
    """Whether the last layer has a rectifier before its sigmoid."""
    width: int = 1
    """Columns of the mask."""


LAYOUTS = {
    "separator": Layout((32, 16, 64, 32), (512,)),
    "deep": Layout(
        (32, 16, 64, 16), (2048, 512), normed=(False, True, True, True), pool_dropout=0.0,
        dropout=(0.5, 0.5), rectified=True, width=FRAMES,
    ),
    "lin2018": Layout(
        (32, 16, 64, 32), (2048, 512), slope=0.0, pool_dropout=0.0, dropout=(0.5, 0.5), ceil=True,
        width=FRAMES,
    ),
}  # fmt: skip


class WindowNet(nn.Module):
    """Four convolutions with two poolings over rows, and dense layers.

    Args:
        layout: one of `LAYOUTS`.
        bins: rows of the spectrogram.
        width: columns of the mask, 1 (that of the centre) or 9.

    Shape:
        input: ``(batch, bins, columns)`` with ``columns >= 9``.
        output: masks ``(batch, columns - 8, bins, width)``, one for each window.
    """

    margin = FRAMES // 2

    def __init__(self, layout: Layout, bins: int = 2049, width: int | None = None) -> None:
        super().__init__()
        self.layout, self.bins, self.width = layout, bins, width or layout.width
        ins = (1, *layout.filters[:-1])
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, (_KERNEL, 3), padding=(0, 1))
            for i, o in zip(ins, layout.filters, strict=True)
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(width, eps=1e-3, momentum=0.01) if normed else nn.Identity()
            for width, normed in zip(layout.filters, layout.normed, strict=True)
        )
        rows = bins
        for _ in range(2):
            rows = -(-rows // _KERNEL) if layout.ceil else rows // _KERNEL
        sizes = (layout.filters[-1] * rows * FRAMES, *layout.dense, bins * self.width)
        self.fold = nn.ModuleList(nn.Linear(i, o) for i, o in itertools.pairwise(sizes))

    def forward(self, columns: torch.Tensor) -> torch.Tensor:
        """Return the masks of all windows, computed separately."""
        windows = columns.unfold(-1, FRAMES, 1).movedim(2, 1)
        x = windows.flatten(0, 1)[:, None]
        for number in range(len(self.convs)):
            x = self._after(number, self.convs[number](_padded(x)))
        masks = self._fold(x)
        return masks.view(*windows.shape[:2], *masks.shape[1:])

    def dense(self, columns: torch.Tensor) -> torch.Tensor:
        """Return what `forward` returns, in blocks whose windows share their convolutions."""
        masks = []
        for first in range(0, columns.shape[-1] - FRAMES + 1, _AT_ONCE):
            block = columns[..., first : first + _AT_ONCE + FRAMES - 1]
            masks.append(torch.stack([self._shared(song) for song in block]))
        return torch.cat(masks, 1)

    def _shared(self, columns: torch.Tensor) -> torch.Tensor:
        """Return the masks of the windows of one spectrogram ``(bins, columns)``.

        After ``n`` convolutions there are ``2 n + 1`` variants of each column: at 0 to ``n - 1``
        columns from the left edge of a window, farther inside, and as many near the right edge.
        """
        x = columns[None, None]
        for number, conv in enumerate(self.convs):
            x = self._after(number, _convolve_variants(cast(nn.Conv2d, conv), x))
        windows = x.shape[-1] - FRAMES + 1
        picked = [x[place, ..., place : place + windows] for place in range(FRAMES)]
        return self._fold(torch.stack(picked, -1).movedim(2, 0))

    def _after(self, number: int, x: torch.Tensor) -> torch.Tensor:
        """Return what follows a convolution: normalisation, rectifier and, twice, pooling."""
        x = functional.leaky_relu(self.norms[number](x), self.layout.slope)
        if number % 2:
            short = -x.shape[-2] % _KERNEL if self.layout.ceil else 0
            if short:
                x = functional.pad(x, (0, 0, short // 2, short - short // 2), value=-torch.inf)
            x = functional.max_pool2d(x, (_KERNEL, 1))
            x = functional.dropout(x, self.layout.pool_dropout, self.training)
        return x

    def _fold(self, x: torch.Tensor) -> torch.Tensor:
        """Return the masks ``(windows, bins, width)`` of ``(windows, channels, rows, 9)``."""
        x = x.flatten(1)
        for layer, share in zip(self.fold, self.layout.dropout, strict=False):
            x = functional.leaky_relu(layer(x), self.layout.slope)
            x = functional.dropout(x, share, self.training)
        x = self.fold[-1](x)
        if self.layout.rectified:
            x = functional.leaky_relu(x, self.layout.slope)
        return torch.sigmoid(x).view(-1, self.bins, self.width)


def _convolve_variants(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """Convolve the ``2 n - 1`` variants of each column to the ``2 n + 1`` of the next layer.

    Each variant meets the kernel's three columns once; the results are then added up as the windows
    have them side by side.

    Shape:
        x: ``(2 n - 1, channels, rows, columns)``; the result has two variants more.
    """
    by_tap = conv.weight.movedim(3, 0).flatten(0, 1)[..., None]  # (3 outs, ins, 12, 1)
    taps = functional.conv2d(_padded(x), by_tap)
    taps = taps.view(taps.shape[0], 3, -1, *taps.shape[2:])
    n = (x.shape[0] + 1) // 2
    made = taps.new_zeros(2 * n + 1, *taps.shape[2:])
    if conv.bias is not None:
        made += conv.bias[:, None, None]
    for variant in range(2 * n + 1):
        for tap in range(3):
            left = variant + tap - 1
            right = 2 * n - left
            if left < 0 or right < 0:
                continue  # The window ends here.
            old = left if left < n - 1 else 2 * (n - 1) - right if right < n - 1 else n - 1
            if tap == 1:
                made[variant] += taps[old, 1]
            elif tap == 0:
                made[variant, ..., 1:] += taps[old, 0, ..., :-1]
            else:
                made[variant, ..., :-1] += taps[old, 2, ..., 1:]
    return made


def _padded(x: torch.Tensor) -> torch.Tensor:
    """Pad rows as Keras does for a kernel of twelve: five above and six below."""
    return functional.pad(x, (0, 0, (_KERNEL - 1) // 2, _KERNEL // 2))
