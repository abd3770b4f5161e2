"""The network of Spleeter: a U-Net for one stem, on stereo magnitudes."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sepbench.errors import SepbenchError

_WIDTHS = (16, 32, 64, 128, 256, 512)

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


class StemNetwork(nn.Module):
    """Six strided 5x5 convolutions down, six up, and a mask for both channels.

    The skips, and the input of the decoder, are the convolutions' outputs before normalisation; in
    the decoder the ReLU comes before the normalisation (Hennequin et al., JOSS 2020).

    Shape:
        input: magnitudes ``(batch, 2, frames, bins)``, both multiples of 64.
        output: the stem's magnitudes, the same shape.
    """

    def __init__(self) -> None:
        super().__init__()
        ins, outs = (2, *_WIDTHS[:-1]), (*reversed(_WIDTHS[:-1]), 1)
        doubled = (_WIDTHS[-1], *(2 * width for width in outs[:-1]))
        self.down = nn.ModuleList(
            nn.Conv2d(i, o, 5, stride=2) for i, o in zip(ins, _WIDTHS, strict=True)
        )
        # The deepest convolution is not normalised.
        self.down_norms = nn.ModuleList(_norm(width) for width in _WIDTHS[:-1])
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(i, o, 5, stride=2) for i, o in zip(doubled, outs, strict=True)
        )
        self.up_norms = nn.ModuleList(_norm(width) for width in outs)
        self.mask = nn.Conv2d(1, 2, 4, dilation=2, padding=3)

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """Return the magnitudes of the stem."""
        skips = []
        x = magnitudes
        for depth, conv in enumerate(self.down):
            # Keras pads an even length at stride 2 by one before and two after.
            skips.append(conv(functional.pad(x, (1, 2, 1, 2))))
            if depth < len(self.down_norms):
                x = functional.leaky_relu(self.down_norms[depth](skips[-1]), 0.2)
        x = skips.pop()
        for conv, norm in zip(self.up, self.up_norms, strict=True):
            # Its transposed convolution crops the same.
            x = norm(functional.relu(conv(x)[..., 1:-2, 1:-2]))
            if skips:
                x = torch.cat([skips.pop(), x], dim=1)
        return torch.sigmoid(self.mask(x)) * magnitudes


def read_network(path: Path) -> StemNetwork:
    """Return the network of a published file of pickled arrays; other pickles are refused.

    Raises `SepbenchError` for any other file.
    """
    with torch.random.fork_rng(devices=[]):
        network = StemNetwork()
    try:
        with torch.serialization.safe_globals(_ARRAYS):
            arrays = torch.load(path, weights_only=True)
        network.load_state_dict(
            _renamed({name: torch.from_numpy(array) for name, array in arrays.items()})
        )
    except (UnpicklingError, RuntimeError, TypeError, AttributeError, EOFError):
        raise SepbenchError(f"{path}: not the weights of a network of Spleeter") from None
    return network.eval()


def _renamed(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors of a published file under the names of `StemNetwork`."""
    layers = {"up7.0": "mask"}
    for number in range(1, 7):
        layers[f"down{number}_conv.1"] = f"down.{number - 1}"
        layers[f"down{number}_act.0"] = f"down_norms.{number - 1}"
        layers[f"up{number}.0"] = f"up.{number - 1}"
        layers[f"up{number}.3"] = f"up_norms.{number - 1}"
    del layers["down6_act.0"]
    found = {}
    for name, tensor in tensors.items():
        layer, _, leaf = name.rpartition(".")
        if layer in layers:
            found[f"{layers[layer]}.{leaf}"] = tensor
    return found


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3)
