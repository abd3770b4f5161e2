"""Vocals over a repeating background, found by the similarity of frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sepbench.separator import Separator

if TYPE_CHECKING:
    import torch


class RepetSim(Separator):
    """Splits what repeats from what does not."""

    name = "repet-sim"
    summary = "Vocals over a repeating background, found by the similarity of frames."
    stems = ("vocals", "accompaniment")
    remainder: str | None = "vocals"
    sample_rate = 44100
    licence = "MIT"
    citation = "Rafii, Pardo: Music/Voice Separation Using the Similarity Matrix. ISMIR 2012"

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the background."""
        raise NotImplementedError
