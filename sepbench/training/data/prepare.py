"""Prepares training data: decodes recordings into a folder of `sepbench.training.data.prepared`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sepbench._util.files import make_folder, sha256, write_atomic
from sepbench._util.locking import alone
from sepbench._util.text import counted
from sepbench.audio import safe_name
from sepbench.errors import SepbenchError
from sepbench.training.data.prepared import (
    INDEX,
    LAYOUT,
    PreparedDataset,
    entries_before,
    is_whole_array,
    open_prepared,
)
from sepbench.training.data.recording import Recording

_SECONDS = 2.0
"""Longest time for which finished arrays are not in the index."""

_VERSION = 2
"""Raised when stems above full scale were scaled, not cut off."""

_MOST = 8
"""Samples at full scale that an array may have without having been cut off."""


def prepare(
    tracks: Iterable[Recording],
    folder: Path,
    *,
    rate: int,
    on_track: Callable[[str], None] = lambda name: None,
    same: bool = False,
) -> tuple[PreparedDataset, list[str]]:
    """Decode ``tracks`` into ``folder`` and return them with a line for each one skipped.

    Finished tracks are kept, so a stopped run resumes. Files are written atomically. Raises
    `SepbenchError` if the folder is not writable or has another rate, and if tracks that it has
    must be the ``same`` and are labelled or cut in another way, and while another process prepares
    data there.
    """
    make_folder(folder)
    with alone(folder / ".lock") as is_alone:
        if not is_alone:
            raise SepbenchError(
                f"{folder}: another process prepares data there; wait for it, or choose another "
                "--out"
            )
        skipped = _made(list(tracks) if same else tracks, folder, rate, on_track, same=same)
    return open_prepared(folder), skipped


def _made(
    tracks: Iterable[Recording],
    folder: Path,
    rate: int,
    on_track: Callable[[str], None],
    *,
    same: bool,
) -> list[str]:
    """Prepare all tracks in a folder of this process alone; return a line for each one skipped."""
    maker = _Maker(folder, rate, {entry["file"]: entry for entry in entries_before(folder, rate)})
    if same:
        maker.check(tracks)
    try:
        return maker.make(tracks, on_track)
    except OSError as error:
        reason = error.strerror or "the disk is full"  # NumPy reports a number of bytes instead.
        raise SepbenchError(f"{folder}: cannot write: {reason}; choose another --out") from error


@dataclass
class _Maker:
    """Makes the arrays of a folder, and its index."""

    folder: Path
    rate: int
    known: dict[str, dict[str, Any]]
    """Entries of the index before, by file."""
    made: dict[str, dict[str, Any]] = field(default_factory=dict)

    def make(self, tracks: Iterable[Recording], on_track: Callable[[str], None]) -> list[str]:
        """Prepare all tracks and write the index; return a line for each one skipped."""
        skipped, taken, noted = [], set[str](), time.monotonic()
        try:
            for file, track in _named(tracks):
                taken.add(file)
                on_track(file)
                try:
                    self.made[file] = self._entry(track, file)
                except SepbenchError as error:
                    skipped.append(f"{track.source}/{track.name}: {error}")
                # A label takes a minute, so each is noted at once.
                if track.identity or time.monotonic() - noted > _SECONDS:
                    self._write_index({**self.known, **self.made}, finished=False)
                    noted = time.monotonic()
        except BaseException:
            with suppress(SepbenchError):
                self._write_index({**self.known, **self.made}, finished=False)
            raise
        self._write_index(self.made)
        if gone := sorted(name.removesuffix(".npy") for name in self.known.keys() - taken):
            what = counted(len(gone), "recording")
            skipped.append(f"{what} prepared here before, not in the data given now: {gone[0]}...")
        return skipped

    def check(self, tracks: Iterable[Recording]) -> None:
        """Raise `SepbenchError` for a track that is not labelled and cut as before."""
        for file, track in _named(tracks):
            if file in self.known and self.known[file].get("identity", "") != track.identity:
                raise SepbenchError(
                    f"{self.folder / file}: labelled or cut in another way before; give the same "
                    f"--teacher, --start and --duration, or a new --out; if they are the same, "
                    f"delete {self.folder}"
                )

    def _entry(self, track: Recording, file: str) -> dict[str, Any]:
        """Return the entry of a track, whose array is made unless it is there."""
        entry, digest = self.known.get(file, {}), track.digest()
        is_same = entry.get("parts") == list(track.parts)
        is_same &= entry.get("identity", "") == track.identity
        # Older arrays without a digest of their audio are made again, once, and so are those of
        # files in which samples may have been cut off.
        is_same &= entry.get("audio", "") == digest
        is_same = is_same and is_whole_array(self.folder / file, entry)
        if not (is_same and (entry.get("version") == _VERSION or self._is_right(file))):
            array, cuts = _decode(track, self.rate)
            if not array.any():
                raise SepbenchError("silent")
            _save(self.folder / file, array)
            known = {"identity": track.identity, "audio": digest, "sound": track.sound()}
            entry = {"file": file, "cuts": cuts, "sha256": sha256(self.folder / file)}
            entry |= {name: value for name, value in known.items() if value}
        entry["version"] = _VERSION
        of_track = {"source": track.source, "name": track.name, "split": track.split}
        return {**entry, **of_track, "parts": list(track.parts)}

    def _is_right(self, file: str) -> bool:
        """Return whether an existing array has no missing samples and no silent part."""
        array = np.load(self.folder / file, mmap_mode="r")
        most = np.iinfo(np.int16).max
        return all(part.any() and np.count_nonzero(np.abs(part) >= most) <= _MOST for part in array)

    def _write_index(self, entries: dict[str, dict[str, Any]], *, finished: bool = True) -> None:
        index = {"layout": LAYOUT, "rate": self.rate, "tracks": [*entries.values()]}
        if not finished:
            index["unfinished"] = True
        write_atomic(self.folder / INDEX, json.dumps(index, indent=1))


def _named(tracks: Iterable[Recording]) -> Iterator[tuple[str, Recording]]:
    """Yield each track after the name of its file."""
    taken = set[str]()
    for track in tracks:
        # A table may name songs by text that is not a file name, or that leads out of the folder.
        name = "/".join(map(safe_name, (*track.source.split("/"), track.name)))
        file = _free(name, taken)
        taken.add(file)
        yield file, track


def _free(name: str, taken: set[str]) -> str:
    """Return the file for a track, numbered if the name is taken."""
    names = chain([name], (f"{name} ({number})" for number in count(2)))
    return next(file for file in map("{}.npy".format, names) if file not in taken)


def _decode(track: Recording, rate: int) -> tuple[NDArray[np.int16], list[int]]:
    parts = track.decode(rate)
    places = zip(*parts.values(), strict=True)
    cuts = [0, *np.cumsum([max(map(len, clips)) for clips in places]).tolist()]
    array = np.zeros((len(parts), cuts[-1]), np.int16)
    # One gain for all parts, so that they still sum to the mixture.
    peak = max(1.0, *(np.abs(clip).max(initial=0) for clips in parts.values() for clip in clips))
    for row, clips in zip(array, parts.values(), strict=True):
        for start, clip in zip(cuts, clips, strict=False):
            row[start : start + len(clip)] = np.rint(clip * np.float32(32767 / peak))
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
