"""Cross-correlations of many signals at few lags: by window, and over the whole track.

A track of minutes needs its correlations only at a few hundred lags. Blocks of some thousand
samples, transformed one window at a time, fit the processor's cache: the blocks of a window add up
in the frequency domain, as one small matrix product per frequency.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from sepbench.metrics.sdr import Windows

_CHUNK = {"cpu": 2**23}
_CHUNK_ELSEWHERE = 2**28
"""Bytes of spectra computed at a time; on a CPU, about the size of its cache."""

BATCH = 16
"""Windows whose correlations are yielded at a time."""


@dataclass(frozen=True)
class Correlations:
    """Correlations of every signal of one group with every signal of another, at lags 0 to L - 1.

    The correlation of ``x`` and ``y`` at lag ``l`` is the sum of ``x(n) y(n + l)`` over ``n``. That
    of a window has only samples inside it; that of the whole track also has products across the
    edges of windows, and the tail. All windows are kept: they take a fifth of the memory of the
    signals.

    Shape:
        total: float64 ``(X, Y, L)``; by_window: float64 ``(windows, X, Y, L)``.
    """

    total: torch.Tensor
    by_window: torch.Tensor

    def of_windows(self) -> Iterator[torch.Tensor]:
        """Yield the correlations ``(windows, X, Y, L)`` of `BATCH` windows at a time."""
        yield from torch.split(self.by_window, BATCH)


def correlate(
    lefts: Sequence[torch.Tensor],
    groups: Sequence[Sequence[torch.Tensor]],
    windows: Windows,
    lags: int,
) -> list[Correlations]:
    """Correlate signals with those of each group, in one pass over the samples.

    The result of a group does not depend on the other groups, to the last bit.

    Shape:
        each of lefts, and of each group: ``(samples,)``, any real type, on one device.
    """
    walk = _Walk(lefts, groups, windows, lags)
    inside = walk.zeros()
    by_window = [total.new_empty(windows.count, *total.shape) for total in inside]
    for first, found in walk.windows():
        for total, into, of_group in zip(inside, by_window, found, strict=True):
            total += of_group.sum(0)
            into[first : first + len(of_group)] = of_group
    return list(map(Correlations, walk.whole(inside), by_window))


class _Walk:
    """A pass over the samples of signals and of the groups they are correlated with.

    Results are lists with one entry per group.
    """

    def __init__(
        self,
        lefts: Sequence[torch.Tensor],
        groups: Sequence[Sequence[torch.Tensor]],
        windows: Windows,
        lags: int,
    ) -> None:
        self._lefts, self._groups = lefts, groups
        self._cut = windows
        self._lags = lags

    def zeros(self) -> list[torch.Tensor]:
        """Return correlations ``(X, Y, L)`` of zeros."""
        return [
            self._lefts[0].new_zeros(len(self._lefts), len(group), self._lags, dtype=torch.float64)
            for group in self._groups
        ]

    def windows(self) -> Iterator[tuple[int, list[torch.Tensor]]]:
        """Yield correlations ``(windows, X, Y, L)`` of windows, and the number of the first."""
        cut = self._cut
        plan = self._plan(cut.length)
        step = self._at_a_time(plan.fft, plan.frames)
        for first in range(0, cut.count, step):
            stop = min(first + step, cut.count)
            yield first, self._within(plan, first * cut.length, stop * cut.length)

    def whole(self, inside: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the whole track's correlations, given those ``inside`` its windows: their sum."""
        cut = self._cut
        if cut.length < self._lags - 1:
            # Products reach across several edges: take the whole track as one window.
            return [found[0] for found in self._within(self._plan(cut.samples), 0, cut.samples)]
        totals = [one + other for one, other in zip(inside, self._across_edges(), strict=True)]
        if cut.scored < cut.samples:
            rest = self._plan(cut.samples - cut.scored)
            tails = self._within(rest, cut.scored, cut.samples)
            totals = [total + tail[0] for total, tail in zip(totals, tails, strict=True)]
        return totals

    def _plan(self, length: int) -> _Plan:
        # Plan for a single group of the same size, so that all passes have the same plan.
        signals = len(self._lefts)
        return _Plan.cheapest(length, self._lags, transforms=2 * signals, pairs=signals**2)

    def _at_a_time(self, fft: int, frames: int) -> int:
        """Return the number of windows, of the given number of blocks each, that fill the cache."""
        signals = len(self._lefts)
        size = 8 * fft * (2 * frames * signals + signals**2)
        return max(1, _CHUNK.get(self._lefts[0].device.type, _CHUNK_ELSEWHERE) // size)

    def _within(self, plan: _Plan, start: int, stop: int) -> list[torch.Tensor]:
        """Correlate windows from ``start`` to ``stop``, each padded with zeros."""
        count = (stop - start) // plan.length
        padded = self._lefts[0].new_zeros(count, plan.padded, dtype=torch.float64)

        def blocks(signals: Sequence[torch.Tensor], reach: int) -> Iterator[torch.Tensor]:
            for signal in signals:
                padded[:, : plan.length] = signal[start:stop].view(count, plan.length)
                yield padded.unfold(-1, reach, plan.block)[:, : plan.frames]

        # A block of the left meets the same samples of the right and the ``lags - 1`` after them;
        # the transform is as long as both, so no wanted lag meets an alias.
        early = blocks(self._lefts, plan.block)
        late = [blocks(group, plan.fft) for group in self._groups]
        return [found[..., : self._lags] for found in self._crossed(early, late, plan.fft)]

    def _across_edges(self) -> list[torch.Tensor]:
        """Correlate the last samples before the edges of windows with the first ones after."""
        cut, reach = self._cut, self._lags - 1
        across = self.zeros()
        if not reach:
            return across
        fft = _power(2 * reach)
        step = self._at_a_time(fft, 1)
        for first in range(0, cut.count, step):
            count = min(step, cut.count - first)
            edge = (first + 1) * cut.length
            tails = [_every(left, edge - reach, cut.length, count, reach) for left in self._lefts]
            heads = [
                [_every(right, edge, cut.length, count, reach) for right in group]
                for group in self._groups
            ]
            for total, found in zip(across, self._crossed(tails, heads, fft), strict=True):
                # Heads begin `reach` samples after tails do.
                total[..., 1:] += found[0].roll(reach, -1)[..., 1 : reach + 1]
        return across

    def _crossed(
        self,
        early: Iterable[torch.Tensor],
        late: Iterable[Iterable[torch.Tensor]],
        fft: int,
    ) -> Iterator[torch.Tensor]:
        """Correlate the blocks of signals, ``(windows, blocks, samples)``, and sum over blocks.

        Shape:
            yields: ``(windows, X, Y, fft)``, negative lags at the end.
        """
        left = _by_bin(early, len(self._lefts), fft, conjugate=True)
        for blocks, group in zip(late, self._groups, strict=True):
            right = _by_bin(blocks, len(group), fft, conjugate=False)
            crossed = torch.bmm(left.flatten(0, 1), right.flatten(0, 1).mT)
            crossed = crossed.view(*left.shape[:2], *crossed.shape[1:])
            yield torch.fft.irfft(crossed.permute(0, 2, 3, 1), n=fft)


@dataclass(frozen=True)
class _Plan:
    """How a window of ``length`` is transformed: in ``frames`` blocks of ``block`` samples."""

    length: int
    fft: int
    block: int

    @property
    def frames(self) -> int:
        return math.ceil(self.length / self.block)

    @property
    def padded(self) -> int:
        """Samples of a window with the zeros that its last block reads."""
        return (self.frames - 1) * self.block + self.fft

    @classmethod
    def cheapest(cls, length: int, lags: int, *, transforms: int, pairs: int) -> _Plan:
        """Weigh long transforms, which overlap less, against the ``pairs`` to transform back."""

        def cost(plan: _Plan) -> float:
            back_and_forth = (math.log2(plan.fft) + 6) * (plan.frames * transforms + pairs)
            return plan.fft * (back_and_forth + 1.3 * plan.frames * pairs)

        fft = _power(2 * lags)
        plans = [cls(length, fft, fft - lags + 1)]
        while plans[-1].frames > 1:
            fft *= 2
            plans.append(cls(length, fft, fft - lags + 1))
        return min(plans, key=cost)


def _every(signal: torch.Tensor, start: int, hop: int, count: int, length: int) -> torch.Tensor:
    """Return ``(1, count, length)``: samples from ``start`` on, each hop; zeros after the end."""
    stop = start + (count - 1) * hop + length
    samples = signal[start:stop]
    if len(samples) < stop - start:
        samples = torch.nn.functional.pad(samples, (0, stop - start - len(samples)))
    return samples.unfold(-1, length, hop)[None].double()


def _by_bin(
    blocks: Iterable[torch.Tensor], signals: int, fft: int, *, conjugate: bool
) -> torch.Tensor:
    """Transform the blocks of signals to ``(windows, bins, signals, blocks)``.

    Signal by signal, so that each is transposed while it is in the cache. The conjugate is computed
    here because products with lazily conjugated matrices run one by one.
    """
    spectra = torch.empty(0)
    for place, of_signal in enumerate(blocks):
        spectrum = torch.fft.rfft(of_signal, n=fft)
        if not place:
            windows, frames, bins = spectrum.shape
            spectra = spectrum.new_empty(windows, bins, signals, frames)
        spectra[:, :, place] = (spectrum.conj() if conjugate else spectrum).mT
    return spectra


def _power(at_least: int) -> int:
    """Return the next power of two, the fastest lengths by far."""
    return 1 << (at_least - 1).bit_length()
