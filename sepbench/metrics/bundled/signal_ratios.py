"""Ratios of signal and error energies: SDR, BSSEval and the scale-invariant family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from sepbench.metrics.metric import Estimates, Golden, SetMetric, Song

if TYPE_CHECKING:
    import torch

    from sepbench.metrics.bsseval.projections import Projections
    from sepbench.metrics.protocols import Reduction
    from sepbench.metrics.sdr import Energies

_TOGETHER = 4
"""Methods whose correlations are in memory at once; 63 MB each for 4 minutes."""

_MASKED = "windows in which any stem of the set is silent have no score"


class Sdr(SetMetric):
    """SDR by windows, and of the whole track."""

    name = "sdr"
    summary = "SDR by windows of one second, SI-SDR and uSDR of the whole track"
    frames = ("SDR",)
    totals = ("uSDR", "SI-SDR")
    unit = "dB"
    higher_is_better = True
    silence = f"{_MASKED}; uSDR stays finite; SI-SDR has no score"
    source = "Stöter, Liutkus and Ito 2018 (SDR); MDX 2021 (uSDR); Le Roux et al. 2019 (SI-SDR)"
    prefixed = False
    golden = (
        Golden("museval 0.4.1", {"vocals SDR": 14.774555, "accompaniment SDR": 16.571888}),
        Golden(
            "numpy, by the definitions",
            {
                "vocals uSDR": 4.3987,
                "vocals SI-SDR": 2.48543,
                "accompaniment uSDR": 9.213532,
                "accompaniment SI-SDR": 8.690642,
            },
        ),
    )

    def score_set(self, song: Song, estimates: Estimates) -> Mapping[str, torch.Tensor]:
        """Return SDR ``(stems, windows)``, uSDR and SI-SDR ``(stems,)`` in dB."""
        import torch

        from sepbench.metrics import sdr

        sums = energies(song, estimates)
        return {
            "SDR": torch.stack([sdr.sdr(of_stem) for of_stem in sums]),
            "uSDR": torch.tensor([sdr.usdr(of_stem) for of_stem in sums], dtype=torch.float64),
            "SI-SDR": torch.tensor([sdr.si_sdr(of_stem) for of_stem in sums], dtype=torch.float64),
        }


class BssEval(SetMetric):
    """The filtered scores of BSSEval v4."""

    name = "bsseval"
    summary = "ISR, SIR and SAR of BSSEval v4 by windows of one second"
    frames = ("ISR", "SIR", "SAR")
    unit = "dB"
    higher_is_better = True
    silence = _MASKED
    source = "Vincent et al. 2007; Stöter, Liutkus and Ito 2018; museval 0.4.1"
    prefixed = False
    golden = (
        Golden(
            "museval 0.4.1",
            {
                "vocals ISR": 7.940704,
                "vocals SIR": 14.45424,
                "vocals SAR": 6.06156,
                "accompaniment ISR": 19.058828,
                "accompaniment SIR": 10.980553,
                "accompaniment SAR": 13.670184,
            },
        ),
    )

    def score_set(self, song: Song, estimates: Estimates) -> Mapping[str, torch.Tensor]:
        """Return ISR, SIR and SAR ``(stems, windows)`` in dB."""
        if estimates.mixture:
            return projections(song).score_mixture(energies(song, estimates))
        return self.score_sets(song, [estimates])[0]

    def score_sets(self, song: Song, several: list[Estimates]) -> list[Mapping[str, torch.Tensor]]:
        """Return the scores of several methods, some at a time in one pass over the samples."""
        if any(estimates.mixture for estimates in several):
            return [self.score_set(song, estimates) for estimates in several]
        fitted = projections(song)
        scores: list[Mapping[str, torch.Tensor]] = []
        for first in range(0, len(several), _TOGETHER):
            some = several[first : first + _TOGETHER]
            stems = [list(estimates.stems.values()) for estimates in some]
            scores += fitted.score_methods(stems, [energies(song, one) for one in some])
        return scores


class Nussl(SetMetric):
    """The scores of nussl's ``BSSEvalScale``."""

    name = "nussl"
    summary = "SI-SDR, SI-SIR, SI-SAR, SD-SDR, SNR, SRR of the whole track, median over channels"
    totals = ("SI-SDR", "SI-SIR", "SI-SAR", "SD-SDR", "SNR", "SRR")
    unit = "dB"
    higher_is_better = True
    over_tracks: ClassVar[tuple[Reduction, ...]] = ("mean", "median")
    silence = "a channel with a silent reference has no score"
    source = "Le Roux et al. 2019; nussl 1.1.9, BSSEvalScale"
    golden = (
        Golden(
            "nussl 1.1.9",
            {
                "vocals SI-SDR": 2.507727,
                "vocals SI-SIR": 21.542175,
                "vocals SI-SAR": 2.629163,
                "vocals SD-SDR": -0.034673,
                "vocals SNR": 4.410707,
                "vocals SRR": 3.500832,
                "accompaniment SI-SDR": 8.437654,
                "accompaniment SI-SIR": 11.907452,
                "accompaniment SI-SAR": 11.032457,
                "accompaniment SD-SDR": 8.140921,
                "accompaniment SNR": 8.917412,
                "accompaniment SRR": 20.802624,
            },
        ),
    )

    def score_set(self, song: Song, estimates: Estimates) -> Mapping[str, torch.Tensor]:
        """Return each score ``(stems,)`` in dB."""
        import torch

        from sepbench.metrics import scale_invariant

        references = list(song.references.values())
        by_stem = scale_invariant.scores(references, list(estimates.stems.values()))
        return {
            name: torch.tensor([scores[name] for scores in by_stem], dtype=torch.float64)
            for name in self.totals
        }


