"""Data sets on disk, and tracks whose stems are files."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from sepbench import audio
from sepbench.datasets import hints
from sepbench.datasets.base import Dataset, Track, TrackAudio, assemble
from sepbench.errors import SepbenchError
from sepbench.stems import MIXTURE

# Increase it whenever the same files would give other samples.
_READING = "1"

_DATA = "SEPBENCH_DATA"
"""Environment variable of a folder that holds data sets, each in a folder of its name."""


@dataclass(frozen=True)
class Source:
    """Source of a stem's samples: an audio stream of a file, and others that are added."""

    path: Path
    stream: int = 0
    added: tuple[Path, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files."""
        return (self.path, *self.added)


@dataclass(frozen=True)
class FileTrack(Track):
    """A track whose stems are files, or streams of one file.

    ``limit`` is the second at which the track ends even if its files are longer. ``problem`` says
    what is wrong with the files; it is raised on loading, so that other tracks are not affected.
    """

    sources: dict[str, Source] = field(default_factory=dict)
    limit: float | None = None
    notes: tuple[str, ...] = ()
    problem: str | None = None

    @cached_property
    def rate(self) -> int:
        """Sample rate in Hz of the first file."""
        return audio.info(next(iter(self.sources.values())).path).rate

    @property
    def seconds(self) -> float | None:
        """Length by the headers of the first stem's files, of which the longest counts."""
        try:
            first = next(iter(self.sources.values()))
            return max(audio.info(path).seconds for path in first.paths)
        except (SepbenchError, StopIteration):
            return None

    @property
    def sound_file(self) -> tuple[Path, int] | None:
        """The file of the vocals, or of the first stem there is."""
        names = sorted(self.sources.keys() - {"mixture"}, key=lambda name: name != "vocals")
        source = self.sources[names[0]] if names else None
        return None if source is None else (source.path, source.stream)

    def load(self, *, start: float = 0.0, duration: float | None = None) -> TrackAudio:
        """Decode the files; see `Track.load`."""
        if self.problem is not None:
            raise SepbenchError(f"track {self.name}: {self.problem}")
        if self.limit is not None:
            if start >= self.limit:
                raise SepbenchError(
                    f"track {self.name}: cannot start at {start:g} s; it is {self.limit:g} s long"
                )
            left = self.limit - start
            duration = left if duration is None else min(duration, left)
        decoded = {
            name: self._sum(name, source, start, duration) for name, source in self.sources.items()
        }
        rates = {name: part.rate for name, part in decoded.items()}
        if len(set(rates.values())) > 1:
            listed = ", ".join(f"{name} {rate} Hz" for name, rate in rates.items())
            raise SepbenchError(f"track {self.name}: rates differ: {listed}; make them alike")
        notes = [f"{name}: {note}" for name, part in decoded.items() for note in part.notes]
        samples = {name: part.samples for name, part in decoded.items()}
        mixture = samples.pop("mixture", None)
        rate = next(iter(rates.values()))
        return assemble(self.name, mixture, samples, rate, (*self.notes, *notes))

    def _sum(self, name: str, source: Source, start: float, duration: float | None) -> audio.Audio:
        if not source.added:
            return audio.read(source.path, start=start, duration=duration, stream=source.stream)
        # Files that end before the part are silent in it, as they are at the end of the song.
        paths = [path for path in source.paths if _reaches(path, start)] or [source.path]
        streams = {source.path: source.stream}
        parts = [
            audio.read(path, start=start, duration=duration, stream=streams.get(path))
            for path in paths
        ]
        first = parts[0]
        if len({(each.rate, len(each.samples)) for each in parts}) > 1:
            wrong = f"the files of {name} differ in rate or channels"
            raise SepbenchError(f"track {self.name}: {wrong}; make them alike")
        total = np.zeros((len(first.samples), max(p.samples.shape[1] for p in parts)), np.float32)
        for part in parts:
            total[:, : part.samples.shape[1]] += part.samples
        return audio.Audio(total, first.rate, tuple(note for part in parts for note in part.notes))

    def digest(self, *, start: float = 0.0, duration: float | None = None) -> str:
        """Return a hash of the files' bytes and of the span; see `Track.digest`."""
        places = {
            # The number of files says where those of the next stem begin.
            name: [source.stream, len(source.paths)] if source.added else source.stream
            for name, source in self.sources.items()
        }
        span = [start, duration, self.limit, self.problem]
        total = hashlib.sha256(json.dumps([_READING, places, span]).encode())
        # The streams of a STEMS file have one hash.
        paths = [path for source in self.sources.values() for path in source.paths]
        for path in dict.fromkeys(paths):
            total.update(_hash(path))
        return total.hexdigest()


def _reaches(path: Path, start: float) -> bool:
    """Return whether a file has samples from ``start`` seconds on."""
    if start == 0:
        return True
    found = audio.info(path)
    return found.samples > round(start * found.rate)


def _hash(path: Path) -> bytes:
    try:
        total = hashlib.sha256()
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                total.update(piece)
        return total.digest()
    except OSError:
        # An unreadable file is reported by `load`, where it costs one track.
        return b"unreadable"


class FileDataset(Dataset):
    """A data set on disk: at ``root``, in an environment variable, or at a usual path."""

    is_built_in = False

    variable: ClassVar[str | None] = None
    """Environment variable that holds the root."""

    usual: ClassVar[Sequence[str]] = ()
    """Usual folders."""

    layout: ClassVar[Sequence[str]]
    """Patterns; at least one of them matches a file below the root."""

    def __init__(self, root: Path | None = None) -> None:
        self._root = root

    def places(self) -> list[Path]:
        """Return the paths searched for the data set, in order."""
        if self._root is not None:
            return [self._root.expanduser()]
        places = []
        if self.variable is not None and os.environ.get(self.variable):
            places.append(Path(os.environ[self.variable]))
        if os.environ.get(_DATA):
            places.append(Path(os.environ[_DATA]) / self.name)
        places.extend(map(Path, self.usual))
        return [place.expanduser() for place in places]

    def find_root(self) -> Path | None:
        """Return the first path with files in the layout of the data set."""
        return next((place for place in self.places() if self._matches(place)), None)

    @property
    def takes_any_folder(self) -> bool:
        """Whether any folder with folders has the layout."""
        return any(pattern.startswith("*") for pattern in self.layout)

    def has_songs(self, place: Path) -> bool:
        """Return whether a folder has files in the layout of the data set."""
        return bool(self._matches(place))

    def _matches(self, place: Path) -> list[Path]:
        return [
            file for pattern in self.layout for file in itertools.islice(place.glob(pattern), 1)
        ]

    @property
    def variables(self) -> str:
        """The environment variables that are searched, for messages."""
        return " or ".join(filter(None, (self.variable, _DATA)))

    @property
    def is_available(self) -> bool:
        """Whether the data set was found."""
        return self.find_root() is not None

    def root(self) -> Path:
        """Return the path of the data set; raise with the paths searched and how to get it."""
        root = self.find_root()
        if root is not None:
            return root
        places = ", ".join(map(str, self.places()))
        patterns = " or ".join(self.layout)
        if self._root is not None and not self.places()[0].exists():
            raise SepbenchError(
                f"data set {self.name} not found: {places}: no such folder. {self.how_to_get}"
            )
        if hint := hints.hint(self):
            raise SepbenchError(f"data set {self.name} not found in {places}: {hint}")
        searched = f"searched for {patterns} in {places}" if places else "nowhere to search"
        raise SepbenchError(
            f"data set {self.name} not found: {searched}; "
            f"give --root or set {self.variables}. {self.how_to_get}"
        )

    def tracks(self, subset: str = "test") -> list[Track]:
        """Return the tracks of a subset; see `Dataset.tracks`."""
        root = self.root()
        everything = list(_with_notes_on_mixtures(list(self.find_tracks(root))))
        found = [track for track in everything if subset in ("all", track.subset)]
        if not found:
            hint = hints.renaming(self.layout, root) or (None if everything else hints.hint(self))
        elif all(isinstance(track, FileTrack) and track.problem for track in found):
            other = hints.instead(self, root)
            hint = other and f"{root} is {other}; give --dataset {other}"
        else:
            return found
        if hint:
            raise SepbenchError(f"data set {self.name} has no tracks in subset {subset!r}: {hint}")
        return found

    @abstractmethod
    def find_tracks(self, root: Path) -> Iterable[Track]:
        """Yield every track below ``root`` in natural order."""


def _with_notes_on_mixtures(tracks: Sequence[Track]) -> Iterator[Track]:
    """Yield the tracks; those without a mixture have a note if others have one."""
    some = any(isinstance(track, FileTrack) and MIXTURE in track.sources for track in tracks)
    for track in tracks:
        if some and isinstance(track, FileTrack) and MIXTURE not in track.sources:
            note = "no mixture, which other songs have: it is the sum of the stems"
            yield replace(track, notes=(*track.notes, note))
        else:
            yield track


def missing_stems(sources: dict[str, Source]) -> str | None:
    """Return which files are missing, as a track's ``problem``."""
    missing = [name for name, source in sources.items() if not source.path.is_file()]
    if not missing:
        return None
    where = sources[missing[0]].path
    return f"no {', '.join(missing)}: {where} is missing"
