"""Signal-to-distortion ratios without filters, by window and over a whole track.

Every score here is a function of three sums over a window, computed in one pass over the samples:
the energy of the reference ``s``, that of the error ``d = e - s`` of the estimate ``e``, and their
inner product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

_BLOCK = 2**17
"""Samples, over all channels, processed in double precision at a time: few enough for the cache."""

_STRIDE = 100
"""Step, in samples, of a quick check for silence."""

_CEILING = torch.finfo(torch.float64).eps ** 2
"""Smallest ratio of error to signal in double precision, -313 dB."""

_USDR_DELTA = 1e-7
"""Added to both energies by the music demixing challenges; keeps silence finite."""


@dataclass(frozen=True)
class Windows:
    """``count`` adjacent windows of ``length`` samples.

    Only whole windows count, as in museval; a signal shorter than one window is one short window.
    """

    samples: int
    length: int
    count: int

    @classmethod
    def of_signal(cls, samples: int, rate: int) -> Windows:
        """Cut ``samples`` samples into windows of one second at ``rate`` Hz."""
        length = max(1, min(rate, samples))
        return cls(samples=samples, length=length, count=max(1, samples // length))

    @property
    def scored(self) -> int:
        """Samples inside whole windows; the rest counts only in whole-track scores."""
        return min(self.samples, self.count * self.length)


@dataclass(frozen=True)
class Energies:
    """Sums of one reference and one estimate: one row a window, and a last one for the tail.

    Shape:
        each: float64 ``(windows + 1,)``, on the CPU.
        silent: bool ``(windows + 1,)``; true where the channels add up to zero at every sample of
        the estimate, museval's criterion of silence (so stereo in anti-phase is silent).
    """

    reference: torch.Tensor
    estimate: torch.Tensor
    error: torch.Tensor
    inner: torch.Tensor
    """Inner product of reference and error."""
    silent: torch.Tensor

    @property
    def whole(self) -> tuple[float, float, float]:
        """Energy of the reference, of the error, and their inner product over the whole track."""
        return float(self.reference.sum()), float(self.error.sum()), float(self.inner.sum())


def measure(reference: torch.Tensor, estimate: torch.Tensor, windows: Windows) -> Energies:
    """Sum energies and inner products in double precision, in blocks of bounded size.

    Shape:
        reference, estimate: ``(channels, samples)``, any real type, on the same device.
    """
    rows = []
    for start, stop in _blocks(windows, reference.shape[0]):
        true, made = (_cut(signal, start, stop, windows) for signal in (reference, estimate))
        silent = _silent(made)
        true, made = true.double(), made.double()
        error = made - true
        energies = [_energy(signal) for signal in (true, made, error)]
        inner = torch.linalg.vecdot(true, error).sum(0)
        rows.append(torch.stack([*energies, inner, silent.double()]))
    of_reference, of_estimate, of_error, inner, silent = torch.cat(rows, dim=1).cpu()
    return Energies(of_reference, of_estimate, of_error, inner, silent.bool())


def silence(signal: torch.Tensor, windows: Windows) -> torch.Tensor:
    """Return in which windows (and, last, the tail) a signal is silent, as museval defines it.

    Shape:
        signal: ``(channels, samples)``.
        returns: bool ``(windows + 1,)``, on the CPU.
    """
    found = [
        _silent(_cut(signal, start, stop, windows))
        for start, stop in _blocks(windows, signal.shape[0])
    ]
    return torch.cat(found).cpu()


def decibels(numerator: torch.Tensor, denominator: torch.Tensor) -> torch.Tensor:
    """Return ``10 log10(numerator / denominator)``, at most 313 dB, NaN where both are zero.

    museval computes errors as sums of terms that cancel, so its score of a perfect estimate is its
    own rounding error, some 300 dB and never the same twice. The ceiling is the square of the
    double-precision epsilon: finite as museval's, but defined.
    """
    return 10 * torch.log10(numerator / torch.maximum(denominator, _CEILING * numerator))


def sdr(energies: Energies) -> torch.Tensor:
    """Signal-to-distortion ratio of every window in dB, float64 ``(windows,)``.

    It equals the SDR of BSSEval v4 (museval in its default mode), whose three error terms add up
    to the plain difference of estimate and reference.
    """
    return decibels(energies.reference[:-1], energies.error[:-1])


def usdr(energies: Energies) -> float:
    """Global SDR of a track in dB as the music demixing challenges define it (MDX 2021, SDX 2023).

    Both energies have 1e-7 added, so a silent reference has a finite score.
    """
    reference, error, _ = energies.whole
    ratio = torch.tensor([reference + _USDR_DELTA, error + _USDR_DELTA], dtype=torch.float64)
    return float(10 * torch.log10(ratio[0] / ratio[1]))


def si_sdr(energies: Energies) -> float:
    """Scale-invariant SDR of a track in dB, jointly over channels (Le Roux et al. 2019).

    With ``a = <e, s> / <s, s>`` it is the ratio of the energies of ``a s`` and ``a s - e``. NaN
    where reference or estimate is silent.
    """
    reference, error, inner = energies.whole
    # For a silent estimate the inner product below would consist of rounding errors.
    if reference == 0 or not energies.estimate.any():
        return float("nan")
    # The residual is the part of the error, or of the estimate, orthogonal to the reference; of the
    # smaller of both, so that little cancels.
    estimate = float(energies.estimate.sum())
    of_estimate = reference + inner
    energy, product = (estimate, of_estimate) if estimate < error else (error, inner)
    residual = max(energy - product**2 / reference, 0.0)
    target = of_estimate**2 / reference
    pair = torch.tensor([target, residual], dtype=torch.float64)
    return float(decibels(pair[0], pair[1]))


def _energy(signal: torch.Tensor) -> torch.Tensor:
    # The norm needs no array of squares.
    norms: torch.Tensor = torch.linalg.vector_norm(signal, dim=-1)
    return norms.square().sum(0)


def _silent(channels: torch.Tensor) -> torch.Tensor:
    """Return which windows of ``(channels, windows, length)`` sum to zero at every sample."""
    # Checking few samples first saves a pass over nearly every window.
    silent = ~channels[..., ::_STRIDE].double().sum(0).any(-1)
    silent[silent.clone()] = ~channels[:, silent].double().sum(0).any(-1)
    return silent


def _blocks(windows: Windows, channels: int) -> Iterator[tuple[int, int]]:
    """Yield start and stop, in samples, of blocks of whole windows and, last, of the tail."""
    step = max(1, _BLOCK // (channels * windows.length)) * windows.length
    for start in range(0, windows.scored, step):
        yield start, min(start + step, windows.scored)
    yield windows.scored, windows.samples


def _cut(signal: torch.Tensor, start: int, stop: int, windows: Windows) -> torch.Tensor:
    """Return one block as ``(channels, windows, length)``, the tail as one window."""
    block = signal[:, start:stop]
    count = 1 if start == windows.scored else (stop - start) // windows.length
    return block.reshape(block.shape[0], count, (stop - start) // count)
