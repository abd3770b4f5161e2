"""Finds the packet of an mp3 file from which decoding gives the same samples as from the beginning.

An mp3 frame depends on at most 511 bytes before it, and overlaps with one frame. So decoding can
begin shortly before a start, if it is certain how many samples come before. FFmpeg can seek, and
gives the time of the packet that it found. The time is certain if the frames before the packet,
counted here, are as many, follow each other without gaps, and can all be decoded.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av
    from av.audio.stream import AudioStream

_WARM_UP = 1024
"""Frames decoded before a start.

The smallest (8 kbit/s stereo at 24 kHz with a checksum) have one byte of the 511.
"""

_EDGE = 16
"""Frames at the beginning in which FFmpeg may remove padding, 4095 samples and the delay."""

_LONG_FRAME, _SHORT_FRAME = 1152, 576
_FRAME_SIZE = 1 << 10
_AT_ONCE = 1 << 14

_FULL, _HALF, _QUARTER = 3, 2, 0
"""Versions in a header: MPEG 1, 2 and 2.5, with full, half and a quarter of the rates (Hz)."""

_RATES = {
    _FULL: (44100, 48000, 32000),
    _HALF: (22050, 24000, 16000),
    _QUARTER: (11025, 12000, 8000),
}
_HIGH = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_LOW = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MOST_VALUES = 288
_INFO, _XING, _VBRI = b"Info", b"Xing", b"VBRI"

Packets: TypeAlias = "Iterator[av.Packet[AudioStream]]"

Near = tuple[int, Packets]
"""A number of samples, and the packets after them."""


def after_tag(head: bytes) -> int:
    """Return the offset after the ID3 tag of a file that begins with these 10 bytes."""
    if not head.startswith(b"ID3") or len(head) < 10:
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return size + 10


def says_length(path: Path) -> bool:
    """Return whether the first frame of an mp3 file says how many there are."""
    with path.open("rb") as file:
        _first_frame(file)
        head = file.read(_FRAME_SIZE)
    return any(label in head for label in (_INFO, _XING, _VBRI))


def begins_with_label(path: Path) -> bool:
    """Return whether a file begins with the frame that encoders write before an mp3 stream.

    FFmpeg takes a file of only a few frames for another format, by its content.
    """
    with path.open("rb") as file:
        _first_frame(file)
        head = file.read(_FRAME_SIZE)
    kind = _Kind.of(head)
    return kind is not None and head.startswith((_INFO, _XING), kind.side.stop)


def _first_frame(file: BinaryIO) -> int:
    """Seek to the first frame of a file; return its offset."""
    return file.seek(after_tag(file.read(10)))


@contextmanager
def near(path: Path, first: int) -> Iterator[Near | None]:
    """Provide the packets from shortly before sample ``first`` on, and their first sample.

    None if ``first`` is near the beginning or the position is not certain. The file is open inside.
    """
    import av

    if first < 2 * _WARM_UP * _SHORT_FRAME:
        yield None
        return
    with path.open("rb") as file, av.open(_InfoAsXing(file), "r", format="mp3") as container:
        try:
            found = _seek(path, container, first)
        except (av.FFmpegError, StopIteration):
            found = None
        yield found


def _seek(path: Path, container: av.container.InputContainer, first: int) -> Near | None:
    stream = container.streams.audio[0]
    early = list(islice(container.demux(stream), _EDGE))
    start, ticks = early[0].pos, early[0].duration
    kind = _Kind.of(bytes(early[0]))
    if kind is None or start is None or ticks is None or early[0].pts != 0:
        return None
    frame = first // kind.samples - _WARM_UP
    if frame < _WARM_UP:
        return None
    kept = sum(frame.samples for packet in early for frame in packet.decode())
    container.seek(frame * ticks, stream=stream)
    packets = container.demux(stream)
    landing = next(packets)
    count = _count(path, kind, start, landing.pos or start)
    if count is None or count > frame or count * ticks != landing.pts:
        return None
    removed = len(early) * kind.samples - kept
    return count * kind.samples - removed, chain([landing], packets)


class _InfoAsXing:
    """A file whose Info tag reads as a Xing tag.

    FFmpeg takes the label Info for a constant bit rate, and seeks by it only roughly.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        at = _first_frame(file)
        found = file.read(_FRAME_SIZE).find(_INFO)
        self._label = -1 if found < 0 else at + found
        file.seek(0)

    def read(self, size: int) -> bytes:
        at = self._file.tell()
        data = self._file.read(size)
        if not at <= self._label < at + len(data):
            return data
        return data[: self._label - at] + _XING + data[self._label - at + 4 :]

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _count(path: Path, kind: _Kind, start: int, stop: int) -> int | None:
    """Return the number of frames between two bytes of a file.

    None if they are not exactly a sequence of frames of this kind that can all be decoded.
    """
    sizes = kind.sizes()
    offsets = []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        while start < stop:
            offsets.append(start)
            start += sizes.get(data[start : start + 3], stop)
    if start != stop:
        return None
    content = np.memmap(path, np.uint8, mode="r")
    for at in range(0, len(offsets), _AT_ONCE):
        heads = np.add.outer(offsets[at : at + _AT_ONCE], np.arange(kind.side.stop))
        if heads[-1, -1] >= len(content) or not kind.can_decode(content[heads]):
            return None
    return len(offsets)


