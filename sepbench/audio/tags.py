"""Copies the tags and the cover of a song to its stems."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sepbench.audio.container import is_cover, open_container
from sepbench.audio.headers import sample_data
from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    import av

_KEPT = "title artist album album_artist composer genre date track disc comment copyright".split()
_FRONT = 3
"""The type of a picture that is a front cover, in flac and ogg."""

_LARGEST = 16 << 20
"""Largest size of a copied picture in bytes."""


@dataclass(frozen=True)
class Tags:
    """Texts by FFmpeg's tag names, and a picture (jpeg or png) as bytes."""

    texts: dict[str, str] = field(default_factory=dict)
    cover: bytes | None = None

    def of_stem(self, stem: str) -> Tags:
        """Return these tags with the stem's name in the title.

        >>> Tags({"title": "Song"}).of_stem("vocals").texts
        {'title': 'Song (vocals)'}
        """
        if "title" not in self.texts:
            return self
        return replace(self, texts={**self.texts, "title": f"{self.texts['title']} ({stem})"})


def read_tags(path: Path, stream: int = 0) -> Tags:
    """Return the tags of a song and of its stream; empty if FFmpeg cannot open the file."""
    import av

    try:
        data = sample_data(path)
        # Tags may follow the samples, if their length is known.
        size = data.header_size if data and data.beyond else None
        with open_container(path, only_header=True, size=size) as container:
            found = dict(container.metadata)
            if len(container.streams.audio) > stream:
                found.update(container.streams.audio[stream].metadata)
            texts = {key.lower(): value for key, value in found.items()}
            return Tags({key: texts[key] for key in _KEPT if texts.get(key)}, _cover(container))
    except (SepbenchError, av.FFmpegError, OSError, ValueError):
        return Tags()


def _cover(container: av.container.InputContainer) -> bytes | None:
    for stream in container.streams.video:
        if is_cover(stream):
            picture = next((bytes(each) for each in container.demux(stream) if each.size), None)
            return picture if picture and _is_picture(picture) else None
    return None


def _is_picture(cover: bytes) -> bool:
    """Return whether a cover can be copied; an unusable one must not cost the stem."""
    import av

    try:
        with av.open(io.BytesIO(cover)) as picture:
            return len(cover) <= _LARGEST and len(picture.streams.video) > 0
    except (av.FFmpegError, ValueError):
        return False


def add_cover(path: Path, format: str, cover: bytes) -> None:
    """Put a picture into a complete flac, ogg or opus file."""
    from mutagen import flac, oggopus, oggvorbis

    picture = flac.Picture()
    picture.type, picture.data = _FRONT, cover
    picture.mime = "image/png" if cover.startswith(b"\x89PNG") else "image/jpeg"
    if format == "flac":
        file = flac.FLAC(path)
        file.add_picture(picture)
    else:
        kinds = {"ogg": oggvorbis.OggVorbis, "opus": oggopus.OggOpus}
        file = kinds[format](path)
        file["metadata_block_picture"] = base64.b64encode(picture.write()).decode("ascii")
    file.save()


def mux_cover(container: av.container.OutputContainer, cover: bytes) -> None:
    """Put a picture before the first sample of a file that is about to be written."""
    import av
    from av.stream import Disposition

    with av.open(io.BytesIO(cover)) as picture:
        stream = container.add_stream_from_template(picture.streams.video[0])
    stream.disposition = Disposition.attached_pic
    packet = av.Packet(cover)
    packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, 0, 0, True
    container.start_encoding()
    container.mux(packet)
