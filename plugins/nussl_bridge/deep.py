"""A mask inference network built and run by nussl."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from sepbench.weights import container

from ..blstm.layout import nussl_config, nussl_name
from ..blstm.model import BLSTMTrainable
from . import import_nussl, running


class DeepMaskNetwork:
    """nussl's ``DeepMaskEstimation`` with a network of its modules.

    nussl would unpickle the network and its metadata; here everything is set explicitly.

    Args:
        header: the section ``model`` of a weight file of ``blstm``.
        file: that file.
        device: where the network runs.
    """

    def __init__(self, header: Mapping[str, Any], file: Path, device: torch.device) -> None:
        self._nussl = import_nussl.nussl()
        self._device = device
        self._heard = BLSTMTrainable(header)
        with import_nussl.undisturbed():
            ours = self._heard.network()
            container.load_into(ours, file)
            model = self._nussl.ml.SeparationModel(nussl_config(self._heard.arguments))
            model.load_state_dict({nussl_name(k): v for k, v in ours.state_dict().items()})
        self._model = model.to(device).eval()

    def voice(self, mixture: torch.Tensor) -> torch.Tensor:
        """Return the voice in ``mixture``, both ``(channels, samples)``."""
        heard = self._heard
        return running.estimates(
            self._estimation,
            mixture,
            rate=heard.rate,
            frames=(heard.stft.n_fft, heard.stft.hop, heard.stft.window),
            least=heard.stft.n_fft,
            number=heard.sources,
        )[-1]

    def _estimation(self, nussl: ModuleType, signal: Any) -> Any:
        transforms = nussl.datasets.transforms
        estimation = nussl.separation.deep.DeepMaskEstimation(signal)
        estimation.model, estimation.device = self._model, self._device
        estimation.transform = transforms.Compose(
            [transforms.MagnitudeSpectrumApproximation(), transforms.ToSeparationModel()]
        )
        estimation.metadata.update(
            sample_rate=signal.sample_rate,
            stft_params=signal.stft_params,
            num_channels=self._heard.channels,
        )
        return estimation
