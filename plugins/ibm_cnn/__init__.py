"""A convolutional network for ideal binary masks, with optional post filters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from sepbench.activity.shipped import weight_file
from sepbench.errors import SepbenchError
from sepbench.separator import WeightFile, option
from sepbench.training.learned import MonoOptions, Shipped, wiener_option
from sepbench.training.learned_mask import LearnedMask

if TYPE_CHECKING:
    import torch

FILTERS = ("hpss", "wiener", "vad")
"""Values of the option ``post``."""


class IbmCnn(LearnedMask):
    """Masks the voice column by column, as binary classification of each bin."""

    name = "ibm-cnn"
    version = "2"  # Raised when stereo songs were separated as mid and side.
    summary = (
        "A convolutional network for ideal binary masks, with post filters and voice activity."
    )
    citation = (
        "Lin et al.: Singing voice separation using a deep convolutional neural network trained "
        "by ideal binary mask and cross entropy. Neural Computing and Applications, 2018"
    )
    folder = Path(__file__).parent
    trainable = "sepbench_plugins.ibm_cnn.model:trainable"
    shipped = MappingProxyType(
        {"default": Shipped("90c6a29066a1dc2727307d6b440ea213b79ba7beaf57d855b9d565742ac82724")}
    )

    @dataclass(frozen=True)
    class Options(MonoOptions):
        """Options."""

        wiener: int = wiener_option("after binary masks, a cut, post filters or other weights")
        mask: str = option("soft", "soft or binary mask", choices=("soft", "binary"))
        cut: float = option(
            0.0, "mask values up to this become 0; published: 0.15", minimum=0.0, maximum=1.0
        )
        rest: str = option(
            "remainder",
            "accompaniment: the remainder of the mixture, or a binary mask of its own as published",
            choices=("remainder", "binary"),
        )
        post: str = option(
            "none",
            "filters of the vocals joined by +: hpss (harmonic part), wiener (adaptive smoothing), "
            "vad (muted where nobody sings)",
        )

    options: Options

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        unknown = [name for name in self.chain if name not in FILTERS]
        if unknown:
            raise SepbenchError(
                f"method ibm-cnn: option post={self.options.post}: no filter {unknown[0]!r}; "
                f"join some of {', '.join(FILTERS)} by +, as in post=hpss+vad, or write none"
            )

    @property
    def chain(self) -> tuple[str, ...]:
        """The post filters, in their order."""
        names = (name.strip() for name in self.options.post.split("+"))
        return tuple(name for name in names if name != "none")

    @property
    def remainder(self) -> str | None:
        """The accompaniment, unless it has its own mask."""
        return "accompaniment" if self.options.rest == "remainder" else None

    @property
    def context(self) -> float | None:
        """Seconds to each side; None (the whole song) for filters that need it."""
        seconds = super().context
        if seconds is None or {"wiener", "vad"} & set(self.chain):
            return None
        return seconds + ("hpss" in self.chain)

    @property
    def weight_files(self) -> tuple[WeightFile, ...]:
        """The network's weights, and the detector's if used."""
        own = super().weight_files
        return (*own, weight_file()) if "vad" in self.chain else own

    @property
    def least_error(self) -> bool:
        """Whether the mask is used unchanged, too."""
        options = self.options
        plain = options.mask == "soft" and not options.cut and options.rest == "remainder"
        return super().least_error and plain and not self.chain

    def shares(self, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the mask of each stem, given that of the voice."""
        if self.options.mask == "binary":
            voice = (mask > 0.5).to(mask)
        else:
            voice = mask * (mask > self.options.cut)
        if self.options.rest == "remainder":
            return {"vocals": voice}
        return {"vocals": voice, "accompaniment": (mask < 0.5).to(mask)}

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the stems, each ``(channels, samples)``, the vocals after their filters."""
        made = dict(super().separate(mixture))
        if self.chain:
            from . import filters

            for name in self.chain:
                post = filters.FILTERS[name]
                made["vocals"] = post(made["vocals"], mixture, int(self.sample_rate or 0))
        return made

    def load(self, device: torch.device) -> None:
        """Read the weights; raise `SepbenchError` for those of another task."""
        if self.header["model"].get("task") == "autoencode":
            raise SepbenchError(
                f"{self.weights_file}: weights of an autoencoder, which are a start for training; "
                f"give them to 'sepbench train ibm-cnn --init {self.weights_file}'"
            )
        if "activity" in str(self.header["model"].get("architecture")):
            raise SepbenchError(
                f"{self.weights_file}: weights of a voice activity detector; "
                f"give them to 'sepbench activity --weights {self.weights_file}'"
            )
        super().load(device)
