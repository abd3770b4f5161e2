"""Reads songs and scores their stems within comparable target sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from sepbench.audio import Writer
from sepbench.errors import SepbenchError
from sepbench.evaluation.records import StemResult
from sepbench.evaluation.store import Settings
from sepbench.stems import (
    STEMS,
    SUMS,
    TARGET_SETS,
    disjoint,
    in_order,
    merge_into_other,
    with_sums,
)

if TYPE_CHECKING:
    from sepbench.datasets.base import Track, TrackAudio
    from sepbench.inference.overlap_add import Samples
    from sepbench.metrics.scorer import TrackScorer


def target_sets(
    stems: Sequence[str], references: Sequence[str], *, musdb: bool = False
) -> dict[str, tuple[str, ...]]:
    """Return the target set of each stem that can be scored.

    It is the largest set of stems with references that is either the method's own stems or one of
    `sepbench.stems.TARGET_SETS`; a sum of stems is not in the set of any of its terms. With
    ``musdb``, vocals are scored within vocals and accompaniment if both exist, as museval's
    ``eval_mus_track`` and SiSEC 2018 do.

    >>> target_sets(["vocals", "drums", "bass", "other"], ["vocals", "accompaniment"])
    {'vocals': ('vocals', 'accompaniment'), 'accompaniment': ('vocals', 'accompaniment')}
    """
    made = in_order(stems)
    terms = disjoint(name for name in made if not set(SUMS.get(name, ("",))) <= set(stems))
    estimates = with_sums(dict.fromkeys(made, 0))
    scored = [name for name in estimates if name in references]
    sets = [tuple(n for n in members if n in scored) for members in (tuple(terms), *TARGET_SETS)]
    chosen = {}
    for name in scored:
        chosen[name] = max((members for members in sets if name in members), key=len)
    pair = ("vocals", "accompaniment")
    if musdb and all(name in scored for name in pair):
        chosen |= dict.fromkeys(pair, pair)
    return chosen


class SongScorer:
    """Scores the estimates of methods on one song, one method after another.

    Everything that depends only on the references is computed once. For a method that makes
    ``other`` but no ``guitar``, the reference of ``other`` includes the guitar.
    """

    def __init__(self, song: TrackAudio, metrics: Sequence[str], device: str) -> None:
        self._song, self._metrics, self._device = song, tuple(metrics), device
        self._is_one_stem = _is_one_stem(song)
        self._scorers: dict[frozenset[str], tuple[TrackScorer, list[str]]] = {}

    def score(self, stems: Mapping[str, Samples], *, musdb: bool = False) -> dict[str, StemResult]:
        """Score the stems of a method, each ``(channels, samples)``, and sums that have references.

        With ``musdb``, vocals are scored within vocals and accompaniment, as museval does. Raises
        `SepbenchError` if no stem has a reference.
        """
        import torch

        given = list(stems)
        stems = self._merged(stems)
        merged = self._not_made(stems)
        scorer, references = self._scorer(merged)
        summed = with_sums(stems)
        if "accompaniment" not in stems and not self._is_accompanied(stems):
            summed.pop("accompaniment", None)
            references = [name for name in references if name in summed]
        estimates = {name: torch.from_numpy(stem) for name, stem in summed.items()}
        chosen = target_sets(list(stems), references, musdb=musdb)
        if not chosen:
            known = ", ".join(with_sums(dict.fromkeys(self._song.references, 0)))
            raise SepbenchError(
                f"the track has no reference for any of {', '.join(given)}; it has {known}"
            )
        results = {}
        with _one_thread():
            for targets in dict.fromkeys(chosen.values()):
                wanted = tuple(name for name in targets if chosen[name] == targets)
                made = {name: estimates[name] for name in targets}
                scores = scorer.score(made, targets=targets, wanted=wanted)
                for name in wanted:
                    results[name] = StemResult(targets=targets, **vars(scores[name]))
        if self._is_one_stem:  # The score of its mixture is that of the true stem itself.
            results = {
                name: replace(result, mixture_frames={}, mixture_totals={})
                for name, result in results.items()
            }
        if merged and "other" in results:
            note = f"scored including {', '.join(in_order(merged))}, which the method does not make"
            other = results["other"]
            results["other"] = replace(other, notes=(*other.notes, note))
        return {name: results[name] for name in chosen}

    def _merged(self, stems: Mapping[str, Samples]) -> dict[str, Samples]:
        """Return the stems that have references, others added to an ``other`` that is made.

        An ``other`` without a reference of its own may be part of the accompaniment.
        """
        known = self._song.references
        if "other" in stems:
            return merge_into_other(stems, [*known, "other"])
        return {name: stem for name, stem in stems.items() if name in STEMS or name in known}

    def _is_accompanied(self, stems: Mapping[str, Samples]) -> bool:
        """Return whether stems outside `STEMS` with the others are all that is not the voice."""
        if all(name in STEMS for name in stems):
            return True
        wanted = set(disjoint(name for name in self._song.references if name not in SUMS))
        return wanted <= {*with_sums(dict.fromkeys(stems, 0)), "vocals"}

    def _not_made(self, stems: Mapping[str, Samples]) -> frozenset[str]:
        """Return the references that are part of the ``other`` of a method with these stems."""
        if not {"other", "harmonic"} & with_sums(dict.fromkeys(stems, 0)).keys():
            return frozenset()
        return frozenset(self._song.references) - set(STEMS) - set(stems)

    def _scorer(self, merged: frozenset[str]) -> tuple[TrackScorer, list[str]]:
        import torch

        from sepbench.metrics.scorer import TrackScorer
        from sepbench.registry.metrics import resolve_metrics

        if merged not in self._scorers:
            song = self._song
            references = song.references
            if merged:
                kept = {"other", *references} - merged
                references = with_sums(merge_into_other(references, kept))
            scorer = TrackScorer(
                {name: torch.from_numpy(stem) for name, stem in references.items()},
                torch.from_numpy(song.mixture),
                song.rate,
                metrics=resolve_metrics(self._metrics),
                device=self._device,
            )
            self._scorers[merged] = scorer, list(references)
        return self._scorers[merged]


def _is_one_stem(song: TrackAudio) -> bool:
    """Return whether a song's mixture is its one stem."""
    stems = [song.references[name] for name in disjoint(song.references)]
    return len(stems) == 1 and np.array_equal(song.mixture, stems[0])


