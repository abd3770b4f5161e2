"""The two ways to encode a file: libsndfile, and FFmpeg's libraries for mp3, m4a and opus."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sepbench._util.partial import partial_path
from sepbench.audio.headers import chunks_of_wav
from sepbench.audio.libsndfile import VORBIS_ORDER
from sepbench.audio.resampling import StreamResampler
from sepbench.audio.tags import Tags, add_cover
from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    import soundfile

WAV_LIMIT = 2**32 - 2**12
"""Bytes of samples beyond which a wav file is written as RF64, the wav with 64-bit sizes."""

_SUBTYPES = {"16": "PCM_16", "24": "PCM_24", "32f": "FLOAT"}
_BYTES = {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}
_CHUNK = 1 << 16

_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_SPEAKERS = "FL FR FC LFE BL BR FLC FRC BC SL SR TC TFL TFC TFR TBL TBC TBR".split()
"""Channels in the order of the bits of a wav file's channel mask."""

_TEXTS = {"title", "artist", "album", "comment", "copyright", "date", "genre"}
"""The tags that libsndfile can write, ``track`` apart, which it calls ``tracknumber``."""


@dataclass(frozen=True)
class Sound:
    """What is to be written: rate (Hz), channels and their names, bits or kbit/s, and tags."""

    rate: int
    channels: int
    layout: str | None = None
    bit_depth: str = "24"
    bitrate: int | None = None
    tags: Tags = field(default_factory=Tags)


class Encoder(Protocol):
    """A file that is being written; it raises whatever its library raises."""

    path: Path
    """Where it is; may change while it is written."""

    clipped: int

    def write(self, block: NDArray[np.float32]) -> None:
        """Append ``(channels, n)``."""

    def close(self) -> None:
        """Finish the file."""


class LibsndfileEncoder:
    """wav, which becomes RF64 where it grows beyond 4 GiB, flac, and ogg with Vorbis in it."""

    clipped = 0

    def __init__(self, path: Path, format: str, sound: Sound) -> None:
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
        """Round to the nearest whole number; libsndfile's own conversion rounds down."""
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
        """Go on in a copy with 64-bit sizes."""
        import soundfile

        self._file.close()
        short, self.path = self.path, partial_path(self.path)
        dtype = "float32" if self._subtype == "FLOAT" else "int32"
        try:
            self._file = self._create(self.path, "RF64")
            with soundfile.SoundFile(short) as source:
                for frames in source.blocks(_CHUNK, dtype=dtype, always_2d=True):
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
            raise UnwritableError(_refusal(format.removesuffix("EX"), self._sound)) from error
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
            _settle_header(self.path, self._mask)
        elif self._format == "FLAC" and self._sound.tags.cover:
            self.path = _with_cover(self.path, self._sound.tags)


class FfmpegEncoder:
    """mp3, m4a (AAC) and opus; the rate becomes the nearest that the codec has."""

    clipped = 0

    def __init__(self, path: Path, format: str, sound: Sound) -> None:
        import av

        self.path = path
        kind = LOSSY[format]
        if sound.channels not in kind.channels:
            raise UnwritableError(_refusal(format, sound))
        rates = sorted(av.Codec(kind.codec, "w").audio_rates or [sound.rate])
        self._rate = next((rate for rate in rates if rate >= sound.rate), rates[-1])
        self._resampler = StreamResampler(sound.rate, self._rate)
        self._is_resampled = self._rate != sound.rate
        self._layout = sound.layout or _LAYOUTS[sound.channels]
        self._at = 0
        options = {"fflags": "+bitexact", **kind.options}
        self._container: Any = av.open(str(path), "w", format=kind.container, options=options)
        self._closed = False
        flags = {"flags": "+bitexact"}
        stream: Any = self._container.add_stream(
            kind.codec, rate=self._rate, layout=self._layout, options=flags
        )
        self._stream = stream
        usual = kind.bitrate * max(2, sound.channels) // 2
        stream.bit_rate = 1000 * (sound.bitrate or usual)
        self._container.metadata.update(sound.tags.texts)
        if sound.tags.cover and kind.takes_cover:
            add_cover(self._container, sound.tags.cover)

    def write(self, block: NDArray[np.float32]) -> None:
        """Append ``(channels, n)``."""
        self._encode(self._resampler.process(block) if self._is_resampled else block)

    def _encode(self, block: NDArray[np.float32]) -> None:
        import av

        if not block.shape[1]:
            return
        # Interleaved: PyAV crashes on planes of eight channels and more.
        interleaved = np.ascontiguousarray(block.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(interleaved, format="flt", layout=self._layout)
        frame.rate, frame.pts = self._rate, self._at
        self._at += block.shape[1]
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file."""
        if self._closed:
            return
        self._closed = True
        with self._container as container:
            if self._is_resampled and self._at:
                self._encode(self._resampler.finish())
            container.mux(self._stream.encode(None))


@dataclass(frozen=True)
class Lossy:
    """A format that FFmpeg writes: its codec, its container, and its kbit/s for two channels."""

    codec: str
    container: str
    bitrate: int
    channels: tuple[int, ...]
    takes_cover: bool
    options: dict[str, str]


LOSSY = {
    "mp3": Lossy("libmp3lame", "mp3", 256, (1, 2), True, {}),
    "m4a": Lossy(
        "aac",
        "mp4",
        256,
        (1, 2, 3, 4, 5, 6, 7, 8),
        True,
        {"brand": "M4A ", "movflags": "+faststart"},
    ),
    # FFmpeg's encoder puts five and seven channels in the wrong order.
    "opus": Lossy("libopus", "opus", 160, (1, 2, 3, 4, 6, 8), False, {}),
}


class UnwritableError(SepbenchError):
    """What a format cannot hold."""


def _refusal(format: str, sound: Sound) -> str:
    return f"{format.lower()} takes no {sound.channels} channels at {sound.rate} Hz"


def _mask(layout: str | None) -> int:
    """Return the channel mask of a wav file, 0 for channels without names."""
    if layout is None:
        return 0
    import av

    names = [channel.name for channel in av.AudioLayout(layout).channels]
    return sum(1 << _SPEAKERS.index(name) for name in names if name in _SPEAKERS)


def _settle_header(path: Path, mask: int) -> None:
    """Write the channels' names; take out the time of writing, so that equal runs are equal."""
    with path.open("r+b") as file:
        for name, offset in chunks_of_wav(file):
            if name == b"PEAK":
                file.seek(offset + 4)
                file.write(bytes(4))
            if name == b"fmt " and mask:
                file.seek(offset + 20)
                file.write(mask.to_bytes(4, "little"))


def _with_cover(path: Path, tags: Tags) -> Path:
    """Return a copy of a file, without encoding it anew, that has the cover; remove the first."""
    import av

    covered = partial_path(path)
    try:
        with (
            av.open(str(path)) as source,
            av.open(str(covered), "w", format="flac", options={"fflags": "+bitexact"}) as target,
        ):
            stream = target.add_stream_from_template(source.streams.audio[0])
            target.metadata.update(tags.texts)
            add_cover(target, tags.cover or b"")
            for packet in source.demux(source.streams.audio[0]):
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
    except BaseException:
        covered.unlink(missing_ok=True)
        raise
    os.unlink(path)
    return covered
