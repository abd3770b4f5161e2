"""The equations that fit filters to correlations: assembled, factorised, and how sound they are."""

from __future__ import annotations

import torch

_EPS = torch.finfo(torch.float64).eps
_PIVOT = 64 * _EPS
"""Share of its diagonal element below which a pivot is rounding."""
_RIDGE = 1e-12
"""What is added to the diagonal of a singular matrix, as a share of its norm: far above rounding
and where `numpy.linalg.lstsq` would cut off at a thousand taps or more."""
_REFINEMENTS = 3
"""Steps after which a ridge has left all but directions that are rounding themselves."""
_TAPER = 16.0
"""Shape of the Kaiser window by which conditions are told; its side lobes lie below -150 dB."""


def gram(correlations: torch.Tensor) -> torch.Tensor:
    """Return the inner products of signals at all delays below the number of lags.

    Shape:
        correlations: float64 ``(signals, signals, taps)``: of ``a(n)`` with ``b(n + lag)``.
        returns: ``(signals * taps, signals * taps)``: symmetric, of Toeplitz blocks.
    """
    signals, _, taps = correlations.shape
    falling = _both_sides(correlations).flip(-1)
    matrix = correlations.new_empty(signals, taps, signals, taps)
    for delay in range(taps):
        matrix[:, delay] = falling[..., taps - 1 - delay : 2 * taps - 1 - delay]
    return matrix.view(signals * taps, signals * taps)


def condition(correlations: torch.Tensor) -> float:
    """Return a lower bound, mostly a close one, of the condition of the Gram matrix.

    That of the signals at equal level: a quiet stem among loud ones is no trouble. A signal and
    its delays under a smooth taper, turned by a frequency, give a Rayleigh quotient of the matrix
    for every mix of signals; their extremes at each frequency are eigenvalues of a matrix as small
    as there are signals.
    """
    taps, device = correlations.shape[-1], correlations.device
    level = correlations[..., 0].diagonal().sqrt()
    taper = torch.kaiser_window(taps, False, beta=_TAPER, dtype=torch.float64, device=device)
    spread = torch.fft.irfft(torch.fft.rfft(taper, n=2 * taps).abs().square(), n=2 * taps)
    # Lag 0 goes to the front and negative lags to the end, where the transform looks for them.
    lags = torch.nn.functional.pad(_both_sides(correlations), (1, 0)).roll(-taps, -1)
    lags /= (level[:, None] * level)[..., None]
    spectra = torch.fft.rfft(lags * (spread / spread[0]))
    eigenvalues = torch.linalg.eigvalsh(spectra.permute(2, 0, 1))
    smallest = float(eigenvalues.min())
    return float(eigenvalues.max()) / smallest if smallest > 0 else float("inf")


class Factor:
    """A factorised Gram matrix, against which any number of right-hand sides are solved.

    Where the matrix is singular in double precision (a source that is a filtered copy of another)
    many filters fit alike. museval eliminates all the same and gives one of them, which one is
    rounding's choice: its scores then differ by decibels with the order of the stems. Here it is
    the filters of least energy, signals at equal level, up to what the refined ridge leaves.
    """

    def __init__(self, correlations: torch.Tensor) -> None:
        self._singular: torch.Tensor | None = None
        ridge = torch.full_like(correlations[:, 0, 0], _EPS)
        self._lower, sound = _cholesky(correlations, ridge)
        self.condition = condition(correlations) if sound else float("inf")
        """A lower bound of the condition of the matrix, mostly close; infinite if singular."""
        if not sound:
            energies = correlations[..., 0].diagonal()
            norm = 2 * (correlations.diagonal().abs().sum(0) / energies).sum()
            ridge = _RIDGE * norm * energies
            while not sound:
                self._lower, sound = _cholesky(correlations, ridge)
                ridge = 8 * ridge
            self._singular = gram(correlations)

    def solve(self, right: torch.Tensor) -> torch.Tensor:
        """Return the filters that best give signals with these correlations.

        Shape:
            right: float64 ``(signals, taps, targets)``: correlations with the references.
            returns: as ``right``.
        """
        column = right.reshape(-1, right.shape[-1])
        solved = self._solve(column)
        if self._singular is not None:
            for _ in range(_REFINEMENTS):
                solved += self._solve(column - self._singular @ solved)
        return solved.view(right.shape)

    def _solve(self, column: torch.Tensor) -> torch.Tensor:
        half = torch.linalg.solve_triangular(self._lower, column, upper=False)
        solved: torch.Tensor = torch.linalg.solve_triangular(self._lower.mT, half, upper=True)
        return solved


def _cholesky(correlations: torch.Tensor, ridge: torch.Tensor) -> tuple[torch.Tensor, bool]:
    """Factorise a Gram matrix, a ``ridge`` for each signal added; tell whether it is sound."""
    matrix = gram(correlations)
    matrix.diagonal().add_(ridge.repeat_interleave(correlations.shape[-1]))
    diagonal = matrix.diagonal().clone()
    # In place, and of the transpose because LAPACK counts columns first: the matrix of a track of
    # four stereo stems takes 134 MB.
    lower = matrix.mT
    failed = torch.zeros((), dtype=torch.int32, device=matrix.device)
    torch.linalg.cholesky_ex(lower, out=(lower, failed))
    return lower, not failed and bool((lower.diagonal().square() > _PIVOT * diagonal).all())


def _both_sides(correlations: torch.Tensor) -> torch.Tensor:
    """Return lags from ``1 - taps`` to ``taps - 1``: negative ones are of the exchanged pair."""
    return torch.cat([correlations.transpose(0, 1).flip(-1)[..., :-1], correlations], dim=-1)
