from __future__ import annotations

import pytest
import torch

from sepbench.dsp import wiener as wiener_module
from sepbench.dsp.wiener import MultichannelWiener
from sepbench.separator import BLOCK_ALIGNMENT

RATE = 8000


@pytest.fixture(scope="module")
def stems() -> torch.Tensor:
    """A voice in the middle that comes and goes, and noise from the left, ``(2, 2, samples)``."""
    generator = torch.Generator().manual_seed(0)
    samples = 16 * BLOCK_ALIGNMENT
    voice, rest = torch.randn(2, samples, generator=generator)
    voice *= (torch.arange(samples) // 4000 % 2 == 0).float()
    return torch.stack([torch.stack([voice, voice]), torch.stack([rest, 0.3 * rest])])


@pytest.fixture(scope="module")
def rough(stems: torch.Tensor) -> torch.Tensor:
    """Estimates as masks leave them: much of the mixture when the stem sounds, else a little."""
    sounds = stems.abs().mean(1) > 0
    shares = torch.where(sounds[0], 0.6, 0.1)
    return torch.stack([shares, 1 - shares])[:, None] * stems.sum(0)


def test_stems_of_other_places_are_parted(stems: torch.Tensor, rough: torch.Tensor) -> None:
    given = {"vocals": rough[0], "accompaniment": rough[1]}
    once, twice = (
        MultichannelWiener(RATE, iterations).refine(stems.sum(0), given) for iterations in (1, 2)
    )
    assert sdr(stems[0], once["vocals"]) > sdr(stems[0], rough[0]) + 2
    assert sdr(stems[1], once["accompaniment"]) > sdr(stems[1], rough[1]) + 2
    assert sdr(stems[0], twice["vocals"]) > sdr(stems[0], once["vocals"]) + 1


def test_stems_sum_to_the_mixture_and_the_rest_is_a_stem(
    stems: torch.Tensor, rough: torch.Tensor
) -> None:
    wiener, mixture = MultichannelWiener(RATE), stems.sum(0)
    both = wiener.refine(mixture, {"vocals": rough[0], "other": rough[1]})
    assert torch.allclose(both["vocals"] + both["other"], mixture, atol=1e-4)
    one = wiener.refine(mixture, {"vocals": rough[0]})
    assert list(one) == ["vocals"]
    assert torch.allclose(one["vocals"], both["vocals"], atol=1e-4)


@pytest.mark.parametrize("gains", [(1.0, 0.5), (1.0, 0.0), (0.0, 1.0), (1.0, -1.0)])
def test_stems_of_one_place_stay_as_they_are(
    stems: torch.Tensor, gains: tuple[float, float]
) -> None:
    mixture = torch.tensor(gains)[:, None] * stems[1, :1]
    shares = torch.rand(mixture.shape[-1], generator=torch.Generator().manual_seed(1))
    refined = MultichannelWiener(RATE, 2).refine(mixture, {"vocals": shares * mixture})
    assert sdr(shares * mixture, refined["vocals"]) > 100
    for channel, gain in zip(refined["vocals"], gains, strict=True):
        assert channel.any() == (gain != 0)


def test_channels_that_are_the_same_stay_so_to_the_bit(stems: torch.Tensor) -> None:
    mixture = stems[1, :1].expand(2, -1)
    given = {"vocals": 0.3 * mixture}
    assert MultichannelWiener(RATE, 2).refine(mixture, given) == given


@pytest.mark.parametrize("level", [1e-6, 1e3])
def test_the_level_does_not_matter(stems: torch.Tensor, rough: torch.Tensor, level: float) -> None:
    wiener, mixture = MultichannelWiener(RATE, 2), stems.sum(0)
    usual = wiener.refine(mixture, {"vocals": rough[0]})["vocals"]
    other = wiener.refine(level * mixture, {"vocals": level * rough[0]})["vocals"]
    assert sdr(usual, other / level) > 100


def test_one_channel_or_no_iteration_changes_nothing(
    stems: torch.Tensor, rough: torch.Tensor
) -> None:
    mono = {"vocals": rough[0, :1]}
    assert MultichannelWiener(RATE, 2).refine(stems.sum(0)[:1], mono) == mono
    stereo = {"vocals": rough[0]}
    idle = MultichannelWiener(RATE, 0)
    assert idle.refine(stems.sum(0), stereo) == stereo
    assert idle.reach == 0


def test_silence_stays_silent_and_loudness_is_kept(
    stems: torch.Tensor, rough: torch.Tensor
) -> None:
    wiener = MultichannelWiener(RATE)
    mixture, estimate = stems.sum(0), rough[0].clone()
    quarter = mixture.shape[-1] // 4
    mixture[:, :quarter], estimate[:, :quarter] = 0, 0
    refined = wiener.refine(mixture, {"vocals": estimate})["vocals"]
    assert refined.isfinite().all()
    assert refined[:, : quarter - wiener.n_fft].abs().max() == 0
    quiet = wiener.refine(1e-4 * mixture, {"vocals": 1e-4 * estimate})["vocals"]
    assert sdr(refined, 1e4 * quiet) > 80
    nothing = torch.zeros(2, 9000)
    assert not wiener.refine(nothing, {"vocals": nothing})["vocals"].any()


def test_a_stem_that_never_sounds_gets_nothing(stems: torch.Tensor) -> None:
    given = {"vocals": torch.zeros_like(stems[1]), "other": stems[1]}
    refined = MultichannelWiener(RATE).refine(stems[1], given)
    assert sdr(stems[1], refined["other"]) > 60
    assert refined["vocals"].abs().max() < 1e-3


@pytest.mark.parametrize("iterations", [1, 2])
def test_a_block_with_its_surround_comes_out_as_in_the_whole_song(
    stems: torch.Tensor, rough: torch.Tensor, iterations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiener_module, "_AROUND", 1.5)
    wiener, mixture = MultichannelWiener(RATE, iterations), stems.sum(0)
    whole = wiener.refine(mixture, {"vocals": rough[0]})["vocals"]
    reach = round(wiener.reach * RATE)
    begin = BLOCK_ALIGNMENT
    block = wiener.refine(mixture[:, begin:], {"vocals": rough[0, :, begin:]})["vocals"]
    assert sdr(whole[:, begin + reach :], block[:, reach:]) > 80
    assert sdr(whole[:, begin : begin + BLOCK_ALIGNMENT], block[:, :BLOCK_ALIGNMENT]) < 60


def test_stretches_meet_without_a_seam(
    stems: torch.Tensor, rough: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"vocals": rough[0]}
    whole = MultichannelWiener(RATE).refine(stems.sum(0), given)["vocals"]
    monkeypatch.setattr(wiener_module, "_SECTION", 4.0)
    parts = MultichannelWiener(RATE).refine(stems.sum(0), given)["vocals"]
    assert sdr(whole, parts) > 80


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
def test_windows_last_a_third_of_a_second_and_fit_the_grid(rate: int) -> None:
    wiener = MultichannelWiener(rate)
    assert 0.16 < wiener.n_fft / rate < 0.5
    assert BLOCK_ALIGNMENT % (wiener.n_fft // 4) == 0
    assert 5 < wiener.reach < 7


def sdr(reference: torch.Tensor, estimate: torch.Tensor) -> float:
    error = (reference - estimate).double().square().sum().clamp_min(1e-300)
    return float(10 * torch.log10(reference.double().square().sum() / error))
