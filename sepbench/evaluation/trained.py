"""Finds out whether a method was trained on a song that it is tested on, under any name."""

from __future__ import annotations

from functools import lru_cache

from sepbench._util.text import song_marks
from sepbench.audio import sound_mark
from sepbench.datasets.base import Track
from sepbench.separator import AnySeparator

_SAME_SONGS = {
    "musdb18-hq": "musdb18",
    "musdb18-7s": "musdb18",
    "musdb18-hq/train": "musdb18/train",
    "musdb18-hq/valid": "musdb18/valid",
    "musdb18-hq/test": "musdb18/test",
    "musdb18-7s/train": "musdb18/train",
    "musdb18-7s/valid": "musdb18/valid",
    "musdb18-7s/test": "musdb18/test",
    "medleydb": "musdb18/train",
    "medleydb/train": "musdb18/train",
    "dsd100": "musdb18",
    "dsd100/train": "musdb18/test",
    "dsd100/test": "musdb18/train",
}
"""Data sets that share songs: the forms of MUSDB18, the Music Delta songs of MedleyDB, and DSD100,
whose training and test songs are swapped in MUSDB18."""


_PUBLIC = frozenset(name.partition("/")[0] for name in _SAME_SONGS) | {"musdb18"}
"""Data sets in which each name, of artist and title, is that of a single song."""

_sound_mark = lru_cache(maxsize=4096)(sound_mark)
"""Many methods are asked about each song."""

_SAME_SECONDS = 1.0
"""Largest difference in length, in seconds, between files of one song."""


def was_trained_on(separator: AnySeparator, track: Track) -> bool:
    """Return whether a separator was trained on songs of the subset that a track is in."""
    trained_on = {name.lower() for name in separator.trained_on}
    # A data set without a subset was used completely.
    there = {_SAME_SONGS.get(name, name) for name in track.part_of} | set(track.part_of)
    trained_on |= {_SAME_SONGS[name] for name in trained_on & set(_SAME_SONGS)}
    return (
        any(name in trained_on for name in there if "/" in name)
        or any(name in trained_on for name in {name.partition("/")[0] for name in there})
        or _is_known_song(separator, track)
    )


def _is_known_song(separator: AnySeparator, track: Track) -> bool:
    """Return whether a song was used in training, in any folder.

    It is recognised by its sound, or by its name and length. Songs of the public data sets, which
    have whole songs and excerpts of them, are recognised by name alone.
    """
    known = separator.trained_songs
    lengths = [float(known[mark]) for mark in song_marks(track.name) if mark in known]
    if lengths:
        is_public = any(name.partition("/")[0] in _PUBLIC for name in track.part_of)
        there = track.seconds
        if is_public or any(
            there is not None and abs(there - seconds) <= _SAME_SECONDS for seconds in lengths
        ):
            return True
    file = track.sound_file if separator.trained_sounds else None
    return file is not None and _sound_mark(*file) in separator.trained_sounds
