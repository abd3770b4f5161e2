"""Compares the header of an uncompressed file with its actual size."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

_LARGEST_PAGE = 27 + 255 + 255 * 255
"""Largest size of an Ogg page in bytes."""

_LAST = 4
"""The flag of the last page of an Ogg stream."""

_4_GIB = 1 << 32
_READ_AHEAD = 1 << 12
"""Bytes of samples that a reader of the header gets too."""

# Programs that write to a pipe leave the largest number, signed or not, or nearly: sox 0x7FFFF000.
_UNKNOWN_32 = (range(0x7FFFF000, 0x80000101), range(0xFFFFF000, _4_GIB))
_UNKNOWN_64 = 1 << 62


@dataclass(frozen=True)
class SampleData:
    """The part of a file that holds the samples.

    ``offset`` is its first byte, ``promised`` the bytes that the header says it has, None where the
    header does not say, and ``held`` the bytes from ``offset`` to the end of the file.
    """

    offset: int
    promised: int | None
    held: int
    big_endian: bool
    thirty_two_bit: bool

    @property
    def kept(self) -> float:
        """The share of the promised samples that the file holds, at most 1."""
        return 1.0 if not self.promised else min(1.0, self.held / self.promised)

    @property
    def wrapped(self) -> bool:
        """Whether the length did not fit the header's 32 bits."""
        promised = self.promised
        return bool(self.thirty_two_bit and promised and self.held - promised >= _4_GIB)

    @property
    def unfinished(self) -> bool:
        """Whether the header has no length, as after a recorder crashed."""
        return self.promised == 0 and self.held > 0

    @property
    def header_size(self) -> int:
        """Bytes that are enough for a reader of headers alone.

        Where `beyond` holds, FFmpeg would search the samples for more headers, for minutes.
        """
        return self.offset + _READ_AHEAD

    @property
    def beyond(self) -> bool:
        """Whether there may be samples after those that the header gives a reader."""
        is_open = self.thirty_two_bit and self.promised is None and self.held > _4_GIB // 4
        return self.unfinished or self.wrapped or is_open

    @property
    def notes(self) -> list[str]:
        """Anomalies, as messages for the user."""
        if self.kept < 1:
            kept = f"{self.kept:.1%} of the samples that its header announces"
            return [f"cut short: it holds {kept}"]
        if self.unfinished:
            return ["its header was never finished (length 0); read to the end of the file"]
        return (
            ["longer than its header can express (4 GiB); read to the end"] if self.wrapped else []
        )

    @property
    def actual(self) -> int:
        """Bytes of samples: a wrapped length is unwrapped, an open one extends to the end."""
        if not self.promised:
            return self.held
        if self.wrapped:
            return self.promised + (self.held - self.promised) // _4_GIB * _4_GIB
        return min(self.promised, self.held)


def sample_data(path: Path) -> SampleData | None:
    """Find the samples of a wav, rf64, w64, aiff, au or caf file; None for anything else."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        magic = file.read(12)
        for begins, kind, find in _CONTAINERS:
            if magic.startswith(begins):
                return find(file, size, kind)
    return None


_Kind = Literal["little", "big"]


def _int(data: bytes, order: _Kind) -> int:
    return int.from_bytes(data, order)


def _chunks(
    file: BinaryIO, start: int, size: int, order: _Kind, *, name: int, length: int, pad: int
) -> Iterator[tuple[bytes, int, int]]:
    """Yield each chunk's name, the offset of its content and the length its header gives."""
    while start + name + length <= size:
        file.seek(start)
        head = file.read(name + length)
        promised = _int(head[name:], order)
        yield head[:name], start + name + length, promised
        start += name + length + promised
        start += -start % pad


