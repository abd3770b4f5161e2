"""Which songs are used for training, which part of each, and files whose names tell no stem."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from sepbench.cli.main import main
from sepbench.errors import SepbenchError
from sepbench.training.data.choice import Choice, left_out
from sepbench.training.data.discover import find_tracks
from sepbench.training.data.prepare import prepare
from sepbench.training.data.prepared import open_prepared
from sepbench.training.data.recording import Recording
from sepbench.training.data.sources import prepared_dataset, tracks_of

RATE = 8000


def level(path: Path, value: float, seconds: float = 0.5) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(int(seconds * RATE), value, np.float32), RATE)


def song(name: str, split: str = "train") -> Recording:
    return Recording("set", name, ("vocals",), lambda rate: {"vocals": []}, split)


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        (Choice(), ["Music Delta - Rock", "Once", "Twice", "Thrice"]),
        (Choice(exclude=("music delta*",)), ["Once", "Twice", "Thrice"]),
        (Choice(tracks=("T*",)), ["Twice", "Thrice"]),
        (Choice(tracks=("set/t*",), exclude=("Thrice",)), ["Twice"]),
        (Choice(limit=1), ["Music Delta - Rock", "Thrice"]),
        (Choice(limit=2, exclude=("Music*",)), ["Once", "Twice", "Thrice"]),
    ],
)
def test_songs_are_chosen_by_name_and_number(choice: Choice, names: list[str]) -> None:
    songs = [song("Music Delta - Rock"), song("Once"), song("Twice"), song("Thrice", "test")]
    assert [found.name for found in choice.of(songs)] == names


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice(tracks=("Onse",)), "--track 'Onse': matches no song; there are 'Once'"),
        (Choice(exclude=("MusicDelta*",)), "--exclude 'MusicDelta.': matches no song"),
        (Choice(exclude=("*",)), "--exclude leaves no song"),
    ],
)
def test_a_choice_that_cannot_be_meant_is_refused(choice: Choice, message: str) -> None:
    with pytest.raises(SepbenchError, match=message.replace("*", ".")):
        choice.of([song("Once")])


def test_a_part_of_each_song_is_prepared_and_another_part_again(tmp_path: Path) -> None:
    rising = np.linspace(0.1, 0.9, 2 * RATE)
    for stem in ("vocals", "drums"):
        (tmp_path / "Song").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "Song" / f"{stem}.wav", rising, RATE, subtype="FLOAT")
    out = tmp_path / "prepared"
    for start in (0.5, 1.0):
        tracks = Choice(start=start, duration=0.25).cut(find_tracks(tmp_path))
        dataset, _ = prepare(tracks, out, rate=RATE)
        (track,) = dataset.tracks
        assert track.samples == RATE // 4
        first = int(start * RATE)
        found = track.read("drums", 0, track.samples)
        np.testing.assert_allclose(found, rising[first : first + RATE // 4], atol=1e-4)
    _, skipped = prepare(Choice(start=9).cut(find_tracks(tmp_path)), tmp_path / "more", rate=RATE)
    assert "is 2.0 s long, --start 9 s is after its end" in skipped[0]


def test_clips_are_cut_as_one_song() -> None:
    clips = {"vocals": [np.zeros(4, np.float32), np.ones(4, np.float32)]}
    whole = Recording("set", "one", ("vocals",), lambda rate: clips)
    cut = whole.cut(3, 2).decode(1)["vocals"]
    assert [clip.tolist() for clip in cut] == [[0.0], [1.0]]
    assert [len(clip) for clip in whole.cut(5, None).decode(1)["vocals"]] == [3]


@pytest.mark.parametrize(
    ("rest", "levels"),
    [
        (None, {"vocals": 0.1, "bass": 0.2, "other": 0.04}),
        ("other", {"vocals": 0.1, "bass": 0.2, "other": 0.04 + 0.01 + 0.02}),
        # MiXiN: all that is neither voice nor drums is harmonic, also the bass.
        ("harmonic", {"vocals": 0.1, "drums": 0.02, "other": 0.04 + 0.01 + 0.2}),
    ],
)
def test_files_that_name_no_stem_are_reported_or_added(
    rest: str | None, levels: dict[str, float], tmp_path: Path
) -> None:
    files = {"Lead Vocal": 0.1, "Bass": 0.2, "Rhythm Guitar": 0.04, "Pad": 0.01, "Drumkit A": 0.02}
    for name, value in {**files, "Mix": 0.5}.items():
        level(tmp_path / "Song" / f"{name}.wav", value)
    (track,) = find_tracks(tmp_path, rest=rest)
    dataset, skipped = prepare([track], tmp_path / "prepared", rate=RATE)
    assert not skipped
    found = {part: float(dataset.tracks[0].read(part, 0, 9).mean()) for part in track.parts}
    assert found == pytest.approx(levels, abs=1e-4)
    lines = left_out([track])
    assert bool(lines) == (rest is None)
    if lines:
        assert "set" not in lines[0]
        assert "Song: Drumkit A.wav, Pad.wav: not names of stems; --rest other" in lines[0]


@pytest.mark.parametrize("rest", [None, "other"])
def test_folders_that_name_no_stem_are_reported_or_added(rest: str | None, tmp_path: Path) -> None:
    for folder, value in {"vocals": 0.1, "drums": 0.2, "guitar": 0.04, "synth": 0.01}.items():
        level(tmp_path / "set" / folder / "One.wav", value)
    level(tmp_path / "set" / "voices" / "alone.wav", 0.3)
    one, alone = sorted(find_tracks(tmp_path, rest=rest), key=lambda track: track.name)
    assert (one.name, alone.parts) == ("One", ("vocals",))
    dataset, _ = prepare([one], tmp_path / "prepared", rate=RATE)
    expected = 0.04 if rest is None else 0.05
    assert dataset.tracks[0].read("other", 0, 9).mean() == pytest.approx(expected, abs=1e-4)
    assert one.left_out == (("synth/",) if rest is None else ())


@pytest.mark.slow
def test_prepared_songs_are_chosen_too_and_their_digest_tells(tmp_path: Path) -> None:
    for name in ("One", "Two", "Three"):
        for stem in ("vocals", "drums"):
            level(tmp_path / "data" / name / f"{stem}.wav", 0.1)
    out = tmp_path / "prepared"
    prepare(tracks_of([str(tmp_path / "data")]), out, rate=RATE)
    whole = open_prepared(out)
    chosen, _ = prepared_dataset([str(out)], out, RATE, choice=Choice(exclude=("two",)))
    assert {track.name for track in chosen.tracks} == {"One", "Three"}
    assert chosen.digest != whole.digest
    again, _ = prepared_dataset([str(out)], out, RATE, choice=Choice(limit=9))
    assert again.digest == whole.digest
    with pytest.raises(SepbenchError, match="prepared already; give --start to 'sepbench prepare'"):
        prepared_dataset([str(out)], out, RATE, choice=Choice(start=1.0))


def test_folders_prepared_with_the_old_word_keep_their_digest(tmp_path: Path) -> None:
    track = Recording("s", "a", ("vocals",), lambda rate: {"vocals": [np.ones(9, np.float32)]})
    valid = Recording(track.source, "b", track.parts, track.decode, "valid")
    dataset, _ = prepare([track, valid], tmp_path, rate=RATE)
    index = tmp_path / "index.json"
    index.write_text(index.read_text().replace('"valid"', '"val"'))
    old = open_prepared(tmp_path)
    assert [track.split for track in old.tracks] == ["train", "valid"]
    assert old.digest == dataset.digest


@pytest.mark.slow
def test_the_commands_take_the_choice(tmp_path: Path) -> None:
    for name in ("One", "Two"):
        for stem in ("vocals", "drums", "Pad"):
            level(tmp_path / "data" / name / f"{stem}.wav", 0.1, 1.0)
    data, out = str(tmp_path / "data"), str(tmp_path / "out")
    done = CliRunner().invoke(
        main,
        ["prepare", data, "-o", out, "--exclude", "two", "--duration", "0.5", "--rate", "8000"],
    )
    assert done.exit_code == 0, done.output
    assert "skipped in data/One: Pad.wav: not names of stems" in " ".join(done.output.split())
    (track,) = open_prepared(Path(out)).tracks
    assert (track.name, track.samples) == ("One", RATE // 2)
    for option in (["--track", "Three"], ["--limit", "0"], ["--rest", "drums"], ["--start", "-1"]):
        refused = CliRunner().invoke(main, ["prepare", data, "-o", out, *option])
        assert refused.exit_code == 2
        assert option[0] in refused.output


def test_what_a_table_excludes_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "mir").mkdir()
    (tmp_path / "mir" / "split.csv").write_text("clip,song,split\na_1,a,train\nb_1,b,excluded\n")
    for name in ("One", "Two"):
        level(tmp_path / "songs" / name / "vocals.wav", 0.1)
        level(tmp_path / "stems" / "vocals" / f"{name}.wav", 0.1)
        level(tmp_path / "stems" / "drums" / f"{name}.wav", 0.1)
    for folder in ("songs", "stems"):
        (tmp_path / folder / "split.csv").write_text("song,split\nTwo,Excluded\n")
    found = [(track.source, track.name) for track in find_tracks(tmp_path)]
    assert found == [("mir", "a"), ("songs", "One"), ("stems", "One")]


def test_no_table_leads_out_of_the_folders(tmp_path: Path) -> None:
    folder, out = tmp_path / "data" / "mir", tmp_path / "deep" / "prepared"
    folder.mkdir(parents=True)
    stereo = np.full((RATE, 2), 0.1, np.float32)
    soundfile.write(folder / "clip.wav", stereo, RATE)
    table = folder / "split.csv"
    table.write_text(f"clip,song,split\nclip,../../../out,train\nclip,{'L' * 300},train\n")
    prepared, skipped = prepare(find_tracks(tmp_path / "data"), out, rate=RATE)
    assert not skipped
    assert sorted(tmp_path.rglob("*.npy")) == sorted(track.file for track in prepared.tracks)
    assert all(track.file.is_relative_to(out) for track in prepared.tracks)
    table.write_text("clip,song,split\n../../clip,one,train\n")
    with pytest.raises(SepbenchError, match=r"line 2: clip '\.\./\.\./clip' is a path"):
        list(find_tracks(tmp_path / "data"))


def test_a_song_whose_array_was_cut_is_prepared_again(tmp_path: Path) -> None:
    level(tmp_path / "songs" / "One" / "vocals.wav", 0.1)
    level(tmp_path / "songs" / "One" / "drums.wav", 0.1)
    out = tmp_path / "out"
    (track,) = prepare(find_tracks(tmp_path / "songs"), out, rate=RATE)[0].tracks
    whole = track.file.read_bytes()
    track.file.write_bytes(whole[:1000])
    with pytest.raises(
        SepbenchError, match="missing, cut short or another array; run 'sepbench prepare' again"
    ):
        open_prepared(out)
    prepare(find_tracks(tmp_path / "songs"), out, rate=RATE)
    assert track.file.read_bytes() == whole
