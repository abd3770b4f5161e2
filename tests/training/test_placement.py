from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sepbench.training.data.prepared import PreparedDataset
from sepbench.training.mix_config import MixConfig
from sepbench.training.placement import placed
from sepbench.training.stem_examples import examples_of

RATE = 8000
TWO = MixConfig(seconds=1.0, channels=2, placed=1.0, no_voice=0, no_backing=0)


def noise(samples: int = 2 * RATE) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(samples).astype(np.float32)


def energy(signal: NDArray[np.float32]) -> float:
    return float(np.square(signal).sum())


@pytest.mark.parametrize("seed", range(5))
def test_both_channels_together_keep_the_energy(seed: int) -> None:
    signal = noise()
    both = placed(signal, np.random.default_rng(seed), RATE, width=np.pi / 4, spread=0.0)
    assert both.shape == (2, len(signal))
    assert energy(both) == pytest.approx(2 * energy(signal), rel=0.01)


def test_low_and_high_notes_are_in_different_places() -> None:
    time = np.arange(2 * RATE) / RATE
    low, high = (np.sin(2 * np.pi * f * time).astype(np.float32) for f in (100.0, 3000.0))
    balances = []
    for note in (low, high):
        left, right = placed(note, np.random.default_rng(1), RATE, width=0.7, spread=0.0)
        balances.append(10 * np.log10(energy(left) / energy(right)))
    assert abs(balances[0] - balances[1]) > 3


def test_the_delayed_copy_is_not_in_the_mean_of_the_channels() -> None:
    signal = noise()
    both = placed(signal, np.random.default_rng(0), RATE, width=0.0, spread=0.6)
    np.testing.assert_allclose(both.mean(0), signal, atol=1e-4)
    assert energy(both[0] - both[1]) > 0.01 * energy(signal)


@pytest.mark.parametrize("stems", [("vocals", "accompaniment"),
                                   ("vocals", "percussive", "harmonic")])  # fmt: skip
@pytest.mark.parametrize("mixtures", ["remix", "songs"])
def test_examples_have_two_channels(
    dataset: PreparedDataset, stems: tuple[str, ...], mixtures: str
) -> None:
    mixing = dataclasses.replace(TWO, mixtures=mixtures)
    example = examples_of(stems, dataset.split("train"), mixing, seed=1, count=9)[4]
    assert {example[name].shape for name in stems} == {(2, 8000)}
    again = examples_of(stems, dataset.split("train"), mixing, seed=1, count=9)[4]
    assert torch.equal(example["vocals"], again["vocals"])


def test_two_equal_channels_are_what_one_is(dataset: PreparedDataset) -> None:
    pairs = []
    for channels in (1, 2):
        mixing = dataclasses.replace(TWO, channels=channels, placed=0.0)
        stems = ("vocals", "accompaniment")
        pairs.append(examples_of(stems, dataset.split("train"), mixing, seed=1, count=9)[4])
    one, two = pairs
    assert torch.equal(two["accompaniment"], one["accompaniment"].expand(2, -1))


def test_the_voice_is_nearer_to_the_middle_than_the_rest(dataset: PreparedDataset) -> None:
    def width(stem: torch.Tensor) -> float:
        return float((stem[0] - stem[1]).square().sum() / (stem.square().sum() + 1e-9))

    made = examples_of(("vocals", "accompaniment"), dataset.split("train"), TWO, seed=1, count=30)
    voices, backings = zip(
        *((width(made[i]["vocals"]), width(made[i]["accompaniment"])) for i in range(30)),
        strict=True,
    )
    assert np.mean(voices) < 0.5 * np.mean(backings)


@pytest.mark.parametrize(("sides", "lowest", "highest"), [(0.0, -2, 2), (1.0, -20, -6)])
def test_a_side_has_less_of_the_voice_than_the_song_and_a_mid_as_much(
    dataset: PreparedDataset,
    monkeypatch: pytest.MonkeyPatch,
    sides: float,
    lowest: int,
    highest: int,
) -> None:
    monkeypatch.setattr("sepbench.training.examples._SIDE", sides)
    stems = ("vocals", "accompaniment")
    plain = dataclasses.replace(TWO, channels=1)
    levels = []  # of the voice against the rest in dB
    for mixing in (plain, dataclasses.replace(plain, mid_side=1.0)):
        made = examples_of(stems, dataset.split("train"), mixing, seed=1, count=60)
        energies = [[example[stem].square().sum() for stem in stems] for example in made]
        assert {example["vocals"].shape for example in made} == {(8000,)}
        levels.append([10 * float(torch.log10(voice / rest)) for voice, rest in energies])
    assert lowest < np.median(np.subtract(levels[1], levels[0])) < highest
