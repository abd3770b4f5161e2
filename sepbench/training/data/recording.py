"""Recordings: songs, voices and backings with aligned parts, decoded on demand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sepbench import audio
from sepbench._util.files import sha256
from sepbench._util.text import composed
from sepbench.errors import SepbenchError

PARTS = ("vocals", "drums", "bass", "other", "accompaniment")
"""Stems that examples are made of."""

Decoded = dict[str, list[NDArray[np.float32]]]
"""Mono clips by part, each ``(samples,)``, in temporal order."""


@dataclass(frozen=True)
class Segment:
    """A file and one of its channels; ``None``: the mean of all."""

    path: Path
    channel: int | None = None
    added: tuple[Path, ...] = ()
    """Simultaneous files of the same part, to be added."""


@dataclass(frozen=True)
class Recording:
    """Simultaneous parts: a song with stems, a voice alone, or a backing alone.

    The name is kept in Unicode NFC.
    ``decode(rate)`` returns each part as mono clips; clips of the same index are
    simultaneous.
    """

    source: str
    name: str
    parts: tuple[str, ...]
    decode: Callable[..., Decoded] = field(compare=False)
    split: str = "train"
    identity: str = ""
    """Everything but the files that ``decode`` depends on."""
    digest: Callable[[], str] = field(compare=False, default=str)
    """Returns a hash of the files, None if unknown."""
    left_out: tuple[str, ...] = ()
    """Names of unused files, which match no stem."""
    sound_file: tuple[Path, int] | None = field(default=None, compare=False)
    """The file, and its stream, by whose sound the song is known again under another name."""
    has_gaps: bool = False
    """Whether the clips leave out some of the song: then ``decode`` takes ``start`` and
    ``duration`` in seconds of the song, which cannot be found in the clips."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", composed(self.name))

    def sound(self) -> str:
        """Return `sepbench.audio.sound_mark` of the song, "" where there is none."""
        return "" if self.sound_file is None else audio.sound_mark(*self.sound_file)

    def cut(self, start: float, duration: float | None) -> Recording:
        """Return the recording from ``start`` seconds on, for ``duration`` seconds at most.

        Times refer to the concatenated clips, or to the song if it `has_gaps`.
        """
        if not start and duration is None:
            return self
        span = f"{start:g} s + {'all' if duration is None else f'{duration:g} s'}"
        decode = partial(_cut, self.decode, start, duration)
        if self.has_gaps:
            decode = partial(self.decode, start=start, duration=duration)
            span = f"of the song, {span}"
        return replace(self, decode=decode, identity=f"{self.identity} {span}".strip())


def recording(
    source: str,
    name: str,
    clips: dict[str, list[Segment]],
    left_out: tuple[str, ...] = (),
    *,
    split: str = "train",
) -> Recording:
    """Return a recording of files: the same number of segments for each part, in temporal order."""
    decode, digest = partial(_decode, clips), partial(_digest, clips)
    segments = chain(clips.get("vocals", []), *clips.values())
    return Recording(
        source,
        name,
        tuple(clips),
        decode,
        split,
        digest=digest,
        left_out=left_out,
        sound_file=next(((segment.path, 0) for segment in segments), None),
    )


def _cut(
    decode: Callable[[int], Decoded], start: float, duration: float | None, rate: int
) -> Decoded:
    whole = decode(rate)
    first = round(start * rate)
    last = None if duration is None else first + round(duration * rate)
    chosen: Decoded = {part: [] for part in whole}
    begin = 0
    for clips in zip(*whole.values(), strict=True):
        length = max(map(len, clips))
        here = slice(max(0, first - begin), None if last is None else max(0, last - begin))
        if here.start < length and (here.stop is None or here.stop > here.start):
            for part, clip in zip(chosen, clips, strict=True):
                chosen[part].append(clip[here])
        begin += length
    if not any(chosen.values()):
        raise SepbenchError(f"is {begin / rate:.1f} s long, --start {start:g} s is after its end")
    return chosen


def _digest(clips: dict[str, list[Segment]]) -> str:
    # Parts with one file per segment keep the digest that they had before others were
    # distinguished.
    counts = [
        [part, len(ones), *([len(one.added) for one in ones] if any(o.added for o in ones) else ())]
        for part, ones in clips.items()
    ]
    total = hashlib.sha256(json.dumps(counts).encode())
    for ones in clips.values():
        for clip in ones:
            for path in (clip.path, *clip.added):
                total.update(f"{clip.channel} {sha256(path)}".encode())
    return total.hexdigest()


def _decode(clips: dict[str, list[Segment]], rate: int) -> Decoded:
    decoded = {part: [_mixed(clip, rate) for clip in ones] for part, ones in clips.items()}
    # The mixture is the sum of the stems, so a stem that ends early is silent from there on; one
    # that lacks half of the song is more likely a damaged file.
    for ones in zip(*decoded.values(), strict=True):
        lengths = dict(zip(decoded, map(len, ones), strict=True))
        if 2 * min(lengths.values()) < max(lengths.values()):
            listed = ", ".join(f"{part} {length / rate:.2f} s" for part, length in lengths.items())
            raise SepbenchError(f"lengths differ: {listed}; make them alike")
    return decoded


def _mixed(clip: Segment, rate: int) -> NDArray[np.float32]:
    """Return a segment with its simultaneous files added."""
    layers = [_mono(replace(clip, path=path, added=()), rate) for path in (clip.path, *clip.added)]
    total = np.zeros(max(map(len, layers)), np.float32)
    for layer in layers:
        total[: len(layer)] += layer
    return total


def _mono(clip: Segment, rate: int) -> NDArray[np.float32]:
    read = audio.read(clip.path)
    if clip.channel is not None and clip.channel >= len(read.samples):
        raise SepbenchError(
            f"{clip.path.name}: has no channel {clip.channel + 1}; "
            "give a file with the backing left and the voice right"
        )
    channel = slice(None) if clip.channel is None else slice(clip.channel, clip.channel + 1)
    mono = read.samples[channel].mean(0, keepdims=True)
    resampled: NDArray[np.float32] = audio.resample(mono, read.rate, rate)[0]
    return resampled
