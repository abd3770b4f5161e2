"""A multichannel Wiener filter that separates stems by their position in the stereo image.

Masks treat each channel alone. Bins in which one stem dominates show the spatial covariance of that
stem; with it, a filter over all channels separates stems that share a bin. This is the expectation
maximisation of Duong, Vincent and Gribonval (IEEE TASLP 2010) and of Nugraha, Liutkus and Vincent
(IEEE TASLP 2016), with three changes that gave higher scores after masks:

- The energy of a stem is its share of the mixture, not the energy of its estimate. A mask of least
  error is that share; if all stems have the same position the filter returns it. The square would
  sharpen the mask, which loses more than the positions gain.
- Its covariance is a mean of the mixture's over the seconds around, weighted towards bins in which
  the stem is nearly alone, with no bin much louder than the others.
- Windows are several times as long as those of the masks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from sepbench.separator import BLOCK_ALIGNMENT

if TYPE_CHECKING:
    import torch

    from sepbench.dsp.stft import Stft

_WINDOW = 0.35
"""Length of a window in seconds, rounded to a power of two in samples."""

_LONGEST = 4 * (BLOCK_ALIGNMENT // 3)
"""Longest window in samples whose frames align with the blocks of the runner."""

_AROUND = 5.0
"""Seconds to each side over which a covariance is averaged."""

_SECTION = 60.0
"""Seconds filtered at a time, without context."""

_AT_ONCE = 24
"""Frames transformed at a time, to bound memory."""

_BAND = 128
"""Bins filtered at a time, so that intermediate results stay in the cache."""

_PRIOR = 1e-6
"""Added to a bin's weight in a covariance: draws absent stems towards that of the mixture."""

_DIFFUSE = 0.1
"""Diffuse energy added to a stem's covariance, relative to it: limits the filter's gain."""

_ONE_POSITION = 1e-5
"""Share of energy outside the principal direction up to which a bin has a single position."""

_SILENCE = 1e-30


