"""What is prepared and mixed from recordings made for the purpose, in numbers."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from recipes import PLAIN
from songs import loudest, tone, white, write

from sepbench.training import augment
from sepbench.training.data.discover import find_tracks
from sepbench.training.data.prepare import prepare
from sepbench.training.data.prepared import PreparedDataset
from sepbench.training.data.recording import Recording, Segment, recording
from sepbench.training.data.sources import _recording
from sepbench.training.data.splits import assign_splits
from sepbench.training.examples import Examples
from sepbench.training.losses import counts_of_known, mean_of_known
from sepbench.training.mix_config import MixConfig
from sepbench.training.passages import Passage
from sepbench.training.song_examples import ScaperExamples
from sepbench.training.validate import Songs

RATE = 8000


def prepared(root: Path) -> PreparedDataset:
    made, skipped = prepare(
        assign_splits(find_tracks(root / "songs")), root / "prepared", rate=RATE
    )
    assert not skipped
    return made


def noisy_pauses(root: Path) -> PreparedDataset:
    """Songs whose singers pause for most of the time, with the dither of 16 bits."""
    for number in range(3):
        dither = white(1, 9 * RATE, seed=number, peak=1 / 16384)
        voice = np.concatenate([tone(440 + number, 1, RATE), dither], axis=1)
        write(root / "songs" / f"song {number}" / "vocals.wav", voice, RATE)
        write(root / "songs" / f"song {number}" / "other.wav", tone(300 + number, 10, RATE), RATE)
    return prepared(root).split("train")


@pytest.mark.parametrize("mixtures", ["remix", "scaper"])
def test_noise_in_a_pause_is_not_raised_to_the_level_of_singing(
    mixtures: str, tmp_path: Path
) -> None:
    mixing = MixConfig(**{**PLAIN, "seconds": 1.0, "coherent": 1.0, "semitones": 0.0})
    songs = noisy_pauses(tmp_path)
    stems = ("vocals", "accompaniment")
    examples = (
        Examples(songs, mixing, seed=0, count=40)
        if mixtures == "remix"
        else ScaperExamples(songs, mixing, stems=stems, seed=0, count=40)
    )
    quiet = 0
    for example in map(examples.__getitem__, range(40)):
        voice = example["vocals"].numpy()
        spectrum = np.abs(np.fft.rfft(voice))[1:]
        if spectrum.max() < 20 * np.median(spectrum):  # noise without a tone
            level = augment.rms(voice) / augment.rms(example["accompaniment"].numpy())
            assert 20 * np.log10(level) < -50
            quiet += 1
    assert quiet > 20


def test_stems_louder_than_full_scale_keep_their_form_and_their_sum(tmp_path: Path) -> None:
    song = tmp_path / "songs" / "Loud"
    for stem, hertz in (("guitar", 500), ("piano", 700), ("strings", 900)):
        write(song / f"{stem}.wav", tone(hertz, 1, RATE, level=0.8), RATE)
    write(song / "vocals.wav", tone(1100, 1, RATE, level=0.4), RATE)
    (track,) = prepared(tmp_path).tracks
    other, voice = (track.read(part, 0, RATE) for part in ("other", "vocals"))
    spectrum = np.abs(np.fft.rfft(other)) * 2 / RATE
    peaks = spectrum[[500, 700, 900]]
    assert peaks == pytest.approx(peaks.mean(), rel=1e-3)
    assert np.delete(spectrum, [500, 700, 900]).max() < 1e-3
    # The voice is half as loud as each of the others, as before.
    assert peaks.mean() / (np.abs(np.fft.rfft(voice)) * 2 / RATE)[1100] == pytest.approx(2, 1e-3)


def test_arrays_that_were_cut_off_before_are_made_again(tmp_path: Path) -> None:
    for song, level in (("Loud", 2.0), ("Soft", 0.5)):
        for stem, hertz in (("vocals", 500), ("other", 700)):
            write(
                tmp_path / "songs" / song / f"{stem}.wav", tone(hertz, 1, RATE, level=level), RATE
            )
    right = {track.name: track.read("vocals", 0, RATE) for track in prepared(tmp_path).tracks}
    index = tmp_path / "prepared" / "index.json"
    plain = json.loads(index.read_text())
    digest = prepared(tmp_path).digest
    for entry in plain["tracks"]:  # As an earlier version left it.
        assert entry.pop("version") == 2
        array = np.load(tmp_path / "prepared" / entry["file"])
        cut = np.clip(3 * array.astype(int), -32767, 32767) if entry["name"] == "Loud" else array
        np.save(tmp_path / "prepared" / entry["file"], cut.astype(np.int16))
    index.write_text(json.dumps(plain))
    soft = next(entry["file"] for entry in plain["tracks"] if entry["name"] == "Soft")
    before = (tmp_path / "prepared" / soft).stat().st_mtime_ns
    again = prepared(tmp_path)
    for track in again.tracks:
        np.testing.assert_array_equal(track.read("vocals", 0, RATE), right[track.name])
    assert (tmp_path / "prepared" / soft).stat().st_mtime_ns == before
    assert again.digest == digest


def test_a_file_that_moves_to_another_stem_is_prepared_anew(tmp_path: Path) -> None:
    songs = tmp_path / "songs"
    for stem, name, hertz in (("drums", "a", 90), ("drums", "b", 200), ("bass", "c", 60)):
        write(songs / "One" / stem / f"{name}.wav", tone(hertz, 1, RATE), RATE)
    (before,) = prepared(tmp_path).tracks
    assert np.abs(np.fft.rfft(before.read("drums", 0, RATE)))[200] > 1000
    (songs / "One" / "drums" / "b.wav").rename(songs / "One" / "bass" / "b.wav")
    (after,) = prepared(tmp_path).tracks
    assert np.abs(np.fft.rfft(after.read("drums", 0, RATE)))[200] < 1
    assert np.abs(np.fft.rfft(after.read("bass", 0, RATE)))[200] > 1000


def test_a_clip_without_a_channel_for_the_voice_is_skipped_with_its_reason(tmp_path: Path) -> None:
    write(tmp_path / "mono.wav", tone(440, 1, RATE), RATE)
    clips = {
        name: [Segment(tmp_path / "mono.wav", at)] for at, name in enumerate(("other", "vocals"))
    }
    made, skipped = prepare([recording("clips", "mono", clips)], tmp_path / "prepared", rate=RATE)
    assert not made.tracks
    assert "mono.wav: has no channel 2" in skipped[0]


def test_the_voice_or_backing_of_a_song_for_tests_is_not_trained_on(tmp_path: Path) -> None:
    songs = tmp_path / "songs"
    voice = tone(440, 1, RATE)
    write(songs / "test" / "Song 9" / "vocals.wav", voice, RATE)
    write(songs / "test" / "Song 9" / "other.wav", tone(300, 1, RATE), RATE)
    write(songs / "voices" / "another name.wav", voice, RATE)
    write(songs / "backings" / "song_9.wav", tone(200, 1, RATE), RATE)
    write(songs / "backings" / "free.wav", tone(250, 1, RATE), RATE)
    # A number says nothing.
    write(songs / "test" / "02" / "vocals.wav", tone(450, 2, RATE), RATE)
    write(songs / "test" / "02" / "other.wav", tone(350, 2, RATE), RATE)
    write(songs / "voices" / "02.wav", tone(550, 3, RATE), RATE)
    splits = {
        (track.name, *track.parts): track.split for track in assign_splits(find_tracks(songs))
    }
    assert splits == {
        ("Song 9", "vocals", "other"): "test",
        ("another name", "vocals"): "test",
        ("song_9", "accompaniment"): "test",
        ("free", "accompaniment"): "train",
        ("02", "vocals", "other"): "test",
        ("02", "vocals"): "train",
    }


def test_files_of_one_length_are_listened_to_only_beside_songs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        write(tmp_path / "voices" / f"take {number}.wav", white(1, RATE, seed=number), RATE)
    monkeypatch.setattr(Recording, "sound", lambda self: pytest.fail("listened to"))
    assert {track.split for track in assign_splits(find_tracks(tmp_path))} == {"train"}


def test_stems_of_a_data_set_are_all_used() -> None:
    def track(**hertz: float) -> SimpleNamespace:
        references = {name: tone(value, 1, RATE, channels=2) for name, value in hertz.items()}
        return SimpleNamespace(
            name="song",
            stems=tuple(hertz),
            subset="train",
            digest=str,
            sound_file=None,
            load=lambda: SimpleNamespace(references=references, rate=RATE),
        )

    pair = _recording("pairs", track(vocals=500, accompaniment=300))  # type: ignore[arg-type]
    assert pair.parts == ("vocals", "accompaniment")
    many = _recording("many", track(vocals=500, percussive=90, guitar=300, piano=700))  # type: ignore[arg-type]
    assert many.parts == ("vocals", "drums", "other")
    made = {part: clips[0][None] for part, clips in many.decode(RATE).items()}
    assert loudest(made["drums"], RATE, 10) == [90]
    spectrum = np.abs(np.fft.rfft(made["other"][0]))
    assert spectrum[300] == pytest.approx(spectrum[700], rel=1e-3)


def test_validation_voices_too_faint_to_be_scored_are_none() -> None:
    def songs(level: float) -> Songs:
        stems = {"vocals": torch.full((100,), level), "accompaniment": torch.ones(100)}
        return Songs([Passage("songs", "one", stems)])

    assert songs(0.1).has_scores()
    assert not songs(0.001).has_scores()


@pytest.mark.parametrize("seconds", [0.05, 1.0, 6.0])
def test_a_fade_leaves_something_to_hear(seconds: float) -> None:
    signal = np.ones(int(seconds * RATE), np.float32)
    for seed in range(50):
        faded = augment.fade(signal, np.random.default_rng(seed), RATE)
        assert faded.max() > 0.9
        assert faded.min() < 0.1


def test_the_mean_loss_of_known_stems_does_not_depend_on_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(6, 3, 4, generator=generator)
    known = (torch.rand(6, 3, 1, generator=generator) < 0.6).float()
    known[:, 0] = 1
    wanted = float(mean_of_known(values, known))
    for size in (1, 2, 4):
        parts = [
            (float(mean_of_known(v, k)), counts_of_known(k, ("a", "b", "c"))["loss"])
            for v, k in zip(values.split(size), known.split(size), strict=True)
        ]
        found, counts = zip(*parts, strict=True)
        assert np.average(found, weights=counts) == pytest.approx(wanted, abs=1e-6)
