"""Training of networks that map a spectrogram to a mask for the voice."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from sepbench.dsp.stft import Stft
from sepbench.errors import SepbenchError
from sepbench.training.model import Batch, Trainable

OBJECTIVES = ("energy", "magnitude", "labels")


class MaskTrainable(Trainable):
    """A network whose input has a row for each bin and a column for each frame, as its mask.

    A subclass sets `rate`, `stft`, `bins` (rows the network sees; those above get no voice in
    training), `margin` and `objective`:

    - ``energy``: the logarithm of the energy of the error, mixture phase and all, over the energy
      of the mixture, second by second. Its minimum is the highest SDR a real mask can reach.
    - ``magnitude``: the mean absolute difference of masked and true magnitudes (Jansson 2017).
    - ``labels``: binary cross-entropy with `labels`.
    """

    stft: Stft
    bins: int
    objective: str
    margin: int = 0
    """Columns at each end that the network needs and gives no mask for."""
    silence: float = 0.0
    """What the network is shown of silence; it surrounds a song."""
    context: float | None = None

    def check(self) -> None:
        """Raise `SepbenchError` for an unknown objective."""
        if self.objective not in OBJECTIVES:
            raise SepbenchError(
                f"objective {self.objective!r}: choose one of {', '.join(OBJECTIVES)}"
            )

    def inputs(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Return what the network is shown of a spectrum ``(batch, bins, frames)``."""
        return spectrum.abs()

    def mask(self, network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        """Return the mask of every column, those at the ends included."""
        padded = functional.pad(inputs, (self.margin, self.margin), value=self.silence)
        mask: torch.Tensor = network(padded)
        return mask

    def labels(self, stems: Batch) -> torch.Tensor:
        """Return which bins are the voice's, 0 or 1."""
        raise NotImplementedError

    def features(self, mixture: torch.Tensor) -> torch.Tensor:
        """Return the network's input for mixtures ``(batch, samples)``."""
        return self.inputs(self._spectrum(mixture))

    def targets(self, stems: Batch) -> Batch:
        """Return the energies of mixture and voice, and their inner product, bin by bin."""
        if self.objective == "labels":
            return {"labels": self._inside(self.labels(stems))}
        voice = self._inside(self._spectrum(stems["vocals"]))
        mixture = voice + self._inside(self._spectrum(stems["accompaniment"]))
        return {
            "mixture": mixture.abs().square(),
            "voice": voice.abs().square(),
            "inner": mixture.real * voice.real + mixture.imag * voice.imag,
        }

    def loss(self, output: torch.Tensor, targets: Batch) -> torch.Tensor:
        """Return the loss of a mask by `objective`."""
        if self.objective == "energy":
            return energy_loss(output, targets, frames=max(1, self.rate // self.stft.hop))
        if self.objective == "magnitude":
            return functional.l1_loss(output * targets["mixture"].sqrt(), targets["voice"].sqrt())
        return functional.binary_cross_entropy(output, targets["labels"])

    def estimates(self, network: nn.Module, mixture: torch.Tensor) -> Batch:
        """Return the voice alone; the accompaniment is the rest."""
        return {"vocals": self.vocals(network, mixture)}

    def vocals(self, network: nn.Module, mixture: torch.Tensor) -> torch.Tensor:
        """Return the masked mixture ``(batch, samples)``."""
        spectrum = self.stft.forward(mixture)
        mask = self.mask(network, self.features(mixture))
        missing = self.stft.bins - self.bins
        return self.stft.inverse(
            spectrum * functional.pad(mask, (0, 0, 0, missing)), mixture.shape[-1]
        )

    def _spectrum(self, signal: torch.Tensor) -> torch.Tensor:
        return self.stft.forward(signal)[..., : self.bins, :]

    def _inside(self, columns: torch.Tensor) -> torch.Tensor:
        return columns[..., self.margin : columns.shape[-1] - self.margin]


def energy_loss(mask: torch.Tensor, targets: Batch, *, frames: int) -> torch.Tensor:
    """Return the mean over segments of ``log10(error / mixture)``, in bels.

    The error of the mask ``m`` is ``|m X - V|^2 = m^2 |X|^2 - 2 m Re(X* V) + |V|^2``; each segment
    is ``frames`` columns long. Errors 20 dB below the mixture count little
    less when they shrink, so that passages without voice do not take the network's whole effort.
    """
    error = mask.square() * targets["mixture"] - 2 * mask * targets["inner"] + targets["voice"]
    wrong = _segments(error, frames)
    whole = _segments(targets["mixture"], frames)
    floor = 1e-2 * whole + 1e-3 * whole.mean(-1, keepdim=True) + 1e-6
    return torch.log10((wrong.clamp_min(0) + floor) / (whole + floor)).mean()


def _segments(energy: torch.Tensor, frames: int) -> torch.Tensor:
    """Sum ``(batch, bins, frames)`` over bins and over segments of frames."""
    along = energy.sum(1)
    count = max(1, along.shape[-1] // frames)
    length = min(frames, along.shape[-1])
    return along[..., : count * length].reshape(*along.shape[:-1], count, length).sum(-1)
