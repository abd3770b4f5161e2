"""Solves a small system of equations in each time-frequency bin."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch


def solve(matrix: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Return ``matrix^-1 vector`` in each bin, for positive definite matrices.

    Elimination needs no pivoting for these, and each step is vectorised over all bins.

    Shape:
        matrix: ``(channels, channels, bins, frames)``; vector: ``(channels, bins, frames)``. Both
            are overwritten.

    >>> solve(torch.tensor([[2.0, 0.0], [0.0, 4.0]])[..., None, None], torch.ones(2, 1, 1)).tolist()
    [[[0.5]], [[0.25]]]
    """
    channels = len(vector)
    for pivot in range(channels):
        for row in range(pivot + 1, channels):
            factor = matrix[row, pivot] / matrix[pivot, pivot]
            matrix[row, pivot:] -= factor * matrix[pivot, pivot:]
            vector[row] -= factor * vector[pivot]
    for pivot in reversed(range(channels)):
        for column in range(pivot + 1, channels):
            vector[pivot] -= matrix[pivot, column] * vector[column]
        vector[pivot] /= matrix[pivot, pivot]
    return vector


def wiener(
    mixture: torch.Tensor,
    energies: Sequence[torch.Tensor],
    spatial: Sequence[torch.Tensor],
    *,
    floor: float = 0.0,
) -> list[torch.Tensor]:
    """Return the multichannel Wiener estimates of several Gaussian stems.

    Stem ``j`` has the covariance ``v_j R_j`` in a bin; its estimate is ``v_j R_j C^-1 x`` with
    ``C`` the sum of all covariances and ``floor`` on the diagonal (Duong et al., IEEE TASLP 2010).

    Shape:
        mixture and results: ``(channels, bins, frames)``, complex.
        energies: ``(bins, frames)`` each, real.
        spatial: ``(channels, channels, bins, frames)`` each; a single frame is used for all.
    """
    covariance = energies[0] * spatial[0]
    for energy, matrix in zip(energies[1:], spatial[1:], strict=True):
        covariance += energy * matrix
    covariance.diagonal(dim1=0, dim2=1).add_(floor)
    whitened = solve(covariance, mixture.clone())
    return [
        energy * reduce(torch.add, (matrix[:, k] * channel for k, channel in enumerate(whitened)))
        for energy, matrix in zip(energies, spatial, strict=True)
    ]
