"""MDX-Net: the networks of Ultimate Vocal Remover in ONNX, with their constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sepbench.errors import MethodError
from sepbench.separator import UNKNOWN_TRAINING, Requirement, SampleCount, Separator, option

if TYPE_CHECKING:
    import torch

    from ..onnx.card import Card
    from .constants import Constants

_COMPLEMENTS = {"vocals": "accompaniment", "accompaniment": "vocals", "reverb": "dry"}


class MdxNet(Separator):
    """A network on the complex spectrum of stereo songs makes one stem; the other is the rest."""

    name = "mdx-net"
    summary = "MDX-Net: the networks of Ultimate Vocal Remover in ONNX, one stem and the rest."
    sample_rate = 44_100
    channels = 2
    license = "MIT; weights LicenseRef-not-stated"
    trained_on = UNKNOWN_TRAINING
    citation = (
        "Kim et al.: KUIELab-MDX-Net: A Two-Stream Neural Network for Music Demixing. "
        "MDX Workshop at ISMIR 2021"
    )
    needs = (Requirement("onnxruntime", "pip install 'sepbench[onnx]'"),)

    @dataclass(frozen=True)
    class Options:
        """Options; 0 and an empty text mean the known value of the file."""

        file: str = option("", "the network, NAME.onnx", unnamed=True)
        stem: str = option("", "stem that the network makes")
        n_fft: int = option(0, "window in samples", minimum=0, maximum=65536)
        bins: int = option(0, "lowest bins that it is given (dim_f)", minimum=0, maximum=32768)
        frames: int = option(0, "frames of a chunk (dim_t)", minimum=0, maximum=4096)
        compensate: float = option(
            0.0, "factor of the stem, before the rest is computed", minimum=0.0, maximum=4.0
        )
        overlap: float = option(
            0.0,
            "overlap of chunks, as a share of their length; 0 as in UVR",
            minimum=0.0,
            maximum=0.9,
        )
        denoise: bool = option(
            False, "half the difference of the stems of the song and of its negative"
        )
        scale: bool = option(False, "normalise songs to peak 1; needs the whole song at once")

    options: Options

    @cached_property
    def constants(self) -> Constants:
        """The known or given constants; raises `SepbenchError` if some are missing."""
        from .constants import find

        if not self.options.file:
            raise MethodError(self.name, "give it a network: mdx-net[NAME.onnx]")
        return find(self.options)

    @property
    def stems(self) -> tuple[str, ...]:
        """The network's stem, and the rest."""
        first = self.constants.stem
        return (first, _COMPLEMENTS.get(first, f"no_{first}"))

    @property
    def context(self) -> SampleCount | None:
        """One chunk to each side."""
        return None if self.options.scale else SampleCount(self.card.size)

    @property
    def block_alignment(self) -> int:
        """Chunks have the same positions in a block as in the whole song."""
        return self.card.step

    @cached_property
    def card(self) -> Card:
        """The network as one of ONNX."""
        return self.constants.card(self.options.overlap)

    @cached_property
    def provenance(self) -> Mapping[str, Any]:
        """The digests of the network and of files with its tensors."""
        from sepbench.weights.container import sha256

        from ..onnx.external import digests

        path = Path(self.options.file)
        return {"model": sha256(path), **digests(path)} if path.is_file() else {"model": None}

    def load(self, device: torch.device) -> None:
        """Open the network."""
        from ..onnx.network import Network

        self._network = Network(self.card, device, self.note)

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return both stems, each ``(2, samples)``."""
        peak = (
            mixture.abs().amax() if self.options.scale and mixture.numel() else mixture.new_ones(())
        )
        factor = peak.where(peak > 0, 1.0)
        fed = mixture / factor
        first = self._network.separate(fed, self.kept)[0]
        if self.options.denoise:
            first = (first - self._network.separate(-fed, self.kept)[0]) / 2
        first = first * factor
        names = self.stems
        return {names[0]: first, names[1]: mixture - self.constants.compensate * first}