@dataclass(frozen=True)
class _Kind:
    """The frames of one version, rate and number of channels.

    Source: ISO 11172-3, section 2.4.1, and ISO 13818-3 for the lower rates.
    """

    head: bytes

    @classmethod
    def of(cls, frame: bytes) -> _Kind | None:
        """Return the kind of a frame, None if it is not one of mp3."""
        if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE6 != 0xE2:
            return None
        kind = cls(frame[:4])
        return kind if kind.version in _RATES and kind.rate_index < 3 else None

    @property
    def version(self) -> int:
        return self.head[1] >> 3 & 3

    @property
    def rate_index(self) -> int:
        return self.head[2] >> 2 & 3

    @property
    def samples(self) -> int:
        return _LONG_FRAME if self.version == _FULL else _SHORT_FRAME

    @property
    def is_mono(self) -> bool:
        return self.head[3] >> 6 == 3

    @property
    def fields(self) -> tuple[int, int, int]:
        """Bits of the side information, of each granule and channel in it, and of its selector."""
        if self.version == _FULL:
            return (136 if self.is_mono else 256), 59, 4
        return (72 if self.is_mono else 136), 63, 9

    @property
    def side(self) -> slice:
        """The bytes of the side information, after the header and perhaps a checksum."""
        start = 4 if self.head[1] & 1 else 6
        return slice(start, start + self.fields[0] // 8)

    def sizes(self) -> dict[bytes, int]:
        """Return the size of a frame in bytes by the first three bytes of its header."""
        rate = _RATES[self.version][self.rate_index]
        sizes = {}
        for number, kbits in enumerate(_HIGH if self.version == _FULL else _LOW, 1):
            whole = self.samples * 125 * kbits // rate
            for low in range(4):  # The lowest bit is private, the one above adds a byte.
                third = number << 4 | self.rate_index << 2 | low
                sizes[self.head[:2] + bytes([third])] = whole + (low >> 1)
        return sizes

    def can_decode(self, frames: NDArray[np.uint8]) -> bool:
        """Return whether FFmpeg decodes frames, of which each row has the first bytes.

        The side information has, for each granule and channel, a length (12 bits), big_values (9),
        a gain (8), a selector of scale factors, a flag for other windows, and their type (2).
        FFmpeg returns no samples if big_values or the type is invalid.
        """
        if ((frames[:, 3] >> 6 == 3) != self.is_mono).any():
            return False
        total, size, selector = self.fields
        bits = np.unpackbits(frames[:, self.side], axis=1)
        for start in range(total % size, total, size):
            values = bits[:, start + 12 : start + 21] @ (1 << np.arange(8, -1, -1))
            flag, high, low = bits[:, start + 29 + selector : start + 32 + selector].T
            if (values > _MOST_VALUES).any() or (flag > high | low).any():
                return False
        return True
