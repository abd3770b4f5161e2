"""The user's own songs: one folder per song, stems named by file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from sepbench._util.walk import distinct, files, folders, is_output, written_stems
from sepbench.audio.names import SUFFIXES
from sepbench.datasets.base import Track
from sepbench.datasets.files import FileDataset, FileTrack, Source
from sepbench.stems import MIXTURE, STEMS, in_order, is_stem_name, stem_of, with_sums


class Folder(FileDataset):
    """Songs in folders below a root: any stems in any audio format, with or without mixture."""

    name = "folder"
    summary = "your own songs: ROOT/<song>/{vocals,drums,bass,other,...}.wav, mixture optional"
    license = "known to the owner"
    how_to_get = (
        "One folder per song, each file named after its stem: vocals.wav, drums.wav, bass.flac; "
        "instrumental.wav, voice.mp3 and 'My song (vocals).wav' are understood too."
    )
    layout = ("*/*",)

    def find_tracks(self, root: Path) -> Iterator[Track]:
        """Yield the tracks below ``root``; see `FileDataset.find_tracks`."""
        tracks = list(self._tracks(root))
        usual = {stem for track in tracks for stem in track.stems}
        for track in tracks:
            lacking = usual - with_sums(dict.fromkeys(track.stems, 0)).keys()
            names = ", ".join(in_order(lacking))
            note = (f"no {names}, which other songs have",) if lacking else ()
            yield replace(track, notes=(*track.notes, *note))

    def has_songs(self, place: Path) -> bool:
        """Return whether a folder has folders with stems."""
        return any(track.problem is None for track in self._tracks(place))

    def _tracks(self, root: Path) -> Iterator[FileTrack]:
        songs = [track for song in distinct(folders(root)) for track in self._song(song)]
        if not songs:  # All songs may be one folder deeper, as in MoisesDB.
            below = [folder for folder in folders(root) if not is_output(folder)]
            if len(below) == 1:
                yield from self._tracks(below[0])
        yield from songs

    def _song(self, song: Path) -> Iterator[FileTrack]:
        found, made = _true_and_made(song)
        if found:
            yield self._track(song, found, made)
        elif len(sources := _stem_folders(song)) > 1:
            yield self._of(song, sources)

    def _track(self, song: Path, files: list[Path], made: list[Path]) -> FileTrack:
        sources: dict[str, Source] = {}
        notes = [f"{file.name}: left out, 'sepbench separate' wrote it" for file in made]
        problem = None
        for file in files:
            name = stem_of(file)
            if name is None:
                notes.append(f"{file.name}: left out, its name is not a stem")
            elif name in sources:
                first = sources[name].path.name
                problem = f"{first} and {file.name} are both {name}; keep one of them"
            else:
                sources[name] = Source(file)
        if not sources.keys() - {MIXTURE}:
            problem = f"no file in {song} is named after a stem such as {', '.join(STEMS[:4])}"
        return self._of(song, sources, notes, problem)

    def _of(
        self,
        song: Path,
        sources: dict[str, Source],
        notes: Sequence[str] = (),
        problem: str | None = None,
    ) -> FileTrack:
        stems = tuple(in_order(sources.keys() - {MIXTURE}))
        return FileTrack(
            name=song.name,
            subset="test",
            dataset=self.name,
            stems=stems,
            part_of=(),
            sources=sources,
            notes=tuple(notes),
            problem=problem,
        )


def _true_and_made(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the audio files of a folder, and those that 'sepbench separate' wrote there.

    Scored as true stems, the latter would make their own method perfect.
    """
    written = written_stems(folder)
    found = files(folder, SUFFIXES)
    made = [file for file in found if file.name in written]
    return [file for file in found if file.name not in written], made


def _stem_folders(song: Path) -> dict[str, Source]:
    """Return the stems of a song with a folder for each, whose files are added (MoisesDB).

    Folders whose files have the same names hold many songs, not one.
    """
    sources: dict[str, Source] = {}
    names: set[str] = set()
    known = 0
    for folder in folders(song):
        stem, (found, _) = stem_of(folder, whole=True), _true_and_made(folder)
        known += bool(stem and found)
        if stem is None and is_stem_name(folder.name):
            stem = folder.name  # An unknown stem is still part of the song.
        if stem is None or not found:
            continue
        if stem in sources or names & {file.stem for file in found}:
            return {}
        names |= {file.stem for file in found}
        sources[stem] = Source(found[0], added=tuple(found[1:]))
    return sources if known > 1 else {}
