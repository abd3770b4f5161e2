"""Perceptually weighted metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sepbench.metrics.metric import Estimates, Golden, Metric, SetMetric, Song

if TYPE_CHECKING:
    import torch


class LogWmse(SetMetric):
    """Logarithm of the error energy after a hearing filter."""

    name = "log-wmse-1.1"
    summary = "Log of the error energy after a hearing filter, relative to the mixture"
    groups = ("perceptual",)
    by_stem = True
    totals = ("log-wmse-1.1",)
    higher_is_better = True
    silence = "finite: 73.68 for a perfect estimate, also of silence"
    source = "Nomono, log-wmse-audio-quality 2023; torch-log-wmse 1.1.0 (mean of logs)"
    sample_rate = 44100
    golden = (
        Golden(
            "torch-log-wmse 1.1.0",
            {
                "vocals log-wmse-1.1": 8.300824,
                "accompaniment log-wmse-1.1": 8.57859,
            },
        ),
    )

    def score_set(self, song: Song, estimates: Estimates) -> Mapping[str, torch.Tensor]:
        """Return ``-4 ln(E(h * (e - s)) / E(h * m) + 1e-8)``, mean over channels, ``(stems,)``."""
        import torch

        from sepbench.metrics.hearing import filtered_energy

        samples = song.mixture.shape[1]
        mixture = song.once("log-wmse mixture", lambda: filtered_energy(song.mixture))
        floor = (mixture / samples).clamp(min=1e-16)
        scores = []
        for stem, reference in song.references.items():
            error = filtered_energy(estimates.stems[stem] - reference) / (samples * floor)
            scores.append(-4 * torch.log(error + 1e-8).mean())
        return {"log-wmse-1.1": torch.stack(scores)}


class TwoF(Metric):
    """Basic audio quality from two variables of an ear model."""

    name = "2f-model"
    summary = "Predicted listener score from 0 to 100, from two variables of PEAQ"
    groups = ("perceptual",)
    totals = ("2f-model", "AvgModDiff1", "ADB")
    higher_is_better = True
    lower = ("AvgModDiff1", "ADB")
    silence = "no score if the reference is silent; silence before and after it does not count"
    source = (
        "Kastner and Herre, WASPAA 2019; Torcoli et al., TASLP 2021; PEAQ after ITU-R BS.1387-1 "
        "and Kabal 2002"
    )
    sample_rate = 48000
    golden = (
        Golden(
            "a numpy port of PQevalAudio v1r0 (Kabal 2004)",
            {
                "vocals AvgModDiff1": 82.730131,
                "vocals ADB": 3.181412,
                "accompaniment 2f-model": 47.839069,
                "accompaniment AvgModDiff1": 9.850227,
                "accompaniment ADB": 2.31751,
            },
        ),
    )

    def score(
        self, reference: torch.Tensor, estimate: torch.Tensor, mixture: torch.Tensor, rate: int
    ) -> Mapping[str, float]:
        """Return the score and its two variables."""
        from sepbench.metrics.peaq import two_variables

        difference, blocks = two_variables(reference, estimate)
        curve = 56.1345 / (1 + (-0.0282 * difference - 0.8628) ** 2)
        score = curve - 27.1451 * blocks + 86.3515
        # In this order the NaN of a silent reference stays NaN.
        return {"2f-model": max(min(score, 100.0), 0.0), "AvgModDiff1": difference, "ADB": blocks}
