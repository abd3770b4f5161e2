from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import run
from songs import tone_file

from sepbench.errors import SepbenchError
from sepbench.registry import Method

pytestmark = pytest.mark.usefixtures("empty_folder")

RATE = 8000


def test_every_stem_has_the_song_s_rate_length_channels_and_level() -> None:
    tone_file(Path("song.wav"))
    result = run("separate", "-m", "mixture", "song.wav")
    assert result.exit_code == 0, result.output
    original, _ = soundfile.read("song.wav")
    written = sorted(Path("separated/mixture/song").glob("*.wav"))
    assert len(written) == 7
    for path in written:
        stem, rate = soundfile.read(path)
        assert rate == RATE
        np.testing.assert_allclose(stem, original, atol=2**-23)


def test_what_exists_is_kept_until_it_is_to_be_overwritten() -> None:
    tone_file(Path("song.wav"))
    words = ("separate", "-m", "mixture", "song.wav", "--stem", "vocals")
    assert run(*words).exit_code == 0
    stem = Path("separated/mixture/song/vocals.wav")
    stem.write_bytes(b"mine")
    result = run(*words)
    assert result.exit_code == 0
    assert "kept" in result.output
    assert stem.read_bytes() == b"mine"
    assert run(*words, "--overwrite").exit_code == 0
    assert stem.read_bytes() != b"mine"


@pytest.mark.slow
def test_what_another_song_or_other_settings_made_is_made_again() -> None:
    tone_file(Path("song.wav"))
    words = ("separate", "-m", "mixture", "song.wav", "--stem", "vocals", "--stem", "bass")
    stems = [Path("separated/mixture/song", name) for name in ("vocals.wav", "bass.wav")]
    assert run(*words).exit_code == 0
    made = json.loads(stems[0].with_name("separated.json").read_text())
    assert list(made) == ["bass.wav", "vocals.wav"]
    assert made["bass.wav"]["song"] == "song.wav"

    def changed(*more: object) -> bool:
        before = [stem.stat().st_mtime_ns for stem in stems]
        result = run(*words, *more)
        assert result.exit_code == 0, result.output
        after = [stem.stat().st_mtime_ns for stem in stems]
        renewed = [one != other for one, other in zip(before, after, strict=True)]
        assert len(set(renewed)) == 1
        assert ("made from another song or with other settings" in result.output) == renewed[0]
        return renewed[0]

    assert not changed()
    assert changed("--bit-depth", 16)
    assert changed("--duration", 0.5)
    assert not changed("--duration", 0.5)
    tone_file(Path("song.wav"), level=0.3)
    assert changed("--duration", 0.5)


def test_files_of_which_nothing_is_known_are_never_lost() -> None:
    tone_file(Path("song.wav"))
    stem = Path("separated/mixture/song/vocals.wav")
    stem.parent.mkdir(parents=True)
    stem.write_bytes(b"mine")
    stem.with_name("separated.json").write_text("no JSON")
    result = run("separate", "-m", "mixture", "song.wav", "--stem", "vocals")
    assert result.exit_code == 0
    assert "kept vocals.wav, of unknown origin" in result.output
    assert stem.read_bytes() == b"mine"


def test_one_bad_song_costs_no_other() -> None:
    tone_file(Path("songs/good.wav"))
    Path("songs/bad.wav").write_text("this is no audio")
    result = run("separate", "-m", "mixture", "songs", "--stem", "drums")
    assert result.exit_code == 1
    assert "songs/bad.wav" in result.output
    assert Path("separated/mixture/good/drums.wav").exists()


def test_a_song_that_a_method_fails_on_is_named() -> None:
    tone_file(Path("good.wav"))
    tone_file(Path("loud.wav"), level=1e38)
    result = run("separate", "-m", "hpss", "good.wav", "loud.wav", "--stem", "harmonic")
    assert result.exit_code == 1
    assert "error: loud.wav: method hpss: returned NaN or infinity" in result.output
    # A method that brings songs to a level separates even this one.
    assert run("separate", "-m", "mask-cnn", "loud.wav", "--stem", "vocals").exit_code == 0


