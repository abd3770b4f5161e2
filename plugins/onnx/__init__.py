"""Runs any network in ONNX as a method, described by a card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sepbench.errors import MethodError, SepbenchError
from sepbench.separator import Requirement, SampleCount, option

from ..card_facts import CardFacts

if TYPE_CHECKING:
    import torch

    from .card import Card


class Onnx(CardFacts):
    """Runs a network chunk by chunk on waveforms, magnitudes or complex spectra.

    Subclasses with a ``card_file`` are separate methods, without options.
    """

    name = "onnx"
    summary = "Any network in ONNX that makes waveforms, spectra or masks, by a YAML card."
    needs = (Requirement("onnxruntime", "pip install 'sepbench[onnx]'"),)

    card_file: ClassVar[Path | None] = None
    """The card of a subclass; ``onnx`` itself reads it from its options."""

    @dataclass(frozen=True)
    class Options:
        """Which network."""

        file: str = option("", "a card in YAML, with the model's path relative to it", unnamed=True)

    options: Options

    @cached_property
    def card(self) -> Card:
        """The card; raises `SepbenchError` if none is given or it is invalid."""
        from .card import read

        path: Path | str = self.card_file or str(getattr(self.options, "file", ""))
        if not path:
            raise MethodError(self.name, f"give it a card: {self.name}[CARD.yaml]")
        return read(Path(path))

    @property
    def context(self) -> SampleCount:
        """Chunks overlap: a sample depends on one chunk to each side."""
        return SampleCount(self.card.size)

    @property
    def block_alignment(self) -> int:
        """Chunks have the same positions in a block as in the whole song."""
        return self.card.step

    @cached_property
    def provenance(self) -> Mapping[str, Any]:
        """The digests of the card, of the model, and of files with its tensors."""
        from dataclasses import asdict

        from sepbench.weights.container import digest, sha256

        from .external import digests

        model = Path(self.card.model)
        found = sha256(model) if model.is_file() else None
        if found and self.card.sha256 and not found.startswith(self.card.sha256.lower()):
            raise SepbenchError(
                f"{model}: not the model of its card: its sha256 is {found}; "
                "get the file again, or correct 'sha256'"
            )
        card = {"card": digest({**asdict(self.card), "model": model.name}), "model": found}
        return {**card, **digests(model)} if found else card

    def load(self, device: torch.device) -> None:
        """Open the model."""
        from .network import Network

        self.provenance  # noqa: B018 - raises for another model than the card's
        self._network = Network(self.card, device, self.note)

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the stems, each ``(channels, samples)``."""
        stems = self._network.separate(mixture, self.kept)
        return dict(zip(self.card.stems, stems, strict=True))
