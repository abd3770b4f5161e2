"""One cell of the benchmark: separate one track with one method and score the stems.

Runs in a process that lives as long as nothing goes wrong in it: a method stays loaded from track
to track, and what the scores need of a track's references is kept while methods take turns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch  # noqa: F401 - now, so that no method's time is spent on it

from sepbench.audio import Writer
from sepbench.datasets.base import Track, TrackAudio
from sepbench.errors import SepbenchError
from sepbench.evaluation.scoring import new_scorer, score_stems
from sepbench.evaluation.store import Record, Settings
from sepbench.inference import runner
from sepbench.registry import Method
from sepbench.separator import AnySeparator

if TYPE_CHECKING:
    from sepbench.inference.overlap_add import Samples
    from sepbench.metrics.scorer import TrackScorer


@dataclass(frozen=True)
class Task:
    """A method, a track, and all that is to be known to make a `Record` of the two."""

    track: Track
    settings: Settings
    method: Method
    metrics: tuple[str, ...]
    device: str
    stems_folder: Path | None
    identity: dict[str, Any]
    fingerprint: str
    trained_on_this: bool

    def record(self, **results: Any) -> Record:
        """Return the record of this task with these results, or with an ``error``."""
        return Record(
            dataset=self.settings.dataset,
            subset=self.track.subset,
            track=self.track.name,
            label=self.method.label,
            method=self.method.name,
            options=vars(self.method.options),
            fingerprint=self.fingerprint,
            identity=self.identity,
            oracle=self.method.is_oracle,
            trained_on_this=self.trained_on_this,
            **results,
        )


def work(task: Task) -> Record:
    """Do a task; what goes wrong in it becomes the record's ``error``."""
    try:
        return _work(task)
    except SepbenchError as error:
        return task.record(error=str(error))
    except Exception as error:  # One cell must never cost the others, whatever it raises.
        reason = " ".join(str(error).split())
        return task.record(error=f"method {task.method.label}: {type(error).__name__}: {reason}")


def _work(task: Task) -> Record:
    device = runner.choose_device(task.device)
    song = _state.song(task)
    separator = _state.separator(task)
    oracle = separator.needs_references
    separation = runner.separate(
        separator,
        song.mixture,
        rate=song.rate,
        device=device,
        references=song.references if oracle else None,
    )
    if task.stems_folder is not None:
        _save(separation.stems, song.rate, task.stems_folder)
    return task.record(
        stems=score_stems(_state.scorer(task), separation.stems, list(song.references)),
        seconds=separation.seconds,
        audio_seconds=song.mixture.shape[1] / song.rate,
        peak_bytes=separation.peak_bytes,
        notes=(*song.notes, *separation.notes),
    )


def _save(stems: Mapping[str, Samples], rate: int, folder: Path) -> None:
    for name, samples in stems.items():
        with Writer(folder / f"{name}.wav", rate, samples.shape[0], bit_depth="32f") as writer:
            writer.write(samples)


class _State:
    """What a worker keeps between tasks."""

    def __init__(self) -> None:
        self._separators: dict[tuple[str, str], AnySeparator] = {}
        self._song: tuple[tuple[Any, ...], TrackAudio] | None = None
        self._scorer: tuple[tuple[Any, ...], TrackScorer] | None = None

    def separator(self, task: Task) -> AnySeparator:
        key = (task.method.label, task.device)
        if key not in self._separators:
            separator = task.method.create()
            device = runner.choose_device(task.device)
            runner.load(separator, device)
            song = self.song(task)
            oracle = separator.needs_references
            runner.warm_up(
                separator,
                song.mixture,
                rate=song.rate,
                device=device,
                references=song.references if oracle else None,
            )
            self._separators[key] = separator
        return self._separators[key]

    def song(self, task: Task) -> TrackAudio:
        key = _song_key(task)
        if self._song is None or self._song[0] != key:
            self._song = self._scorer = None  # Let go of one song before reading the next.
            settings = task.settings
            loaded = task.track.load(start=settings.start, duration=settings.duration)
            self._song = (key, loaded)
        return self._song[1]

    def scorer(self, task: Task) -> TrackScorer:
        key = (*_song_key(task), task.metrics, task.device)
        if self._scorer is None or self._scorer[0] != key:
            self._scorer = (key, new_scorer(self.song(task), task.metrics, task.device))
        return self._scorer[1]


def _song_key(task: Task) -> tuple[Any, ...]:
    return (task.settings, task.track.subset, task.track.name, task.identity["audio"])


_state = _State()
