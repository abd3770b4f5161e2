"""ISR, SIR and SAR of BSSEval v4, equal to museval's but much faster.

BSSEval explains an estimate by filters of 512 taps, fitted over the whole track: ``S`` from the
references of its own stem, ``A`` from those of all stems. Window by window it then compares the
energies of the reference ``s``, the estimate ``e`` and both projections (Vincent et al. 2007;
Stöter, Liutkus and Ito 2018)::

    ISR = |s|^2 / |S - s|^2      SIR = |S|^2 / |A - S|^2      SAR = |A|^2 / |e - A|^2

This module rests on two facts:

- A window is cut out before it is filtered, and its convolutions are full. So the energy of a
  filtered window is the inner product of the window's correlations, at fewer lags than there are
  taps, with the correlations of the filter. With these few numbers per window, no signal has to be
  filtered.
- The same correlations, summed over all windows (with what reaches across their edges), are the
  normal equations of the fit. One pass over the samples serves both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from sepbench.metrics.bsseval.correlation import Correlations, correlate
from sepbench.metrics.bsseval.normal_equations import Factor
from sepbench.metrics.sdr import Energies, Windows, decibels

TAPS = 512
"""Length of the filters; all published scores use this one."""

CONDITION_LIMIT = 1e13
"""Condition of the normal equations above which SIR and SAR depend on rounding, as in museval."""

_NAMES = ("ISR", "SIR", "SAR")


class Projections:
    """The correlated and factorised references of a track for BSSEval.

    They are computed once, in one pass with the first estimates.

    Silent channels and copies of others (mono as stereo, a source given twice) are left out of the
    fit, as they would make it singular.

    Shape:
        each of references, mixture: ``(channels, samples)``, on the device of all that follows.
    """

    def __init__(
        self,
        references: Sequence[torch.Tensor],
        mixture: torch.Tensor,
        windows: Windows,
        *,
        taps: int = TAPS,
    ) -> None:
        self._mixture = mixture
        self._windows = windows
        self._taps = taps
        self._basis, self._mixing = _independent(references)
        self._rank = len(self._basis)
        self._own = [mixing.any(1).nonzero()[:, 0] for mixing in self._mixing]
        self.condition = float("nan")
        """A lower bound of the condition of the normal equations; NaN before the first score, and
        if all references are silent."""
        self._known: Correlations | None = None

    def score(
        self, estimates: Sequence[torch.Tensor], energies: Sequence[Energies]
    ) -> dict[str, torch.Tensor]:
        """Return ISR, SIR and SAR of each stem's estimate in dB, window by window.

        Silent windows are not masked. A single stem has no interference: its SIR is infinite.

        Shape:
            each of estimates: ``(channels, samples)``, in the order of the references.
            energies: the result of `sepbench.metrics.sdr.measure` for each of them.
            each score: float64 ``(stems, windows)`` on the CPU.
        """
        return self.score_methods([estimates], [energies])[0]

    def score_methods(
        self,
        several: Sequence[Sequence[torch.Tensor]],
        energies: Sequence[Sequence[Energies]],
    ) -> list[dict[str, torch.Tensor]]:
        """Return the scores of several methods, as `score` does, from one pass over the samples.

        The references are transformed once for all of them; scores are bit-identical to those
        of `score`.
        """
        if not self._rank:
            return [self._undefined(of_method) for of_method in energies]
        distinct = [_distinct(estimates) for estimates in several]
        channels = [[c for estimate in unlike for c in estimate] for unlike, _ in distinct]
        known, *made = self._correlate(*channels)
        return [
            self._scores(
                found.total,
                zip(known.of_windows(), found.of_windows(), strict=True),
                places,
                of_method,
            )
            for found, (_, places), of_method in zip(made, distinct, energies, strict=True)
        ]

    def score_mixture(self, energies: Sequence[Energies]) -> dict[str, torch.Tensor]:
        """Return the scores of the mixture, taken as the estimate of every stem; see `score`."""
        if not self._rank:
            return self._undefined(energies)
        known = self._known or self._correlate()[0]
        parts = ((lags, lags[:, :, self._rank :]) for lags in known.of_windows())
        return self._scores(known.total[:, self._rank :], parts, [0] * len(energies), energies)

    def _undefined(self, energies: Sequence[Energies]) -> dict[str, torch.Tensor]:
        shape = (len(energies), self._windows.count)
        return {name: torch.full(shape, torch.nan, dtype=torch.float64) for name in _NAMES}

    def _correlate(self, *group: Sequence[torch.Tensor]) -> list[Correlations]:
        """Correlate the references with themselves and the mixture, and with channels, if any."""
        if self._known is not None:
            return [self._known, *correlate(self._basis, group, self._windows, self._taps)]
        groups = [[*self._basis, *self._mixture], *group]
        found = correlate(self._basis, groups, self._windows, self._taps)
        self._known = found[0]
        total = self._known.total[:, : self._rank]
        self._all = Factor(total)
        self._alone = [Factor(total[own][:, own]) if len(own) else None for own in self._own]
        self.condition = self._all.condition
        return found

    def _scores(
        self,
        total: torch.Tensor,
        parts: Iterable[tuple[torch.Tensor, torch.Tensor]],
        places: Sequence[int],
        energies: Sequence[Energies],
    ) -> dict[str, torch.Tensor]:
        """Fit filters to estimates over the whole track, and apply them in each window.

        Shape:
            total: ``(basis, channels, taps)``: the channels of all estimates that differ.
            places: for each stem, the index of its estimate among these.
            parts: ``(windows, basis, basis or more, taps)`` of the references, and of the estimates
            as in ``total``.
        """
        channels = self._mixing[0].shape[1]
        by_stem = _by_stem(total, channels)[:, places].movedim(1, 0)
        projected = _by_stem(self._all.solve(total.mT).mT, channels)[:, places].movedim(1, 0)
        kernels = torch.cat(
            [
                _kernels(self._fit_alone(stem, of_stem), projected[stem], self._mixing[stem])
                for stem, of_stem in enumerate(by_stem)
            ]
        )
        sums, inner = [], []
        for of_references, of_estimates in parts:
            sums.append(of_references[:, :, : self._rank].flatten(1) @ kernels.flatten(1).mT)
            explained = _by_stem(of_estimates, channels)[:, :, places]
            inner.append(torch.einsum("wajcl,jacl->jw", explained, projected))
        by_kind = torch.cat(sums).view(-1, len(energies), 4).permute(2, 1, 0)
        return _ratios(by_kind.cpu(), torch.cat(inner, dim=1).cpu(), energies)

    def _fit_alone(self, stem: int, of_estimate: torch.Tensor) -> torch.Tensor:
        """Fit filters to an estimate, ``(basis, channels, taps)``, by its own references alone."""
        own, factor = torch.zeros_like(of_estimate), self._alone[stem]
        if factor is not None:
            index = self._own[stem]
            own[index] = factor.solve(of_estimate[index].mT).mT
        return own


def _kernels(own: torch.Tensor, projected: torch.Tensor, mixing: torch.Tensor) -> torch.Tensor:
    """Return the weights of correlations that give the energies of the scores.

    They are those of ``S - s``, ``S``, ``A - S`` and ``A``: the correlations of the filters from
    the references to each, summed over channels.

    Shape:
        own, projected: ``(basis, channels, taps)``; mixing: ``(basis, channels)``.
        returns: ``(4, basis, basis, taps)``.
    """
    reference = torch.zeros_like(own)
    reference[..., 0] = mixing
    filters = torch.stack([own - reference, own, projected - own, projected])
    taps = filters.shape[-1]
    spectra = torch.fft.rfft(filters, n=2 * taps)
    crossed = torch.einsum("kacf,kbcf->kabf", spectra, spectra.conj())
    kernels: torch.Tensor = torch.fft.irfft(crossed, n=2 * taps)[..., :taps]
    kernels[..., 1:] *= 2
    return kernels


def _by_stem(correlations: torch.Tensor, channels: int) -> torch.Tensor:
    """Split ``(..., stems * channels, taps)`` into ``(..., stems, channels, taps)``."""
    shape = correlations.shape
    return correlations.reshape(*shape[:-2], -1, channels, shape[-1])


def _ratios(
    sums: torch.Tensor, inner: torch.Tensor, energies: Sequence[Energies]
) -> dict[str, torch.Tensor]:
    """Return the scores from the energies that `_kernels` names.

    Shape:
        sums: ``(4, stems, windows)``; inner, of ``e`` and ``A``: ``(stems, windows)``.
    """
    spatial, target, interference, projected = sums.clamp(min=0)
    reference = torch.stack([of_stem.reference[:-1] for of_stem in energies])
    estimate = torch.stack([of_stem.estimate[:-1] for of_stem in energies])
    artefacts = (estimate - 2 * inner + projected).clamp(min=0)
    sir = decibels(target, interference)
    if len(energies) == 1:
        sir.fill_(torch.inf)
    isr, sar = decibels(reference, spatial), decibels(projected, artefacts)
    return dict(zip(_NAMES, (isr, sir, sar), strict=True))


def _independent(
    references: Sequence[torch.Tensor],
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return the channels that are neither silent nor copies, and each stem's channels in them.

    Shape:
        each channel: ``(samples,)``; each mixing: float64 ``(basis, channels)``.
    """
    channels = [channel for reference in references for channel in reference]
    basis: list[torch.Tensor] = []
    mixing = torch.zeros(len(channels), len(channels), dtype=torch.float64)
    for column, channel in enumerate(channels):
        if _equal(channel, channel, sign=-1):
            continue
        signs = [_copy_of(known, channel) for known in basis]
        if not any(signs):
            basis.append(channel)
            signs.append(1)
        mixing[: len(signs), column] = torch.tensor(signs)
    mixing = mixing[: len(basis)].to(channels[0].device)
    return basis, list(torch.split(mixing, [len(reference) for reference in references], dim=1))


def _distinct(estimates: Sequence[torch.Tensor]) -> tuple[list[torch.Tensor], list[int]]:
    """Return the distinct estimates, and the index of each estimate among them."""
    distinct: list[torch.Tensor] = []
    places = []
    for estimate in estimates:
        known = [place for place, other in enumerate(distinct) if _equal(other, estimate)]
        if not known:
            distinct.append(estimate)
        places.append(known[0] if known else len(distinct) - 1)
    return distinct, places


def _copy_of(known: torch.Tensor, channel: torch.Tensor) -> int:
    """Return 1 if a channel equals a known one, -1 if it is its negative, 0 otherwise."""
    return next((sign for sign in (1, -1) if _equal(known, channel, sign=sign)), 0)


def _equal(one: torch.Tensor, other: torch.Tensor, *, sign: int = 1) -> bool:
    """Return whether a signal is another, times a sign."""
    # Comparing few samples first nearly always saves a pass over all.
    few = slice(None, None, max(1, one.shape[-1] // 1000))
    return all(torch.equal(one[..., part], sign * other[..., part]) for part in (few, slice(None)))
