from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sepbench._util.walk import MANIFEST
from sepbench.datasets.folder import Folder
from sepbench.errors import SepbenchError
from sepbench.stems import stem_of

from .layouts import song, write_stems_file, write_wavs


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("vocals.wav", "vocals"),
        ("Voice.mp3", "vocals"),
        ("01 - My Song (Vocal).flac", "vocals"),
        ("song_no_vocals.wav", "accompaniment"),
        ("song-no-vocals.wav", "accompaniment"),
        ("song.instrumental.ogg", "accompaniment"),
        ("Drum.wav", "drums"),
        ("mix.wav", "mixture"),
        ("Guitar.wav", "guitar"),
        ("cover.wav", None),
        ("bassoon.wav", None),
        ("invocals.wav", None),
    ],
)
def test_stems_are_known_by_file_name(name: str, stem: str | None) -> None:
    assert stem_of(Path(name)) == stem


def test_any_stems_do_and_the_mixture_is_optional(tmp_path: Path) -> None:
    parts = song()
    write_wavs(tmp_path / "Song 2", {"voice": parts["vocals"], "instrumental": parts["bass"]})
    write_wavs(tmp_path / "Song 10", parts, suffix=".flac")
    (tmp_path / "Song 10" / "cover.jpg").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "readme.txt").touch()
    two, ten = Folder(tmp_path).tracks()
    assert (two.name, two.stems) == ("Song 2", ("vocals", "accompaniment"))
    assert (ten.name, ten.stems) == ("Song 10", ("vocals", "drums", "bass", "other"))
    audio = two.load()
    assert np.array_equal(audio.mixture, parts["vocals"] + parts["bass"])
    assert audio.notes[-1] == "no mixture, which other songs have: it is the sum of the stems"
    assert np.array_equal(ten.load().mixture, parts["mixture"])


def test_files_that_are_no_stem_are_left_out_with_a_note(tmp_path: Path) -> None:
    parts = song()
    write_wavs(tmp_path / "song", {**parts, "cover": parts["bass"]})
    (track,) = Folder(tmp_path).tracks()
    assert track.load().notes == ("cover.wav: left out, its name is not a stem",)


def written(folder: Path, *stems: str) -> None:
    """Add stems as 'sepbench separate' does, with its file beside them."""
    write_wavs(folder, {stem: song()["bass"] for stem in stems})
    (folder / MANIFEST).write_text(json.dumps({f"{stem}.wav": {} for stem in stems}))


def test_estimates_in_the_folder_of_a_song_are_not_its_true_stems(tmp_path: Path) -> None:
    parts = song()
    write_wavs(tmp_path / "song", {name: parts[name] for name in ("mixture", "vocals")})
    written(tmp_path / "song", "harmonic", "percussive")
    (track,) = Folder(tmp_path).tracks()
    assert track.stems == ("vocals",)
    assert track.load().notes == (
        "harmonic.wav: left out, 'sepbench separate' wrote it",
        "percussive.wav: left out, 'sepbench separate' wrote it",
    )


def test_folders_of_estimates_alone_are_no_tracks(tmp_path: Path) -> None:
    write_wavs(tmp_path / "song", song())
    written(tmp_path / "estimates", "vocals", "drums")
    for stem in ("vocals", "drums"):
        written(tmp_path / "by stem" / stem, f"song {stem}")
    assert [track.name for track in Folder(tmp_path).tracks()] == ["song"]


def test_a_stem_that_only_other_songs_have_is_a_note(tmp_path: Path) -> None:
    parts = song()
    four = {name: parts[name] for name in ("vocals", "drums", "bass", "other")}
    write_wavs(tmp_path / "a", four)
    write_wavs(tmp_path / "b", {name: four[name] for name in ("vocals", "drums", "other")})
    write_wavs(tmp_path / "c", {**four, "instrumental": parts["bass"]})
    notes = [track.load().notes for track in Folder(tmp_path).tracks()]
    # Song a has no file for its accompaniment, but all that it is the sum of.
    # That no song has a mixture is not said.
    assert notes == [(), ("no bass, accompaniment, which other songs have",), ()]


