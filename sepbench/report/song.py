"""Draws the picture of a separated song from its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sepbench import audio
from sepbench._util.walk import files
from sepbench.report import figure, spectrogram
from sepbench.stems import MIXTURE, SUMS, stem_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sepbench.inference.jobs import Job

_SEEKABLE = {".wav", ".flac"}


@dataclass(frozen=True)
class _FileSignal:
    """Samples of a file, read on access."""

    path: Path
    rate: int
    shape: tuple[int, int]
    offset: int = 0

    def __getitem__(self, piece: tuple[slice, slice], /) -> NDArray[Any]:
        channels, samples = piece
        first, last, _ = samples.indices(self.shape[1])
        start, count = (first + self.offset) / self.rate, last - first
        return audio.read(self.path, start=start, duration=count / self.rate).samples[channels]


@dataclass(frozen=True)
class _Sum:
    """The sum of signals of equal shape, read piece by piece."""

    terms: tuple[spectrogram.Signal, ...]
    shape: tuple[int, int]

    def __getitem__(self, piece: tuple[slice, slice], /) -> NDArray[Any]:
        total: NDArray[Any] = np.sum([term[piece] for term in self.terms], axis=0)
        return total


def draw(order: Job, *, start: float = 0.0, title: str = "") -> Path:
    """Draw mixture, stems and masks of a separated song; return the picture's path.

    The picture is written next to the stems. ``start`` is the start of the stems in the song, in
    seconds. If the song is called mixture and has true stems in its folder, they and the errors are
    drawn too.
    """
    facts = {name: audio.info(path) for name, path in order.files.items()}
    first = next(iter(facts.values()))
    shape = (first.channels, first.samples)
    stems = {name: _FileSignal(path, first.rate, shape) for name, path in order.files.items()}
    page = spectrogram.picture(
        _signal(order.song, first.rate, shape, start),
        stems,
        first.rate,
        title=title,
        truths=_truths(order, first.rate, shape, start),
    )
    return figure.save(page, order.picture)


def _truths(
    order: Job, rate: int, shape: tuple[int, int], start: float
) -> dict[str, spectrogram.Signal]:
    """Return the true stems in the folder of a song, and their sums."""
    if stem_of(order.song, whole=True) != MIXTURE:
        return {}
    beside = {stem_of(file, whole=True): file for file in files(order.song.parent, audio.SUFFIXES)}
    own = audio.info(order.song)
    found: dict[str, spectrogram.Signal] = {}
    for stem in order.files:
        paths = [beside.get(term) for term in ((stem,) if stem in beside else SUMS.get(stem, ()))]
        there = [path for path in paths if path is not None]
        facts = [audio.info(path) for path in there]
        alike = all((fact.channels, fact.rate) == (own.channels, own.rate) for fact in facts)
        if there and len(there) == len(paths) and alike and own.rate == rate:
            signals = [_signal(path, rate, shape, start) for path in there]
            found[stem] = signals[0] if len(signals) == 1 else _Sum(tuple(signals), shape)
    return found


def _signal(song: Path, rate: int, shape: tuple[int, int], start: float) -> spectrogram.Signal:
    if song.suffix.lower() in _SEEKABLE:
        return _FileSignal(song, rate, shape, round(start * rate))
    # Seeking in compressed files is slow; one pass is faster.
    return audio.read(song, start=start, duration=shape[1] / rate).samples
