from __future__ import annotations

import librosa
import numpy as np
import pytest
import scipy.signal
import torch
from songs import noise

from sepbench.dsp.stft import Stft

SHAPES = [
    Stft(2048, 512),
    Stft(2048, 1024, window="hamming"),
    Stft(512, 256, window="sqrt_hann"),
    Stft(1024, 64, win=256),
    Stft(1000, 300),
    Stft(1023, 257, win=900),
    Stft(64, 64, window="hamming"),
    Stft(2048, 1024, window="hamming", plain=True),
    Stft(1024, 256, win=800, plain=True),
]


@pytest.mark.parametrize("stft", SHAPES, ids=str)
@pytest.mark.parametrize("samples", [0, 1, 31, 2048, 5000, 5299])
def test_signal_comes_back_at_its_exact_length(stft, samples):
    signal = noise(2, 3, samples)
    back = stft.inverse(stft.forward(signal), samples)
    assert back.shape == signal.shape
    torch.testing.assert_close(back, signal, atol=1e-5, rtol=0)


@pytest.mark.parametrize("stft", SHAPES, ids=str)
@pytest.mark.parametrize("size", [1, 3, 50])
def test_blocks_are_the_whole(stft, size):
    signal = noise(2, 5299)
    whole = stft.forward(signal)
    masked = whole * torch.rand(whole.shape, generator=torch.Generator().manual_seed(1))
    added = torch.zeros_like(signal)
    for first, last in stft.blocks(signal.shape[-1], size):
        block = stft.forward(signal, first, last)
        torch.testing.assert_close(block, whole[..., first:last], atol=1e-4, rtol=0)
        stft.add(added, masked[..., first:last], first)
    torch.testing.assert_close(added, stft.inverse(masked, 5299), atol=5e-6, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("samples", [44100, 512 * 60])
def test_quarter_hops_are_those_of_librosa(samples):
    signal = noise(samples)
    ours = Stft(2048, 512).forward(signal)
    theirs = librosa.stft(signal.numpy(), n_fft=2048, hop_length=512)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-3)
    masked = theirs * np.random.default_rng(0).uniform(size=theirs.shape).astype("f")
    back = Stft(2048, 512).inverse(torch.from_numpy(masked), samples)
    np.testing.assert_allclose(
        back, librosa.istft(masked, hop_length=512, length=samples), atol=1e-5
    )


@pytest.mark.parametrize("samples", [2048, 20000, 1024 * 9])
def test_half_hops_are_those_of_scipy(samples):
    signal = noise(samples).double()
    ours = Stft(2048, 1024).forward(signal)
    window = scipy.signal.get_window("hann", 2048)
    _, _, theirs = scipy.signal.stft(
        np.pad(signal, (0, -samples % 1024)), window=window, nperseg=2048
    )
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours / window.sum(), theirs, atol=1e-12)


def test_a_tone_is_in_its_bin():
    samples = torch.arange(44100)
    spectrum = Stft(2048, 512).forward(torch.sin(2 * torch.pi * 100 / 2048 * samples)).abs()
    assert (spectrum[:, 3:-3].argmax(0) == 100).all()


def test_double_precision_is_kept():
    signal = noise(1, 5000).double()
    back = Stft(1024, 256).inverse(Stft(1024, 256).forward(signal), 5000)
    assert (back - signal).abs().max() < 1e-13


@pytest.mark.parametrize("wrong", [(512, 0, None), (512, 300, 256), (512, 128, 600)])
def test_gaps_between_windows_are_refused(wrong):
    with pytest.raises(ValueError, match="hop <= win <= n_fft"):
        Stft(*wrong)