def test_two_files_for_a_stem_and_none_at_all_are_errors_of_their_track(tmp_path: Path) -> None:
    parts = song()
    write_wavs(tmp_path / "none", {"take 1": parts["bass"]})
    write_wavs(tmp_path / "twice", {"vocals": parts["vocals"], "voice": parts["vocals"]})
    none, twice = Folder(tmp_path).tracks()
    assert none.digest() != twice.digest()
    with pytest.raises(SepbenchError, match=r"^track none: no file in .* is named after a stem"):
        none.load()
    with pytest.raises(SepbenchError, match=r"vocals\.wav and voice\.wav are both vocals; keep"):
        twice.load()


def test_without_a_root_it_says_what_to_do() -> None:
    with pytest.raises(SepbenchError, match=r"One folder per song, each file named after"):
        Folder(Path("nowhere")).tracks()


@pytest.mark.parametrize("deeper", ["", "moisesdb_v0.1/"])
def test_a_folder_for_each_stem_is_a_song_whose_files_sound_together(
    tmp_path: Path, deeper: str
) -> None:
    rng = np.random.default_rng(0)
    parts = {name: rng.uniform(-0.2, 0.2, (3, 800)) for name in ("vocals", "guitar", "other_keys")}
    for name, takes in parts.items():
        for number, take in enumerate(takes):
            path = tmp_path / f"{deeper}song/{name}/{name}{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, take, 8000, subtype="FLOAT")
    (track,) = Folder(tmp_path).tracks()
    assert track.name == "song"
    assert track.stems == ("vocals", "guitar", "other_keys")
    loaded = track.load()
    for name, takes in parts.items():
        np.testing.assert_allclose(loaded.references[name][0], takes.sum(0), atol=1e-6)
    before = track.digest()
    soundfile.write(path, takes[0], 8000, subtype="FLOAT")
    assert track.digest() != before


def test_a_file_that_moves_to_the_next_stem_changes_the_digest(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("bass/a", "drums/b", "drums/c", "vocals/d"):
        path = tmp_path / f"song/{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.uniform(-0.2, 0.2, 800), 8000, subtype="FLOAT")
    before = Folder(tmp_path).tracks()[0].digest()
    (tmp_path / "song/drums/b.wav").rename(tmp_path / "song/bass/b.wav")
    assert Folder(tmp_path).tracks()[0].digest() != before


def test_a_file_that_ends_before_the_others_of_its_stem_is_silent_from_there_on(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    takes = {"vocals/back": 800, "vocals/lead": 8000, "drums/kick": 8000}
    for name, samples in takes.items():
        path = tmp_path / f"song/{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.uniform(-0.2, 0.2, samples), 8000, subtype="FLOAT")
    (track,) = Folder(tmp_path).tracks()
    assert track.seconds == 1.0
    whole, part = track.load(), track.load(start=0.5, duration=0.25)
    for name, samples in part.references.items():
        np.testing.assert_array_equal(samples, whole.references[name][:, 4000:6000])


def test_the_root_of_a_known_data_set_is_named(tmp_path: Path) -> None:
    """A folder of MUSDB18 has no songs of one's own, only 'train' and 'test'."""
    wavs, stems = tmp_path / "hq", tmp_path / "stems"
    for folder in ("train", "test"):
        write_wavs(wavs / folder / "Song", song(0.2))
        write_stems_file(stems / folder / "Song.stem.mp4", song(0.2))
    for root in (wavs, wavs / "train" / "Song"):
        with pytest.raises(SepbenchError, match=r"hq is musdb18-hq; give --dataset musdb18-hq"):
            Folder(root).tracks()
    for root in (stems, stems / "test"):
        with pytest.raises(SepbenchError, match=r"stems is musdb18-7s; give --dataset musdb18-7s"):
            Folder(root).tracks()
    assert [track.name for track in Folder(wavs / "test").tracks()] == ["Song"]


@pytest.mark.parametrize("wrong", [".", "a", "a/b/songs/Song 1"])
def test_songs_above_or_below_the_root_are_found(wrong: str, tmp_path: Path) -> None:
    right = tmp_path / "a" / "b" / "songs"
    for name in ("Song 1", "Song 2"):
        write_wavs(right / name, song(0.2))
    for other in ("c", "a/d", "a/b/e"):
        (tmp_path / other).mkdir()
    with pytest.raises(SepbenchError, match=rf"it is in {right}; give --root {right}$"):
        Folder(tmp_path / wrong).tracks()
