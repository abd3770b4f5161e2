"""Distances of magnitude spectrograms, as in leaderboards and listening tests."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from sepbench.metrics.metric import Estimates, Golden, SetMetric, Song, once_each

if TYPE_CHECKING:
    import torch

    from sepbench.metrics.spectra import Distance

_MSST = "ZFTurbo, Music-Source-Separation-Training, utils/metrics.py"


class _Spectral(SetMetric):
    """Compares the estimates of all methods with each reference in one pass."""

    groups: ClassVar[tuple[str, ...]] = ("spectral",)
    by_stem = True

    def score_set(self, song: Song, estimates: Estimates) -> Mapping[str, torch.Tensor]:
        """Return the score of each stem, ``(stems,)``."""
        return self.score_sets(song, [estimates])[0]

    def score_sets(self, song: Song, several: list[Estimates]) -> list[Mapping[str, torch.Tensor]]:
        """Return the scores of several methods."""
        import torch

        by_stem = [self.score_stem(song, stem, several) for stem in song.stems]
        (name,) = self.totals
        return [
            {name: torch.tensor([float(of_stem[place]) for of_stem in by_stem])}
            for place in range(len(several))
        ]

    @abstractmethod
    def score_stem(self, song: Song, stem: str, several: list[Estimates]) -> Sequence[float]:
        """Return the score of one stem for each method."""


class _MultiResolution(_Spectral):
    """Multi-resolution STFT distances; the transforms are shared by both configurations."""

    silence = "finite: powers are at least 1e-8"

    resolutions: tuple[int, ...]

    def score_stem(self, song: Song, stem: str, several: list[Estimates]) -> Sequence[float]:
        """Return the mean of `distance` over resolutions."""
        found = _distances(song, stem, several, self.resolutions)
        return [
            self.scaled(
                sum(self.distance(*of_method[n]) for n in self.resolutions) / len(self.resolutions)
            )
            for of_method in found
        ]

    @abstractmethod
    def distance(self, linear: Distance, mels: Distance | None) -> float:
        """Return spectral convergence plus log distance of one resolution."""

    def scaled(self, distance: float) -> float:
        """Return the score for a mean distance."""
        return distance


class MultiResolutionGensvs(_MultiResolution):
    """The configuration of the listening test of Bereuter et al."""

    name = "mrstft-gensvs"
    summary = "Multi-resolution STFT distance, 256 to 4096 points, A-weighted, mean over channels"
    groups = ("spectral", "mrstft")
    totals = ("mrstft-gensvs",)
    higher_is_better = False
    source = "Bereuter et al., WASPAA 2025 (gensvs_eval); auraloss 0.4.0"
    resolutions = (256, 512, 1024, 2048, 4096)
    golden = (
        Golden(
            "auraloss 0.4.0",
            {
                "vocals mrstft-gensvs": 4.578488,
                "accompaniment mrstft-gensvs": 0.445584,
            },
        ),
    )

    def distance(self, linear: Distance, mels: Distance | None) -> float:
        """Compare linear spectra, each channel separately."""
        error, reference, _, log = linear.sums
        return float(((error / reference).sqrt() + log / linear.bins).mean())


class MultiResolutionMsst(_MultiResolution):
    """The configuration and scale of Music-Source-Separation-Training."""

    name = "mrstft-msst"
    summary = "Multi-resolution STFT distance of 128 mel bands, A-weighted, as 100 / (1 + 10 d)"
    groups = ("spectral", "mrstft")
    totals = ("mrstft-msst",)
    higher_is_better = True
    source = f"{_MSST} (aura_mrstft); auraloss 0.4.0"
    resolutions = (1024, 2048, 4096)
    golden = (
        Golden(
            "auraloss 0.4.0",
            {
                "vocals mrstft-msst": 1.851272,
                "accompaniment mrstft-msst": 13.804549,
            },
        ),
    )

    def distance(self, linear: Distance, mels: Distance | None) -> float:
        """Compare mel bands, channels jointly.

        The original program swaps reference and estimate, so the convergence is relative to the
        estimate.
        """
        if mels is None:
            raise ValueError("mel bands are needed")
        error, _, estimate, log = mels.sums
        return float((error.sum() / estimate.sum()).sqrt() + log.mean() / mels.bins)

    def scaled(self, distance: float) -> float:
        """Return a score from 0 to 100."""
        return 100 / (1 + 10 * distance)


class L1Freq(_Spectral):
    """The mean distance of magnitudes."""

    name = "l1-freq"
    summary = "Mean difference of STFT magnitudes (2048, rectangular), as 100 / (1 + 10 d)"
    totals = ("l1-freq",)
    higher_is_better = True
    silence = "finite, also for a silent reference"
    source = f"{_MSST} (l1_freq)"
    golden = (
        Golden(
            "torch.stft 2.13, as Music-Source-Separation-Training calls it",
            {
                "vocals l1-freq": 19.849787,
                "accompaniment l1-freq": 23.118935,
            },
        ),
    )

    def score_stem(self, song: Song, stem: str, several: list[Estimates]) -> Sequence[float]:
        """Return the score of one stem for each method."""
        from sepbench.metrics.spectra import level_difference

        made = [one.stems[stem] for one in several]
        apart = level_difference(song.references[stem], made, 2048, 1024)
        return [100 / (1 + 10 * float(distance)) for distance in apart]


class _MelLevels(_Spectral):
    """Mel levels of the estimate above, or below, those of the reference."""

    silence = "finite: levels are at least -200 dB, and at most 80 dB below the highest"
    higher_is_better = True
    sign: float

    def score_stem(self, song: Song, stem: str, several: list[Estimates]) -> Sequence[float]:
        """Return the score of one stem for each method."""

        def compute(new: list[Estimates]) -> list[tuple[float, float]]:
            return [_excess(song, stem, one.stems[stem]) for one in new]

        pairs = once_each(several, ("mel levels", stem), compute)
        return [100 / (1 + pair[self.sign < 0]) for pair in pairs]


class Bleedless(_MelLevels):
    """Absence of energy above the reference."""

    name = "bleedless"
    summary = "Mean excess of mel levels over the reference where there is any, as 100 / (1 + dB)"
    totals = ("bleedless",)
    source = f"{_MSST} (bleed_full), after auraloss issue 79 (jarredou)"
    sign = 1.0
    golden = (
        Golden(
            "torch.stft 2.13 and librosa 0.11, as Music-Source-Separation-Training calls them",
            {
                "vocals bleedless": 4.225284,
                "accompaniment bleedless": 23.185432,
            },
        ),
    )


class Fullness(_MelLevels):
    """Absence of missing energy."""

    name = "fullness"
    summary = "Mean deficit of mel levels below the reference where there is any, as 100 / (1 + dB)"
    totals = ("fullness",)
    source = f"{_MSST} (bleed_full), after auraloss issue 79 (jarredou)"
    sign = -1.0
    golden = (
        Golden(
            "torch.stft 2.13 and librosa 0.11, as Music-Source-Separation-Training calls them",
            {
                "vocals fullness": 7.652593,
                "accompaniment fullness": 50.353069,
            },
        ),
    )


def _distances(
    song: Song, stem: str, several: list[Estimates], resolutions: Sequence[int]
) -> list[dict[int, tuple[Distance, Distance | None]]]:
    """Return distances by resolution for each method; each resolution is transformed once."""
    from sepbench.metrics import spectra

    weighted: list[torch.Tensor] = []

    def compute(n_fft: int, new: list[Estimates]) -> list[tuple[Distance, Distance | None]]:
        if not weighted:
            signals = [song.references[stem], *(one.stems[stem] for one in several)]
            weighted.extend(spectra.weighted(signal, song.rate) for signal in signals)
        made = [weighted[1 + several.index(one)] for one in new]
        mels = n_fft in MultiResolutionMsst.resolutions
        both = spectra.multi_resolution(weighted[0], made, song.rate, n_fft, mels=mels)
        return [(both[0].of(k), both[1].of(k) if both[1] else None) for k in range(len(new))]

    found: list[dict[int, tuple[Distance, Distance | None]]] = [{} for _ in several]
    for n_fft in resolutions:
        key = ("multi-resolution", stem, n_fft)
        each = once_each(several, key, partial(compute, n_fft))
        for into, distance in zip(found, each, strict=True):
            into[n_fft] = distance
    return found


def _excess(song: Song, stem: str, estimate: torch.Tensor) -> tuple[float, float]:
    """Return the mean of the level differences above 0, and that of those below, in dB."""
    from sepbench.metrics.spectra import mel_levels

    levels = partial(mel_levels, rate=song.rate, n_fft=4096, hop=1024, mels=512, top=80.0)
    true = song.once(("mel levels", stem), lambda: levels(song.references[stem]))
    apart = levels(estimate).sub_(true)
    above, below = apart.clamp(min=0), apart.clamp_(max=0)
    counts = above.count_nonzero(), below.count_nonzero()
    sums = float(above.double().sum()), -float(below.double().sum())
    return sums[0] / max(1, int(counts[0])), sums[1] / max(1, int(counts[1]))
