"""Separators whose network predicts a mask for the voice."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from sepbench.separator import BLOCK_ALIGNMENT
from sepbench.training.learned import Learned, LearnedOptions, MonoOptions

if TYPE_CHECKING:
    import torch

    from sepbench.dsp.stft import Stft
    from sepbench.training.masking import MaskTrainable

_AT_ONCE = 256
"""Frames of a full-band spectrum processed at a time."""


class LearnedMask(Learned):
    """A separator whose network predicts a mask for the voice; the rest is the accompaniment.

    With full band the transform has the bins and frames of training, and more bins above, to which
    `sepbench.training.bandwidth.extend` continues the mask.
    """

    Options = MonoOptions
    options: LearnedOptions
    stems = ("vocals", "accompaniment")
    _model: MaskTrainable

    @property
    def frames_together(self) -> int:
        """The frames of which the network's coarsest level makes one."""
        return 1

    @property
    def block_alignment(self) -> int:
        """A common multiple of the default alignment and the samples of `frames_together`.

        So blocks begin where the coarsest level has a frame. The default if the weights have no
        ``hop``.
        """
        hop = self.header["model"].get("hop", 0)  # Called before the network is built.
        return math.lcm(BLOCK_ALIGNMENT, self.frames_together * hop * self._rate_factor or 1)

    def separate_channels(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the masked mixture for each stem, ``(channels, samples)``.

        Only the network's input and its mask are in memory for the whole song; the wider spectrum
        is computed, masked and inverted a few seconds at a time.
        """
        import torch

        stft, samples = self._stft(), mixture.shape[-1]
        features = self._features(stft, mixture)
        mask = self.predict(features)
        made: dict[str, torch.Tensor] = {}
        for first, last in stft.blocks(samples, _AT_ONCE):
            spectrum = stft.forward(mixture, first, last)
            part = self._extend_mask(mask[..., first:last], features[..., first:last], stft.bins)
            for stem, share in self.shares(part).items():
                signal = made.setdefault(stem, torch.zeros_like(mixture))
                stft.add(signal, spectrum * share, first)
        return made

    def shares(self, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the mask of each stem, given the voice's; each ``(channels, bins, frames)``."""
        return {"vocals": mask}

    def predict(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Return the mask for the bins and the rate of training, ``(channels, bins, frames)``.

        ``spectrum`` is complex and has the shape of the mask. Channels are masked one by one. The
        masks of left and right may be averaged with that of their mean, where most voices are
        louder.
        """
        masks = self._masks(spectrum)
        if len(spectrum) != 2 or not self._averages_with_mean:
            return masks
        return (masks + self._masks(spectrum.mean(0, keepdim=True))) / 2

    @property
    def _averages_with_mean(self) -> bool:
        """Whether the masks of left and right are averaged with that of their mean."""
        return not self.takes_mid_and_side

    def _masks(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Return the mask of each channel by itself."""
        return self._model.mask(self._fused, self._model.inputs(spectrum))

    def _stft(self) -> Stft:
        """Return the transform of training, scaled to the rate."""
        own = self._model.stft
        factor = self._rate_factor
        win = None if own.win is None else own.win * factor
        return replace(own, n_fft=own.n_fft * factor, hop=own.hop * factor, win=win)

    def _features(self, stft: Stft, mixture: torch.Tensor) -> torch.Tensor:
        """Return the spectrum in bins and scale of training, ``(channels, bins, frames)``."""
        import torch

        from sepbench.training.bandwidth import slope

        samples, bins = mixture.shape[-1], self._model.bins
        shape = (*mixture.shape[:-1], stft.frames(samples), bins)
        features = torch.empty(shape, dtype=mixture.dtype.to_complex(), device=mixture.device)
        for first, last in stft.blocks(samples, _AT_ONCE):
            spectrum = stft.forward(mixture, first, last)[..., :bins, :]
            features[..., first:last, :] = spectrum.mT / self._rate_factor
        if self._rate_factor > 1:
            features *= slope(self._frequencies()).to(features.device)
        return features.mT

    def _frequencies(self) -> torch.Tensor:
        """Return the frequency of each bin of the features; 1 is half the trained rate."""
        import torch

        return 2 * torch.arange(self._model.bins) / self._model.stft.n_fft

    def _extend_mask(self, mask: torch.Tensor, features: torch.Tensor, rows: int) -> torch.Tensor:
        """Return a mask for all ``rows`` bins, given that of the trained bins."""
        from torch.nn import functional

        from sepbench.training.bandwidth import extend

        if self._rate_factor == 1:
            return functional.pad(mask, (0, 0, 0, rows - self._model.bins))
        return extend(mask, features.abs(), self._frequencies(), rows)
