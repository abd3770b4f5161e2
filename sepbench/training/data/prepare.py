"""Prepared training data: decoded 16-bit mono arrays, which are memory-mapped."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sepbench._util.files import make_folder
from sepbench._util.plain import read_object
from sepbench._util.text import counted
from sepbench.audio import safe_name
from sepbench.errors import SepbenchError
from sepbench.training.data.recording import Recording
from sepbench.training.data.splits import EXCLUDED, SPLITS

_INDEX = "index.json"
_LAYOUT = 1


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


def prepare(
    tracks: Iterable[Recording],
    folder: Path,
    *,
    rate: int,
    on_track: Callable[[str], None] = lambda name: None,
) -> tuple[PreparedDataset, list[str]]:
    """Decode ``tracks`` into ``folder`` and return them with a line for each one skipped.

    Finished tracks are kept, so a stopped run resumes. Files are written atomically. Raises
    `SepbenchError` if the folder is not writable or has another rate.
    """
    make_folder(folder)
    index = read_object(folder / _INDEX)
    if index.get("rate", rate) != rate:
        raise SepbenchError(
            f"{folder}: prepared at {index['rate']} Hz before, not at {rate} Hz; choose another"
        )
    try:
        return _prepare(tracks, folder, rate, index.get("tracks", []), on_track)
    except OSError as error:
        reason = error.strerror or "the disk is full"  # NumPy reports a number of bytes instead.
        raise SepbenchError(f"{folder}: cannot write: {reason}; choose another --out") from error


def _prepare(
    tracks: Iterable[Recording],
    folder: Path,
    rate: int,
    before: Iterable[dict[str, Any]],
    on_track: Callable[[str], None],
) -> tuple[PreparedDataset, list[str]]:
    made, skipped = dict[str, dict[str, Any]](), []
    known = {entry["file"]: entry for entry in before}
    taken: set[str] = set()
    for track in tracks:
        # A table may name songs by what is no file name, or leads out of the folder.
        file = _free("/".join(map(safe_name, (*track.source.split("/"), track.name))), taken)
        taken.add(file)
        on_track(file)
        entry = known.get(file, {})
        is_same = entry.get("parts") == list(track.parts)
        is_same &= entry.get("identity", "") == track.identity
        try:
            digest = track.digest()
        except SepbenchError as error:
            skipped.append(f"{track.source}/{track.name}: {error}")
            continue
        # Older arrays without a digest of their audio are made again, once.
        is_same &= entry.get("audio", "") == digest
        if not (is_same and _is_whole(folder / file, entry)):
            try:
                array, cuts = _decode(track, rate)
            except SepbenchError as error:
                skipped.append(f"{track.source}/{track.name}: {error}")
                continue
            if not array.any():
                skipped.append(f"{track.source}/{track.name}: silent")
                continue
            _save(folder / file, array)
            entry = {"file": file, "cuts": cuts, "sha256": _sha256(folder / file)}
            if track.identity:
                entry["identity"] = track.identity
            if digest:
                entry["audio"] = digest
            if sound := track.sound():
                entry["sound"] = sound
        made[file] = {
            **entry,
            "source": track.source,
            "name": track.name,
            "split": track.split,
            "parts": list(track.parts),
        }
        # A label takes a minute, so each is noted at once.
        if track.identity or len(made) % 64 == 0:
            _write_index(folder, rate, [*{**known, **made}.values()], finished=False)
    if gone := sorted(name.removesuffix(".npy") for name in known.keys() - taken):
        what = counted(len(gone), "recording")
        skipped.append(f"{what} prepared here before, not in the data given now: {gone[0]}...")
    _write_index(folder, rate, [*made.values()])
    return open_prepared(folder), skipped


def _free(name: str, taken: set[str]) -> str:
    """Return the file for a track, numbered if the name is taken."""
    names = chain([name], (f"{name} ({number})" for number in count(2)))
    return next(file for file in map("{}.npy".format, names) if file not in taken)


def is_prepared(folder: Path) -> bool:
    """Return whether a folder was made by `prepare`."""
    return read_object(folder / _INDEX).get("layout") == _LAYOUT


def open_prepared(folder: Path, *, verify: bool = False) -> PreparedDataset:
    """Return the tracks prepared in ``folder``; ``verify`` reads every file and checks its sha256.

    Raises `SepbenchError` if the folder is not prepared data, not finished, incomplete or damaged.
    """
    index = read_object(folder / _INDEX)
    if index.get("layout") != _LAYOUT:
        raise SepbenchError(f"{folder}: not prepared training data; run 'sepbench prepare' first")
    if index.get("unfinished"):
        raise SepbenchError(
            f"{folder}: 'sepbench prepare' has not finished here, so songs are missing; "
            "wait for it, or run the same command again to go on"
        )
    try:
        return _listed(folder, index, verify)
    except (KeyError, TypeError, ValueError, IndexError):
        raise SepbenchError(
            f"{folder / _INDEX}: damaged; delete the folder and run 'sepbench prepare' again"
        ) from None


def _listed(folder: Path, index: dict[str, Any], verify: bool) -> PreparedDataset:
    tracks = []
    for entry in index["tracks"]:
        if entry["split"] == EXCLUDED:  # In folders prepared before 0.1.0.
            continue
        file = folder / entry["file"]
        parts, cuts = tuple(entry["parts"]), tuple(entry["cuts"])
        if not _is_whole(file, entry):
            raise SepbenchError(f"{file}: missing or cut short; run 'sepbench prepare' again")
        if verify and _sha256(file) != entry["sha256"]:
            raise SepbenchError(f"{file}: damaged; delete it and run 'sepbench prepare' again")
        split = SPLITS[entry["split"]]
        sound = str(entry.get("sound", ""))
        tracks.append(
            PreparedTrack(entry["source"], entry["name"], split, parts, cuts, file, sound)
        )
        # Folders prepared before 0.1.0 say "val"; the digest of both is the same.
        entry["split"] = "val" if split == "valid" else split
    digest = hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()
    return PreparedDataset(int(index["rate"]), tuple(tracks), digest)


def _is_whole(file: Path, entry: dict[str, Any]) -> bool:
    """Return whether an array is as long as the index says."""
    return file.is_file() and file.stat().st_size >= 2 * len(entry["parts"]) * entry["cuts"][-1]


def _decode(track: Recording, rate: int) -> tuple[NDArray[np.int16], list[int]]:
    parts = track.decode(rate)
    places = zip(*parts.values(), strict=True)
    cuts = [0, *np.cumsum([max(map(len, clips)) for clips in places]).tolist()]
    array = np.zeros((len(parts), cuts[-1]), np.int16)
    for row, clips in zip(array, parts.values(), strict=True):
        for start, clip in zip(cuts, clips, strict=False):
            row[start : start + len(clip)] = np.rint(np.clip(clip, -1, 1) * 32767)
    return array, cuts


def _save(path: Path, array: NDArray[np.int16]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            np.save(file, array)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _write_index(
    folder: Path, rate: int, entries: list[dict[str, Any]], *, finished: bool = True
) -> None:
    index = {"layout": _LAYOUT, "rate": rate, "tracks": entries}
    if not finished:
        index["unfinished"] = True
    part = folder / f"{_INDEX}.part"
    part.write_text(json.dumps(index, indent=1), encoding="utf-8")
    os.replace(part, folder / _INDEX)