def chunks_of_wav(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield the name and the first byte of each chunk before the samples of a wav or rf64 file."""
    size = os.fstat(file.fileno()).st_size
    for name, offset, _ in _chunks(file, 12, size, "little", name=4, length=4, pad=2):
        if name == b"data":
            return
        yield name, offset


def _riff(file: BinaryIO, size: int, order: _Kind) -> SampleData | None:
    wide, is_wide = None, False
    for name, offset, promised in _chunks(file, 12, size, order, name=4, length=4, pad=2):
        if name == b"ds64":
            file.seek(offset + 8)
            wide = _known_64(_int(file.read(8), "little"))
            is_wide = True
        if name == b"data":
            length = wide if is_wide else _known_32(file, offset, promised, size, order)
            if length == 0 and _another_chunk(file, offset, size, order):
                return None
            return SampleData(offset, length, size - offset, order == "big", not is_wide)
    return None


def _known_32(file: BinaryIO, offset: int, promised: int, size: int, order: _Kind) -> int | None:
    """Return the length of a chunk, None if the number stands for an unknown one."""
    after = offset + promised + promised % 2
    if any(promised in numbers for numbers in _UNKNOWN_32) and not (
        after == size or _another_chunk(file, after, size, order)
    ):
        return None
    return promised


def _known_64(promised: int) -> int | None:
    return None if promised >= _UNKNOWN_64 else promised


def _another_chunk(file: BinaryIO, offset: int, size: int, order: _Kind) -> bool:
    """Return whether a chunk begins here, so that the one before it is really empty."""
    file.seek(offset)
    head = file.read(8)
    return len(head) == 8 and head[:4].isalnum() and _int(head[4:], order) <= size - offset - 8


def _aiff(file: BinaryIO, size: int, order: _Kind) -> SampleData | None:
    for name, offset, promised in _chunks(file, 12, size, order, name=4, length=4, pad=2):
        if name == b"SSND" and (promised or not _another_chunk(file, offset, size, order)):
            # Two alignment fields precede the samples.
            first = offset + 8
            known = _known_32(file, offset, promised, size, order)
            length = None if known is None else max(0, known - 8)
            return SampleData(first, length, max(0, size - first), True, True)
    return None


def _au(file: BinaryIO, size: int, order: _Kind) -> SampleData | None:
    file.seek(4)
    offset, promised = _int(file.read(4), order), _int(file.read(4), order)
    length = _known_32(file, offset, promised, size, order)
    return SampleData(offset, length, max(0, size - offset), order == "big", True)


def _caf(file: BinaryIO, size: int, order: _Kind) -> SampleData | None:
    big_endian = True
    for name, offset, promised in _chunks(file, 8, size, order, name=4, length=8, pad=1):
        if name == b"desc":
            file.seek(offset + 12)
            big_endian = not _int(file.read(4), order) & 2
        if name == b"data":
            # An edit count precedes the samples.
            known = _known_64(promised)
            length = None if known is None else max(0, known - 4)
            return SampleData(offset + 4, length, max(0, size - offset - 4), big_endian, False)
    return None


def _w64(file: BinaryIO, size: int, order: _Kind) -> SampleData | None:
    start = 40  # Lengths include the chunk header, and names have 16 bytes.
    while start + 24 <= size:
        file.seek(start)
        head = file.read(24)
        length = _int(head[16:], order) - 24
        if head[:4] == b"data":
            known = _known_64(max(0, length))
            return SampleData(start + 24, known, size - start - 24, False, False)
        start += max(24, length + 24)
        start += -start % 8
    return None


def ends_with_a_last_page(path: Path) -> bool:
    """Return whether an Ogg file ends with a whole page that is the last of its stream."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LARGEST_PAGE))
        tail = file.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    segments = page[27 : 27 + page[26]] if len(page) > 26 else b""
    is_whole = len(page) >= 27 + len(segments) + sum(segments)
    return bool(segments) and is_whole and bool(page[5] & _LAST)


_CONTAINERS: tuple[
    tuple[bytes, _Kind, Callable[[BinaryIO, int, _Kind], SampleData | None]], ...
] = (
    (b"RIFF", "little", _riff),
    (b"RF64", "little", _riff),
    (b"RIFX", "big", _riff),
    (b"riff", "little", _w64),
    (b"FORM", "big", _aiff),
    (b".snd", "big", _au),
    (b"dns.", "little", _au),
    (b"caff", "big", _caf),
)
