"""The mean, median, minimum or maximum of the estimates of other methods."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from sepbench.errors import SepbenchError
from sepbench.options import split
from sepbench.separator import Ensemble, SampleCount, option

if TYPE_CHECKING:
    import torch

_MEMBER = re.compile(r"(?:(?P<weight>[^\[\]*]+)\*)?(?P<method>[^*\[\]]+(?:\[.*\])?)", re.DOTALL)


class MethodEnsemble(Ensemble):
    """Averages methods that err in different ways, so that their errors cancel in part.

    Stems are averaged as waves or as complex spectra, or the mixture is masked with the mean of the
    ratio masks that the members' stems are of it, which leaves the mixture its phase. In place of
    the mean there is the median, and the value of smallest or largest magnitude, sample by sample
    or bin by bin; stems of these do not sum to the mixture.
    """

    name = "ensemble"
    summary = "The mean, median, minimum or maximum of the stems or masks of other methods."
    citation = (
        "Uhlich et al.: Improving Music Source Separation Based on Deep Neural Networks through "
        "Data Augmentation and Network Blending. ICASSP 2017"
    )

    @dataclass(frozen=True)
    class Options:
        """What can be tuned."""

        methods: str = option(
            "unet+cdae+blstm",
            "methods joined by +, as in 2*unet+cdae, or vocals:2/drums:0.5*demucs+cdae",
            unnamed=True,
        )
        of: str = option(
            "mean", "what is taken of their values", choices=("mean", "median", "min", "max")
        )
        domain: str = option("stems", "of which values", choices=("stems", "spectra", "masks"))
        n_fft: int = option(
            4096,
            "spectra, masks: window in samples, hop is a quarter",
            minimum=16,
            maximum=65536,
        )

    options: Options

    @property
    def block_context(self) -> float | SampleCount:
        """Two windows where there are spectra, nothing where stems are averaged."""
        return 0.0 if self.options.domain == "stems" else SampleCount(2 * self.options.n_fft)

    @classmethod
    def methods(cls, options: Options) -> Sequence[str]:
        """Return what a user would type for each member."""
        return [method for _, method in parse(options.methods)]

    @cached_property
    def stems(self) -> tuple[str, ...]:
        """The stems that all members make."""
        stems = super().stems
        weights = [weights for weights, _ in parse(self.options.methods)]
        for name in (name for named in weights for name in named if name and name not in stems):
            raise SepbenchError(
                f"method {self.name}: a weight for {name!r}; the members make {', '.join(stems)}"
            )
        if self.options.of != "mean" and any(weights):
            raise SepbenchError(f"method {self.name}: weights count for of=mean alone")
        return stems

    def combine(
        self, mixture: torch.Tensor, estimates: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return each stem made of those of the members, ``(channels, samples)``."""
        from . import averaging

        chosen = self.options
        weights = {stem: stem_weights(chosen.methods, stem) for stem in estimates}
        if chosen.domain == "stems":
            return {
                stem: averaging.combined(stacked, weights[stem], chosen.of)
                for stem, stacked in estimates.items()
            }
        over = averaging.of_masks if chosen.domain == "masks" else averaging.of_spectra
        return over(mixture, estimates, weights, n_fft=chosen.n_fft, of=chosen.of)


Weights: TypeAlias = dict[str, float]
"""How much a member counts for each stem; under an empty name, for all others."""


def stem_weights(text: str, stem: str) -> list[float]:
    """Return how much each member counts for a stem; they sum to one.

    >>> stem_weights("3*a+b", "drums"), stem_weights("vocals:3*a+b", "drums")
    ([0.25, 0.75], [0.5, 0.5])
    """
    weights = [named.get(stem, named.get("", 1.0)) for named, _ in parse(text)]
    return [weight / sum(weights) for weight in weights]


def parse(text: str) -> list[tuple[Weights, str]]:
    """Return the weights and the method of each member.

    They are sorted, so that sums come out the same to the bit in whatever order they were typed.
    """
    members = [_member(part.strip(), text) for part in split(text, "+")]
    return sorted(members, key=lambda member: (sorted(member[0].items()), member[1]))


def _member(text: str, whole: str) -> tuple[Weights, str]:
    matched = _MEMBER.fullmatch(text)
    weights: Weights = {}
    try:
        for part in split((matched and matched["weight"]) or "", "/"):
            if part:
                stem, _, number = part.rpartition(":")
                weights[stem.strip()] = float(number)
    except ValueError:
        matched = None
    if matched is None or not all(0 < weight < math.inf for weight in weights.values()):
        raise SepbenchError(
            f"method ensemble: option methods={whole}: write it as METHOD+METHOD, "
            "each with a weight above zero if need be, as in 2*unet+mask-cnn, "
            "or with one a stem, as in vocals:2/drums:0.5*demucs+cdae"
        )
    return weights, matched["method"].strip()
