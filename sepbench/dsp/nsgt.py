"""Nonstationary Gabor transform: bands of any widths, real signals, exact reconstruction."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

Frequencies = NDArray[np.float64]
_Bins = NDArray[np.int64]

_SHORTEST = 4  # coefficients of a band
_LEAST_ENERGY = 1e-4  # of the windows at any bin: below, the inverse would magnify rounding


def linear(low: float, high: float, bands: int) -> Frequencies:
    """Return ``bands`` frequencies from ``low`` to ``high`` Hz at equal distances."""
    return np.linspace(low, high, bands)


def log(low: float, high: float, bands: int) -> Frequencies:
    """Return ``bands`` frequencies from ``low`` to ``high`` Hz at equal ratios: constant Q."""
    return np.geomspace(low, high, bands)


def octave(low: float, high: float, per_octave: int) -> Frequencies:
    """Return the frequencies from ``low`` Hz up to ``high`` Hz, ``per_octave`` to each octave."""
    steps = int(np.floor(per_octave * np.log2(high / low) + 1e-9)) + 1
    return low * np.exp2(np.arange(steps) / per_octave)


def mel(low: float, high: float, bands: int) -> Frequencies:
    """Return ``bands`` frequencies from ``low`` to ``high`` Hz in equal steps of O'Shaughnessy's mel."""
    return _warped(low, high, bands, lambda f: np.log1p(f / 700), lambda m: 700 * np.expm1(m))


def bark(low: float, high: float, bands: int) -> Frequencies:
    """Return ``bands`` frequencies from ``low`` to ``high`` Hz in equal steps of Schroeder's Bark."""
    return _warped(low, high, bands, lambda f: np.arcsinh(f / 600), lambda b: 600 * np.sinh(b))


def _warped(
    low: float,
    high: float,
    bands: int,
    there: Callable[[Frequencies], Frequencies],
    back: Callable[[Frequencies], Frequencies],
) -> Frequencies:
    first, last = there(np.array([low, high]))
    return back(np.linspace(first, last, bands))


