"""Chooses the decoder of a file by its content, not its name."""

from __future__ import annotations

import mmap
import stat
from pathlib import Path

from sepbench.audio.decoder import Decoder
from sepbench.audio.ffmpeg import FfmpegDecoder
from sepbench.audio.libsndfile import LibsndfileDecoder
from sepbench.audio.mp3 import after_tag
from sepbench.audio.unreadable import unreadable
from sepbench.errors import SepbenchError

_PLAIN = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b".snd", b"dns.", b"caff")
LOWEST_RATE, HIGHEST_RATE = 1_000, 1_000_000
"""Range of plausible sample rates in Hz."""

_BEGINS = b"OggS\0\2"
"""What the first page of every stream in an Ogg file starts with."""

_ODD = {
    stat.S_IFIFO: "a pipe, not a file; save it to a file first",
    stat.S_IFSOCK: "a socket, not a file",
    stat.S_IFCHR: "a device, not a file; save the sound to a file first",
    stat.S_IFBLK: "a device, not a file",
    stat.S_IFDIR: "a folder, not an audio file",
}


def open_decoder(path: Path, stream: int | None) -> Decoder:
    """Open sound stream number ``stream`` of a file, None for the first.

    Raises a `SepbenchError` that says what is wrong with a file that cannot be decoded.
    """
    reason = _not_a_file(path)
    if reason:
        raise SepbenchError(f"{path}: {reason}")
    decoder = _decoder(path, stream)
    if not 0 <= (stream or 0) < decoder.streams:
        decoder.close()
        raise SepbenchError(
            f"{path}: no audio stream {stream}; it has {decoder.streams}, counted from 0"
        )
    if not LOWEST_RATE <= decoder.rate <= HIGHEST_RATE:
        decoder.close()
        raise SepbenchError(
            f"{path}: a sample rate of {decoder.rate} Hz is impossible; get the file again"
        )
    return decoder


def _not_a_file(path: Path) -> str | None:
    try:
        if not path.exists():
            return "no such file"
        kind = stat.S_IFMT(path.stat().st_mode)
        if kind in _ODD:
            return _ODD[kind]
        with path.open("rb") as file:
            return None if file.read(1) else "an empty file; get it again"
    except (OSError, ValueError) as error:
        return f"cannot be read: {(getattr(error, 'strerror', None) or str(error)).lower()}"


def _decoder(path: Path, stream: int | None) -> Decoder:
    import soundfile

    with path.open("rb") as file:
        file.seek(after_tag(file.read(10)))
        head = file.read(42)
    flac = head.startswith(b"fLaC") and _flac_samples(head)
    if head.startswith(_PLAIN) or flac or _is_one_vorbis(path, head):
        try:
            return LibsndfileDecoder(path)
        except (soundfile.SoundFileError, OSError, ValueError, TypeError):
            pass
    try:
        return FfmpegDecoder(path, stream)
    except SepbenchError:
        # FFmpeg does not recognise it; libsndfile supports some rare formats.
        if not any(head) or _may_be_mpeg(path, head):
            raise
        try:
            return LibsndfileDecoder(path)
        except (soundfile.SoundFileError, OSError, ValueError, TypeError):
            pass
        raise
    except (ArithmeticError, ValueError, IndexError, OSError) as error:
        raise SepbenchError(f"{path}: {unreadable(path)}") from error


def _flac_samples(head: bytes) -> int:
    """Return the number of samples in STREAMINFO, 0 for a file written to a pipe."""
    return int.from_bytes(head[21:26], "big") & 0xF_FFFF_FFFF


def _is_one_vorbis(path: Path, head: bytes) -> bool:
    """Return whether an Ogg file is a single Vorbis stream."""
    if not (head.startswith(_BEGINS) and b"\x01vorbis" in head):
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        return pages.find(_BEGINS, 1) < 0


def _may_be_mpeg(path: Path, head: bytes) -> bool:
    """Return whether libsndfile would decode this as mp3; its decoder prints warnings."""
    begins_a_frame = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0
    return begins_a_frame or path.suffix.lower().startswith(".mp")
