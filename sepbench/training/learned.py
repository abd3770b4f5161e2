"""Separators with trained weights; torch is imported when the weights are loaded."""

from __future__ import annotations

import importlib
import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sepbench.errors import SepbenchError
from sepbench.separator import BLOCK_ALIGNMENT, Requirement, Separator, WeightFile, option
from sepbench.weights import container

if TYPE_CHECKING:
    import torch
    from torch import nn

    from sepbench.dsp.stft import Stft
    from sepbench.dsp.wiener import MultichannelWiener
    from sepbench.training.masking import MaskTrainable

_FULL_BAND = 44_100
"""Hz; in full band a separator works at the lowest multiple of its trained rate from here on."""

LEVEL = -15.7
"""dB below full scale: how loud the songs are on which networks are trained, in the middle."""

_AT_ONCE = 256
"""Frames of a full-band spectrum that are processed at a time."""


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
class LearnedOptions:
    """The options of every learned separator; a class with more of them inherits these."""

    weights: str = option("default", "name of shipped weights, or path of a .safetensors file")
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

    shipped: ClassVar[Mapping[str, str]] = {}
    """Names of weights in the package, with their sha256."""

    leaves_rest: ClassVar[bool] = True
    """Whether the estimates may sum to less than the mixture."""

    @cached_property
    def weights_file(self) -> Path:
        """The file that the option ``weights`` stands for."""
        chosen = str(self.options.weights)
        if chosen.endswith(".safetensors"):
            return Path(chosen).expanduser()
        if (given := Path(chosen).expanduser()).is_dir() or given.suffix == ".pt":
            return _of_run(self.name, given)
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
            terms = self.license.rpartition("weights ")[2]
            return (WeightFile(file.name, self.shipped[chosen], path=file, terms=terms),)
        _ = self.header  # Says better what is wrong with a file than its hash would.
        return (WeightFile(file.name, container.sha256(file), path=file),)

    @property
    def trained_on(self) -> tuple[str, ...]:
        """What the weights were trained on."""
        return tuple(self.header["trained_on"])

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

        (file,) = self.weight_files
        if container.sha256(self.weights_file) != file.sha256:
            raise SepbenchError(f"{self.weights_file}: damaged, its sha256 is not {file.sha256}")
        # The weights are drawn at random and then replaced; the caller's generator must not change.
        with torch.random.fork_rng(devices=[]):
            network = self._build()
        container.load_into(network, self.weights_file)
        self._network: nn.Module = network.to(device).eval()

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


def _of_run(method: str, run: Path) -> Path:
    """Return the weight file of a run; raise `SepbenchError` with the command that makes one."""
    file = run / "weights.safetensors"
    if run.is_dir() and file.is_file():
        return file
    raise SepbenchError(
        f"method {method}: {run}: a run without a weight file; make one with "
        f"'sepbench weights export safetensors {run} --out {method}.safetensors'"
    )


def _is_complete(header: Mapping[str, Any]) -> bool:
    """Return whether a header has all that is needed before the network is built."""
    model, context = header.get("model"), header.get("context", "")
    return (
        isinstance(model, dict)
        and isinstance(model.get("rate"), (int, float))
        and (context is None or isinstance(context, (int, float)))
        and isinstance(header.get("trained_on"), list)
    )


class LearnedMask(Learned):
    """A separator whose network gives a mask for the voice; the rest is the accompaniment.

    In full band the transform has the bins and frames of training, and more bins above them, to
    which `sepbench.training.bandwidth.extend` continues the mask.
    """

    stems = ("vocals", "accompaniment")
    _model: MaskTrainable

    @property
    def block_alignment(self) -> int:
        """Multiples of the host's own that whole hops go into, where the weights say ``hop``."""
        hop = self.header["model"].get("hop")  # Asked for before there is a network.
        is_told = isinstance(hop, int) and hop > 0
        return math.lcm(BLOCK_ALIGNMENT, hop * self._rate_factor) if is_told else BLOCK_ALIGNMENT

    def estimates(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the masked mixture for each stem, ``(channels, samples)``.

        Only the network's input and its mask are held for the whole song; the wider spectrum is
        computed, masked and inverted a few seconds at a time, to bound memory.
        """
        import torch

        stft, samples = self._stft(), mixture.shape[-1]
        features = self._features(stft, mixture)
        mask = self.predict(features)
        made: dict[str, torch.Tensor] = {}
        for first, last in stft.blocks(samples, _AT_ONCE):
            spectrum = stft.forward(mixture, first, last)
            part = self._extend_mask(mask[..., first:last], features[..., first:last], stft.bins)
            for stem, share in self.shares(part).items():
                signal = made.setdefault(stem, torch.zeros_like(mixture))
                stft.add(signal, spectrum * share, first)
        return made

    def shares(self, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return each stem's mask, given that of the voice."""
        return {"vocals": mask}

    def predict(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Return the mask for the bins and the rate of training.

        Channels are masked one by one. In stereo each mask is averaged with that of the mean of
        both channels, in which most voices are clearer.
        """

        def mask(of: torch.Tensor) -> torch.Tensor:
            return self._model.mask(self._network, self._model.inputs(of))

        if len(spectrum) != 2:
            return mask(spectrum)
        return (mask(spectrum) + mask(spectrum.mean(0, keepdim=True))) / 2

    def _stft(self) -> Stft:
        """Return the transform of training, longer by the same factor as the rate is higher."""
        own = self._model.stft
        factor = self._rate_factor
        win = None if own.win is None else own.win * factor
        return replace(own, n_fft=own.n_fft * factor, hop=own.hop * factor, win=win)

    def _features(self, stft: Stft, mixture: torch.Tensor) -> torch.Tensor:
        """Return the spectrum in bins and scale of training, ``(channels, bins, frames)``."""
        import torch

        from sepbench.training.bandwidth import slope

        samples, bins = mixture.shape[-1], self._model.bins
        shape = (*mixture.shape[:-1], stft.frames(samples), bins)
        features = torch.empty(shape, dtype=mixture.dtype.to_complex(), device=mixture.device)
        for first, last in stft.blocks(samples, _AT_ONCE):
            spectrum = stft.forward(mixture, first, last)[..., :bins, :]
            features[..., first:last, :] = spectrum.mT / self._rate_factor
        if self._rate_factor > 1:
            features *= slope(self._frequencies()).to(features.device)
        return features.mT

    def _frequencies(self) -> torch.Tensor:
        """Return the frequency of each bin of the features; 1 is half the trained rate."""
        import torch

        return 2 * torch.arange(self._model.bins) / self._model.stft.n_fft

    def _extend_mask(self, mask: torch.Tensor, features: torch.Tensor, rows: int) -> torch.Tensor:
        """Return a mask for all ``rows`` bins, given that of the trained ones."""
        from torch.nn import functional

        from sepbench.training.bandwidth import extend

        if self._rate_factor == 1:
            return functional.pad(mask, (0, 0, 0, rows - self._model.bins))
        return extend(mask, features.abs(), self._frequencies(), rows)
