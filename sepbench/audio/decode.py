"""The two ways to decode a file: libsndfile, and FFmpeg's libraries for what it cannot open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    import av

_CHUNK = 1 << 16
_FOR_FFMPEG = frozenset({".aac", ".m4a", ".mka", ".mp4", ".wma"})
_STEMS_FILES = (".stem.mp4", ".stem.m4a")


class Decoder(Protocol):
    """One stream of one open file."""

    rate: int
    channels: int
    samples: int
    exact: bool
    streams: int
    notes: tuple[str, ...]

    def chunks(self, first: int) -> Iterator[NDArray[np.float32]]:
        """Yield ``(channels, n)`` from sample ``first`` on; raise `DecodingError` at damage."""

    def close(self) -> None:
        """Close the file."""


class DecodingError(Exception):
    """A decoder gave up inside a file; the text says why."""


def open_decoder(path: Path, stream: int) -> Decoder:
    """Open stream number ``stream`` of a file, or raise a `SepbenchError` that says what it is."""
    reason = _not_a_file(path)
    if reason:
        raise SepbenchError(f"{path}: {reason}")
    import soundfile

    if path.suffix.lower() not in _FOR_FFMPEG:
        try:
            decoder: Decoder = LibsndfileDecoder(path)
        except (soundfile.SoundFileError, OSError):
            decoder = FfmpegDecoder(path, stream)
    else:
        decoder = FfmpegDecoder(path, stream)
    if not 0 <= stream < decoder.streams:
        decoder.close()
        raise SepbenchError(
            f"{path}: no audio stream {stream}; it has {decoder.streams}, counted from 0"
        )
    return decoder


def _not_a_file(path: Path) -> str | None:
    try:
        if path.is_dir():
            return "a folder, not an audio file"
        if not path.exists():
            return "no such file"
        with path.open("rb") as file:
            return None if file.read(1) else "an empty file; get it anew"
    except OSError as error:
        return f"cannot be read: {(error.strerror or str(error)).lower()}"


class LibsndfileDecoder:
    """wav, flac, ogg, mp3, aiff and others."""

    streams = 1

    def __init__(self, path: Path) -> None:
        import soundfile

        self._file = soundfile.SoundFile(path)
        self.rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.samples: int = self._file.frames
        self.exact = self._file.subtype.startswith(("PCM", "FLOAT", "DOUBLE"))
        self.notes = tuple(self._cut_short())

    def _cut_short(self) -> Iterator[str]:
        # libsndfile mends the length without a word, but writes it into its log.
        log = re.search(r"^data : (\d+) \(should be (\d+)\)", self._file.extra_info, re.MULTILINE)
        if log is None:
            return
        promised, held = int(log[1]), int(log[2])
        # Programs that write to a pipe leave the greatest number there is, or nearly.
        if held < promised < 0x7FFFF000:
            part = held / promised
            yield f"cut short: it holds {part:.1%} of the samples that its header promises"

    def chunks(self, first: int) -> Iterator[NDArray[np.float32]]:
        """Yield ``(channels, n)`` from sample ``first`` on."""
        import soundfile

        try:
            self._file.seek(min(first, self.samples))
            while True:
                frames = self._file.read(_CHUNK, dtype="float32", always_2d=True)
                if not len(frames):
                    return
                yield frames.T
        except soundfile.LibsndfileError as error:
            raise DecodingError(error.error_string.strip().rstrip(".")) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class FfmpegDecoder:
    """m4a, mp4, STEMS files and all else that FFmpeg's libraries know, through PyAV.

    STEMS files are read as musdb reads them, in 16 bit: the published scores of MUSDB18 were made
    with such references, and those of finer ones differ.
    """

    exact = False
    notes: tuple[str, ...] = ()

    def __init__(self, path: Path, stream: int) -> None:
        self._path, self._number = path, stream
        with self._open() as container:
            streams = container.streams.audio
            self.streams = len(streams)
            if not streams:
                raise SepbenchError(f"{path}: no audio in this file")
            chosen = streams[stream if 0 <= stream < len(streams) else 0]
            self.rate = chosen.rate
            self.channels = chosen.codec_context.channels
            if chosen.duration is not None and chosen.time_base is not None:
                self.samples = round(chosen.duration * chosen.time_base * self.rate)
            else:
                self.samples = (container.duration or 0) * self.rate // 1_000_000
        self._sixteen_bit = path.name.lower().endswith(_STEMS_FILES)

    def _open(self) -> av.container.InputContainer:
        import av

        try:
            # A bare name could be taken for an address such as `http:` or `concat:`.
            return av.open(f"file:{self._path}", options={"protocol_whitelist": "file"})
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SepbenchError(
                f"{self._path}: not audio that can be read; convert it to wav or flac"
            ) from error

    def chunks(self, first: int) -> Iterator[NDArray[np.float32]]:
        """Yield ``(channels, n)`` from sample ``first`` on."""
        # Decoders carry state from frame to frame: only from the beginning do all samples come
        # out the same whatever the start.
        position = 0
        for frame in self._frames():
            if position + frame.shape[1] > first:
                yield self._rounded(frame[:, max(0, first - position) :])
            position += frame.shape[1]

    def _frames(self) -> Iterator[NDArray[np.float32]]:
        import av

        converter = av.AudioResampler(format="fltp")
        try:
            # Opened anew: seeking to the beginning loses the packet that primes an AAC decoder.
            with self._open() as container:
                for frame in container.decode(container.streams.audio[self._number]):
                    yield from map(_samples, converter.resample(frame))
                yield from map(_samples, filter(None, converter.resample(None)))
        except (av.FFmpegError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DecodingError(reason[:1].lower() + reason[1:]) from error

    def _rounded(self, frame: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self._sixteen_bit:
            return frame
        whole = np.clip(np.rint(frame * 32768), -32768, 32767)
        return (whole / 32768).astype(np.float32, copy=False)

    def close(self) -> None:
        """Do nothing: a file is open only while its samples are read."""


def _samples(frame: av.AudioFrame) -> NDArray[np.float32]:
    return frame.to_ndarray().astype(np.float32, copy=False)
