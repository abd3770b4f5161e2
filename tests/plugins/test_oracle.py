from __future__ import annotations

import numpy as np
import pytest
import torch
from songs import RATE, noise, repeating_song, sdr

from sepbench.dsp.stft import Stft
from sepbench.errors import SepbenchError
from sepbench.inference import runner
from sepbench_plugins.oracle import IdealBinaryMask, IdealRatioMask, OracleWiener

SONG = repeating_song(2.0)
MIXTURE = sum(SONG.values())
STFT = Stft(2048, 1024)
ORACLES = [IdealBinaryMask, IdealRatioMask, OracleWiener]


def spectrum(signal: torch.Tensor) -> np.ndarray:
    return STFT.forward(signal).to(torch.complex128).numpy()


def signal(spectrum: np.ndarray) -> torch.Tensor:
    return STFT.inverse(torch.from_numpy(spectrum), MIXTURE.shape[1])


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_binary_mask_is_its_formula(power):
    made = IdealBinaryMask(IdealBinaryMask.Options(power=power)).separate(MIXTURE, SONG)
    whole = spectrum(MIXTURE)
    for name, stem in SONG.items():
        mask = np.abs(spectrum(stem)) ** power / (np.abs(whole) ** power + 1e-30) >= 0.5
        assert sdr(signal(mask * whole), made[name]) > 60


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_ratio_mask_is_its_formula(power):
    made = IdealRatioMask(IdealRatioMask.Options(power=power)).separate(MIXTURE, SONG)
    whole = spectrum(MIXTURE)
    total = sum(np.abs(spectrum(stem)) ** power for stem in SONG.values()) + 1e-30
    for name, stem in SONG.items():
        mask = np.abs(spectrum(stem)) ** power / total
        assert sdr(signal(mask * whole), made[name]) > 80


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_wiener_filter_is_norberts(norbert, channels):
    mixing = noise(4, channels, channels)
    stems = {name: mixing[k] @ noise(channels, 20000, seed=k) for k, name in enumerate(SONG)}
    mixture = sum(stems.values())
    made = OracleWiener().separate(mixture, stems)
    whole = spectrum(mixture)
    # norbert's regularisation is absolute, sepbench's relative to the loudest bin.
    scale = np.abs(whole).max()
    parts = np.stack([spectrum(stem) / scale for stem in stems.values()], axis=-1)
    theirs, _, _ = norbert.expectation_maximization(
        parts.transpose(2, 1, 0, 3).copy(), whole.transpose(2, 1, 0) / scale, iterations=1
    )
    for k, name in enumerate(stems):
        expected = STFT.inverse(torch.from_numpy(theirs[..., k].transpose(2, 1, 0) * scale), 20000)
        assert sdr(expected, made[name]) > 90


def test_wiener_filter_separates_stems_at_different_positions():
    left, right = noise(2, 20000)
    stems = {
        "vocals": torch.stack([left, 0.1 * left]),
        "accompaniment": torch.stack([0.2 * right, right]),
    }
    mixture = sum(stems.values())
    filtered = OracleWiener().separate(mixture, stems)
    masked = IdealRatioMask().separate(mixture, stems)
    for name, stem in stems.items():
        assert sdr(stem, filtered[name]) > sdr(stem, masked[name]) + 20


@pytest.mark.parametrize("oracle", ORACLES)
def test_oracles_rise_far_above_the_mixture(oracle):
    made = oracle().separate(MIXTURE, SONG)
    for name, stem in SONG.items():
        assert sdr(stem, made[name]) > max(sdr(stem, MIXTURE), 0) + 5


@pytest.mark.parametrize("oracle", [IdealRatioMask, OracleWiener])
def test_estimates_add_up_to_the_mixture(oracle):
    made = oracle().separate(MIXTURE, SONG)
    assert sdr(MIXTURE, sum(made.values())) > 60


@pytest.mark.parametrize("oracle", ORACLES)
def test_level_does_not_matter(oracle):
    quiet = {name: 1e-3 * stem for name, stem in SONG.items()}
    whole, low = (
        oracle().separate(MIXTURE, SONG),
        oracle().separate(1e-3 * MIXTURE, quiet),
    )
    for name in SONG:
        assert sdr(whole[name], 1e3 * low[name]) > 60


@pytest.mark.parametrize("oracle", ORACLES)
def test_a_track_of_two_stems_is_separated_into_two(oracle):
    two = {"vocals": SONG["vocals"], "accompaniment": MIXTURE - SONG["vocals"]}
    made = oracle().separate(MIXTURE, two)
    assert set(made) == set(two)
    assert sdr(two["vocals"], made["vocals"]) > 5


def test_sums_beside_their_terms_are_not_counted_twice():
    more = {**SONG, "accompaniment": MIXTURE - SONG["vocals"], "percussive": SONG["drums"]}
    assert set(IdealRatioMask().separate(MIXTURE, more)) == set(SONG)


@pytest.mark.parametrize("oracle", ORACLES)
def test_a_guitar_beside_other_is_a_part_of_it(oracle):
    parts = {**SONG, "other": 0.4 * SONG["other"], "guitar": 0.6 * SONG["other"]}
    whole, split = (oracle().separate(MIXTURE, known) for known in (SONG, parts))
    for name, stem in whole.items():
        torch.testing.assert_close(split[name], stem, atol=1e-5, rtol=1e-4)


def test_a_track_of_unknown_stems_is_refused():
    with pytest.raises(SepbenchError, match="oracle-irm"):
        IdealRatioMask().separate(MIXTURE, {"residual": MIXTURE})


def test_a_song_without_true_stems_is_refused():
    with pytest.raises(SepbenchError, match="runs in 'sepbench evaluate' alone"):
        runner.separate(OracleWiener(), MIXTURE.numpy(), rate=RATE, device=torch.device("cpu"))


@pytest.mark.parametrize("known", [("vocals",), ("vocals", "drums")])
@pytest.mark.parametrize("oracle", ORACLES)
def test_a_track_that_lacks_stems_has_a_ceiling_too(
    oracle: type[IdealRatioMask], known: tuple[str, ...]
) -> None:
    truth = {name: SONG[name] for name in known}
    made, whole = (oracle().separate(MIXTURE, one) for one in (truth, SONG))
    assert set(made) == set(known)
    for name in known:
        # Fewer, larger competitors: somewhat worse than with all, and far better than nothing.
        assert sdr(SONG[name], made[name]) > sdr(SONG[name], whole[name]) - 7
        assert sdr(SONG[name], made[name]) > sdr(SONG[name], MIXTURE) + 5
