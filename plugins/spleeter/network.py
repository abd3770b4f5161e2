"""The network of Spleeter: a U-Net for one stem, on stereo magnitudes."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sepbench.errors import SepbenchError

from . import MULTIPLE

REACH = 255
"""Context of a frame of the mask on each side, at most, in frames."""

_WIDTHS = (16, 32, 64, 128, 256, 512)
"""Channels from the finest level to the deepest."""

_EPSILON = 1e-3
"""Added to the variance in its normalisations."""

_RECONSTRUCT = np.empty(0).__reduce__()[0]
_ARRAYS: list[Any] = [
    _RECONSTRUCT,
    (_RECONSTRUCT, "numpy.core.multiarray._reconstruct"),  # As numpy 1 called it.
    (codecs.encode, "_codecs.encode"),
    np.ndarray,
    np.dtype,
    type(np.dtype(np.float32)),
]
"""Content of a pickled array."""


class StereoUNet(nn.Module):
    """Six strided 5x5 convolutions down, six up, and a mask for each of two channels.

    The skips, and the input of the decoder, are the convolutions' outputs before normalisation; in
    the decoder the ReLU comes before the normalisation (Hennequin et al., JOSS 2020).
    Normalisations have fixed statistics, so each is a slope and an offset per channel here.

    Args:
        gain: factor on the magnitudes, for weights that were trained at another level.

    Shape:
        input: magnitudes ``(batch, 2, bins, frames)``; zeros fill both up to multiples of
        `MULTIPLE`.
        output: masks in (0, 1) of the same shape.
    """

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = gain
        ins, outs = (2, *_WIDTHS[:-1]), (*reversed(_WIDTHS[:-1]), 1)
        doubled = (_WIDTHS[-1], *(2 * width for width in outs[:-1]))
        self.down = nn.ModuleList(
            nn.Conv2d(i, o, 5, stride=2) for i, o in zip(ins, _WIDTHS, strict=True)
        )
        # The deepest convolution is not normalised.
        self.down_scales = nn.ModuleList(Scale(width) for width in _WIDTHS[:-1])
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(i, o, 5, stride=2) for i, o in zip(doubled, outs, strict=True)
        )
        self.up_scales = nn.ModuleList(Scale(width) for width in outs)
        self.mask = nn.Conv2d(1, 2, 4, dilation=2, padding=3)

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """Return the masks of ``magnitudes``."""
        bins, frames = magnitudes.shape[-2:]
        # Time comes first in Spleeter's kernels.
        x = functional.pad(self.gain * magnitudes.mT, (0, -bins % MULTIPLE, 0, -frames % MULTIPLE))
        skips = []
        for depth, conv in enumerate(self.down):
            # Keras pads an even length at stride 2 by one before and two after.
            skips.append(conv(functional.pad(x, (1, 2, 1, 2))))
            if depth < len(self.down_scales):
                x = functional.leaky_relu(self.down_scales[depth](skips[-1]), 0.2)
        x = skips.pop()
        for conv, scale in zip(self.up, self.up_scales, strict=True):
            # Its transposed convolution crops the same.
            x = scale(functional.relu(conv(x)[..., 1:-2, 1:-2]))
            if skips:
                x = torch.cat([skips.pop(), x], dim=1)
        return torch.sigmoid(self.mask(x))[..., :frames, :bins].mT


class Scale(nn.Module):
    """A slope and an offset for each channel of ``(batch, channels, height, width)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.ones(channels))
        self.offset = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``slope * x + offset``."""
        return torch.addcmul(self.offset[:, None, None], x, self.slope[:, None, None])


def read_network(path: Path) -> StereoUNet:
    """Return the network of a published file of pickled arrays; other pickles are refused.

    Raises `SepbenchError` for any other file.
    """
    with torch.random.fork_rng(devices=[]):
        network = StereoUNet()
    try:
        with torch.serialization.safe_globals(_ARRAYS):
            arrays = torch.load(path, weights_only=True)
        network.load_state_dict(
            _renamed({name: torch.from_numpy(array) for name, array in arrays.items()})
        )
    except FileNotFoundError:
        raise SepbenchError(f"{path}: no such file") from None
    except Exception:  # torch raises many types
        raise SepbenchError(f"{path}: not the weights of a network of Spleeter") from None
    return network.eval().requires_grad_(False)


def _renamed(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors of a published file under the names of `StereoUNet`."""
    found = {f"mask.{leaf}": tensors[f"up7.0.{leaf}"] for leaf in ("weight", "bias")}
    for depth in range(6):
        layer = depth + 1
        for leaf in ("weight", "bias"):
            found[f"down.{depth}.{leaf}"] = tensors[f"down{layer}_conv.1.{leaf}"]
            found[f"up.{depth}.{leaf}"] = tensors[f"up{layer}.0.{leaf}"]
        if layer < 6:
            found |= _scale(tensors, f"down{layer}_act.0", f"down_scales.{depth}")
        found |= _scale(tensors, f"up{layer}.3", f"up_scales.{depth}")
    return found


def _scale(tensors: Mapping[str, torch.Tensor], norm: str, name: str) -> dict[str, torch.Tensor]:
    """Return a normalisation as a `Scale`."""
    slope = tensors[f"{norm}.weight"] / (tensors[f"{norm}.running_var"] + _EPSILON).sqrt()
    offset = tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * slope
    return {f"{name}.slope": slope, f"{name}.offset": offset}
