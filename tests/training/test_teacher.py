from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

from sepbench.cli.main import main
from sepbench.errors import SepbenchError
from sepbench.registry.methods import variant
from sepbench.separator import Separator
from sepbench.training.data.choice import Choice
from sepbench.training.data.prepare import prepare
from sepbench.training.data.prepared import open_prepared
from sepbench.training.data.recording import Recording
from sepbench.training.data.sources import tracks_of
from sepbench.training.data.teacher import Labeller, TeacherConfig, agreeing, label_songs

RATE = 8000
CONFIG = TeacherConfig(method="lower", second="unsure", seconds=1.0, shortest=2.0)


class Lower(Separator):
    """Everything below 1 kHz is the voice."""

    name = "lower"
    summary = "For tests."
    stems = ("vocals", "accompaniment")
    remainder = "accompaniment"
    license = "MIT"
    citation = "none"

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        spectrum = torch.fft.rfft(mixture)
        spectrum[:, int(1000 * mixture.shape[-1] / RATE) :] = 0
        return {"vocals": torch.fft.irfft(spectrum, mixture.shape[-1])}


class Unsure(Lower):
    """The same, and wrong by half from three seconds on."""

    name = "unsure"

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        voice = super().separate(mixture)["vocals"]
        voice[:, 3 * RATE :] *= 0.5
        return {"vocals": voice}


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """Six seconds of a voice of 400 Hz over 2 kHz, both full scale in the last two seconds."""
    time = np.arange(6 * RATE) / RATE
    level = np.where(time < 4, 0.3, 0.98)
    voice, rest = (level * np.sin(2 * np.pi * hertz * time) for hertz in (400, 2000))
    path = tmp_path / "unlabelled" / "song.wav"
    path.parent.mkdir()
    soundfile.write(path, np.stack([voice, rest], axis=1), RATE, subtype="FLOAT")
    return path


def labeller(config: TeacherConfig = CONFIG, second: type[Separator] | None = Unsure) -> Labeller:
    other = variant(second, {}) if second else None
    return Labeller(config, variant(Lower, {}), other, device="cpu")


@pytest.mark.slow
def test_a_label_is_what_the_teacher_hears_where_both_agree(song: Path) -> None:
    stems = labeller().label(song, RATE)
    assert [len(clip) for clip in stems["vocals"]] == [3 * RATE]
    time = np.arange(3 * RATE) / RATE
    voice, rest = (0.15 * np.sin(2 * np.pi * hertz * time) for hertz in (400, 2000))
    # The mean of the two estimates would be wrong only where they are not the same.
    np.testing.assert_allclose(stems["vocals"][0][RATE:-RATE], voice[RATE:-RATE], atol=2e-3)
    np.testing.assert_allclose(stems["accompaniment"][0][RATE:-RATE], rest[RATE:-RATE], atol=2e-3)


def test_without_a_second_separator_everything_is_kept(song: Path) -> None:
    stems = labeller(second=None).label(song, RATE)
    assert [len(clip) for clip in stems["vocals"]] == [6 * RATE]


def test_label_and_rest_add_up_to_the_mixture_at_a_level_that_fits_16_bits(song: Path) -> None:
    samples, _ = soundfile.read(song)
    loud = song.with_name("loud.wav")
    soundfile.write(loud, 3 * samples, RATE, subtype="FLOAT")
    stems = labeller(second=None).label(loud, RATE)
    assert max(np.abs(stem[0]).max() for stem in stems.values()) <= 1.0
    mixture = stems["vocals"][0] + stems["accompaniment"][0]
    expected = samples.mean(1)
    gain = mixture @ expected / (expected @ expected)
    np.testing.assert_allclose(mixture, gain * expected, atol=1e-5)


def test_a_song_in_which_the_two_hardly_agree_is_left_out_with_the_reason(
    song: Path, tmp_path: Path
) -> None:
    strict = labeller(replace(CONFIG, shortest=4.0))
    track = Recording(
        "unlabelled", "song", ("vocals", "accompaniment"), lambda rate: strict.label(song, rate)
    )
    prepared, skipped = prepare([track], tmp_path / "prepared", rate=RATE)
    assert prepared.tracks == ()
    assert "the separators agree in 3 s, too few" in skipped[0]