@contextmanager
def _one_thread() -> Iterator[None]:
    """Score on one thread: the pieces are too small for more."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


SongKey: TypeAlias = tuple[Any, ...]
"""Identifies a song, a part of it, and how it is scored."""


@dataclass(frozen=True)
class OpenSong:
    """Requests the audio of a track, which becomes the current song."""

    key: SongKey
    track: Track
    settings: Settings
    metrics: tuple[str, ...]
    device: str


@dataclass(frozen=True)
class OpenedSong:
    """The audio of a song for separators; see `TrackAudio`."""

    mixture: Samples
    rate: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ShowReferences:
    """Requests the references of the current song, for oracles."""

    key: SongKey


@dataclass(frozen=True)
class ScoreStems:
    """Requests the scores of a method's estimates of the current song.

    The stems are also written to ``folder`` unless it is None.
    """

    key: SongKey
    stems: Mapping[str, Samples]
    folder: Path | None = None
    musdb: bool = False


Request: TypeAlias = OpenSong | ShowReferences | ScoreStems


class Scoring:
    """The work of the process that reads and scores songs, without any plugin code.

    Everything that depends only on the references is computed once per song.
    """

    retire = False

    def __init__(self) -> None:
        self._song: tuple[SongKey, TrackAudio] | None = None
        self._scorer: SongScorer | None = None

    def __call__(self, request: Request, inputs: Iterator[Any]) -> Iterator[Any]:
        """Yield the song that was opened, its references, or the scores of its stems."""
        if isinstance(request, OpenSong):
            self._song = self._scorer = None  # Release one song before reading the next.
            settings = request.settings
            song = request.track.load(start=settings.start, duration=settings.duration)
            self._scorer = SongScorer(song, request.metrics, request.device)
            self._song = (request.key, song)
            yield OpenedSong(song.mixture, song.rate, song.notes)
            return
        if self._song is None or self._scorer is None or self._song[0] != request.key:
            raise SepbenchError("these stems are not of the current song")
        song = self._song[1]
        if isinstance(request, ShowReferences):
            yield song.references
            return
        if request.folder is not None:
            _save(request.stems, song.rate, request.folder)
        yield self._scorer.score(request.stems, musdb=request.musdb)


def _save(stems: Mapping[str, Samples], rate: int, folder: Path) -> None:
    """Write the stems, and remove earlier ones that are not made any more."""
    files = {name: folder / f"{name}.wav" for name in stems}
    for name, samples in stems.items():
        with Writer(files[name], rate, samples.shape[0], bit_depth="32f") as writer:
            writer.write(samples)
    for path in set(folder.glob("*.wav")) - set(files.values()):
        path.unlink()
