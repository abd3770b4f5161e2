"""Computes stems from similar frames: the authors' recipe, and that of librosa's gallery."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from sepbench.dsp.masks import soft_mask
from sepbench.dsp.stft import Stft

from .similarity import SimilarFrames, nearest_frames, repeating_frames, unit_spectra

_WINDOW = 0.04
"""Shortest window of the authors' recipe in seconds."""

_EPSILON = torch.finfo(torch.float64).eps

_FRAMES = 256
_SORTED = 1 << 18
"""Magnitudes sorted at a time."""


def rafii(
    mixture: torch.Tensor,
    *,
    rate: int,
    distance: float,
    number: int,
    threshold: float,
    cutoff: float,
) -> dict[str, torch.Tensor]:
    """Return the repeating background as accompaniment (Rafii and Pardo 2012).

    ``distance`` is in seconds, ``cutoff`` in Hz.

    Shape:
        mixture: ``(channels, samples)``, and the background likewise.
    """
    length = 1 << (int(_WINDOW * rate) - 1).bit_length()
    stft = Stft(n_fft=length, hop=length // 2, window="hamming", plain=True)
    similar = repeating_frames(
        unit_spectra(mixture, stft),
        distance=round(distance * rate / stft.hop),
        number=number,
        threshold=threshold,
    )
    lowest = round(cutoff * length / rate)
    background = torch.zeros_like(mixture)
    for channel, part in zip(mixture, background, strict=True):
        for first, spectrum, magnitude, repeating in _models(channel, stft, similar):
            mask = repeating.add_(_EPSILON).div_(magnitude.add_(_EPSILON))
            mask[1 : lowest + 1] = 1.0
            stft.add(part, spectrum * mask, first)
    return {"accompaniment": background}


def librosa(
    mixture: torch.Tensor, *, rate: int, distance: float, margins: tuple[float, float]
) -> dict[str, torch.Tensor]:
    """Return vocals and accompaniment by the soft masks of librosa's gallery.

    ``distance`` is in seconds; ``margins`` are those of vocals and accompaniment.

    Shape:
        mixture: ``(channels, samples)``, and each stem likewise.
    """
    stft = Stft(n_fft=4096, win=1024, hop=256)
    similar = nearest_frames(unit_spectra(mixture, stft), distance=int(distance * rate / stft.hop))
    vocals, accompaniment = torch.zeros_like(mixture), torch.zeros_like(mixture)
    for channel, voice, background in zip(mixture, vocals, accompaniment, strict=True):
        for first, spectrum, magnitude, repeating in _models(channel, stft, similar):
            rest = magnitude - repeating
            ours = soft_mask(rest, margins[0] * repeating, silence=0.0)
            theirs = soft_mask(repeating, margins[1] * rest, silence=0.0)
            stft.add(voice, spectrum * ours, first)
            stft.add(background, spectrum * theirs, first)
    return {"vocals": vocals, "accompaniment": accompaniment}


def _models(
    channel: torch.Tensor, stft: Stft, similar: SimilarFrames
) -> Iterator[tuple[int, torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Yield blocks of one channel: first frame, spectrum, magnitude and repeating magnitude.

    The repeating magnitude is the median over similar frames, at most the magnitude.

    Shape:
        channel: ``(samples)``; each block: ``(bins, frames)``.
    """
    samples = channel.shape[-1]
    total = stft.frames(samples)
    # An extra frame of infinity pads the rows of frames with fewer similar ones.
    magnitudes = channel.new_full((total + 1, stft.bins), torch.inf)
    for first, last in stft.blocks(samples, _FRAMES):
        magnitudes[first:last] = stft.forward(channel, first, last).abs().mT
    for first, last in stft.blocks(samples, _FRAMES):
        magnitude = magnitudes[first:last].clone()
        repeating = torch.minimum(_medians(magnitudes, similar, first, last), magnitude)
        yield first, stft.forward(channel, first, last), magnitude.mT, repeating.mT


def _medians(
    magnitudes: torch.Tensor, similar: SimilarFrames, first: int, last: int
) -> torch.Tensor:
    """Return the median over the frames similar to each of ``first`` to ``last``.

    Shape:
        magnitudes: ``(frames + 1, bins)``, the last one infinite.
        result: ``(last - first, bins)``.
    """
    bins, most = magnitudes.shape[1], similar.indices.shape[1]
    step = max(1, _SORTED // (bins * most))
    gathered, rows = magnitudes.new_empty(2, step * most * bins)
    medians = magnitudes.new_empty(last - first, bins)
    for start in range(first, last, step):
        stop = min(start + step, last)
        counts = similar.counts[start:stop]
        indices = similar.indices[start:stop, : int(counts.max())]
        chosen = gathered[: indices.numel() * bins].view(-1, bins)
        torch.index_select(magnitudes, 0, indices.flatten(), out=chosen)
        ordered = rows[: chosen.numel()].view(len(indices), bins, -1)
        ordered.copy_(chosen.view(*indices.shape, bins).mT)
        ordered = _sorted(ordered)
        middle = torch.stack([(counts - 1) // 2, counts // 2], dim=1)[:, None].expand(-1, bins, -1)
        torch.mean(ordered.gather(2, middle), 2, out=medians[start - first : stop - first])
    return medians


def _sorted(values: torch.Tensor) -> torch.Tensor:
    """Return ``values`` sorted along the last dimension; they may be overwritten."""
    if values.device.type == "cpu":
        # numpy sorts short rows in vector registers, ten times faster than torch.
        values.numpy().sort(axis=-1)
        return values
    return values.sort(dim=-1).values