class Nsgt:
    """Transform of signals of one length, which count as one period: painless case, Hann bands.

    Args:
        scale: increasing centre frequencies in Hz. Bands at 0 and at half the rate are always
            there; frequencies at and beyond these are left out.
        rate: sample rate in Hz.
        samples: length of the signals.
        frames: coefficients of each band, at least the width of the widest in bins of the
            spectrum, and that if not given. Lengths with small prime factors are faster.

    Band ``k`` is the spectrum around its centre times a Hann window that reaches about to its
    neighbours' centres, moved to frequency zero and transformed back (Velasco, Holighaus, Dörfler
    and Grill 2011). `inverse` is the least-squares one: the windows over the sum of their squares.

    >>> nsgt = Nsgt(bark(0, 22050, 96), rate=44100, samples=44032)
    >>> signal = torch.randn(2, 44032, generator=torch.Generator().manual_seed(0))
    >>> coefficients = nsgt.forward(signal)
    >>> coefficients.shape
    torch.Size([2, 96, 1948])
    >>> torch.allclose(nsgt.inverse(coefficients), signal, atol=1e-5)
    True
    """

    def __init__(
        self,
        scale: Sequence[float] | Frequencies,
        *,
        rate: float = 44100,
        samples: int = 44032,
        frames: int | None = None,
    ) -> None:
        self.rate = rate
        self.samples = samples
        centres, widths = _layout(np.asarray(scale, dtype=np.float64), rate, samples)
        longest = int(widths.max())
        if frames is not None and frames < longest:
            raise ValueError(f"need frames >= {longest}, the widest band, not {frames}")
        self.frames = longest if frames is None else frames
        self.bands = len(centres)
        self.widths = widths
        self.frequencies: Frequencies = centres * rate / samples
        self._tables = _Tables(centres, widths, samples, self.frames)
        self._ready: dict[tuple[torch.device, torch.dtype], _Tables] = {}

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        """Return the coefficients of a signal, which is continued with zeros if it is shorter.

        Shape:
            signal: ``(..., samples)``, real.
            result: ``(..., bands, frames)``, complex.
        """
        if signal.shape[-1] > self.samples:
            raise ValueError(f"need at most {self.samples} samples, not {signal.shape[-1]}")
        tables = self._on(signal.device, signal.dtype)
        half = torch.fft.rfft(signal, n=self.samples)
        picked = half.index_select(-1, tables.bins)
        picked = torch.complex(picked.real, picked.imag * tables.sign) * tables.window
        rows = picked.new_zeros(*signal.shape[:-1], self.bands * self.frames)
        rows = rows.index_copy(-1, tables.places, picked)
        rows = rows.view(*signal.shape[:-1], self.bands, self.frames)
        coefficients: torch.Tensor = torch.fft.ifft(rows)
        return coefficients

    def inverse(self, coefficients: torch.Tensor, samples: int | None = None) -> torch.Tensor:
        """Return the first ``samples`` (none: all) of the signal that has these coefficients.

        Shape:
            coefficients: ``(..., bands, frames)``, complex.
            result: ``(..., samples)``, real.
        """
        tables = self._on(coefficients.device, coefficients.real.dtype)
        rows = torch.fft.fft(coefficients).flatten(-2)
        picked = rows.index_select(-1, tables.places) * tables.dual
        picked = torch.complex(picked.real, picked.imag * tables.sign)
        half = picked.new_zeros(*rows.shape[:-1], self.samples // 2 + 1)
        half = half.index_add(-1, tables.bins, picked)
        signal: torch.Tensor = torch.fft.irfft(half, n=self.samples)
        return signal[..., :samples]

    def _on(self, device: torch.device, dtype: torch.dtype) -> _Tables:
        if (device, dtype) not in self._ready:
            self._ready[device, dtype] = self._tables.to(device, dtype)
        return self._ready[device, dtype]


class _Tables:
    """Which bin of the half spectrum goes to which place of the rows, and times what.

    Bands that reach below zero or beyond half the rate take the conjugate of the mirrored bin:
    ``sign`` is -1 there.
    """

    def __init__(self, centres: _Bins, widths: _Bins, samples: int, frames: int) -> None:
        half = samples // 2
        bins, places, windows, copies = [], [], [], []
        for band, (centre, width) in enumerate(zip(centres, widths, strict=True)):
            offset = np.arange(-(width // 2), width - width // 2)
            where = (centre + offset) % samples
            bins.append(where)
            places.append(band * frames + offset % frames)
            windows.append(0.5 + 0.5 * np.cos(2 * np.pi * offset / width))
            # Inner bands stand at negative frequencies too, and so twice in a bin that is its own
            # mirror; the outer two stand once, and their mirrored half says nothing new.
            outer = band in (0, len(centres) - 1)
            own = (where == 0) | (2 * where == samples)
            copies.append(where <= half if outer else 1 + own)
        where, window = np.concatenate(bins), np.concatenate(windows)
        dual = window * np.concatenate(copies)
        mirrored = where > half
        where = np.where(mirrored, samples - where, where)
        energy = np.bincount(where, dual * window, half + 1)
        if energy.min() < _LEAST_ENERGY:
            raise ValueError(f"the scale leaves a gap at bin {energy.argmin()} of {half}")
        self.bins = torch.from_numpy(where)
        self.places = torch.from_numpy(np.concatenate(places))
        self.window = torch.from_numpy(window)
        self.dual = torch.from_numpy(dual / energy[where])
        self.sign = torch.from_numpy(np.where(mirrored, -1.0, 1.0))

    def to(self, device: torch.device, dtype: torch.dtype) -> _Tables:
        """Return a copy on ``device`` with numbers of ``dtype``."""
        other = copy.copy(self)
        for name, table in vars(self).items():
            kind = dtype if table.is_floating_point() else None
            setattr(other, name, table.to(device=device, dtype=kind))
        return other


def _layout(scale: Frequencies, rate: float, samples: int) -> tuple[_Bins, _Bins]:
    """Return the centres and widths of all bands, in bins."""
    inner = scale[(scale > 0) & (scale < rate / 2)]
    if not inner.size or (np.diff(scale) <= 0).any():
        raise ValueError("need increasing frequencies, some of them between 0 and half the rate")
    bin_of = np.concatenate([[0.0], inner, [rate / 2], [rate - inner[-1]]]) * samples / rate
    gaps = bin_of[2:] - bin_of[:-2]
    widths = np.concatenate([[2 * bin_of[1]], gaps]).round().clip(_SHORTEST)
    # Half the rate is far from the last frequency of a wide scale: that band goes half the way.
    bin_of[-3] = (bin_of[-4] + bin_of[-2]) / 2
    return bin_of[:-1].round().astype(np.int64), widths.astype(np.int64)
