"""The mean, median, minimum or maximum of the estimates of other methods."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from sepbench.errors import MethodError, SepbenchError
from sepbench.options import split
from sepbench.separator import BLOCK_ALIGNMENT, AnySeparator, Ensemble, SampleCount, option

if TYPE_CHECKING:
    import torch

    from sepbench.dsp.wiener import MultichannelWiener

_BEST = "2*unet-stereo+unet"
"""The included networks that are best for stereo songs, of any length; see docs/training.md.

Methods that need an extra are left out, so that the default is the same on every machine.
"""
_UNWEIGHTED = "unet-stereo+unet+blstm"

_ITERATIONS = 2
"""Iterations of the filter of the mean, if not chosen; see docs/training.md."""

_RATE = 44_100
"""Rate of the filter in Hz if no member has one."""

_MEMBER = re.compile(r"(?:(?P<weight>[^\[\]*]+)\*)?(?P<method>[^*\[\]]+(?:\[.*\])?)", re.DOTALL)


class MethodEnsemble(Ensemble):
    """Averages methods with different errors, which cancel in part.

    Stems are averaged as waveforms or as complex spectra, or the mixture is masked with the mean of
    the members' ratio masks, which keeps the phase of the mixture. Instead of the mean it can take
    the median, or the value of smallest or largest magnitude, by sample or by bin; such stems do
    not sum to the mixture. The mean does if the members' stems do, unless each stem has its own
    weights; so does the median of two stems as waveforms.

    The networks of sepbench filter stereo songs by the position of each stem. If all members do,
    only the mean is filtered. This is faster and better: the mean is closer to the true stem than
    any member, so its position is estimated more accurately.
    """

    name = "ensemble"
    version = "5"  # Raised when blocks had the song's frames, and ensembles in it one filter.
    summary = "The mean, median, minimum or maximum of the stems or masks of other methods."
    citation = (
        "Uhlich et al.: Improving Music Source Separation Based on Deep Neural Networks through "
        "Data Augmentation and Network Blending. ICASSP 2017"
    )

    @dataclass(frozen=True)
    class Options:
        """Options."""

        methods: str = option(
            "",
            "methods joined by +, as in 2*unet+cdae, or vocals:2/drums:0.5*demucs+cdae; without "
            f"them {_BEST}, or {_UNWEIGHTED} if values are not averaged",
            unnamed=True,
        )
        of: str = option("mean", "how to combine values", choices=("mean", "median", "min", "max"))
        domain: str = option("stems", "what to combine", choices=("stems", "spectra", "masks"))
        n_fft: int = option(
            4096,
            "for spectra and masks: window in samples, hop is a quarter",
            minimum=16,
            maximum=65536,
        )
        wiener: int = option(
            -1,
            "iterations of a filter that separates stems of stereo songs by their position, for "
            "the mean, in place of the members' own; 0: none, members keep theirs; "
            f"-1: {_ITERATIONS} for a mean of members that all have it, else none",
            minimum=-1,
            maximum=5,
        )

        def __post_init__(self) -> None:
            """Fill in the default members: without weights if values are not averaged."""
            if not self.methods:
                members = _BEST if self.of == "mean" else _UNWEIGHTED
                object.__setattr__(self, "methods", members)

    options: Options

    def __init__(self, options: Any = None, members: Sequence[AnySeparator] = ()) -> None:
        super().__init__(options, members)
        self._is_filtered = bool(members) and all(map(_has_usual_filter, members))
        if self._iterations:
            for member in members:
                if _has_usual_filter(member):
                    member.options = replace(member.options, wiener=0)

    @property
    def stereo_filter(self) -> MultichannelWiener:
        """The multichannel Wiener filter of the mean."""
        from sepbench.dsp.wiener import MultichannelWiener

        return MultichannelWiener(self.sample_rate or _RATE, self._iterations)

    @property
    def _iterations(self) -> int:
        if self.options.wiener >= 0:
            return int(self.options.wiener)
        is_usual = self.options.of == "mean" and self._is_filtered
        return _ITERATIONS if is_usual else 0

    @property
    def sample_rate(self) -> int | None:
        """With a filter the highest rate of the members, so that each resamples little."""
        if not self._iterations:
            return None
        rates = (part.sample_rate for member in self.members for part in _parts(member))
        return max((rate for rate in rates if rate), default=_RATE)

    @property
    def block_context(self) -> float | SampleCount:
        """Two windows for spectra and masks, nothing for stems."""
        return 0.0 if self.options.domain == "stems" else SampleCount(2 * self.options.n_fft)

    @property
    def block_alignment(self) -> int:
        """The hop for spectra and masks, so that the frames of a block are frames of the song."""
        return BLOCK_ALIGNMENT if self.options.domain == "stems" else self.options.n_fft // 4

    @classmethod
    def methods(cls, options: Options) -> Sequence[str]:
        """Return the members as a user would type them."""
        return [method for _, method in parse(options.methods)]

    @cached_property
    def stems(self) -> tuple[str, ...]:
        """The stems that all members make."""
        stems = super().stems
        weights = [weights for weights, _ in parse(self.options.methods)]
        for name in (name for named in weights for name in named if name and name not in stems):
            raise MethodError(
                self.name, f"a weight for {name!r}; the members make {', '.join(stems)}"
            )
        if self.options.of != "mean" and any(weights):
            raise MethodError(self.name, "weights require of=mean; leave them out")
        return stems

    @property
    def remainder(self) -> str | None:
        """The members' remainder, or the accompaniment, where combined stems sum to the mixture.

        Then it need not be combined. With masks the combined stems need not sum to the mixture, but
        with the remainder they do, as the members' stems do.
        """
        chosen, weights = self.options, [named for named, _ in parse(self.options.methods)]
        is_mean = chosen.of == "mean"
        # If two stems sum to the mixture, their medians do too.
        is_median_of_two = (chosen.of, chosen.domain, len(self.stems)) == ("median", "stems", 2)
        if not (is_mean or is_median_of_two):
            return None
        if any(set(named) - {""} for named in weights):  # Each stem has its own weights.
            return None
        own = super().remainder
        if own or not is_mean or set(self.stems) != {"vocals", "accompaniment"}:
            return own
        return "accompaniment" if all(member.remainder for member in self.members) else None

    def combine(
        self, mixture: torch.Tensor, estimates: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return each stem combined from the members', ``(channels, samples)``."""
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


