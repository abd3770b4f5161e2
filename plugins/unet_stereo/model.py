"""Features and training of the stereo U-Net."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from sepbench.training.masking import MaskTrainable
from sepbench.training.model import Batch

from ..spleeter.network import REACH, StereoUNet


class StereoUNetTrainable(MaskTrainable):
    """A U-Net with the magnitudes of two channels as its input, built from the section ``model``.

    Fields other than ``rate``, ``n_fft``, ``hop`` and ``objective`` go to the network. A signal of
    one channel is the same in both.
    """

    method = "unet-stereo"
    example_channels = (1, 2)

    def __init__(self, model: Mapping[str, Any]) -> None:
        super().__init__(model)
        rest = self.read(model)
        # The Nyquist row is left out, so that the rows can be halved.
        self.bins = self.stft.n_fft // 2
        self.context = (REACH * self.stft.hop + self.stft.n_fft) / self.rate
        self._sizes: dict[str, Any] = rest

    def network(self) -> nn.Module:
        """Build the network."""
        return StereoUNet(**self._sizes)

    def inputs(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Return magnitudes ``(batch, 2, bins, frames)``; without channels both are the same."""
        magnitudes = spectrum.abs()
        if magnitudes.ndim == 3:
            magnitudes = magnitudes[:, None].expand(-1, 2, -1, -1)
        return magnitudes

    def targets(self, stems: Batch) -> Batch:
        """Return the targets of the loss, of each channel; without channels both are the same."""
        found = super().targets(stems)
        if stems["vocals"].ndim == 2:
            found = {name: target[:, None] for name, target in found.items()}
        return found

    def mask(self, network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        """Return the mask ``(batch, bins, frames)`` of signals of one channel."""
        masks: torch.Tensor = network(inputs)
        return masks.mean(1)
