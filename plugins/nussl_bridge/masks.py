"""nussl's mask estimation by a network, with the weights of ``blstm``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sepbench.separator import Requirement, SampleCount, Separator, WeightFile, option

from ..blstm import BLSTM
from .base import CITATION, NEEDS

if TYPE_CHECKING:
    import torch


class DeepMask(Separator):
    """Masks the voice with a recurrent network built and run by nussl.

    The network is that of the method ``blstm``, in nussl's own modules, on nussl's own transform;
    its weights are any file of that method's, nussl checkpoints read by ``sepbench weights import
    nussl`` among them. Nothing is unpickled.
    """

    name = "nussl-deep-mask"
    version = "2"  # Raised when songs were scaled to the level of training.
    summary = "nussl's deep mask estimation: a network of its modules with weights of blstm."
    stems = ("vocals", "accompaniment")
    remainder = "accompaniment"
    citation = CITATION
    needs = (*NEEDS, Requirement("safetensors", "pip install safetensors"))
    preload = f"{__package__}.preloaded"
    folder = BLSTM.folder

    @dataclass(frozen=True)
    class Options:
        """Options."""

        weights: str = option(
            "default", "name of weights included for blstm, or path of a .safetensors file of it"
        )

    options: Options

    @cached_property
    def _blstm(self) -> BLSTM:
        """The method whose weights are used, for their metadata."""
        return BLSTM(BLSTM.Options(weights=self.options.weights, full_band=False))

    @property
    def license(self) -> str:
        """The license of the code, and the terms of the weights in use."""
        return self._blstm.license

    @property
    def weight_files(self) -> tuple[WeightFile, ...]:
        """The file in use, with its sha256."""
        return self._blstm.weight_files

    @property
    def trained_on(self) -> tuple[str, ...]:
        """The training data of the weights."""
        return self._blstm.trained_on

    @property
    def trained_songs(self) -> Mapping[str, float]:
        """The songs of training."""
        return self._blstm.trained_songs

    @property
    def trained_sounds(self) -> frozenset[str]:
        """The same by their sound."""
        return self._blstm.trained_sounds

    @property
    def sample_rate(self) -> int | None:
        """The trained rate."""
        return self._blstm.sample_rate

    @property
    def channels(self) -> int | None:
        """2 for a network with stereo input."""
        return self._blstm.channels

    @property
    def level(self) -> float | None:
        """The level of training, None for weights trained at original levels."""
        return self._blstm.level

    @property
    def context(self) -> float | SampleCount | None:
        """Context of a frame of the mask on each side, in seconds."""
        return self._blstm.context

    def load(self, device: torch.device) -> None:
        """Read the weights and build the network by nussl on ``device``."""
        from .deep import DeepMaskNetwork

        header, file = self._blstm.header, self._blstm.weights_file
        self._network = DeepMaskNetwork(header["model"], file, device)

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the voice ``(channels, samples)``."""
        return {"vocals": self._network.voice(mixture)}
