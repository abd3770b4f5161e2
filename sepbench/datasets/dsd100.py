"""DSD100: one hundred songs, mixtures and sources in separate folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sepbench._util.walk import distinct, folders, named
from sepbench.datasets.base import Track
from sepbench.datasets.files import FileDataset, FileTrack, Source, missing_stems

_STEMS = ("bass", "drums", "other", "vocals")
_FOLDERS = {"train": "Dev", "test": "Test"}


class Dsd100(FileDataset):
    """DSD100, the data set of SiSEC 2016; most of its songs are in MUSDB18 too."""

    name = "dsd100"
    summary = "100 songs in 16-bit wav: 50 train (Dev), 50 test; vocals, drums, bass, other"
    license = "research only, see the data set's list"
    how_to_get = "Unzip DSD100.zip from https://sigsep.github.io/datasets/dsd100.html."
    variable = "DSD100_PATH"
    usual = ("~/DSD100", "~/dsd100")
    layout = ("Mixtures/Test/*/mixture.wav", "Mixtures/Dev/*/mixture.wav")

    def find_tracks(self, root: Path) -> Iterator[Track]:
        """Yield the tracks below ``root``; see `FileDataset.find_tracks`."""
        for subset, folder in _FOLDERS.items():
            for song in distinct(folders(root / "Mixtures" / folder)):
                place = root / "Sources" / folder
                stems = named(place, song.name) or place / song.name
                sources = {name: Source(stems / f"{name}.wav") for name in _STEMS}
                sources = {"mixture": Source(song / "mixture.wav"), **sources}
                yield FileTrack(
                    name=song.name,
                    subset=subset,
                    dataset=self.name,
                    stems=_STEMS,
                    part_of=(self.name, f"{self.name}/{subset}"),
                    sources=sources,
                    problem=missing_stems(sources),
                )
