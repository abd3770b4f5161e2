"""Decodes everything that libsndfile does not decode well, by FFmpeg's libraries (PyAV)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sepbench.audio.decoder import DecodingError
from sepbench.audio.headers import sample_data
from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    import av

_STEMS_FILES = (".stem.mp4", ".stem.m4a")
_LATE = 0.05
"""Seconds by which the sound of a video may begin after the picture without a word."""

# Streams of frames, each with its own header: a damaged frame costs itself alone, and what FFmpeg
# says of their length it has guessed from the bit rate, but for an mp3 with a Xing header.
_FRAMES = frozenset("aac ac3 eac3 dts dtshd loas mp3 mlp truehd".split())
_MP3_LENGTHS = (b"Xing", b"Info", b"VBRI")


class FfmpegDecoder:
    """mp3, ogg, opus, m4a, mp4, mkv, STEMS files and all else that FFmpeg's libraries know.

    Every decoding begins at the first packet, because decoders carry state from frame to frame:
    only so do the same samples come out whatever the start. STEMS files are read as musdb reads
    them, in 16 bit: the published scores of MUSDB18 were made with such references, and those of
    finer ones differ.
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
                raise SepbenchError(f"{path}: its sound is of a kind that nothing here decodes")
            self.rate: int = chosen.rate or 0
            self.channels: int = chosen.codec_context.channels
            if not (self.rate and self.channels):
                raise SepbenchError(f"{path}: {unreadable(path)}")
            self._frames_only = container.format.name in _FRAMES
            self._sixteen_bit = path.name.lower().endswith(_STEMS_FILES)
            guess = self._frames_only and not _says_length(path, container.format.name)
            self.promised = not (guess or self.notes) and chosen.duration is not None
            if guess:
                self.samples = _count(container, chosen)
            elif chosen.duration is not None and chosen.time_base is not None:
                self.samples = round(chosen.duration * chosen.time_base * self.rate)
            else:
                self.samples = (container.duration or 0) * self.rate // 1_000_000
            if stream is None and self.streams > 1 and not self._sixteen_bit:
                self._name_streams(container)
            self._note_late_sound(container, chosen)

    def _name_streams(self, container: av.container.InputContainer) -> None:
        names = (_name(number, each) for number, each in enumerate(container.streams.audio))
        self.notes.append(
            f"{self.streams} sound streams ({', '.join(names)}); this is the first; "
            "--stream N takes another"
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
                    f"its sound begins {late:.2f} s after the picture; stems begin with the sound"
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
        """Yield ``(channels, n)``, or only ``n`` for frames that end before sample ``first``."""
        import av

        position, joined = 0, False
        form, converter = None, av.AudioResampler("flt")
        layout: av.AudioLayout | None = None
        try:
            # Opened anew: seeking to the beginning loses the packet that primes an AAC decoder.
            with open_container(self._path) as container:
                for frame in self._frames(container):
                    now = (frame.format.name, frame.layout.name, frame.sample_rate)
                    if form not in (None, now):
                        # Files joined end to end may differ; the first says what comes out.
                        joined = True
                        yield from _samples(converter, None)
                        converter = av.AudioResampler("flt", layout, self.rate)
                    form, layout = now, layout or frame.layout
                    position += frame.samples
                    # While the format is the first, the converter holds nothing back.
                    if position <= first and not joined:
                        yield frame.samples
                    else:
                        yield from _samples(converter, frame)
                yield from _samples(converter, None)
        except (av.FFmpegError, ValueError) as error:
            raise DecodingError(_reason(error)) from error

    def _frames(self, container: av.container.InputContainer) -> Iterator[av.AudioFrame]:
        import av

        stream = container.streams.audio[self._number]
        done, lost = 0, 0
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                if not self._frames_only:
                    raise
                # What comes before all sound, or after it, is padding or a tag.
                lost += bool(done)
                continue
            for frame in frames:
                if lost and frame.samples:
                    place = f"{done / self.rate:.2f} s"
                    self.notes.append(f"damaged at {place}: {lost} frames passed over")
                    lost = 0
                done += frame.samples
                yield frame

    def _rounded(self, frame: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self._sixteen_bit:
            return frame
        whole = np.clip(np.rint(frame * 32768), -32768, 32767)
        return (whole / 32768).astype(np.float32, copy=False)

    def close(self) -> None:
        """Do nothing: a file is open only while its samples are read."""


def is_cover(stream: av.video.stream.VideoStream) -> bool:
    """Tell whether what FFmpeg calls a video is the cover of a song."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def channel_layout(path: Path) -> str | None:
    """Return a file's channel names as FFmpeg writes them (``5.1(side)``), None if unknown."""
    try:
        with open_container(path) as container:
            name: str = container.streams.audio[0].layout.name
    except (SepbenchError, IndexError):
        return None
    return None if name.endswith("channels") else name


@contextmanager
def open_container(path: Path) -> Iterator[av.container.InputContainer]:
    """Open a file for FFmpeg's libraries; raise `SepbenchError` where they cannot."""
    import av

    with ExitStack() as stack:
        try:
            # A bare name could be taken for an address such as `http:` or `concat:`.
            source: Any = f"file:{path}"
            if not _is_text(source):
                source = stack.enter_context(path.open("rb"))
            container = av.open(source, options={"protocol_whitelist": "file"})
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SepbenchError(f"{path}: {unreadable(path)}") from error
        yield stack.enter_context(container)


def _is_text(name: str) -> bool:
    """Tell whether a name can be written in UTF-8, as PyAV wants it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


_MAGIC = {
    b"RIFF": "wav",
    b"fLaC": "flac",
    b"OggS": "ogg",
    b"ID3": "mp3",
    b"\x1aE\xdf\xa3": "mkv or webm",
    b"FORM": "aiff",
    b"caff": "caf",
}


def unreadable(path: Path) -> str:
    """Return what is wrong with a file that no decoder can open, and the cure that fits."""
    with path.open("rb") as file:
        head = file.read(1 << 12)
    name = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
    if head[4:8] == b"ftyp":
        name = "m4a or mp4"
    if not any(head):
        return "not audio that can be read: it begins with zeros alone; get it anew"
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page, not audio; download the file itself"
    if name is not None:
        return f"not audio that can be read: its {name} data is damaged or incomplete; get it anew"
    return "not audio that can be read; convert it to wav or flac"


def _says_length(path: Path, format: str) -> bool:
    if format != "mp3":
        return False
    with path.open("rb") as file:
        file.seek(after_tag(file.read(10)))
        head = file.read(1 << 10)
    return any(word in head for word in _MP3_LENGTHS)


def after_tag(head: bytes) -> int:
    """Return where a file that begins with these 10 bytes goes on after its ID3 tag, if any."""
    if not head.startswith(b"ID3") or len(head) < 10:
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return size + 10


def _count(container: av.container.InputContainer, stream: av.audio.stream.AudioStream) -> int:
    """Return how many samples the packets of a stream say they hold."""
    ticks = sum(packet.duration or 0 for packet in container.demux(stream))
    return round(ticks * stream.time_base * stream.rate) if stream.time_base else 0


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
