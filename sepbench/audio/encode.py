"""Writes audio files block by block, atomically."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from sepbench._util.partial import partial_path
from sepbench.audio.encoders import (
    DEFAULT_BIT_DEPTH,
    MAX_BLOCK,
    Encoder,
    LibsndfileEncoder,
    Sound,
    UnwritableError,
)
from sepbench.audio.lossy import LOSSY, FfmpegEncoder
from sepbench.audio.tags import Tags
from sepbench.errors import SepbenchError

BIT_DEPTHS: dict[str, tuple[str, ...]] = {
    "wav": ("16", "24", "32f"),
    "flac": ("16", "24"),
    "ogg": (),
    **dict.fromkeys(LOSSY, ()),
}
"""Formats that can be written, with their bit depths; lossy ones have none."""


def check_format(format: str, bit_depth: str | None, bitrate: int | None = None) -> None:
    """Raise `SepbenchError` if ``format`` does not support these settings; ``None`` is any's."""
    if format not in BIT_DEPTHS:
        raise SepbenchError(f"cannot write {format!r} files; choose {', '.join(BIT_DEPTHS)}")
    depths = BIT_DEPTHS[format]
    if bit_depth is not None and bit_depth not in depths:
        cure = f"choose {' or '.join(depths)}" if depths else "leave it out"
        raise SepbenchError(f"{format} has no bit depth {bit_depth}; {cure}")
    if bitrate is not None and format not in LOSSY:
        raise SepbenchError(f"{format} has no bit rate; use --format {', '.join(LOSSY)}")
    if bitrate is not None:
        kind = LOSSY[format]
        if bitrate > (most := kind.most_for(max(kind.channels))):
            raise SepbenchError(f"{format} has at most {most} kbit/s, not {bitrate}; give less")


class Writer:
    """Writes float blocks to an audio file, which appears when it is complete.

    Use it as a context manager: a normal exit moves the file into place, an exception leaves an
    older file untouched. Parent folders are made, and removed if they stay empty. ``bit_depth``
    is one of `BIT_DEPTHS`, else 24, ``bitrate`` (kbit/s) for lossy formats, ``layout`` names more
    than two channels as `AudioInfo` does. Levels are not changed; integer formats clip beyond full
    scale, which is counted.
    """

    peak: float = 0.0
    """The largest magnitude written; full scale is 1."""

    def __init__(
        self,
        path: Path,
        rate: int,
        channels: int,
        *,
        bit_depth: str | None = None,
        bitrate: int | None = None,
        layout: str | None = None,
        tags: Tags | None = None,
    ) -> None:
        self.path = path
        self.samples = 0
        self._format = path.suffix.lower().removeprefix(".")
        check_format(self._format, bit_depth, bitrate)
        self._sound = Sound(
            rate, channels, layout, bit_depth or DEFAULT_BIT_DEPTH, bitrate, tags or Tags()
        )
        self._new_folders: list[Path] = []
        self._encoder: Encoder | None = None

    @property
    def clipped(self) -> int:
        """Number of samples clipped by an integer format."""
        return self._encoder.clipped if self._encoder else 0

    @property
    def partial(self) -> Path:
        """The temporary file, complete after `finish`."""
        return self._encoding.path

    @property
    def _encoding(self) -> Encoder:
        assert self._encoder is not None, "Writer is used outside its 'with' block"  # noqa: S101
        return self._encoder

    def __enter__(self) -> Writer:
        temporary = partial_path(self.path)
        try:
            if self.path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self._new_folders = [up for up in self.path.parents if not up.exists()]
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # The encoders report only "system error".
            temporary.open("xb").close()
        except OSError as error:
            self._remove_empty_folders()
            raise self._failure(error) from error
        kind = FfmpegEncoder if self._format in LOSSY else LibsndfileEncoder
        try:
            self._encoder = kind(temporary, self._format, self._sound)
        except BaseException as error:
            temporary.unlink()
            self._remove_empty_folders()
            if isinstance(error, Exception):
                raise self._failure(error) from error
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.finish()
                os.replace(self.partial, self.path)
            else:
                # Some encoders cannot be closed before any input.
                with suppress(Exception):
                    self._encoding.close()
        except OSError as problem:
            raise self._failure(problem) from problem
        finally:
            self.partial.unlink(missing_ok=True)
            self._remove_empty_folders()

    def write(self, samples: NDArray[np.float32]) -> None:
        """Append a block ``(channels, samples)``; raise `SepbenchError` if the disk is full."""
        for start in range(0, samples.shape[1], MAX_BLOCK):
            block = samples[:, start : start + MAX_BLOCK]
            self.peak = max(self.peak, float(np.abs(block).max()))
            try:
                self._encoding.write(block)
            # soundfile asserts that all samples were written, which fails on a full disk.
            except Exception as error:
                raise self._failure(error) from error
            self.samples += block.shape[1]

    def finish(self) -> None:
        """Finish the file, which stays at `partial` until the ``with`` block ends."""
        try:
            self._encoding.close()
        except Exception as error:
            raise self._failure(error) from error

    def _remove_empty_folders(self) -> None:
        """Remove the folders that were made for a file that was not written."""
        for folder in self._new_folders:
            with suppress(OSError):
                folder.rmdir()

    def _failure(self, error: Exception) -> SepbenchError:
        reason = "the disk is full or the file too large"
        if isinstance(error, UnwritableError):
            reason = str(error)
        elif isinstance(error, OSError) and error.strerror:
            reason = error.strerror.lower()
        elif isinstance(error, ValueError):
            reason = f"{self._format} cannot be encoded like this: {error}"
        return SepbenchError(f"{self.path}: cannot be written: {reason}")
