"""Processes a song in chunks of equal length, in batches with cross-fades."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from sepbench.dsp.chunks import covers


def in_chunks(
    signal: torch.Tensor,
    work: Callable[[torch.Tensor], torch.Tensor],
    *,
    size: int,
    overlap: int = 0,
    batch: int = 8,
    kept: slice = slice(None),
) -> torch.Tensor:
    """Apply ``work`` to a signal chunk by chunk; memory depends only on ``batch``.

    Chunk ``k`` begins at sample ``k (size - overlap)``; the last one is zero-padded. Overlaps have
    linear cross-fades. Chunks outside of ``kept`` are left out; their samples are zero.

    Shape:
        signal: ``(channels, samples)``.
        work: takes ``(chunks, size)``, returns ``(chunks, stems, size)``.
        result: ``(stems, channels, samples)``.
    """
    channels, samples = signal.shape
    hop = size - overlap
    count = max(1, -(-(samples - overlap) // hop))
    padded = functional.pad(signal, (0, overlap + count * hop - samples))
    chunks = padded.unfold(-1, size, hop)
    # Time is the slowest dimension, so that the chunks of a batch are adjacent in the song.
    numbers = [number for number in range(count) if covers(number * hop, size, kept, samples)]
    places = [(channel, number) for number in numbers for channel in range(channels)]
    rise = (torch.arange(overlap, device=signal.device) + 0.5) / max(overlap, 1)
    out: torch.Tensor | None = None
    for first in range(0, len(places), batch):
        part = places[first : first + batch]
        made = work(torch.stack([chunks[place] for place in part]))
        if out is None:
            out = signal.new_zeros(made.shape[1], channels, padded.shape[-1])
        for (channel, number), stems in zip(part, made, strict=True):
            if number:
                stems[:, :overlap] *= rise
            if number < count - 1:
                stems[:, hop:] *= rise.flip(0)
            out[:, channel, number * hop : number * hop + size] += stems
    assert out is not None  # noqa: S101 - there is at least one chunk
    return out[..., :samples]
