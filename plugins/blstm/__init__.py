"""A bidirectional LSTM on spectrogram frames, after nussl's mask inference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sepbench.separator import option
from sepbench.training.learned import MonoOptions, Shipped
from sepbench.training.learned_mask import LearnedMask

if TYPE_CHECKING:
    import torch
    from torch import nn

    from .model import BLSTMTrainable


class BLSTM(LearnedMask):
    """Masks the voice with recurrent layers over the whole song in both directions."""

    name = "blstm"
    version = "4"  # Raised when stereo songs were separated as mid and side.
    summary = "A bidirectional LSTM reads the spectrogram frame by frame and masks the voice."
    remainder = "accompaniment"
    citation = (
        "Manilow, Seetharaman, Pardo: The Northwestern University Source Separation Library. "
        "ISMIR 2018"
    )
    folder = Path(__file__).parent
    trainable = "sepbench_plugins.blstm.model:BLSTMTrainable"
    shipped = MappingProxyType(
        {"default": Shipped("e7ccf91ee5afcbfd921c6571c3cb05a2333463a161f376e8a30b03b0e637c566")}
    )

    @dataclass(frozen=True)
    class Options(MonoOptions):
        """Options."""

        per_clip_norm: bool = option(
            False, "normalise by the statistics of the song instead of those of training"
        )

    options: Options
    _model: BLSTMTrainable

    @property
    def channels(self) -> int | None:
        """2 for a network with stereo input."""
        return 2 if self.header["model"].get("num_audio_channels", 1) == 2 else None

    @property
    def takes_mid_and_side(self) -> bool:
        """Not for a network with stereo input."""
        return self.channels is None and super().takes_mid_and_side

    def load(self, device: torch.device) -> None:
        """Read the weights and build the network on ``device``."""
        super().load(device)
        if self.options.per_clip_norm:
            norm: Any = self._network.input_normalization
            norm.batch_norm.train()
            norm.batch_norm.momentum = 0.0  # no affine parameters to change

    def fuse(self, network: nn.Module) -> nn.Module:
        """Return the network itself, which has no convolutions; `load` may change it."""
        return network

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the voice ``(channels, samples)``."""
        from torch.nn import functional

        # Pad to a whole number of hops, as scipy does: backward layers read the padding first.
        samples = mixture.shape[-1]
        filled = functional.pad(mixture, (0, -samples % self._stft().hop))
        return {stem: made[..., :samples] for stem, made in super().separate(filled).items()}

    @property
    def _averages_with_mean(self) -> bool:
        """Not for a network with stereo input, nor for published weights, as in nussl."""
        is_averaged = self._model.channels == 1 and self._model.middle
        return is_averaged and super()._averages_with_mean

    def _masks(self, spectrum: torch.Tensor) -> torch.Tensor:
        return self._model.song_masks(self._fused, spectrum)
