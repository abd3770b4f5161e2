"""Autoencoders on a nonstationary Gabor transform, after MiXiN (Hanssian 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from sepbench.separator import option, without_remainder
from sepbench.training.learned import (
    Learned,
    MonoOptions,
    Shipped,
    weights_option,
    wiener_option,
)

if TYPE_CHECKING:
    import torch
    from torch import nn

    from .model import CdaeTrainable

_AT_ONCE = {"cpu": 2}
"""Chunks in a batch: more would not fit the cache of a CPU; a GPU needs many."""

STEMS = ("vocals", "percussive", "harmonic")
"""The stems of weights that name none."""

OVERLAP = 0.125
"""Default overlap of chunks, as a share of a chunk."""


class Cdae(Learned):
    """A network for each of three or four stems, and a Wiener filter that splits the mixture."""

    name = "cdae"
    version = "6"  # Raised when stereo songs were separated as mid and side.
    summary = "Three autoencoders on auditory bands: voice, drums, and harmonic rest."
    citation = (
        "Grais, Plumbley: Single Channel Audio Source Separation using Convolutional Denoising "
        "Autoencoders. GlobalSIP 2017; Hanssian: MiXiN. Music Demixing Workshop 2021"
    )
    folder = Path(__file__).parent
    trainable = "sepbench_plugins.cdae.model:CdaeTrainable"
    shipped = MappingProxyType(
        {
            "default": Shipped("a761cb0612cde40b2c7ad9aacbc0a4fffc7fe5f60b16df8cf2363f778f5361b5"),
            "four-stems": Shipped(
                "2ea4bf6b2557e76564d52e363e94f3732202772969f5c9c9e08e321d08bf288c"
            ),
        }
    )

    @dataclass(frozen=True)
    class Options(MonoOptions):
        """Options."""

        weights: str = weights_option(known=("default", "four-stems"))
        wiener: int = wiener_option("with single_model or weights not for the least error")
        power: float = option(
            0.0,
            "exponent of the Wiener filter; 0: by the weights, 1.5, or 2 for MiXiN's",
            minimum=0.0,
        )
        single_model: bool = option(
            False, "each network's own magnitudes with the mixture's phase, without Wiener filter"
        )
        instrumental: bool = option(
            False, "no voice in the song: the voice's network is not loaded"
        )
        overlap: float = option(
            -1.0,
            "overlap of chunks as a share of a chunk, approximately; 0: adjacent chunks; "
            "below 0: by the weights, an eighth, or 0 for MiXiN's",
            minimum=-1.0,
            maximum=0.5,
        )
        batch: int = option(0, "chunks processed at once; 0: chosen by the device", minimum=0)

    options: Options
    _model: CdaeTrainable

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems of the weights; with ``instrumental`` all but the voice."""
        stems = tuple(self.header["model"].get("stems", STEMS))
        return tuple(stem for stem in stems if not (self.options.instrumental and stem == "vocals"))

    @property
    def remainder(self) -> str | None:
        """The last stem, as the masks sum to one; none for the networks' own magnitudes."""
        return None if self.options.single_model else self.stems[-1]

    @property
    def least_error(self) -> bool:
        """Whether the masks minimise the squared error."""
        return super().least_error and not self.options.single_model

    @property
    def block_alignment(self) -> int:
        """Samples from one chunk to the next."""
        overlap = self.options.overlap
        if overlap < 0:
            overlap = float(self.header["model"].get("overlap", OVERLAP))
        return self._size - int(overlap * self._size)

    @property
    def context(self) -> float:
        """Seconds of a chunk, which is processed alone."""
        return float(self.header["model"]["samples"]) / self._network_rate

    @property
    def _power(self) -> float:
        """Exponent of the Wiener filter.

        Networks trained with 2 separate better with less: `docs/training.md`.
        """
        model = self.header["model"]
        usual = 2.0 if model["architecture"] == "published" else 1.5
        return self.options.power or float(model.get("power", usual))

    @property
    def _size(self) -> int:
        """Samples of a chunk."""
        return int(self.header["model"]["samples"]) * self._rate_factor

    def build(self) -> nn.Module:
        """Build the networks of the requested stems."""
        return self._model.network(self.stems)

    def fuse(self, network: nn.Module) -> nn.Module:
        """Return a faster equivalent, with the layers of all stems computed together."""
        from .fused import arrange

        return arrange(network)

    def load(self, device: torch.device) -> None:
        """Read the weights, and prepare the transform for the requested band."""
        from sepbench.training.bandwidth import slope

        super().load(device)
        self._nsgt = self._model.wider_transform(self._rate_factor)
        self._frequencies = self._model.relative_frequencies()
        self._slope = slope(self._frequencies)[:, None].to(device)

    def separate_channels(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the stems but the remainder, each ``(channels, samples)``.

        Channels are processed one by one.
        """
        from .chunks import in_chunks

        made = in_chunks(
            mixture,
            self._separate_chunks,
            size=self._size,
            overlap=self._size - self.block_alignment,
            batch=self.options.batch or _AT_ONCE.get(mixture.device.type, 32),
            kept=self.kept,
        )
        return dict(zip(without_remainder(self), made, strict=True))

    def _separate_chunks(self, chunks: torch.Tensor) -> torch.Tensor:
        """Separate chunks ``(chunks, samples)`` into ``(chunks, stems, samples)``."""
        import torch

        from .masking import magnitude

        bands = self._nsgt.forward(self._exactly(chunks))
        shares = self._shares(magnitude(bands))
        # One stem at a time stays in the cache.
        rows = bands.view(len(bands), shares.shape[2], -1, bands.shape[2])
        stems = [
            self._nsgt.inverse((rows * share[:, :, None]).flatten(1, 2))
            for share in shares.unbind(1)[: len(without_remainder(self))]
        ]
        return torch.stack(stems, dim=1).to(chunks.dtype)

    def _shares(self, levels: torch.Tensor) -> torch.Tensor:
        """Return the share of each stem in bands of magnitudes ``levels``.

        Shape:
            levels: ``(chunks, bands, frames)``.
            result: ``(chunks, stems, rows, frames)``, each row for equally many bands.
        """
        from .masking import wiener

        features = levels[:, : self._model.bands]
        magnitudes = self._predict(features.float())
        if not self.options.single_model:
            masks = wiener(magnitudes, power=self._power)
            return masks if self._rate_factor == 1 else self._extend_shares(masks, features)
        if self._rate_factor == 1:
            # Silence has no phase, so its share is zero.
            return (magnitudes / features[:, None]).where(features[:, None] > 0, 0)
        shares = magnitudes * self._rate_factor / features[:, None].clamp_min(1e-9)
        return self._extend_shares(shares, features)

    def _extend_shares(self, shares: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Continue shares above the trained band, weighted by the mixture."""
        from sepbench.training.bandwidth import extend

        return extend(shares, features[:, None], self._frequencies, self._nsgt.bands)

    def _predict(self, levels: torch.Tensor) -> torch.Tensor:
        """Return the magnitudes that the networks predict, at the scale of the trained rate.

        There may be fewer rows than bands if only the ratio of stems is needed.
        """
        if self._rate_factor > 1:
            # The magnitudes of a longer transform are larger by the same factor.
            levels = levels * (self._slope / self._rate_factor)
        magnitudes: torch.Tensor = self._fused(levels)
        if self._rate_factor > 1 or self.options.single_model:
            magnitudes = magnitudes.repeat_interleave(levels.shape[1] // magnitudes.shape[2], dim=2)
        return magnitudes

    def _exactly(self, chunks: torch.Tensor) -> torch.Tensor:
        """Return chunks in double precision if only phases are taken from the mixture.

        Networks predict energy in bands where the mixture is almost silent; rounding errors of its
        phase would be audible.
        """
        exact = self.options.single_model and chunks.device.type != "mps"  # MPS has no float64
        return chunks.double() if exact else chunks
