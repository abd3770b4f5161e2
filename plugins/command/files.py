"""Writes the input of a program, and checks its output files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from sepbench.errors import SepbenchError
from sepbench.stems import SUMS, with_sums

from .card import Card, filled_at_run
from .provenance import stamp

_SUBTYPES = {"32f": "FLOAT", "24": "PCM_24", "16": "PCM_16"}
_NOTED_DB = 1.0
"""Largest difference in level between the sum of stems and the mixture without a note, in dB."""

_PIECE = 1 << 20
_MOST_NAMES = 3


class NoFileError(SepbenchError):
    """A program has ended without the file of a stem."""


@dataclass(frozen=True)
class Song:
    """The input of a program: its file, shape, device and scale."""

    path: Path
    channels: int
    samples: int
    device: torch.device
    factor: float
    """The factor on the stems."""
    stamp: tuple[int, int] | None
    """Size and time of the file, to see whether the program has changed it."""


def write_song(card: Card, mixture: torch.Tensor, path: Path) -> Song:
    """Write a song in the format of a program, scaled to a peak of 1 if samples would be cut off.

    Shape:
        mixture: ``(channels, samples)``.
    """
    samples = mixture.cpu().numpy()
    peak = float(np.abs(samples).max()) if samples.size else 0.0
    is_cut = card.bit_depth != "32f" and peak > 1
    factor = peak if peak and (card.scale == "peak" or is_cut) else 1.0
    channels, length = samples.shape
    with soundfile.SoundFile(
        path, "w", card.rate, channels, _SUBTYPES[card.bit_depth], format="WAV"
    ) as file:
        for first in range(0, length, _PIECE):
            piece = samples[:, first : first + _PIECE].T
            file.write(piece if factor == 1.0 else piece / np.float32(factor))
    return Song(path, channels, length, mixture.device, factor, stamp(path))


def read_stems(
    card: Card, songs: Sequence[Song], index: int, out: Path, note: Callable[[str], None]
) -> dict[str, torch.Tensor]:
    """Return the stems that a program wrote of one of its songs, each ``(channels, samples)``.

    Raises `SepbenchError` for a file that is missing, or of another rate, length or shape.
    """
    stems, song = {}, songs[index]
    for stem, pattern in card.stems.items():
        glob = filled_at_run(pattern, {"track": song.path.stem})
        path = _find(stem, glob, out, songs, has_rest=card.remainder is not None)
        samples = _read(card, song, path, out)
        if song.factor != 1.0:
            samples *= np.float32(song.factor)
        stems[stem] = torch.from_numpy(samples).to(song.device)
    if level := _level(card, song, stems):
        note(level)
    return stems


def _find(stem: str, pattern: str, out: Path, songs: Sequence[Song], *, has_rest: bool) -> Path:
    # A name may contain brackets, which have another meaning in a pattern.
    named = [out / pattern] if (out / pattern).is_file() else out.glob(pattern)
    found = sorted(path for path in named if path.is_file())
    if not found:
        rest = "" if has_rest else f", or {stem} as 'remainder'"
        raise NoFileError(f"wrote no file for {stem} ({pattern}); {_written(out, songs, rest)}")
    names = ", ".join(str(path.relative_to(out)) for path in found[:_MOST_NAMES])
    if len(found) > 1:
        raise SepbenchError(
            f"{len(found)} files may be its {stem} ({pattern}): {names}; name one under 'stems'"
        )
    if not found[0].resolve().is_relative_to(out.resolve()):
        raise SepbenchError(f"{names} is a link to a file outside of {{out}}; copy the file there")
    return found[0]


def _written(out: Path, songs: Sequence[Song], rest: str) -> str:
    """Describe what a program wrote instead, in its output folder or elsewhere."""
    root = out.parent
    ours = {song.path for song in songs}
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and path not in ours]
    if not files:
        return "it wrote nothing; put {out} into 'run' as the output folder"
    inside = [path for path in files if path.is_relative_to(out)]
    beside = [path for path in files if path not in inside]
    names = [str(path.relative_to(out)) for path in inside[:_MOST_NAMES]]
    names += [f"{path.relative_to(root)} outside of {{out}}" for path in beside[:_MOST_NAMES]]
    cure = (
        f"name its file under 'stems'{rest}"
        if inside
        else "put {out} into 'run' as the output folder"
    )
    return f"it wrote {', '.join(names)}; {cure}"


def _read(card: Card, song: Song, path: Path, out: Path) -> NDArray[np.float32]:
    name = path.relative_to(out)
    try:
        with soundfile.SoundFile(path) as file:
            if fault := _misfit(card, song, file):
                raise SepbenchError(f"{name} {fault}")
            samples = np.zeros((song.channels, song.samples), np.float32)
            shared = min(file.frames, song.samples)
            for first in range(0, shared, _PIECE):
                last = min(first + _PIECE, shared)
                samples[:, first:last] = file.read(last - first, "float32", always_2d=True).T
    except soundfile.LibsndfileError as error:
        raise SepbenchError(
            f"{name} cannot be read as audio: {error.error_string.rstrip('.').lower()}; "
            "name another file under 'stems', or have it write wav"
        ) from None
    return samples


def _misfit(card: Card, song: Song, file: soundfile.SoundFile) -> str | None:
    """Return how a stem's file differs from the song, and the key of the card that corrects it."""
    if file.samplerate != card.rate:
        return (
            f"is at {file.samplerate} Hz, the song at {card.rate} Hz; "
            f"set 'rate: {file.samplerate}' in a card"
        )
    if file.channels != song.channels:
        told = f"has {file.channels} channels, the song {song.channels}"
        if file.channels > 2:
            return f"{told}; it may write 1 or 2"
        return f"{told}; set 'channels: {file.channels}' in a card"
    differing = abs(file.frames - song.samples)
    if differing <= card.tolerance:
        return None
    told = f"has {file.frames} samples, the song {song.samples}"
    if differing > card.rate:
        return f"{told}; has the program stopped early?"
    return f"{told}; 'tolerance: {differing}' in a card would cut or pad its end"


def _level(card: Card, song: Song, stems: Mapping[str, torch.Tensor]) -> str | None:
    """Describe a gain error of the sum of stems, if there is one.

    The gain is that of the song in the sum, by least squares; stems that do not sum to the song
    have none.
    """
    if card.remainder is not None or not {"vocals", "accompaniment"} <= set(with_sums(stems)):
        return None
    if stamp(song.path) != song.stamp:
        return None  # The program has changed its copy of the song.
    total = np.zeros((song.channels, song.samples), np.float32)
    for name, stem in stems.items():
        if not _is_sum(name, stems):
            total += stem.cpu().numpy()
    energy = product = 0.0
    for first, piece in _pieces(song):
        energy += float(np.vdot(piece, piece))
        product += float(np.vdot(piece, total[:, first : first + piece.shape[1]]))
    if energy == 0.0 or product <= 0.0:
        return None
    gain = 20 * math.log10(product / energy / song.factor)
    if abs(gain) < _NOTED_DB:
        return None
    cure = "" if card.scale == "peak" else "; if it normalises songs, set 'scale: peak' in a card"
    return f"the stems sum to the song at {gain:+.1f} dB: a gain error lowers every score{cure}"


def _is_sum(name: str, stems: Iterable[str]) -> bool:
    return name in SUMS and set(SUMS[name]) <= set(stems)


def _pieces(song: Song) -> Iterator[tuple[int, NDArray[np.float32]]]:
    with soundfile.SoundFile(song.path) as file:
        first = 0
        while len(piece := file.read(_PIECE, "float32", always_2d=True)):
            yield first, piece.T
            first += len(piece)
