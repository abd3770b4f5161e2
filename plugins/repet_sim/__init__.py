"""Vocals over a repeating background, found by the similarity of frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sepbench.separator import Separator, option

if TYPE_CHECKING:
    import torch


class RepetSim(Separator):
    """Separates repeating sounds, at any interval, from the rest.

    For each frame it finds the most similar frames of the whole song; the median over them is the
    common part, the background. Memory grows linearly with the length.

    The recipe ``rafii`` is the authors' own, at 44.1 kHz; vocals are what it leaves. The recipe
    ``librosa`` is that of librosa's gallery at the rate and window sizes it was published with,
    22.05 kHz and 1024 samples in transforms of 4096; its two soft masks do not sum to one.
    """

    name = "repet-sim"
    summary = "Vocals over a repeating background, found by the similarity of frames."
    stems = ("vocals", "accompaniment")
    remainder: str | None = "vocals"
    sample_rate = 44100
    memory_per_second = 1.0e6
    license = "MIT"
    version = "2"  # Raised when the recipe of the authors was inverted as they do.
    citation = "Rafii, Pardo: Music/Voice Separation Using the Similarity Matrix. ISMIR 2012"

    @dataclass(frozen=True)
    class Options:
        """Options."""

        recipe: str = option(
            "rafii", "the authors' method, or librosa's gallery's", choices=("rafii", "librosa")
        )
        distance: float = option(
            1.0, "least distance of similar frames in seconds", minimum=0.1, maximum=60.0
        )
        number: int = option(
            100, "rafii: largest number of similar frames", minimum=1, maximum=10000
        )
        threshold: float = option(
            0.0, "rafii: least cosine similarity of similar frames", minimum=0.0, maximum=1.0
        )
        cutoff: float = option(
            100.0,
            "rafii: frequency in Hz below which everything is background",
            minimum=0.0,
            maximum=22050.0,
        )
        margin_accompaniment: float = option(
            2.0, "librosa: factor by which the background must be louder", minimum=1.0
        )
        margin_vocals: float = option(
            10.0, "librosa: factor by which the foreground must be louder", minimum=1.0
        )

    options: Options

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        if self.options.recipe == "librosa":
            self.sample_rate = 22050
            self.remainder = None

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the background, and with librosa's recipe the vocals too."""
        from . import recipes

        tuned = self.options
        if tuned.recipe == "librosa":
            return recipes.librosa(
                mixture,
                rate=self.sample_rate,
                distance=tuned.distance,
                margins=(tuned.margin_vocals, tuned.margin_accompaniment),
            )
        return recipes.rafii(
            mixture,
            rate=self.sample_rate,
            distance=tuned.distance,
            number=tuned.number,
            threshold=tuned.threshold,
            cutoff=tuned.cutoff,
        )
