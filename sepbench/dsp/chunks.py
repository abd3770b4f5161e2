"""Overlap-add of chunks, for networks with a fixed input length."""

from __future__ import annotations

from collections.abc import Callable

import torch


def overlap_add(
    signal: torch.Tensor,
    apply: Callable[[torch.Tensor], torch.Tensor],
    *,
    window: torch.Tensor,
    step: int,
    lead: int = 0,
    batch: int = 1,
    kept: slice = slice(None),
) -> torch.Tensor:
    """Return the weighted mean of ``apply`` over overlapping chunks.

    Chunk ``k`` begins at sample ``k * step - lead`` and is as long as ``window``, the weight of
    its result; the signal is padded with zeros. Chunks outside of ``kept`` are left out.

    Shape:
        signal: ``(channels, samples)``.
        apply: ``(batch, channels, size)`` to ``(batch, stems, channels, size)``; fewer chunks than
            ``batch`` may come last.
        result: ``(stems, channels, samples)``.

    >>> signal = torch.arange(10.0)[None]
    >>> halves = lambda chunks: chunks[:, None] / 2
    >>> overlap_add(signal, halves, window=torch.ones(4), step=2, lead=2)[0, 0]
    tensor([0.0000, 0.5000, 1.0000, 1.5000, 2.0000, 2.5000, 3.0000, 3.5000, 4.0000,
            4.5000])
    """
    size, samples = len(window), signal.shape[-1]
    first_used = int(window.nonzero()[0])
    count = max(1, (samples - 1 + lead - first_used) // step + 1)
    padded = torch.nn.functional.pad(
        signal, (lead, max(0, (count - 1) * step + size - lead - samples))
    )
    total, weight = None, torch.zeros(padded.shape[-1], device=signal.device)
    places = range(0, count * step, step)
    used = [start for start in places if covers(start - lead, size, kept, samples)]
    for first in range(0, len(used), batch):
        starts = used[first : first + batch]
        made = apply(torch.stack([padded[:, start : start + size] for start in starts]))
        if total is None:
            total = signal.new_zeros((*made.shape[1:-1], padded.shape[-1]))
        for start, chunk in zip(starts, made, strict=True):
            total[..., start : start + size] += chunk * window
            weight[start : start + size] += window
    assert total is not None  # noqa: S101 - there is one chunk at least
    inside = slice(lead, lead + samples)
    return total[..., inside].div_(weight[inside].clamp_min(torch.finfo(weight.dtype).tiny))


def covers(start: int, size: int, kept: slice, samples: int) -> bool:
    """Return whether a chunk of ``size`` samples has some of the ``kept`` part of a signal.

    >>> [covers(start, 4, slice(6, 8), samples=10) for start in (2, 3, 7, 8)]
    [False, True, True, False]
    """
    first, stop, _ = kept.indices(samples)
    return start < stop and start + size > first
