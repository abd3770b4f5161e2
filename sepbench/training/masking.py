"""Training of networks from spectrograms to masks of the voice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from sepbench.dsp.stft import Stft
from sepbench.training.losses import Loss, loss
from sepbench.training.model import Batch, Trainable


class MaskTrainable(Trainable):
    """A network with a row per bin and a column per frame in its input and its mask.

    A subclass sets `rate`, `stft`, `bins` (rows of the input; bins above have a mask of zero in
    training), `margin` and `objective`, the name of a loss in `sepbench.training.losses`.
    """

    stft: Stft
    bins: int
    objective: str
    margin: int = 0
    """Context columns at each end, for which the network gives no mask."""
    silence: float = 0.0
    """Input value of silence, for padding both ends of a song."""
    context: float | None = None

    def read(self, model: Mapping[str, Any]) -> dict[str, Any]:
        """Set `rate`, `stft` and `objective` by a section ``model``; return its other fields.

        Raises `SepbenchError` for an unknown objective.
        """
        rest = dict(model)
        self.rate = int(rest.pop("rate"))
        self.stft = Stft(n_fft=int(rest.pop("n_fft")), hop=int(rest.pop("hop")))
        self.objective = rest.pop("objective", "energy")
        self.check()
        return rest

    def check(self) -> None:
        """Raise `SepbenchError` for an unknown objective."""
        self.loss_label = self._loss.label

    def inputs(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Return the network's input for a spectrum ``(batch, bins, frames)``."""
        return spectrum.abs()

    def mask(self, network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        """Return the mask of every column, those at the ends included.

        Shape:
            inputs and result: ``(batch, bins, frames)``.
        """
        padded = functional.pad(inputs, (self.margin, self.margin), value=self.silence)
        mask: torch.Tensor = network(padded)
        return mask

    def features(self, mixture: torch.Tensor) -> torch.Tensor:
        """Return the network's input for mixtures ``(batch, samples)``."""
        return self.inputs(self._spectrum(mixture))

    def targets(self, stems: Batch) -> Batch:
        """Return the targets of the loss from stems ``(batch, samples)``; see `Loss.targets`."""
        voice = self._inside(self._spectrum(stems["vocals"]))
        mixture = voice + self._inside(self._spectrum(stems["accompaniment"]))
        return self._loss.targets(mixture, voice)

    def loss(self, output: torch.Tensor, targets: Batch) -> torch.Tensor:
        """Return the loss of a mask ``(batch, bins, frames)`` by `objective`, a scalar."""
        return self._loss.value(output, targets, max(1, self.rate // self.stft.hop)).mean()

    def estimates(self, network: nn.Module, mixture: torch.Tensor) -> Batch:
        """Return only the voice, ``(batch, samples)``; the accompaniment is the rest."""
        return {"vocals": self.vocals(network, mixture)}

    def vocals(self, network: nn.Module, mixture: torch.Tensor) -> torch.Tensor:
        """Return the masked mixture ``(batch, samples)``."""
        spectrum = self.stft.forward(mixture)
        mask = self.mask(network, self.features(mixture))
        missing = self.stft.bins - self.bins
        return self.stft.inverse(
            spectrum * functional.pad(mask, (0, 0, 0, missing)), mixture.shape[-1]
        )

    @property
    def _loss(self) -> Loss:
        return loss(self.objective)

    def _spectrum(self, signal: torch.Tensor) -> torch.Tensor:
        return self.stft.forward(signal)[..., : self.bins, :]

    def _inside(self, columns: torch.Tensor) -> torch.Tensor:
        return columns[..., self.margin : columns.shape[-1] - self.margin]
