"""Encodes mp3, m4a (AAC) and opus by FFmpeg's libraries."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sepbench._util.text import counted
from sepbench.audio.encoders import Sound, UnwritableError, unsupported
from sepbench.audio.resampling import StreamResampler
from sepbench.audio.tags import add_cover, mux_cover

if TYPE_CHECKING:
    import av

_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


class FfmpegEncoder:
    """Writes mp3, m4a (AAC) and opus at the next higher rate of the codec, or its highest."""

    clipped = 0

    def __init__(self, path: Path, format: str, sound: Sound) -> None:
        import av

        self.path = path
        self._format, self._kind = format, LOSSY[format]
        kind = self._kind
        if sound.channels not in kind.channels:
            raise UnwritableError(unsupported(format, sound))
        rates = sorted(av.Codec(kind.codec, "w").audio_rates or [sound.rate])
        self._rate = next((rate for rate in rates if rate >= sound.rate), rates[-1])
        self._resampler = StreamResampler(sound.rate, self._rate)
        self._is_resampled = self._rate != sound.rate
        self._is_empty = True
        named = sound.layout if kind.keeps_layout else None
        self._layout = named or _LAYOUTS[sound.channels]
        self._order = None if kind.keeps_layout else input_order(format, self._layout)
        self._at = 0
        options = {"fflags": "+bitexact", **kind.options}
        if kind.container == "mp4":
            # In its usual milliseconds, the length could end before the last samples.
            options["movie_timescale"] = str(self._rate)
        self._container: Any = av.open(str(path), "w", format=kind.container, options=options)
        self._closed = False
        flags = {"flags": "+bitexact"}
        stream: Any = self._container.add_stream(
            kind.codec, rate=self._rate, layout=self._layout, options=flags
        )
        self._stream = stream
        most = min(kind.most_for(sound.channels), _most_at(format, self._rate, sound.channels))
        if sound.bitrate and sound.bitrate > most:
            channels = counted(sound.channels, "channel")
            raise UnwritableError(
                f"{format} of {channels} at {self._rate} Hz has at most {most} kbit/s"
            )
        usual = kind.bitrate * max(2, sound.channels) // 2
        stream.bit_rate = 1000 * (sound.bitrate or usual)
        try:
            stream.codec_context.open()
        except ValueError as error:
            raise UnwritableError(
                f"{format} does not support {self._layout}; use --format wav"
            ) from error
        self._container.metadata.update(sound.tags.texts)
        self._cover = sound.tags.cover
        if self._cover and kind.muxes_cover:
            mux_cover(self._container, self._cover)

    def write(self, block: NDArray[np.float32]) -> None:
        """Append ``(channels, n)``."""
        self._is_empty &= not block.shape[1]
        self._encode(self._resampler.process(block) if self._is_resampled else block)

    def _encode(self, block: NDArray[np.float32]) -> None:
        # These encoders take integers, or give what players clip.
        self.clipped += int(np.count_nonzero(np.abs(block) > 1))
        if not block.shape[1]:
            return
        frame = _frame(block if self._order is None else block[self._order], self._layout)
        frame.rate, frame.pts = self._rate, self._at
        self._at += block.shape[1]
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file."""
        if self._closed:
            return
        self._closed = True
        with self._container as container:
            # The resampler may still hold a short song completely.
            if self._is_resampled and not self._is_empty:
                self._encode(self._resampler.finish())
            container.mux(self._stream.encode(None))
        if self._cover and not self._kind.muxes_cover:
            add_cover(self.path, self._format, self._cover)


@dataclass(frozen=True)
class Lossy:
    """An output format: codec, container, and kbit/s for two channels: the usual and the most."""

    codec: str
    container: str
    bitrate: int
    most: int
    channels: tuple[int, ...]
    muxes_cover: bool
    keeps_layout: bool
    options: dict[str, str]

    def most_for(self, channels: int) -> int:
        """Return the highest rate of a file in kbit/s; only that of mp3 is for any channels."""
        return self.most if len(self.channels) == 2 else self.most * channels // 2


def _most_at(format: str, rate: int, channels: int) -> int:
    """Return the highest kbit/s that a format has at a rate; encoders would lower any other."""
    if format == "mp3":
        return 64 if rate <= 12000 else 160 if rate <= 24000 else 320
    # A frame of AAC has 6144 bits for 1024 samples of a channel.
    return 6 * rate * channels // 1000 if format == "m4a" else 1024


_UP_TO_EIGHT = tuple(range(1, 9))
LOSSY = {
    "mp3": Lossy("libmp3lame", "mp3", 256, 320, (1, 2), True, True, {}),
    "m4a": Lossy(
        "aac",
        "mp4",
        256,
        512,
        _UP_TO_EIGHT,
        True,
        True,
        {"brand": "M4A ", "movflags": "+faststart"},
    ),
    # Opus has one layout for each number of channels.
    "opus": Lossy("libopus", "opus", 160, 512, _UP_TO_EIGHT, False, False, {}),
}


@cache
def input_order(format: str, layout: str) -> list[int]:
    """Return the order of input channels that gives the right output order.

    FFmpeg's Opus encoder permutes five and seven channels; a test with a tone in each shows how.
    """
    import av

    kind, rate, size = LOSSY[format], 48000, 1 << 14
    count = len(av.AudioLayout(layout).channels)
    if count < 3:
        return list(range(count))
    bins = 32 + 16 * np.arange(count)
    time = 2 * np.pi * np.arange(2 * size) / size
    tones = (0.1 * np.sin(bins[:, None] * time)).astype(np.float32)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind.container) as target:
        stream: Any = target.add_stream(kind.codec, rate=rate, layout=layout)
        stream.bit_rate = 64000 * count
        frame = _frame(tones, layout)
        frame.rate, frame.pts = rate, 0
        target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    buffer.seek(0)
    opened: Any = av.open(buffer)
    with opened as source:
        flat = av.AudioResampler("flt")
        frames = [each for frame in source.decode(audio=0) for each in flat.resample(frame)]
    decoded = np.concatenate([each.to_ndarray().reshape(each.samples, -1) for each in frames]).T
    spectra = np.abs(np.fft.rfft(decoded[:, size // 2 : size // 2 + size]))
    return [int(place) for place in np.argsort(spectra[:, bins].argmax(axis=1))]


def _frame(block: NDArray[np.float32], layout: str) -> av.AudioFrame:
    import av

    # Interleaved: PyAV crashes on planes of eight channels and more.
    interleaved = np.ascontiguousarray(block.T).reshape(1, -1)
    return av.AudioFrame.from_ndarray(interleaved, format="flt", layout=layout)
