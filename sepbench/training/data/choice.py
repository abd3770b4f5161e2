"""Selects songs of training data, and a part of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sepbench._util.text import listed, matches
from sepbench.errors import SepbenchError
from sepbench.training.data.recording import Recording


class _Named(Protocol):
    @property
    def source(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def split(self) -> str: ...


T = TypeVar("T", bound=_Named)


@dataclass(frozen=True)
class Choice:
    """A choice of songs and parts; by default everything.

    Args:
        tracks: glob patterns; songs that match none of them are left out.
        exclude: glob patterns of songs that are left out.
        limit: most songs of each source and split; the first are used.
        start: start of the part of each song, in seconds.
        duration: length of the part of each song, in seconds.
        rest: part for files whose names match no stem, see `parts_of`.

    Patterns match a song's name or ``source/name``, without regard to case.
    """

    tracks: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    limit: int | None = None
    start: float = 0.0
    duration: float | None = None
    rest: str | None = None

    @property
    def preparing(self) -> tuple[str, ...]:
        """The given options that matter only while songs are prepared."""
        chosen = (("start", self.start), ("duration", self.duration), ("rest", self.rest))
        return tuple(f"--{name}" for name, value in chosen if value)

    def of(self, songs: Sequence[T]) -> list[T]:
        """Return the chosen songs; raise `SepbenchError` for a pattern without a match."""
        for option, patterns in (("track", self.tracks), ("exclude", self.exclude)):
            for pattern in patterns:
                if not any(_matches(song, pattern) for song in songs):
                    raise SepbenchError(f"--{option} {pattern!r}: matches no song; {_some(songs)}")
        kept = without(songs, self.exclude)
        if self.tracks:
            kept = [song for song in kept if any(_matches(song, p) for p in self.tracks)]
        if not songs:
            raise SepbenchError("no song to train on; give other data")
        if not kept:
            raise SepbenchError(f"--exclude leaves no song to train on; {_some(songs)}")
        if self.limit is None:
            return kept
        count: Counter[tuple[str, str]] = Counter()
        limited = []
        for song in kept:
            count[song.source, song.split] += 1
            if count[song.source, song.split] <= self.limit:
                limited.append(song)
        return limited

    def cut(self, songs: Sequence[Recording]) -> list[Recording]:
        """Return the chosen part of each song."""
        return [song.cut(self.start, self.duration) for song in songs]


def without(songs: Iterable[T], patterns: Sequence[str]) -> list[T]:
    """Return the songs that match none of the patterns.

    >>> songs = [Recording("a", name, (), dict) for name in ("Music Delta - Rock", "Once")]
    >>> [song.name for song in without(songs, ["music delta*"])]
    ['Once']
    """
    return [song for song in songs if not any(_matches(song, pattern) for pattern in patterns)]


def _matches(song: _Named, pattern: str) -> bool:
    names = (song.name, f"{song.source}/{song.name}")
    return any(matches(name, pattern) for name in names)


def _some(songs: Sequence[_Named]) -> str:
    return f"there are {listed(repr(song.name) for song in songs)}"


def left_out(songs: Iterable[Recording]) -> list[str]:
    """Return a line for each song with unused files, whose names match no stem."""
    return [
        f"in {song.source}/{song.name}: {', '.join(song.left_out)}: not names of stems; "
        "--rest other adds them to the other instruments"
        for song in songs
        if song.left_out
    ]
