"""The tags and the cover of a song, to be carried over to its stems."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sepbench.audio.ffmpeg import is_cover, open_container
from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    import av

_KEPT = "title artist album album_artist composer genre date track disc comment copyright".split()
_LARGEST = 16 << 20
"""Bytes beyond which a picture is left out."""


@dataclass(frozen=True)
class Tags:
    """Texts by FFmpeg's names for them, and a picture (jpeg or png) as bytes."""

    texts: dict[str, str] = field(default_factory=dict)
    cover: bytes | None = None

    def of_stem(self, stem: str) -> Tags:
        """Return the same with the stem in the title.

        >>> Tags({"title": "Song"}).of_stem("vocals").texts
        {'title': 'Song (vocals)'}
        """
        if "title" not in self.texts:
            return self
        return replace(self, texts={**self.texts, "title": f"{self.texts['title']} ({stem})"})


def read_tags(path: Path) -> Tags:
    """Return the tags of a song; none of a file that FFmpeg cannot open."""
    import av

    try:
        with open_container(path) as container:
            found = dict(container.metadata)
            if container.streams.audio:
                found.update(container.streams.audio[0].metadata)
            texts = {key.lower(): value for key, value in found.items()}
            return Tags({key: texts[key] for key in _KEPT if texts.get(key)}, _cover(container))
    except (SepbenchError, av.FFmpegError, ValueError):
        return Tags()


def _cover(container: av.container.InputContainer) -> bytes | None:
    for stream in container.streams.video:
        if is_cover(stream):
            picture = next((bytes(each) for each in container.demux(stream) if each.size), None)
            return picture if picture and len(picture) <= _LARGEST else None
    return None


def add_cover(container: av.container.OutputContainer, cover: bytes) -> None:
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
