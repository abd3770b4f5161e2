"""The normal equations that fit filters to correlations: assembly, factorisation, condition."""

from __future__ import annotations

import torch

from sepbench.metrics.bsseval import toeplitz

_EPS = torch.finfo(torch.float64).eps
_PIVOT = 64 * _EPS
"""Share of its diagonal element below which a pivot is rounding error."""
_RIDGE = 1e-12
"""Added to the diagonal of a singular matrix, as a share of its norm: far above rounding error, and
about the cut-off of `numpy.linalg.lstsq` at a thousand taps or more."""
_REFINEMENTS = 3
"""Steps of refinement after which the ridge affects only directions of rounding error."""
_ERROR = 1e-4
"""Error of structured solutions that one refinement surely removes."""
_FEW = 2
"""Number of signals up to which elimination is as fast as the structured solver."""
_TAPER = 16.0
"""Shape of the Kaiser window for estimates of the condition; its side lobes are below -150 dB."""


def gram(correlations: torch.Tensor) -> torch.Tensor:
    """Return the inner products of signals at all delays below the number of lags.

    Shape:
        correlations: float64 ``(signals, signals, taps)``: of ``a(n)`` with ``b(n + lag)``.
        returns: ``(signals * taps, signals * taps)``: symmetric, of Toeplitz blocks.
    """
    signals, _, taps = correlations.shape
    falling = toeplitz.both_sides(correlations).flip(-1)
    matrix = correlations.new_empty(signals, taps, signals, taps)
    for delay in range(taps):
        matrix[:, delay] = falling[..., taps - 1 - delay : 2 * taps - 1 - delay]
    return matrix.view(signals * taps, signals * taps)


def condition(correlations: torch.Tensor) -> float:
    """Return a lower bound, usually close, of the condition of the Gram matrix.

    Signals are taken at equal level, so that a quiet stem among loud ones is harmless. A signal and
    its delays under a smooth taper, modulated by a frequency, give a Rayleigh quotient of the
    matrix for every mix of signals; the extremes at each frequency are eigenvalues of a small
    matrix with one row per signal. Infinity if the matrix is singular.

    Shape:
        correlations: float64 ``(signals, signals, taps)``.
    """
    taps, device = correlations.shape[-1], correlations.device
    level = correlations[..., 0].diagonal().sqrt()
    taper = torch.kaiser_window(taps, False, beta=_TAPER, dtype=torch.float64, device=device)
    spread = torch.fft.irfft(torch.fft.rfft(taper, n=2 * taps).abs().square(), n=2 * taps)
    # Lag 0 goes to the front and negative lags to the end, as the transform expects.
    lags = torch.nn.functional.pad(toeplitz.both_sides(correlations), (1, 0)).roll(-taps, -1)
    lags /= (level[:, None] * level)[..., None]
    spectra = torch.fft.rfft(lags * (spread / spread[0]))
    eigenvalues = torch.linalg.eigvalsh(spectra.permute(2, 0, 1))
    smallest = float(eigenvalues.min())
    return float(eigenvalues.max()) / smallest if smallest > 0 else float("inf")


class Factor:
    """A factorised Gram matrix, against which any number of right-hand sides are solved.

    If the matrix is singular in double precision (a source that is a filtered copy of another)
    many filters fit equally well. museval eliminates anyway and returns one of them, chosen by
    rounding: its scores then differ by decibels with the order of the stems. Here the result is
    the filters of least energy, signals at equal level, up to the remains of the refined ridge.
    """

    def __init__(self, correlations: torch.Tensor) -> None:
        self._correlations = _ridged(correlations, _EPS)
        sound = self._by_delay = len(correlations) > _FEW and correlations.device.type == "cpu"
        self._refinements = 1
        if self._by_delay:
            self._upper = toeplitz.cholesky(self._correlations)
            sound = self._by_delay = self._error() < _ERROR
        if not sound:
            self._refinements = 0
            self._upper, sound = _eliminated(self._correlations)
        self.condition = condition(correlations) if sound else float("inf")
        """A lower bound of the condition of the matrix, usually close; infinite if singular."""
        if not sound:
            self._refinements = _REFINEMENTS
            energies = correlations[..., 0].diagonal()
            norm = 2 * (correlations.diagonal().abs().sum(0) / energies).sum()
            ridge = _RIDGE * norm * energies
            while not sound:
                self._upper, sound = _eliminated(_ridged(correlations, ridge))
                ridge = 8 * ridge

    def solve(self, right: torch.Tensor) -> torch.Tensor:
        """Return the least-squares filters for signals with these correlations.

        Shape:
            right: float64 ``(signals, taps, targets)``: correlations with the references.
            returns: as ``right``.
        """
        solved = self._solve(right)
        for _ in range(self._refinements):
            solved += self._solve(right - toeplitz.product(self._correlations, solved))
        return solved

    def _solve(self, right: torch.Tensor) -> torch.Tensor:
        ordered = right.transpose(0, 1) if self._by_delay else right
        column = ordered.reshape(-1, right.shape[-1])
        half = torch.linalg.solve_triangular(self._upper.mT, column, upper=False)
        solved: torch.Tensor = torch.linalg.solve_triangular(self._upper, half, upper=True)
        solved = solved.view(ordered.shape)
        return solved.transpose(0, 1) if self._by_delay else solved

    def _error(self) -> float:
        """Return the relative error of solving for random filters, signals at equal level."""
        level = self._correlations[..., 0].diagonal().sqrt()[:, None, None]
        signals, _, taps = self._correlations.shape
        noise = torch.randn(signals, taps, 1, generator=torch.Generator().manual_seed(0)).to(level)
        found = level * self._solve(toeplitz.product(self._correlations, noise / level))
        return float((found - noise).norm() / noise.norm())


def _ridged(correlations: torch.Tensor, ridge: torch.Tensor | float) -> torch.Tensor:
    """Add to the diagonal of the Gram matrix, for each signal."""
    ridged = correlations.clone()
    ridged[..., 0].diagonal().add_(ridge)
    return ridged


def _eliminated(correlations: torch.Tensor) -> tuple[torch.Tensor, bool]:
    """Return the upper Cholesky factor of the Gram matrix, and whether it is valid."""
    matrix = gram(correlations)
    diagonal = matrix.diagonal().clone()
    # In place, and of the transpose because LAPACK counts columns first: the matrix of a track of
    # four stereo stems takes 134 MB.
    lower = matrix.mT
    failed = torch.zeros((), dtype=torch.int32, device=matrix.device)
    torch.linalg.cholesky_ex(lower, out=(lower, failed))
    sound = not failed and bool((lower.diagonal().square() > _PIVOT * diagonal).all())
    return lower.mT, sound
