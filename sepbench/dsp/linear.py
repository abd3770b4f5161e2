"""Small systems of equations, one in each time-frequency bin."""

from __future__ import annotations

import torch


def solve(matrix: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Return ``matrix^-1 vector`` in each bin, for positive definite matrices.

    Elimination needs no pivoting there, and each of its steps runs over all bins at once.

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
