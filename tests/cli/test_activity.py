from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import commands
import numpy as np
import pytest
import soundfile
from click.testing import Result

from sepbench.datasets.excerpt import Excerpt

RATE = 22_050


def run(*arguments: str | Path) -> Result:
    return commands.run("activity", *arguments)


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The voice of the built-in excerpt, then three seconds of silence."""
    (track,) = Excerpt().tracks()
    voice = track.load().references["vocals"]
    silence = np.zeros((voice.shape[0], 3 * track.rate), np.float32)
    file = tmp_path_factory.mktemp("songs") / "song.wav"
    soundfile.write(file, np.concatenate([voice, silence], 1).T, track.rate)
    return file


def test_the_voice_is_found_and_the_silence_is_not(song: Path) -> None:
    done = run(song, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found
    assert max(segment["end"] for segment in found) < 6.6
    assert sum(segment["end"] - segment["start"] for segment in found) > 2
    assert all(0 <= segment["confidence"] <= 1 for segment in found)


@pytest.mark.slow
def test_tables_and_labels_say_the_same(song: Path, tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run(song, "--csv").stdout)))
    done = run(song, "--labels", "--picture", "-o", tmp_path)
    assert done.exit_code == 0, done.output
    labels = (tmp_path / "song.txt").read_text().splitlines()
    assert [float(line.split("\t")[0]) for line in labels] == [float(r["start"]) for r in rows]
    assert (tmp_path / "song.png").read_bytes().startswith(b"\x89PNG")


def test_times_are_those_of_the_song_where_a_part_is_heard(song: Path) -> None:
    late = json.loads(run(song, "--json", "--start", "2").stdout)
    assert min(segment["start"] for segment in late) >= 2


def test_silence_is_nobody(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
    done = run(tmp_path / "silence.wav")
    assert done.exit_code == 0
    assert "nobody sings" in done.output


def test_a_song_that_cannot_be_read_costs_no_other(song: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"")
    found = run(broken, song, "--labels", "-o", tmp_path)
    assert found.exit_code == 1
    assert "error: " in found.output
    assert "broken.mp3: an empty file" in " ".join(found.output.split())
    assert f"written: {tmp_path / 'song.txt'}" in found.output.replace("\n", "")
    assert (tmp_path / "song.txt").read_text()


def test_a_data_set_gives_scores(song: Path) -> None:
    rows = json.loads(run("--dataset", "excerpt", "--json").stdout)
    assert [row["track"] for row in rows][-1] == "all frames"
    assert 0.5 < rows[-1]["f1"] <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either SONGs or --dataset"),
        (["song.wav", "--csv", "--labels"], "choose one of"),
        (["song.wav", "--picture"], "give --out"),
        (["song.wav", "--track", "A*"], "--root, --subset and --track are for --dataset"),
        (["--dataset", "excerpt", "--labels"], "leave --labels, --picture and --out out"),
        (["--dataset", "excerpt", "--out", "here"], "leave --labels, --picture and --out out"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert message in done.output


def test_weights_of_a_separator_are_refused_with_the_cure(song: Path) -> None:
    from sepbench_plugins.unet import UNet

    weights = UNet.folder / "weights" / "default.safetensors"
    done = run(song, "--weights", weights)
    assert done.exit_code == 2
    assert "not of a detector of singing; leave out --weights" in done.output
