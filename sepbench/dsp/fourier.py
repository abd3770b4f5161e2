"""Fourier transforms of lengths and shapes at which processors are slow, and of all others.

Both kinds come with their adjoints, and neither divides by a length. What torch computes on a
processor takes several times as long where a length has a large prime factor; elsewhere torch's
own transforms serve for everything.
"""

from __future__ import annotations

from itertools import groupby
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

Integers: TypeAlias = NDArray[np.int64]

_EASY = 13  # the largest prime that fast Fourier transforms are written for
_FACTORS = range(9, 129)  # smaller ones leave too much to do, matrices of larger ones too
_SIZES = [2**power for power in range(9, 14)]
_HARD, _BLOCK = 5.0, 1.4  # how much slower transforms of other lengths are, and those of blocks


class Spectrum:
    """Bins of real signals of one length, from zero to half the rate, each in a cell of its own.

    On a processor the smallest suitable factor ``p`` of the length comes first (Cooley and Tukey
    1965): transforms of ``p`` points are one real matrix product, of which the upper half says
    nothing new; fast transforms of what is left stay in its cache. Bin ``k`` is then in row
    ``k mod p`` or, conjugated, in ``-k mod p``.

    >>> spectrum = Spectrum(44032, torch.device("cpu"), torch.float32)
    >>> spectrum.forward(torch.zeros(2, 44032)).shape  # 44032 = 43 * 1024, in 22 rows
    torch.Size([2, 22528])
    """

    def __init__(self, samples: int, device: torch.device, dtype: torch.dtype) -> None:
        self.samples = samples
        self._rows = _factor(samples) if device.type == "cpu" else 1
        self._columns = samples // self._rows
        if self._rows > 1:
            row = np.arange(self._rows // 2 + 1)[:, None]
            angles = 2 * np.pi / self._rows * (row * np.arange(self._rows) % self._rows)
            first = np.concatenate([np.cos(angles), -np.sin(angles)])
            turns = np.exp(-2j * np.pi / samples * (row * np.arange(self._columns)))
            self._first = torch.from_numpy(first).to(device, dtype)
            self._turns = torch.from_numpy(turns).to(device, dtype.to_complex())
            self._back = torch.from_numpy(turns.conj()).to(device, dtype.to_complex())
            self.cells = turns.size
        else:
            # Bins that are their own mirrors are there once, and real.
            share = np.full((samples // 2 + 1, 2), 0.5)
            share[:: samples // 2 if samples % 2 == 0 else samples] = 1, 0
            self._share = torch.from_numpy(share).to(device, dtype)
            self.cells = len(share)

    def find(self, bins: Integers) -> tuple[Integers, NDArray[np.bool_]]:
        """Return the cells of ``bins``, and in which of them they are conjugated."""
        if self._rows == 1:
            return bins, np.zeros(bins.shape, dtype=bool)
        conjugated = bins % self._rows > self._rows // 2
        bins = np.where(conjugated, self.samples - bins, bins)
        return bins % self._rows * self._columns + bins // self._rows, conjugated

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        """Return the cells ``(..., cells)`` of signals ``(..., samples)``."""
        if self._rows == 1:
            cells: torch.Tensor = torch.fft.rfft(signal)
            return cells
        with torch.autocast("cpu", enabled=False):
            parts = self._first @ signal.view(*signal.shape[:-1], self._rows, self._columns)
        real, imaginary = parts.chunk(2, dim=-2)
        rows: torch.Tensor = torch.fft.fft(torch.complex(real, imaginary).mul_(self._turns))
        return rows.flatten(-2)

    def adjoint(self, cells: torch.Tensor) -> torch.Tensor:
        """Return the signals that are the real part of the sum of all cells."""
        if self._rows == 1:
            half = weigh(cells, self._share)
            signal: torch.Tensor = torch.fft.irfft(half, n=self.samples, norm="forward")
            return signal
        grid = cells.view(*cells.shape[:-1], -1, self._columns)
        rows = torch.fft.ifft(grid, norm="forward").mul_(self._back)
        with torch.autocast("cpu", enabled=False):
            return (self._first.T @ torch.cat([rows.real, rows.imag], dim=-2)).flatten(-2)


class Rows:
    """Coefficients of bands, each from a row of the bins around its centre."""

    def __init__(self, length: int) -> None:
        self.size = length

    def find(self, from_centre: Integers) -> Integers:
        """Return where in its row a bin belongs."""
        return from_centre % self.size

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the coefficients ``(..., length)`` of rows ``(..., size)``."""
        coefficients: torch.Tensor = torch.fft.ifft(rows, norm="forward")
        return coefficients

    def adjoint(self, coefficients: torch.Tensor) -> torch.Tensor:
        """Return the rows ``(..., size)`` of coefficients ``(..., length)``."""
        rows: torch.Tensor = torch.fft.fft(coefficients)
        return rows


class Chirps(Rows):
    """The same for few bins and many coefficients, by convolution with chirps in blocks.

    As ``2kn = k^2 + n^2 - (n - k)^2``, a transform of any length is a convolution between products
    with chirps (Bluestein 1970), and that of a few bins takes short transforms of an easy ``size``:
    one of the bins, and one of each of ``blocks`` of coefficients (overlap-save).
    """

    def __init__(
        self,
        length: int,
        width: int,
        size: int,
        blocks: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.size = size
        self._length, self._reach = length, width // 2
        block = -(-length // blocks)
        bins = np.arange(width) - self._reach
        frames = np.arange(blocks * block).reshape(blocks, block)
        apart = np.arange(1 - width, block)
        response = np.zeros((blocks, size), dtype=np.complex128)
        response[:, apart % size] = _chirp(frames[:, :1] + self._reach + apart, length).conj()

        def table(values: NDArray[np.complex128]) -> torch.Tensor:
            return torch.from_numpy(values).to(device, dtype.to_complex())

        before = np.zeros(size, dtype=np.complex128)
        before[:width] = _chirp(bins, length)
        between, after = np.fft.fft(response) / size, _chirp(frames, length)
        self._forward = table(before), table(between), table(after)
        self._adjoint = table(after.conj()), table(between.conj()), table(before.conj())

    def find(self, from_centre: Integers) -> Integers:
        """Return where in its row a bin belongs."""
        return from_centre + self._reach

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the coefficients ``(..., length)`` of rows ``(..., size)``."""
        before, between, after = self._forward
        spectrum = torch.fft.fft(rows.mul_(before))[..., None, :]
        blocks: torch.Tensor = torch.fft.ifft(spectrum * between, norm="forward")
        return (blocks[..., : after.shape[-1]] * after).flatten(-2)[..., : self._length]

    def adjoint(self, coefficients: torch.Tensor) -> torch.Tensor:
        """Return the rows ``(..., size)`` of coefficients ``(..., length)``."""
        after, between, before = self._adjoint
        whole = functional.pad(coefficients, (0, after.numel() - self._length))
        blocks = whole.new_zeros(*whole.shape[:-1], len(after), self.size)
        cut = whole.view(*whole.shape[:-1], *after.shape)
        torch.mul(cut, after, out=blocks[..., : after.shape[-1]])
        spectrum = torch.fft.fft(blocks).mul_(between).sum(-2)
        rows: torch.Tensor = torch.fft.ifft(spectrum, norm="forward").mul_(before)
        return rows


def ways(
    length: int, widths: Integers, device: torch.device, dtype: torch.dtype
) -> list[tuple[int, Rows]]:
    """Return the fastest way from bands of ``widths`` bins to ``length`` coefficients.

    Neighbours that go the same way stand together: how many, and how.
    """
    if device.type != "cpu" or _is_easy(length):
        return [(len(widths), Rows(length))]
    made: list[tuple[int, Rows]] = []
    for (size, blocks), alike in groupby(widths.tolist(), lambda width: _blocks(length, width)):
        group = list(alike)
        rows = Rows(length)
        if size:
            rows = Chirps(length, max(group), size, blocks, device, dtype)
        made.append((len(group), rows))
    return made


def _blocks(length: int, width: int) -> tuple[int, int]:
    """Return size and number of blocks for `Chirps`, zeros where `Rows` is faster."""
    # In units of the time an easy transform takes per sample and octave.
    costs = [(_HARD * length * np.log2(length), 0, 0)]
    for size in _SIZES:
        if size >= 2 * width:
            blocks = -(-length // (size - width + 1))
            costs.append((_BLOCK * (1 + blocks) * size * np.log2(size), size, blocks))
    return min(costs)[1:]


def weigh(spectrum: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Multiply real and imaginary parts with the two columns of ``weights``, in place."""
    torch.view_as_real(spectrum).mul_(weights)
    return spectrum


def _chirp(places: Integers, length: int) -> NDArray[np.complex128]:
    """Return ``exp(i pi places^2 / length)``."""
    chirp: NDArray[np.complex128] = np.exp(1j * np.pi / length * (places**2 % (2 * length)))
    return chirp


def _factor(samples: int) -> int:
    """Return the factor to begin with, 1 for none."""
    fits = (p for p in _FACTORS if samples % p == 0 and _is_easy(samples // p))
    return next(fits, 1)


def _is_easy(length: int) -> bool:
    """Return whether fast Fourier transforms of a length are fast."""
    for prime in range(2, _EASY + 1):
        while length % prime == 0:
            length //= prime
    return length == 1
