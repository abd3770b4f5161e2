"""What can be trained on: tracks found in folders, each with its parts on one time line."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sepbench import audio
from sepbench._util.download import sha256
from sepbench._util.text import same_name
from sepbench._util.walk import files, folders
from sepbench.datasets.base import FRAME
from sepbench.errors import SepbenchError
from sepbench.stems import MIXTURE, in_order, stem_of

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
    added: tuple[Path, ...] = ()
    """Files that sound together with it and belong to the same part."""


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
    digest: Callable[[], str] = field(compare=False, default=str)
    """Returns a hash of the files, none if they are not known."""


def from_references(
    load: Callable[[], tuple[Mapping[str, NDArray[np.float32]], int]],
    *,
    source: str,
    name: str,
    stems: tuple[str, ...],
    split: str,
    digest: Callable[[], str] = str,
) -> Recording:
    """Return a track of a data set; ``load`` gives ``(channels, samples)`` by stem, and a rate."""
    parts = tuple(part for part in PARTS[:-1] if part in stems) or stems

    def decode(rate: int) -> Decoded:
        references, own_rate = load()
        return {
            part: [audio.resample(references[part].mean(0, keepdims=True), own_rate, rate)[0]]
            for part in parts
        }

    return Recording(source, name, parts, decode, split, digest=digest)


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
    folders named by stem, two or more        songs, whose files have the same name in each;
                                              with other names in each, one song (MoisesDB)
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

    A song that lies in several places, perhaps on several sides, is on the side farthest from
    training in all of them: DSD100 has MUSDB18's songs with the sides swapped. Names tell songs,
    without regard to case, accents' form and punctuation.

    Where no song is of split ``val``, a tenth of those with voice and accompaniment becomes so, one
    at least; another tenth becomes ``test`` if there are none of that split either. The names of
    songs decide which, not their order.
    """
    songs = [track for track in tracks if "vocals" in track.parts and len(track.parts) > 1]
    tracks, songs = _on_one_side(tracks, songs), _on_one_side(songs, songs)
    told = {song.split for song in songs}
    free = sorted({song_key(song.name) for song in songs if song.split == "train"}, key=_lot)
    each = max(1, len(free) // 10)
    kept: dict[str, str] = {}
    for split in ("val", "test"):
        if told & {"val", split} or len(free) <= each:
            continue
        kept |= dict.fromkeys(free[:each], split)
        del free[:each]
    chosen = {song: kept.get(song_key(song.name), song.split) for song in songs}
    return [replace(track, split=chosen.get(track, track.split)) for track in tracks]


def song_key(name: str) -> str:
    """Return what the names of a song have in common in different data sets.

    >>> song_key("AM Contra - Heart Peripheral") == song_key("am_contra-heart peripheral")
    True
    """
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(char for char in plain if char.isalnum()) or plain


def _on_one_side(tracks: Sequence[Recording], songs: Sequence[Recording]) -> list[Recording]:
    sides = ("train", "val", "test")
    side: dict[str, str] = {}
    for song in songs:
        key = song_key(song.name)
        side[key] = max(side.get(key, "train"), song.split, key=sides.index)
    whole = set(songs)
    return [
        replace(track, split=side[song_key(track.name)]) if track in whole else track
        for track in tracks
    ]


def _lot(name: str) -> bytes:
    return hashlib.sha256(name.encode(errors="surrogatepass")).digest()


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
    splits = _told(rows)
    for child in (child for child in children if child not in songs):
        if (parts := _song_of_folders(child)) is not None:
            songs.append(child)
            name = same_name(child.name)
            yield _track(source, child.name, parts, splits.get(name, split))
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
        parts = {name: [segment] for name, segment in _stem_files(folder).items()}
        yield _track(source, folder.name, parts, splits.get(same_name(folder.name), split))


def _by_stem(
    folders: dict[str, Path], source: str, rows: list[dict[str, str]], split: str
) -> Iterator[Recording]:
    splits = _told(rows)
    songs: dict[str, dict[str, list[Segment]]] = {}
    for stem, folder in folders.items():
        for path in _audio_files(folder):
            songs.setdefault(same_name(path.stem), {})[stem] = [Segment(path)]
    for name, parts in sorted(songs.items()):
        yield _track(source, name, parts, splits.get(name, split))


def _song_of_folders(folder: Path) -> dict[str, list[Segment]] | None:
    """Return the parts of a song with a folder for each stem, in which all files sound together.

    None for other folders: those with the same file names in each stem hold many songs.
    """
    stems: dict[str, list[Path]] = {}
    names: list[set[str]] = []
    for child in folders(folder):
        stem = stem_of(child, whole=True)
        found = _audio_files(child)
        if stem is None or not found or child.name.lower() in _ALONE:
            continue
        names.append({same_name(path.stem) for path in found})
        stems.setdefault(_part_of(stem) or "other", []).extend(found)
    if len(names) < 2 or len(stems) < 2 or len(set().union(*names)) < sum(map(len, names)):
        return None
    return {
        part: [Segment(first, added=tuple(more))]
        for part, (first, *more) in ((part, stems[part]) for part in in_order(stems))
    }


def _told(rows: list[dict[str, str]]) -> dict[str, str]:
    return {row["song"]: row["split"] for row in rows if "song" in row}


def _alone(folder: Path, source: str, part: str, split: str) -> Iterator[Recording]:
    for path in _audio_files(folder):
        yield _track(source, path.stem, {part: [Segment(path)]}, split)


def _track(
    source: str, name: str, clips: dict[str, list[Segment]], split: str = "train"
) -> Recording:
    decode, digest = partial(_decode, clips), partial(_digest, clips)
    return Recording(source, name, tuple(clips), decode, split, digest=digest)


def _digest(clips: dict[str, list[Segment]]) -> str:
    total = hashlib.sha256(json.dumps([[part, len(ones)] for part, ones in clips.items()]).encode())
    for ones in clips.values():
        for clip in ones:
            for path in (clip.path, *clip.added):
                total.update(f"{clip.channel} {sha256(path)}".encode())
    return total.hexdigest()


def _decode(clips: dict[str, list[Segment]], rate: int) -> Decoded:
    decoded = {part: [_mixed(clip, rate) for clip in ones] for part, ones in clips.items()}
    # The rule of data sets: what differs by more than a frame of a codec was not cut together.
    most = math.ceil(FRAME * rate / 44100) + 1
    for ones in zip(*decoded.values(), strict=True):
        lengths = dict(zip(decoded, map(len, ones), strict=True))
        if max(lengths.values()) - min(lengths.values()) > most:
            listed = ", ".join(f"{part} {length / rate:.2f} s" for part, length in lengths.items())
            raise SepbenchError(f"lengths differ: {listed}; make them alike")
    return decoded


def _mixed(clip: Segment, rate: int) -> NDArray[np.float32]:
    """Return a segment with what sounds together with it."""
    layers = [_mono(replace(clip, path=path, added=()), rate) for path in (clip.path, *clip.added)]
    total = np.zeros(max(map(len, layers)), np.float32)
    for layer in layers:
        total[: len(layer)] += layer
    return total


def _mono(clip: Segment, rate: int) -> NDArray[np.float32]:
    read = audio.read(clip.path)
    channel = slice(None) if clip.channel is None else slice(clip.channel, clip.channel + 1)
    mono = read.samples[channel].mean(0, keepdims=True)
    resampled: NDArray[np.float32] = audio.resample(mono, read.rate, rate)[0]
    return resampled


def _stem_files(folder: Path) -> dict[str, Segment]:
    """Return the file of each part; guitar, piano and the like are added to the other."""
    found = _audio_files(folder)
    parts = {part: Segment(path) for part, path in _by_part(found).items()}
    stems = {path: stem_of(path) for path in found}
    extra = [
        path for path, stem in stems.items() if stem and stem != MIXTURE and not _part_of(stem)
    ]
    if parts and extra:
        first = parts["other"].path if "other" in parts else extra.pop(0)
        parts["other"] = Segment(first, added=tuple(extra))
    return {part: parts[part] for part in in_order(parts)}


def _part_of(stem: str) -> str | None:
    part = _PARTS_OF.get(stem, stem)
    return part if part in PARTS else None


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
        part = _part_of(stem) if stem else None
        if part is None:
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
    """Return the rows of a folder's ``split.csv``, as people write them.

    Any of comma, semicolon and tab separates columns; case and blanks do not matter. Raises
    `SepbenchError` that names the line for what is not understood.
    """
    path = folder / "split.csv"
    if not path.exists():
        return []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise SepbenchError(f"{path}: cannot be read: {error}; save it as UTF-8") from None
    lines = text.splitlines()
    heading = lines[0] if lines else ""
    mark = max(",;\t", key=heading.count)
    reader = csv.reader(lines, delimiter=mark)
    columns = [column.strip().lower() for column in next(reader, [])]
    columns = [{"subset": "split", "set": "split", "track": "song"}.get(c, c) for c in columns]
    if "split" not in columns or not {"song", "clip"} & set(columns):
        raise SepbenchError(
            f"{path}: line 1: give the columns song and split (or clip, song, split)"
        )
    rows = []
    for number, cells in enumerate(reader, 2):
        row = {c: same_name(cell) for c, cell in zip(columns, cells, strict=False)}
        if not any(row.values()):
            continue
        split = row.get("split", "").lower()
        if split not in _SPLITS:
            raise SepbenchError(
                f"{path}: line {number}: no split {split!r}; write train, valid or test"
            )
        rows.append({**row, "split": _SPLITS[split]})
    if "clip" not in columns:
        _check_songs(path, rows)
    return rows


def _check_songs(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Raise for a song that is not beside the table: its side would be told to nobody."""
    there = {same_name(item.name) for item in path.parent.iterdir()}
    there |= {
        same_name(file.stem) for child in folders(path.parent) for file in _audio_files(child)
    }
    for number, row in enumerate(rows, 2):
        if row["song"] not in there:
            raise SepbenchError(
                f"{path}: line {number}: no song {row['song']!r} beside the table; "
                "write the names of the folders"
            )
