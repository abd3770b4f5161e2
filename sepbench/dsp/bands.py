"""Frequency bands of spectra: analysis and its adjoint synthesis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

Integers: TypeAlias = NDArray[np.int64]
Weights: TypeAlias = Literal["window", "dual"]

_CACHE = 4_000_000
"""Bytes of coefficients that fit a processor's cache together with a working copy."""


@dataclass(frozen=True)
class Layout:
    """Mapping of the bins of the half spectrum of ``samples`` samples to places in bands.

    ``widths`` and ``lengths`` are the bins and coefficients of each band. The other fields have one
    entry per bin of each band, band by band; ``mirrored`` bins are conjugated.
    """

    samples: int
    widths: Integers
    lengths: Integers
    from_centre: Integers
    bins: Integers
    mirrored: NDArray[np.bool_]
    weights: dict[Weights, NDArray[np.float64]]

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """``(bands, length)`` of groups of adjacent bands of the same length."""
        return [(len(list(group)), int(length)) for length, group in groupby(self.lengths)]


class BandPlan:
    """The tables of a layout on a device and in a precision; both directions are differentiable."""

    def __init__(self, layout: Layout, device: torch.device, dtype: torch.dtype) -> None:
        self._samples, self._shapes = layout.samples, layout.shapes
        self._sizes = [bands * length for bands, length in layout.shapes]
        starts = np.concatenate([[0], np.cumsum(layout.lengths)[:-1]])
        start, length = (np.repeat(values, layout.widths) for values in (starts, layout.lengths))
        self._bins = torch.from_numpy(layout.bins).to(device)
        self._places = torch.from_numpy(start + layout.from_centre % length).to(device)
        sign = np.where(layout.mirrored, -1.0, 1.0)
        self._weights = {
            name: torch.from_numpy(np.stack([w, w * sign], axis=-1)).to(device, dtype)
            for name, w in layout.weights.items()
        }
        # `irfft` counts every bin twice, except those that are their own mirrors, which are real.
        share = np.full((layout.samples // 2 + 1, 2), 0.5)
        share[:: layout.samples // 2 if layout.samples % 2 == 0 else layout.samples] = 1, 0
        self._share = torch.from_numpy(share).to(device, dtype)
        in_cache = max(1, _CACHE // (2 * dtype.itemsize * int(layout.lengths.sum())))
        self._at_once = in_cache if device.type == "cpu" else 1 << 30

    def analyse(self, signals: torch.Tensor, weights: Weights) -> list[torch.Tensor]:
        """Return the coefficients ``(signals, bands, length)`` of ``(signals, samples)``."""
        parts = [self._analyse(some, weights) for some in torch.split(signals, self._at_once)]
        return [_cat(part, 0) for part in zip(*parts, strict=True)]

    def synthesise(self, coefficients: Sequence[torch.Tensor], weights: Weights) -> torch.Tensor:
        """Return the signals ``(signals, samples)`` of ``(signals, bands, length)``."""
        parts = zip(*(torch.split(given, self._at_once) for given in coefficients), strict=True)
        return _cat([self._synthesise(some, weights) for some in parts], 0)

    def _analyse(self, signals: torch.Tensor, weights: Weights) -> list[torch.Tensor]:
        spectrum = torch.fft.rfft(signals)
        picked = _scaled(spectrum.gather(-1, _each(self._bins, spectrum)), self._weights[weights])
        flat = spectrum.new_zeros(len(spectrum), sum(self._sizes))
        flat = flat.scatter_(-1, _each(self._places, spectrum), picked)
        groups = zip(torch.split(flat, self._sizes, dim=-1), self._shapes, strict=True)
        return [torch.fft.ifft(group.view(-1, *shape), norm="forward") for group, shape in groups]

    def _synthesise(self, coefficients: Sequence[torch.Tensor], weights: Weights) -> torch.Tensor:
        rows = [torch.fft.fft(given).flatten(-2) for given in coefficients]
        picked = _cat(rows, -1).gather(-1, _each(self._places, rows[0]))
        spectrum = picked.new_zeros(len(picked), len(self._share))
        spectrum = spectrum.scatter_add_(
            -1, _each(self._bins, picked), _scaled(picked, self._weights[weights])
        )
        signal: torch.Tensor = torch.fft.irfft(
            _scaled(spectrum, self._share), n=self._samples, norm="forward"
        )
        return signal


def _scaled(spectrum: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Multiply real and imaginary parts with the two columns of ``factors``, in place."""
    torch.view_as_real(spectrum).mul_(factors)
    return spectrum


def _each(table: torch.Tensor, signals: torch.Tensor) -> torch.Tensor:
    """Return the same table for each of ``signals``."""
    return table.expand(len(signals), -1)


def _cat(tensors: Sequence[torch.Tensor], dim: int) -> torch.Tensor:
    """Join tensors, without a copy of a single one."""
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors), dim=dim)
