"""Metrics of level, loudness and silence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sepbench.metrics.bundled.signal_ratios import energies
from sepbench.metrics.metric import Estimates, Golden, SetMetric, Song

if TYPE_CHECKING:
    import torch

_FLOOR = 1e-12


class Silence(SetMetric):
    """Energy predicted in silence, and energy missed."""

    name = "silence"
    summary = (
        "Energy in windows of 1 s where the reference is silent (leak, PES), and of the reference "
        "where the estimate is silent (loss, EPS)"
    )
    groups = ("silence",)
    totals = ("leak", "loss", "PES", "EPS")
    unit = "dB"
    higher_is_better = False
    silence = "leak and PES need a silent window of the reference, loss and EPS of the estimate"
    source = (
        "Schulze-Forster et al., WASPAA 2019 (PES and EPS, absolute: sums over a window); leak and "
        "loss are relative to the mixture in the same windows"
    )
    golden = (
        Golden(
            "numpy, by the definition",
            {
                "vocals leak": -19.739721,
                "vocals loss": -5.008767,
                "vocals PES": 11.134455,
                "vocals EPS": 27.527612,
            },
        ),
    )

    def score_set(self, song: Song, estimates: Estimates) -> Mapping[str, torch.Tensor]:
        """Return the four scores ``(stems,)`` in dB; NaN where no window is silent."""
        import torch

        from sepbench.metrics import sdr

        windows = sdr.Windows.of_signal(song.mixture.shape[1], song.rate)
        mixture = song.once(
            "mixture energies", lambda: sdr.measure(song.mixture, song.mixture, windows).reference
        )[:-1]
        by_stem = []
        for sums in energies(song, estimates):
            reference, estimate = sums.reference[:-1], sums.estimate[:-1]
            leak, pes = _levels(estimate, mixture, reference == 0)
            loss, eps = _levels(reference, mixture, estimate == 0)
            by_stem.append(torch.stack([leak, loss, pes, eps]))
        return dict(zip(self.totals, torch.stack(by_stem, dim=1), strict=True))


class Loudness(SetMetric):
    """The difference in loudness."""

    name = "loudness"
    summary = "Loudness of the estimate minus that of the reference, by stem and of the sum"
    groups = ("loudness",)
    totals = ("difference", "sum")
    unit = "LU"
    higher_is_better = None
    silence = "no score where either is silent, or shorter than 0.4 s"
    source = "ITU-R BS.1770-4, by pyloudnorm"
    golden = (
        Golden(
            "pyloudnorm 0.2.0",
            {
                "vocals difference": -1.11491,
                "accompaniment difference": -0.306752,
                "vocals sum": -0.378489,
            },
        ),
    )

    def score_set(self, song: Song, estimates: Estimates) -> Mapping[str, torch.Tensor]:
        """Return the difference of each stem, and of the sum of all stems, ``(stems,)`` in LU."""
        import torch

        true = song.once("loudness", lambda: _loudness(song.references, song.rate))
        made = _loudness(estimates.stems, song.rate)
        apart = made - true
        return {
            "difference": torch.where(apart.isfinite(), apart, torch.nan)[:-1],
            "sum": apart[-1].expand(len(song.stems)),
        }


class Level(SetMetric):
    """Level of the sum of the estimates against that of the references."""

    name = "level"
    summary = "Gain of the sum of the estimates against the sum of the references"
    groups = ("loudness",)
    totals = ("level",)
    unit = "dB"
    higher_is_better = None
    silence = "no score where the references add up to silence"
    source = "the gain g that minimises |sum of estimates - g sum of references|^2"
    golden = (
        Golden(
            "numpy, by the definition",
            {
                "vocals level": -0.360577,
            },
        ),
    )

    def score_set(self, song: Song, estimates: Estimates) -> Mapping[str, torch.Tensor]:
        """Return the gain in dB, the same for each stem; NaN for a gain below 0."""
        import torch

        from sepbench.metrics import sdr

        windows = sdr.Windows.of_signal(song.mixture.shape[1], song.rate)
        true = torch.stack(list(song.references.values())).sum(0)
        made = torch.stack(list(estimates.stems.values())).sum(0)
        reference, _, inner = sdr.measure(true, made, windows).whole
        gain = 1 + inner / reference if reference else float("nan")
        decibels = 20 * torch.log10(torch.tensor(gain, dtype=torch.float64))
        return {"level": decibels.expand(len(song.stems))}


def _levels(
    energy: torch.Tensor, mixture: torch.Tensor, silent: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the energy in silent windows, relative to the mixture, and its mean level."""
    import torch

    if not silent.any():
        nothing = torch.full((), torch.nan, dtype=torch.float64)
        return nothing, nothing
    inside, floor = energy[silent], mixture[silent].sum()
    relative = (inside.sum() + _FLOOR) / (floor + _FLOOR) if floor else inside.sum() * torch.nan
    return 10 * torch.log10(relative), (10 * torch.log10(inside + _FLOOR)).mean()


def _loudness(stems: Mapping[str, torch.Tensor], rate: int) -> torch.Tensor:
    """Return the loudness of each stem and, last, of their sum in LUFS; NaN if too short."""
    import warnings

    import pyloudnorm
    import torch

    signals = [stem.double().cpu() for stem in stems.values()]
    meter = pyloudnorm.Meter(rate)
    if signals[0].shape[-1] < meter.block_size * rate:
        return torch.full((len(signals) + 1,), torch.nan, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Silence has a loudness of minus infinity.
        found = [
            float(meter.integrated_loudness(signal.T.numpy())) if signal.any() else float("-inf")
            for signal in [*signals, torch.stack(signals).sum(0)]
        ]
    return torch.tensor(found, dtype=torch.float64)
