"""Runs any separator on any audio: rate, channels, blocks with cross-fade, device, remainder stem.

The path of the samples, in pieces so that memory does not grow with the song if the separator
declares a finite ``context``::

    chunks --> resample --> blocks --> separate --> cross-fade --> resample back --> stems
       |                                                                              |
       +------------------------ delayed mixture ---------------- minus stems --> remainder

Each member of an ensemble is run in this way; its blocks get the members' stems with the mixture. A
separator's filter of stereo songs has blocks of its own, after the cross-fade.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sepbench._util.allocator import trim_memory
from sepbench._util.resources import ResourceUsage
from sepbench.audio import StreamResampler
from sepbench.errors import SepbenchError
from sepbench.inference.level import Level, applied, measure
from sepbench.inference.overlap_add import Chunk, Samples, named
from sepbench.inference.pieces import complete, resampled, with_references
from sepbench.inference.sample_queue import SampleQueue, in_step
from sepbench.inference.stereo_filter import separated
from sepbench.separator import AnySeparator, Ensemble, needs_level
from sepbench.stems import with_sums

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Separation:
    """The stems of one song, each ``(channels, samples)``, with time and memory."""

    stems: dict[str, Samples]
    seconds: float
    peak_bytes: int
    notes: tuple[str, ...] = ()
    """The separator's notes on the song."""


def choose_device(name: str) -> torch.device:
    """Return the device called ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    ``auto`` is the first CUDA device, else the CPU. Raises `SepbenchError` for one not here.
    """
    import torch

    cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda:0" if cuda else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = torch.device("meta")
    if device.type == "cpu" or (device.type == "mps" and torch.backends.mps.is_available()):
        return device
    if device.type == "cuda" and (device.index or 0) < cuda:
        return torch.device("cuda", device.index or 0)
    here = ", ".join(["cpu", *(f"cuda:{index}" for index in range(cuda))])
    raise SepbenchError(
        f"device {name!r} is not available; this machine has {here}: "
        "--device auto takes the best of them"
    )


