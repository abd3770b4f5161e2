from __future__ import annotations

import numpy as np
import pytest
import torch

from sepbench.errors import SepbenchError
from sepbench.training.data.prepared import PreparedDataset
from sepbench.training.mix_config import MixConfig
from sepbench.training.stem_examples import examples_of

TWO = ("vocals", "accompaniment")
THREE = ("vocals", "percussive", "harmonic")


def level(signal: torch.Tensor) -> float:
    return float(20 * torch.log10(signal.square().mean().sqrt()))


def test_songs_are_taken_at_their_own_levels(dataset: PreparedDataset) -> None:
    mixing = MixConfig(mixtures="songs", seconds=0.5, no_voice=0, weights={"mir1k": 0})
    examples = examples_of(TWO, dataset.split("train"), mixing, seed=0, count=8)
    track = next(t for t in dataset.split("train").tracks if "bass" in t.parts)
    whole = np.sum([track.read(part, 0, track.samples) for part in ("drums", "bass")], axis=0)
    for index in range(8):
        example = examples[index]
        assert level(example["vocals"]) == pytest.approx(20 * np.log10(0.3 / 2**0.5), abs=0.1)
        found = np.correlate(whole, example["accompaniment"].numpy(), "valid")
        energy = float(example["accompaniment"].square().sum())
        assert found.max() == pytest.approx(energy, rel=1e-3)


def test_examples_depend_on_seed_and_index_alone(dataset: PreparedDataset) -> None:
    for mixtures in ("songs", "scaper"):
        mixing = MixConfig(mixtures=mixtures, seconds=0.3)
        one, two = (examples_of(TWO, dataset, mixing, seed=3, count=5) for _ in range(2))
        assert torch.equal(one[4]["vocals"], two[4]["vocals"])
        other = examples_of(TWO, dataset, mixing, seed=4, count=5)
        assert not torch.equal(one[4]["accompaniment"], other[4]["accompaniment"])


def test_scaper_gives_each_stem_a_level_within_its_range(dataset: PreparedDataset) -> None:
    mixing = MixConfig(
        mixtures="scaper", seconds=0.5, no_voice=0, stem_level=(-5.0, 5.0), coherent=0.5,
        stretch=1.0, shifted=1.0, semitones=2.0, weights={"mir1k": 0},
    )  # fmt: skip
    examples = examples_of(THREE, dataset, mixing, seed=0, count=20)
    for index in range(20):
        example = examples[index]
        apart = level(example["vocals"]) - level(example["percussive"])
        assert abs(apart) <= 10.1
        total = sum(example[name] for name in THREE)
        assert level(total) == pytest.approx(-20, abs=0.1)


def test_no_voice_leaves_the_song_without_its_voice(dataset: PreparedDataset) -> None:
    mixing = MixConfig(mixtures="songs", seconds=0.3, no_voice=1.0)
    example = examples_of(TWO, dataset, mixing, seed=0, count=1)[0]
    assert not example["vocals"].any()
    assert example["accompaniment"].any()


def test_without_songs_it_says_what_is_missing(dataset: PreparedDataset) -> None:
    voices = PreparedDataset(dataset.rate, tuple(dataset.holding("vocals"))[:0], dataset.digest)
    with pytest.raises(SepbenchError, match="mixtures: remix"):
        examples_of(TWO, voices, MixConfig(mixtures="songs"), seed=0, count=1)


def test_one_ratio_for_all_examples(dataset: PreparedDataset) -> None:
    mixing = MixConfig(seconds=0.5, ratio=(0.0, 0.0, 0.0), no_voice=0, no_backing=0)
    examples = examples_of(TWO, dataset.split("train"), mixing, seed=0, count=4)
    assert all(examples[index]["vocals"].any() for index in range(4))
