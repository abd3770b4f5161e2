"""Separators with trained weights; torch is imported when the weights are loaded."""

from __future__ import annotations

import importlib
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sepbench.errors import SepbenchError
from sepbench.separator import Requirement, Separator, WeightFile, option
from sepbench.training import run_weights
from sepbench.weights import container

if TYPE_CHECKING:
    import torch
    from torch import nn

    from sepbench.dsp.wiener import MultichannelWiener

_FULL_BAND = 44_100
"""Hz; in full band a separator works at the lowest multiple of its trained rate from here on."""

LEVEL = -20.0
"""dB below full scale: the median level of the mixtures that networks are trained on.

It is the middle of the range ``gain`` of `MixConfig`, -10 to 10 around -20 dB; 200 mixtures of the
default config of `unet`, measured as `sepbench.inference.level` measures songs, have -20.1 dB.
"""


def wiener_option(
    unless: str = "after weights that were not trained for the least error",
) -> Any:
    """Declare the option ``wiener`` of a `Learned`.

    ``unless`` names the cases in which `Learned.least_error` is false.
    """
    return option(
        -1,
        "iterations of a filter that separates stems of stereo songs by their position; "
        f"0: none; -1: one, or none {unless}",
        minimum=-1,
        maximum=5,
    )


@dataclass(frozen=True)
class Shipped:
    """Weights that come with a plugin."""

    sha256: str
    terms: str = "CC-BY-NC-SA-4.0"
    """An SPDX expression."""


@dataclass(frozen=True)
class LearnedOptions:
    """The options of every learned separator; a class with more of them inherits these."""

    weights: str = option(
        "default",
        "name of shipped weights, or path of a .safetensors file, a run or its checkpoint",
    )
    full_band: bool = option(
        True, "continue the mask above the trained band; false: nothing above it"
    )
    wiener: int = wiener_option()


