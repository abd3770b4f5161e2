"""The names of songs' folders: each song has its own, in any order and in any number of runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from commands import run
from hypothesis import given, settings
from hypothesis import strategies as st
from songs import tone_file

from sepbench import audio, registry
from sepbench.errors import SepbenchError
from sepbench.inference import manifest
from sepbench.inference.jobs import SeparateOptions, plan
from sepbench.inference.separate import SeparationSession

pytestmark = pytest.mark.usefixtures("empty_folder")

STEM = ("separate", "-m", "mixture", "--stem", "vocals")


def level(path: Path | str) -> float:
    return float(abs(audio.read(path).samples).max())


def stems(folder: str = "separated") -> list[Path]:
    return sorted(Path(folder).rglob("vocals.*"))


def test_equal_names_from_two_folders_never_replace_one_another() -> None:
    first, second = tone_file("A/song.wav", level=0.5), tone_file("B/song.wav", level=0.25)
    for _ in range(2):
        for song in (first, second):
            assert run(*STEM, song).exit_code == 0
    assert sorted(map(level, stems())) == pytest.approx([0.25, 0.5], abs=1e-4)
    # Together they get the names that they have.
    together = run(*STEM, second, first)
    assert "real time" not in together.output
    assert len(stems()) == 2


def test_a_copy_before_the_song_that_has_stems_costs_no_song() -> None:
    song = tone_file("A/song.wav", level=0.5)
    Path("B").mkdir()
    shutil.copy(song, "B/song.wav")
    other = tone_file("other.wav", level=0.25)
    assert run(*STEM, song).exit_code == 0
    together = run(*STEM, other, "B/song.wav", song)
    assert together.exit_code == 0, together.output
    assert {path.parent.name.split("-")[0] for path in stems()} == {"song", "other"}


def test_a_song_keeps_the_name_of_its_stems_whatever_comes_later() -> None:
    song, other = tone_file("B/song.wav", level=0.5), tone_file("A/song.wav", level=0.25)
    assert run(*STEM, song).exit_code == 0
    (alone,) = stems()
    assert alone.parent.name == "song"
    assert run(*STEM, song, other).exit_code == 0
    assert level(alone) == pytest.approx(0.5, abs=1e-4)
    assert len(stems()) == 2


@pytest.mark.slow
def test_songs_together_are_called_as_they_are_one_after_another() -> None:
    songs = [
        tone_file(f"{folder}/song.wav", level=gain) for folder, gain in (("B", 0.25), ("A", 0.5))
    ]
    songs += [tone_file("A/Song.flac", level=0.1), tone_file("other.wav", level=0.2)]
    assert run(*STEM, *songs, "-o", "together").exit_code == 0
    for song in songs:
        assert run(*STEM, song, "-o", "single").exit_code == 0
    together, single = (
        {path.parent.name: level(path) for path in stems(out)} for out in ("together", "single")
    )
    assert together == single
    assert together["song"] == pytest.approx(0.25, abs=1e-4)
    assert sum(bool(re.fullmatch("[Ss]ong-[0-9a-f]{6}", name)) for name in together) == 2
    # Alone and in any order, each finds the stems that it has.
    assert "real time" not in run(*STEM, *songs[::-1], "-o", "together").output
    for song in songs:
        assert "kept vocals.wav" in run(*STEM, song, "-o", "together").output


def test_names_that_some_file_systems_take_for_one_stay_apart() -> None:
    names = "Song.wav", "song.flac", "d\u00e9j\u00e0.wav", "de\u0301ja\u0300.flac"
    songs = [tone_file(name, level=number / 10) for number, name in enumerate(names, 1)]
    assert run(*STEM, *songs).exit_code == 0
    assert len({path.parent.name.casefold() for path in stems()}) == 4
    assert sorted(map(level, stems())) == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=1e-4)


@pytest.mark.slow
def test_two_songs_never_share_a_folder_whatever_stems_and_formats_are_asked_for() -> None:
    tone_file("A/song.wav"), tone_file("B/song.wav", level=0.25)
    run(*STEM, "A/song.wav")
    run("separate", "-m", "mixture", "--stem", "drums", "B/song.wav", "--format", "flac")
    folders = {
        path.parent for kind in ("wav", "flac") for path in Path("separated").rglob(f"*.{kind}")
    }
    assert len(folders) == 2
    run("separate", "-m", "mixture", "--stem", "bass", "A/song.wav")
    assert Path("separated/mixture/song/bass.wav").exists()
    run("separate", "-m", "mixture", "--stem", "bass", "B/song.wav")
    assert len(list(Path("separated/mixture").iterdir())) == 2


def test_songs_of_a_folder_are_called_by_their_way_within_it_whatever_else_it_holds() -> None:
    for number, name in enumerate(("one/01.wav", "two/01.wav", "02.wav"), 1):
        tone_file(f"album/{name}", level=number / 10)
    assert run(*STEM, "album").exit_code == 0
    there = {str(path.parent.relative_to("separated/mixture")): level(path) for path in stems()}
    assert there == pytest.approx({"one/01": 0.1, "two/01": 0.2, "02": 0.3}, abs=1e-4)
    Path("album/one/01.wav").unlink()
    assert run(*STEM, "album", "-o", "fewer").exit_code == 0
    fewer = {str(path.parent.relative_to("fewer/mixture")) for path in stems("fewer")}
    assert fewer == {"two/01", "02"}


def test_folders_within_a_folder_have_safe_names_too() -> None:
    tone_file("album/disc [1]/a*.wav")
    tone_file("album/con/b.wav")
    assert run(*STEM, "album", "-o", "out").exit_code == 0
    found = [str(path.parent.relative_to("out/mixture")) for path in stems("out")]
    assert found == ["_con/b", "disc (1)/a_"]


def test_a_name_with_the_hash_is_that_of_the_song_alone() -> None:
    songs = tone_file("A/song.wav", level=0.5), tone_file("B/song.wav", level=0.25)
    name = ("--name", "{track}-{hash}/{stem}")
    for out, batch in (("both", songs), ("alone", songs[1:])):
        assert run(*STEM, *batch, *name, "-o", out).exit_code == 0
    (alone,) = {path.parent.name for path in stems("alone")}
    assert alone in {path.parent.name for path in stems("both")}
    assert len(stems("both")) == 2


def test_a_song_that_was_changed_is_made_again() -> None:
    song = tone_file("song.wav", level=0.5)
    run(*STEM, song)
    tone_file("song.wav", level=0.25)
    assert run(*STEM, song).exit_code == 0
    assert [level(path) for path in stems()] == pytest.approx([0.25], abs=1e-4)


def test_a_song_that_was_moved_keeps_its_stems() -> None:
    run(*STEM, tone_file("song.wav"))
    Path("moved").mkdir()
    Path("song.wav").rename("moved/song.wav")
    assert "kept vocals.wav" in run(*STEM, "moved/song.wav").output
    assert len(stems()) == 1


@pytest.mark.parametrize("together", [True, False])
def test_names_alike_after_shortening_stay_apart(together: bool) -> None:
    songs = [tone_file(f"{'交響' * 27}{number}.wav", level=number / 10) for number in (1, 2, 3)]
    for batch in [songs] if together else [[song] for song in songs]:
        assert run(*STEM, *batch).exit_code == 0
    assert sorted(map(level, stems())) == pytest.approx([0.1, 0.2, 0.3], abs=1e-4)


@pytest.mark.slow
def test_names_alike_after_replacing_stay_apart() -> None:
    for number, name in enumerate(("a[1].wav", "a(1).wav", "a?.wav", "a*.wav"), 1):
        assert run(*STEM, tone_file(name, level=number / 10)).exit_code == 0
    assert sorted(map(level, stems())) == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=1e-4)
    assert not any(set("[]*?{}") & set(str(path)) for path in stems())


def test_a_name_that_is_not_utf_8_costs_nothing() -> None:
    strange = tone_file(Path(os.fsdecode(b"songs/caf\xe9.wav")), level=0.25)
    tone_file("songs/plain.wav")
    result = run(*STEM, "songs", "--json")
    assert result.exit_code == 0, result.output
    songs = [facts["song"] for facts in json.loads(result.stdout)]
    assert str(strange) in songs
    assert sorted(map(level, stems())) == pytest.approx([0.25, 0.5], abs=1e-4)
    assert "kept vocals.wav" in run(*STEM, strange).output


# Any songs, in any order, together or one after another

ALIKE = (
    *("A/song.wav", "B/song.wav", "C/song.wav", "A/Song.flac", "A/song.mp3"),
    *("A/d\u00e9j\u00e0.wav", "A/de\u0301ja\u0300.flac"),
    *("A/a[1].wav", "A/a(1).wav", "A/a*.wav", "A/a?.wav", "A/a_.wav"),
    *(f"A/{'交響' * 27}{number}.wav" for number in (1, 2)),
)
"""Songs of which many would be called the same, or are the same to some file systems."""


def write_names(songs: Sequence[str], out: Path, name: str) -> None:
    """Do what ``separate`` does with names and manifests, and write each song's path for sound."""
    options = SeparateOptions(out, stems=("vocals", "bass"), pattern=name)
    methods = registry.resolve_all(("mixture",))
    for job in plan([Path(song).absolute() for song in songs], methods, options):
        for path in job.files.values():
            assert not manifest.of_others([path], job.song)
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(".partial")
            partial.write_text(str(job.song))
            manifest.remember({path: partial}, {path: {"song": job.song.name}}, job.song)
            partial.replace(path)