def test_a_method_that_cannot_be_used_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    song = tone_file(Path("song.wav"))
    bad = ["-m", "onnx[nowhere.yaml]", "-m", "unet[weights=nowhere.safetensors]"]
    result = run("separate", *bad, "-m", "mixture", song, "--stem", "vocals", "--json")
    assert result.exit_code == 1
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert [line.partition(": no such ")[0] for line in lines] == [
        "error: method onnx[nowhere.yaml]: nowhere.yaml",
        "error: method unet[weights=nowhere.safetensors]: nowhere.safetensors",
    ]
    assert Path("separated/mixture/song/vocals.wav").exists()
    errors = {facts["method"]: facts.get("error") for facts in json.loads(result.stdout)}
    assert errors["mixture"] is None
    assert "nowhere.yaml: no such file" in errors["onnx[nowhere.yaml]"]

    def offline(method: Method) -> list[Path]:
        if method.name == "hpss":
            raise SepbenchError("weights.pt: cannot be fetched")
        return []

    monkeypatch.setattr("sepbench.cli.weights.fetch_missing", offline)
    result = run("separate", "-m", "hpss", "-m", "mixture", song)
    assert result.exit_code == 1
    assert "error: method hpss: weights.pt: cannot be fetched" in result.output
    assert not Path("separated/hpss").exists()
    assert Path("separated/mixture/song/bass.wav").exists()
    nothing = run("separate", *bad, song, "-o", "elsewhere")
    assert nothing.exit_code == 2
    assert nothing.output.count("\n") == 2
    assert not Path("elsewhere").exists()
    # A mistake in a name is the end.
    assert run("separate", "-m", "mixture", "-m", "mixtrue", song).exit_code == 2


def test_a_folder_without_audio_costs_no_song() -> None:
    tone_file(Path("good.wav"))
    Path("empty").mkdir()
    words = ("separate", "-m", "mixture", "empty", "good.wav", "*.flac", "--stem", "drums")
    result = run(*words, "--json")
    assert result.exit_code == 1
    assert "error: empty: no audio file in this folder" in result.stderr
    assert "error: *.flac: no file matches" in result.stderr
    assert Path("separated/mixture/good/drums.wav").exists()
    facts = {Path(song["song"]).name: song.get("error", "") for song in json.loads(result.stdout)}
    assert list(facts) == ["empty", "*.flac", "good.wav"]
    assert "no audio" in facts["empty"]
    assert not facts["good.wav"]
    nothing = run("separate", "-m", "mixture", "empty", "*.flac")
    assert nothing.exit_code == 2
    assert nothing.output.count("\n") == 1


def test_songs_of_one_name_do_not_overwrite_each_other() -> None:
    tone_file(Path("a/song.wav"), level=0.5)
    tone_file(Path("b/song.wav"), level=0.25)
    assert run("separate", "-m", "mixture", "a", "b", "--stem", "vocals").exit_code == 0
    stems = sorted(Path("separated").rglob("vocals.wav"))
    levels = [np.abs(soundfile.read(path)[0]).max() for path in stems]
    assert sorted(levels) == pytest.approx([0.25, 0.5], abs=1e-4)
    names = [re.sub("[0-9a-f]{6}$", "HASH", path.parent.name) for path in stems]
    assert names == ["song", "song-HASH"]


def test_clipping_is_reported_and_floating_point_does_not_clip() -> None:
    tone_file(Path("song.wav"), level=1.8)
    words = ("separate", "-m", "mixture", "song.wav", "--stem", "vocals")
    (line,) = (line for line in run(*words).output.splitlines() if "samples clipped" in line)
    place = Path("separated", "mixture", "song", "vocals.wav")
    assert line.startswith(f"warning: {place}: ")
    assert "samples clipped, peak 1.80" in line
    result = run(*words, "--bit-depth", "32f", "--overwrite")
    assert "clipped" not in result.output
    (path,) = Path("separated").rglob("vocals.wav")
    assert np.abs(soundfile.read(path)[0]).max() == pytest.approx(1.8, abs=1e-3)