def test_agreement_is_judged_by_the_voice_and_its_absence_by_the_mixture() -> None:
    rng = np.random.default_rng(0)
    voice, rest = rng.standard_normal((2, 4000)).astype(np.float32)
    mixture = voice + rest

    def agree(first: np.ndarray, second: np.ndarray, agreement: float = 6.0) -> bool:
        return bool(agreeing(mixture, first, second, window=4000, agreement=agreement)[0])

    assert agree(voice, voice + 0.49 * rest)  # 6.2 dB below
    assert not agree(voice, voice + 0.52 * rest)  # 5.7 dB below, less what the mean gains
    assert agree(voice, voice + 0.52 * rest, agreement=5.0)
    assert agree(0.05 * rest, -0.02 * voice)  # neither hears a voice
    assert not agree(0 * rest, 0.3 * rest)
    silence = np.zeros_like(mixture)
    assert not agreeing(silence, silence, silence, window=4000, agreement=6.0).any()


def test_a_part_of_a_labelled_song_is_that_of_the_song_not_of_its_kept_windows(
    song: Path,
) -> None:
    # The second separator is wrong from three seconds on, in what it is given.
    one = labeller(replace(CONFIG, shortest=1.0))
    track = Recording(
        "unlabelled", "song", ("vocals", "accompaniment"), partial(one.label, song), has_gaps=True
    )
    loud = track.cut(3.5, 2.0).decode(RATE)["vocals"]
    assert sum(map(len, loud)) == 2 * RATE
    assert np.abs(loud[0]).max() == pytest.approx(0.49, abs=0.05)
    assert track.cut(3.5, 2.0).identity != track.cut(3.0, 2.0).identity
    with pytest.raises(SepbenchError, match="cannot start at 7 s"):
        track.cut(7.0, None).decode(RATE)


def test_what_is_no_song_in_a_teacher_s_folder_stops_nothing(song: Path) -> None:
    song.with_name("._song.wav").write_bytes(b"of a Mac")
    song.with_name("folder.mp3").mkdir()
    song.with_name("gone.mp3").symlink_to("nowhere.mp3")
    shutil.copy(song, song.with_name("vocals.wav"))
    song.with_name("separated.json").write_text('{"vocals.wav": {}}')
    found = label_songs(TeacherConfig(method="mixture"), [str(song.parent)], device="cpu")
    assert [track.name for track in found] == ["song"]
    assert found[0].has_gaps


@pytest.mark.slow
def test_labels_are_made_once_and_again_by_another_teacher(song: Path, tmp_path: Path) -> None:
    asked = []

    def prepared(config: TeacherConfig) -> str:
        one = labeller(config)

        def decode(rate: int) -> dict[str, list[np.ndarray]]:
            asked.append(config.agreement)
            return one.label(song, rate)

        track = Recording(
            "unlabelled", "song", ("vocals", "accompaniment"), decode, identity=one.identity(song)
        )
        return prepare([track], tmp_path / "prepared", rate=RATE)[0].digest

    assert prepared(CONFIG) == prepared(CONFIG)
    prepared(replace(CONFIG, agreement=3.0))
    assert asked == [6.0, 3.0]


@pytest.mark.slow
def test_labels_that_must_be_the_same_are_kept_where_another_teacher_is_given(
    song: Path, tmp_path: Path
) -> None:
    def prepared(agreement: float, *, same: bool = True) -> bytes:
        one = labeller(replace(CONFIG, agreement=agreement))
        track = Recording(
            "unlabelled", "song", ("vocals", "accompaniment"), partial(one.label, song),
            identity=one.identity(song),
        )  # fmt: skip
        prepare([track], tmp_path / "prepared", rate=RATE, same=same)
        return (tmp_path / "prepared" / "index.json").read_bytes()

    first = prepared(6.0)
    with pytest.raises(SepbenchError, match="give the same --teacher"):
        prepared(3.0)
    assert (tmp_path / "prepared" / "index.json").read_bytes() == first == prepared(6.0)
    assert prepared(3.0, same=False) != first


def test_a_teacher_gives_vocals_and_is_no_oracle(song: Path) -> None:
    data = [str(song.parent)]
    for spec, why in (("hpss", "gives percussive, harmonic|gives harmonic, percussive"),
                      ("oracle-irm", "needs the true stems"),
                      ("unet[wiener=0,wiener=1]", "means 2 methods|given twice")):  # fmt: skip
        with pytest.raises(SepbenchError, match=why):
            label_songs(TeacherConfig(method=spec), data, device="cpu")
    assert label_songs(TeacherConfig(), data, device="cpu") == []


