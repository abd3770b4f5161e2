"""Encodes wav, flac and ogg by libsndfile; `lossy` has the other formats."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from sepbench._util.partial import partial_path
from sepbench.audio.headers import chunks_of_wav
from sepbench.audio.libsndfile import VORBIS_ORDER
from sepbench.audio.tags import Tags, add_cover
from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    import soundfile

WAV_LIMIT = 2**32 - 2**12
"""Size in bytes beyond which a wav file becomes RF64, which has 64-bit sizes."""

MAX_BLOCK = 1 << 16
"""Samples to encode at once; longer buffers overflow the stack of libvorbis."""

_SUBTYPES = {"16": "PCM_16", "24": "PCM_24", "32f": "FLOAT"}
_BYTES = {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}
_VORBIS_MAX_RATE = 200_000

_SPEAKERS = "FL FR FC LFE BL BR FLC FRC BC SL SR TC TFL TFC TFR TBL TBC TBR".split()
"""Channel names by bit of a wav file's channel mask."""

_TEXTS = {"title", "artist", "album", "comment", "copyright", "date", "genre"}
"""Tags that libsndfile can write, and ``track``, which it calls ``tracknumber``."""

DEFAULT_BIT_DEPTH = "24"


@dataclass(frozen=True)
class Sound:
    """Format of the output: rate (Hz), channels and their names, bit depth or kbit/s, and tags."""

    rate: int
    channels: int
    layout: str | None = None
    bit_depth: str = DEFAULT_BIT_DEPTH
    bitrate: int | None = None
    tags: Tags = field(default_factory=Tags)


class Encoder(Protocol):
    """An open output file; errors of the library pass through."""

    path: Path
    """Path of the file, which may change while it is written."""

    clipped: int

    def write(self, block: NDArray[np.float32]) -> None:
        """Append ``(channels, n)``."""

    def close(self) -> None:
        """Finish the file."""


class LibsndfileEncoder:
    """Writes wav (RF64 beyond 4 GiB), flac, and Vorbis in ogg."""

    clipped = 0

    def __init__(self, path: Path, format: str, sound: Sound) -> None:
        # libsndfile's Vorbis encoder crashes above.
        if format == "ogg" and sound.rate > _VORBIS_MAX_RATE:
            raise UnwritableError(unsupported(format, sound))
        self.path = path
        self._sound, self._format = sound, format.upper()
        self._subtype = "VORBIS" if format == "ogg" else _SUBTYPES[sound.bit_depth]
        self._mask = _mask(sound.layout) if format == "wav" else 0
        self._written = 0
        self._file = self._create(path, "WAVEX" if self._mask else self._format)

    def write(self, block: NDArray[np.float32]) -> None:
        """Append ``(channels, n)``."""
        total = (self._written + block.shape[1]) * self._sound.channels
        wide = self._file.format == "RF64"
        if self._format == "WAV" and not wide and total * _BYTES[self._subtype] > WAV_LIMIT:
            self._to_rf64()
        self._put(self._encoded(block).T)
        self._written += block.shape[1]

    def _encoded(self, block: NDArray[np.float32]) -> NDArray[np.float32] | NDArray[np.int32]:
        """Round to the nearest integer; libsndfile's own conversion rounds down."""
        if not self._subtype.startswith("PCM"):
            order = VORBIS_ORDER.get(len(block)) if self._subtype == "VORBIS" else None
            return block if order is None else block[order]
        self.clipped += int(np.count_nonzero(np.abs(block) > 1))
        bits = int(self._subtype.removeprefix("PCM_"))
        scale = 1 << (bits - 1)
        whole = np.clip(np.rint(block.astype(np.float64) * scale), -scale, scale - 1)
        return whole.astype(np.int32) << (32 - bits)

    def _put(self, frames: NDArray[np.float32] | NDArray[np.int32]) -> None:
        self._file.write(np.ascontiguousarray(frames))

    def _to_rf64(self) -> None:
        """Continue in a copy with 64-bit sizes."""
        import soundfile

        self._file.close()
        short, self.path = self.path, partial_path(self.path)
        dtype = "float32" if self._subtype == "FLOAT" else "int32"
        try:
            self._file = self._create(self.path, "RF64")
            with soundfile.SoundFile(short) as source:
                for frames in source.blocks(MAX_BLOCK, dtype=dtype, always_2d=True):
                    self._put(frames)
        finally:
            short.unlink()

    def _create(self, path: Path, format: str) -> soundfile.SoundFile:
        import soundfile

        try:
            file = soundfile.SoundFile(
                path,
                "w",
                samplerate=self._sound.rate,
                channels=self._sound.channels,
                format=format,
                subtype=self._subtype,
            )
        except soundfile.SoundFileError as error:
            raise UnwritableError(unsupported(format.removesuffix("EX"), self._sound)) from error
        for name, text in self._sound.tags.texts.items():
            if name in _TEXTS:
                setattr(file, name, text)
            elif name == "track":
                file.tracknumber = text
        return file

    def close(self) -> None:
        """Finish the file."""
        if self._file.closed:
            return
        self._file.close()
        if self._format == "WAV":
            _finish_header(self.path, self._mask)
        elif self._sound.tags.cover:
            add_cover(self.path, self._format.lower(), self._sound.tags.cover)


class UnwritableError(SepbenchError):
    """The format does not support these channels or this rate."""


def unsupported(format: str, sound: Sound) -> str:
    """Return why a format does not support a sound."""
    return f"{format.lower()} does not support {sound.channels} channels at {sound.rate} Hz"


def _mask(layout: str | None) -> int:
    """Return the channel mask of a wav file, 0 for channels without names."""
    if layout is None:
        return 0
    import av

    names = [channel.name for channel in av.AudioLayout(layout).channels]
    return sum(1 << _SPEAKERS.index(name) for name in names if name in _SPEAKERS)


def _finish_header(path: Path, mask: int) -> None:
    """Write the channel names; remove the time of writing, so that equal runs give equal files."""
    with path.open("r+b") as file:
        for name, offset in chunks_of_wav(file):
            if name == b"PEAK":
                file.seek(offset + 4)
                file.write(bytes(4))
            if name == b"fmt " and mask:
                file.seek(offset + 20)
                file.write(mask.to_bytes(4, "little"))
