"""Training data as people keep it: split tables, several files a stem, songs in two places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import songs
import soundfile

from sepbench.errors import SepbenchError
from sepbench.training.data.discover import find_tracks
from sepbench.training.data.prepare import prepare
from sepbench.training.data.recording import Recording
from sepbench.training.data.splits import assign_splits

RATE = 8000


def write(path: Path, seed: int, seconds: float = 1.0) -> np.ndarray:
    samples = songs.white(1, round(seconds * RATE), seed=seed, peak=0.25)
    songs.write(path, samples, RATE)
    return samples[0]


def song(folder: Path, seed: int = 1) -> None:
    for index, stem in enumerate(("vocals", "drums", "bass", "other")):
        write(folder / f"{stem}.wav", 10 * seed + index)


def splits(root: Path) -> dict[str, str]:
    return {track.name: track.split for track in find_tracks(root)}


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffsong,split\nS0,train\nS1,val\nS2,test\n",
        "song;split\nS0;train\nS1;val\nS2;test\n",
        "Song,Split\nS0,Train\nS1,valid\n S2 , Test\n\n",
        "track\tsubset\nS0\ttrain\nS1\tvalidation\nS2\ttest\n",
    ],
)
def test_a_split_table_is_read_as_people_write_it(tmp_path: Path, text: str) -> None:
    for index in range(3):
        song(tmp_path / f"S{index}", index)
    (tmp_path / "split.csv").write_text(text, encoding="utf-8")
    assert splits(tmp_path) == {"S0": "train", "S1": "valid", "S2": "test"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("song\nS0\n", "line 1: give the columns song and split"),
        ("clip,split\nS0,train\n", "line 1: give the columns song and split"),
        ("split,song\ntrain,S0\nvalid\n", "line 3: no song; write its name"),
        ("song,split\nS0,train\nS1,dev\n", "line 3: no split 'dev'"),
        ("song,split\nS0,train\nS7,test\n", "line 3: no song 'S7'"),
        ("song,split\n\nS0,train\n,\nS7,test\n", "line 5: no song 'S7'"),
        ("song,split\nS0,train\nS1,test\nS0,test\n", "line 4: 'S0' is test here and train above"),
        (f"song,split\nS0,{'x' * 200_000}\n", "line 2: field larger than field limit"),
    ],
)
def test_a_split_table_that_is_not_understood_is_refused_by_line(
    tmp_path: Path, text: str, message: str
) -> None:
    for name in ("S0", "S1"):
        song(tmp_path / name)
    (tmp_path / "split.csv").write_text(text)
    with pytest.raises(SepbenchError, match=message):
        splits(tmp_path)


def test_files_of_a_stem_s_folder_sound_together_and_other_stems_are_added(tmp_path: Path) -> None:
    first = write(tmp_path / "db/song/vocals/a.wav", 1)
    second = write(tmp_path / "db/song/vocals/b.wav", 2)
    bass = write(tmp_path / "db/song/bass/c.wav", 3)
    guitar = write(tmp_path / "db/song/guitar/d.wav", 4)
    piano = write(tmp_path / "db/song/piano/e.wav", 5)
    (track,) = find_tracks(tmp_path)
    assert (track.name, track.parts) == ("song", ("vocals", "bass", "other"))
    made = track.decode(RATE)
    np.testing.assert_allclose(made["vocals"][0], first + second, atol=1e-6)
    np.testing.assert_allclose(made["bass"][0], bass, atol=1e-6)
    np.testing.assert_allclose(made["other"][0], guitar + piano, atol=1e-6)


def test_the_guitar_of_a_folder_of_six_stems_is_in_the_other(tmp_path: Path) -> None:
    song(tmp_path / "S0")
    guitar = write(tmp_path / "S0/guitar.wav", 77)
    (track,) = find_tracks(tmp_path)
    other, _ = soundfile.read(tmp_path / "S0/other.wav", dtype="float32")
    np.testing.assert_allclose(track.decode(RATE)["other"][0], other + guitar, atol=1e-6)


def test_a_stem_that_ends_early_is_silent_from_there_on(tmp_path: Path) -> None:
    song(tmp_path / "S0")
    short = write(tmp_path / "S0/vocals.wav", 5, seconds=0.7)
    dataset, skipped = prepare(find_tracks(tmp_path), tmp_path / "out", rate=RATE)
    (track,) = dataset.tracks
    assert not skipped
    assert track.samples == RATE
    voice = track.read("vocals", 0, RATE)
    np.testing.assert_allclose(voice[: len(short)], short, atol=1e-4)
    assert not voice[len(short) :].any()
    assert track.read("other", len(short), RATE).any()


def test_a_stem_that_lacks_half_of_the_song_is_refused(tmp_path: Path) -> None:
    song(tmp_path / "S0")
    write(tmp_path / "S0/vocals.wav", 5, seconds=0.4)
    dataset, skipped = prepare(find_tracks(tmp_path), tmp_path / "out", rate=RATE)
    assert not dataset.tracks
    assert "lengths differ: vocals 0.40 s" in skipped[0]


def test_audio_that_changed_is_decoded_again(tmp_path: Path) -> None:
    song(tmp_path / "data/S0")
    song(tmp_path / "data/S1", 2)
    before, _ = prepare(find_tracks(tmp_path / "data"), tmp_path / "out", rate=RATE)
    new = write(tmp_path / "data/S0/vocals.wav", 99)
    times = {track.name: track.file.stat().st_mtime_ns for track in before.tracks}
    after, _ = prepare(find_tracks(tmp_path / "data"), tmp_path / "out", rate=RATE)
    vocals = {track.name: track.read("vocals", 0, RATE) for track in after.tracks}
    np.testing.assert_allclose(vocals["S0"], new, atol=1e-4)
    renewed = [t.name for t in after.tracks if t.file.stat().st_mtime_ns != times[t.name]]
    assert renewed == ["S0"]


def test_no_song_is_on_two_sides(tmp_path: Path) -> None:
    def recording(source: str, name: str, split: str = "train") -> Recording:
        return Recording(source, name, ("vocals", "other"), lambda rate: {}, split)

    tracks = [
        recording("musdb18", "AM Contra - Heart Peripheral", "test"),
        recording("dsd100", "AM Contra - Heart Peripheral", "train"),
        recording("mine", "am_contra - heart peripheral"),
        *(recording(source, f"S{n}") for source in ("a", "b") for n in range(20)),
    ]
    shared = assign_splits(tracks)
    assert {track.split for track in shared[:3]} == {"test"}
    sides: dict[str, set[str]] = {}
    for track in shared:
        sides.setdefault(track.name.lower(), set()).add(track.split)
    assert all(len(found) == 1 for found in sides.values())
    assert "valid" in {track.split for track in shared}


def test_a_song_under_another_name_is_on_one_side_and_known_by_its_sound(tmp_path: Path) -> None:
    for number in range(4):
        song(tmp_path / "mine" / f"S{number}", number)
    rate, voice = RATE, soundfile.read(tmp_path / "mine/S1/vocals.wav", dtype="int16")[0]
    for number, name in enumerate(("drums", "bass", "other", "vocals")):
        write(tmp_path / "theirs" / "Renamed" / f"{name}.wav", 90 + number)
    (tmp_path / "theirs/Renamed/vocals.wav").unlink()
    soundfile.write(tmp_path / "theirs/Renamed/vocals.flac", voice, rate, subtype="PCM_24")
    (tmp_path / "theirs" / "split.csv").write_text("song,split\nRenamed,test\n")
    tracks = assign_splits([*find_tracks(tmp_path / "mine"), *find_tracks(tmp_path / "theirs")])
    sides = {track.name: track.split for track in tracks}
    assert sides["S1"] == sides["Renamed"] == "test"
    assert {sides["S0"], sides["S2"], sides["S3"]} <= {"train", "valid"}

    dataset, _ = prepare(tracks, tmp_path / "prepared", rate=RATE)
    marks = {track.name: track.sound for track in dataset.tracks}
    assert marks["S1"] == marks["Renamed"] != ""
    assert len(set(marks.values())) == 4


def test_a_number_before_its_name_makes_no_other_song() -> None:
    def recording(name: str, split: str = "train") -> Recording:
        return Recording("s", name, ("vocals", "other"), lambda rate: {}, split)

    names = ("051 - AM Contra - Heart Peripheral", "AM Contra - Heart Peripheral", "52 - Other")
    tracks = [recording(names[0]), recording(names[1], "test"), recording(names[2])]
    assert [track.split for track in assign_splits(tracks)][:2] == ["test", "test"]
    # A name that is a number is one.
    numbered = [recording("001"), recording("002", "test"), recording("003", "valid")]
    assert [track.split for track in assign_splits(numbered)] == ["train", "test", "valid"]
