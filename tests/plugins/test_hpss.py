from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from songs import RATE, noise, repeating_song, sdr

from sepbench.errors import SepbenchError
from sepbench.separator import BLOCK_ALIGNMENT
from sepbench_plugins.hpss import Hpss


def split(mixture: torch.Tensor, **options) -> tuple[torch.Tensor, torch.Tensor]:
    stems = Hpss(Hpss.Options(**options)).separate(mixture)
    return stems["harmonic"], stems["percussive"]


def tone_and_clicks(samples: int = 2 * RATE) -> tuple[torch.Tensor, torch.Tensor]:
    tone = 0.3 * torch.sin(2 * torch.pi * 440 * torch.arange(samples) / RATE)[None]
    clicks = torch.zeros(1, samples)
    clicks[:, RATE // 8 :: RATE // 4] = 1.0
    return tone, clicks


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        ({}, {}),
        ({"margin": 2.0, "margin_percussive": 3.0}, {"margin": (2.0, 3.0)}),
        ({"kernel_harmonic": 17, "kernel_percussive": 9}, {"kernel_size": (17, 9)}),
        ({"power": 1.0}, {"power": 1.0}),
        ({"mask": "hard"}, {"power": np.inf}),
        ({"n_fft": 1024, "hop": 256}, {"n_fft": 1024, "hop_length": 256}),
    ],
)
def test_parts_are_librosas(options, theirs):
    # A length that is no multiple of the hop; more frames than one block holds.
    mixture = sum(repeating_song(6.37).values())[:1]
    harmonic, percussive = split(mixture, **options)
    expected = librosa.effects.hpss(mixture.numpy(), **theirs)
    # A hard mask decides ties, which the last bit of a transform can turn.
    atol = 1e-3 if "mask" in options else 2e-6
    np.testing.assert_allclose(harmonic, expected[0], atol=atol)
    np.testing.assert_allclose(percussive, expected[1], atol=atol)


def test_a_tone_is_harmonic_and_clicks_are_percussive():
    tone, clicks = tone_and_clicks()
    harmonic, percussive = split(tone + clicks)
    assert sdr(tone, harmonic) > 25
    assert sdr(clicks, percussive) > sdr(clicks, tone + clicks) + 30


def test_a_margin_leaves_noise_to_the_residual():
    rest = [noise(1, RATE) - sum(split(noise(1, RATE), margin=m)) for m in (1.0, 2.0)]
    assert rest[0].abs().max() < 1e-5
    assert rest[1].square().mean() > 0.05


@pytest.mark.parametrize("options", [{}, {"kernel_harmonic": 61, "n_fft": 4096, "hop": 1024}])
def test_a_block_with_its_context_is_the_whole_song(options):
    mixture = sum(repeating_song(8.0).values())
    hpss = Hpss(Hpss.Options(**options))
    assert hpss.context is not None
    context = -(-hpss.context.count // BLOCK_ALIGNMENT) * BLOCK_ALIGNMENT
    start, stop = 8 * BLOCK_ALIGNMENT, 16 * BLOCK_ALIGNMENT
    block = mixture[:, start - context : stop + hpss.context.count]
    whole, cut = hpss.separate(mixture), hpss.separate(block)
    for name in whole:
        inside = cut[name][:, context : context + stop - start]
        assert sdr(whole[name][:, start:stop], inside) > 90


def test_hops_off_the_grid_of_blocks_need_the_whole_song():
    assert Hpss(Hpss.Options(hop=500)).context is None
    assert Hpss(Hpss.Options(hop=768)).context is not None


@pytest.mark.parametrize("hop", [4096, 2048, 1025])
def test_a_hop_beyond_half_the_window_is_refused(hop):
    with pytest.raises(SepbenchError, match=f"hop={hop}: must be at most half of n_fft=2048"):
        Hpss(Hpss.Options(hop=hop))


def test_a_margin_below_one_is_refused():
    with pytest.raises(SepbenchError, match=r"margin_percussive=0\.5"):
        Hpss(Hpss.Options(margin_percussive=0.5))


@pytest.mark.slow
def test_parts_are_nussls(nussl):
    mixture = sum(repeating_song(3.0).values())
    signal = nussl.AudioSignal(audio_data_array=mixture.numpy(), sample_rate=RATE)
    signal.stft_params = nussl.STFTParams(2048, 512, "hann")
    theirs = nussl.separation.primitive.HPSS(signal)()
    for ours, part in zip(split(mixture), theirs, strict=True):
        # nussl mirrors the signal at its ends, sepbench has zeros there.
        inside = slice(RATE // 2, -RATE // 2)
        assert sdr(torch.from_numpy(part.audio_data)[:, inside], ours[:, inside]) > 60
