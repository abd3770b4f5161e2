"""The mixture itself as every stem: a lower bound for separators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sepbench.separator import Separator, option

if TYPE_CHECKING:
    import torch


class Mixture(Separator):
    """Returns the mixture, times a gain, as each stem.

    Every scored stem is declared, including sums: the sum of three stems that each are the mixture
    would be three mixtures instead of an accompaniment.
    """

    name = "mixture"
    summary = "The mixture itself as every stem: the score of doing nothing."
    stems = ("vocals", "drums", "bass", "other", "accompaniment", "harmonic", "percussive")
    context = 0.0
    license = "MIT"
    citation = "Stöter, Liutkus, Ito: The 2018 Signal Separation Evaluation Campaign. LVA/ICA 2018"

    @dataclass(frozen=True)
    class Options:
        """Options."""

        gain: float = option(
            1.0,
            "factor on the mixture; SiSEC18's baseline with four stems is 0.25",
            minimum=0.0,
            maximum=1.0,
        )

    options: Options

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return ``gain * mixture`` for each stem, ``(channels, samples)``."""
        scaled = mixture * self.options.gain
        return dict.fromkeys(self.stems, scaled)
