"""Harmonic and percussive parts by median filtering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sepbench.separator import Separator

if TYPE_CHECKING:
    import torch


class Hpss(Separator):
    """Splits steady tones from short clicks."""

    name = "hpss"
    summary = "Harmonic and percussive parts by running medians along time and frequency."
    stems = ("harmonic", "percussive", "residual")
    remainder = "residual"
    licence = "MIT"
    citation = "FitzGerald: Harmonic/Percussive Separation Using Median Filtering. DAFx 2010"

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the harmonic and the percussive part."""
        raise NotImplementedError
