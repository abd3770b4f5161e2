"""Multichannel Wiener filters: a small system of equations in each time-frequency bin.

Complex numbers are pairs of real tensors, and a Hermitian matrix of ``C`` channels is ``C^2`` real
*planes*: first the ``C`` elements of the diagonal, then real and imaginary part of each element
above it, row by row. So half of the matrix is neither computed nor stored, and each operation
works on whole tensors of real numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch


def outer(vector: torch.Tensor) -> torch.Tensor:
    """Return the planes of ``x x^H``.

    Shape:
        vector: ``(channels, 2, ...)``, real and imaginary parts.
        result: ``(channels^2, ...)``.
    """
    real, imag = vector.unbind(1)
    channels = len(vector)
    planes = vector.new_empty(channels**2, *vector.shape[2:])
    torch.mul(real, real, out=planes[:channels]).addcmul_(imag, imag)
    for row, column, element in above_diagonal(planes):
        torch.mul(real[row], real[column], out=element[0]).addcmul_(imag[row], imag[column])
        torch.mul(imag[row], real[column], out=element[1])
        element[1].addcmul_(real[row], imag[column], value=-1)
    return planes


def above_diagonal(planes: torch.Tensor) -> Iterator[tuple[int, int, torch.Tensor]]:
    """Yield row, column and the pair of planes of each element above the diagonal."""
    first = channels = math.isqrt(len(planes))
    for row in range(channels):
        for column in range(row + 1, channels):
            yield row, column, planes[first : first + 2]
            first += 2


def planes_of(matrix: torch.Tensor) -> torch.Tensor:
    """Return the planes of Hermitian matrices.

    Shape:
        matrix: ``(channels, channels, ...)``, complex.
        result: ``(channels^2, ...)``, real.
    """
    planes = matrix.real.new_empty(len(matrix) ** 2, *matrix.shape[2:])
    planes[: len(matrix)] = matrix.diagonal(dim1=0, dim2=1).real.movedim(-1, 0)
    for row, column, element in above_diagonal(planes):
        element[0], element[1] = matrix[row, column].real, matrix[row, column].imag
    return planes


def solve(matrix: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Return ``matrix^-1 vector`` in each bin, for positive definite matrices.

    Elimination needs no pivoting for these, and each step is vectorised over all bins.

    Shape:
        matrix: planes, ``(channels^2, ...)``; vector and result: ``(channels, 2, ...)``. Both are
            overwritten.

    >>> planes = torch.tensor([2.0, 4.0, 0.0, 0.0])
    >>> solve(planes, torch.tensor([[1.0, 0.0], [1.0, 0.0]])).tolist()
    [[0.5, 0.0], [0.25, 0.0]]
    """
    channels = len(vector)
    upper = {(row, column): element for row, column, element in above_diagonal(matrix)}
    inverses = []
    for pivot in range(channels):
        inverse = matrix[pivot].reciprocal()
        for row in range(pivot + 1, channels):
            element = upper[pivot, row]
            # Its conjugate times the pivot's row is subtracted from this row.
            factor = element * inverse
            matrix[row].addcmul_(factor[0], element[0], value=-1)
            matrix[row].addcmul_(factor[1], element[1], value=-1)
            for column in range(row + 1, channels):
                _add_product(upper[row, column], factor, upper[pivot, column], -1, conjugate=True)
            _add_product(vector[row], factor, vector[pivot], -1, conjugate=True)
        inverses.append(inverse)
    for pivot in reversed(range(channels)):
        for column in range(pivot + 1, channels):
            _add_product(vector[pivot], upper[pivot, column], vector[column], -1)
        vector[pivot] *= inverses[pivot]
    return vector


def wiener(
    mixture: torch.Tensor,
    energies: Sequence[torch.Tensor],
    places: Sequence[torch.Tensor],
    *,
    floor: float = 0.0,
    count: int | None = None,
) -> list[torch.Tensor]:
    """Return the multichannel Wiener estimates of the first ``count`` of several Gaussian stems.

    Stem ``j`` has the covariance ``v_j R_j`` in a bin; its estimate is ``v_j R_j C^-1 x`` with
    ``C`` the sum of all covariances and ``floor`` on the diagonal (Duong et al., IEEE TASLP 2010).
    ``count`` is that of all stems if None.

    Shape:
        mixture and results: ``(channels, 2, ...)``, real and imaginary parts.
        energies: ``(...)`` each.
        places: planes, ``(channels^2, ...)`` each, which broadcast to all bins.
    """
    covariance = energies[0] * places[0]
    for energy, place in zip(energies[1:], places[1:], strict=True):
        covariance.addcmul_(energy, place)
    covariance[: len(mixture)] += floor
    solved = solve(covariance, mixture.clone())
    return [
        _product(place, solved).mul_(energy)
        for energy, place in list(zip(energies, places, strict=True))[:count]
    ]


def parts(values: torch.Tensor) -> torch.Tensor:
    """Return real and imaginary parts, ``(channels, 2, ...)``, of complex ``(channels, ...)``."""
    return torch.stack([values.real, values.imag], 1)


def from_parts(values: torch.Tensor) -> torch.Tensor:
    """Return complex ``(channels, ...)`` of real and imaginary parts, ``(channels, 2, ...)``."""
    return torch.complex(*values.unbind(1))


def _product(planes: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Return a Hermitian matrix times a vector, ``(channels, 2, ...)``."""
    result = planes[: len(vector), None] * vector
    for row, column, element in above_diagonal(planes):
        _add_product(result[row], element, vector[column])
        _add_product(result[column], element, vector[row], conjugate=True)
    return result


def _add_product(
    target: torch.Tensor,
    first: torch.Tensor,
    second: torch.Tensor,
    sign: int = 1,
    *,
    conjugate: bool = False,
) -> None:
    """Add ``sign`` times a product of complex numbers, ``(2, ...)`` each, to the target.

    ``conjugate`` is for the first factor.
    """
    turned = -sign if conjugate else sign
    target[0].addcmul_(first[0], second[0], value=sign)
    target[0].addcmul_(first[1], second[1], value=-turned)
    target[1].addcmul_(first[0], second[1], value=sign)
    target[1].addcmul_(first[1], second[0], value=turned)
