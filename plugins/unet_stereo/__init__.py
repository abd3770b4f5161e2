"""A U-Net that sees both channels of a song, trained on from Spleeter's weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from sepbench.training.learned import LearnedOptions, Shipped, weights_option
from sepbench.training.learned_mask import LearnedMask

from ..spleeter import MULTIPLE, Spleeter

if TYPE_CHECKING:
    import torch


class UNetStereo(LearnedMask):
    """Masks the voice in both channels with the network that Spleeter has for it."""

    name = "unet-stereo"
    version = "1"
    summary = "A U-Net on both channels at once that masks the voice, trained on from Spleeter's."
    remainder = "accompaniment"
    citation = Spleeter.citation
    folder = Path(__file__).parent
    trainable = "sepbench_plugins.unet_stereo.model:StereoUNetTrainable"
    shipped = MappingProxyType(
        {
            "default": Shipped(
                "89efb87ed935df7664315446a0a344dd44c53dea589abf6ce01f9b5c5613ffad",
                terms="MIT AND CC-BY-NC-SA-4.0",
            ),
            "free": Shipped(
                "272bcdfb13cb36b7cce530b58338efe4e4f9ac54f730093c9ac1fa9e2f77ef45",
                terms="MIT AND CC-BY-4.0 AND GPL-3.0-only",
            ),
        }
    )

    @dataclass(frozen=True)
    class Options(LearnedOptions):
        """Options."""

        weights: str = weights_option(known=("default", "free"))

    options: Options

    frames_together = MULTIPLE

    def predict(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Return the mask of each channel, ``(channels, bins, frames)``.

        Two channels are masked together. One channel, two equal ones, and each of several, are
        masked as the same in both.
        """
        import torch

        if len(spectrum) == 2 and not torch.equal(spectrum[0], spectrum[1]):
            masks: torch.Tensor = self._fused(self._model.inputs(spectrum[None]))
            return masks[0]
        return self._model.mask(self._fused, self._model.inputs(spectrum))
