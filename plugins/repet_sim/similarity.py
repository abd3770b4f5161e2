"""Finds similar frames of a song, a few rows of the similarity matrix at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional

from sepbench.dsp.stft import Stft

_ROWS = 128
"""Rows of the similarity matrix computed at a time."""

_ELEMENTS = 1 << 18
"""Similarities searched at a time: as many as fit the cache."""

_FRAMES = 256


@dataclass(frozen=True)
class SimilarFrames:
    """The frames similar to each frame.

    ``indices`` is ``(frames, most)``; row ``t`` has ``counts[t] >= 1`` frames, padded with the
    number of frames, which is not a valid index.
    """

    indices: torch.Tensor
    counts: torch.Tensor


def unit_spectra(mixture: torch.Tensor, stft: Stft) -> torch.Tensor:
    """Return the magnitude spectra, averaged over channels and scaled to length one.

    Their products are cosine similarities. A silent frame stays zero.

    Shape:
        mixture: ``(channels, samples)``.
        result: ``(frames, bins)``.
    """
    samples = mixture.shape[-1]
    spectra = mixture.new_empty(stft.frames(samples), stft.bins)
    for first, last in stft.blocks(samples, _FRAMES):
        mean = stft.forward(mixture, first, last).abs().mean(0)
        functional.normalize(mean.mT, dim=1, out=spectra[first:last])
    return spectra


def repeating_frames(
    spectra: torch.Tensor, *, distance: int, number: int, threshold: float
) -> SimilarFrames:
    """Find the ``number`` most similar frames that are local maxima of each frame's similarity.

    A local maximum is strictly greater than everything within ``distance`` frames, and at least
    ``threshold``. A frame without any, as in silence, is similar only to itself. The earlier of
    equal frames comes first.

    Shape:
        spectra: ``(frames, bins)``, from `unit_spectra`.
    """
    total = len(spectra)
    table = _empty_table(spectra, min(number, total))
    for first, similarity in _rows(spectra):
        rows, frames = _local_maxima(similarity, distance, threshold).nonzero().unbind(1)
        by_value = similarity[rows, frames].argsort(descending=True, stable=True)
        order = by_value[rows[by_value].argsort(stable=True)]
        rows, frames = rows[order], frames[order]
        counts = rows.bincount(minlength=len(similarity))
        place = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
        chosen = place < number
        table[first + rows[chosen], place[chosen]] = frames[chosen].to(table.dtype)
    return _similar(table)


def nearest_frames(spectra: torch.Tensor, *, distance: int) -> SimilarFrames:
    """Find the most similar frames that are at least ``distance`` frames away.

    As many as librosa takes of ``n`` frames: ``2 ceil(sqrt(n - 2 distance + 1))``.

    Shape:
        spectra: ``(frames, bins)``, from `unit_spectra`.
    """
    total = len(spectra)
    number = min(2 * math.ceil(math.sqrt(max(total - 2 * distance + 1, 1))), total)
    every = torch.arange(total, device=spectra.device)
    table = _empty_table(spectra, number)
    for first, similarity in _rows(spectra):
        own = every[first : first + len(similarity), None]
        similarity.masked_fill_((every - own).abs() < distance, -math.inf)
        values, frames = similarity.topk(number)
        table[first : first + len(frames)] = frames.masked_fill_(values == -math.inf, total)
    return _similar(table)


def _empty_table(spectra: torch.Tensor, most: int) -> torch.Tensor:
    shape = (len(spectra), most)
    return torch.full(shape, len(spectra), dtype=torch.int32, device=spectra.device)


def _rows(spectra: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield pieces of the similarity matrix ``(rows, frames)``, and their first row."""
    step = max(1, _ELEMENTS // len(spectra))
    space = spectra.new_empty(min(_ROWS, len(spectra)), len(spectra))
    for first in range(0, len(spectra), _ROWS):
        some = spectra[first : first + _ROWS]
        similarity = torch.mm(some, spectra.mT, out=space[: len(some)])
        for start in range(0, len(some), step):
            yield first + start, similarity[start : start + step]


def _local_maxima(rows: torch.Tensor, distance: int, threshold: float) -> torch.Tensor:
    """Return where ``rows`` are greater than all within ``distance`` of either side."""
    frames = rows.shape[1]
    greatest = functional.pad(rows, (distance, distance), value=-math.inf)
    width = 1
    while width < distance:
        step = min(width, distance - width)
        greatest = torch.maximum(greatest[:, :-step], greatest[:, step:])
        width += step
    around = torch.maximum(greatest[:, :frames], greatest[:, distance + 1 :])
    return (rows > around).logical_and_(rows >= threshold)


def _similar(table: torch.Tensor) -> SimilarFrames:
    total = len(table)
    counts = (table < total).sum(1)
    lonely = (counts == 0).nonzero().squeeze(1)
    table[lonely, 0], counts[lonely] = lonely.to(table.dtype), 1
    return SimilarFrames(table[:, : int(counts.max())], counts)
