"""Splits: from ``split.csv``, or by shares."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sepbench import audio
from sepbench._util.text import same_name, song_key, song_keys
from sepbench._util.walk import folders
from sepbench.datasets.base import SUBSETS
from sepbench.errors import SepbenchError
from sepbench.training.data.naming import audio_files
from sepbench.training.data.recording import Recording

SPLITS = {name: name for name in SUBSETS} | {"val": "valid", "validation": "valid"}
"""Spellings in folders and tables, in lower case."""

EXCLUDED = "excluded"
"""Entry of a table for unused songs."""

_LETTERS = 3
"""Fewest letters in the name of a voice or backing alone that may be that of a song."""

Row = dict[str, str]
"""The cells of a row of ``split.csv`` by column."""


def assign_splits(tracks: list[Recording]) -> list[Recording]:
    """Return the tracks; some are moved from training to validation and test if needed.

    A song that lies in several places, perhaps on several sides, is on the side farthest from
    training in all of them: DSD100 has MUSDB18's songs with the sides swapped. So are its voice or
    its backing alone, if their names have a word, not only a number. Songs are the same if their
    names are, without regard to case, accents' form, punctuation and a number before, or if they
    sound the same.

    Without any song of split ``valid``, a tenth of the songs with voice and accompaniment, at least
    one, is moved there; another tenth to ``test`` if that is empty too. The choice depends on the
    names of songs, not on their order.
    """
    same = _same_songs(tracks)
    side: dict[str, str] = {}
    for track in tracks:
        key = same[_name(track)]
        side[key] = max(side.get(key, "train"), track.split, key=SUBSETS.index)
    songs = {same[_name(track)] for track in tracks if _is_whole(track)}
    known = {side[song] for song in songs}
    free = sorted((song for song in songs if side[song] == "train"), key=_shuffled)
    each = max(1, len(free) // 10)
    for split in ("valid", "test"):
        if known & {"valid", split} or len(free) <= each:
            continue
        side |= dict.fromkeys(free[:each], split)
        del free[:each]
    return [replace(track, split=side[same[_name(track)]]) for track in tracks]


def _is_whole(track: Recording) -> bool:
    """Return whether a track is a song with a voice and something else."""
    return "vocals" in track.parts and len(track.parts) > 1


def _name(track: Recording) -> str:
    """Return the name of a track; the number of a voice or backing alone says no song."""
    says_song = _is_whole(track) or sum(map(str.isalpha, track.name)) >= _LETTERS
    return track.name if says_song else f"{track.source} {track.name}"


def _same_songs(songs: Sequence[Recording]) -> dict[str, str]:
    """Return for each name the first of all names that its song has, as `song_key` writes it."""
    first: dict[str, str] = {}

    def found(mark: str) -> str:
        while first.setdefault(mark, mark) != mark:
            mark = first[mark]
        return mark

    names = {_name(song): song_key(_name(song)) for song in songs}
    alike = [(key, other) for name, key in names.items() for other in song_keys(name)]
    alike += [(names[one], names[other]) for one, other in _sounding_alike(songs)]
    for pair in alike:
        low, high = sorted(map(found, pair))
        first[high] = low
    return {name: found(key) for name, key in names.items()}


def _sounding_alike(songs: Sequence[Recording]) -> Iterator[tuple[str, str]]:
    """Yield the names of tracks that sound the same.

    Only tracks of equal length are compared, and only if at least one of them is a whole song.
    """
    lengths: dict[int, list[Recording]] = {}
    for song in songs:
        if song.sound_file is not None:
            with suppress(SepbenchError, OSError):
                seconds = audio.info(song.sound_file[0]).seconds
                lengths.setdefault(round(seconds * 1000), []).append(song)
    for ones in lengths.values():
        known: dict[str, str] = {}
        several = len({song_key(_name(song)) for song in ones}) > 1
        for song in ones if several and any(map(_is_whole, ones)) else ():
            mark = song.sound()
            if mark:
                yield known.setdefault(mark, _name(song)), _name(song)


def _shuffled(name: str) -> bytes:
    """Return a sort key that gives names an arbitrary, but constant order."""
    return hashlib.sha256(name.encode(errors="surrogatepass")).digest()


def read_table(folder: Path) -> list[Row]:
    """Return the rows of a folder's ``split.csv``, as people write them.

    Comma, semicolon or tab separate columns; case and blanks do not matter. Raises `SepbenchError`
    with the line number for invalid rows.
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
    if not {"song", "split"} <= set(columns):
        raise SepbenchError(
            f"{path}: line 1: give the columns song and split (or clip, song, split)"
        )
    rows = []
    try:
        for cells in reader:
            row = {c: same_name(cell) for c, cell in zip(columns, cells, strict=False)}
            if not any(row.values()):
                continue
            if not row.get("song"):
                raise SepbenchError(f"{path}: line {reader.line_num}: no song; write its name")
            if Path(clip := row.get("clip", "")).name != clip:
                wrong = f"clip {clip!r} is a path; write the name of a file beside the table"
                raise SepbenchError(f"{path}: line {reader.line_num}: {wrong}")
            split = row.get("split", "").lower()
            if split not in (*SPLITS, EXCLUDED):
                wrong = f"no split {split!r}; write train, valid, test or excluded"
                raise SepbenchError(f"{path}: line {reader.line_num}: {wrong}")
            rows.append((reader.line_num, {**row, "split": SPLITS.get(split, split)}))
    except csv.Error as error:
        raise SepbenchError(f"{path}: line {reader.line_num}: {error}") from None
    if "clip" not in columns:
        _check_songs(path, rows)
    return [row for _, row in rows]


def _check_songs(path: Path, rows: Sequence[tuple[int, Row]]) -> None:
    """Raise for a song that has no folder next to the table, or has two splits in it."""
    there = {same_name(item.name) for item in path.parent.iterdir()}
    there |= {same_name(file.stem) for child in folders(path.parent) for file in audio_files(child)}
    splits: dict[str, str] = {}
    for number, row in rows:
        song, split = row["song"], row["split"]
        if song not in there:
            wrong = f"no song {song!r} next to the table; write the names of the folders"
        elif splits.setdefault(song, split) != split:
            wrong = f"{song!r} is {split} here and {splits[song]} above; keep one of them"
        else:
            continue
        raise SepbenchError(f"{path}: line {number}: {wrong}")
