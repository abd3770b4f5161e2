"""Features and training of the autoencoders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sepbench.dsp.nsgt import Nsgt, bark
from sepbench.errors import SepbenchError
from sepbench.training.losses import counts_of_known, loss, mean_of_known
from sepbench.training.model import Batch, Trainable

from . import OVERLAP, STEMS
from .chunks import in_chunks
from .masking import wiener
from .network import PublishedNet, StridedNet

_ARCHITECTURES = ("published", "strided")


class Autoencoders(nn.ModuleDict):
    """A network for each stem, independent of the others.

    Shape:
        input: magnitudes ``(batch, bands, frames)`` of the mixture.
        output: magnitudes ``(batch, stems, bands, frames)``.
    """

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """Return the magnitudes of every stem with a network."""
        return torch.stack([network(magnitudes) for network in self.values()], dim=1)


class CdaeTrainable(Trainable):
    """One autoencoder a stem, by the section ``model`` of a config.

    ``architecture`` is ``published`` or ``strided``; ``rate``, ``bands``, ``samples`` and
    ``frames`` are those of the transform, whose bands are equally spaced in Bark, ``overlap`` the
    overlap of chunks as a share of a chunk; ``stems`` are voice, percussive and harmonic unless
    given. ``objective`` names the loss. A loss whose best mask minimises the squared error is
    applied after the Wiener filter with ``power``, plus a tenth of the loss before it; any other to
    each network's own magnitudes (as in MiXiN).
    """

    method = "cdae"
    context = None

    def __init__(self, model: Mapping[str, Any]) -> None:
        super().__init__(model)
        rest = dict(model)
        self.rate = int(rest.pop("rate"))
        self.bands, self.samples = int(rest.pop("bands")), int(rest.pop("samples"))
        self.frames = rest.pop("frames", None)
        self.objective, self.power = rest.pop("objective", "energy"), rest.pop("power", 2.0)
        self.overlap = float(rest.pop("overlap", OVERLAP))
        self.architecture = rest.pop("architecture")
        self.stems = tuple(rest.pop("stems", STEMS))
        self._loss = loss(self.objective)
        self.loss_label = self._loss.label
        if self.architecture not in _ARCHITECTURES:
            raise SepbenchError(f"cdae: architecture is one of {', '.join(_ARCHITECTURES)}")
        self._sizes: dict[str, Any] = rest
        # The transform adds its own bands at zero and at half the rate.
        self._scale = bark(0, self.rate / 2, self.bands)[1:-1]
        self.nsgt = Nsgt(
            self._scale,
            rate=self.rate,
            samples=self.samples,
            frames=self.frames,
        )

    def wider_transform(self, factor: int) -> Nsgt:
        """Return the transform for ``factor`` times the rate.

        Up to half the trained rate its bands are the trained ones; above, they continue at equal
        distances, the largest that the same frames allow.
        """
        if factor == 1:
            return self.nsgt
        widest = self.nsgt.frames * self.rate / self.samples
        count = int(np.ceil((factor - 1) * self.rate / 2 / (0.49 * widest)))
        above = np.linspace(self.rate / 2, factor * self.rate / 2, count, endpoint=False)
        return Nsgt(
            np.concatenate([self._scale, above]),
            rate=factor * self.rate,
            samples=factor * self.samples,
            frames=self.nsgt.frames,
        )

    def relative_frequencies(self) -> torch.Tensor:
        """Return the frequency of each band, ``(bands,)``; 1 is half the trained rate."""
        return torch.from_numpy(self.nsgt.frequencies / (self.rate / 2)).float()

    def network(self, stems: Iterable[str] = ()) -> Autoencoders:
        """Build the networks of ``stems``, of all if none is given."""
        kind = (
            partial(PublishedNet, **self._sizes)
            if self.architecture == "published"
            else partial(StridedNet, self.bands, **self._sizes)
        )
        return Autoencoders({stem: kind() for stem in stems or self.stems})

    def features(self, mixture: torch.Tensor) -> torch.Tensor:
        """Return magnitudes ``(batch x chunks, bands, frames)``."""
        return self._transform(mixture).abs()

    def targets(self, stems: Batch) -> Batch:
        """Return the targets of the loss, and which stems are known."""
        bands = torch.stack([self._transform(stems[name]) for name in self.stems], dim=1)
        chunks = len(bands) // len(stems["known"])
        known = stems["known"].float().repeat_interleave(chunks, 0)[..., None]
        mixture = bands.sum(1, keepdim=True)
        targets = self._loss.targets(mixture, bands)
        return {**targets, "magnitudes": mixture.abs(), "known": known}

    def loss(self, output: torch.Tensor, targets: Batch) -> torch.Tensor:
        """Return the loss by `objective`, over the stems that are known."""

        def value(masks: torch.Tensor) -> torch.Tensor:
            return mean_of_known(self._loss.value(masks, targets, self._second), targets["known"])

        alone = value(output / (targets["magnitudes"] + 1e-6))
        if not self._loss.is_mmse:
            return alone
        return value(wiener(output, power=self.power)) + 0.1 * alone

    def losses(self, output: torch.Tensor, targets: Batch) -> Batch:
        """Return the loss of each network's own stem, over examples where it is known, if any."""
        masks = output / (targets["magnitudes"] + 1e-6)
        values = self._loss.value(masks, targets, self._second)
        known = targets["known"]
        return {
            name: mean_of_known(values[:, stem], known[:, stem])
            for stem, name in enumerate(self.stems)
            if known[:, stem].any()
        }

    def counts(self, targets: Batch) -> Mapping[str, float]:
        """Return the numbers of known stems."""
        return counts_of_known(targets["known"], self.stems)

    def outputs(self, output: torch.Tensor) -> Batch:
        """Return the magnitudes of each network."""
        return dict(zip(self.stems, output.unbind(1), strict=True))

    def estimates(self, network: nn.Module, mixture: torch.Tensor) -> Batch:
        """Return the stems ``(batch, samples)``, chunks cross-faded."""

        def work(chunks: torch.Tensor) -> torch.Tensor:
            bands = self.nsgt.forward(chunks)
            masks = wiener(network(bands.abs()), power=self.power)
            return self.nsgt.inverse(bands[:, None] * masks)

        overlap = int(self.overlap * self.samples)
        made = in_chunks(mixture, work, size=self.samples, overlap=overlap)
        return dict(zip(self.stems, made, strict=True))

    @property
    def _second(self) -> int:
        """Frames in a second."""
        return max(1, self.nsgt.frames * self.rate // self.samples)

    def _transform(self, signal: torch.Tensor) -> torch.Tensor:
        """Return the coefficients of signals ``(batch, samples)``, cut into chunks if longer."""
        padded = functional.pad(signal, (0, -signal.shape[-1] % self.samples))
        return self.nsgt.forward(padded.view(-1, self.samples))
