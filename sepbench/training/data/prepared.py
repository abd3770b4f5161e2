"""Prepared training data: 16-bit mono arrays, which are memory-mapped, and their index."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sepbench._util.files import sha256
from sepbench._util.plain import is_list_of, is_whole, read_object
from sepbench.errors import SepbenchError
from sepbench.training.data.splits import EXCLUDED, SPLITS

INDEX = "index.json"
"""Name of the index in a folder of prepared data."""

LAYOUT = 1
"""Version of the index."""

_RATES = (1000, 192_000)


@dataclass(frozen=True)
class PreparedTrack:
    """A prepared track: an array ``(parts, samples)`` with the limits of its clips."""

    source: str
    name: str
    split: str
    parts: tuple[str, ...]
    cuts: tuple[int, ...]
    file: Path
    sound: str = ""
    """`sepbench.audio.sound_mark` of the song, empty where it is not known."""

    @property
    def samples(self) -> int:
        """Length of every part in samples."""
        return self.cuts[-1]

    @cached_property
    def _array(self) -> NDArray[np.int16]:
        array: NDArray[np.int16] = np.load(self.file, mmap_mode="r")
        return array

    def read(self, part: str, start: int, stop: int) -> NDArray[np.float32]:
        """Return ``stop - start`` samples of a part, zero-padded."""
        out = np.zeros(stop - start, np.float32)
        begin, end = max(start, 0), min(stop, self.samples)
        if begin < end:
            row = self._array[self.parts.index(part), begin:end]
            np.multiply(row, np.float32(1 / 32768), out=out[begin - start : end - start])
        return out


@dataclass(frozen=True)
class PreparedDataset:
    """All prepared tracks of a folder, at one sample rate."""

    rate: int
    tracks: tuple[PreparedTrack, ...]
    digest: str
    """The sha256 of the index, which contains that of every array."""

    def split(self, name: str) -> PreparedDataset:
        """Return the tracks of one split."""
        chosen = tuple(track for track in self.tracks if track.split == name)
        return PreparedDataset(self.rate, chosen, self.digest)

    def holding(self, *parts: str) -> Iterator[PreparedTrack]:
        """Yield the tracks that have all of ``parts``."""
        return (track for track in self.tracks if set(parts) <= set(track.parts))

    def of(self, tracks: Iterable[PreparedTrack]) -> PreparedDataset:
        """Return a data set of some of the tracks; its digest depends on the choice."""
        chosen = tuple(tracks)
        names = json.dumps([[track.source, track.name, track.split] for track in chosen])
        digest = hashlib.sha256(f"{self.digest} {names}".encode()).hexdigest()
        return PreparedDataset(self.rate, chosen, digest)

    @property
    def hours(self) -> float:
        """Total length of all tracks."""
        return sum(track.samples for track in self.tracks) / self.rate / 3600


def is_prepared(folder: Path) -> bool:
    """Return whether a folder was made by `sepbench.training.data.prepare.prepare`."""
    return read_object(folder / INDEX).get("layout") == LAYOUT


def open_prepared(folder: Path, *, verify: bool = False) -> PreparedDataset:
    """Return the tracks prepared in ``folder``; ``verify`` reads every file and checks its sha256.

    Raises `SepbenchError` if the folder is not prepared data, not finished, incomplete or damaged.
    """
    index = read_object(folder / INDEX)
    if index.get("layout") != LAYOUT:
        raise SepbenchError(f"{folder}: not prepared training data; run 'sepbench prepare' first")
    if index.get("unfinished"):
        raise SepbenchError(
            f"{folder}: 'sepbench prepare' has not finished here, so songs are missing; "
            "wait for it, or run the same command again to go on"
        )
    _check(folder, index)
    tracks = []
    for entry in index["tracks"]:
        if entry["split"] == EXCLUDED:  # In folders prepared before 0.1.0.
            continue
        file = folder / entry["file"]
        if not is_whole_array(file, entry):
            raise SepbenchError(
                f"{file}: missing, cut short or another array; run 'sepbench prepare' again"
            )
        if verify and sha256(file) != entry["sha256"]:
            raise SepbenchError(f"{file}: damaged; delete it and run 'sepbench prepare' again")
        split = SPLITS[entry["split"]]
        parts, cuts = tuple(entry["parts"]), tuple(entry["cuts"])
        sound = entry.get("sound", "")
        tracks.append(
            PreparedTrack(entry["source"], entry["name"], split, parts, cuts, file, sound)
        )
        # Folders prepared before 0.1.0 say "val", and entries had no version; the digest of both
        # is the same.
        entry["split"] = "val" if split == "valid" else split
        entry.pop("version", None)
    digest = hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()
    return PreparedDataset(index["rate"], tuple(tracks), digest)


def entries_before(folder: Path, rate: int) -> list[dict[str, Any]]:
    """Return the entries of the index of a folder that is prepared again, complete or not.

    Raises `SepbenchError` if the index has another rate, or is of something else.
    """
    if not (folder / INDEX).exists():
        return []
    index = read_object(folder / INDEX)
    _check(folder, index)
    if index["rate"] != rate:
        raise SepbenchError(
            f"{folder}: prepared at {index['rate']} Hz before, not at {rate} Hz; choose another"
        )
    entries: list[dict[str, Any]] = index["tracks"]
    return entries


def is_whole_array(file: Path, entry: Mapping[str, Any]) -> bool:
    """Return whether a file is the array that an entry of the index describes."""
    try:
        array = np.lib.format.open_memmap(file, mode="r")
    except (OSError, ValueError):
        return False
    return array.dtype == np.int16 and array.shape == (len(entry["parts"]), entry["cuts"][-1])


def _check(folder: Path, index: dict[str, Any]) -> None:
    """Raise `SepbenchError` for an index with a value that `prepare` does not write."""
    rate: Any = index.get("rate")
    entries: Any = index.get("tracks")
    right = is_whole(rate) and is_list_of(dict, entries) and index.get("layout") == LAYOUT
    if not (right and _RATES[0] <= rate <= _RATES[1] and all(map(_is_entry, entries))):
        raise SepbenchError(
            f"{folder / INDEX}: damaged, or not an index of prepared data; "
            "delete it and run 'sepbench prepare' again, or choose another folder"
        )


def _is_entry(entry: dict[str, Any]) -> bool:
    texts = [entry.get(name) for name in ("file", "source", "name", "split", "sha256")]
    texts += [entry.get(name, "") for name in ("sound", "audio", "identity")]
    parts: Any = entry.get("parts")
    cuts: Any = entry.get("cuts")
    if not (is_list_of(str, texts) and is_list_of(str, parts) and is_list_of(int, cuts)):
        return False
    file = PurePosixPath(entry["file"])
    return (
        len(parts) > 0
        and len(cuts) > 1
        and cuts[0] == 0
        and all(first <= then for first, then in pairwise(cuts))
        and entry["split"] in {*SPLITS, EXCLUDED}
        and not (file.is_absolute() or ".." in file.parts)
    )
