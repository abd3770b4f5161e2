"""A song in chunks, read as often as a separator needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from sepbench import audio
from sepbench.separator import AnySeparator

if TYPE_CHECKING:
    from sepbench.inference.jobs import SeparateOptions
    from sepbench.inference.overlap_add import Samples

_CHUNK = 1 << 19
"""Samples read at once."""


def chunks_of(
    reader: audio.Reader, separator: AnySeparator, options: SeparateOptions
) -> Iterable[Samples]:
    """Return a song in chunks ``(channels, n)``; a single one if the separator needs it whole."""
    if separator.context is None:
        return [reader.read(start=options.start, duration=options.duration).samples]
    return _Blocks(reader, options)


class _Blocks:
    """A song in chunks; every iteration reads the file again."""

    def __init__(self, reader: audio.Reader, options: SeparateOptions) -> None:
        self._reader, self._options = reader, options

    def __iter__(self) -> Iterator[Samples]:
        start, duration = self._options.start, self._options.duration
        return self._reader.blocks(_CHUNK, start=start, duration=duration)


class Counted:
    """Chunks whose seconds are reported as they are read."""

    def __init__(
        self, chunks: Iterable[Samples], rate: int, on_seconds: Callable[[float], None]
    ) -> None:
        self._chunks, self._rate, self._on_seconds = chunks, rate, on_seconds

    def __iter__(self) -> Iterator[Samples]:
        seconds = 0.0
        for chunk in self._chunks:
            yield chunk
            seconds += chunk.shape[1] / self._rate
            self._on_seconds(seconds)
