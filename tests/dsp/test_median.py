from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch

from sepbench.dsp.median import running_median


def plain(signal: np.ndarray, size: int) -> np.ndarray:
    padded = np.pad(signal, ((size // 2, size - 1 - size // 2), (0, 0)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=0)
    return np.sort(windows, axis=-1)[..., size // 2]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 16, 17, 31, 32, 101])
@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 100])
def test_median_is_exact_at_any_size_and_length(size, length):
    signal = np.random.default_rng(size).normal(size=(length, 3)).astype("f")
    np.testing.assert_array_equal(
        running_median(torch.from_numpy(signal), size), plain(signal, size)
    )


@pytest.mark.parametrize("size", [3, 30, 31])
def test_median_is_scipys(size):
    signal = np.random.default_rng(0).integers(0, 5, size=(200, 2, 3)).astype("f")
    theirs = scipy.ndimage.median_filter(signal, size=(size, 1, 1), mode="reflect")
    np.testing.assert_array_equal(running_median(torch.from_numpy(signal), size), theirs)


def test_rows_longer_than_the_cache_are_no_exception():
    signal = torch.rand(40, 50_000, generator=torch.Generator().manual_seed(0))
    expected = plain(signal.numpy()[:, ::5000], 5)
    np.testing.assert_array_equal(running_median(signal, 5)[:, ::5000], expected)


def test_the_signal_is_left_alone():
    signal = torch.tensor([3.0, 1.0, 2.0])
    running_median(signal, 3)
    assert signal.tolist() == [3, 1, 2]
