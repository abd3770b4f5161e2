"""Songs of every kind, in batches, again and again: nothing is lost or mistaken for another."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from commands import run
from songs import tone_file

from sepbench import audio, registry
from sepbench.audio.tags import Tags
from sepbench.cli import questions
from sepbench.cli.main import main
from sepbench.inference import separate as module
from sepbench.inference.jobs import SeparateOptions, plan
from sepbench.inference.separate import SeparationSession

pytestmark = pytest.mark.usefixtures("empty_folder")

RATE = 8000
STEM = ("separate", "-m", "mixture", "--stem", "vocals")


def level(path: Path | str) -> float:
    return float(np.abs(audio.read(path).samples).max())


def stems(folder: str = "separated") -> list[Path]:
    return sorted(path for path in Path(folder).rglob("vocals.*"))


# What is separated, and what is passed by


@pytest.mark.slow
def test_a_folder_twice_is_separated_once() -> None:
    tone_file("song.wav")
    assert run(*STEM, ".").exit_code == 0
    again = run(*STEM, ".")
    assert again.exit_code == 0, again.output
    assert "skipped 1 stem that sepbench wrote" in again.output
    assert "kept vocals.wav" in again.output
    elsewhere = run(*STEM, ".", "-o", "more")
    assert elsewhere.exit_code == 0, elsewhere.output
    assert [path.parent.name for path in stems("more")] == ["song"]
    assert len(stems()) == 1


def test_songs_beside_stems_are_not_passed_by() -> None:
    tone_file("album/song.wav")
    words = (*STEM, "album", "-o", "album", "--name", "{track} {stem}")
    assert run(*words).exit_code == 0
    tone_file("album/other.wav")
    assert run(*words).exit_code == 0
    assert sorted(path.name for path in Path("album").glob("*.wav")) == [
        "other vocals.wav",
        "other.wav",
        "song vocals.wav",
        "song.wav",
    ]


def test_a_stem_given_by_name_is_separated_again() -> None:
    tone_file("song.wav")
    run(*STEM, "song.wav")
    assert run(*STEM, stems()[0], "-o", "again").exit_code == 0
    assert "only stems that sepbench wrote" in run(*STEM, "separated").output


def test_a_folder_says_what_it_passed_by_and_takes_what_can_be_read() -> None:
    tone_file("songs/one.wav")
    Path("songs/notes.doc").write_text("notes")
    Path("songs/.hidden.wav").write_text("hidden")
    tone_file("songs/two.mkv")  # The name is enough: what it holds is seen later.
    result = run(*STEM, "songs", "--json")
    assert result.exit_code == 0, result.output
    assert "skipped files without an audio suffix: songs/notes.doc" in result.stderr
    assert [Path(facts["song"]).name for facts in json.loads(result.stdout)] == [
        "one.wav",
        "two.mkv",
    ]


def test_a_folder_that_holds_itself_is_searched_once() -> None:
    tone_file("songs/one.wav")
    Path("songs/loop").symlink_to(Path("songs").absolute())
    assert run(*STEM, "songs").exit_code == 0
    assert len(stems()) == 1


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="no /dev/stdin on this system")
@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input_is_read_if_it_is_a_file_and_named_if_it_is_a_pipe(name: str) -> None:
    words = [sys.executable, "-m", "sepbench", *STEM, "--no-isolate", name]
    with tone_file("song.wav").open("rb") as song:
        assert subprocess.run(words, stdin=song, capture_output=True).returncode == 0
        song.seek(0)
        piped = subprocess.run(words, input=song.read(), capture_output=True, check=False)
    assert [path.parent.name for path in stems()] == ["song"]
    assert piped.returncode == 2
    message = "error: /dev/stdin: a pipe, not a file; save it to a file first\n"
    assert piped.stderr.decode() == message


# Whatever goes wrong costs one song


def test_any_error_costs_its_song_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    tone_file("songs/bad.wav")
    tone_file("songs/good.wav")
    reader = audio.Reader

    def open_(path: Path, **how: Any) -> audio.Reader:
        if path.name == "bad.wav":
            raise ZeroDivisionError("division by zero")
        return reader(path, **how)

    monkeypatch.setattr(module.audio, "Reader", open_)
    result = run(*STEM, "songs", "--json")
    assert result.exit_code == 1
    assert (
        "songs/bad.wav: cannot be separated: ZeroDivisionError: division by zero" in result.stderr
    )
    assert "Traceback" not in result.stderr
    assert [path.parent.name for path in stems()] == ["good"]
    alone = run(*STEM, "songs/bad.wav")
    assert alone.exit_code == 2
    assert alone.output.count("\n") == 1
    assert "Traceback" in run(*STEM, "songs", "--debug").output


def test_a_song_that_cannot_be_read_is_said_once_for_all_methods() -> None:
    Path("empty.wav").touch()
    result = run("separate", "-m", "mixture", "-m", "hpss", "empty.wav", "--json")
    assert result.exit_code == 2
    assert result.stderr.count("empty.wav: an empty file") == 1
    assert [facts["method"] for facts in json.loads(result.stdout)] == ["mixture", "hpss"]


def test_out_stays_where_it_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    tone_file("song.wav")
    Path("elsewhere").mkdir()
    options = SeparateOptions(out=Path("stems"), stems=("vocals",))
    monkeypatch.chdir("elsewhere")
    assert options.out == Path("..").resolve() / "stems"


# Runs that are ended


def started(*words: str) -> subprocess.Popen[bytes]:
    """A run that writes, once there is something of it on the disk."""
    code = (
        "import signal\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # nohup ignores it, and so would the run.
        "from sepbench.cli.main import main\n"
        "main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *STEM, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    latest = time.monotonic() + 180  # A busy machine takes long to start.
    while time.monotonic() < latest:
        if any(path.stat().st_size > 10_000 for path in Path().rglob("*.part")):
            return process
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    raise AssertionError("nothing was written")


def long_song() -> str:
    with soundfile.SoundFile("long.wav", "w", 44100, 2) as file:
        for _ in range(1200):
            file.write(np.full((44100, 2), 0.1, np.float32))
    return "long.wav"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_no_partial_file_for_long(number: signal.Signals) -> None:
    process = started(long_song())
    process.send_signal(number)
    status = process.wait()
    left = list(Path().rglob("*.part"))
    if number == signal.SIGKILL:
        assert left
        tone_file("long.wav")
        assert run(*STEM, "long.wav").exit_code == 0
        left = list(Path().rglob("*.part"))
    else:
        assert status == 128 + number
        assert stems() == []
    assert left == []


@pytest.mark.slow
def test_a_kill_between_manifest_and_stems_never_makes_one_song_pass_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    song = tone_file("song.wav", level=0.5)
    assert run(*STEM, song).exit_code == 0
    tone_file("song.wav", level=0.25)
    with monkeypatch.context() as patched:
        patched.setattr(audio.Writer, "__exit__", killed)
        with pytest.raises(Killed):
            main([*STEM, "song.wav"], standalone_mode=False)
    assert level(stems()[0]) == pytest.approx(0.5, abs=1e-4)
    assert run(*STEM, "song.wav").exit_code == 0
    assert level(stems()[0]) == pytest.approx(0.25, abs=1e-4)


class Killed(BaseException):
    pass


def killed(self: audio.Writer, *error: object) -> None:
    raise Killed


def test_a_stem_that_its_owner_changed_is_kept() -> None:
    run(*STEM, tone_file("song.wav"))
    (stem,) = stems()
    tone_file(stem, level=0.1)
    result = run(*STEM, "song.wav")
    assert "kept vocals.wav, of unknown origin" in result.output
    assert level(stem) == pytest.approx(0.1, abs=1e-4)


# What comes out


@pytest.mark.parametrize("format", ["mp3", "m4a", "aac", "opus"])
def test_stems_can_be_compressed_and_keep_the_tags(format: str) -> None:
    with audio.Writer(Path("song.mp3"), RATE, 2, tags=Tags({"title": "Tune"})) as writer:
        writer.write(0.5 * np.sin(np.arange(2 * RATE) / 5).astype(np.float32)[None].repeat(2, 0))
    result = run(*STEM, "song.mp3", "--format", format, "--bitrate", 64)
    assert result.exit_code == 0, result.output
    (stem,) = stems()
    assert stem.suffix == f".{'m4a' if format == 'aac' else format}"
    assert audio.info(stem).seconds == pytest.approx(2, abs=0.15)
    assert audio.read_tags(stem).texts["title"] == "Tune (vocals)"


def test_channels_keep_their_names_and_places_through_a_stereo_method() -> None:
    time_ = np.arange(RATE) / RATE
    song = 0.1 * np.stack([np.sin(2 * np.pi * 100 * (k + 1) * time_) for k in range(6)])
    with audio.Writer(Path("song.wav"), RATE, 6, layout="5.1(side)", bit_depth="32f") as writer:
        writer.write(song.astype(np.float32))
    words = ("separate", "-m", "repet-sim", "song.wav", "--bit-depth", "32f")
    assert run(*words).exit_code == 0
    made = {path.stem: path for path in Path("separated").rglob("*.wav")}
    assert {audio.info(path).layout for path in made.values()} == {"5.1(side)"}
    total = sum(audio.read(path).samples for path in made.values())
    np.testing.assert_allclose(total, song, atol=1e-6)


def test_without_a_song_it_asks_in_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    tone_file("my song.wav")
    outside = run("separate")
    assert outside.exit_code == 2
    assert "give a song: sepbench separate song.mp3" in outside.output

    class Terminal:
        def isatty(self) -> bool:
            return True

    from sepbench.cli import separate as verb

    monkeypatch.setattr(verb, "sys", type("sys", (), {"stdin": Terminal(), "stderr": Terminal()}))
    own = 1 + len(questions._PURPOSES)
    answers = f"no song.wav\n'my song.wav'\n{own}\nmixtur\nmixture\n0.5\nmp3\n"
    result = run("separate", "--stem", "vocals", input=answers)
    assert result.exit_code == 0, result.output
    (stem,) = stems()
    assert stem.suffix == ".mp3"
    assert audio.info(stem).seconds == pytest.approx(0.5, abs=0.1)
    # What was mistyped is asked for again at once.
    assert "no such file or folder: no song.wav" in result.output
    assert "did you mean 'mixture'?" in result.output


@pytest.mark.parametrize("typed", ["'my song.wav' ", r"my\ song.wav", "~/my song.wav", "*song.wav"])
def test_a_song_can_be_typed_pasted_and_dropped(
    typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tone_file("my song.wav")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert audio.find_songs([questions._song(typed)]).songs[0].name == "my song.wav"


def test_a_sound_stream_can_be_chosen() -> None:
    tone_file("song.wav")
    result = run(*STEM, "song.wav", "--stream", 1)
    assert result.exit_code == 2
    assert "no audio stream 1; it has 1, counted from 0" in result.output


# The command line


def test_general_options_go_after_any_command() -> None:
    tone_file("song.wav")
    assert run(*STEM, "song.wav", "-q").output == ""
    assert stems() != []
    broken = run(*STEM, "absent.wav", "-q")
    assert "absent.wav: no such file" in broken.output
    assert broken.exit_code == 2
    assert run(*STEM, "absent.wav", "--debug").exception is not None
    for verb in main.list_commands(None):  # type: ignore[arg-type]
        text = run(verb, "--help").output
        assert "--debug" in text, verb
        assert "--quiet" in text, verb


def test_a_misspelt_command_gets_a_suggestion() -> None:
    result = run("seperate", "song.wav")
    assert result.exit_code == 2
    assert "did you mean 'separate'?" in result.output
    assert "no command" in run("evalute").output
    assert "No such command" in run("zzz").output


@pytest.mark.slow
def test_the_way_to_a_start_and_the_measuring_of_a_level_are_reported() -> None:
    with audio.Writer(Path("song.mp3"), 44100, 1) as writer:
        writer.write(0.1 * np.ones((1, 60 * 44100), np.float32))
    options = SeparateOptions(Path("out"), start=58.0, isolate=False)
    (method,) = registry.resolve("unet")
    told: list[tuple[str, float, float]] = []
    with SeparationSession(options) as session:
        for job in plan([Path("song.mp3")], [method], options):
            session.separate(job, on_progress=lambda *now: told.append((now[2], *now[:2])))
    ways = [(done, total) for what, done, total in told if what == "going to the start"]
    assert len(ways) == 4  # Twice, for the level comes first.
    # Decoding begins 1024 frames, 27 s, before the start; each report is of a block of 24 s.
    assert [round(done) for done, _ in ways[:2]] == [31, 48]
    assert {total for _, total in ways} == {58.0}
    assert [done for what, done, _ in told if what == "measuring its level"] == pytest.approx(
        [2.0], abs=0.1
    )
    assert told[-1] == ("", pytest.approx(2.0, abs=0.1), pytest.approx(2.0, abs=0.1))
