"""Features and training of the mask networks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from sepbench.dsp.mel import mel_spaced
from sepbench.errors import SepbenchError
from sepbench.training.masking import MaskTrainable
from sepbench.training.model import Batch

from .features import a_weighting, pre_emphasis, weighted_levels
from .network import DilatedNet, WindowNet

_FLOOR = 1e-3
"""Magnitude of silence: -108 dB for a sine."""

_ARCHITECTURES = ("dilated", "residual", "convnet", "resnet18")


class MaskCnnTrainable(MaskTrainable):
    """A mask network, built from the section ``model`` of its config.

    ``architecture`` is ``dilated`` or one of the published (``residual``, ``convnet``,
    ``resnet18``); ``levels`` is ``log`` or ``weighted``. Weighted levels take ``grid``
    (``published``: the A-weighting of mel-spaced frequencies on linear rows; ``true``: of the rows'
    own frequencies), ``fmin``, ``power``, ``emphasis`` and ``threshold``. All other fields go to
    the network.
    """

    method = "mask-cnn"

    def __init__(self, model: Mapping[str, Any]) -> None:
        super().__init__(model)
        rest = self.read(model)
        self.architecture = rest.pop("architecture")
        if self.architecture not in _ARCHITECTURES:
            raise SepbenchError(
                f"mask-cnn: architecture {self.architecture!r}: "
                f"choose one of {', '.join(_ARCHITECTURES)}"
            )
        self.levels = rest.pop("levels", "log")
        emphasis = float(rest.pop("emphasis", 0.0))
        self.threshold = float(rest.pop("threshold", 0.5))
        self.power = float(rest.pop("power", 3.0))
        grid, fmin = rest.pop("grid", "published"), float(rest.pop("fmin", 125.0))
        self.bins = self.stft.n_fft // 2 + (self.architecture != "dilated")
        nyquist = self.rate / 2
        self._emphasis = pre_emphasis(emphasis, self.stft.bins)[: self.bins]
        self._weighting = a_weighting(
            mel_spaced(self.bins, fmin, nyquist)
            if grid == "published"
            else torch.linspace(0, nyquist, self.stft.bins)[: self.bins]
        )
        self._sizes = rest
        self.margin = self.network().margin
        if self.levels == "log":
            self.silence = math.log10(_FLOOR)
            self.context = (self.margin * self.stft.hop + self.stft.n_fft) / self.rate

    def network(self) -> DilatedNet | WindowNet:
        """Build the network."""
        if self.architecture == "dilated":
            return DilatedNet(self.bins, **self._sizes)
        return WindowNet(self.architecture, self.bins, **self._sizes)

    def inputs(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Return the levels of a spectrum."""
        if self.levels == "log":
            return torch.log10(spectrum.abs() + _FLOOR)
        magnitudes = spectrum.abs() * self._emphasis.to(spectrum.device)[:, None]
        return weighted_levels(magnitudes, self._weighting, power=self.power)

    def targets(self, stems: Batch) -> Batch:
        """Return the targets of the loss.

        Labels are 1 where the voice's own level exceeds ``threshold``, as published.
        """
        if self.objective != "labels":
            return super().targets(stems)
        levels = self._inside(self.features(stems["vocals"]))
        return {"labels": (levels > self.threshold).to(levels)}
