"""Reads audio files, whole or in blocks, and explains why a file cannot be read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sepbench.audio.container import channel_layout
from sepbench.audio.decode import open_decoder
from sepbench.audio.decoder import DecodingError
from sepbench.errors import SepbenchError

_BLOCK = 1 << 18
# Compressed files pad their last frame, and may have a frame less than their header says.
_TOLERATED_SECONDS = 0.1
_SKIPPED_PER_CALL = 1 << 20
"""Samples skipped on the way to a start between calls of ``on_skip``."""

_TRUSTED = 1 << 24
"""Largest buffer that is allocated because of a header, in samples; it grows as they arrive."""


@dataclass(frozen=True)
class AudioInfo:
    """The contents of a file's header.

    ``samples`` is the length per channel: certain if ``exact``, otherwise an estimate that may be
    off by some frames, 0 if unknown. ``streams`` counts the audio streams, 5 in a STEMS file.
    ``notes`` list anomalies, such as a file cut short. ``layout`` names more than two channels as
    FFmpeg does: ``5.1``, ``7.1(wide)``.
    """

    path: Path
    rate: int
    channels: int
    samples: int
    exact: bool = True
    streams: int = 1
    notes: tuple[str, ...] = ()
    layout: str | None = None

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return self.samples / self.rate


@dataclass(frozen=True)
class Audio:
    """Samples ``(channels, samples)``, float32 with full scale 1, their rate in Hz, and notes."""

    samples: NDArray[np.float32]
    rate: int
    notes: tuple[str, ...] = ()


class Reader:
    """An open file: its header (`AudioInfo`) first, then its samples.

    Use it as a context manager. ``notes`` grows while samples are read. ``on_skip`` is called with
    the seconds that have been decoded on the way to a start.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        stream: int | None = None,
        on_skip: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        path = Path(path)
        self._on_skip = on_skip
        self._decoder = decoder = open_decoder(path, stream)
        self.notes = decoder.notes
        self.info = AudioInfo(
            path=path,
            rate=decoder.rate,
            channels=decoder.channels,
            samples=decoder.samples,
            exact=decoder.exact,
            streams=decoder.streams,
            notes=tuple(decoder.notes),
            layout=(
                channel_layout(path, stream or 0, decoder.channels)
                if decoder.channels > 2
                else None
            ),
        )

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *error: object) -> None:
        self._decoder.close()

    def blocks(
        self, size: int, *, start: float = 0.0, duration: float | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Yield ``(channels, size)`` from ``start`` on, the last block shorter, none empty.

        ``start`` and ``duration`` are seconds; the file may end before ``duration`` does. Raises
        `SepbenchError` for no samples, damage, NaN and infinity.
        """
        rate = self.info.rate
        first, wanted = self._span(start, duration)
        position = decoded = first

        def counted() -> Iterator[NDArray[np.float32]]:
            nonlocal decoded
            skipped = 0
            for chunk in self._decoder.chunks(first):
                if isinstance(chunk, int):
                    before, skipped = skipped, skipped + chunk
                    if before // _SKIPPED_PER_CALL != skipped // _SKIPPED_PER_CALL:
                        self._on_skip(skipped / rate)
                    continue
                decoded += chunk.shape[1]
                yield chunk

        try:
            for block in _regular(counted(), size, wanted):
                self._check(block, position)
                position += block.shape[1]
                yield block
        except DecodingError as error:
            raise self._damaged(first, decoded, str(error)) from error
        if position == first:
            raise self._no_samples(first)
        missing = self.info.seconds - position / rate
        if wanted is None and self._decoder.promised and missing > _TOLERATED_SECONDS:
            self.notes.append(f"cut short: it ends {missing:.2f} s before its header says")

    def read(self, *, start: float = 0.0, duration: float | None = None) -> Audio:
        """Return the samples from ``start`` on; errors as in `blocks`."""
        first, wanted = self._span(start, duration)
        expected = max(0, self.info.samples - first)
        capacity = expected if wanted is None else min(expected, wanted)
        samples = np.empty((self.info.channels, min(capacity, _TRUSTED)), np.float32)
        filled = 0
        for block in self.blocks(_BLOCK, start=start, duration=duration):
            end = filled + block.shape[1]
            if end > samples.shape[1]:
                more = np.empty((self.info.channels, end // 2), np.float32)
                samples = np.concatenate([samples[:, :filled], block, more], axis=1)
            samples[:, filled:end] = block
            filled = end
        return Audio(np.ascontiguousarray(samples[:, :filled]), self.info.rate, tuple(self.notes))

    def _span(self, start: float, duration: float | None) -> tuple[int, int | None]:
        """Return the first sample and the number of samples."""
        if not (start >= 0 and math.isfinite(start)):
            raise SepbenchError(
                f"{self.info.path}: cannot start at {start:g} s; start at 0 or later"
            )
        if duration is not None and not (duration > 0 and math.isfinite(duration)):
            raise SepbenchError(f"{self.info.path}: a duration of {duration:g} s is empty")
        rate = self.info.rate
        return round(start * rate), None if duration is None else max(1, round(duration * rate))

    def _damaged(self, first: int, decoded: int, reason: str) -> SepbenchError:
        rate = self.info.rate
        cure = "get it again"
        whole = math.floor(10 * (decoded - first) / rate) / 10
        if whole > 0:
            cure += f", or use the part before with --duration {whole:g}"
        place = f"damaged near {decoded / rate:.2f} s"
        return SepbenchError(f"{self.info.path}: {place}: {reason}; {cure}")

    def _no_samples(self, first: int) -> SepbenchError:
        if first == 0 or self.info.samples == 0:
            return SepbenchError(f"{self.info.path}: no samples in this file")
        return SepbenchError(
            f"{self.info.path}: cannot start at {first / self.info.rate:g} s; "
            f"it is {self.info.seconds:.2f} s long"
        )

    def _check(self, block: NDArray[np.float32], position: int) -> None:
        # Minimum and maximum propagate NaN and infinity without allocating a mask.
        if np.isfinite(block.min()) and np.isfinite(block.max()):
            return
        index = int(np.argmin(np.isfinite(block).all(axis=0)))
        channel = int(np.argmin(np.isfinite(block[:, index])))
        raise SepbenchError(
            f"{self.info.path}: sample {position + index} of channel {channel} "
            f"({(position + index) / self.info.rate:.3f} s) is {block[channel, index]:g}; "
            "repair or re-export the file"
        )


def _regular(
    chunks: Iterable[NDArray[np.float32]], size: int, wanted: int | None
) -> Iterator[NDArray[np.float32]]:
    """Cut chunks of any length into contiguous blocks of ``size``, ``wanted`` samples in all."""
    held: list[NDArray[np.float32]] = []
    count = 0
    left = math.inf if wanted is None else wanted
    for chunk in chunks:
        chunk = chunk[:, : int(min(chunk.shape[1], left))]
        left -= chunk.shape[1]
        held.append(chunk)
        count += chunk.shape[1]
        if count >= size:
            joined = np.concatenate(held, axis=1)
            whole = count - count % size
            for at in range(0, whole, size):
                yield np.ascontiguousarray(joined[:, at : at + size])
            held, count = [joined[:, whole:]], count - whole
        if left == 0:
            break
    if count:
        yield np.ascontiguousarray(np.concatenate(held, axis=1))


def info(path: Path | str) -> AudioInfo:
    """Return what the header of a file says; the length of compressed files is an estimate."""
    with Reader(path) as reader:
        return reader.info


def read(
    path: Path | str,
    *,
    start: float = 0.0,
    duration: float | None = None,
    stream: int | None = None,
) -> Audio:
    """Return the samples of an audio stream, from ``start`` for ``duration`` seconds.

    Raises `SepbenchError` for what is not audio, for no samples, damage, NaN and infinity.
    """
    with Reader(path, stream=stream) as reader:
        return reader.read(start=start, duration=duration)


def blocks(
    path: Path | str,
    size: int,
    *,
    start: float = 0.0,
    duration: float | None = None,
    stream: int | None = None,
) -> Iterator[NDArray[np.float32]]:
    """Yield blocks ``(channels, size)`` of a file of any length in bounded memory.

    Joined, the blocks are what `read` returns. Raises the same errors.
    """
    with Reader(path, stream=stream) as reader:
        yield from reader.blocks(size, start=start, duration=duration)
