"""What can be trained on: tracks found in folders, each with its parts on one time line."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sepbench import audio
from sepbench._util.walk import files, folders
from sepbench.errors import SepbenchError
from sepbench.stems import in_order, stem_of

PARTS = ("vocals", "drums", "bass", "other", "accompaniment")
"""Stems that examples are made of."""

Decoded = dict[str, list[NDArray[np.float32]]]
"""Mono clips by part, each ``(samples,)``, to be played one after the other."""
_BACKING_FOLDERS = {"backings", "backgrounds", "accompaniments"}
_ALONE = {"voices", *_BACKING_FOLDERS}

_SPLITS = {"train": "train", "valid": "val", "val": "val", "validation": "val", "test": "test"}
"""Folders that say on which side what lies below them is."""

_PARTS_OF = {"percussive": "drums", "percussion": "drums", "harmonic": "other"}
"""Stems that stand for a part where songs are used for training."""


@dataclass(frozen=True)
class Segment:
    """A file, and which of its channels holds what; ``None``: the mean of all."""

    path: Path
    channel: int | None = None


@dataclass(frozen=True)
class Recording:
    """Parts that sound together: a song with stems, a voice alone, or a backing alone.

    ``decode(rate)`` returns each part as mono clips; those at the same place of two parts belong
    together.
    """

    source: str
    name: str
    parts: tuple[str, ...]
    decode: Callable[[int], Decoded] = field(compare=False)
    split: str = "train"
    identity: str = ""
    """What ``decode`` depends on besides the files; prepared data of another is made anew."""


def from_references(
    load: Callable[[], tuple[Mapping[str, NDArray[np.float32]], int]],
    *,
    source: str,
    name: str,
    stems: tuple[str, ...],
    split: str,
) -> Recording:
    """Return a track of a data set; ``load`` gives ``(channels, samples)`` by stem, and a rate."""
    parts = tuple(part for part in PARTS[:-1] if part in stems) or stems

    def decode(rate: int) -> Decoded:
        references, own_rate = load()
        return {
            part: [audio.resample(references[part].mean(0, keepdims=True), own_rate, rate)[0]]
            for part in parts
        }

    return Recording(source, name, parts, decode, split)


Reader = Callable[[Path], Sequence[Recording] | None]
"""Gives the tracks of a folder of some other kind, ``()`` for one to pass by, else none."""


def _nothing(folder: Path) -> None:
    return None


def find_tracks(root: Path, *, read: Reader = _nothing) -> list[Recording]:
    """Return the tracks in a folder, whose layout decides how it is read.

    ========================================  ================================================
    a folder with                             is
    ========================================  ================================================
    ``split.csv`` with a column ``clip``      MIR-1K: backing left, voice right
    folders that hold stem files              songs (``split.csv`` may name song and split)
    folders named by stem, two or more        songs, whose files have the same name in each
    the name ``voices``, or below it          voices alone
    ``backings`` or ``backgrounds``           backings without voice
    none of these                             a collection
    ========================================  ================================================

    Folders beside songs and in collections are read one by one, in the same way. Those called
    ``train``, ``valid`` and ``test`` on the way say the split of what they hold. ``read`` is asked
    first about every folder but ``root``. Raises `SepbenchError` where nothing is found.
    """
    if not root.is_dir():
        raise SepbenchError(f"{root}: no such folder of training data")
    if root.name in ("", ".."):  # What is found is called by the folder's name.
        root = root.resolve()
    tracks = list(_walk(root, root, read))
    if not tracks:
        raise SepbenchError(
            f"{root}: no training data; expected folders with stem files (vocals.wav...) that "
            "sepbench did not make, or folders called 'voices' and 'backings'"
        )
    return tracks


def share_out(tracks: list[Recording]) -> list[Recording]:
    """Return tracks of which some songs are kept from training, if none of them were.

    Where no song is of split ``val``, a tenth of those with voice and accompaniment becomes so, one
    at least; another tenth becomes ``test`` if there are none of that split either. The names of
    songs decide which, not their order.
    """
    songs = [track for track in tracks if "vocals" in track.parts and len(track.parts) > 1]
    told = {song.split for song in songs}
    free = sorted((song for song in songs if song.split == "train"), key=_lot)
    each = max(1, len(free) // 10)
    kept: dict[Recording, str] = {}
    for split in ("val", "test"):
        if told & {"val", split} or len(free) <= each:
            continue
        kept |= dict.fromkeys(free[:each], split)
        del free[:each]
    return [replace(track, split=kept.get(track, track.split)) for track in tracks]


def _lot(track: Recording) -> bytes:
    return hashlib.sha256(track.name.encode()).digest()


def _walk(folder: Path, root: Path, read: Reader) -> Iterator[Recording]:
    source = str(folder.relative_to(root)) if folder != root else folder.name
    rows = _split_table(folder)
    below = [part.lower() for part in folder.relative_to(root).parts]
    names = {root.name.lower(), *below}
    split = _split(below)
    if rows and "clip" in rows[0]:
        yield from _mir1k(folder, source, rows)
        return
    children = []
    for child in folders(folder):
        if (own := read(child)) is None:
            children.append(child)
        else:
            yield from _held_back(own, _split([*below, child.name.lower()]))
    songs = [child for child in children if child.name.lower() not in _ALONE and _stem_files(child)]
    yield from _songs(songs, source, rows, split)
    is_alone = bool(names & _ALONE)
    if not songs and not is_alone and len(stems := _stem_folders(children)) > 1:
        yield from _by_stem(stems, source, rows, split)
        songs = list(stems.values())
    for child in children:
        if child not in songs:
            yield from _walk(child, root, read)
    if is_alone:
        part = "vocals" if "voices" in names else "accompaniment"
        yield from _alone(folder, source, part, split)


def _split(below: list[str]) -> str:
    return next((_SPLITS[part] for part in below if part in _SPLITS), "train")


def _held_back(tracks: Sequence[Recording], split: str) -> Iterator[Recording]:
    """Yield tracks with splits of their own, of which a folder may only keep more from training."""
    return (track if split == "train" else replace(track, split=split) for track in tracks)


def _mir1k(folder: Path, source: str, rows: list[dict[str, str]]) -> Iterator[Recording]:
    def song(row: dict[str, str]) -> tuple[str, str]:
        return row["song"], row["split"]

    for (name, split), clips in groupby(sorted(rows, key=song), key=song):
        files = [folder / f"{row['clip']}.ogg" for row in clips]
        files = [path if path.exists() else path.with_suffix(".wav") for path in files]
        yield _track(
            source,
            name,
            {
                "accompaniment": [Segment(path, 0) for path in files],
                "vocals": [Segment(path, 1) for path in files],
            },
            split,
        )


def _songs(
    folders: list[Path], source: str, rows: list[dict[str, str]], split: str
) -> Iterator[Recording]:
    splits = _told(rows)
    for folder in folders:
        parts = {name: [Segment(path)] for name, path in _stem_files(folder).items()}
        yield _track(source, folder.name, parts, splits.get(folder.name, split))


def _by_stem(
    folders: dict[str, Path], source: str, rows: list[dict[str, str]], split: str
) -> Iterator[Recording]:
    splits = _told(rows)
    songs: dict[str, dict[str, list[Segment]]] = {}
    for stem, folder in folders.items():
        for path in _audio_files(folder):
            songs.setdefault(path.stem, {})[stem] = [Segment(path)]
    for name, parts in sorted(songs.items()):
        yield _track(source, name, parts, splits.get(name, split))


def _told(rows: list[dict[str, str]]) -> dict[str, str]:
    return {row["song"]: row["split"] for row in rows if "song" in row}


def _alone(folder: Path, source: str, part: str, split: str) -> Iterator[Recording]:
    for path in _audio_files(folder):
        yield _track(source, path.stem, {part: [Segment(path)]}, split)


def _track(
    source: str, name: str, clips: dict[str, list[Segment]], split: str = "train"
) -> Recording:
    return Recording(source, name, tuple(clips), partial(_decode, clips), split)


def _decode(clips: dict[str, list[Segment]], rate: int) -> Decoded:
    return {part: [_mono(clip, rate) for clip in ones] for part, ones in clips.items()}


def _mono(clip: Segment, rate: int) -> NDArray[np.float32]:
    read = audio.read(clip.path)
    channel = slice(None) if clip.channel is None else slice(clip.channel, clip.channel + 1)
    mono = read.samples[channel].mean(0, keepdims=True)
    resampled: NDArray[np.float32] = audio.resample(mono, read.rate, rate)[0]
    return resampled


def _stem_files(folder: Path) -> dict[str, Path]:
    return _by_part(_audio_files(folder))


def _stem_folders(children: list[Path]) -> dict[str, Path]:
    """Return those of the folders that are named by stem and hold audio."""
    named = [child for child in children if stem_of(child, whole=True) is not None]
    return _by_part(
        child for child in named if child.name.lower() not in _ALONE and _audio_files(child)
    )


def _by_part(paths: Iterable[Path]) -> dict[str, Path]:
    """Return the path of each part; raise `SepbenchError` where two stand for one part."""
    found: dict[str, Path] = {}
    for path in paths:
        stem = stem_of(path)
        part = _PARTS_OF.get(stem, stem) if stem else None
        if part not in PARTS:
            continue
        if part in found:
            raise SepbenchError(
                f"{path.parent}: {found[part].name} and {path.name} are both {part}; "
                "keep one of them"
            )
        found[part] = path
    return {name: found[name] for name in in_order(found)}


def _audio_files(folder: Path) -> list[Path]:
    return files(folder, audio.SUFFIXES)


def _split_table(folder: Path) -> list[dict[str, str]]:
    path = folder / "split.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
