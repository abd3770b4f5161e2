"""A person's own songs: one folder a song, stems known by their file names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sepbench._util.walk import files, folders
from sepbench.audio.names import SUFFIXES
from sepbench.datasets.base import Track
from sepbench.datasets.files import FileDataset, FileTrack, Source
from sepbench.stems import MIXTURE, STEMS, in_order, stem_of, with_sums


class Folder(FileDataset):
    """Songs in folders below the root: any stems in any audio format, with or without mixture."""

    name = "folder"
    summary = "your own songs: ROOT/<song>/{vocals,drums,bass,other,...}.wav, mixture optional"
    license = "yours to know"
    how_to_get = (
        "Make one folder a song and name each file for its stem: vocals.wav, drums.wav, bass.flac; "
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

    def _tracks(self, root: Path) -> Iterator[FileTrack]:
        for song in folders(root):
            found = files(song, SUFFIXES)
            if found:
                yield self._track(song, found)

    def _track(self, song: Path, files: list[Path]) -> FileTrack:
        sources: dict[str, Source] = {}
        notes: list[str] = []
        problem = None
        for file in files:
            name = stem_of(file)
            if name is None:
                notes.append(f"{file.name}: left out, its name is not that of a stem")
            elif name in sources:
                first = sources[name].path.name
                problem = f"{first} and {file.name} are both {name}; keep one of them"
            else:
                sources[name] = Source(file)
        stems = tuple(in_order(sources.keys() - {MIXTURE}))
        if not stems:
            problem = f"no file in {song} is named for a stem such as {', '.join(STEMS[:4])}"
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
