"""Computes all scores of the estimates of one track."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from sepbench.audio.resampling import resample
from sepbench.errors import SepbenchError
from sepbench.metrics import sdr
from sepbench.metrics.bsseval.projections import CONDITION_LIMIT
from sepbench.metrics.bundled.signal_ratios import Sdr, energies
from sepbench.metrics.metric import Estimates, SetMetric, Song
from sepbench.metrics.set_scores import SetScores, values_of


@dataclass(frozen=True)
class StemScores:
    """The scores of one stem by the ids under which they are stored.

    ``mixture_frames`` and ``mixture_totals`` are the scores of the unprocessed mixture as the
    estimate, the baseline of improvements. ``notes`` says why a stem has no score, or an unreliable
    one.
    """

    frames: dict[str, list[float]]
    """One score per window; NaN if any reference or estimate of the set is silent."""
    totals: dict[str, float]
    """One score per track."""
    mixture_frames: dict[str, list[float]]
    mixture_totals: dict[str, float]
    notes: tuple[str, ...] = field(default=())


class TrackScorer:
    """Scores the estimates of one track by any metrics.

    Everything that depends only on the references (silent windows, the scores of the mixture, the
    factorised correlations of BSSEval) is computed once, on first use, and reused for every method
    and every set of stems.

    Shape:
        each of references, mixture: float32 ``(channels, samples)``, full scale 1. References
        should be 16-bit values over 32768, as musdb gives them: ISR, SIR and SAR depend on it.
    """

    def __init__(
        self,
        references: Mapping[str, torch.Tensor],
        mixture: torch.Tensor,
        rate: int,
        *,
        metrics: Sequence[SetMetric] = (),
        device: torch.device | str = "cpu",
    ) -> None:
        if mixture.ndim != 2 or not mixture.numel():
            raise SepbenchError(f"mixture: {_shape(mixture)} is no (channels, samples) audio")
        # Silent windows and silent stems are derived from the energies of sdr.
        by_label = {metric.label: metric for metric in (Sdr(), *metrics)}
        self.metrics = tuple(by_label.values())
        self.device = torch.device(device)
        self._rate = rate
        self._mixture = mixture.to(self.device)
        self._references = {name: stem.to(self.device) for name, stem in references.items()}
        for name, stem in self._references.items():
            _check_shape(f"reference {name}", stem, mixture)
        self._windows = sdr.Windows.of_signal(mixture.shape[1], rate)
        self._silence: dict[str, torch.Tensor] = {}
        self._songs: dict[tuple[str, ...], dict[int, Song]] = {}
        self._of_mixture: dict[tuple[tuple[str, ...], ...], SetScores] = {}

    def score(
        self,
        estimates: Mapping[str, torch.Tensor],
        *,
        targets: tuple[str, ...],
        wanted: tuple[str, ...] = (),
    ) -> dict[str, StemScores]:
        """Return the scores of the stems of ``targets``, scored together as one set.

        Where only some of them are ``wanted``, metrics that look at one stem alone skip the others.
        A window in which any reference or estimate of the set is silent is not used.
        A stem whose reference or estimate is silent throughout has no scores by window and does not
        affect the windows of others (museval raises). A failing metric gives a note.
        """
        return self.score_methods([estimates], targets=targets, wanted=wanted)[0]

    def score_methods(
        self,
        several: Sequence[Mapping[str, torch.Tensor]],
        *,
        targets: tuple[str, ...],
        wanted: tuple[str, ...] = (),
    ) -> list[dict[str, StemScores]]:
        """Return the scores of several methods, as `score` does, in less time than one by one."""
        made, wanted = [], wanted or targets
        for estimates in several:
            for stem in targets:
                self._check(stem, estimates)
            made.append(Estimates({stem: estimates[stem].to(self.device) for stem in targets}))
        song = self._song(targets)
        for one in made:
            _check_finite(song, one)
        scored = self._score(targets, wanted, made)
        if (targets, wanted) not in self._of_mixture:
            mixture = Estimates(dict.fromkeys(targets, self._mixture), mixture=True)
            self._of_mixture[targets, wanted] = self._score(targets, wanted, [mixture])[0]
        return [
            self._stem_scores(song, wanted, one, found)
            for one, found in zip(made, scored, strict=True)
        ]

    def _check(self, stem: str, estimates: Mapping[str, torch.Tensor]) -> None:
        if stem not in self._references:
            raise SepbenchError(f"stem {stem}: the track has no reference for it")
        if stem not in estimates:
            raise SepbenchError(f"stem {stem}: the method has no estimate of it")
        _check_shape(f"estimate {stem}", estimates[stem], self._mixture)

    def _song(self, targets: tuple[str, ...], rate: int | None = None) -> Song:
        songs = self._songs.setdefault(targets, {})
        rate = rate or self._rate
        if rate not in songs:
            references = {stem: self._references[stem] for stem in targets}
            mixture = self._mixture
            if rate != self._rate:
                references = {name: self._resampled(x, rate) for name, x in references.items()}
                mixture = self._resampled(mixture, rate)
            songs[rate] = Song(references, mixture, rate)
        return songs[rate]

    def _resampled(self, signal: torch.Tensor, rate: int) -> torch.Tensor:
        made = resample(signal.cpu().numpy(), self._rate, rate)
        return torch.from_numpy(made).to(self.device)

    def _score(
        self, targets: tuple[str, ...], wanted: tuple[str, ...], made: list[Estimates]
    ) -> list[SetScores]:
        scored = [SetScores.of(wanted) for _ in made]
        masks = [self._masks(self._song(targets), wanted, one) for one in made]
        known = {(targets, self._rate): made}
        for metric in self.metrics:
            stems = wanted if metric.by_stem else targets
            rate = metric.sample_rate or self._rate
            if (stems, rate) not in known:
                known[stems, rate] = [self._at(one, stems, rate) for one in made]
            values, failure = values_of(metric, self._song(stems, rate), known[stems, rate])
            for place, into in enumerate(scored):
                if values is None:
                    into.add_failure(metric, masks[place], failure)
                else:
                    into.add(metric, values[place], masks[place])
        for into in scored:
            for stem in set(self._without_interference(targets)) & set(wanted):
                into.drop_interference(stem)
        return scored

    def _without_interference(self, targets: tuple[str, ...]) -> list[str]:
        """Return the stems of a set whose other references are all zero."""
        # A GPU is waited for only where the sum of the channels is silent, which may be antiphase.
        silent = {s for s in targets if self._silent(s).all() and not self._references[s].any()}
        return [stem for stem in targets if silent >= set(targets) - {stem}]

    def _at(self, made: Estimates, stems: tuple[str, ...], rate: int) -> Estimates:
        some = {name: made.stems[name] for name in stems}
        if rate != self._rate:
            some = {name: self._resampled(signal, rate) for name, signal in some.items()}
        return Estimates(some, mixture=made.mixture)

    def _masks(
        self, song: Song, wanted: tuple[str, ...], made: Estimates
    ) -> dict[str, torch.Tensor]:
        """Return the windows of each wanted stem that have no score."""
        masked = torch.zeros(self._windows.count, dtype=torch.bool)
        silent_stems = set()
        for stem, sums in zip(song.stems, energies(song, made), strict=True):
            for silent in (self._silent(stem), sums.silent):
                if silent.all():
                    silent_stems.add(stem)
                else:
                    masked |= silent[:-1]
        return {stem: masked | (stem in silent_stems) for stem in wanted}

    def _silent(self, stem: str) -> torch.Tensor:
        if stem not in self._silence:
            self._silence[stem] = sdr.silence(self._references[stem], self._windows)
        return self._silence[stem]

    def _stem_scores(
        self, song: Song, wanted: tuple[str, ...], made: Estimates, scored: SetScores
    ) -> dict[str, StemScores]:
        mixture = self._of_mixture[song.stems, wanted]
        return {
            stem: StemScores(
                frames=scored.frames[stem],
                totals=scored.totals[stem],
                mixture_frames=mixture.frames[stem],
                mixture_totals=mixture.totals[stem],
                notes=(*self._notes(stem, sums, song, scored), *scored.notes.get(stem, ())),
            )
            for stem, sums in zip(song.stems, energies(song, made), strict=True)
            if stem in wanted
        }

    def _notes(self, stem: str, sums: sdr.Energies, song: Song, scored: SetScores) -> list[str]:
        notes = []
        for what, is_silent, energy in (
            ("reference", self._silent(stem), sums.reference),
            ("estimate", sums.silent, sums.estimate),
        ):
            if is_silent.all():
                added = ", once its channels are added" if energy.any() else ""
                notes.append(f"the {what} is silent{added}")
        lacks_sir = stem in self._without_interference(song.stems) and len(song.stems) > 1
        names = (*scored.frames[stem], *scored.totals[stem])
        if not notes and lacks_sir and any(name.endswith("SIR") for name in names):
            notes.append("all other references of its set are silent, so there is no SIR")
        fitted = song.known("projections")
        if fitted is not None and fitted.condition > CONDITION_LIMIT:
            notes.append(
                f"the references are ill-conditioned ({fitted.condition:.0e}): "
                "SIR and SAR depend on rounding; give references of 16 bits"
            )
        return notes


def _check_finite(song: Song, made: Estimates) -> None:
    for stem, sums in zip(song.stems, energies(song, made), strict=True):
        for name in ("reference", "estimate"):
            if not getattr(sums, name).isfinite().all():
                raise SepbenchError(f"{name} {stem}: contains NaN or infinity")


def _check_shape(name: str, signal: torch.Tensor, mixture: torch.Tensor) -> None:
    if signal.shape != mixture.shape:
        raise SepbenchError(
            f"{name}: {_shape(signal)} does not fit the mixture of {_shape(mixture)}; "
            "resample or pad it first"
        )


def _shape(signal: torch.Tensor) -> str:
    if signal.ndim != 2:
        return f"a tensor of shape {tuple(signal.shape)}"
    return f"{signal.shape[0]} channels of {signal.shape[1]} samples"
