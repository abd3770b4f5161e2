"""Features and training of the networks of ibm-cnn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from sepbench.activity import model as activity
from sepbench.dsp.stft import Stft
from sepbench.errors import SepbenchError
from sepbench.training.masking import MaskTrainable
from sepbench.training.model import Batch, Trainable

from .activity import ActivityTrainable
from .network import FrequencyUNet
from .published import FRAMES, LAYOUTS, WindowNet

_FLOOR = 1e-3
"""Added to magnitudes before the logarithm."""

_COLUMNS = 256
"""Columns of a block; a third of its work is repeated."""

ARCHITECTURES = ("frequency-unet", *LAYOUTS)


def trainable(model: Mapping[str, Any]) -> Trainable:
    """Return the model of the section ``model`` of a config, by its architecture."""
    architecture = model["architecture"]
    if architecture in activity.ARCHITECTURES:
        return ActivityTrainable(model)
    if architecture == "frequency-unet":
        return FrequencyTrainable(model)
    if architecture in LAYOUTS:
        return WindowTrainable(model)
    raise SepbenchError(
        f"ibm-cnn: architecture {architecture!r}: choose one of "
        f"{', '.join((*ARCHITECTURES, *activity.ARCHITECTURES))}"
    )


class FrequencyTrainable(MaskTrainable):
    """The default network on logarithms of magnitudes; unknown fields go to `FrequencyUNet`."""

    method = "ibm-cnn"
    silence = math.log10(_FLOOR)

    def __init__(self, model: Mapping[str, Any]) -> None:
        super().__init__(model)
        rest = dict(model)
        del rest["architecture"]
        self.rate, self.stft = _front_end(rest)
        self.objective = rest.pop("objective", "energy")
        self.check()
        self.bins = self.stft.n_fft // 2
        self._sizes = rest
        self.margin = self.network().margin
        self.context = (self.margin * self.stft.hop + self.stft.n_fft) / self.rate

    def network(self) -> FrequencyUNet:
        """Build the network."""
        return FrequencyUNet(self.bins, **self._sizes)

    def inputs(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Return the logarithms of magnitudes."""
        return torch.log10(spectrum.abs() + _FLOOR)

    def mask(self, network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        """Return the mask of every column, in blocks that stay in the processor's cache."""
        padded = functional.pad(inputs, (self.margin, self.margin), value=self.silence)
        blocks = [
            network(padded[..., first : first + _COLUMNS + 2 * self.margin])
            for first in range(0, inputs.shape[-1], _COLUMNS)
        ]
        return torch.cat(blocks, -1)


class WindowTrainable(MaskTrainable):
    """A published network on windows of nine columns.

    ``architecture`` is one of `LAYOUTS`. Further fields:

    - ``label_width``: columns of the mask, 1 or 9; overlapping masks are averaged (``merge: mean``)
      or only their centre columns are taken (``centre``).
    - ``labels``: the values for bins of the other stem and of the predicted one.
    - ``predicts``: ``vocals`` or ``accompaniment``, the stem whose bins have the higher label.
    - ``real_part``: whether the input is the real part of the spectrum, as published, instead
      of its magnitude.
    - ``scale``: ``none``, or ``window`` to divide the spectrum by the sum of the window (Lin 2018).
    - ``task``: ``separate``, or ``autoencode`` to learn the vocals' own spectrum, for a start.
    """

    method = "ibm-cnn"

    def __init__(self, model: Mapping[str, Any]) -> None:
        super().__init__(model)
        rest = dict(model)
        self.architecture = str(rest.pop("architecture"))
        self.rate, self.stft = _front_end(rest)
        self.objective = _choice(rest, "objective", "labels")
        self.layout = LAYOUTS[self.architecture]
        self.width = int(rest.pop("label_width", self.layout.width))
        self.merge = _choice(rest, "merge", "mean", "centre")
        self.predicts = _choice(rest, "predicts", "vocals", "accompaniment")
        self.scale = _choice(rest, "scale", "none", "window")
        self.task = _choice(rest, "task", "separate", "autoencode")
        self.low, self.high = (float(value) for value in rest.pop("labels", (0.0, 1.0)))
        self.real_part = bool(rest.pop("real_part", False))
        if rest:
            raise ValueError(f"unknown field {next(iter(rest))!r}")
        if self.width not in (1, FRAMES):
            raise ValueError(f"label_width={self.width}: must be 1 or {FRAMES}")
        if self.task == "autoencode" and self.width != FRAMES:
            raise ValueError(f"task=autoencode: needs label_width={FRAMES}")
        self.bins, self.margin = self.stft.bins, WindowNet.margin
        reach = 2 * self.margin if self.width > 1 and self.merge == "mean" else self.margin
        self.context = (reach * self.stft.hop + self.stft.n_fft) / self.rate

    def network(self) -> WindowNet:
        """Build the network."""
        return WindowNet(self.layout, self.bins, self.width)

    def inputs(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Return magnitudes, or the input of published networks."""
        seen = spectrum.real if self.real_part else spectrum.abs()
        return seen / (self.stft.width / 2) if self.scale == "window" else seen

    def mixture(self, stems: Batch) -> torch.Tensor:
        """Return the mixture; for an autoencoder the vocals."""
        return stems["vocals"] if self.task == "autoencode" else super().mixture(stems)

    def targets(self, stems: Batch) -> Batch:
        """Return the labels of each window, ``(batch, windows, bins, width)``."""
        if self.task == "autoencode":
            return {"labels": self._windows(self.features(stems["vocals"]))}
        return {"labels": self._windows(self.labels(stems))}

    def labels(self, stems: Batch) -> torch.Tensor:
        """Return the ideal binary mask of the predicted stem, in the values of ``labels``."""
        voice = self._spectrum(stems["vocals"]).abs()
        rest = self._spectrum(stems["accompaniment"]).abs()
        mine = voice >= rest if self.predicts == "vocals" else voice < rest
        return torch.where(mine, self.high, self.low)

    def loss(self, output: torch.Tensor, targets: Batch) -> torch.Tensor:
        """Return the loss by `objective`; an autoencoder's is cross-entropy with magnitudes.

        Targets may be above one, which torch's cross-entropy does not allow; probabilities are
        clipped as in Keras.
        """
        if self.task == "separate":
            return super().loss(output, targets)
        sure, wanted = output.clamp(1e-7, 1 - 1e-7), targets["labels"]
        entropy: torch.Tensor = -(wanted * sure.log() + (1 - wanted) * (1 - sure).log()).mean()
        return entropy

    def estimates(self, network: nn.Module, mixture: torch.Tensor) -> Batch:
        """Return the voice; an autoencoder separates nothing."""
        return {} if self.task == "autoencode" else super().estimates(network, mixture)

    def mask(self, network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        """Return the mask of the voice for every column; zeros surround the song."""
        around = 2 * self.margin if self.width > 1 and self.merge == "mean" else self.margin
        padded = functional.pad(inputs, (around, around))
        windows = network.dense(padded) if isinstance(network, WindowNet) else network(padded)
        if self.width == 1:
            mask = windows[..., 0].mT
        elif self.merge == "centre":
            mask = windows[..., self.margin].mT
        else:
            # Column ``t`` is the last of window ``t`` and the first of window ``t + 8``.
            count, last = inputs.shape[-1], self.width - 1
            columns = [
                windows[:, last - place : last - place + count, :, place]
                for place in range(self.width)
            ]
            mask = torch.stack(columns).mean(0).mT
        return mask if self.predicts == "vocals" else 1 - mask

    def _windows(self, columns: torch.Tensor) -> torch.Tensor:
        windows = columns.unfold(-1, FRAMES, 1).movedim(2, 1)
        return windows if self.width > 1 else windows[..., self.margin : self.margin + 1]


def _front_end(rest: dict[str, Any]) -> tuple[int, Stft]:
    """Remove rate and transform from the fields of a section ``model``."""
    rate = int(rest.pop("rate"))
    n_fft, hop = int(rest.pop("n_fft")), int(rest.pop("hop"))
    return rate, Stft(n_fft=n_fft, hop=hop, win=int(rest.pop("win", n_fft)))


def _choice(rest: dict[str, Any], name: str, *choices: str) -> str:
    """Remove a field with one of ``choices``, by default the first."""
    value = rest.pop(name, choices[0])
    if value not in choices:
        raise ValueError(f"{name}={value}: choose one of {', '.join(choices)}")
    return str(value)
