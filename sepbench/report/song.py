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
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sepbench.inference.jobs import Job

_SEEKABLE = {".wav", ".flac"}
_BLOCK = 1 << 16


@dataclass(frozen=True)
class _FileSignal:
    """Samples of a file of ``length`` samples, read on access; silent beyond its end."""

    path: Path
    rate: int
    shape: tuple[int, int]
    length: int
    offset: int = 0
    stream: int | None = None

    def __getitem__(self, piece: tuple[slice, slice], /) -> NDArray[Any]:
        channels, samples = piece
        first, last, _ = samples.indices(self.shape[1])
        made = np.zeros((self.shape[0], last - first), np.float32)
        start, count = first + self.offset, min(last, self.length - self.offset) - first
        if count > 0:
            how = {"start": start / self.rate, "duration": count / self.rate}
            read = audio.read(self.path, stream=self.stream, **how).samples
            made[:, : read.shape[1]] = read
        return made[channels]


class _Forward:
    """Samples of a file in one pass, at any rate, for formats in which seeking is slow.

    A piece that begins before the last one restarts the pass.
    """

    def __init__(
        self, path: Path, rate: int, shape: tuple[int, int], start: float, stream: int | None
    ) -> None:
        self.shape = shape
        self._file = (path, rate, start, stream)
        self._begin()

    def _begin(self) -> None:
        self._blocks, self._at = self._read(), 0
        self._held = np.zeros((self.shape[0], 0), np.float32)

    def _read(self) -> Iterator[NDArray[np.float32]]:
        path, rate, start, stream = self._file
        with audio.Reader(path, stream=stream) as reader:
            if start >= reader.info.seconds:
                return
            blocks = reader.blocks(_BLOCK, start=start)
            if reader.info.rate == rate:
                yield from blocks
                return
            resampler = audio.StreamResampler(reader.info.rate, rate)
            yield from map(resampler.process, blocks)
            yield resampler.finish()

    def __getitem__(self, piece: tuple[slice, slice], /) -> NDArray[Any]:
        channels, samples = piece
        first, last, _ = samples.indices(self.shape[1])
        if first < self._at:
            self._begin()
        while self._at + self._held.shape[1] < last:
            block = next(self._blocks, None)
            if block is None:
                break
            held = np.concatenate([self._held, block], axis=1)
            passed = min(first - self._at, held.shape[1])
            self._held, self._at = held[:, passed:], self._at + passed
        here = self._held[:, first - self._at : last - self._at]
        return np.pad(here, ((0, 0), (0, last - first - here.shape[1])))[channels]


@dataclass(frozen=True)
class _Sum:
    """The sum of signals of equal shape, read piece by piece."""

    terms: tuple[spectrogram.Signal, ...]
    shape: tuple[int, int]

    def __getitem__(self, piece: tuple[slice, slice], /) -> NDArray[Any]:
        total: NDArray[Any] = np.sum([term[piece] for term in self.terms], axis=0)
        return total


def draw(job: Job, *, start: float = 0.0, stream: int | None = None, title: str = "") -> Path:
    """Draw mixture, stems and masks of a separated song; return the picture's path.

    The picture is written next to the stems. ``start`` is the start of the stems in the song, in
    seconds, ``stream`` the song's audio stream. If the song is called mixture and has true stems in
    its folder, they and the errors are drawn too.
    """
    facts = {name: audio.info(path) for name, path in job.files.items()}
    first = next(iter(facts.values()))
    shape = (first.channels, first.samples)
    stems = {name: _signal(path, first.rate, shape) for name, path in job.files.items()}
    page = spectrogram.picture(
        _signal(job.song, first.rate, shape, start, stream),
        stems,
        first.rate,
        title=title,
        truths=_truths(job, first.rate, shape, start),
    )
    return figure.save(page, job.picture)


def _truths(
    job: Job, rate: int, shape: tuple[int, int], start: float
) -> dict[str, spectrogram.Signal]:
    """Return the true stems in the folder of a song, and their sums."""
    if stem_of(job.song, whole=True) != MIXTURE:
        return {}
    beside = {stem_of(file, whole=True): file for file in files(job.song.parent, audio.SUFFIXES)}
    own = audio.info(job.song)
    found: dict[str, spectrogram.Signal] = {}
    for stem in job.files:
        paths = [beside.get(term) for term in ((stem,) if stem in beside else SUMS.get(stem, ()))]
        there = [path for path in paths if path is not None]
        facts = [audio.info(path) for path in there]
        alike = all((fact.channels, fact.rate) == (own.channels, own.rate) for fact in facts)
        if there and len(there) == len(paths) and alike:
            signals = [_signal(path, rate, shape, start) for path in there]
            found[stem] = signals[0] if len(signals) == 1 else _Sum(tuple(signals), shape)
    return found


def _signal(
    path: Path, rate: int, shape: tuple[int, int], start: float = 0.0, stream: int | None = None
) -> spectrogram.Signal:
    if path.suffix.lower() in _SEEKABLE:
        info = audio.info(path)
        if info.rate == rate:
            return _FileSignal(path, rate, shape, info.samples, round(start * rate), stream)
    return _Forward(path, rate, shape, start, stream)
