from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from recipes import PLAIN

from sepbench.errors import SepbenchError
from sepbench.training import augment
from sepbench.training.data.prepare import prepare
from sepbench.training.data.prepared import PreparedDataset
from sepbench.training.data.recording import Recording
from sepbench.training.examples import Examples
from sepbench.training.mix_config import MixConfig
from sepbench.training.passages import passages
from sepbench.training.stem_examples import STEMS, StemExamples, examples_of

MIXING = MixConfig(seconds=1.0)


def examples(dataset: PreparedDataset, mixing: MixConfig = MIXING) -> StemExamples:
    return StemExamples(dataset.split("train"), mixing, seed=7, count=100)


def loudest(signal: torch.Tensor) -> float:
    """Frequency in Hz of the highest peak."""
    return float(np.abs(np.fft.rfft(signal.numpy())).argmax() * 8000 / len(signal))


def test_an_example_depends_on_seed_and_number_alone(dataset: PreparedDataset) -> None:
    first, again = examples(dataset), examples(dataset)
    late = again[40]
    for name in (*STEMS, "known"):
        assert torch.equal(first[3][name], again[3][name])
        assert torch.equal(first[40][name], late[name])
    assert not torch.equal(first[3]["percussive"], first[4]["percussive"])


def test_each_stem_is_what_it_is_called(dataset: PreparedDataset) -> None:
    mixing = MixConfig(**{**PLAIN, "seconds": 1.0, "known": 1.0, "semitones": 0.0})
    for number in range(8):
        example = examples(dataset, mixing)[number]
        assert example["known"].all()
        assert loudest(example["percussive"]) == pytest.approx(90, abs=2)
        assert loudest(example["harmonic"]) == pytest.approx(60, abs=2)


def test_of_other_backings_the_voice_alone_is_known(dataset: PreparedDataset) -> None:
    mixing = dataclasses.replace(MIXING, known=0.0, no_voice=0.0)
    for number in range(8):
        example = examples(dataset, mixing)[number]
        assert example["known"].tolist() == [True, False, False]
        assert not example["percussive"].any()


def test_the_drums_stand_at_the_wanted_level(dataset: PreparedDataset) -> None:
    mixing = MixConfig(
        **{**PLAIN, "seconds": 1.0, "known": 1.0, "coherent": 0.0},
        percussive=(-6.001, -5.999, -6.0),
    )
    for number in range(8):
        example = examples(dataset, mixing)[number]
        drums = augment.active_rms(example["percussive"].numpy())
        pitched = augment.active_rms(example["harmonic"].numpy())
        assert 20 * np.log10(drums / pitched) == pytest.approx(-6, abs=0.1)


def test_an_accompaniment_without_drums_may_be_named(dataset: PreparedDataset) -> None:
    sources = {"songs": 0.0, "backgrounds/band": 1.0}
    mixing = dataclasses.replace(MIXING, known=1.0, coherent=0.0, weights=sources)
    with pytest.raises(SepbenchError, match="one of the two is missing"):
        examples(dataset, mixing)
    plain = {**PLAIN, "seconds": 1.0, "known": 1.0, "coherent": 0.0}
    wild = MixConfig(
        **plain, weights={"backgrounds/band": 1e6}, harmonic={"backgrounds/band": "o*"}
    )
    spectrum = np.abs(np.fft.rfft(examples(dataset, wild)[0]["harmonic"].numpy()))
    assert spectrum.max() < 10 * np.median(spectrum)  # the band plays noise, the songs tones


def test_what_a_method_learns_decides_its_examples(dataset: PreparedDataset) -> None:
    make = {"dataset": dataset.split("train"), "mixing": MIXING, "seed": 0, "count": 9}
    assert isinstance(examples_of(("vocals", "percussive", "harmonic"), **make), StemExamples)
    voice_only = examples_of(("vocals", "accompaniment"), **make)
    assert type(voice_only) is Examples


def test_passages_hold_the_stems_that_are_known(dataset: PreparedDataset) -> None:
    stems = {passage.source: set(passage.stems) for passage in passages(dataset, stems=STEMS)}
    assert stems == {"mir1k": {"vocals", "accompaniment"}, "songs": set(STEMS)}
    trained = passages(dataset, stems=STEMS, split="train", seconds=1.0, songs=1)
    assert {passage.source for passage in trained} == {"mir1k", "songs"}


def test_a_song_of_a_moment_makes_no_passage(tmp_path: Path) -> None:
    clip = np.full(400, 0.25, np.float32)
    parts = {"vocals": [clip], "drums": [clip]}
    song = Recording("songs", "short", tuple(parts), lambda rate: parts, "valid")
    short, _ = prepare([song], tmp_path, rate=8000)
    with pytest.raises(SepbenchError, match="no songs of split 'valid'"):
        passages(short)
