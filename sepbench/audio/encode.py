"""Writes audio files as the samples come, whole or not at all."""

from __future__ import annotations

import errno
import os
import uuid
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    import soundfile

BIT_DEPTHS: dict[str, tuple[str, ...]] = {
    "wav": ("16", "24", "32f"),
    "flac": ("16", "24"),
    "ogg": (),
}
"""The formats that can be written and the bits a sample each can have; ogg (vorbis) has none."""

WAV_LIMIT = 2**32 - 2**12
"""Bytes of samples beyond which a wav file is written as RF64, the wav with 64-bit sizes."""

_SUBTYPES = {"16": "PCM_16", "24": "PCM_24", "32f": "FLOAT"}
# Long buffers overflow the stack of libvorbis, and whole numbers need a copy of each block.
_CHUNK = 1 << 16


def check_format(format: str, bit_depth: str) -> None:
    """Raise `SepbenchError` unless ``format`` can be written with ``bit_depth``."""
    if format not in BIT_DEPTHS:
        raise SepbenchError(f"cannot write {format!r} files; choose {', '.join(BIT_DEPTHS)}")
    depths = BIT_DEPTHS[format]
    if depths and bit_depth not in depths:
        raise SepbenchError(f"{format} has no bit depth {bit_depth}; choose {' or '.join(depths)}")


class Writer:
    """Writes float blocks to a wav, flac or ogg file, which appears only when it is complete.

    Use it as a context manager: leaving normally puts the file in its place, an exception leaves
    what was there before. Parent folders are made, and removed if they stay empty. ``bit_depth``
    is one of `BIT_DEPTHS`; ogg ignores it. The level is kept: whole-number formats clip beyond full
    scale, and count it.
    """

    clipped: int = 0
    """Samples beyond full scale that a whole-number format has cut."""

    peak: float = 0.0
    """The largest magnitude written; 1 is full scale."""

    def __init__(self, path: Path, rate: int, channels: int, *, bit_depth: str = "24") -> None:
        self.path = path
        self.samples = 0
        self._format = path.suffix.lower().removeprefix(".")
        check_format(self._format, bit_depth)
        self._rate, self._channels = rate, channels
        self._subtype = _SUBTYPES[bit_depth] if BIT_DEPTHS[self._format] else "VORBIS"
        self._temporary = path.with_name(f".{uuid.uuid4().hex}.part")
        self._new_folders: list[Path] = []
        self._file: soundfile.SoundFile | None = None

    def __enter__(self) -> Writer:
        try:
            if self.path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self._new_folders = [up for up in self.path.parents if not up.exists()]
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # libsndfile would say no more than "system error".
            self._temporary.open("xb").close()
        except OSError as error:
            self._remove_empty_folders()
            raise self._failure(error) from error
        try:
            self._file = self._create(self._temporary, self._format.upper())
        except SepbenchError:
            self._temporary.unlink()
            self._remove_empty_folders()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        import soundfile

        try:
            self._close()
            if kind is None:
                os.replace(self._temporary, self.path)
        except (soundfile.SoundFileError, OSError) as problem:
            raise self._failure(problem) from problem
        finally:
            self._temporary.unlink(missing_ok=True)
            self._remove_empty_folders()

    def write(self, samples: NDArray[np.float32]) -> None:
        """Append a block ``(channels, samples)``; raises `SepbenchError` where the disk is full."""
        for start in range(0, samples.shape[1], _CHUNK):
            self._append(samples[:, start : start + _CHUNK])

    def _append(self, block: NDArray[np.float32]) -> None:
        self.peak = max(self.peak, float(np.abs(block).max()))
        bytes_each = {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}.get(self._subtype, 0)
        total = (self.samples + block.shape[1]) * self._channels * bytes_each
        if self._file is not None and self._file.format == "WAV" and total > WAV_LIMIT:
            self._to_rf64()
        self._put(self._encoded(block).T)
        self.samples += block.shape[1]

    def _encoded(self, block: NDArray[np.float32]) -> NDArray[np.float32] | NDArray[np.int32]:
        """Round to the nearest whole number; libsndfile's own conversion rounds down."""
        if not self._subtype.startswith("PCM"):
            return block
        self.clipped += int(np.count_nonzero(np.abs(block) > 1))
        bits = int(self._subtype.removeprefix("PCM_"))
        scale = 1 << (bits - 1)
        whole = np.clip(np.rint(block.astype(np.float64) * scale), -scale, scale - 1)
        return whole.astype(np.int32) << (32 - bits)

    def _put(self, frames: NDArray[np.float32] | NDArray[np.int32]) -> None:
        import soundfile

        assert self._file is not None, "Writer is used outside its 'with' block"  # noqa: S101
        try:
            self._file.write(np.ascontiguousarray(frames))
        except (soundfile.SoundFileError, OSError, AssertionError) as error:
            # soundfile asserts that all was written, which a full disk belies.
            raise self._failure(error) from error

    def _to_rf64(self) -> None:
        """Go on in a copy with 64-bit sizes."""
        import soundfile

        self._close()
        short = self._temporary
        self._temporary = short.with_name(f".{uuid.uuid4().hex}.part")
        dtype = "float32" if self._subtype == "FLOAT" else "int32"
        try:
            self._file = self._create(self._temporary, "RF64")
            with soundfile.SoundFile(short) as source:
                for frames in source.blocks(_CHUNK, dtype=dtype, always_2d=True):
                    self._put(frames)
        finally:
            short.unlink()

    def _create(self, path: Path, format: str) -> soundfile.SoundFile:
        import soundfile

        try:
            return soundfile.SoundFile(
                path,
                "w",
                samplerate=self._rate,
                channels=self._channels,
                format=format,
                subtype=self._subtype,
            )
        except (soundfile.SoundFileError, OSError) as error:
            raise SepbenchError(
                f"{self.path}: cannot be written: {format.lower()} takes no "
                f"{self._channels} channels at {self._rate} Hz"
            ) from error

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _remove_empty_folders(self) -> None:
        """Leave no folder behind that was made for a file that was not."""
        for folder in self._new_folders:
            with suppress(OSError):
                folder.rmdir()

    def _failure(self, error: BaseException) -> SepbenchError:
        reason = "the disk is full or the file too large"
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror.lower()
        return SepbenchError(f"{self.path}: cannot be written: {reason}")