class Learned(Separator):
    """A separator with trained weights.

    The option ``weights`` names a file in the plugin's folder ``weights``, or is a path. With
    ``wiener``, a number of iterations, a multichannel Wiener filter refines the estimates of stereo
    songs; below 0 it is one iteration where `least_error` holds.
    """

    Options = LearnedOptions
    options: LearnedOptions

    needs = (Requirement("safetensors", "pip install safetensors"),)

    folder: ClassVar[Path]
    """The plugin's folder."""

    trainable: ClassVar[str]
    """The method's `Trainable` as ``module:class``, imported when it is needed."""

    shipped: ClassVar[Mapping[str, Shipped]] = {}
    """The weights in the package by their names."""

    @property
    def license(self) -> str:
        """The license of the code, and the terms of the weights in use."""
        shipped = self.shipped.get(str(self.options.weights))
        return f"MIT; weights {shipped.terms if shipped else 'LicenseRef-not-stated'}"

    leaves_rest: ClassVar[bool] = True
    """Whether the estimates may sum to less than the mixture."""

    @cached_property
    def weights_file(self) -> Path:
        """The file that the option ``weights`` stands for."""
        chosen = str(self.options.weights)
        given = Path(chosen).expanduser()
        if given.suffix in (".safetensors", run_weights.SUFFIX):
            return given
        if given.is_dir():
            return run_weights.newest(self.name, given)
        file = self.folder / "weights" / f"{chosen}.safetensors"
        if chosen not in self.shipped or not file.exists():
            names = ", ".join(sorted(self.shipped)) or "none"
            if Path(chosen).suffix:
                raise SepbenchError(
                    f"method {self.name}: {chosen}: not a .safetensors file; "
                    "'sepbench weights import' reads those of other programs"
                )
            raise SepbenchError(
                f"method {self.name}: no weights {chosen!r} are shipped, only {names}; "
                f"train some with 'sepbench train {self.name}' and give the path of the file"
            )
        return file

    @cached_property
    def header(self) -> dict[str, Any]:
        """What the weight file says about itself."""
        file = self.weights_file
        try:
            if file.suffix == run_weights.SUFFIX:
                header = run_weights.read_header(file)
            else:
                header = container.read_header(file)
        except SepbenchError as error:
            raise SepbenchError(f"method {self.name}: {error}") from None
        if header.get("method") != self.name:
            raise SepbenchError(f"{file}: weights of {header.get('method')}, not of {self.name}")
        if not _is_complete(header):
            raise SepbenchError(
                f"{file}: says too little of its network to be used as {self.name}; "
                "take one that 'sepbench train' or 'sepbench weights import' has made"
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
        _ = self.header  # Says better what is wrong with a file than its hash would.
        return (WeightFile(file.name, container.sha256(file), path=file),)

    @property
    def trained_on(self) -> tuple[str, ...]:
        """What the weights were trained on."""
        return tuple(self.header["trained_on"])

    @property
    def trained_songs(self) -> Mapping[str, float]:
        """The songs of training; weights made before 0.2.0 do not tell them."""
        return dict(self.header.get("songs", {}))

    @property
    def trained_sounds(self) -> frozenset[str]:
        """The same by their sound, of weights that tell it."""
        return frozenset(self.header.get("sounds", []))

    @property
    def sample_rate(self) -> int | None:
        """The trained rate, or in full band a multiple of it."""
        return int(self.header["model"]["rate"]) * self._rate_factor

    @property
    def level(self) -> float | None:
        """The level of training; None for weights of songs at their own levels, as published."""
        config = self.header.get("config") or {}
        mixtures = config.get("examples", {}).get("mixtures", "remix")
        return LEVEL if config and mixtures == "remix" else None

    @property
    def context(self) -> float | None:
        """Seconds to each side that the estimates depend on, and what the filter needs besides."""
        seconds = self.header["context"]
        return None if seconds is None else float(seconds) + self.filter.reach

    @property
    def filter(self) -> MultichannelWiener:
        """The multichannel Wiener filter that refines the estimates of stereo songs."""
        from sepbench.dsp.wiener import MultichannelWiener

        chosen = int(getattr(self.options, "wiener", 0))
        return MultichannelWiener(
            int(self.sample_rate or 0), int(self.least_error) if chosen < 0 else chosen
        )

    @property
    def least_error(self) -> bool:
        """Whether the estimates have the least mean squared error, as the filter assumes."""
        from sepbench.training.losses import LOSSES

        loss = LOSSES.get(self.header["model"].get("objective", "energy"))
        return loss is not None and loss.is_mmse

    @property
    def _rate_factor(self) -> int:
        rate = int(self.header["model"]["rate"])
        return -(-_FULL_BAND // rate) if self.options.full_band else 1

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the stems, each ``(channels, samples)``."""
        return self.filter.refine(mixture, self.estimates(mixture), rest=self.leaves_rest)

    @abstractmethod
    def estimates(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the stems as the network has them, each ``(channels, samples)``."""

    def load(self, device: torch.device) -> None:
        """Read the weights and build the network on ``device``."""
        import torch

        file = self.weight_files[0]  # A method may declare those of its parts after its own.
        if container.sha256(self.weights_file) != file.sha256:
            raise SepbenchError(
                f"{self.weights_file}: damaged, or written anew: its sha256 is not {file.sha256}"
            )
        # The weights are drawn at random and then replaced; the caller's generator must not change.
        with torch.random.fork_rng(devices=[]):
            network = self._build()
        kind = run_weights if self.weights_file.suffix == run_weights.SUFFIX else container
        kind.load_into(network, self.weights_file)
        self._network: nn.Module = network.to(device).eval()
        self._fused = self.fuse(self._network)

    def fuse(self, network: nn.Module) -> nn.Module:
        """Return what separates in place of the trained network, in less time."""
        from sepbench.training.fused import fused

        return fused(network)

    def layers(self) -> str:
        """Return a table of the network's layers, for an example as it was trained on."""
        import torch

        from sepbench.training.summary import layer_summary

        with torch.random.fork_rng(devices=[]):
            network = self._build()
        config = self.header.get("config") or {}
        seconds = config.get("examples", {}).get("seconds", 6.0)
        return layer_summary(self._model, network, float(seconds))

    def _build(self) -> nn.Module:
        """Build the network that the weight file describes; raise where it describes none."""
        from sepbench.training.model import BADLY_DESCRIBED, wrong_field

        module, _, name = self.trainable.partition(":")
        kind = getattr(importlib.import_module(module), name)
        try:
            self._model = kind(self.header["model"])
            return self.build()
        except BADLY_DESCRIBED as error:
            raise SepbenchError(
                f"{self.weights_file}: describes no network of {self.name}, "
                f"{wrong_field(error)}; take one that 'sepbench train' has made"
            ) from error

    def build(self) -> nn.Module:
        """Build the network that `load` gives the file's tensors of the same names."""
        network: nn.Module = self._model.network()
        return network


def _is_complete(header: Mapping[str, Any]) -> bool:
    """Return whether a header has all that is needed before the network is built."""
    model, context = header.get("model"), header.get("context", "")
    return (
        isinstance(model, dict)
        and isinstance(model.get("rate"), (int, float))
        and (context is None or isinstance(context, (int, float)))
        and isinstance(header.get("trained_on"), list)
    )
