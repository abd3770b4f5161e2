"""Bands of the spectra of signals: analysis and synthesis, each the adjoint of the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from sepbench.dsp.fourier import Integers, Rows, Spectrum, ways, weigh

Weights: TypeAlias = Literal["window", "dual"]

_CACHE = 4_000_000  # bytes of coefficients that stay in a processor's cache, beside as much again
_MANY = 1 << 30  # signals


@dataclass(frozen=True)
class Layout:
    """Which bins of half the spectrum of signals of so many ``samples`` go where in which band.

    ``widths`` and ``lengths`` are the bins and coefficients of each band. The rest has one entry
    for each bin of each band, band by band; ``mirrored`` ones go there conjugated.
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
        """Bands and coefficients ``(bands, length)`` of neighbours of the same length."""
        return [(len(list(group)), int(length)) for length, group in groupby(self.lengths)]


class BandPlan:
    """How a layout is computed with on a device and in a precision."""

    def __init__(self, layout: Layout, device: torch.device, dtype: torch.dtype) -> None:
        self._spectrum = Spectrum(layout.samples, device, dtype)
        # For each result, neighbouring bands that are computed together: how many, and how.
        self._results: list[list[tuple[int, Rows]]] = []
        self._sizes: list[int] = []
        places = np.empty_like(layout.bins)
        band = entry = 0
        for bands, length in layout.shapes:
            self._results.append(ways(length, layout.widths[band : band + bands], device, dtype))
            for count, rows in self._results[-1]:
                widths = layout.widths[band : band + count]
                entries = slice(entry, entry + int(widths.sum()))
                row = np.repeat(np.arange(count), widths)
                inside = rows.size * row + rows.find(layout.from_centre[entries])
                places[entries] = sum(self._sizes) + inside
                self._sizes.append(count * rows.size)
                band, entry = band + count, entries.stop

        cells, conjugated = self._spectrum.find(layout.bins)
        sign = np.where(layout.mirrored ^ conjugated, -1.0, 1.0)
        order = np.argsort(cells, kind="stable")  # as cells of neighbours are far apart in memory
        self._cells = torch.from_numpy(cells[order]).to(device)
        self._places = torch.from_numpy(places[order]).to(device)
        self._weights = {
            name: torch.from_numpy(np.stack([w, w * sign], axis=-1)[order]).to(device, dtype)
            for name, w in layout.weights.items()
        }
        in_cache = max(1, _CACHE // (2 * dtype.itemsize * int(layout.lengths.sum())))
        self._at_once = in_cache if device.type == "cpu" else _MANY

    def analyse(self, signals: torch.Tensor, weights: Weights) -> tuple[torch.Tensor, ...]:
        """Return the coefficients ``(signals, bands, length)`` of ``(signals, samples)``."""
        parts = [self._analyse(some, weights) for some in torch.split(signals, self._at_once)]
        return tuple(_cat(part, 0) for part in zip(*parts, strict=True))

    def synthesise(self, coefficients: Sequence[torch.Tensor], weights: Weights) -> torch.Tensor:
        """Return the signals ``(signals, samples)`` of ``(signals, bands, length)``."""
        parts = zip(*(torch.split(given, self._at_once) for given in coefficients), strict=True)
        return _cat([self._synthesise(some, weights) for some in parts], 0)

    def _analyse(self, signals: torch.Tensor, weights: Weights) -> list[torch.Tensor]:
        cells = self._spectrum.forward(signals)
        picked = weigh(cells.gather(-1, _each(self._cells, cells)), self._weights[weights])
        flat = cells.new_zeros(len(cells), sum(self._sizes))
        flat.scatter_(-1, _each(self._places, cells), picked)
        groups = iter(torch.split(flat, self._sizes, dim=-1))
        return [
            _cat([rows.forward(next(groups).view(-1, n, rows.size)) for n, rows in result], -2)
            for result in self._results
        ]

    def _synthesise(self, coefficients: Sequence[torch.Tensor], weights: Weights) -> torch.Tensor:
        flat = []
        for given, result in zip(coefficients, self._results, strict=True):
            first = 0
            for count, rows in result:
                flat.append(rows.adjoint(given[:, first : first + count]).flatten(-2))
                first += count
        picked = _cat(flat, -1).gather(-1, _each(self._places, flat[0]))
        cells = picked.new_zeros(len(picked), self._spectrum.cells)
        weigh(picked, self._weights[weights])
        return self._spectrum.adjoint(cells.scatter_add_(-1, _each(self._cells, cells), picked))


class Analysis(torch.autograd.Function):
    """`BandPlan.analyse`, with `BandPlan.synthesise` as its gradient."""

    @staticmethod
    def forward(
        ctx: Any, plan: BandPlan, weights: Weights, signals: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Return the coefficients."""
        ctx.given = plan, weights
        return plan.analyse(signals, weights)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradient of the signals."""
        return None, None, synthesise(*ctx.given, *gradients)


class Synthesis(torch.autograd.Function):
    """`BandPlan.synthesise`, with `BandPlan.analyse` as its gradient."""

    @staticmethod
    def forward(
        ctx: Any, plan: BandPlan, weights: Weights, *coefficients: torch.Tensor
    ) -> torch.Tensor:
        """Return the signals."""
        ctx.given = plan, weights
        return plan.synthesise(coefficients, weights)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of the coefficients."""
        return None, None, *analyse(*ctx.given, *gradients)


def analyse(plan: BandPlan, weights: Weights, signals: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the coefficients ``(signals, bands, length)`` of ``(signals, samples)``."""
    made: tuple[torch.Tensor, ...] = Analysis.apply(  # type: ignore[no-untyped-call]
        plan, weights, signals
    )
    return made


def synthesise(plan: BandPlan, weights: Weights, *coefficients: torch.Tensor) -> torch.Tensor:
    """Return the signals ``(signals, samples)`` of ``(signals, bands, length)``."""
    made: torch.Tensor = Synthesis.apply(  # type: ignore[no-untyped-call]
        plan, weights, *coefficients
    )
    return made


def _each(table: torch.Tensor, signals: torch.Tensor) -> torch.Tensor:
    """Return the same table for each of ``signals``."""
    return table.expand(len(signals), -1)


def _cat(tensors: Sequence[torch.Tensor], dim: int) -> torch.Tensor:
    """Join tensors, if they are more than one."""
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors), dim=dim)