def tree(out: Path) -> dict[str, str]:
    return {str(path.relative_to(out)): path.read_text() for path in out.rglob("*.wav")}


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    commands=st.lists(st.lists(st.sampled_from(ALIKE), max_size=5, unique=True), max_size=4),
    name=st.sampled_from(["{method}/{track}/{stem}", "{track} {stem}", "{stem}/{track}"]),
)
def test_one_command_or_many_give_the_same_names_and_replace_nothing(
    commands: list[list[str]], name: str
) -> None:
    for song in ALIKE:
        Path(song).parent.mkdir(exist_ok=True)
        Path(song).write_text(song)
    order = [song for songs in commands for song in songs]
    with tempfile.TemporaryDirectory(dir=".") as folder:
        top = Path(folder).absolute()
        write_names(list(dict.fromkeys(order)), top / "one", name)
        for songs in commands:
            write_names(songs, top / "some", name)
        for song in order:
            write_names([song], top / "single", name)
        one = tree(top / "one")
        assert one == tree(top / "some") == tree(top / "single")
        assert len(one) == 2 * len(set(order))
        assert len({path.casefold() for path in one}) == len(one)
        # Whatever comes later, in any order: no song changes its name or loses its stems.
        write_names(sorted(ALIKE), top / "one", name)
        assert one.items() <= tree(top / "one").items()


