"""Separators with trained weights; torch is imported when they are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sepbench.errors import MethodError, SepbenchError
from sepbench.separator import Requirement, Separator, WeightFile
from sepbench.training import run_weights
from sepbench.training.learned_options import (
    LearnedOptions,
    MonoOptions,
    weights_option,
    wiener_option,
)
from sepbench.training.model_class import model_class
from sepbench.weights import container

if TYPE_CHECKING:
    import torch
    from torch import nn

    from sepbench.dsp.wiener import MultichannelWiener

__all__ = [
    "LEVEL",
    "Learned",
    "LearnedOptions",
    "MonoOptions",
    "Shipped",
    "trained_level",
    "weights_option",
    "wiener_option",
]

_FULL_BAND = 44_100
"""With full band, the rate is the lowest multiple of the network's rate not below this, in Hz."""

LEVEL = -20.0
"""dB below full scale: the median level of the mixtures that networks are trained on.

It is the middle of the range ``gain`` of `MixConfig`, -10 to 10 around -20 dB; 200 mixtures of the
default config of `unet`, measured as `sepbench.inference.level` measures songs, have -20.1 dB.
"""


def trained_level(header: Mapping[str, Any]) -> float | None:
    """Return the level of the training of weights in dB, None for original levels.

    The header of imported weights says it; that of trained ones has the config of the training.
    """
    if (level := header.get("level")) is not None:
        return float(level)
    config = header.get("config") or {}
    mixtures = config.get("examples", {}).get("mixtures", "remix")
    return LEVEL if config and mixtures == "remix" else None


@dataclass(frozen=True)
class Shipped:
    """Weights that come with a plugin."""

    sha256: str
    terms: str = "CC-BY-NC-SA-4.0"
    """An SPDX expression."""


