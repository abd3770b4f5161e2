from __future__ import annotations

import pytest
import torch

from sepbench.metrics.bsseval import correlation
from sepbench.metrics.bsseval.correlation import correlate
from sepbench.metrics.bsseval.normal_equations import Factor, condition, gram
from sepbench.metrics.sdr import Windows

from .signals import noise


def direct(x, y, lags):
    """Correlate by the definition."""
    samples = x.shape[-1]
    later = torch.nn.functional.pad(y.double(), (0, lags)).unfold(-1, samples, 1)[:, :lags]
    return torch.einsum("an,bln->abl", x.double(), later)


@pytest.mark.parametrize("chunk", [1, 2**23])
@pytest.mark.parametrize(
    ("samples", "rate", "lags"),
    [
        (1000, 300, 16),  # with a tail
        (1200, 400, 64),  # without
        (1000, 100, 101),  # a window as long as the lags reach
        (1000, 30, 64),  # windows shorter than that
        (50, 100, 64),  # a signal shorter than that
        (700, 100, 1),
    ],
)
def test_correlations_follow_their_definition(monkeypatch, samples, rate, lags, chunk):
    monkeypatch.setattr(correlation, "_CHUNK", {"cpu": chunk})
    x, y = noise(3, samples, seed=1), noise(4, samples, seed=2)
    windows = Windows.of_signal(samples, rate)
    found = correlate(list(x), [list(y)], windows, lags)[0]
    torch.testing.assert_close(found.total, direct(x, y, lags), rtol=0, atol=1e-12)
    cuts = [slice(k * windows.length, (k + 1) * windows.length) for k in range(windows.count)]
    torch.testing.assert_close(
        torch.cat(list(found.of_windows())),
        torch.stack([direct(x[:, cut], y[:, cut], lags) for cut in cuts]),
        rtol=0,
        atol=1e-12,
    )


def test_a_group_is_correlated_alike_whatever_is_correlated_beside_it():
    x, y, z = (list(noise(size, 90000, seed=size)) for size in (4, 2, 6))
    windows = Windows.of_signal(90000, 30000)
    alone = correlate(x, [z], windows, 512)[0]
    beside = correlate(x, [[*x, *y], z], windows, 512)[1]
    assert torch.equal(beside.total, alone.total)
    for one, other in zip(beside.of_windows(), alone.of_windows(), strict=True):
        assert torch.equal(one, other)


def correlations(x, lags):
    return correlate(list(x), [list(x)], Windows.of_signal(x.shape[-1], 200), lags)[0].total


def test_gram_holds_the_inner_products_of_delayed_signals():
    x = noise(2, 500, seed=3)
    delayed = torch.stack([torch.nn.functional.pad(x, (k, 7 - k)) for k in range(8)], dim=1)
    delayed = delayed.flatten(0, 1).double()
    torch.testing.assert_close(gram(correlations(x, 8)), delayed @ delayed.mT, rtol=0, atol=1e-12)


def test_condition_is_a_close_lower_bound():
    x = noise(2, 20000, seed=4, bits=None).double()
    smooth = torch.nn.functional.conv1d(x[:, None], torch.ones(1, 1, 2, dtype=torch.float64))[:, 0]
    lags = correlations(smooth + 1e-3 * noise(2, 19999, seed=5), 128)
    true = float(torch.linalg.cond(gram(lags)))
    assert true / 30 < condition(lags) <= 1.1 * true


def test_a_quiet_signal_among_loud_ones_is_no_trouble():
    x = noise(2, 3000, seed=9, bits=None).double() * torch.tensor([[1.0], [1e-5]]).double()
    lags = correlations(x, 32)
    factor = Factor(lags)
    assert factor.condition < 10
    solved = factor.solve(lags[:, 1:].mT)
    expected = torch.zeros(2, 32, 1, dtype=torch.float64)
    expected[1, 0] = 1
    torch.testing.assert_close(solved, expected, rtol=0, atol=1e-4)


def test_solutions_satisfy_their_equations():
    lags = correlations(noise(3, 3000, seed=6), 32)
    right = torch.randn(3, 32, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    solved = Factor(lags).solve(right)
    torch.testing.assert_close(
        (gram(lags) @ solved.flatten(0, 1)).view(right.shape), right, rtol=0, atol=1e-11
    )


def test_a_singular_system_gives_the_solution_of_least_norm():
    x = noise(2, 3000, seed=8)
    lags = correlations(torch.cat([x, x.sum(0, keepdim=True)]), 32)
    matrix = gram(lags)
    right = (matrix @ torch.ones(96, 2, dtype=torch.float64)).view(3, 32, 2)
    factor = Factor(lags)
    level = matrix.diagonal().rsqrt()[:, None]
    inverse = torch.linalg.pinv(level * matrix * level.mT, rtol=1e-12, hermitian=True)
    expected = level * (inverse @ (level * right.flatten(0, 1)))
    assert factor.condition == float("inf")
    torch.testing.assert_close(factor.solve(right).flatten(0, 1), expected, rtol=0, atol=2e-3)
