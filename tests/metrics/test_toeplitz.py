from __future__ import annotations

import math

import pytest
import torch

from sepbench.metrics.bsseval import normal_equations, toeplitz
from sepbench.metrics.bsseval.correlation import correlate
from sepbench.metrics.bsseval.normal_equations import Factor, gram
from sepbench.metrics.sdr import Windows

from .signals import noise, stems


def correlations(signals, taps):
    windows = Windows.of_signal(signals.shape[-1], 1000)
    return correlate(list(signals), [list(signals)], windows, taps)[0].total


def by_delay(matrix, signals, taps):
    parts = matrix.view(signals, taps, signals, taps)
    return parts.permute(1, 0, 3, 2).reshape(matrix.shape)


def dull(count, samples, *, cutoff, seed):
    """16-bit signals with nothing but their rounding above a share of the band."""
    spectra = torch.fft.rfft(stems(count, 1, samples, seed=seed)[:, 0].double())
    spectra[:, int(cutoff * spectra.shape[-1]) :] = 0
    return (torch.fft.irfft(spectra, n=samples) * 2**15).round() / 2**15


def test_a_product_is_that_with_the_gram_matrix():
    lags = correlations(noise(3, 3000, seed=1), 40)
    filters = torch.randn(3, 40, 5, dtype=torch.float64)
    expected = (gram(lags) @ filters.flatten(0, 1)).view(filters.shape)
    torch.testing.assert_close(toeplitz.product(lags, filters), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("signals", "taps"), [(1, 20), (3, 1), (3, 64), (5, 33)])
def test_the_factor_gives_the_gram_matrix_back(signals, taps):
    lags = correlations(stems(signals, 1, 3000, seed=2)[:, 0], taps)
    upper = toeplitz.cholesky(lags).triu()
    matrix = by_delay(gram(lags), signals, taps)
    error = (upper.mT @ upper - matrix).abs().max() / matrix.abs().max()
    assert error < 1e-13


def test_structure_solves_as_well_as_elimination(monkeypatch):
    lags = correlations(dull(4, 20000, cutoff=0.6, seed=3), 128)
    true = torch.randn(4, 128, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    right = (gram(lags) @ true.flatten(0, 1)).view(true.shape)
    by_structure = Factor(lags)
    monkeypatch.setattr(normal_equations, "_FEW", 4)
    eliminated = Factor(lags)
    assert by_structure.condition == eliminated.condition > 1e6
    errors = [(factor.solve(right) - true).norm() for factor in (by_structure, eliminated)]
    assert errors[0] < 1.5 * errors[1] < 1e-5 * true.norm()


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.8, 0.95])
def test_a_source_that_is_another_filtered_is_noted_however_long_the_filter(decay):
    base = noise(3, 20000, seed=5, bits=None).double()
    base[..., -100:] = 0
    kernel = decay ** torch.arange(64, dtype=torch.float64).flip(0)
    filtered = torch.nn.functional.conv1d(
        torch.nn.functional.pad(base[:1, None], (63, 0)), kernel[None, None]
    )[0]
    factor = Factor(correlations(torch.cat([base, filtered]), 64))
    assert factor.condition == math.inf


def test_quiet_signals_among_loud_ones_are_solved_for_by_structure(monkeypatch):
    signals = noise(3, 5000, seed=6, bits=None).double()
    signals *= torch.tensor([[1.0], [1e-3], [1e-6]])
    lags = correlations(signals, 32)
    monkeypatch.setattr(normal_equations, "_eliminated", None)
    solved = Factor(lags).solve(lags[:, 2:].mT)
    expected = torch.zeros(3, 32, 1, dtype=torch.float64)
    expected[2, 0] = 1
    torch.testing.assert_close(solved, expected, rtol=0, atol=1e-4)
