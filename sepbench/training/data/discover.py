"""Finds training data: songs, voices and backings in folders of any layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from sepbench._util.text import same_name
from sepbench._util.walk import distinct, folders
from sepbench.errors import SepbenchError
from sepbench.stems import in_order, stem_of
from sepbench.training.data.naming import Parts, audio_files, folder_of_part, is_song, parts_of
from sepbench.training.data.recording import Recording, Segment, recording
from sepbench.training.data.splits import EXCLUDED, SPLITS, Row, read_table

_BACKING_FOLDERS = {"backings", "backgrounds", "accompaniments"}
_ALONE = {"voices", *_BACKING_FOLDERS}

Reader = Callable[[Path], Sequence[Recording] | None]
"""Returns the tracks of a folder of another kind, ``()`` to skip it, else None."""


def _nothing(folder: Path) -> None:
    return None


def find_tracks(root: Path, *, read: Reader = _nothing, rest: str | None = None) -> list[Recording]:
    """Return the tracks in a folder, depending on its layout.

    ========================================  ================================================
    a folder with                             is
    ========================================  ================================================
    ``split.csv`` with a column ``clip``      MIR-1K: backing left, voice right
    folders that hold stem files              songs (``split.csv`` may name song and split, which
                                              is ``train``, ``valid``, ``test`` or ``excluded``)
    folders named by stem, two or more        songs, whose files have the same name in each;
                                              with other names in each, one song (MoisesDB)
    the name ``voices``, or below it          voices alone
    ``backings`` or ``backgrounds``           backings without voice
    none of these                             a collection
    ========================================  ================================================

    Folders next to songs and in collections are read one by one, in the same way. Folders called
    ``train``, ``valid`` and ``test`` define the split, and are not part of the source's name.
    ``read`` is called first for every folder but ``root``; ``rest`` is as in `parts_of`. Raises
    `SepbenchError` if nothing is found.
    """
    if not root.is_dir():
        raise SepbenchError(f"{root}: no such folder of training data")
    if root.name in ("", ".."):  # The source is named after the folder.
        root = root.resolve()
    tracks = list(_Search(root, read, rest).walk(root))
    if not tracks:
        raise SepbenchError(
            f"{root}: no training data; expected folders with stem files (vocals.wav...) that "
            "sepbench did not make, or folders called 'voices' and 'backings'"
        )
    return tracks


@dataclass(frozen=True)
class _Search:
    """A search for tracks below ``root``; the fields are the arguments of `find_tracks`."""

    root: Path
    read: Reader
    rest: str | None

    def walk(self, folder: Path) -> Iterator[Recording]:
        source, rows = self._source(folder), read_table(folder)
        below = [part.lower() for part in folder.relative_to(self.root).parts]
        names = {self.root.name.lower(), *below}
        split = _split(below)
        if rows and "clip" in rows[0]:
            yield from _mir1k(folder, source, rows)
            return
        children = []
        for child in distinct(folders(folder)):
            if (own := self.read(child)) is None:
                children.append(child)
            else:
                yield from _held_back(own, _split([*below, child.name.lower()]))
        splits = {row["song"]: row["split"] for row in rows if "song" in row}
        songs = []
        for child in children:
            parts = self._song(child)
            if parts is not None:
                songs.append(child)
                own_split = splits.get(same_name(child.name), split)
                if own_split != EXCLUDED:
                    yield recording(source, child.name, *parts, split=own_split)
        is_alone = bool(names & _ALONE)
        if not songs and not is_alone and len(stems := self._stem_folders(children)) > 1:
            yield from self._by_stem(stems, source, splits, split)
            songs = list(stems)
        for child in children:
            if child not in songs:
                yield from self.walk(child)
        if is_alone:
            part = "vocals" if "voices" in names else "accompaniment"
            yield from _alone(folder, source, part, split)

    def _source(self, folder: Path) -> str:
        """Return the source of a folder's tracks, without folders that name a split."""
        below = folder.relative_to(self.root).parts or (self.root.name,)
        named = [part for part in below if part.lower() not in SPLITS]
        here = self.root if self.root.name.lower() not in SPLITS else self.root.resolve().parent
        return "/".join(named) or here.name

    def _song(self, folder: Path) -> Parts | None:
        """Return the parts if the folder is one song, else None."""
        if folder.name.lower() in _ALONE:
            return None
        found = audio_files(folder)
        if is_song(found, self.rest):
            return parts_of(found, self.rest)
        return self._song_of_folders(folder)

    def _song_of_folders(self, folder: Path) -> Parts | None:
        """Return the parts of a song with a folder for each stem, whose files are added.

        None for other folders: the same file names in each stem mean many songs.
        """
        stems = [
            child
            for child in folders(folder)
            if child.name.lower() not in _ALONE and audio_files(child)
        ]
        named = [child for child in stems if folder_of_part(child, "other") is not None]
        names = [{same_name(path.stem) for path in audio_files(child)} for child in named]
        if len(named) < 2 or len(set().union(*names)) < sum(map(len, names)):
            return None
        found: dict[str, list[Path]] = {}
        left_out: list[str] = []
        for child in stems:
            part = folder_of_part(child, "other") or (self.rest and "other")
            if part:
                found.setdefault(part, []).extend(audio_files(child))
            elif stem_of(child, whole=True) is None:
                left_out.append(f"{child.name}/")
        if len(found) < 2:
            return None
        parts = {part: Segment(found[part][0], added=tuple(found[part][1:])) for part in found}
        return {part: [parts[part]] for part in in_order(parts)}, tuple(left_out)

    def _stem_folders(self, children: list[Path]) -> list[Path]:
        """Return the folders with one file per song, if at least two are named by part."""
        holding = [
            child
            for child in children
            if child.name.lower() not in {*_ALONE, *SPLITS} and audio_files(child)
        ]
        named = [child for child in holding if folder_of_part(child)]
        songs = {same_name(path.stem) for child in named for path in audio_files(child)}
        if len({folder_of_part(child) for child in named}) < 2:
            return []
        return [
            child
            for child in holding
            if child in named or songs & {same_name(path.stem) for path in audio_files(child)}
        ]

    def _by_stem(
        self, stems: list[Path], source: str, splits: dict[str, str], split: str
    ) -> Iterator[Recording]:
        """Yield the songs of folders by part, with one file per song."""
        songs: dict[str, dict[Path, Path]] = {}
        for folder in stems:
            for path in distinct(audio_files(folder)):
                songs.setdefault(same_name(path.stem), {})[folder] = path
        for name, files in sorted(songs.items()):
            parts, left_out = parts_of(list(files), self.rest, is_folder=True)
            if not parts or splits.get(name) == EXCLUDED:
                continue
            in_files = {
                part: [
                    Segment(files[one.path], added=tuple(files[other] for other in one.added))
                    for one in ones
                ]
                for part, ones in parts.items()
            }
            yield recording(source, name, in_files, left_out, split=splits.get(name, split))


def _split(below: list[str]) -> str:
    return next((SPLITS[part] for part in below if part in SPLITS), "train")


def _held_back(tracks: Sequence[Recording], split: str) -> Iterator[Recording]:
    """Yield tracks with their splits; a folder can only exclude more of them from training."""
    return (track if split == "train" else replace(track, split=split) for track in tracks)


def _mir1k(folder: Path, source: str, rows: Sequence[Row]) -> Iterator[Recording]:
    def song(row: Row) -> tuple[str, str]:
        return row["song"], row["split"]

    used = [row for row in rows if row["split"] != EXCLUDED]
    for (name, split), clips in groupby(sorted(used, key=song), key=song):
        files = [folder / f"{row['clip']}.ogg" for row in clips]
        files = [path if path.exists() else path.with_suffix(".wav") for path in files]
        parts = {
            "accompaniment": [Segment(path, 0) for path in files],
            "vocals": [Segment(path, 1) for path in files],
        }
        yield recording(source, name, parts, split=split)


def _alone(folder: Path, source: str, part: str, split: str) -> Iterator[Recording]:
    for path in distinct(audio_files(folder)):
        yield recording(source, path.stem, {part: [Segment(path)]}, split=split)
