from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from sepbench.errors import SepbenchError
from sepbench.training import augment
from sepbench.training.data.prepared import PreparedDataset
from sepbench.training.examples import Examples
from sepbench.training.mix_config import MixConfig
from sepbench.training.passages import passages

MIXING = MixConfig(seconds=1.0)


def examples(dataset: PreparedDataset, mixing: MixConfig = MIXING, *, seed: int = 7) -> Examples:
    return Examples(dataset.split("train"), mixing, seed=seed, count=100)


def test_an_example_depends_on_seed_and_number_alone(dataset: PreparedDataset) -> None:
    first, again = examples(dataset), examples(dataset)
    late = again[40]
    assert torch.equal(first[3]["vocals"], again[3]["vocals"])
    assert torch.equal(first[40]["accompaniment"], late["accompaniment"])
    assert not torch.equal(first[3]["vocals"], first[4]["vocals"])
    assert not torch.equal(first[3]["vocals"], examples(dataset, seed=8)[3]["vocals"])


def test_the_voice_has_the_wanted_level(dataset: PreparedDataset) -> None:
    mixing = dataclasses.replace(
        MIXING, ratio=(-3.001, -2.999, -3.0), no_voice=0, no_backing=0, coherent=0
    )
    for number in range(10):
        example = examples(dataset, mixing)[number]
        voice = augment.active_rms(example["vocals"].numpy())
        backing = augment.active_rms(example["accompaniment"].numpy())
        assert 20 * np.log10(voice / backing) == pytest.approx(-3, abs=0.1)


def test_either_may_be_silent(dataset: PreparedDataset) -> None:
    mixing = dataclasses.replace(MIXING, no_voice=0.5, no_backing=0.5)
    for number in range(6):
        example = examples(dataset, mixing)[number]
        assert example["vocals"].any() != example["accompaniment"].any()


def test_every_example_is_finite_and_never_silent_as_a_whole(dataset: PreparedDataset) -> None:
    for example in (examples(dataset)[number] for number in range(100)):
        mixture = example["vocals"] + example["accompaniment"]
        assert mixture.shape == (8000,)
        assert mixture.isfinite().all()
        assert mixture.abs().max() > 1e-4


def test_training_and_validation_share_no_song(dataset: PreparedDataset) -> None:
    trained = {(track.source, track.name) for track in dataset.split("train").tracks}
    assert trained == {
        ("mir1k", "Ani_1"),
        ("songs", "First"),
        ("voices/soprano", "one"),
        ("backgrounds/band", "one"),
    }
    assert {passage.source for passage in passages(dataset, seconds=1.0)} == {"mir1k", "songs"}


def test_a_source_without_weight_is_never_drawn(dataset: PreparedDataset) -> None:
    weights = {"songs": 0.0, "mir1k": 0.0, "voices/soprano": 1.0, "backgrounds/band": 1.0}
    chosen = examples(dataset, dataclasses.replace(MIXING, weights=weights))
    assert chosen[0]["vocals"].any()
    nothing = dict.fromkeys(weights, 0.0)
    with pytest.raises(SepbenchError, match="of 4 songs for training no song can be used; see"):
        examples(dataset, dataclasses.replace(MIXING, weights=nothing))


def test_varispeed_raises_the_pitch() -> None:
    time = np.arange(10000, dtype=np.float32) / 8000
    tone = np.sin(2 * np.pi * 400 * time).astype(np.float32)
    faster = augment.varispeed(tone, 1.25, 8000)
    assert np.abs(np.fft.rfft(faster)).argmax() == pytest.approx(500, abs=1)
    with pytest.raises(ValueError, match="too few"):
        augment.varispeed(tone, 1.5, 8000)


def test_stretching_keeps_the_pitch_and_changes_the_tempo() -> None:
    time = np.arange(12000, dtype=np.float32) / 8000
    tone = np.sin(2 * np.pi * 400 * time).astype(np.float32)
    for ratio in (0.8, 1.2):
        stretched = augment.stretch(tone, ratio, 8000)
        assert np.abs(np.fft.rfft(stretched)).argmax() == pytest.approx(400, abs=1)
        # No dips where pieces meet.
        assert np.square(stretched).reshape(16, 500).mean(1) == pytest.approx(0.5, abs=0.01)
        growing = augment.stretch(tone * time, ratio, 8000)
        level = np.sqrt(2 * np.square(growing).reshape(16, 500).mean(1))
        assert level[2:-2] == pytest.approx(ratio * (np.arange(16) + 0.5)[2:-2] / 16, abs=0.04)
    with pytest.raises(ValueError, match="too few"):
        augment.stretch(tone, 2.0, 8000)


def test_examples_may_change_their_tempo(dataset: PreparedDataset) -> None:
    stretched = examples(dataset, dataclasses.replace(MIXING, stretch=1.0))[3]
    plain = examples(dataset)[3]
    assert stretched["vocals"].shape == plain["vocals"].shape
    assert stretched["vocals"].isfinite().all()
    assert not torch.equal(stretched["vocals"], plain["vocals"])


def test_compression_brings_loud_and_quiet_together() -> None:
    rng = np.random.default_rng(0)
    signal = rng.standard_normal(16000).astype(np.float32)
    signal[8000:] *= np.float32(0.05)
    squeezed = augment.compress(signal, np.random.default_rng(1), 8000)
    before = augment.rms(signal[:8000]) / augment.rms(signal[8000:])
    after = augment.rms(squeezed[:8000]) / augment.rms(squeezed[8000:])
    assert after < 0.95 * before


def test_a_room_rings_on() -> None:
    click = np.zeros(8000, np.float32)
    click[100] = 1.0
    ringing = augment.shape(click, np.random.default_rng(0), 8000, room=1.0, colour=0.0)
    assert not ringing[:90].round(5).any()
    assert augment.rms(ringing[1000:2000]) > 1e-5