@dataclass(frozen=True)
class MultichannelWiener:
    """Refines the stems of a song at ``rate`` Hz, iteratively.

    A sample depends on `reach` seconds to each side, and songs cut at multiples of the runner's
    block alignment give the same result as in one piece. Stems of equal position are not changed.
    """

    rate: int
    iterations: int = 1

    @property
    def n_fft(self) -> int:
        """Samples of a window, a power of two; the hop is a quarter of it."""
        return min(1 << round(math.log2(_WINDOW * self.rate)), _LONGEST)

    @property
    def reach(self) -> float:
        """Seconds to each side that a sample of the result depends on."""
        return (self._margin * self._hop + self.n_fft) / self.rate if self.iterations else 0.0

    @property
    def _hop(self) -> int:
        return self.n_fft // 4

    @property
    def _step(self) -> int:
        """Frames that share a covariance: those in one step of the block alignment."""
        return BLOCK_ALIGNMENT // self._hop

    @property
    def _around(self) -> int:
        """Steps to each side that a covariance is the mean of."""
        return round(_AROUND * self.rate / BLOCK_ALIGNMENT)

    @property
    def _margin(self) -> int:
        """Frames to each side that a frame of the result depends on, in whole steps."""
        return self.iterations * (self._around + 1) * self._step

    def refine(
        self, mixture: torch.Tensor, estimates: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Return the refined stems; the unchanged estimates if all have one position.

        They are also unchanged without iterations, for one channel and for equal channels. The
        mixture minus all estimates is one more stem, which is not returned.

        Shape:
            mixture, estimates and results: ``(channels, samples)``.
        """
        import torch

        from sepbench.dsp.stft import Stft

        if not self.iterations or torch.equal(mixture, mixture[:1].expand_as(mixture)):
            return dict(estimates)
        stft = Stft(n_fft=self.n_fft, hop=self._hop)
        signals = torch.stack([mixture, *estimates.values()])
        refined = torch.zeros_like(signals[1:])
        frames = stft.frames(signals.shape[-1])
        section = self._step * round(_SECTION * self.rate / BLOCK_ALIGNMENT)
        for first in range(0, frames, section):
            begin, end = max(first - self._margin, 0), min(first + section + self._margin, frames)
            spectra = self._spectra(stft, signals, begin, end)
            for low in range(0, stft.bins, _BAND):
                self._refine_band(spectra[..., low : low + _BAND])
            for start in range(first, min(first + section, frames), _AT_ONCE):
                stop = min(start + _AT_ONCE, first + section, frames)
                stft.add(refined, spectra[1:, ..., start - begin : stop - begin, :].mT, start)
        return dict(zip(estimates, refined, strict=True))

    def _spectra(self, stft: Stft, signals: torch.Tensor, begin: int, end: int) -> torch.Tensor:
        """Return frames ``begin`` to ``end``, padded with silence to a whole step.

        Shape:
            result: ``(signals, channels, frames, bins)``.
        """
        import torch

        frames = end - begin + (begin - end) % self._step
        shape = (*signals.shape[:-1], frames, stft.bins)
        spectra = torch.zeros(shape, dtype=torch.complex64, device=signals.device)
        for start in range(begin, end, _AT_ONCE):
            stop = min(start + _AT_ONCE, end)
            spectra[..., start - begin : stop - begin, :] = stft.forward(signals, start, stop).mT
        return spectra

    def _refine_band(self, spectra: torch.Tensor) -> None:
        """Replace the estimates in a band by refined ones; the mixture is the first signal.

        Shape:
            spectra: ``(1 + stems, channels, frames, bins)``.
        """
        import torch

        from sepbench.dsp.linear import outer

        # Frames of a step first: what belongs to a step is then contiguous.
        steps = spectra.view(*spectra.shape[:2], -1, self._step, spectra.shape[-1]).transpose(2, 3)
        signals = torch.stack([steps.real, steps.imag], 2)
        covariance = outer(signals[0])
        channels = len(signals[0])
        energy = covariance[:channels].sum(0)
        # Amplitudes, not energies: loud frames are no better evidence of a position than quiet
        # ones.
        covariance *= (energy + _SILENCE).rsqrt_()
        refined = self._refined(signals, covariance, energy)
        several = self._has_positions(covariance)
        for estimate, better in zip(steps[1:], refined, strict=True):
            estimate.real.copy_(torch.where(several, better[:, 0], estimate.real))
            estimate.imag.copy_(torch.where(several, better[:, 1], estimate.imag))

    def _refined(
        self, signals: torch.Tensor, covariance: torch.Tensor, energy: torch.Tensor
    ) -> list[torch.Tensor]:
        """Return the refined estimates.

        Shape:
            signals: ``(1 + stems, channels, 2, frames, steps, bins)``, real and imaginary parts;
                results: ``(channels, 2, frames, steps, bins)``.
            covariance: planes of the mixture's, ``(channels^2, frames, steps, bins)``.
            energy: that of the mixture, ``(frames, steps, bins)``.
        """
        from sepbench.dsp.linear import wiener

        mixture, refined = signals[0], list(signals[1:])
        stems = len(refined)
        for _ in range(self.iterations):
            shares = [(mixture * stem).sum((0, 1)) for stem in refined]
            shares.append(energy - reduce(add, shares))
            shares = [share.clamp_min_(_SILENCE) for share in shares]  # Equal in silence.
            factor = reduce(add, shares).reciprocal_()
            shares = [share.mul_(factor) for share in shares]
            positions = [self._position(covariance, share) for share in shares]
            refined = wiener(mixture, shares, positions, count=stems)
        return refined

    def _has_positions(self, covariance: torch.Tensor) -> torch.Tensor:
        """Return the bins with several positions in the seconds around.

        Other bins keep their estimates. The square of the trace, less that of the norm, is twice
        the sum of all products of two eigenvalues.

        Shape:
            covariance: planes, ``(channels^2, frames, steps, bins)``; result: ``(steps, bins)``.
        """
        total = self._sum_around(covariance.sum(1))
        channels = math.isqrt(len(total))
        squares = total.square()
        norm = squares[:channels].sum(0) + 2 * squares[channels:].sum(0)
        square = total[:channels].sum(0).square_()
        return square - norm > 2 * _ONE_POSITION * square

    def _position(self, covariance: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
        """Return a stem's mean covariance around each step, of energy 1, plus a diffuse part.

        A bin weighs by the sixth power of the stem's share of it: there it is nearly alone.

        Shape:
            covariance: planes, ``(channels^2, frames, steps, bins)``; share: ``(frames, steps,
                bins)``; result: planes, ``(channels^2, 1, steps, bins)``.
        """
        square = share * share
        weight = (square * square).mul_(square).add_(_PRIOR)
        total = covariance[:, 0] * weight[0]
        for frame in range(1, len(weight)):
            total.addcmul_(covariance[:, frame], weight[frame])
        total = self._sum_around(total)
        channels = math.isqrt(len(total))
        total *= total[:channels].mean(0).clamp_min_(_SILENCE).reciprocal_()
        total[:channels] += _DIFFUSE
        return total.div_(1 + _DIFFUSE)[:, None]

    def _sum_around(self, values: torch.Tensor) -> torch.Tensor:
        """Sum ``(..., steps, bins)`` over the steps around each.

        Sums over twice as many steps are made from two sums; unlike differences of running sums
        they keep precision after loud passages.
        """
        import torch
        from torch.nn import functional

        count, width = values.shape[-2], 2 * self._around + 1
        sums = functional.pad(values, (0, 0, self._around, self._around))
        total, covered, size = torch.zeros_like(values), 0, 1
        while covered < width:
            if width & size:
                total += sums[..., covered : covered + count, :]
                covered += size
            sums = sums[..., :-size, :] + sums[..., size:, :]
            size *= 2
        return total
