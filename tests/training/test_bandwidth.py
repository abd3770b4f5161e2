from __future__ import annotations

import numpy as np
import pytest
import torch
from songs import noise, sdr

from sepbench import audio
from sepbench.training.bandwidth import EDGE, extend, slope
from sepbench.training.learned_mask import LearnedMask
from sepbench_plugins.blstm import BLSTM
from sepbench_plugins.mask_cnn import MaskCnn
from sepbench_plugins.unet import UNet

RATE = 48_000
PLACES = torch.arange(64) / 64


def sung() -> torch.Tensor:
    """A second of harmonics with vibrato, which networks take for a voice."""
    time = torch.arange(RATE) / RATE
    phase = 2 * torch.pi * 220 * (time + 0.0008 * torch.sin(2 * torch.pi * 5.5 * time))
    return sum(torch.sin(n * phase) / (10 * n) for n in range(1, 60))[None]  # type: ignore[index]


def only(signal: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """What of a signal lies between two frequencies, at `RATE`."""
    spectrum = torch.fft.rfft(signal)
    frequencies = torch.linspace(0, RATE / 2, spectrum.shape[-1])
    inside = (frequencies >= low) & (frequencies < high)
    return torch.fft.irfft(spectrum * inside, signal.shape[-1])


def voice(separator: LearnedMask, mixture: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return separator.separate(mixture)["vocals"]


@pytest.mark.parametrize(("high", "low"), [(44_100, 16_000), (48_000, 16_000), (44_100, 8_000)])
def test_the_slope_is_what_resampling_leaves(high: int, low: int) -> None:
    click = np.zeros((1, high), np.float32)
    click[0, high // 2] = 1
    left = np.abs(np.fft.rfft(audio.resample(click, high, low)[0])) * high / low
    assert np.abs(left - slope(torch.linspace(0, 1, len(left))).numpy()).max() < 0.015


def test_a_voice_alone_is_kept_to_the_top_and_no_voice_stays_out() -> None:
    levels = noise(64, 5).abs()
    for share in (0.0, 1.0):
        assert extend(torch.full((64, 5), share), levels, PLACES, 200).eq(share).all()


def test_above_the_band_the_voice_is_there_when_it_is_in_the_octave_below() -> None:
    mask = torch.zeros(64, 5)
    mask[:, 2] = 1
    mask[:20, 4] = 1  # A vowel without anything in the octave below.
    wide = extend(mask, torch.ones(64, 5), PLACES, 200)
    assert wide[100:].eq(torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0])).all()


def test_what_is_loud_says_whose_frame_it_is() -> None:
    mask, levels = torch.rand(64, 1, generator=torch.Generator().manual_seed(0)), torch.ones(64, 1)
    mask[50], levels[50] = 0.8, 1000.0
    assert extend(mask, levels, PLACES, 80)[70] == pytest.approx(0.8, abs=1e-3)


def test_where_the_resampler_falls_off_the_network_is_not_believed() -> None:
    mask, end = torch.rand(64, 5, generator=torch.Generator().manual_seed(0)), int(64 * EDGE)
    other = mask.clone()
    other[end:] = 1 - other[end:]
    levels = torch.ones(64, 5)
    wide = extend(mask, levels, PLACES, 200)
    assert torch.equal(wide, extend(other, levels, PLACES, 200))
    assert torch.equal(wide[:end], mask[:end])


@pytest.mark.parametrize("level", [0.0, 1e-9, 1.0])
def test_masks_that_share_the_mixture_share_it_to_the_top(level: float) -> None:
    masks = torch.rand(2, 3, 64, 5, generator=torch.Generator().manual_seed(0))
    masks = masks / masks.sum(1, keepdim=True)
    wide = extend(masks, torch.full((2, 1, 64, 5), level), PLACES, 200)
    assert torch.allclose(wide.sum(1), torch.ones(()), atol=1e-6)


@pytest.mark.parametrize("method", [BLSTM, UNet, MaskCnn])
def test_a_network_hears_of_a_song_what_it_would_hear_of_it_resampled(
    method: type[LearnedMask],
) -> None:
    wide, narrow = method(), method(method.Options(full_band=False))  # type: ignore[call-arg]
    assert (wide.sample_rate, narrow.sample_rate) == (RATE, 16_000)
    for separator in (wide, narrow):
        separator.load(torch.device("cpu"))
    song = sung() + 0.01 * noise(1, RATE)
    resampled = torch.from_numpy(audio.resample(song.numpy(), RATE, 16_000))
    back = torch.from_numpy(audio.resample(voice(narrow, resampled).numpy(), 16_000, RATE))
    heard = only(voice(wide, song), 0, 7000)
    assert sdr(heard, only(back, 0, 7000)) > 16


def test_a_voice_that_is_known_is_parted_from_its_backing_above_the_band(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    separator = UNet()
    separator.load(torch.device("cpu"))
    turns = (torch.arange(RATE) // (RATE // 4)) % 2
    sung, played = noise(1, RATE) * turns, noise(1, RATE, seed=1) * (1 - turns)
    spectra = [separator._stft().forward(part)[:, :512].abs().square() for part in (sung, played)]
    monkeypatch.setattr(separator, "predict", lambda _: spectra[0] / (spectra[0] + spectra[1]))
    assert sdr(only(sung, 8000, 24_000), only(voice(separator, sung + played), 8000, 24_000)) > 15
