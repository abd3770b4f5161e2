"""The picture of one separated song, drawn from the files on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sepbench import audio
from sepbench.report import figure, spectrogram

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sepbench.inference.jobs import Job

_SEEKABLE = {".wav", ".flac"}


@dataclass(frozen=True)
class _FileSignal:
    """Samples of a file, read when they are asked for."""

    path: Path
    rate: int
    shape: tuple[int, int]
    offset: int = 0

    def __getitem__(self, piece: tuple[slice, slice], /) -> NDArray[Any]:
        channels, samples = piece
        first, last, _ = samples.indices(self.shape[1])
        start, count = (first + self.offset) / self.rate, last - first
        return audio.read(self.path, start=start, duration=count / self.rate).samples[channels]


def draw(order: Job, *, start: float = 0.0, title: str = "") -> Path:
    """Draw mixture, stems and masks of a song that has been separated; return the picture's path.

    The picture lies beside the stems. ``start`` is where in the song the stems begin, in seconds.
    """
    facts = {name: audio.info(path) for name, path in order.files.items()}
    first = next(iter(facts.values()))
    shape = (first.channels, first.samples)
    stems = {name: _FileSignal(path, first.rate, shape) for name, path in order.files.items()}
    page = spectrogram.picture(
        _mixture(order.song, first.rate, shape, start), stems, first.rate, title=title
    )
    return figure.save(page, order.picture)


def _mixture(song: Path, rate: int, shape: tuple[int, int], start: float) -> spectrogram.Signal:
    if song.suffix.lower() in _SEEKABLE:
        return _FileSignal(song, rate, shape, round(start * rate))
    # Seeking in compressed files decodes from afar; once through is faster.
    return audio.read(song, start=start, duration=shape[1] / rate).samples
