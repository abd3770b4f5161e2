"""Input features of a detector of singing, and its output over a whole song."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from sepbench.activity.network import ActivityNet, PublishedActivityNet
from sepbench.activity.reference import FRAME, frame_count
from sepbench.dsp.mel import mel_bands
from sepbench.dsp.stft import Stft

ARCHITECTURES = ("activity", "published-activity")

_FLOOR = 1e-3
"""Added to magnitudes before the logarithm."""


class ActivityModel:
    """A detector, built from the section ``model`` of its config.

    Fields: ``architecture`` (``activity``: mel bands and `ActivityNet`; ``published-activity``:
    spectrogram columns and `PublishedActivityNet`), ``rate`` in Hz, ``n_fft``, ``win`` and ``hop``
    in samples. ``activity`` takes ``low`` and ``high`` in Hz, the edges of its bands;
    ``published-activity`` takes ``real_part`` (the input is the real part of the spectrum, as
    published, instead of its magnitude) and ``predicts`` (``voice``, or ``no-voice`` as published).
    All other fields go to the network. Raises `ValueError` for fields that do not fit.
    """

    def __init__(self, model: Mapping[str, Any]) -> None:
        rest = dict(model)
        self.architecture = str(rest.pop("architecture"))
        if self.architecture not in ARCHITECTURES:
            raise ValueError(
                f"architecture={self.architecture}: choose one of {', '.join(ARCHITECTURES)}"
            )
        self.rate = int(rest.pop("rate"))
        n_fft, hop = int(rest.pop("n_fft")), int(rest.pop("hop"))
        self.stft = Stft(n_fft=n_fft, hop=hop, win=int(rest.pop("win", n_fft)))
        self.real_part = bool(rest.pop("real_part", False))
        self.predicts = str(rest.pop("predicts", "voice"))
        if self.predicts not in ("voice", "no-voice"):
            raise ValueError(f"predicts={self.predicts}: choose voice or no-voice")
        low, high = float(rest.pop("low", 50.0)), float(rest.pop("high", self.rate / 2))
        self._sizes = rest
        with torch.random.fork_rng(devices=[]):  # Do not advance the global random generator.
            network = self.network()
        self.margin = network.margin
        self._bands: torch.Tensor | None = None
        if isinstance(network, ActivityNet):
            self._bands = mel_bands(network.bands, n_fft, self.rate, low=low, high=high)
        self.context = (self.margin * self.stft.hop + self.stft.n_fft) / self.rate
        """Seconds to each side on which a frame depends."""

    def network(self) -> ActivityNet | PublishedActivityNet:
        """Build the network."""
        if self.architecture == "activity":
            return ActivityNet(**self._sizes)
        return PublishedActivityNet(self.stft.bins, **self._sizes)

    def features(self, mixture: torch.Tensor) -> torch.Tensor:
        """Return the network's input ``(batch, rows, columns)`` for ``(batch, samples)``."""
        spectrum = self.stft.forward(mixture)
        if self._bands is None:
            return spectrum.real if self.real_part else spectrum.abs()
        return torch.log10(self._bands.to(mixture) @ spectrum.abs() + _FLOOR)

    def shares(self, vocals: torch.Tensor, rest: torch.Tensor) -> torch.Tensor | None:
        """Return the voice's share of the energy of each band, if the network learns it."""
        if self._bands is None:
            return None
        energies = [
            (self._bands.to(signal) @ self.stft.forward(signal).abs()).square()
            for signal in (vocals, rest)
        ]
        return energies[0] / (energies[0] + energies[1] + _FLOOR**2)

    def probabilities(self, network: nn.Module, mixture: torch.Tensor) -> torch.Tensor:
        """Return the probability of singing at each frame of 10 ms.

        Shape:
            mixture: ``(batch, samples)``; silence surrounds it.
            result: ``(batch, ceil(samples / (rate / 100)))``.
        """
        levels = self.features(mixture)
        columns = levels.shape[-1]
        silence = 0.0 if self._bands is None else math.log10(_FLOOR)
        # `ActivityNet` works on pairs of columns; one too many does no harm.
        padded = functional.pad(levels, (self.margin, self.margin + columns % 2), value=silence)
        said = torch.sigmoid(network(padded)[:, 0, :columns])
        voice = said if self.predicts == "voice" else 1 - said
        frames = frame_count(mixture.shape[-1], self.rate)
        centres = (torch.arange(frames, device=said.device) + 0.5) * FRAME
        nearest = (centres * self.rate / self.stft.hop).floor().long()
        return voice[..., nearest.clamp(max=columns - 1)]
