from __future__ import annotations

import numpy as np
import pytest
import torch

from sepbench.dsp.linear import from_parts, outer, parts, planes_of, solve, wiener


def _covariances(count: int, channels: int, generator: torch.Generator) -> torch.Tensor:
    shape = (count, 5, 7, channels, channels)
    root = torch.randn(shape, dtype=torch.complex128, generator=generator)
    return root @ root.mH


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_filter_is_the_textbook_formula_in_each_bin(channels: int) -> None:
    generator = torch.Generator().manual_seed(channels)
    places = _covariances(2, channels, generator)
    energies = torch.rand(2, 5, 7, dtype=torch.float64, generator=generator)
    mixture = torch.randn(5, 7, channels, dtype=torch.complex128, generator=generator)
    planes = [planes_of(place) for place in places.movedim((-2, -1), (1, 2))]
    stems = wiener(parts(mixture.movedim(-1, 0)), list(energies), planes, floor=0.1)
    own = (energies[..., None, None] * places).numpy()
    inverse = np.linalg.inv(own.sum(0) + 0.1 * np.eye(channels))
    for stem, covariance in zip(stems, own, strict=True):
        expected = covariance @ inverse @ mixture.numpy()[..., None]
        assert np.allclose(from_parts(stem).movedim(0, -1), expected[..., 0], atol=1e-10)


def test_equations_are_solved_without_pivoting() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = _covariances(1, 4, generator)[0] + torch.eye(4)
    vector = torch.randn(5, 7, 4, dtype=torch.complex128, generator=generator)
    found = solve(planes_of(matrix.movedim((-2, -1), (0, 1))), parts(vector.movedim(-1, 0)))
    assert torch.allclose((matrix @ from_parts(found).movedim(0, -1)[..., None])[..., 0], vector)


def test_planes_are_the_hermitian_product_of_a_vector_with_itself() -> None:
    generator = torch.Generator().manual_seed(1)
    vector = torch.randn(3, 4, dtype=torch.complex128, generator=generator)
    product = vector[:, None] * vector.conj()
    assert torch.allclose(outer(parts(vector)), planes_of(product))
