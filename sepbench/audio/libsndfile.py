"""Decodes uncompressed files, FLAC and Vorbis, by libsndfile."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sepbench.audio.decoder import DecodingError
from sepbench.audio.headers import SampleData, ends_with_a_last_page, sample_data

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_LONGEST_PAGE = 60
"""Seconds that a page of an ogg file may hold, and more."""

_CHUNK = 1 << 12
"""Samples read at once; also the precision with which damage is located."""

VORBIS_ORDER = {
    3: [0, 2, 1],
    5: [0, 2, 1, 3, 4],
    6: [0, 2, 1, 4, 5, 3],
    7: [0, 2, 1, 5, 6, 4, 3],
    8: [0, 2, 1, 6, 7, 4, 5, 3],
}
"""For each number of channels, the order of Vorbis in terms of wav's order.

Source: Vorbis I specification, section 4.3.9; libsndfile leaves the order as it is.
"""

_WITHOUT_HEADER = frozenset("PCM_S8 PCM_U8 PCM_16 PCM_24 PCM_32 FLOAT DOUBLE ULAW ALAW".split())


class LibsndfileDecoder:
    """Decodes wav, rf64, w64, aiff, au, caf, flac, and Vorbis in ogg."""

    streams = 1
    promised = True

    def __init__(self, path: Path) -> None:
        import soundfile

        self._raw: _Part | None = None
        # As bytes, because a file name need not be valid text.
        self._file = soundfile.SoundFile(path if os.name == "nt" else os.fsencode(path))
        self.rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.exact = self._file.subtype.startswith(("PCM", "FLOAT", "DOUBLE"))
        data = sample_data(path)
        self.notes = data.notes if data else []
        if self._file.format == "OGG" and not ends_with_a_last_page(path):
            self.notes.append("cut short: its last page is missing")
        if data and data.beyond and self._file.subtype in _WITHOUT_HEADER:
            self._read_past_header(path, data)
        self.samples: int = self._file.frames
        order = VORBIS_ORDER.get(self.channels) if self._file.subtype == "VORBIS" else None
        self._order = None if order is None else np.argsort(order)

    def _read_past_header(self, path: Path, data: SampleData) -> None:
        """Read samples to the end of the file, as the length in the header is wrong."""
        import soundfile

        subtype = self._file.subtype
        self._file.close()
        self._raw = _Part(path, data.offset, data.actual)
        self._file = soundfile.SoundFile(
            self._raw,
            samplerate=self.rate,
            channels=self.channels,
            format="RAW",
            subtype=subtype,
            endian="BIG" if data.big_endian else "LITTLE",
        )

    def chunks(self, first: int) -> Iterator[NDArray[np.float32]]:
        """Yield ``(channels, n)`` from sample ``first`` on."""
        import soundfile

        try:
            begin = first = min(first, self.samples)
            if self._file.subtype == "VORBIS":
                # libvorbis misses places in the last page by some hundred samples.
                begin = max(0, min(first, self.samples - _LONGEST_PAGE * self.rate))
            self._file.seek(begin)
            while begin < first:
                begin += len(self._file.read(min(_CHUNK, first - begin), always_2d=True))
            while True:
                frames = self._file.read(_CHUNK, dtype="float32", always_2d=True)
                if not len(frames):
                    return
                yield frames.T if self._order is None else frames.T[self._order]
        except soundfile.LibsndfileError as error:
            reason = error.error_string.strip().rstrip(".")
            if "psf_fseek" in reason:
                reason = "its data ends or is damaged here"
            raise DecodingError(reason) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        if self._raw is not None:
            self._raw.close()


class _Part(io.RawIOBase):
    """A file object for a part of a file."""

    def __init__(self, path: Path, offset: int, length: int) -> None:
        self._file = path.open("rb")
        self._offset, self._length, self._at = offset, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)[: max(0, self._length - self._at)]
        self._file.seek(self._offset + self._at)
        count = self._file.readinto(view)
        self._at += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
