"""Features and training of the U-Nets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from sepbench.errors import SepbenchError
from sepbench.training.masking import MaskTrainable

from .network import CompactUNet, PublishedUNet

_PATCH = 128
"""Columns of a patch for the published network."""


class UNetTrainable(MaskTrainable):
    """A U-Net, built from the section ``model`` of its config.

    ``architecture`` is ``published`` or ``compact``; ``scale`` is ``song`` (magnitudes divided by
    the maximum of the song, as in the paper of 2017) or ``none``; other fields go to the network.
    """

    method = "unet"

    def __init__(self, model: Mapping[str, Any]) -> None:
        super().__init__(model)
        rest = self.read(model)
        self.scale = rest.pop("scale", "none")
        self.architecture = rest.pop("architecture")
        if self.architecture not in ("published", "compact") or self.scale not in ("song", "none"):
            raise SepbenchError(
                "unet: architecture is 'published' or 'compact', scale 'song' or 'none'"
            )
        # The Nyquist row is left out, so that the rows can be halved.
        self.bins = self.stft.n_fft // 2
        self._sizes: dict[str, Any] = rest
        if self.architecture == "compact":
            network = CompactUNet(bins=self.bins, **rest)
            if self.scale == "none":
                self.context = (network.reach * self.stft.hop + self.stft.n_fft) / self.rate

    def network(self) -> nn.Module:
        """Build the network."""
        if self.architecture == "published":
            return PublishedUNet(**self._sizes)
        return CompactUNet(bins=self.bins, **self._sizes)

    def inputs(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Return magnitudes, scaled if ``scale`` is ``song``."""
        magnitudes = spectrum.abs()
        if self.scale == "song":
            magnitudes = magnitudes / magnitudes.amax((-2, -1), keepdim=True).clamp_min(1e-8)
        return magnitudes

    def mask(self, network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        """Return the mask: in one pass, or, for the published network, from overlapping patches."""
        if self.architecture == "published":
            return _from_patches(network, inputs)
        return super().mask(network, inputs)


def _from_patches(network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Mean of the masks of patches that overlap by half, weighted towards their middles."""
    batch, bins, frames = inputs.shape
    half = _PATCH // 2
    padded = functional.pad(inputs, (half, half + -frames % half))
    patches = padded.unfold(-1, _PATCH, half).movedim(2, 1).flatten(0, 1)
    masks = torch.cat([network(part) for part in torch.split(patches, 8)])
    masks = masks.view(batch, -1, bins, _PATCH)
    rise = (torch.arange(half, device=inputs.device) + 0.5) / half
    halves = masks[:, 1:, :, :half] * rise + masks[:, :-1, :, half:] * rise.flip(0)
    return halves.movedim(1, 2).flatten(2)[..., :frames]