class Learned(Separator):
    """A separator with trained weights.

    The option ``weights`` names a file in the plugin's folder ``weights``, or is a path. With
    ``wiener``, a number of iterations, a multichannel Wiener filter refines the stems of stereo
    songs; below 0 it has one iteration where `least_error` holds.
    """

    Options = LearnedOptions
    options: LearnedOptions

    needs = (Requirement("safetensors", "pip install safetensors"),)

    folder: ClassVar[Path]
    """The plugin's folder."""

    trainable: ClassVar[str]
    """The method's `Trainable` as ``module:class``, imported on demand."""

    shipped: ClassVar[Mapping[str, Shipped]] = {}
    """The weights in the package by their names."""

    @property
    def license(self) -> str:
        """The license of the code, and the terms of the weights in use."""
        shipped = self.shipped.get(str(self.options.weights))
        return f"MIT; weights {shipped.terms if shipped else 'LicenseRef-not-stated'}"

    @cached_property
    def weights_file(self) -> Path:
        """The file of the option ``weights``."""
        chosen = str(self.options.weights)
        given = Path(chosen).expanduser()
        if given.suffix in (".safetensors", run_weights.SUFFIX):
            return given
        if given.is_dir():
            return run_weights.newest(self.name, given)
        file = self.folder / "weights" / f"{chosen}.safetensors"
        if chosen not in self.shipped or not file.exists():
            names = ", ".join(sorted(self.shipped))
            there = f"comes with {names} alone" if names else "comes with none"
            if Path(chosen).suffix:
                raise MethodError(
                    self.name,
                    f"{chosen}: not a .safetensors file; "
                    "use 'sepbench weights import' for those of other programs",
                )
            raise MethodError(
                self.name,
                f"no weights {chosen!r}: it {there}; "
                f"train some with 'sepbench train {self.name}' and give the path of the file",
            )
        return file

    @cached_property
    def header(self) -> dict[str, Any]:
        """The header of the weight file."""
        file = self.weights_file
        try:
            if file.suffix == run_weights.SUFFIX:
                header = run_weights.read_header(file)
            else:
                header = container.read_header(file)
        except SepbenchError as error:
            raise MethodError(self.name, str(error)) from None
        if header.get("method") != self.name:
            raise SepbenchError(f"{file}: weights of {header.get('method')}, not of {self.name}")
        if not _is_complete(header):
            raise SepbenchError(
                f"{file}: its header lacks facts needed by {self.name}; "
                "use a file made by 'sepbench train' or 'sepbench weights import'"
            )
        return header

    @cached_property
    def weight_files(self) -> tuple[WeightFile, ...]:
        """The file in use, with its sha256."""
        chosen = str(self.options.weights)
        file = self.weights_file.absolute()
        if chosen in self.shipped:
            shipped = self.shipped[chosen]
            return (WeightFile(file.name, shipped.sha256, path=file, terms=shipped.terms),)
        _ = self.header  # Explains a wrong file better than a hash mismatch.
        return (WeightFile(file.name, container.sha256(file), path=file),)

    @property
    def trained_on(self) -> tuple[str, ...]:
        """The training data of the weights."""
        return tuple(self.header["trained_on"])

    @property
    def trained_songs(self) -> Mapping[str, float]:
        """The songs of training; unknown for weights made before 0.2.0."""
        return dict(self.header.get("songs", {}))

    @property
    def trained_sounds(self) -> frozenset[str]:
        """`sound_mark` of these songs, for weights that record it."""
        return frozenset(self.header.get("sounds", []))

    @property
    def sample_rate(self) -> int | None:
        """The network's rate, or with full band a multiple of it."""
        return self._network_rate * self._rate_factor

    @property
    def level(self) -> float | None:
        """The level of training; None for weights trained at original levels, as published."""
        return trained_level(self.header)

    @property
    def context(self) -> float | None:
        """Context of the network on each side, in seconds."""
        seconds = self.header["context"]
        return None if seconds is None else float(seconds) * self._trained_rate / self._network_rate

    @property
    def stereo_filter(self) -> MultichannelWiener:
        """The multichannel Wiener filter that refines the stems of stereo songs."""
        from sepbench.dsp.wiener import MultichannelWiener

        chosen = int(getattr(self.options, "wiener", 0))
        return MultichannelWiener(
            int(self.sample_rate or 0), int(self.least_error) if chosen < 0 else chosen
        )

    @property
    def least_error(self) -> bool:
        """Whether the estimates minimise the mean squared error, as the filter assumes."""
        from sepbench.training.losses import LOSSES

        loss = LOSSES.get(self.header["model"].get("objective", "energy"))
        return loss is not None and loss.is_mmse

    @property
    def takes_mid_and_side(self) -> bool:
        """Whether stereo songs are separated as mid and side, in place of left and right."""
        chosen = getattr(self.options, "stereo", "left-right")
        return self.least_error if chosen == "auto" else chosen == "mid-side"

    @property
    def _trained_rate(self) -> int:
        return int(self.header["model"]["rate"])

    @property
    def _network_rate(self) -> int:
        """Rate in Hz of the samples that the network takes for samples at the trained rate.

        At a higher rate than the trained one it hears the song lower and slower.
        """
        return round(self._trained_rate * 2 ** (-self.options.semitones / 12))

    @property
    def _rate_factor(self) -> int:
        return -(-_FULL_BAND // self._network_rate) if self.options.full_band else 1

    def load(self, device: torch.device) -> None:
        """Read the weights and build the network on ``device``."""
        import torch

        file = self.weight_files[0]  # A method may declare those of its parts after its own.
        if container.sha256(self.weights_file) != file.sha256:
            raise SepbenchError(
                f"{self.weights_file}: damaged or replaced: its sha256 is not {file.sha256}"
            )
        # Initial weights are random and then replaced; do not advance the caller's generator.
        with torch.random.fork_rng(devices=[]):
            network = self._build()
        kind = run_weights if self.weights_file.suffix == run_weights.SUFFIX else container
        kind.load_into(network, self.weights_file)
        self._network: nn.Module = network.to(device).eval()
        self._fused = self.fuse(self._network)

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the stems but the remainder, each ``(channels, samples)``."""
        from sepbench.dsp.mid_side import left_and_right, mid_and_side

        if len(mixture) != 2 or not self.takes_mid_and_side:
            return self.separate_channels(mixture)
        made = self.separate_channels(mid_and_side(mixture))
        return {stem: left_and_right(signal) for stem, signal in made.items()}

    def separate_channels(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the stems of these channels but the remainder, each ``(channels, samples)``."""
        raise NotImplementedError

    def fuse(self, network: nn.Module) -> nn.Module:
        """Return a faster equivalent of the trained network."""
        from sepbench.training.fused import fused

        return fused(network)

    def layers(self) -> str:
        """Return a table of the network's layers, for a training example."""
        import torch

        from sepbench.training.summary import layer_summary

        with torch.random.fork_rng(devices=[]):
            network = self._build()
        config = self.header.get("config") or {}
        seconds = config.get("examples", {}).get("seconds", 6.0)
        return layer_summary(self._model, network, float(seconds))

    def _build(self) -> nn.Module:
        """Build the network described by the weight file; raise if that fails."""
        from sepbench.training.model import BADLY_DESCRIBED, wrong_field

        kind = model_class(self)
        try:
            self._model = kind(self.header["model"])
            return self.build()
        except BADLY_DESCRIBED as error:
            raise SepbenchError(
                f"{self.weights_file}: does not describe a network of {self.name}, "
                f"{wrong_field(error)}; use a file made by 'sepbench train'"
            ) from error

    def build(self) -> nn.Module:
        """Build the network into which `load` reads the tensors."""
        network: nn.Module = self._model.network()
        return network


def _is_complete(header: Mapping[str, Any]) -> bool:
    """Return whether a header has all facts needed before the network is built."""
    # `container` has checked the types of those that are there.
    return "rate" in header.get("model", {}) and {"context", "trained_on"} <= header.keys()