def test_a_part_of_a_song_is_that_part() -> None:
    tone_file(Path("song.wav"))
    result = run(
        "separate", "-m", "mixture", "song.wav", "--stem", "bass",
        "--start", 0.25, "--duration", 0.5, "--format", "flac",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (path,) = Path("separated").rglob("bass.flac")
    stem, _ = soundfile.read(path)
    original, _ = soundfile.read("song.wav")
    np.testing.assert_allclose(stem, original[2000:6000], atol=2**-23)


def test_json_names_every_file() -> None:
    tone_file(Path("song.wav"))
    result = run("separate", "-m", "mixture", "song.wav", "--stem", "vocals", "--json")
    (facts,) = json.loads(result.stdout)
    assert Path(facts["files"]["vocals"]).exists()
    assert facts["audio_seconds"] == 1.0


def test_stems_that_were_kept_are_distinguished_from_those_that_were_made() -> None:
    tone_file(Path("song.wav"))
    run("separate", "-m", "mixture", "song.wav", "--stem", "vocals")
    result = run("separate", "-m", "mixture", "song.wav", "--stem", "vocals", "--stem", "drums")
    assert "drums.wav (" in result.output
    assert "kept vocals.wav" in result.output


def test_an_ensemble_is_a_method_like_any_other() -> None:
    tone_file(Path("song.wav"))
    method = "ensemble[2*hpss+hpss[margin=2]]"
    result = run("separate", "-m", method, "song.wav", "--stem", "harmonic", "--json")
    assert result.exit_code == 0, result.output
    (facts,) = json.loads(result.stdout)
    assert facts["method"] == method
    path = Path(facts["files"]["harmonic"])
    expected = Path("separated/ensemble(2_hpss+hpss(margin=2))/song/harmonic.wav")
    assert path == expected.absolute()
    assert soundfile.info(path).frames == RATE
    result = run("separate", "-m", "ensemble[hpss+nothing]", "song.wav")
    assert result.exit_code == 2
    assert result.output.count("\n") == 1


@pytest.mark.slow
def test_a_preset_writes_its_one_stem_and_says_why() -> None:
    tone_file(Path("song.wav"))
    result = run("separate", "--preset", "drums", "song.wav", "--json")
    assert result.exit_code == 0, result.output
    (facts,) = json.loads(result.stdout)
    (stem,) = facts["files"]
    assert (facts["preset"], stem) == ("drums", "drums")
    assert facts["why"] in result.stderr
    assert f"drums: drums by {facts['method']}" in result.stderr
    assert [path.name for path in Path("separated").rglob("*.wav")] == ["drums.wav"]


@pytest.mark.parametrize("more", [["-m", "hpss"], ["--stem", "drums"]])
def test_a_preset_leaves_nothing_to_choose(more: list[str]) -> None:
    result = run("separate", "--preset", "karaoke", *more, "song.wav")
    assert result.exit_code == 2
    assert "leave --method and --stem out" in result.output


@pytest.mark.slow
def test_a_picture_is_drawn_beside_the_stems() -> None:
    tone_file(Path("song.wav"), rate=22050)
    result = run("separate", "-m", "hpss", "song.wav", "--stem", "harmonic", "--spectrogram")
    assert result.exit_code == 0, result.output
    assert f"drawn: {Path('separated/hpss/song/spectrogram.png')}\n" in result.output
    assert Path("separated/hpss/song/spectrogram.png").read_bytes().startswith(b"\x89PNG")


def test_what_happens_to_a_hard_disk_that_is_full_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tone_file(Path("song.wav"))

    def full(self: soundfile.SoundFile, data: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(soundfile.SoundFile, "write", full)
    result = run("separate", "-m", "mixture", "song.wav", "--stem", "vocals")
    assert result.exit_code == 2
    assert "no space left on device" in result.output
    assert not Path("separated").exists()
