"""What a network makes of a song does not depend on how loud the song is, nor on its offset."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sepbench import registry
from sepbench.errors import SepbenchError
from sepbench.inference import runner
from sepbench.inference.level import measure
from sepbench.separator import Separator

RATE = 16_000
CPU = torch.device("cpu")


def song(seconds: float = 3, channels: int = 2) -> NDArray[np.float32]:
    """A gliding voice over a beat, in noise; loud as songs are."""
    time = np.arange(round(seconds * RATE)) / RATE
    voice = np.sin(2 * np.pi * (220 * time + 3 * np.sin(2 * np.pi * 5 * time))) * (time % 1 < 0.7)
    noise = np.random.default_rng(0).normal(0, 0.1, (channels, len(time)))
    beat = np.exp(-30 * (time % 0.5)) * np.sin(2 * np.pi * 60 * time)
    return (0.2 * (voice + 2 * beat + noise)).astype(np.float32)


class Louder(Separator):
    """Keeps what is above a fixed magnitude: as little scale-free as a network can be."""

    name = "louder"
    summary = "Samples beyond a tenth of full scale."
    stems = ("vocals", "accompaniment")
    remainder = "accompaniment"
    license = "MIT"
    citation = "none"
    context = 0.1
    level = -16.0

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        return {"vocals": mixture * (mixture.abs() > 0.1)}


class AsItIs(Louder):
    name = "as-it-is"
    level = None


def decibels(error: NDArray[np.float32], of: NDArray[np.float32]) -> float:
    ratio = np.square(error.astype(float)).sum() / np.square(of.astype(float)).sum()
    return float(10 * np.log10(ratio + 1e-30))


def separated(
    separator: Separator, mixture: NDArray[np.float32], **how: float
) -> dict[str, NDArray[np.float32]]:
    return runner.separate(separator, mixture, rate=RATE, device=CPU, **how).stems  # type: ignore[arg-type]


@pytest.mark.parametrize("gain", [-60, -37.5, -6, 6, 20])
def test_the_level_goes_up_and_down_with_the_song(gain: float) -> None:
    at_rest = measure([song()], RATE).decibels
    moved = measure([song() * np.float32(10 ** (gain / 20))], RATE).decibels
    assert moved is not None
    assert at_rest is not None
    assert moved - at_rest == pytest.approx(gain, abs=1e-4)


def test_the_level_is_the_energy_of_what_sounds() -> None:
    time = np.arange(10 * RATE) / RATE
    tone = np.sin(2 * np.pi * 500 * time).astype(np.float32)[None]
    assert measure([0.5 * tone], RATE).decibels == pytest.approx(-9.03, abs=0.01)
    # Silence before and after it, and an offset, change nothing.
    longer = np.pad(0.5 * tone, ((0, 0), (20 * RATE, 20 * RATE)))
    assert measure([longer], RATE).decibels == pytest.approx(-9.03, abs=0.01)
    shifted = measure([0.5 * tone + np.float32(0.25)], RATE)
    assert shifted.decibels == pytest.approx(-9.03, abs=0.01)
    assert shifted.offset == pytest.approx(0.25, abs=1e-4)


def test_silence_has_no_level_and_stays_silent() -> None:
    quiet = np.zeros((2, RATE), np.float32)
    assert measure([quiet], RATE).decibels is None
    assert measure([quiet + np.float32(0.3)], RATE).decibels is None
    stems = separated(Louder(), quiet)
    assert all(not stem.any() for stem in stems.values())


@pytest.mark.parametrize("sample", [1e-15, 1e-20, 1e-37, 1e-42])
def test_a_song_that_is_hardly_there_is_separated_too(sample: float) -> None:
    mixture = np.zeros((2, RATE), np.float32)
    mixture[:, RATE // 2] = sample
    stems = separated(Louder(), mixture)
    assert all(np.isfinite(stem).all() for stem in stems.values())
    np.testing.assert_array_equal(sum(stems.values()), mixture)


def test_how_a_song_arrives_changes_no_level() -> None:
    whole = song()
    pieces = [whole[:, start : start + 777] for start in range(0, whole.shape[1], 777)]
    assert measure(pieces, RATE).decibels == measure([whole], RATE).decibels


@pytest.mark.parametrize("gain", [-60, -20, 20])
def test_a_separator_with_a_level_is_given_every_song_alike(gain: float) -> None:
    factor = np.float32(10 ** (gain / 20))
    expected = separated(Louder(), song())
    assert 0 < np.count_nonzero(expected["vocals"]) < expected["vocals"].size
    for stem, samples in separated(Louder(), song() * factor).items():
        assert decibels(samples / factor - expected[stem], expected[stem]) < -40
    # The test can fail: without a level the same separator gives something else.
    other = separated(AsItIs(), song() * factor)["vocals"] / factor
    assert decibels(other - expected["vocals"], expected["vocals"]) > -20


def test_an_offset_goes_to_the_remainder_and_the_stems_add_up() -> None:
    offset = np.array([[0.2], [-0.1]], np.float32)
    expected, stems = separated(Louder(), song()), separated(Louder(), song() + offset)
    assert np.abs(stems["vocals"].mean(axis=1) - expected["vocals"].mean(axis=1)).max() < 1e-4
    assert decibels(stems["vocals"] - expected["vocals"], expected["vocals"]) < -40
    np.testing.assert_allclose(sum(stems.values()), song() + offset, atol=5e-8)


@pytest.mark.slow
def test_the_filter_of_an_ensemble_gets_no_offset() -> None:
    (method,) = registry.resolve("ensemble[unet+blstm]")
    ensemble = method.create()
    runner.load(ensemble, CPU)
    offset = np.array([[0.2], [0.1]], np.float32)
    expected, stems = separated(ensemble, song()), separated(ensemble, song() + offset)  # type: ignore[arg-type]
    assert decibels(stems["vocals"] - expected["vocals"], expected["vocals"]) < -80
    np.testing.assert_allclose(sum(stems.values()), song() + offset, atol=1e-6)


def test_blocks_are_at_the_level_of_the_whole_song() -> None:
    # The second half is 20 dB down: a level by block would bring it up.
    mixture = song(6)
    mixture[:, 3 * RATE :] *= 0.1
    whole = separated(Louder(), mixture, block_seconds=100)
    blocks = separated(Louder(), mixture, block_seconds=1)
    for stem in whole:
        np.testing.assert_allclose(blocks[stem], whole[stem], atol=1e-6)


def test_a_song_that_can_be_read_once_only_is_measured_too() -> None:
    mixture = song()
    pieces = np.array_split(mixture, 7, axis=1)
    parts = list(runner.stream(Louder(), iter(pieces), rate=RATE, device=CPU))
    joined = np.concatenate([part["vocals"] for part in parts], axis=1)
    np.testing.assert_array_equal(joined, separated(Louder(), mixture)["vocals"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unet", "unet-stereo", "mask-cnn", "cdae", "blstm", "spleeter"])
def test_every_trained_method_is_independent_of_gain_to_a_tenth_of_a_decibel(name: str) -> None:
    try:
        (method,) = registry.resolve(name)
        separator = method.create()
        runner.load(separator, CPU)
    except SepbenchError as error:
        pytest.skip(str(error))
    expected = separated(separator, song())  # type: ignore[arg-type]
    for gain in (-60, 20):
        factor = np.float32(10 ** (gain / 20))
        for stem, samples in separated(separator, song() * factor).items():  # type: ignore[arg-type]
            error = decibels(samples / factor - expected[stem], expected[stem])
            # A stem changed by a tenth of a decibel differs by -39 dB.
            assert error < -39, (name, gain, stem)