def _has_usual_filter(separator: AnySeparator) -> bool:
    """Return whether a separator filters stereo songs, with the default option.

    An ensemble that leaves the filter to its members does not.
    """
    if isinstance(separator, MethodEnsemble) and not separator.stereo_filter.iterations:
        return False
    options, has_filter = separator.options, separator.stereo_filter is not None
    return has_filter and getattr(options, "wiener", None) == getattr(type(options), "wiener", "")


def _parts(separator: AnySeparator) -> Iterator[AnySeparator]:
    """Yield a separator and, recursively, its members."""
    yield separator
    for member in separator.members:
        yield from _parts(member)


Weights: TypeAlias = dict[str, float]
"""A member's weight by stem; the empty name is for all other stems."""


def stem_weights(text: str, stem: str) -> list[float]:
    """Return the weights of members for a stem, which sum to one.

    >>> stem_weights("3*a+b", "drums"), stem_weights("vocals:3*a+b", "drums")
    ([0.25, 0.75], [0.5, 0.5])
    """
    weights = [named.get(stem, named.get("", 1.0)) for named, _ in parse(text)]
    return [weight / sum(weights) for weight in weights]


def parse(text: str) -> list[tuple[Weights, str]]:
    """Return the weights and the method of each member.

    They are sorted, so that sums are bit-identical in any order of typing.
    """
    members = [_member(part.strip(), text) for part in split(text, "+")]
    if math.isinf(sum(weight for weights, _ in members for weight in weights.values())):
        raise SepbenchError(
            f"method ensemble: option methods={text}: the sum of its weights is too large; "
            "write smaller ones"
        )
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
            "optionally with positive weights, as in 2*unet+mask-cnn, "
            "or weights by stem, as in vocals:2/drums:0.5*demucs+cdae"
        )
    return weights, matched["method"].strip()
