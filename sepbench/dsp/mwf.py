"""A multichannel Wiener filter that tells stems apart by where they sound from.

Masks look at each channel alone. Once they say roughly which stem sounds in which bin, the bins
in which one is nearly alone show its place between the channels, and a filter over all channels
parts what shares a bin: the expectation maximisation of Duong, Vincent and Gribonval (IEEE TASLP
2010) and of Nugraha, Liutkus and Vincent (IEEE TASLP 2016), with three changes that measured better
after masks:

- The energy of a stem is its share of the mixture, not that of its estimate. A mask of least error
  is that share itself; where all stems sound from one place the filter returns it. The square
  would sharpen the mask, and costs more than the places gain.
- Its covariance is the mean of the mixture's over the seconds around, most of it from bins in which
  the stem stands nearly alone, none much louder than the others.
- Windows are several times as long as those of the masks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from sepbench.separator import BLOCK_GRID

if TYPE_CHECKING:
    import torch

_WINDOW = 0.35
"""Seconds of a window, of which the nearest power of two in samples is taken."""

_LONGEST = 4 * (BLOCK_GRID // 3)
"""Samples of the longest window whose frames fall in the host's blocks as in the whole song."""

_AROUND = 5.0
"""Seconds to each side that have a say in where a stem sounds from."""

_STRETCH = 60.0
"""Seconds that are filtered at once, their surround apart."""

_BAND = 128
"""Bins that are filtered at once: what is made of them stays in the cache."""

_ALONE = 6
"""Exponent of a stem's share of a bin: how much that bin says about its place."""

_PRIOR = 1e-6
"""Added to that power: a stem that is never there sounds from where the mixture does."""

_DIFFUSE = 0.1
"""Energy from everywhere, over that from a stem's place: no filter gets steeper than that."""

_ONE_PLACE = 1e-5
"""Energy from other places than the loudest, over all of it, up to which there is but one."""

_SILENCE = 1e-30


@dataclass(frozen=True)
class MultichannelWiener:
    """Refines the stems of a song at ``rate`` Hz, each iteration by the estimates of the last.

    No sample depends on what is farther than `reach` seconds away, and songs cut at multiples of
    the host's grid come out as in one piece. Where all sounds from one place, nothing changes.
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
        """Frames that share a covariance: those in one step of the host's grid."""
        return BLOCK_GRID // self._hop

    @property
    def _around(self) -> int:
        """Steps to each side that a covariance is the mean of."""
        return round(_AROUND * self.rate / BLOCK_GRID)

    @property
    def _margin(self) -> int:
        """Frames to each side that a frame of the result depends on, in whole steps."""
        return self.iterations * (self._around + 1) * self._step

    def refine(
        self, mixture: torch.Tensor, estimates: Mapping[str, torch.Tensor], *, rest: bool
    ) -> dict[str, torch.Tensor]:
        """Return the refined stems; the estimates as they are where there is nothing to tell.

        That is so without iterations, with one channel and with channels that are the same.
        With ``rest``, what the estimates leave of the mixture is a stem too, that is not returned.

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
        stretch = self._step * round(_STRETCH * self.rate / BLOCK_GRID)
        for first in range(0, frames, stretch):
            begin, end = max(first - self._margin, 0), min(first + stretch + self._margin, frames)
            spectra = stft.forward(signals, begin, end)
            for low in range(0, stft.bins, _BAND):
                band = spectra[..., low : low + _BAND, :]
                band[1:] = self._refined(band[0], band[1:], rest=rest)
            wanted = spectra[1:, ..., first - begin : first - begin + stretch]
            stft.add(refined, wanted, first)
        return dict(zip(estimates, refined, strict=True))

    def _refined(
        self, mixture: torch.Tensor, estimates: torch.Tensor, *, rest: bool
    ) -> torch.Tensor:
        """Return the estimates of a band refined.

        Shape:
            mixture: ``(channels, bins, frames)``; estimates and result: ``(stems, ...)`` of such.
        """
        import torch

        from sepbench.dsp.linear import wiener

        energy = mixture.abs().square().sum(0).clamp_min(_SILENCE)
        # As loud frames say no more than quiet ones about a place, amplitudes count, not energies.
        seen = mixture * energy.pow(-0.25)
        covariance = seen[:, None] * seen.conj()
        refined = estimates
        if rest:
            refined = torch.cat([refined, (mixture - refined.sum(0))[None]])
        for _ in range(self.iterations):
            inner = (mixture.real * refined.real + mixture.imag * refined.imag).sum(1)
            shares = inner.clamp_min_(_SILENCE)  # In silence the same for all.
            shares /= shares.sum(0)
            places = [self._place(covariance * (share**_ALONE + _PRIOR)) for share in shares]
            refined = torch.stack(wiener(mixture, list(shares), places))
        return torch.where(self._apart(covariance), refined[: len(estimates)], estimates)

    def _apart(self, covariance: torch.Tensor) -> torch.Tensor:
        """Tell in which bins sounds come from several places in the seconds around.

        Elsewhere there is nothing to gain, and the estimates are as good as they were. The square
        of the trace, less that of the norm, is twice the sum of all products of two eigenvalues.

        Shape:
            covariance: ``(channels, channels, bins, frames)``; result: ``(bins, frames)``.
        """
        total = self._sum_around(covariance)
        norm = total.abs().square().sum((0, 1))
        whole = total.diagonal(dim1=0, dim2=1).real.sum(-1).square()
        return whole - norm > 2 * _ONE_PLACE * whole

    def _place(self, covariance: torch.Tensor) -> torch.Tensor:
        """Return the mean around each frame, of mean energy 1, with something from everywhere."""
        total = self._sum_around(covariance)
        energy = total.diagonal(dim1=0, dim2=1).real.mean(-1)
        total /= energy.clamp_min(_SILENCE)
        total.diagonal(dim1=0, dim2=1).add_(_DIFFUSE)
        return total.div_(1 + _DIFFUSE)

    def _sum_around(self, values: torch.Tensor) -> torch.Tensor:
        """Sum ``(..., frames)`` over the steps around, the same sum for all frames of a step.

        Sums of twice as many steps are made of two; unlike differences of running sums they lose
        nothing beside what was loud before.
        """
        import torch
        from torch.nn import functional

        frames, width = values.shape[-1], 2 * self._around + 1
        padded = functional.pad(values, (0, -frames % self._step))
        steps = padded.unfold(-1, self._step, self._step)
        count = steps.shape[-2]
        sums = reduce(torch.add, steps.unbind(-1))
        sums = functional.pad(sums, (self._around, self._around))
        total, covered, size = torch.zeros_like(sums[..., :count]), 0, 1
        while covered < width:
            if width & size:
                total += sums[..., covered : covered + count]
                covered += size
            sums = sums[..., :-size] + sums[..., size:]
            size *= 2
        return total.repeat_interleave(self._step, -1)[..., :frames]
