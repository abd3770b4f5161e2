"""The stems that are asked for: two of a song, those of a preset, of the best method here."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run
from fakes import Calm
from songs import Samples, tone_file

from sepbench import audio, registry
from sepbench._util import entry_points

pytestmark = pytest.mark.usefixtures("empty_folder")

RATE = 8000


def test_two_stems_are_a_stem_and_the_sum_of_the_others() -> None:
    tone_file("song.wav")
    words = ("separate", "-m", "hpss", "song.wav", "--bit-depth", "32f")
    assert run(*words).exit_code == 0
    assert run(*words, "--two-stems", "percussive", "-o", "two").exit_code == 0
    read = {path.stem: audio.read(path).samples for path in Path("two").rglob("*.wav")}
    assert set(read) == {"percussive", "no_percussive"}
    song = audio.read("song.wav").samples
    np.testing.assert_allclose(sum(read.values()), song, atol=1e-6)


@pytest.mark.parametrize(
    "method", ["chain[hpss.percussive > hpss]", "chain[hpss.percussive > hpss.harmonic]"]
)
def test_the_rest_is_the_song_without_the_stem_where_the_stems_are_not_all(method: str) -> None:
    rng = np.random.default_rng(1)
    song = rng.normal(0, 0.1, (2, 14 * RATE)).astype(np.float32)  # More than one block.
    with audio.Writer(Path("song.wav"), RATE, 2, bit_depth="32f") as writer:
        writer.write(song)
    words = ("separate", "-m", method, "song.wav", "--bit-depth", "32f", "--two-stems", "harmonic")
    result = run(*words)
    assert result.exit_code == 0, result.output
    made = {path.stem: audio.read(path).samples for path in Path("separated").rglob("*.wav")}
    assert set(made) == {"harmonic", "no_harmonic"}
    assert np.square(made["harmonic"]).mean() < 0.5 * np.square(song).mean()
    np.testing.assert_allclose(sum(made.values()), song, atol=1e-6)


class Overlapping(Calm):
    """Half and a quarter of the mixture twice, besides their sum."""

    name = "overlapping"
    stems = ("vocals", "accompaniment", "drums", "bass", "other")
    remainder = None

    def separate(self, mixture: torch.Tensor) -> dict[str, torch.Tensor]:
        parts = {"vocals": 0.25, "accompaniment": 0.75, "drums": 0.5, "bass": 0.125, "other": 0.125}
        return {stem: part * mixture for stem, part in parts.items()}


def test_the_rest_has_nothing_twice_if_a_method_also_makes_sums(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    point = EntryPoint("overlapping", f"{__name__}:Overlapping", registry.GROUP)
    monkeypatch.setattr(entry_points, "find", lambda group: {"overlapping": [point]})
    tone_file("song.wav", level=0.5)
    result = run("separate", "-m", "overlapping", "song.wav", "--two-stems", "drums")
    assert result.exit_code == 0, result.output
    (rest,) = Path("separated").rglob("no_drums.wav")
    half = 0.5 * audio.read("song.wav").samples
    np.testing.assert_allclose(audio.read(rest).samples, half, atol=1e-6)


class Lossy(Calm):
    """Half of the mixture as four stems: the other half is in none of them."""

    name = "lossy"
    stems = ("vocals", "drums", "bass", "other")
    remainder = None

    def separate(self, mixture: torch.Tensor) -> dict[str, torch.Tensor]:
        return dict.fromkeys(self.stems, mixture / 8)


def test_the_rest_is_the_song_without_the_stem_where_a_sum_has_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    point = EntryPoint("lossy", f"{__name__}:Lossy", registry.GROUP)
    monkeypatch.setattr(entry_points, "find", lambda group: {"lossy": [point]})
    tone_file("song.wav")
    song = audio.read("song.wav").samples
    words = ("separate", "-m", "lossy", "song.wav", "--bit-depth", "32f")

    def accompaniment() -> Samples:
        (path,) = Path("separated").rglob("accompaniment.wav")
        return audio.read(path).samples

    for _ in range(2):  # The one is not kept as the other.
        assert run(*words, "--two-stems", "vocals").exit_code == 0
        np.testing.assert_allclose(accompaniment(), song * 7 / 8, atol=1e-6)
        assert run(*words, "--stem", "accompaniment").exit_code == 0
        np.testing.assert_allclose(accompaniment(), song * 3 / 8, atol=1e-6)


@pytest.mark.slow
def test_a_preset_gives_both_stems_in_one_run() -> None:
    tone_file("song.wav", seconds=3)
    result = run("separate", "--preset", "karaoke", "--both", "song.wav", "--format", "mp3")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in Path("separated").rglob("*.mp3")) == [
        "accompaniment.mp3",
        "vocals.mp3",
    ]


def test_the_stem_of_a_preset_is_not_given_twice() -> None:
    tone_file("song.wav")
    both = ("--preset", "karaoke", "--both")
    refused = run("separate", *both, "--two-stems", "vocals", "song.wav")
    assert refused.exit_code == 2
    assert "leave --two-stems out" in refused.output


def test_the_rest_of_a_sum_is_what_the_sum_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    tone_file("song.wav", level=0.5)
    words = ("separate", "-m", "mixture", "song.wav", "--bit-depth", "32f")
    assert run(*words, "--two-stems", "accompaniment").exit_code == 0
    made = {path.stem: audio.read(path).samples for path in Path("separated").rglob("*.wav")}
    assert set(made) == {"accompaniment", "vocals"}
    assert run(*words, "--stem", "vocals", "-o", "alone").exit_code == 0
    (alone,) = Path("alone").rglob("*.wav")
    np.testing.assert_allclose(made["vocals"], audio.read(alone).samples, atol=1e-6)


@pytest.mark.slow
def test_without_a_method_the_best_here_is_taken_and_reported() -> None:
    tone_file("song.wav", seconds=3)
    result = run("separate", "song.wav", "--json", "--two-stems", "vocals")
    assert result.exit_code == 0, result.output
    (facts,) = json.loads(result.stdout)
    assert set(facts["files"]) == {"vocals", "accompaniment"}
    assert f"by {facts['method']}; " in result.stderr
    assert facts["passed_over"]
    assert "\n  not here: demucs" in result.stderr
    assert "weights are missing" in run("separate", "song.wav", "-v").output


@pytest.mark.slow
def test_a_stem_that_the_best_method_lacks_is_made_by_another() -> None:
    tone_file("song.wav")
    result = run("separate", "song.wav", "--stem", "percussive", "--json")
    assert result.exit_code == 0, result.output
    assert set(json.loads(result.stdout)[0]["files"]) == {"percussive"}
