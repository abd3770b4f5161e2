"""Opens audio and video files by FFmpeg's libraries (PyAV), and reads what their headers say."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sepbench.audio import mp3
from sepbench.audio.headers import sample_data
from sepbench.audio.unreadable import unreadable
from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    import av


@contextmanager
def open_container(
    path: Path, *, only_header: bool = False, size: int | None = None
) -> Iterator[av.container.InputContainer]:
    """Open a file, or its first ``size`` bytes, with FFmpeg's libraries.

    ``only_header`` keeps FFmpeg from reading the first 5 MB of sound in order to know more of its
    streams; tags and covers are known without. Raises `SepbenchError` if the file cannot be opened.
    """
    import av

    options = {"protocol_whitelist": "file", **({"probesize": "2048"} if only_header else {})}
    with ExitStack() as stack:
        try:
            # FFmpeg could read a bare name as a URL such as `http:` or `concat:`.
            source: Any = f"file:{path}"
            if size is not None:
                with path.open("rb") as file:
                    source = io.BytesIO(file.read(size))
            elif not _is_text(source):
                source = stack.enter_context(path.open("rb"))
            kind = "mp3" if mp3.begins_with_label(path) else None
            # A tag that is not UTF-8 is not an error.
            container = av.open(source, format=kind, options=options, metadata_errors="replace")
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SepbenchError(f"{path}: {unreadable(path)}") from error
        yield stack.enter_context(container)


def packet_samples(
    container: av.container.InputContainer, stream: av.audio.stream.AudioStream
) -> int:
    """Return the number of samples of a stream by its packets, which are all read."""
    ticks = sum(packet.duration or 0 for packet in container.demux(stream))
    return round(ticks * stream.time_base * stream.rate) if stream.time_base else 0


def stated_seconds(
    container: av.container.InputContainer, stream: av.audio.stream.AudioStream
) -> Fraction | None:
    """Return the length of a stream in seconds by the file's headers, None if they have none."""
    if stream.time_base is None:
        return None
    if stream.duration is not None:
        return stream.duration * stream.time_base - _pre_skip(container, stream)
    if len(container.streams) == 1 and container.duration is not None:
        return Fraction(container.duration, 1_000_000)
    # The end of a stream in Matroska: 00:03:21.500000000.
    end = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))
    if end is None:
        return None
    begin = (stream.start_time or 0) * stream.time_base
    return 3600 * int(end[1]) + 60 * int(end[2]) + Fraction(end[3]) - max(Fraction(0), begin)


def _pre_skip(
    container: av.container.InputContainer, stream: av.audio.stream.AudioStream
) -> Fraction:
    """Return the seconds that an Ogg file of Opus counts, but that decoders drop at its beginning.

    Source: RFC 7845, sections 4 and 5.1.
    """
    head = stream.codec_context.extradata or b""
    if container.format.name != "ogg" or not head.startswith(b"OpusHead"):
        return Fraction(0)
    return Fraction(int.from_bytes(head[10:12], "little"), 48000)


def is_cover(stream: av.video.stream.VideoStream) -> bool:
    """Return whether FFmpeg's video stream is a cover picture."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def channel_layout(path: Path, stream: int, channels: int) -> str | None:
    """Return the channel names of a stream as FFmpeg writes them (``5.1(side)``).

    None if they are unknown, or if their number is not ``channels``.
    """
    data = sample_data(path)
    try:
        with open_container(path, size=data.header_size if data else None) as container:
            layout = container.streams.audio[stream].layout
    except (SepbenchError, IndexError):
        return None
    name: str = layout.name
    return None if name.endswith("channels") or layout.nb_channels != channels else name


def _is_text(name: str) -> bool:
    """Return whether a name can be encoded as UTF-8, which PyAV requires."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
