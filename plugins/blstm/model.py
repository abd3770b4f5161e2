"""Features and training of the recurrent networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from sepbench.dsp.stft import Stft
from sepbench.errors import SepbenchError
from sepbench.training.masking import MaskTrainable
from sepbench.training.model import Batch

from .network import ACTIVATIONS, MaskInference

_WINDOWS: dict[str, Callable[..., torch.Tensor]] = {
    "hann": torch.hann_window,
    "hamming": torch.hamming_window,
    "sqrt_hann": torch.hann_window,
}


class BLSTMTrainable(MaskTrainable):
    """nussl's mask inference network, built from the section ``model`` of its config.

    ``rate``, ``n_fft``, ``hop`` and ``window`` are the transform's, ``objective`` names
    the loss, and ``middle`` says whether stereo masks are averaged with that of the middle;
    the rest are the arguments of `MaskInference`. Sources are sorted by name, so the voice is
    last.
    """

    method = "blstm"

    def __init__(self, model: Mapping[str, Any]) -> None:
        super().__init__(model)
        rest = {
            "num_audio_channels": 1,
            "bidirectional": True,
            "dropout": 0.0,
            "num_sources": 1,
            "activation": "sigmoid",
            **model,
        }
        self.rate = int(rest.pop("rate"))
        self.stft = Stft(
            n_fft=int(rest.pop("n_fft")),
            hop=int(rest.pop("hop")),
            window=rest.pop("window", "sqrt_hann"),
        )
        self.objective = rest.pop("objective", "energy")
        self.middle = bool(rest.pop("middle", False))
        self.bins = int(rest.setdefault("num_features", self.stft.bins))
        self.sources = int(rest["num_sources"])
        self.channels = int(rest["num_audio_channels"])
        self.arguments = rest
        """Arguments of `MaskInference`, including all eight of nussl's."""
        self.check()

    def check(self) -> None:
        """Raise `SepbenchError` for inconsistent arguments."""
        super().check()
        if self.stft.window not in _WINDOWS:
            raise SepbenchError(
                f"blstm: window {self.stft.window!r}: choose one of {', '.join(_WINDOWS)}"
            )
        if self.bins != self.stft.bins:
            raise SepbenchError(
                f"blstm: num_features={self.bins}, but n_fft={self.stft.n_fft} has "
                f"{self.stft.bins} bins"
            )
        if self.channels not in (1, 2) or self.sources < 1:
            raise SepbenchError("blstm: num_audio_channels is 1 or 2, num_sources at least 1")
        if not 0 <= float(self.arguments["dropout"]) < 1:
            raise SepbenchError("blstm: dropout is at least 0 and less than 1")
        activation = self.arguments["activation"]
        wanted = [activation] if isinstance(activation, str) else list(activation)
        if not set(wanted) <= set(ACTIVATIONS):
            raise SepbenchError(
                f"blstm: activation {activation!r}: choose of {', '.join(ACTIVATIONS)}"
            )

    def network(self) -> nn.Module:
        """Build the network."""
        return MaskInference(**self.arguments)

    @property
    def scale(self) -> float:
        """scipy's scaling 'spectrum': a sine of amplitude 1 has magnitude 1/2."""
        shape = _WINDOWS[self.stft.window](self.stft.width, dtype=torch.float64)
        return 1 / float((shape.sqrt() if self.stft.window == "sqrt_hann" else shape).sum())

    def inputs(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Return magnitudes ``(batch, frames, bins, channels)`` of mono ``(batch, bins, frames)``.

        A stereo network gets the same signal in both channels.
        """
        # The frames of a bin are contiguous, as in nussl: torch uses another code path for other
        # orders, and bins that were empty in training amplify rounding errors.
        magnitudes = spectrum.abs().contiguous().mT * self.scale
        return magnitudes[..., None].expand(-1, -1, -1, self.channels)

    def mask(self, network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        """Return the mask of the voice ``(batch, bins, frames)``."""
        return _of(network(inputs), -1)

    def targets(self, stems: Batch) -> Batch:
        """Return the targets of the loss for all sources."""
        if self.sources > 2:
            raise SepbenchError("blstm: examples hold two sources; num_sources is 1 or 2")
        names = ("accompaniment", "vocals")[-self.sources :]
        sources = torch.stack([self._spectrum(stems[name]) for name in names], dim=1)
        mixture = self._spectrum(self.mixture(stems))[:, None].expand_as(sources)
        return self._loss.targets(mixture, sources)

    def loss(self, output: torch.Tensor, targets: Batch) -> torch.Tensor:
        """Return the mean loss of the masks of all sources."""
        masks = torch.stack([_of(output, source) for source in range(self.sources)], dim=1)
        loss = super().loss(masks, targets)
        return loss * self.scale if self.objective == "magnitude" else loss

    def song_masks(self, network: nn.Module, spectrum: torch.Tensor) -> torch.Tensor:
        """Return the voice's mask for each channel of a song ``(channels, bins, frames)``."""
        if self.channels == 1:
            return self.mask(network, self.inputs(spectrum))
        together = spectrum.abs().contiguous().permute(2, 1, 0)[None] * self.scale
        masks: torch.Tensor = network(together)[0, ..., -1].permute(2, 1, 0)
        return masks


def _of(masks: torch.Tensor, source: int) -> torch.Tensor:
    """One source's mask ``(batch, bins, frames)``, the mean of its channels."""
    return masks[..., source].mean(-1).mT
