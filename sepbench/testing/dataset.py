"""Checks of a data set: its facts, its subsets, and the audio of its tracks."""

from __future__ import annotations

import pickle
from functools import cached_property
from pathlib import Path

import numpy as np

from sepbench.datasets import GROUP, SUBSETS, Dataset, Track, TrackAudio
from sepbench.datasets.discovery import validate_dataset
from sepbench.stems import disjoint, is_stem_name
from sepbench.testing.check import CheckFailed, NotApplicable, Note, check, valid_plugin

_SUM_ERROR_DB = -20.0
"""Error of the sum of stems, in dB below the mixture, up to which there is no note."""


class DatasetSubject:
    """A data set under test, searched at ``root`` or at its usual paths."""

    def __init__(self, kind: type[Dataset], name: str = "", root: Path | None = None) -> None:
        self.kind = kind
        self.name = name or getattr(kind, "name", "?")
        self.root = root

    @cached_property
    def dataset(self) -> Dataset:
        """The data set."""
        return self.kind(self.root)

    @cached_property
    def tracks(self) -> list[Track]:
        """All tracks; raises `NotApplicable` if no folder was given and none is found."""
        if not self.dataset.is_available:
            if self.root is not None:
                raise CheckFailed(f"not found in {self.root}")
            raise NotApplicable(f"not found here; give --root. {self.dataset.how_to_get}")
        tracks = self.dataset.tracks("all")
        if not tracks:
            raise CheckFailed("no tracks in any subset")
        return tracks

    @cached_property
    def audio(self) -> TrackAudio:
        """The audio of the first track."""
        return self.tracks[0].load()


@check(
    fix="derive from sepbench.datasets.Dataset, define tracks(subset), set name, summary, license "
    "and how_to_get, and call the entry point by the same name",
    required=True,
)
def contract(subject: DatasetSubject) -> str:
    """A subclass of sepbench.datasets.Dataset with all of its facts."""
    return valid_plugin(subject.kind, subject.name, GROUP, validate_dataset)


@check(fix="return each track in one subset alone, and all of them for 'all'", required=True)
def subsets(subject: DatasetSubject) -> str:
    """Train, valid and test share no track and make up 'all'."""
    every = subject.tracks
    by_subset = {subset: subject.dataset.tracks(subset) for subset in SUBSETS}
    for subset, tracks in by_subset.items():
        strays = [track.name for track in tracks if track.subset != subset]
        if strays:
            raise CheckFailed(f"{strays[0]!r} in {subset} says it is in another subset")
    names = [track.song for tracks in by_subset.values() for track in tracks]
    if sorted(names) != sorted(track.song for track in every):
        raise CheckFailed(f"{len(names)} tracks in the three, {len(every)} in all")
    return ", ".join(f"{len(tracks)} {subset}" for subset, tracks in by_subset.items())


@check(fix="give each track of a subset a name of its own")
def names(subject: DatasetSubject) -> str:
    """Every track has a name that no other track of its subset has."""
    seen: set[tuple[str, str]] = set()
    for track in subject.tracks:
        if not track.name.strip() or track.song in seen:
            raise CheckFailed(f"{track.name!r} in {track.subset}")
        seen.add(track.song)
    return f"{len(seen)} names"


@check(fix="name stems in lower case, those of sepbench.stems.STEMS where they fit", required=True)
def stems(subject: DatasetSubject) -> str:
    """Every track has stems with valid names."""
    for track in subject.tracks:
        wrong = [name for name in track.stems if not is_stem_name(name)]
        if wrong or not track.stems:
            raise CheckFailed(f"{wrong or 'no stems'} in {track.name!r}")
    return ", ".join(dict.fromkeys(name for track in subject.tracks for name in track.stems))


