"""Cuts signals of any length into overlapping slices of equal length, and joins them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from sepbench.dsp.stft import surround

Taper = Literal["analysis", "both", "synthesis"]


@dataclass(frozen=True)
class Slices:
    """Slices whose windows sum to one: raised-cosine slopes over the overlap, ones between them.

    Args:
        length: of a slice, in samples.
        overlap: with the next slice, in samples; at most half the length. 0 cuts without windows.
        taper: when the windows are applied: as slices are cut (Holighaus, Dörfler, Velasco and
            Grill 2013; a constant mask leaves no trace of the slices), as they are joined (slices
            have their full level), or their roots at ``both``.

    The first slice begins one overlap before the signal, the last ends at least one after it.

    >>> slices = Slices(length=8, overlap=2)
    >>> slices.cut(torch.ones(10))[0]
    tensor([0.0000, 0.0000, 1.0000, 1.0000, 1.0000, 1.0000, 0.8536, 0.1464])
    >>> slices.join(slices.cut(torch.ones(10)), 10)
    tensor([1., 1., 1., 1., 1., 1., 1., 1., 1., 1.])
    """

    length: int
    overlap: int
    taper: Taper = "analysis"

    def __post_init__(self) -> None:
        if not 0 <= 2 * self.overlap <= self.length or self.length < 1:
            raise ValueError(f"need 0 <= 2 overlap <= length, not {self}")

    @property
    def hop(self) -> int:
        """Distance between slices in samples."""
        return self.length - self.overlap

    def count(self, samples: int) -> int:
        """Return the number of slices that cover ``samples``, at least one."""
        return max(-(-(samples + self.overlap) // self.hop), 1)

    def blocks(self, samples: int, size: int) -> Iterator[tuple[int, int]]:
        """Yield ``(first, last)`` ranges of at most ``size`` slices over ``samples``.

        >>> list(Slices(length=8, overlap=2).blocks(30, 4))
        [(0, 4), (4, 6)]
        """
        total = self.count(samples)
        for first in range(0, total, size):
            yield first, min(first + size, total)

    def cut(self, signal: torch.Tensor, first: int = 0, last: int | None = None) -> torch.Tensor:
        """Return slices ``first`` to ``last`` (exclusive; None: the end), with zeros around.

        Shape:
            signal: ``(..., samples)``.
            result: ``(..., last - first, length)``.
        """
        last = self.count(signal.shape[-1]) if last is None else last
        start, stop = first * self.hop - self.overlap, last * self.hop
        pieces = surround(signal, start, stop).unfold(-1, self.length, self.hop)
        faded = self.overlap and self.taper != "synthesis"
        return pieces * self._window(signal) if faded else pieces

    def join(self, pieces: torch.Tensor, samples: int) -> torch.Tensor:
        """Return the signal ``(..., samples)`` of all its slices ``(..., slices, length)``."""
        signal = pieces.new_zeros(*pieces.shape[:-2], samples)
        self.add(signal, pieces)
        return signal

    def add(self, signal: torch.Tensor, pieces: torch.Tensor, first: int = 0) -> None:
        """Add slices ``first`` onwards to ``signal``, in place.

        After every slice of `blocks` was added to zeros, the signal is complete.

        Shape:
            signal: ``(..., samples)``.
            pieces: ``(..., slices, length)``.
        """
        if self.overlap and self.taper != "analysis":
            pieces = pieces * self._window(pieces)
        count, start = pieces.shape[-2], first * self.hop - self.overlap
        total = pieces.new_zeros(*pieces.shape[:-2], count + 1, self.hop)
        total[..., :count, :] = pieces[..., : self.hop]
        total[..., 1:, : self.overlap] += pieces[..., self.hop :]
        begin, end = max(start, 0), min(start + count * self.hop + self.overlap, signal.shape[-1])
        signal[..., begin:end] += total.flatten(-2)[..., begin - start : end - start]

    def _window(self, like: torch.Tensor) -> torch.Tensor:
        """Return the window of a slice, or its root."""
        phase = (torch.arange(self.overlap, dtype=torch.float64) + 0.5) / self.overlap
        slope = (0.5 * torch.pi * phase).sin()
        if self.taper != "both":
            slope = slope.square()
        window = torch.ones(self.length, dtype=torch.float64)
        window[: self.overlap] = slope
        window[self.hop :] = slope.flip(0)
        return window.to(like)