def energies(song: Song, estimates: Estimates) -> list[Energies]:
    """Return the sums of energies behind all ratios, by stem; computed once for all metrics."""
    from sepbench.metrics import sdr

    windows = sdr.Windows.of_signal(song.mixture.shape[1], song.rate)
    return estimates.once(
        "energies",
        lambda: [
            sdr.measure(reference, estimates.stems[stem], windows)
            for stem, reference in song.references.items()
        ],
    )


def projections(song: Song) -> Projections:
    """Return the references' correlations and their factors; computed once for all methods."""
    from sepbench.metrics import sdr
    from sepbench.metrics.bsseval.projections import Projections

    windows = sdr.Windows.of_signal(song.mixture.shape[1], song.rate)
    references = list(song.references.values())
    return song.once("projections", lambda: Projections(references, song.mixture, windows))


class KSdr(SetMetric):
    """The SDR of a whole track on a scale from 0 to 100."""

    name = "k-sdr"
    summary = "SDR of the whole track, clipped to 10 dB both ways, on a log scale from 0 to 100"
    totals = ("k-sdr",)
    higher_is_better = True
    silence = "finite: 1e-8 is added to both energies"
    source = "ZFTurbo, Music-Source-Separation-Training, utils/metrics.py (k_sdr)"
    golden = (
        Golden(
            "numpy, by the definition",
            {
                "vocals k-sdr": 89.809918,
                "accompaniment k-sdr": 98.746267,
            },
        ),
    )

    def score_set(self, song: Song, estimates: Estimates) -> Mapping[str, torch.Tensor]:
        """Return ``100 ln(1 + clip(SDR, -K, K) + K) / ln(1 + 2 K)`` of each stem, ``K = 10``."""
        import torch

        k, tiny, least = 10.0, 1e-8, 1e-6
        wholes = [sums.whole for sums in energies(song, estimates)]
        ratios = [(reference + tiny) / (error + tiny) for reference, error, _ in wholes]
        decibels = 10 * torch.log10(torch.tensor(ratios, dtype=torch.float64))
        clipped = decibels.clamp(-k + least, k)
        return {"k-sdr": 100 * torch.log(1 + clipped + k) / torch.log(torch.tensor(1 + 2 * k))}
