"""Decodes compressed audio and video by FFmpeg's libraries (PyAV)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sepbench._util.text import counted
from sepbench.audio import mp3
from sepbench.audio.container import (
    is_cover,
    open_container,
    packet_samples,
    stated_seconds,
)
from sepbench.audio.decoder import DecodingError
from sepbench.audio.headers import ends_with_a_last_page, sample_data
from sepbench.audio.unreadable import unreadable
from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    import av

_STEMS_FILES = (".stem.mp4", ".stem.m4a")
_LATE = 0.05
"""Seconds that the audio of a video may start after the picture without a note."""

_ZEROS = 1 << 14
"""Bytes of zeros at the end of a file that are too many to be padding."""

# Streams of frames with headers: a damaged frame does not affect the others, and FFmpeg guesses
# their length from the bit rate, except for mp3 with a Xing header.
_FRAMES = frozenset("aac ac3 eac3 dts dtshd loas mp3 mlp truehd".split())


class FfmpegDecoder:
    """Decodes mp3, ogg, opus, m4a, mp4, mkv, STEMS files and all else that FFmpeg supports.

    Decoding begins at the first packet, because decoders carry state from frame to frame, or in mp3
    at one that `mp3.near` finds: so a sample does not depend on where reading starts. STEMS files
    are decoded to 16 bit as musdb does: the published scores of MUSDB18 were computed with such
    references.
    """

    exact = False

    def __init__(self, path: Path, stream: int | None) -> None:
        self._path, self._number = path, stream or 0
        data = sample_data(path)
        self.notes = data.notes if data else []
        with open_container(path) as container:
            streams = container.streams.audio
            self.streams = len(streams)
            if not streams:
                raise SepbenchError(f"{path}: no audio in this file")
            chosen = streams[self._number if 0 <= self._number < len(streams) else 0]
            if chosen.codec_context is None:
                raise SepbenchError(
                    f"{path}: its audio codec is not supported; convert it to wav or flac"
                )
            self.rate: int = chosen.rate or 0
            self.channels: int = chosen.codec_context.channels
            if not (self.rate and self.channels):
                raise SepbenchError(f"{path}: {unreadable(path)}")
            self._is_mp3 = container.format.name == "mp3"
            self._frames_only = container.format.name in _FRAMES
            self._sixteen_bit = path.name.lower().endswith(_STEMS_FILES)
            guess = self._frames_only and not (self._is_mp3 and mp3.says_length(path))
            length = None if guess else stated_seconds(container, chosen)
            self.promised = length is not None and not self.notes
            if container.format.name == "ogg" and not ends_with_a_last_page(path):
                self.notes.append("cut short: its last page is missing")
            if guess and _ends_in_zeros(path):
                self.notes.append(
                    "it ends in zeros, as a download that did not finish; get it again"
                )
            if guess:
                self.samples = packet_samples(container, chosen)
            elif length is not None:
                self.samples = round(length * self.rate)
            else:
                self.samples = (container.duration or 0) * self.rate // 1_000_000
            if stream is None and self.streams > 1 and not self._sixteen_bit:
                self._name_streams(container)
            self._note_late_sound(container, chosen)

    def _name_streams(self, container: av.container.InputContainer) -> None:
        names = (_name(number, each) for number, each in enumerate(container.streams.audio))
        self.notes.append(
            f"{self.streams} audio streams ({', '.join(names)}); this is the first; "
            "choose another with --stream N"
        )

    def _note_late_sound(
        self, container: av.container.InputContainer, chosen: av.audio.stream.AudioStream
    ) -> None:
        starts = [
            float(each.start_time * each.time_base)
            for each in container.streams.video
            if each.start_time is not None and each.time_base is not None and not is_cover(each)
        ]
        if starts and chosen.start_time is not None and chosen.time_base is not None:
            late = float(chosen.start_time * chosen.time_base) - min(starts)
            if late > _LATE:
                self.notes.append(
                    f"its audio begins {late:.2f} s after the picture; stems begin with the audio"
                )

    def chunks(self, first: int) -> Iterator[NDArray[np.float32] | int]:
        """Yield ``(channels, n)`` from sample ``first`` on, and numbers of samples before it."""
        position = 0
        for frame in self._decoded(first):
            if isinstance(frame, int):
                position += frame
                yield frame
                continue
            if position + frame.shape[1] > first:
                yield self._rounded(frame[:, max(0, first - position) :])
            position += frame.shape[1]

    def _decoded(self, first: int) -> Iterator[NDArray[np.float32] | int]:
        """Yield ``(channels, n)``, or only ``n`` for frames before sample ``first``."""
        import av

        joined = False
        form, converter = None, av.AudioResampler("flt")
        layout: av.AudioLayout | None = None
        try:
            with self._packets(first) as (position, packets):
                yield position
                for frame in self._frames(packets, position):
                    now = (frame.format.name, frame.layout.name, frame.sample_rate)
                    if form not in (None, now):
                        # Concatenated files may differ; the first decides the output format.
                        joined = True
                        yield from _samples(converter, None)
                        converter = av.AudioResampler("flt", layout, self.rate)
                    form, layout = now, layout or frame.layout
                    position += frame.samples
                    # The converter has no delay while the format does not change.
                    if position <= first and not joined:
                        yield frame.samples
                    else:
                        yield from _samples(converter, frame)
                yield from _samples(converter, None)
        except (av.FFmpegError, ValueError) as error:
            raise DecodingError(_reason(error)) from error

    @contextmanager
    def _packets(self, first: int) -> Iterator[mp3.Near]:
        """Provide the packets from sample ``first`` on, and the first sample of these packets."""
        if self._is_mp3:
            with mp3.near(self._path, first) as found:
                if found:
                    yield found
                    return
        # Reopen the file: seeking to the start loses the packet that primes an AAC decoder.
        with open_container(self._path) as container:
            yield 0, container.demux(container.streams.audio[self._number])

    def _frames(self, packets: mp3.Packets, done: int) -> Iterator[av.AudioFrame]:
        """Decode packets, of which the first begins at sample ``done``."""
        import av

        lost = 0
        for packet in packets:
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                if not self._frames_only:
                    raise
                # Damage before or after all audio is padding or a tag.
                lost += bool(done)
                continue
            for frame in frames:
                if lost and frame.samples:
                    at, frames_lost = done / self.rate, counted(lost, "frame")
                    self.notes.append(f"damaged at {at:.2f} s: {frames_lost} skipped")
                    lost = 0
                done += frame.samples
                yield frame

    def _rounded(self, frame: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self._sixteen_bit:
            return frame
        whole = np.clip(np.rint(frame * 32768), -32768, 32767)
        return (whole / 32768).astype(np.float32, copy=False)

    def close(self) -> None:
        """Do nothing: the file is open only while samples are read."""


def _ends_in_zeros(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _ZEROS))
        return not any(file.read())


def _name(number: int, stream: av.audio.stream.AudioStream) -> str:
    words = (stream.metadata.get("language"), stream.metadata.get("title"), stream.layout.name)
    return f"{number}: {' '.join(word for word in words if word)}"


def _reason(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    return reason[:1].lower() + reason[1:]


def _samples(
    converter: av.AudioResampler, frame: av.AudioFrame | None
) -> Iterator[NDArray[np.float32]]:
    for converted in converter.resample(frame):
        if converted is not None:
            # Interleaved: PyAV crashes on planes of eight channels and more.
            samples: NDArray[Any] = converted.to_ndarray()
            yield samples.reshape(converted.samples, -1).T
