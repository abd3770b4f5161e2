"""Correlations of many signals at few lags: by window, and over the whole track.

A track of minutes needs its correlations at a few hundred lags only. Blocks of some thousand
samples, transformed one window at a time, give them within the processor's cache: the blocks of a
window add up in the frequency domain, as one small matrix product a frequency.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from sepbench.metrics.energy import Windows

_CHUNK = {"cpu": 2**23, "cuda": 2**28}
"""Bytes of spectra that are made at a time; on a processor, about what its cache holds."""

_KEPT = 2**27
"""Bytes that the correlations of all windows may take; where they would take more, beyond some
seven minutes of four stereo stems, they are computed anew when they are needed again."""

BATCH = 16
"""Windows whose correlations are handed out at a time."""


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
            back_and_forth = (math.log2(plan.fft) + 2) * (plan.frames * transforms + pairs)
            return plan.fft * (back_and_forth + 0.7 * plan.frames * pairs)

        lengths = {_fast_length(lags - 1 + math.ceil(length / count)) for count in range(1, 64)}
        return min(
            (cls(length, fft, fft - lags + 1) for fft in sorted(lengths)),
            key=cost,
        )


class Correlations:
    """Correlations of every signal of one group with every signal of another, at lags 0 to L - 1.

    The correlation of ``x`` and ``y`` at lag ``l`` is the sum of ``x(n) y(n + l)`` over ``n``. A
    window's own knows nothing of the samples around it; the whole track's also has the products
    that reach across the edges of windows, and the tail.

    Shape:
        each of lefts, rights: ``(samples,)``, any real type, on one device.
        total: float64 ``(X, Y, L)``.
    """

    def __init__(
        self,
        lefts: Sequence[torch.Tensor],
        rights: Sequence[torch.Tensor],
        windows: Windows,
        lags: int,
    ) -> None:
        self._lefts, self._rights = lefts, rights
        self._windows = windows
        self._lags = lags
        self.device = rights[0].device
        shape = (len(lefts), len(rights), lags)
        self.total = torch.zeros(shape, dtype=torch.float64, device=self.device)
        self._kept: torch.Tensor | None = None
        if 8 * windows.count * self.total.numel() <= _KEPT:
            self._kept = self.total.new_empty(windows.count, *shape)
        for number, found in self._walk(whole=True):
            if self._kept is not None:
                self._kept[number : number + len(found)] = found

    def of_windows(self) -> Iterator[torch.Tensor]:
        """Yield the correlations ``(windows, X, Y, L)`` of `BATCH` windows after the other.

        Those of long tracks are computed anew each time.
        """
        if self._kept is not None:
            yield from torch.split(self._kept, BATCH)
            return
        batch: list[torch.Tensor] = []
        for _, found in self._walk(whole=False):
            batch.extend(found)
            while len(batch) >= BATCH:
                yield torch.stack(batch[:BATCH])
                del batch[:BATCH]
        if batch:
            yield torch.stack(batch)

    def _walk(self, *, whole: bool) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield correlations of windows with the number of the first; add up the whole track's."""
        cut = self._windows
        reach = self._lags - 1
        # Where windows are shorter than that, products reach across several edges: then the whole
        # track, and otherwise its tail alone, is taken as one more window.
        side_by_side = cut.length >= reach
        plan = self._plan(cut.length)
        step = self._windows_at_a_time(plan)
        x, y = self._buffers(min(step, cut.count), plan)
        heads = torch.zeros(len(y), 1, reach, dtype=y.dtype, device=y.device)
        for first in range(0, cut.count, step):
            count = min(step, cut.count - first)
            start, stop = first * cut.length, (first + count) * cut.length
            _write(self._lefts, x[:, :count, : cut.length], start, stop)
            _write(self._rights, y[:, :count, : cut.length], start, stop)
            found = self._within(x[:, :count], y[:, :count], plan)
            if whole and side_by_side:
                self.total += found.sum(0)
                following = min(reach, cut.samples - stop)
                _write(self._rights, heads[:, :, :following], stop, stop + following)
                heads[:, :, following:] = 0
                after = torch.cat([y[:, 1:count, :reach], heads], dim=1)
                self._add_edges(x[:, :count, cut.length - reach : cut.length], after)
            yield first, found
        start = cut.scored if side_by_side else 0
        if whole and start < cut.samples:
            plan = self._plan(cut.samples - start)
            x, y = self._buffers(1, plan)
            _write(self._lefts, x[:, :, : plan.length], start, cut.samples)
            _write(self._rights, y[:, :, : plan.length], start, cut.samples)
            self.total += self._within(x, y, plan)[0]

    def _plan(self, length: int) -> _Plan:
        lefts, rights = len(self._lefts), len(self._rights)
        return _Plan.cheapest(length, self._lags, transforms=lefts + rights, pairs=lefts * rights)

    def _windows_at_a_time(self, plan: _Plan) -> int:
        lefts, rights = len(self._lefts), len(self._rights)
        size = 8 * plan.fft * (plan.frames * (lefts + rights) + lefts * rights)
        return max(1, _CHUNK[self.device.type] // size)

    def _buffers(self, windows: int, plan: _Plan) -> tuple[torch.Tensor, torch.Tensor]:
        lefts, rights = (
            torch.zeros(len(group), windows, plan.padded, dtype=torch.float64, device=self.device)
            for group in (self._lefts, self._rights)
        )
        return lefts, rights

    def _within(self, x: torch.Tensor, y: torch.Tensor, plan: _Plan) -> torch.Tensor:
        """Correlate windows that are zero beyond their length, ``(signals, windows, padded)``."""
        # A block of the left meets the same samples of the right and the ``lags - 1`` after them;
        # the transform is as long as both, so no wanted lag meets an alias.
        early = torch.fft.rfft(x.unfold(-1, plan.fft, plan.block)[..., : plan.block], n=plan.fft)
        early = _by_bin(early.conj())
        late = _by_bin(torch.fft.rfft(y.unfold(-1, plan.fft, plan.block)))
        bins = plan.fft // 2 + 1
        crossed = torch.bmm(early, late.mT).view(-1, bins, len(x), len(y))
        back = torch.fft.irfft(crossed.permute(0, 2, 3, 1), n=plan.fft)
        wanted: torch.Tensor = back[..., : self._lags]
        return wanted.contiguous()

    def _add_edges(self, tails: torch.Tensor, heads: torch.Tensor) -> None:
        """Add the products of the last samples before an edge with the first ones after it.

        Shape:
            tails, heads: ``(signals, edges, lags - 1)``.
        """
        reach = self._lags - 1
        if not reach:
            return
        fft = _fast_length(2 * reach)
        early = torch.fft.rfft(tails, n=fft).permute(2, 0, 1).contiguous()
        late = torch.fft.rfft(heads, n=fft).permute(2, 1, 0).contiguous()
        crossed = torch.fft.irfft(torch.bmm(early.conj(), late).permute(1, 2, 0), n=fft)
        # Heads begin `reach` samples after tails do.
        self.total[..., 1:] += crossed.roll(reach, -1)[..., 1 : reach + 1]


def _write(signals: Sequence[torch.Tensor], buffer: torch.Tensor, start: int, stop: int) -> None:
    """Fill float64 ``(signals, windows, length)`` with the samples ``start`` to ``stop``."""
    for row, signal in zip(buffer, signals, strict=True):
        row.copy_(signal[start:stop].reshape(row.shape))


def _by_bin(spectra: torch.Tensor) -> torch.Tensor:
    """Turn ``(signals, windows, frames, bins)`` into ``(windows * bins, signals, frames)``.

    Always a copy: of a view, and of a conjugate not yet computed, matrix products run one by one.
    """
    signals, windows, frames, bins = spectra.shape
    turned = torch.empty(windows, bins, signals, frames, dtype=spectra.dtype, device=spectra.device)
    return turned.copy_(spectra.permute(1, 3, 0, 2)).view(windows * bins, signals, frames)


def _fast_length(at_least: int) -> int:
    """Return the first of ``2**k``, ``9 * 2**k / 8`` and ``3 * 2**k / 2`` from there on.

    Of lengths with small factors these are transformed fastest by far.
    """
    power: int = 2 ** math.ceil(math.log2(max(at_least, 16)))
    return next(length for length in (power * 9 // 16, power * 3 // 4, power) if length >= at_least)
