"""The one door to the scores: every score of the estimates of one track."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from sepbench.errors import SepbenchError
from sepbench.metrics import scale_invariant, sdr
from sepbench.metrics.bsseval import projections
from sepbench.metrics.protocols import METRIC_SETS

_Frames = dict[str, dict[str, list[float]]]
_Totals = dict[str, dict[str, float]]


@dataclass(frozen=True)
class StemScores:
    """The scores of one stem, in dB, by the ids of `sepbench.metrics.protocols.METRIC_SETS`.

    ``mixture_frames`` and ``mixture_totals`` are the scores of the unprocessed mixture, at its own
    level, taken as the estimate: what an improvement is measured from. ``notes`` says in words why
    a stem has no score, or why one should not be trusted.
    """

    frames: dict[str, list[float]]
    """One score a window; NaN where any reference or estimate of the set is silent."""
    totals: dict[str, float]
    """One score a track."""
    mixture_frames: dict[str, list[float]]
    mixture_totals: dict[str, float]
    notes: tuple[str, ...] = field(default=())


class TrackScorer:
    """Scores the estimates of one track.

    What depends on the references alone (silent windows, the scores of the mixture, the
    factorised correlations of BSSEval) is computed when first needed, once, and reused for every
    method and every set of stems.

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
        metrics: Sequence[str] = ("sdr",),
        device: torch.device | str = "cpu",
    ) -> None:
        unknown = [name for name in metrics if name not in METRIC_SETS]
        if unknown:
            raise SepbenchError(f"metric {unknown[0]!r}: choose from {', '.join(METRIC_SETS)}")
        if mixture.ndim != 2 or not mixture.numel():
            raise SepbenchError(f"mixture: {_shape(mixture)} is no (channels, samples) audio")
        self.metrics = tuple(name for name in METRIC_SETS if name in metrics or name == "sdr")
        self.device = torch.device(device)
        self._mixture = mixture.to(self.device)
        self._references = {name: stem.to(self.device) for name, stem in references.items()}
        for name, stem in self._references.items():
            _check_shape(f"reference {name}", stem, mixture)
        self._windows = sdr.Windows.of_signal(mixture.shape[1], rate)
        self._silence: dict[str, torch.Tensor] = {}
        self._of_mixture: dict[tuple[str, ...], tuple[_Frames, _Totals]] = {}
        self._projections: dict[tuple[str, ...], projections.Projections] = {}

    def score(
        self, estimates: Mapping[str, torch.Tensor], *, targets: tuple[str, ...]
    ) -> dict[str, StemScores]:
        """Return the scores of the stems of ``targets``, which are scored together as one set.

        A window in which any reference or estimate of the set is silent counts for none of them.
        A stem whose reference or estimate is silent throughout has no scores and takes no windows
        from the others (museval raises there).
        """
        for stem in targets:
            if stem not in self._references:
                raise SepbenchError(f"stem {stem}: the track has no reference for it")
            if stem not in estimates:
                raise SepbenchError(f"stem {stem}: the method made no estimate of it")
            _check_shape(f"estimate {stem}", estimates[stem], self._mixture)
        made = {stem: estimates[stem].to(self.device) for stem in targets}
        energies = self._measure(made)
        frames, totals = self._score(made, energies, mixture=False)
        if targets not in self._of_mixture:
            mixture = dict.fromkeys(targets, self._mixture)
            self._of_mixture[targets] = self._score(mixture, self._measure(mixture), mixture=True)
        mixture_frames, mixture_totals = self._of_mixture[targets]
        return {
            stem: StemScores(
                frames=frames[stem],
                totals=totals[stem],
                mixture_frames=mixture_frames[stem],
                mixture_totals=mixture_totals[stem],
                notes=self._notes(stem, energies[stem], targets),
            )
            for stem in targets
        }

    def _measure(self, made: Mapping[str, torch.Tensor]) -> dict[str, sdr.Energies]:
        energies = {}
        for stem, estimate in made.items():
            energies[stem] = sdr.measure(self._references[stem], estimate, self._windows)
            for name in ("reference", "estimate"):
                if not getattr(energies[stem], name).isfinite().all():
                    raise SepbenchError(f"{name} {stem}: holds samples that are not finite numbers")
        return energies

    def _score(
        self,
        made: Mapping[str, torch.Tensor],
        energies: Mapping[str, sdr.Energies],
        *,
        mixture: bool,
    ) -> tuple[_Frames, _Totals]:
        """Return the scores of a set of estimates by window and by track, by stem."""
        sums = list(energies.values())
        totals = {
            stem: {"uSDR": sdr.usdr(of_stem), "SI-SDR": sdr.si_sdr(of_stem)}
            for stem, of_stem in energies.items()
        }
        frames = {stem: {"SDR": sdr.sdr(of_stem)} for stem, of_stem in energies.items()}
        if "bsseval" in self.metrics:
            fitted = self._projections_of(tuple(made))
            scores = (
                fitted.score_mixture(sums) if mixture else fitted.score(list(made.values()), sums)
            )
            for name, by_stem in scores.items():
                for stem, values in zip(made, by_stem, strict=True):
                    frames[stem][name] = values
        if "nussl" in self.metrics:
            references = [self._references[stem] for stem in made]
            of_stems = scale_invariant.scores(references, list(made.values()))
            for stem, of_stem in zip(made, of_stems, strict=True):
                totals[stem] |= {f"nussl {name}": score for name, score in of_stem.items()}
        return self._masked(frames, energies), totals

    def _masked(
        self,
        frames: Mapping[str, Mapping[str, torch.Tensor]],
        energies: Mapping[str, sdr.Energies],
    ) -> _Frames:
        masked = torch.zeros(self._windows.count, dtype=torch.bool)
        dead = {}
        for stem, sums in energies.items():
            silences = (self._silent(stem), sums.silent)
            dead[stem] = any(bool(silent.all()) for silent in silences)
            for silent in silences:
                if not silent.all():
                    masked |= silent[:-1]
        return {
            stem: {
                name: values.masked_fill(masked | dead[stem], torch.nan).tolist()
                for name, values in scores.items()
            }
            for stem, scores in frames.items()
        }

    def _projections_of(self, targets: tuple[str, ...]) -> projections.Projections:
        if targets not in self._projections:
            references = [self._references[stem] for stem in targets]
            self._projections[targets] = projections.Projections(
                references, self._mixture, self._windows
            )
        return self._projections[targets]

    def _silent(self, stem: str) -> torch.Tensor:
        if stem not in self._silence:
            self._silence[stem] = sdr.silence(self._references[stem], self._windows)
        return self._silence[stem]

    def _notes(self, stem: str, sums: sdr.Energies, targets: tuple[str, ...]) -> tuple[str, ...]:
        notes = []
        if self._silent(stem).all():
            notes.append("the reference is silent")
        if sums.silent.all():
            notes.append("the estimate is silent")
        if targets in self._projections:
            condition = self._projections[targets].condition
            if condition > projections.CONDITION_LIMIT:
                notes.append(
                    f"the references are ill-conditioned ({condition:.0e}): "
                    "SIR and SAR hang on rounding; give references of 16 bits"
                )
        return tuple(notes)


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
