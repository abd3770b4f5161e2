"""Structured algorithms for the block Toeplitz Gram matrix of delayed signals.

Ordered by delay, the matrix minus itself shifted by one block along the diagonal has a rank of only
twice the number of signals. The generalised Schur algorithm (Kailath and Sayed 1995) computes the
Cholesky factor from that difference, in time that grows with the square of the number of delays
instead of its cube; and a product with the matrix is a convolution.
"""

from __future__ import annotations

import torch


def both_sides(correlations: torch.Tensor) -> torch.Tensor:
    """Return lags from ``1 - taps`` to ``taps - 1``; negative ones come from the swapped pair."""
    return torch.cat([correlations.transpose(0, 1).flip(-1)[..., :-1], correlations], dim=-1)


def product(correlations: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """Return the correlations of signals with the sum of the filtered signals.

    Shape:
        correlations: ``(signals, signals, taps)``: of ``a(n)`` with ``b(n + lag)``.
        filters, and what is returned: ``(signals, taps, targets)``.
    """
    taps = filters.shape[1]
    falling = torch.fft.rfft(both_sides(correlations).flip(-1), n=4 * taps)
    spectra = torch.fft.rfft(filters, n=4 * taps, dim=1)
    mixed = torch.einsum("abf,aft->bft", falling, spectra)
    result: torch.Tensor = torch.fft.irfft(mixed, n=4 * taps, dim=1)
    return result[:, taps - 1 : 2 * taps - 1]


def cholesky(correlations: torch.Tensor) -> torch.Tensor:
    """Return the upper Cholesky factor of the Gram matrix.

    Its rounding error is some thousand times that of elimination, so solutions need one refinement;
    for a nearly singular matrix the factor is useless, or not finite.

    Shape:
        correlations: float64 ``(signals, signals, taps)``.
        returns: ``(taps * signals, taps * signals)``: the delays of all signals in turn.
    """
    signals, _, taps = correlations.shape
    size = taps * signals
    first = correlations.permute(1, 2, 0).reshape(signals, size)
    lower, _ = torch.linalg.cholesky_ex(first[:, :signals])
    rows: torch.Tensor = torch.linalg.solve_triangular(lower, first, upper=False)
    factor = rows.new_zeros(size, size)
    factor[:signals] = rows
    # The rest of the matrix, shifted back by a block, is `gain' gain - loss' loss` plus a shifted
    # part.
    gain, loss = rows[:, :-signals], rows[:, signals:]
    unit = torch.eye(signals, dtype=rows.dtype, device=rows.device)
    for start in range(signals, size, signals):
        # A hyperbolic rotation eliminates the leading block of the loss. Applied in two halves, the
        # second to the result of the first, it is stable (Bojanczyk, Brent, de Hoog, Sweet 1995).
        reflection = torch.linalg.solve_triangular(
            gain[:, :signals], loss[:, :signals], upper=True, left=False
        )
        of_gain, _ = torch.linalg.cholesky_ex(unit - reflection.mT @ reflection)
        of_loss, _ = torch.linalg.cholesky_ex(unit - reflection @ reflection.mT)
        both = torch.cat([unit, -reflection.mT], dim=1)
        both = torch.linalg.solve_triangular(of_gain, both, upper=False)
        gain = (both[:, :signals] @ gain).addmm_(both[:, signals:], loss)
        rest = torch.linalg.solve_triangular(of_loss, reflection @ of_gain, upper=False)
        loss = (of_loss.mT @ loss).addmm_(rest, gain, alpha=-1)
        factor[start : start + signals, start:] = gain
        gain, loss = gain[:, :-signals], loss[:, signals:]
    return factor
