"""A person's own songs: one folder a song, stems known by their file names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sepbench.audio.names import SUFFIXES, natural_order
from sepbench.datasets.base import Track
from sepbench.datasets.files import FileDataset, FileTrack, Source
from sepbench.stems import ALIASES, STEMS, with_sums

_KNOWN = {
    **{name: name for name in STEMS if name != "residual"},
    **ALIASES,
    "vocal": "vocals",
    "voice": "vocals",
    "voices": "vocals",
    "vox": "vocals",
    "singing": "vocals",
    "drum": "drums",
    "others": "other",
    "backing": "accompaniment",
    "backing_track": "accompaniment",
    "karaoke": "accompaniment",
    "instrumentals": "accompaniment",
    "mixture": "mixture",
    "mix": "mixture",
}


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

    def _all(self, root: Path) -> Iterator[Track]:
        tracks = list(self._tracks(root))
        usual = {stem for track in tracks for stem in track.stems}
        for track in tracks:
            lacking = usual - with_sums(dict.fromkeys(track.stems, 0)).keys()
            names = ", ".join(sorted(lacking, key=STEMS.index))
            note = (f"no {names}, which other songs have",) if lacking else ()
            yield replace(track, notes=(*track.notes, *note))

    def _tracks(self, root: Path) -> Iterator[FileTrack]:
        for song in sorted((path for path in root.iterdir() if path.is_dir()), key=natural_order):
            files = sorted(
                (path for path in song.iterdir() if path.suffix.lower() in SUFFIXES),
                key=natural_order,
            )
            files = [file for file in files if not file.name.startswith(".")]
            if files:
                yield self._track(song, files)

    def _track(self, song: Path, files: list[Path]) -> FileTrack:
        sources: dict[str, Source] = {}
        notes: list[str] = []
        problem = None
        for file in files:
            name = stem_of(file)
            if name is None:
                notes.append(f"{file.name}: left out, its name is that of no stem")
            elif name in sources:
                first = sources[name].path.name
                problem = f"{first} and {file.name} are both {name}; keep one of them"
            else:
                sources[name] = Source(file)
        stems = tuple(name for name in STEMS if name in sources)
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


def stem_of(file: Path) -> str | None:
    """Return the stem a file holds by its name, ``mixture`` for the mixture, none if unknown.

    >>> stem_of(Path("My song (No Vocals).wav"))
    'accompaniment'
    """
    words = "_".join(re.findall(r"[^\W_]+", file.stem.lower()))
    # The longest name first, lest "no_vocals" be taken for vocals.
    for alias in sorted(_KNOWN, key=len, reverse=True):
        if words == alias or words.endswith(f"_{alias}"):
            return _KNOWN[alias]
    return None