@check(fix="name the data set and subset, as in ('my-songs', 'my-songs/test')")
def part_of(subject: DatasetSubject) -> str:
    """Every track says which data set it is part of, so that training on it can be marked."""
    if all(track.part_of for track in subject.tracks):
        return ", ".join(subject.tracks[0].part_of)
    raise Note("some tracks declare no data set: scores of songs used in training are not marked")


@check(fix="return float32 arrays (channels, samples), all of one shape", required=True)
def audio(subject: DatasetSubject) -> str:
    """The first track has a mixture and references of one shape, without NaN."""
    loaded, track = subject.audio, subject.tracks[0]
    shape = loaded.mixture.shape
    for name, samples in {"mixture": loaded.mixture, **loaded.references}.items():
        if samples.dtype != np.float32 or samples.shape != shape or samples.ndim != 2:
            raise CheckFailed(f"{name} is {samples.dtype} {samples.shape}, the mixture {shape}")
        if not np.isfinite(samples).all():
            raise CheckFailed(f"NaN or infinity in {name}")
    missing = [name for name in track.stems if name not in loaded.references]
    if missing:
        raise CheckFailed(f"{track.name!r} declares {missing[0]} and has no reference for it")
    if loaded.rate != track.rate:
        raise CheckFailed(f"rate {track.rate} declared, {loaded.rate} loaded")
    return f"{shape[0]} channels, {shape[1] / loaded.rate:.1f} s at {loaded.rate} Hz"


@check(fix="check that the stems are those of this mixture, at its level")
def sums(subject: DatasetSubject) -> str:
    """The stems of the first track sum to its mixture."""
    loaded = subject.audio
    parts = disjoint(subject.tracks[0].stems)
    error = loaded.mixture - np.sum([loaded.references[name] for name in parts], axis=0)
    level = float(np.square(error).sum() / max(float(np.square(loaded.mixture).sum()), 1e-20))
    decibels = 10 * np.log10(max(level, 1e-20))
    if decibels > _SUM_ERROR_DB:
        raise Note(f"they differ by {decibels:.0f} dB below the mixture")
    return f"they differ by {decibels:.0f} dB"


@check(fix="let start and duration count seconds of the same samples")
def spans(subject: DatasetSubject) -> str:
    """A part of the first track is the same samples as in the whole."""
    whole, track = subject.audio, subject.tracks[0]
    length = whole.mixture.shape[1] / whole.rate
    start = round(length / 3, 2)
    part = track.load(start=start, duration=length / 3)
    first = round(start * whole.rate)
    expected = whole.mixture[:, first : first + part.mixture.shape[1]]
    error = float(np.abs(expected - part.mixture).max())
    if abs(part.mixture.shape[1] - length / 3 * whole.rate) > 1 or error > 1e-4:
        raise CheckFailed(f"{part.mixture.shape[1]} samples that differ by up to {error:.2g}")
    return f"{part.mixture.shape[1]} samples from {start:g} s"


@check(fix="hash what decides the samples: bytes of the files, seed, start and duration")
def digest(subject: DatasetSubject) -> str:
    """A digest that is reproducible and depends on the part and the track."""
    track = subject.tracks[0]
    once = track.digest()
    if track.digest() != once:
        raise CheckFailed("two digests of one track differ")
    if track.digest(start=0.5) == once:
        raise CheckFailed("the same for the whole track and for a part of it")
    if len(subject.tracks) > 1 and subject.tracks[1].digest() == once:
        raise CheckFailed("the same for two tracks")
    return once[:12]


@check(fix="keep plain values in tracks, and open files in load alone")
def other_processes(subject: DatasetSubject) -> str:
    """Tracks can be sent to other processes."""
    copy = pickle.loads(pickle.dumps(subject.tracks[0]))  # noqa: S301 - our own bytes
    if copy.digest() != subject.tracks[0].digest():
        raise CheckFailed("another digest after a round trip")
    return "sent and received"


CHECKS = (
    contract, subsets, names, stems, part_of, audio, sums, spans, digest, other_processes,
)  # fmt: skip
