"""Schemes to cut a song into chunks and combine them; each gives a different result."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
from torch.nn.functional import pad

from sepbench.dsp.chunks import covers

Apply = Callable[[torch.Tensor], torch.Tensor]
"""From ``(channels, samples)`` of a chunk to its stems ``(stems, channels, samples)``."""


class Remembered:
    """A network that remembers its last ``count`` chunks, as the next block has them again."""

    def __init__(self, apply: Apply, count: int) -> None:
        self._apply = apply
        self._last: deque[tuple[torch.Tensor, torch.Tensor]] = deque(maxlen=count)

    def __call__(self, chunk: torch.Tensor) -> torch.Tensor:
        """Return the stems of a chunk, which must not be written to."""
        for seen, stems in self._last:
            if torch.equal(seen, chunk):
                return stems
        stems = self._apply(chunk)
        self._last.append((chunk.clone(), stems))
        return stems


def msst(
    mixture: torch.Tensor,
    apply: Apply,
    *,
    chunk: int,
    num_overlap: int,
    kept: slice = slice(None),
) -> torch.Tensor:
    """Return the stems with the scheme of Music-Source-Separation-Training.

    Chunks have linear fades over a tenth at both ends; the song is mirrored at both ends by the
    overlap. The first chunk has no fade-in and the last no fade-out.

    A block of a song has the stems of the song in its ``kept`` part if it begins on a multiple of
    the step and has, on each side where the song goes on, a context of a chunk and of twice the
    overlap: then no chunk of the part reaches a border of the block, and the block is long enough
    to be mirrored if the song is. Outside of the part, chunks are left out.

    Shape:
        mixture: ``(channels, samples)``.
        result: ``(stems, channels, samples)``.
    """
    samples = mixture.shape[-1]
    step, fade = chunk // num_overlap, chunk // 10
    border = chunk - step
    mirrored = samples > 2 * border > 0
    lead = border if mirrored else 0
    length = samples + 2 * lead
    total, weight = None, torch.zeros(length, device=mixture.device)
    ramp = torch.linspace(0, 1, fade, device=mixture.device)
    for start in range(0, length, step):
        if not covers(start - lead, chunk, kept, samples):
            continue
        part = _mirrored(mixture, start - lead, min(start + chunk, length) - lead)
        size = part.shape[-1]
        if size < chunk:
            mode = "reflect" if size > chunk // 2 else "constant"
            part = pad(part[None], (0, chunk - size), mode=mode)[0]
        window = torch.ones(chunk, device=mixture.device)
        if start > 0:
            window[:fade] = ramp
        if not (start > 0 and start + step >= length):
            window[chunk - fade :] *= ramp.flip(0)
        total, weight = _added(total, weight, apply(part), window, start, size, length)
    stems = torch.nan_to_num_(_mean(total, weight), nan=0.0)
    return stems[..., lead : lead + samples]


def _mirrored(signal: torch.Tensor, start: int, stop: int) -> torch.Tensor:
    """Return a part of a signal that is mirrored at both ends, without a copy of all of it."""
    last = signal.shape[-1] - 1
    if start >= 0 and stop - 1 <= last:
        return signal[:, start:stop]
    places = torch.arange(start, stop, device=signal.device).abs()
    return signal[:, last - (last - places).abs()]


def audio_separator(
    mixture: torch.Tensor,
    apply: Apply,
    *,
    chunk: int,
    num_overlap: int,
    kept: slice = slice(None),
) -> torch.Tensor:
    """Return the stems with the scheme of audio-separator 0.47.

    Chunks have a Hamming window; the last one ends with the song. Blocks are as for `msst`, with a
    context of a chunk.

    Shape:
        mixture: ``(channels, samples)``.
        result: ``(stems, channels, samples)``.
    """
    length = mixture.shape[-1]
    step = chunk // num_overlap
    window = torch.hamming_window(chunk, periodic=False, device=mixture.device)
    last = max(length - chunk, 0)
    starts = [*(start for start in range(0, length, step) if start < last), last]
    total, weight = None, torch.zeros(length, device=mixture.device)
    for start in starts:
        if not covers(start, chunk, kept, length):
            continue
        part = mixture[:, start : start + chunk]
        size = part.shape[-1]
        total, weight = _added(total, weight, apply(part), window, start, size, length)
    return _mean(total, weight.clamp_min(1e-10))


def _added(
    total: torch.Tensor | None,
    weight: torch.Tensor,
    made: torch.Tensor,
    window: torch.Tensor,
    start: int,
    size: int,
    length: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Add the stems of a chunk, cut to the song and to the network's output."""
    if total is None:
        total = made.new_zeros((*made.shape[:-1], length))
    size = min(size, made.shape[-1])
    total[..., start : start + size] += made[..., :size] * window[:size]
    weight[start : start + size] += window[:size]
    return total, weight


def _mean(total: torch.Tensor | None, weight: torch.Tensor) -> torch.Tensor:
    assert total is not None  # noqa: S101 - there is one chunk at least
    return total.div_(weight)
