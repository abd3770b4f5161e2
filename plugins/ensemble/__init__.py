"""The mean of what other methods make: of their stems, or of the masks that their stems imply."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sepbench.errors import SepbenchError
from sepbench.options import split
from sepbench.separator import Ensemble, SampleCount, option

if TYPE_CHECKING:
    import torch

_MEMBER = re.compile(r"(?:(?P<weight>[^\[\]*]+)\*)?(?P<method>[^*\[\]]+(?:\[.*\])?)", re.DOTALL)


class MethodEnsemble(Ensemble):
    """Averages methods that err in different ways, so that their errors cancel in part.

    Stems are averaged as they are, or the mixture is masked with the mean of the ratio masks that
    the members' stems are of it, which leaves the mixture its phase.
    """

    name = "ensemble"
    summary = "The weighted mean of the stems, or of the masks, of other methods."
    citation = (
        "Uhlich et al.: Improving Music Source Separation Based on Deep Neural Networks through "
        "Data Augmentation and Network Blending. ICASSP 2017"
    )

    @dataclass(frozen=True)
    class Options:
        """What can be tuned."""

        methods: str = option(
            "unet+cdae",
            "methods joined by +, as in 2*unet+repet-sim[recipe=librosa]",
            unnamed=True,
        )
        of: str = option("stems", "what is averaged", choices=("stems", "masks"))
        n_fft: int = option(
            4096, "masks: window in samples, hop is a quarter", minimum=16, maximum=65536
        )

    options: Options

    @property
    def block_context(self) -> float | SampleCount:
        """Two windows where the mixture is masked, nothing where stems are averaged."""
        return SampleCount(2 * self.options.n_fft) if self.options.of == "masks" else 0.0

    @classmethod
    def methods(cls, options: Options) -> Sequence[str]:
        """Return what a user would type for each member."""
        return [method for _, method in _weighted(options.methods)]

    def combine(
        self, mixture: torch.Tensor, estimates: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return the mean of each stem over the members, ``(channels, samples)``."""
        from . import averaging

        chosen = self.options
        weights = [weight for weight, _ in _weighted(chosen.methods)]
        if chosen.of == "masks":
            return averaging.of_masks(mixture, estimates, weights, n_fft=chosen.n_fft)
        return averaging.of_stems(estimates, weights)


def _weighted(text: str) -> list[tuple[float, str]]:
    """Return weight and method of each member; the weights sum to one.

    They are sorted, so that sums come out the same to the bit in whatever order they were typed.
    """
    members = sorted(_member(part.strip(), text) for part in split(text, "+"))
    total = sum(weight for weight, _ in members)
    return [(weight / total, method) for weight, method in members]


def _member(text: str, whole: str) -> tuple[float, str]:
    matched = _MEMBER.fullmatch(text)
    try:
        weight = float((matched and matched["weight"]) or 1)
    except ValueError:
        weight = math.nan
    if matched is None or not 0 < weight < math.inf:
        raise SepbenchError(
            f"method ensemble: option methods={whole}: write it as METHOD+METHOD, "
            "each with a weight above zero if need be, as in 2*unet+mask-cnn"
        )
    return weight, matched["method"].strip()
