from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sepbench.errors import SepbenchError
from sepbench.inference.manifest import remember
from sepbench.training.data.discover import find_tracks
from sepbench.training.data.prepare import prepare
from sepbench.training.data.prepared import PreparedDataset
from sepbench.training.data.recording import Recording
from sepbench.training.data.sources import tracks_of
from sepbench.training.data.splits import assign_splits
from tests.training.test_prepare import even


def test_every_layout_of_a_collection_is_found(corpus: Path) -> None:
    found = {(t.source, t.name): (set(t.parts), t.split) for t in find_tracks(corpus)}
    assert found["mir1k", "Ani_1"] == ({"vocals", "accompaniment"}, "train")
    assert found["mir1k", "Bea_2"][1] == "valid"
    assert found["songs", "First"] == ({"vocals", "drums", "bass"}, "train")
    assert found["songs", "Third"][1] == "test"
    assert found["voices/soprano", "one"] == ({"vocals"}, "train")
    assert found["backgrounds/band", "one"] == ({"accompaniment"}, "train")


def test_data_sets_are_looked_for_in_the_folders_of_songs_alone(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[object] = []  # A search around each of a thousand folders took minutes.
    monkeypatch.setattr("sepbench.datasets.hints.hint", searched.append)
    assert len(tracks_of([str(corpus)])) == len(find_tracks(corpus))
    assert searched == []


def test_folders_named_by_stem_hold_the_parts_of_songs(tmp_path: Path) -> None:
    for stem, songs in {"vocals": "ab", "drum": "ab", "Other": "a", "bass": "b"}.items():
        for song in songs:
            _write(tmp_path / "set" / stem / f"{song}.wav")
    _write(tmp_path / "set" / "mix" / "a.wav")
    found = {track.name: set(track.parts) for track in find_tracks(tmp_path)}
    assert found == {"a": {"vocals", "drums", "other"}, "b": {"vocals", "drums", "bass"}}


def test_voices_called_bass_stay_voices(tmp_path: Path) -> None:
    for part in ("soprano", "bass", "other"):
        _write(tmp_path / "voices" / part / "one.wav")
    assert {track.parts for track in find_tracks(tmp_path)} == {("vocals",)}


def test_data_next_to_songs_is_found_too(tmp_path: Path) -> None:
    for file in ("Song/vocals.wav", "Song/drums.wav", "voices/bass.wav", "voices/deep/two.wav"):
        _write(tmp_path / file)
    for file in ("backings/band.wav", "more/vocals/a.wav", "more/bass/a.wav", "more/voices/b.wav"):
        _write(tmp_path / file)
    assert {(track.name, track.parts) for track in find_tracks(tmp_path)} == {
        ("Song", ("vocals", "drums")),
        ("bass", ("vocals",)),
        ("two", ("vocals",)),
        ("band", ("accompaniment",)),
        ("a", ("vocals", "bass")),
        ("b", ("vocals",)),
    }


def test_a_folder_given_as_here_or_above_has_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in ("voices/one.wav", "voices/deep/two.wav"):
        _write(tmp_path / file)
    for place, way in (("voices", "."), ("voices/deep", "..")):
        monkeypatch.chdir(tmp_path / place)
        assert [track.source for track in find_tracks(Path(way))] == ["deep", "voices"]


def test_folders_say_the_split_of_what_they_hold(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        _write(tmp_path / split / "foreground" / "vocals" / "song.wav")
        _write(tmp_path / split / "foreground" / "drums" / "song.wav")
        _write(tmp_path / "hq" / split / f"Song {split}" / "vocals.wav")
        _write(tmp_path / "more" / split / "voices" / "one.wav")
    found = [(track.source, track.split) for track in find_tracks(tmp_path)]
    # Whatever a song is for, it is from the same source.
    assert sorted(found) == [
        (source, split)
        for source in ("foreground", "hq", "more/voices")
        for split in ("test", "train", "valid")
    ]
    below = {track.source for track in find_tracks(tmp_path / "train")}
    assert below == {"foreground"}
    hq = {track.source for track in find_tracks(tmp_path / "hq" / "train")}
    assert hq == {"hq"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "place", "sides", "file"),
    [
        ("musdb18", "musdb", ("train", "test"), "{}/{}.stem.mp4"),
        ("musdb18-7s", "musdb", ("train", "test"), "{}/{}.stem.mp4"),
        ("musdb18-hq", "deep/hq", ("train", "test"), "{}/{}/{}.wav"),
        ("dsd100", "deep/dsd", ("Mixtures/Dev", "Mixtures/Test"), "{}/{}/{}.wav"),
    ],
)
def test_data_sets_are_known_in_collections_and_beside_songs(
    source: str,
    place: str,
    sides: tuple[str, str],
    file: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    length = SimpleNamespace(seconds=7.0 if source == "musdb18-7s" else 200.0)
    monkeypatch.setattr("sepbench.audio.info", lambda path: length)
    kept = "Actions - One Minute Smile"  # One that MUSDB18 keeps to validate.
    for side, song in ((sides[0], "One"), (sides[0], kept), (sides[1], "Two")):
        for stem in ("mixture", "vocals", "drums", "bass", "other"):
            _write(tmp_path / place / file.format(side, song, stem))
            _write(tmp_path / place / file.format(side.replace("Mixtures", "Sources"), song, stem))
    for stem in ("vocals", "drums"):
        _write(tmp_path / "Mine" / f"{stem}.wav")
        _write(tmp_path / "deep" / "bystem" / stem / "Ours.wav")
    found = {(t.source, t.name): t.split for t in tracks_of([str(tmp_path)]) if t.source == source}
    if source != "dsd100":
        assert found.pop((source, kept)) == "valid"
        assert found == {(source, "One"): "train", (source, "Two"): "test"}
    assert found[source, "Two"] == "test"
    names = sorted(track.name for track in tracks_of([str(tmp_path)]))
    assert names == sorted(["Mine", "Ours", "One", "Two", kept])


@pytest.mark.slow
def test_songs_laid_out_as_a_data_set_but_with_other_stems_are_read_as_songs(
    tmp_path: Path,
) -> None:
    for stem in ("mixture", "vocals", "accompaniment"):
        _write(tmp_path / "own" / "train" / "One" / f"{stem}.wav")
        _write(tmp_path / "own" / "test" / "Two" / f"{stem}.wav")
    for data in (tmp_path, tmp_path / "own"):
        found = {track.name: (track.parts, track.split) for track in tracks_of([str(data)])}
        assert set(found) == {"One", "Two"}
        assert found["Two"] == (("vocals", "accompaniment"), "test")


def test_a_data_set_in_a_folder_for_tests_is_not_trained_on(tmp_path: Path) -> None:
    for side in ("train", "test"):
        for stem in ("mixture", "vocals", "drums", "bass", "other"):
            _write(tmp_path / "test" / "hq" / side / f"Kept {side}" / f"{stem}.wav")
            _write(tmp_path / "train" / "hq" / side / f"Song {side}" / f"{stem}.wav")
    splits = [(track.name, track.split) for track in tracks_of([str(tmp_path)])]
    sides = {"Kept train": "test", "Kept test": "test", "Song train": "train", "Song test": "test"}
    assert dict(splits) == sides


@pytest.mark.slow
def test_what_sepbench_made_itself_is_no_training_data(tmp_path: Path) -> None:
    for file in ("Song/vocals.wav", "Song/drums.wav", "Other/vocals.wav", "Other/bass.wav"):
        _write(tmp_path / file)
    made = {"stems/Song/hpss", "by/vocals", "by/drums", "run/data", "prepared", "scored/stems"}
    for folder in made:
        for file in ("vocals.wav", "drums.wav", "below/vocals.wav", "below/drums.wav"):
            _write(tmp_path / folder / file)
    for folder in ("stems/Song/hpss", "by/vocals", "by/drums"):
        made_file = tmp_path / folder / "vocals.wav"
        remember({made_file: made_file}, {made_file: {"method": "hpss"}}, tmp_path / "song.wav")
    _write(tmp_path / "run" / "last.pt")
    _write(tmp_path / "scored" / "run.json")
    prepare([even(0.5, "vocals")], tmp_path / "prepared", rate=8000)
    assert {track.name for track in tracks_of([str(tmp_path)])} == {"Song", "Other"}
    assert len(tracks_of([str(tmp_path)])) == 2
    with pytest.raises(SepbenchError, match="cannot be used as references"):
        tracks_of([str(tmp_path / "by" / "vocals")])


@pytest.mark.slow
def test_data_given_twice_is_read_once(corpus: Path) -> None:
    found = [(track.source, track.name) for track in tracks_of([str(corpus)])]
    twice = tracks_of([str(corpus), str(corpus / "mir1k" / "..")])
    assert [(track.source, track.name) for track in twice] == found
    with pytest.raises(SepbenchError, match=r"mir1k: is in .*, which is given too; give one"):
        tracks_of([str(corpus / "mir1k"), str(corpus)])


def test_a_path_that_is_not_a_folder_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "song.wav")
    with pytest.raises(SepbenchError, match=r"song\.wav: a file, not a folder, and no data set"):
        tracks_of([str(tmp_path / "song.wav")])
    with pytest.raises(SepbenchError, match="nothere: no such folder, and no data set"):
        tracks_of([str(tmp_path / "nothere")])
    monkeypatch.setenv("MUSDB_PATH", str(tmp_path / "gone"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SepbenchError, match=r"not found in .*gone.*set MUSDB_PATH") as told:
        tracks_of(["musdb18"])
    assert "--root" not in str(told.value)


def test_songs_of_no_split_are_shared_out_by_their_names() -> None:
    songs = [_song(f"song {number}") for number in range(30)]
    voices = [_song(f"voice {number}", "vocals") for number in range(30)]
    shared = assign_splits([*songs, *voices])
    assert [track.name for track in shared] == [track.name for track in [*songs, *voices]]
    kept = {split: _names(shared, split) for split in ("valid", "test")}
    assert len(kept["valid"]) == len(kept["test"]) == 3
    assert not kept["valid"] & kept["test"]
    assert all(name.startswith("song") for name in kept["valid"] | kept["test"])
    assert _names(assign_splits([*voices, *reversed(songs)]), "valid") == kept["valid"]


def test_splits_that_are_given_are_kept() -> None:
    told = [_song("a"), _song("b"), _song("c"), _song("d", split="valid")]
    assert assign_splits(told) == told
    tested = assign_splits([_song("a"), _song("b"), _song("c"), _song("d", split="test")])
    assert _names(tested, "test") == {"d"}
    assert len(_names(tested, "valid")) == 1
    assert _names(assign_splits([_song("a")]), "train") == {"a"}
    assert {track.split for track in assign_splits([_song("a"), _song("b")])} == {"train", "valid"}


def test_a_folder_of_something_else_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match="no training data"):
        find_tracks(tmp_path)


def test_the_right_channel_of_mir1k_is_the_voice(dataset: PreparedDataset) -> None:
    track = next(track for track in dataset.tracks if track.name == "Ani_1")
    voice = track.read("vocals", 0, 8000)
    spectrum = np.abs(np.fft.rfft(voice))
    assert spectrum.argmax() == 440


def _song(name: str, *parts: str, split: str = "train") -> Recording:
    return Recording("songs", name, parts or ("vocals", "drums"), lambda rate: {}, split)


def _names(tracks: list[Recording], split: str) -> set[str]:
    return {track.name for track in tracks if track.split == split}


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
