"""MUSDB18 in its three forms: STEMS files, their seven-second sample, and wav folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from sepbench import audio
from sepbench._util.download import Progress, no_progress
from sepbench._util.text import composed
from sepbench._util.walk import distinct, folders, natural_order
from sepbench.datasets.base import Track
from sepbench.datasets.download import fetch_zip
from sepbench.datasets.files import FileDataset, FileTrack, Source, missing_stems
from sepbench.datasets.musdb_facts import musdb_facts
from sepbench.errors import SepbenchError

_SUFFIX = ".stem.mp4"
_LICENSE = "research only; most songs CC BY-NC-SA 4.0, see the data set's list"
# Seconds between the songs of the sample and those of MUSDB18.
_SAMPLE_SECONDS = 8.0


class _Musdb(FileDataset):
    license = _LICENSE

    def _song(
        self, song: str, folder: str, sources: dict[str, Source], problem: str | None = None
    ) -> FileTrack:
        """Return a track; the 14 validation songs are in the folder of the training songs."""
        is_valid = folder == "train" and composed(song) in musdb_facts().validation_tracks
        subset = "valid" if is_valid else folder
        # All forms of MUSDB18 have the same songs.
        names = dict.fromkeys(("musdb18", self.name))
        parts = dict.fromkeys((folder, subset))
        return FileTrack(
            name=song,
            subset=subset,
            dataset=self.name,
            stems=tuple(name for name in sources if name != "mixture"),
            part_of=(*names, *(f"{name}/{part}" for name in names for part in parts)),
            sources=sources,
            problem=problem,
        )


class Musdb18(_Musdb):
    """MUSDB18 as STEMS files, decoded to 16 bit as the package ``musdb`` does."""

    name = "musdb18"
    summary = "150 songs in AAC: 86 train, 14 valid, 50 test; vocals, drums, bass, other"
    how_to_get = "Unzip musdb18.zip (4.7 GB) from https://zenodo.org/records/1117372."
    variable: ClassVar[str | None] = "MUSDB_PATH"
    usual: ClassVar[Sequence[str]] = ("~/MUSDB18", "~/musdb18", "~/MUSDB18/MUSDB18")
    layout = (f"test/*{_SUFFIX}", f"train/*{_SUFFIX}")

    _is_sample = False

    def find_tracks(self, root: Path) -> Iterator[Track]:
        """Yield the tracks below ``root``; see `FileDataset.find_tracks`."""
        for folder in ("train", "test"):
            for file in distinct(self._files(root / folder)):
                sources = {
                    name: Source(file, stream) for name, stream in musdb_facts().streams.items()
                }
                yield self._song(file.name.removesuffix(_SUFFIX), folder, sources)

    def root(self) -> Path:
        """Return the path; raise if the sample is given for the full data set, or the reverse."""
        root = super().root()
        seconds = self._seconds(root)
        if seconds is None:  # Each track then fails with its own reason.
            return root
        is_sample = seconds < _SAMPLE_SECONDS
        if is_sample and not self._is_sample:
            raise SepbenchError(
                f"{root} has the seven-second sample of MUSDB18; use --dataset musdb18-7s"
            )
        if self._is_sample and not is_sample:
            raise SepbenchError(f"{root} has full songs; use --dataset musdb18")
        return root

    def _seconds(self, root: Path) -> float | None:
        """Return the length of the first song whose header can be read; None if none can."""
        for file in (*self._files(root / "test"), *self._files(root / "train")):
            with suppress(SepbenchError):
                return audio.info(file).seconds
        return None

    def _matches(self, place: Path) -> list[Path]:
        return [file for folder in ("test", "train") for file in self._files(place / folder)[:1]]

    @staticmethod
    def _files(folder: Path) -> list[Path]:
        """Return the songs; the hidden files that a Mac writes beside them, ``._x``, are none."""
        return sorted(folder.glob(f"[!.]*{_SUFFIX}"), key=natural_order)


class Musdb18Sample(Musdb18):
    """Seven seconds of every song of MUSDB18, free to download."""

    name = "musdb18-7s"
    summary = "7 s of the songs of MUSDB18 in AAC, about 140 MB; --download fetches it"
    how_to_get = "Fetch it: sepbench data musdb18-7s --download"
    variable: ClassVar[str | None] = None
    usual: ClassVar[Sequence[str]] = ("~/MUSDB18/MUSDB18-7",)

    _is_sample = True

    def download(self, *, url: str | None = None, on_progress: Progress = no_progress) -> Path:
        """Fetch the sample from the same address as the package ``musdb``; return its folder.

        ``on_progress`` is called with the bytes fetched and the total, or None. The folder appears
        when it is complete; an existing one is kept.
        """
        found = self.find_root()
        if found is not None:
            return found
        place = self.places()[0]
        fetch_zip(url or musdb_facts().sample_url, place, on_progress=on_progress)
        if self.find_root() is None:
            raise SepbenchError(f"{place}: the download is not {self.name}; remove the folder")
        return place


class Musdb18Hq(_Musdb):
    """MUSDB18-HQ: uncompressed, one folder of wav files per song."""

    name = "musdb18-hq"
    summary = "150 songs in 16-bit wav: 86 train, 14 valid, 50 test; vocals, drums, bass, other"
    how_to_get = "Unzip musdb18hq.zip (23 GB) from https://zenodo.org/records/3338373."
    variable: ClassVar[str | None] = "MUSDBHQ_PATH"
    usual: ClassVar[Sequence[str]] = ("~/MUSDB18HQ", "~/musdb18hq", "~/MUSDB18/MUSDB18-HQ")
    layout = ("test/*/mixture.wav", "train/*/mixture.wav")

    def find_tracks(self, root: Path) -> Iterator[Track]:
        """Yield the tracks below ``root``; see `FileDataset.find_tracks`."""
        for folder in ("train", "test"):
            for song in distinct(folders(root / folder)):
                sources = {name: Source(song / f"{name}.wav") for name in musdb_facts().streams}
                yield self._song(song.name, folder, sources, missing_stems(sources))