def test_songs_are_those_named_or_those_of_folders_called_unlabelled(song: Path) -> None:
    corpus = str(song.parent.parent)
    found = label_songs(TeacherConfig(method="mixture"), [corpus], device="cpu")
    assert [(track.source, track.name, track.split) for track in found] == [
        ("unlabelled", "song", "train")
    ]
    absent = TeacherConfig(method="not-installed")
    assert label_songs(absent, [str(song.parent.parent / "elsewhere")], device="cpu") == []
    with pytest.raises(SepbenchError, match="no folder called 'unlabelled' in the data; give"):
        label_songs(TeacherConfig(method="mixture"), ["elsewhere"], device="cpu", required=True)
    for unknown in (absent, TeacherConfig(method="mixture", second="not-installed")):
        with pytest.raises(SepbenchError, match="no method 'not-installed'"):
            label_songs(unknown, ["elsewhere"], device="cpu", required=True)
    named = TeacherConfig().replaced(f"mixture:{song.parent}")
    assert (named.method, named.songs) == ("mixture", str(song.parent))
    assert TeacherConfig().replaced("unet[weights=a:b]").songs == ""
    again = label_songs(named, [], device="cpu")
    assert again[0].name == "song"
    with pytest.raises(SepbenchError, match="no such folder of songs"):
        label_songs(TeacherConfig(method="mixture", songs="nowhere"), [], device="cpu")
    with pytest.raises(SepbenchError, match="write METHOD or METHOD:SONGS"):
        TeacherConfig().replaced(":songs")


@pytest.mark.slow
def test_prepare_adds_labelled_songs(corpus: Path, song: Path, tmp_path: Path) -> None:
    arguments = ["prepare", str(corpus), "-o", str(tmp_path / "out"), "--rate", str(RATE)]
    refused = CliRunner().invoke(main, [*arguments, "--second", "unet"])
    assert refused.exit_code == 2
    assert "give --teacher METHOD too" in refused.output
    made = CliRunner().invoke(main, [*arguments, "--teacher", f"repet-sim:{song.parent}"])
    assert made.exit_code == 0, made.output
    tracks = {track.name: track for track in open_prepared(tmp_path / "out").tracks}
    assert tracks["song"].source == "unlabelled"
    assert tracks["song"].parts == ("vocals", "accompaniment")
    assert tracks["song"].samples == 6 * RATE


@pytest.mark.slow
def test_labelled_songs_are_chosen_and_never_those_of_a_test(song: Path, tmp_path: Path) -> None:
    label = label_songs(TeacherConfig(method="mixture"), [str(song.parent)], device="cpu")
    other = replace(label[0], name="another song")
    for split in ("train", "test"):
        folder = tmp_path / split / split / "Song"
        folder.mkdir(parents=True)
        for stem in ("vocals", "accompaniment"):
            shutil.copy(song, folder / f"{stem}{song.suffix}")

    def names(split: str, **choice: Any) -> list[tuple[str, str]]:
        tracks = tracks_of([str(tmp_path / split)], Choice(**choice), [*label, other])
        return [(track.source, track.name) for track in tracks if track.source == "unlabelled"]

    both = [("unlabelled", "song"), ("unlabelled", "another song")]
    assert names("train") == both
    assert names("test") == both[1:]
    assert names("train", exclude=("another*",)) == both[:1]
    with pytest.raises(SepbenchError, match="'nothing'"):
        names("train", exclude=("nothing",))


def test_a_song_with_stems_is_none_of_the_labelled_ones_of_its_name_and_folder_s_name(
    song: Path, tmp_path: Path
) -> None:
    label = label_songs(TeacherConfig(method="mixture"), [str(song.parent)], device="cpu")
    folder = tmp_path / "data" / "unlabelled" / "test" / "song"
    folder.mkdir(parents=True)
    for stem in ("vocals", "accompaniment"):
        shutil.copy(song, folder / f"{stem}{song.suffix}")
    tracks = tracks_of([str(tmp_path / "data")], Choice(duration=2), label)
    assert [(track.source, track.split, track.has_gaps) for track in tracks] == [
        ("unlabelled", "test", False)
    ]
