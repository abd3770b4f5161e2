"""What `sepbench separate` refuses, and what it names in one line."""

from pathlib import Path

import pytest
from commands import run
from songs import tone_file

pytestmark = pytest.mark.usefixtures("empty_folder")


def test_a_pattern_under_which_two_files_would_meet_is_refused_before_any_work() -> None:
    tone_file(Path("song.wav"))
    result = run("separate", "-m", "mixture[gain=1,0.5]", "song.wav", "--name", "{track}_{stem}")
    assert result.exit_code == 2
    assert "would be written twice" in result.output
    assert not Path("separated").exists()


@pytest.mark.parametrize("name", ["../up.wav", "a b.wav", "ü🎵.wav", "..wav", "con.wav"])
def test_no_name_of_a_song_leads_out_of_the_folder(name: str) -> None:
    song = tone_file(Path("inside") / name)
    result = run("separate", "-m", "mixture", song, "--stem", "vocals", "-o", "out")
    assert result.exit_code == 0, result.output
    (stem,) = Path().rglob("vocals.wav")
    assert Path("out").resolve() in stem.resolve().parents


def test_a_pattern_cannot_lead_out_of_the_folder_either() -> None:
    tone_file(Path("song.wav"))
    words = ("separate", "-m", "mixture", "song.wav", "--stem", "vocals", "-o", "out")
    assert run(*words, "--name", "../../{method}{stem}").exit_code == 0
    (stem,) = Path().rglob("*vocals.wav")
    assert Path("out").resolve() in stem.resolve().parents


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-m", "mixtur", "song.wav"], "did you mean 'mixture'"),
        (["-m", "mixture[gian=2]", "song.wav"], "did you mean 'gain'"),
        (["-m", "mixture", "absent.wav"], "absent.wav: no such file"),
        (["-m", "mixture", "https://x.org/song.mp3"], "download it and give the file"),
        (["-m", "mixture", "song.wav", "--device", "gpu"], "--device auto"),
        (["-m", "mixture", "song.wav", "--stem", "guitar"], "has no stem 'guitar'"),
        (["-m", "mixture", "song.wav", "--device", "cuda:99"], "this machine has cpu"),
        (["-m", "mixture", "song.wav", "--name", "{title}"], "use {method}, {track} and {stem}"),
        (["-m", "mixture", "song.wav", "--start", "99"], "cannot start at 99 s"),
        (["-m", "mixture", "song.wav", "--format", "flac", "--bit-depth", "32f"], "no bit depth"),
        (["-m", "mixture", "song.wav", "--format", "mp3", "--bit-depth", "16"], "leave it out"),
        (["-m", "mixture", "song.wav", "-o", "song.wav"], "cannot be written"),
        (["-m", "oracle-irm", "song.wav"], "is an oracle"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_2(words: list[str], message: str) -> None:
    tone_file(Path("song.wav"))
    before = sorted(Path().rglob("*"))
    result = run("separate", *words)
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.count("\n") == 1
    assert sorted(Path().rglob("*")) == before


def test_what_the_system_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    long = run("separate", "-m", "mixture", "a" * 5000)
    assert long.exit_code == 2
    assert "file name too long; check that file or folder" in long.output

    def refused(self: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "is_dir", refused)
    closed = run("separate", "-m", "mixture", "closed/song.wav")
    assert closed.exit_code == 2
    assert closed.output.startswith("error: closed/song.wav: permission denied; check")
    assert isinstance(run("--debug", "separate", "-m", "mixture", "a").exception, PermissionError)


def test_a_song_is_never_written_over() -> None:
    song = tone_file(Path("vocals.wav"))
    before = song.read_bytes()
    words = ("separate", "-m", "mixture", song, "--stem", "vocals", "--name", "{stem}")
    result = run(*words, "-o", ".", "--overwrite")
    assert result.exit_code == 2
    assert "is one of the songs" in result.output
    assert song.read_bytes() == before


def test_songs_of_which_none_can_be_read_are_status_2() -> None:
    Path("songs").mkdir()
    for name in ("one.wav", "two.wav"):
        Path("songs", name).write_text("this is no audio")
    assert run("separate", "-m", "mixture", "songs").exit_code == 2


def test_a_missing_song_or_device_is_reported_before_a_method_is_named() -> None:
    tone_file(Path("song.wav"))
    for words, message in (
        (["nothing.wav"], "nothing.wav: no such file"),
        (["song.wav", "--device", "cuda:99"], "device 'cuda:99' is not available"),
    ):
        result = run("separate", *words)
        assert result.exit_code == 2
        assert result.output.startswith(f"error: {message}"), result.output