def choose_devices(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of several devices, each once; see `choose_device`.

    Raises `SepbenchError` for devices of different kinds.
    """
    devices = tuple(dict.fromkeys(str(choose_device(name)) for name in names))
    if len({device.partition(":")[0] for device in devices}) > 1:
        listed = ", ".join(devices)
        raise SepbenchError(f"devices {listed}: give devices of one kind; scores depend on it")
    return devices


def load(separator: AnySeparator, device: torch.device) -> None:
    """Load a separator and its members on a device.

    Raises `SepbenchError` with the separator's name for any failure.
    """
    with named(separator):
        separator.load(device)
    for member in separator.members:
        load(member, device)


def notes(separator: AnySeparator) -> tuple[str, ...]:
    """Return the notes of a separator and its members on the last song, each once."""
    own = separator.take_notes()
    return tuple(dict.fromkeys([*own, *(n for member in separator.members for n in notes(member))]))


def used_outside(separator: AnySeparator) -> int:
    """Return the most memory in bytes that a program took for a separator or a member of it."""
    return max([separator.take_used_outside(), *map(used_outside, separator.members)])


def separate(
    separator: AnySeparator,
    mixture: Samples,
    *,
    rate: int,
    device: torch.device,
    references: Mapping[str, Samples] | None = None,
    block_seconds: float | None = None,
) -> Separation:
    """Separate one song in memory, and measure time and memory.

    Shape:
        mixture, references and every stem: ``(channels, samples)``.
    """
    pieces: dict[str, list[Samples]] = {}
    with ResourceUsage(device) as usage:
        for part in stream(
            separator,
            [mixture],
            rate=rate,
            device=device,
            references=references,
            block_seconds=block_seconds,
        ):
            for name, samples in part.items():
                pieces.setdefault(name, []).append(samples)
    stems = {
        name: parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        for name, parts in pieces.items()
    }
    peak_bytes = usage.peak_bytes
    if device.type == "cpu":  # What a program takes on a GPU is not known.
        peak_bytes += used_outside(separator)
    return Separation(stems, usage.seconds, peak_bytes, notes(separator))


def stream(
    separator: AnySeparator,
    chunks: Iterable[Samples],
    *,
    rate: int,
    device: torch.device,
    references: Mapping[str, Samples] | None = None,
    block_seconds: float | None = None,
    level: Level | None = None,
) -> Iterator[dict[str, Samples]]:
    """Separate a song given in chunks of any length; yield its stems piece by piece.

    Shape:
        each of ``chunks`` and of the yielded stems: ``(channels, n)``; joined, both have the
        length of the song.
        each of ``references``: ``(channels, samples)``.

    ``rate`` is in Hz. ``separator`` must be loaded on
    ``device``. ``references`` have the same ``rate`` and are for oracles only.
    ``block_seconds`` is as in `overlap_add.in_blocks`.

    For a separator with a `level` the song is measured first, unless ``level`` is given, by an
    extra pass over ``chunks``. An iterator, which allows only one pass, is held in memory.
    """
    if level is None:
        if needs_level(separator) and isinstance(chunks, Iterator):
            chunks = list(chunks)
        level = song_level(separator, chunks, rate)
    gain = None if level is None else level.gain_for(separator)
    if level is None or gain is None:
        yield from _stream(separator, chunks, rate, device, references, block_seconds, level)
        return
    original = SampleQueue()
    even, reached = applied(original.tee(chunks), level, gain), level.after(gain)
    for stems in _stream(separator, even, rate, device, references, block_seconds, reached):
        own = {n: s / np.float32(gain) for n, s in stems.items() if n != separator.remainder}
        rest = original.take(next(iter(stems.values())).shape[1])
        if separator.remainder is not None:
            # From the song itself, so that the stems sum to it exactly, including the offset.
            own[separator.remainder] = functools.reduce(operator.sub, own.values(), rest)
        del stems
        yield own
        del own, rest


def song_level(separator: AnySeparator, chunks: Iterable[Samples], rate: int) -> Level | None:
    """Measure a song in chunks ``(channels, n)`` for `stream`, in one pass.

    Returns None if the separator needs no level.
    """
    return measure(chunks, rate) if needs_level(separator) else None


def _stream(
    separator: AnySeparator,
    chunks: Iterable[Samples],
    rate: int,
    device: torch.device,
    references: Mapping[str, Samples] | None,
    block_seconds: float | None,
    level: Level | None,
) -> Iterator[dict[str, Samples]]:
    """Separate a song at its own level; ``level`` is for the members."""
    inner_rate = separator.sample_rate or rate
    delay = SampleQueue()
    given = references if separator.needs_references and references is not None else {}
    inner = resampled(with_references(delay.tee(chunks), given), rate, inner_rate)
    if isinstance(separator, Ensemble):
        inner = _with_estimates(separator, inner, inner_rate, device, block_seconds, level)
    backs: dict[str, StreamResampler] = {}
    for stems in separated(separator, inner, inner_rate, device, block_seconds=block_seconds):
        if inner_rate != rate:
            if not backs:
                backs = {name: StreamResampler(inner_rate, rate) for name in stems}
            stems = {name: backs[name].process(stem) for name, stem in stems.items()}
        yield from complete(separator, stems, delay, last=False)
        del stems
    # The resamplers have a delay, and rounding may give one sample more or less.
    held = {name: back.finish() for name, back in backs.items()}
    yield from complete(separator, held, delay, last=True)


def _with_estimates(
    ensemble: Ensemble,
    chunks: Iterable[Chunk],
    rate: int,
    device: torch.device,
    block_seconds: float | None,
    level: Level | None,
) -> Iterator[Chunk]:
    """Yield the mixture with the members' estimates, each ``(members, channels, samples)``."""
    stems = ensemble.combined_stems
    how: dict[str, Any] = {"rate": rate, "device": device, "block_seconds": block_seconds}

    def estimates(
        member: AnySeparator, own: Iterable[Samples], level: Level | None
    ) -> Iterator[dict[str, Samples]]:
        for made in stream(member, own, level=level, **how):
            trim_memory()  # Else what this member needed is kept beside what the next one needs.
            yield with_sums(made)
            del made

    def handed_on(
        member: AnySeparator, own: Iterable[Samples], stem: str, level: Level | None
    ) -> Iterator[Samples]:
        return (whole[stem] for whole in estimates(member, own, level))

    def stacked(
        member: AnySeparator, own: Iterable[Samples], level: Level | None
    ) -> Iterator[NDArray[np.float32]]:
        made = estimates(member, own, level)
        return (np.stack([each[stem] for stem in stems]) for each in made)

    mixtures: Iterable[Samples] = (chunk.mixture for chunk in chunks)
    fed = ensemble.members[len(ensemble.links) :]
    mixture, *copies = itertools.tee(mixtures, 1 + len(fed))
    for member, link in zip(ensemble.members, ensemble.links, strict=False):
        copies = [handed_on(member, copies[0], link, level)]
        level = None  # A stem has its own level, not that of the song.
    estimated = (stacked(member, own, level) for member, own in zip(fed, copies, strict=True))
    for whole, *made in in_step([mixture, *estimated]):
        by_stem = zip(*made, strict=True)
        yield Chunk(whole, dict(zip(stems, map(_stacked, by_stem), strict=True)))


def _stacked(estimates: Sequence[Samples]) -> NDArray[np.float32]:
    """Return estimates as one array, without a copy of a single one."""
    return estimates[0][np.newaxis] if len(estimates) == 1 else np.stack(estimates)