def test_a_stem_of_another_song_is_not_replaced_by_a_pattern_without_its_name() -> None:
    words = (*STEM, "--name", "{stem}", "-o", "out")
    assert run(*words, tone_file("one.wav", level=0.5)).exit_code == 0
    other = tone_file("two.wav", level=0.25)
    refused = run(*words, other)
    assert refused.exit_code == 2
    assert "out/vocals.wav is a stem of another song; put {track} into --name" in refused.output
    assert level("out/vocals.wav") == pytest.approx(0.5, abs=1e-4)
    assert run(*words, other, "--overwrite").exit_code == 0
    assert level("out/vocals.wav") == pytest.approx(0.25, abs=1e-4)


def test_two_runs_at_once_do_not_replace_each_other_s_stems() -> None:
    first, second = tone_file("A/song.wav", level=0.5), tone_file("B/song.wav", level=0.25)
    options = SeparateOptions(Path("separated"), stems=("vocals",), isolate=False)
    methods = registry.resolve_all(("mixture",))
    (planned,) = plan([first], methods, options)
    with SeparationSession(options) as session:

        def in_between(done: float, total: float, what: str) -> None:
            (other,) = plan([second], methods, options)
            with SeparationSession(options) as another:
                another.separate(other)

        with pytest.raises(SepbenchError, match="another run wrote it just now; run this again"):
            session.separate(planned, on_progress=in_between)
    assert [level(path) for path in stems()] == pytest.approx([0.25], abs=1e-4)
    assert run(*STEM, first).exit_code == 0
    assert sorted(map(level, stems())) == pytest.approx([0.25, 0.5], abs=1e-4)


def test_a_home_folder_is_meant_and_a_path_has_one_hash_however_it_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / "songs").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home / "songs")
    tone_file("one.wav")
    words = ("separate", "-m", "mixture", "--stem", "vocals", "--name", "{track}-{hash}/{stem}")
    assert run(*words, "one.wav", "-o", "~/stems").exit_code == 0
    assert run(*words, "../songs/one.wav", "-o", "~/stems").exit_code == 0
    assert len(list((home / "stems").glob("one-*"))) == 1
    assert not Path("~").exists()
