"""Short-time Fourier transform with exact reconstruction, at once or block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional

Window = Literal["hann", "hamming", "sqrt_hann"]


@dataclass(frozen=True)
class Stft:
    """A centred STFT: frame ``t`` is centred at sample ``t * hop``; zeros surround the signal.

    Args:
        n_fft: length of each transform, in samples.
        hop: distance between frames, in samples; at most ``win``.
        win: length of the window, centred in ``n_fft``; ``n_fft`` if not given.
        window: its periodic shape.
        plain: overlap-add without a window, divided by the sum of windows, as older programs do.

    Otherwise analysis and synthesis use the same window, and overlap-add divides by the sum of its
    squares, the least-squares inverse (Griffin and Lim 1984). Spectra are ``(..., bins, frames)``
    with each frame contiguous in memory.

    >>> stft = Stft(n_fft=1024, hop=256)
    >>> signal = torch.randn(2, 3001, generator=torch.Generator().manual_seed(0))
    >>> spectrum = stft.forward(signal)
    >>> spectrum.shape
    torch.Size([2, 513, 12])
    >>> torch.allclose(stft.inverse(spectrum, 3001), signal, atol=1e-5)
    True
    """

    n_fft: int
    hop: int
    win: int | None = None
    window: Window = "hann"
    plain: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.hop <= self.width <= self.n_fft:
            raise ValueError(f"need 0 < hop <= win <= n_fft, not {self}")

    @property
    def width(self) -> int:
        """Length of the window in samples."""
        return self.n_fft if self.win is None else self.win

    @property
    def bins(self) -> int:
        """Number of frequency bins, ``n_fft // 2 + 1``."""
        return self.n_fft // 2 + 1

    def frames(self, samples: int) -> int:
        """Return the number of frames that cover ``samples``.

        ``1 + samples // hop``, as in librosa and torch, plus one (as in scipy) if windows overlap
        by half or less and would fade out before the end.
        """
        rest = samples % self.hop and 2 * self.hop >= self.width
        return 1 + samples // self.hop + bool(rest)

    def blocks(self, samples: int, size: int) -> Iterator[tuple[int, int]]:
        """Yield ``(first, last)`` frame ranges of at most ``size`` frames over ``samples``.

        >>> list(Stft(n_fft=8, hop=4).blocks(30, 5))
        [(0, 5), (5, 9)]
        """
        total = self.frames(samples)
        for first in range(0, total, size):
            yield first, min(first + size, total)

    def forward(
        self, signal: torch.Tensor, first: int = 0, last: int | None = None
    ) -> torch.Tensor:
        """Return the spectrum of frames ``first`` to ``last`` (exclusive; None: the end).

        Shape:
            signal: ``(..., samples)``, real.
            result: ``(..., bins, last - first)``, complex.
        """
        last = self.frames(signal.shape[-1]) if last is None else last
        start = first * self.hop - self.n_fft // 2
        stop = start + (last - first - 1) * self.hop + self.n_fft
        frames = surround(signal, start, stop).unfold(-1, self.n_fft, self.hop)
        spectrum: torch.Tensor = torch.fft.rfft(frames * self._window(signal))
        return spectrum.mT

    def inverse(self, spectrum: torch.Tensor, samples: int) -> torch.Tensor:
        """Return the signal ``(..., samples)`` of the spectrum ``(..., bins, frames)``."""
        signal = spectrum.real.new_zeros(*spectrum.shape[:-2], samples)
        self.add(signal, spectrum)
        return signal

    def add(self, signal: torch.Tensor, spectrum: torch.Tensor, first: int = 0) -> None:
        """Add what frames ``first`` onwards contribute to ``signal``, in place.

        After every frame of `blocks` was added to zeros, the result equals `inverse`.

        Shape:
            signal: ``(..., samples)``, real.
            spectrum: ``(..., bins, frames)``, complex.
        """
        samples, frames = signal.shape[-1], spectrum.shape[-1]
        start = first * self.hop - self.n_fft // 2
        window = self._window(signal)
        again = torch.ones_like(window) if self.plain else window
        dual = again / self._periodic(window * again)
        piece = self._overlap(torch.fft.irfft(spectrum.mT, n=self.n_fft) * dual)
        # Near the ends fewer windows overlap than the dual window assumes.
        total = self.frames(samples)
        reach = -(-self.n_fft // self.hop)
        if first < reach or first + frames > total - reach:
            low, high = max(first - reach, 0), min(first + frames + reach, total)
            cover = self._overlap((window * dual).expand(high - low, -1))
            offset = (first - low) * self.hop
            piece = piece / cover[offset : offset + piece.shape[-1]].clamp_min(1e-9)
        begin, end = max(start, 0), min(start + piece.shape[-1], samples)
        signal[..., begin:end] += piece[..., begin - start : end - start]

    def _overlap(self, frames: torch.Tensor) -> torch.Tensor:
        """Overlap-add ``(..., frames, n_fft)`` at distances of one hop."""
        count = frames.shape[-2]
        steps = -(-self.n_fft // self.hop)
        padded = functional.pad(frames, (0, steps * self.hop - self.n_fft))
        total = frames.new_zeros(*frames.shape[:-2], count + steps - 1, self.hop)
        for step in range(steps):
            total[..., step : step + count, :] += padded[
                ..., step * self.hop : (step + 1) * self.hop
            ]
        length = (count - 1) * self.hop + self.n_fft
        return total.flatten(-2)[..., :length]

    def _window(self, like: torch.Tensor) -> torch.Tensor:
        """Return the window, centred in ``n_fft``."""
        make = torch.hamming_window if self.window == "hamming" else torch.hann_window
        shape = make(self.width, dtype=torch.float64)
        if self.window == "sqrt_hann":
            shape = shape.sqrt()
        left = (self.n_fft - self.width) // 2
        shape = functional.pad(shape, (left, self.n_fft - self.width - left))
        return shape.to(like)

    def _periodic(self, products: torch.Tensor) -> torch.Tensor:
        """Return the sum of products of windows at all hops, for each sample of one window."""
        steps = -(-self.n_fft // self.hop)
        padded = functional.pad(products, (0, steps * self.hop - self.n_fft))
        return padded.view(steps, self.hop).sum(0).repeat(steps)[: self.n_fft].clamp_min(1e-9)


def surround(signal: torch.Tensor, start: int, stop: int) -> torch.Tensor:
    """Return samples ``start`` to ``stop`` of ``signal`` ``(..., samples)``, zero outside of it."""
    samples = signal.shape[-1]
    inside = signal[..., min(max(start, 0), samples) : max(min(stop, samples), 0)]
    left = min(max(-start, 0), stop - start)
    return functional.pad(inside, (left, stop - start - left - inside.shape[-1]))
