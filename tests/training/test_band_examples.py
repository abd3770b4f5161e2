from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from recipes import PLAIN
from songs import noise, tone, white, write

from sepbench.errors import SepbenchError
from sepbench.training import augment
from sepbench.training.band_examples import STEMS, BandExamples
from sepbench.training.data.discover import find_tracks
from sepbench.training.data.prepare import prepare
from sepbench.training.data.prepared import PreparedDataset
from sepbench.training.losses import mean_of_known
from sepbench.training.mix_config import MixConfig
from sepbench.training.passages import passages
from sepbench.training.stem_examples import examples_of

RATE = 8000
HERTZ = {"vocals": 500.0, "drums": 90.0, "bass": 60.0, "other": 1000.0}
FIXED = {**PLAIN, "seconds": 1.0, "known": 1.0, "semitones": 0.0}


@pytest.fixture(scope="module")
def band(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """Two songs with all four stems, one without a bass, and a backing."""
    root = tmp_path_factory.mktemp("band")
    for index, song in enumerate(("First", "Second", "Third")):
        for stem, hertz in HERTZ.items():
            if (song, stem) != ("Third", "bass"):
                write(root / "songs" / song / f"{stem}.wav", tone(hertz + index, 3, RATE), RATE)
    (root / "songs" / "split.csv").write_text("song,split\nFirst,train\nSecond,val\nThird,train\n")
    write(root / "backgrounds" / "band" / "one.wav", white(1, 3 * RATE, peak=0.2), RATE)
    return prepare(find_tracks(root), tmp_path_factory.mktemp("prepared"), rate=RATE)[0]


def examples(band: PreparedDataset, mixing: MixConfig) -> BandExamples:
    return BandExamples(band.split("train"), mixing, seed=7, count=100)


def loudest(signal: torch.Tensor) -> float:
    """Frequency in Hz of the highest peak."""
    return float(np.abs(np.fft.rfft(signal.numpy())).argmax() * RATE / len(signal))


def test_each_stem_is_what_it_is_called(band: PreparedDataset) -> None:
    made = examples(band, MixConfig(**FIXED, weights={"songs": 1.0}))
    for number in range(8):
        for stem, hertz in HERTZ.items():
            if made[number][stem].any():
                assert loudest(made[number][stem]) == pytest.approx(hertz, abs=3)


def test_an_example_depends_on_seed_and_number_alone(band: PreparedDataset) -> None:
    first, again = (examples(band, MixConfig(seconds=1.0)) for _ in range(2))
    late = again[40]
    assert all(torch.equal(first[40][name], late[name]) for name in (*STEMS, "known"))
    assert not torch.equal(first[3]["vocals"], first[4]["vocals"])


def test_drums_and_bass_of_other_songs_stand_at_the_wanted_levels(band: PreparedDataset) -> None:
    levels = {"percussive": (-6.001, -5.999, -6.0), "bass": (2.999, 3.001, 3.0)}
    made = examples(band, MixConfig(**{**FIXED, "coherent": 0.0}, **levels))
    for number in range(8):
        example = made[number]
        assert example["known"].all()
        other = augment.active_rms(example["other"].numpy())
        for stem, wanted in (("drums", -6), ("bass", 3)):
            level = augment.active_rms(example[stem].numpy()) / other
            assert 20 * np.log10(level) == pytest.approx(wanted, abs=0.1)


def test_of_a_song_without_bass_neither_bass_nor_other_is_known(band: PreparedDataset) -> None:
    mixing = MixConfig(**{**FIXED, "coherent": 1.0})
    found = {
        tuple(example["known"].tolist())
        for example in map(examples(band, mixing).__getitem__, range(30))
    }
    assert found == {(True,) * 4, (True, True, False, False)}


def test_of_other_backings_the_voice_alone_is_known(band: PreparedDataset) -> None:
    made = examples(band, MixConfig(**{**FIXED, "known": 0.0}))
    for number in range(8):
        example = made[number]
        assert example["known"].tolist() == [True, False, False, False]
        assert example["other"].any()
        assert not (example["drums"].any())
        assert not (example["bass"].any())


def test_a_song_without_bass_has_no_score_for_other(
    band: PreparedDataset,
) -> None:
    third = [track for track in band.tracks if track.name == "Third"]
    cut = passages(
        band.of([dataclasses.replace(third[0], split="valid")]), seconds=1.0, stems=STEMS
    )
    assert set(cut[0].stems) == {"vocals", "drums", "harmonic"}
    with_bass = passages(band, seconds=1.0, stems=STEMS)
    assert set(with_bass[0].stems) == set(STEMS)


def test_songs_with_drums_are_needed(band: PreparedDataset) -> None:
    voices = band.of(track for track in band.tracks if track.source != "songs")
    with pytest.raises(SepbenchError):
        examples_of(STEMS, voices, MixConfig(seconds=1.0), seed=0, count=4)
    unused = MixConfig(seconds=1.0, exclude=(), weights={"songs": 0.0})
    with pytest.raises(SepbenchError):
        examples_of(STEMS, band, unused, seed=0, count=4)


def test_losses_of_unknown_stems_do_not_count() -> None:
    values = noise(3, 4, 2, 5)
    known = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0]]).float()[:, :, None, None]
    kept = [values[0].flatten(), values[1, 0].flatten(), values[2, :2].flatten()]
    assert float(mean_of_known(values, known)) == pytest.approx(float(torch.cat(kept).mean()))
    assert float(mean_of_known(values, torch.zeros(3, 4, 1, 1))) == 0
