"""Runs one metric on estimates, and collects the scores of all metrics by stem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from sepbench.errors import SepbenchError
from sepbench.metrics import sdr
from sepbench.metrics.bundled.signal_ratios import Sdr
from sepbench.metrics.metric import Estimates, SetMetric, Song

Values = dict[str, dict[str, torch.Tensor]]
"""The scores of one metric by their name and by stem: ``(windows,)``, or a scalar."""


@dataclass
class SetScores:
    """Scores of one set of estimates by stem and id, and notes by stem."""

    frames: dict[str, dict[str, list[float]]]
    totals: dict[str, dict[str, float]]
    notes: dict[str, list[str]]

    @classmethod
    def of(cls, stems: Iterable[str]) -> SetScores:
        """Return a collection without scores yet."""
        names = tuple(stems)
        return cls({stem: {} for stem in names}, {stem: {} for stem in names}, {})

    def add(self, metric: SetMetric, values: Values, masks: Mapping[str, torch.Tensor]) -> None:
        """Add the scores of a metric: NaN in windows where a stem's mask ``(windows,)`` is true."""
        for stem, mask in masks.items():
            for name in metric.frames:
                scores = values[name][stem].masked_fill(mask, torch.nan)
                self.frames[stem][metric.id_of(name)] = scores.tolist()
            for name in metric.totals:
                self.totals[stem][metric.id_of(name)] = float(values[name][stem])

    def add_failure(
        self, metric: SetMetric, masks: Mapping[str, torch.Tensor], reason: str
    ) -> None:
        """Add NaN for each score of a metric that failed, and a note with the reason."""
        for stem, mask in masks.items():
            self.notes.setdefault(stem, []).append(f"metric {metric.label}: {reason}")
            for name in metric.frames:
                self.frames[stem][metric.id_of(name)] = [float("nan")] * len(mask)
            for name in metric.totals:
                self.totals[stem][metric.id_of(name)] = float("nan")

    def drop_interference(self, stem: str) -> None:
        """Replace every SIR of a stem by NaN: all other references of its set are silent."""
        frames, totals = self.frames[stem], self.totals[stem]
        for name in (name for name in frames if name.endswith("SIR")):
            frames[name] = [float("nan")] * len(frames[name])
        for name in (name for name in totals if name.endswith("SIR")):
            totals[name] = float("nan")


def values_of(
    metric: SetMetric, song: Song, made: list[Estimates]
) -> tuple[list[Values] | None, str]:
    """Return the scores by id and stem for each set of estimates, or None and the reason."""
    try:
        found = metric.score_sets(song, made)
        return [_by_stem(metric, song, one) for one in found], ""
    except SepbenchError as error:
        return None, str(error)
    except Exception as error:  # A failing metric must not affect the others.
        if isinstance(metric, Sdr):
            raise
        return None, " ".join(f"{type(error).__name__}: {error}".split())


def _by_stem(metric: SetMetric, song: Song, found: Mapping[str, torch.Tensor]) -> Values:
    """Return the scores of a metric on the CPU; raise `SepbenchError` for a wrong shape."""
    windows = sdr.Windows.of_signal(song.mixture.shape[1], song.rate).count
    values: Values = {}
    for name in (*metric.frames, *metric.totals):
        wanted = (len(song.stems), windows) if name in metric.frames else (len(song.stems),)
        got = tuple(found[name].shape) if name in found else "nothing"
        if got != wanted:
            raise SepbenchError(f"returned {got} for {name}, not a tensor of shape {wanted}")
        by_stem = found[name].detach().double().cpu()
        values[name] = dict(zip(song.stems, by_stem, strict=True))
    return values
