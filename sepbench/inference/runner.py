"""Runs any separator on any audio: rate, channels, blocks with cross-fade, device, remainder stem.

The way of the samples, all of it in pieces so that memory does not grow with the song where the
separator declares a finite ``context``::

    chunks --> resample --> blocks --> separate --> cross-fade --> resample back --> stems
       |                                                                              |
       +------------------------ delayed mixture ---------------- minus stems --> remainder

The members of an ensemble go this way each on its own; their stems come to its blocks with the
mixture.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sepbench._util.resources import ResourceUsage
from sepbench.audio import StreamResampler
from sepbench.errors import SepbenchError
from sepbench.inference.overlap_add import Samples, in_blocks, join, named, without_remainder
from sepbench.separator import EnsembleSeparator, Separator
from sepbench.stems import with_sums

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Separation:
    """The stems of one song, each ``(channels, samples)``, and what they cost."""

    stems: dict[str, Samples]
    seconds: float
    peak_bytes: int
    notes: tuple[str, ...] = ()
    """What the separator has to say about the song."""


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
    except RuntimeError:
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


def load(separator: Separator, device: torch.device) -> None:
    """Load a separator on a device; what goes wrong becomes a `SepbenchError` that names it."""
    with named(separator):
        separator.load(device)
    if isinstance(separator, EnsembleSeparator):
        for member in separator.members:
            load(member, device)


def notes(separator: Separator) -> tuple[str, ...]:
    """Return what a separator and its members noted about the last song, each once."""
    members = separator.members if isinstance(separator, EnsembleSeparator) else ()
    own = (*separator.take_notes(), *(note for member in members for note in notes(member)))
    return tuple(dict.fromkeys(own))


def separate(
    separator: Separator,
    mixture: Samples,
    *,
    rate: int,
    device: torch.device,
    references: Mapping[str, Samples] | None = None,
) -> Separation:
    """Separate one song held in memory, measured.

    Shape:
        mixture, references and every stem: ``(channels, samples)``.
    """
    pieces: dict[str, list[Samples]] = {}
    with ResourceUsage(device) as usage:
        for part in stream(separator, [mixture], rate=rate, device=device, references=references):
            for name, samples in part.items():
                pieces.setdefault(name, []).append(samples)
    stems = {
        name: parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        for name, parts in pieces.items()
    }
    return Separation(stems, usage.seconds, usage.peak_bytes, notes(separator))


def warm_up(
    separator: Separator,
    mixture: Samples,
    *,
    rate: int,
    device: torch.device,
    references: Mapping[str, Samples] | None = None,
) -> None:
    """Separate a second of a song for nothing, so that `separate` measures no first-time costs.

    What goes wrong is left for `separate` to report.
    """
    first = slice(0, rate)
    short = references and {name: stem[:, first] for name, stem in references.items()}
    with suppress(SepbenchError):
        separate(separator, mixture[:, first], rate=rate, device=device, references=short)


def stream(
    separator: Separator,
    chunks: Iterable[Samples],
    *,
    rate: int,
    device: torch.device,
    references: Mapping[str, Samples] | None = None,
) -> Iterator[dict[str, Samples]]:
    """Separate a song that arrives in chunks of any length; yield its stems piece by piece.

    The pieces of each stem join to exactly as many samples as came in. ``separator`` has been
    loaded on ``device``. ``references`` are at ``rate`` too and go to oracles alone.
    """
    inner_rate = separator.sample_rate or rate
    delay = _Queue()
    inner = _resampled(delay.tee(chunks), rate, inner_rate)
    if isinstance(separator, EnsembleSeparator):
        inner = _with_estimates(separator, inner, inner_rate, device)
    backs: dict[str, StreamResampler] = {}
    for stems in in_blocks(separator, inner, inner_rate, device, references, rate):
        if inner_rate != rate:
            if not backs:
                backs = {name: StreamResampler(inner_rate, rate) for name in stems}
            stems = {name: backs[name].process(stem) for name, stem in stems.items()}
        yield from _complete(separator, stems, delay, last=False)
    # The resamplers hold back some samples, and rounding may leave one more or less than came in.
    held = {name: back.finish() for name, back in backs.items()}
    yield from _complete(separator, held, delay, last=True)


def _with_estimates(
    ensemble: EnsembleSeparator, chunks: Iterable[Samples], rate: int, device: torch.device
) -> Iterator[Samples]:
    """Yield the mixture's channels and below them those of each member's stems, in order."""
    stems = without_remainder(ensemble)
    mixture, *copies = itertools.tee(chunks, 1 + len(ensemble.members))

    def estimates(member: Separator, own: Iterable[Samples]) -> Iterator[Samples]:
        for made in stream(member, own, rate=rate, device=device):
            every = with_sums(made)
            yield np.concatenate([every[stem] for stem in stems])

    return _abreast([mixture, *map(estimates, ensemble.members, copies)])


def _abreast(sources: Sequence[Iterable[Samples]]) -> Iterator[Samples]:
    """Join sources of equal length row by row, whatever pieces each of them comes in."""
    queues = [_Queue() for _ in sources]
    flows = [queue.tee(source) for queue, source in zip(queues, sources, strict=True)]
    while True:
        for queue, flow in zip(queues, flows, strict=True):
            while not queue.held:
                if next(flow, None) is None:
                    return
        count = min(queue.held for queue in queues)
        yield np.concatenate([queue.take(count) for queue in queues])


class _Queue:
    """Holds samples until they are taken, in pieces of other lengths than they came in."""

    def __init__(self) -> None:
        self._pieces: deque[Samples] = deque()
        self.held = 0

    def tee(self, chunks: Iterable[Samples]) -> Iterator[Samples]:
        for chunk in chunks:
            self._pieces.append(chunk)
            self.held += chunk.shape[1]
            yield chunk

    def take(self, count: int) -> Samples:
        taken = []
        self.held -= count
        while count:
            piece = self._pieces.popleft()
            if piece.shape[1] > count:
                self._pieces.appendleft(piece[:, count:])
                piece = piece[:, :count]
            taken.append(piece)
            count -= piece.shape[1]
        return join(taken)


def _complete(
    separator: Separator, stems: dict[str, Samples], delay: _Queue, *, last: bool
) -> Iterator[dict[str, Samples]]:
    """Fit the pieces to the mixture still owed, and add the remainder."""
    if not stems:
        return
    available = next(iter(stems.values())).shape[1]
    count = delay.held if last else min(available, delay.held)
    if count == 0:
        return
    if available < count:
        missing = ((0, 0), (0, count - available))
        stems = {name: np.pad(stem, missing) for name, stem in stems.items()}
    complete = {name: stem[:, :count] for name, stem in stems.items()}
    rest = delay.take(count)
    if separator.remainder is not None:
        for stem in complete.values():
            rest = rest - stem
        complete[separator.remainder] = rest
    yield complete


def _resampled(chunks: Iterable[Samples], rate: int, inner_rate: int) -> Iterator[Samples]:
    if inner_rate == rate:
        yield from chunks
        return
    resampler = StreamResampler(rate, inner_rate)
    for chunk in chunks:
        yield resampler.process(chunk)
    yield resampler.finish()
