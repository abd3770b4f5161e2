from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import interruptible, run

from sepbench.datasets.simulated import simulate
from sepbench.training.curves import is_score
from sepbench.weights.container import read_header

from .conftest import CONFIG

CDAE = """
model: {architecture: strided, rate: 8000, bands: 64, samples: 8192, frames: 512, widths: [2, 3],
        bottleneck: 4, dilations: [1]}
examples: {seconds: 1.024}
training: {epochs: 1, examples: 4, batch_size: 2, workers: 0}
"""

BLSTM = """
model: {rate: 8000, n_fft: 128, hop: 32, hidden_size: 4, num_layers: 1}
examples: {seconds: 1.0}
training: {epochs: 1, examples: 4, batch_size: 2, workers: 0}
"""

SIMULATED = """
model: {architecture: strided, rate: 8000, bands: 64, samples: 16384, frames: 768, widths: [6, 8],
        bottleneck: 16, dilations: [1]}
examples: {seconds: 2.048, known: 1.0}
training: {epochs: 1, examples: 60, batch_size: 2, learning_rate: 0.003, average: 0.8, workers: 0}
"""


@pytest.mark.slow
def test_validation_songs_without_a_voice_are_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    for split in ("train", "valid"):
        for song, seed in (("a", 1), ("b", 2)):
            folder = tmp_path / "songs" / split / f"{split} {song}"
            folder.mkdir(parents=True)
            random = np.random.default_rng([seed, len(split)])
            for stem in ("vocals", "drums"):
                sound = 0.1 * random.standard_normal(24_000)
                silent = split == "valid" and stem == "vocals"
                soundfile.write(folder / f"{stem}.wav", 0 * sound if silent else sound, 8000)
    result = run(
        "train", "unet", "-d", tmp_path / "songs", "-c", tmp_path / "tiny.yaml",
        "-o", tmp_path / "run",
    )  # fmt: skip
    assert result.exit_code == 2
    assert "no stem can be heard in the songs for validation" in result.output
    assert not (tmp_path / "run" / "last.pt").exists()


@pytest.mark.slow
def test_programs_read_what_was_prepared_and_trained_as_json(corpus: Path, tmp_path: Path) -> None:
    config, out = tmp_path / "tiny.yaml", tmp_path / "run"
    config.write_text(CONFIG)
    prepared = run("prepare", corpus, "-o", tmp_path / "prepared", "--rate", "8000", "--json")
    facts = json.loads(prepared.stdout)
    assert facts["tracks"] > 0
    assert facts["rate"] == 8000
    trained = run("train", "unet", "-d", tmp_path / "prepared", "-c", config, "-o", out, "--json")
    facts = json.loads(trained.stdout)
    assert facts["best_epoch"] == 1
    assert Path(facts["weights"]).is_file()
    assert {"loss", "mean"} <= set(facts["scores"]["test"])


@pytest.mark.slow
def test_three_stems_from_folders_named_by_stem(corpus: Path, tmp_path: Path) -> None:
    config, out = tmp_path / "tiny.yaml", tmp_path / "run"
    config.write_text(CDAE)
    trained = run("train", "cdae", "-d", corpus, "-c", config, "-o", out)
    assert trained.exit_code == 0, trained.output
    scores = json.loads((out / "scores.json").read_text())
    assert {"songs vocals", "songs percussive", "songs harmonic", "mir1k vocals"} < set(
        scores["test"]
    )
    song = corpus / "songs" / "First" / "drums.wav"
    method = f"cdae[weights={out / 'weights.safetensors'}]"
    separated = run("separate", "-m", method, song, "-o", tmp_path / "stems")
    assert separated.exit_code == 0, separated.output
    assert {path.stem for path in (tmp_path / "stems").rglob("*.wav")} == {
        "vocals", "percussive", "harmonic",
    }  # fmt: skip


@pytest.mark.slow
def test_from_simulated_songs_to_stems_that_are_apart(tmp_path: Path) -> None:
    config, out = tmp_path / "tiny.yaml", tmp_path / "run"
    config.write_text(SIMULATED)
    trained = run("train", "cdae", "-d", "simulated", "-c", config, "-o", out)
    assert trained.exit_code == 0, trained.output
    scores = json.loads((out / "scores.json").read_text())
    assert set(scores) == {"train", "valid", "test"}
    for split in scores.values():
        assert split["simulated percussive"] > 1
        assert split["simulated harmonic"] > 1


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["train/{song}/{stem}", "{song}/{stem}", "{stem}/{song}"])
def test_songs_as_people_have_them_need_no_table_of_splits(layout: str, tmp_path: Path) -> None:
    songs = tmp_path / "musdb"
    names = [*(f"Song {number}" for number in range(3)), "Tested"]
    for seed, name in enumerate(names):
        stems = simulate((seed,), 4.0, rate=8000)
        mixture = {"mixture": sum(stems.values())} if layout.startswith("train") else {}
        for stem, samples in {**stems, **mixture}.items():
            place = layout.replace("train", "test") if name == "Tested" else layout
            file = songs / f"{place.format(song=name, stem=stem)}.wav"
            file.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(file, samples.T, 8000)
    if layout.startswith("train"):  # a song without its drums is told of
        (songs / "train" / "Lacking").mkdir()
        shutil.copy(file, songs / "train" / "Lacking" / "vocals.wav")
    config, out = tmp_path / "tiny.yaml", tmp_path / "run"
    config.write_text(BLSTM)
    trained = run("train", "blstm", "-d", songs, "-c", config, "-o", out)
    assert trained.exit_code == 0, trained.output
    assert "(2 train, 1 valid, 1 test)" in trained.output
    assert set(json.loads((out / "scores.json").read_text())) == {"train", "valid", "test"}
    assert (out / "curves.png").exists()
    if layout.startswith("train"):
        assert "Lacking" in trained.output
        assert read_header(out / "weights.safetensors")["trained_on"] == ["musdb18-hq/train"]
        assert _prepared(out, "test") == {"Tested"}


def test_a_folder_called_lossless_has_its_scores(tmp_path: Path) -> None:
    songs = tmp_path / "lossless"
    for number in range(3):
        for stem, samples in simulate((number,), 4.0, rate=8000).items():
            (songs / f"Song {number}").mkdir(parents=True, exist_ok=True)
            soundfile.write(songs / f"Song {number}" / f"{stem}.wav", samples.T, 8000)
    config, out = tmp_path / "tiny.yaml", tmp_path / "run"
    config.write_text(BLSTM)
    trained = run("train", "blstm", "-d", songs, "-c", config, "-o", out)
    assert trained.exit_code == 0, trained.output
    scores = json.loads((out / "scores.json").read_text())
    assert f"SDR lossless {scores['test']['lossless']:.2f}" in trained.output.splitlines()[-2]
    header = read_header(out / "weights.safetensors")
    assert header["validation"]["lossless"] == header["validation"]["mean"]
    assert is_score("lossless")
    assert is_score("validation set")
    assert not any(map(is_score, ("loss", "loss vocals", "validation loss", "epoch", "seconds")))


@pytest.mark.slow
def test_songs_for_tests_alone_may_be_in_a_separate_folder(tmp_path: Path) -> None:
    for side, names in {"train": ("One", "Two"), "test": ("Three",)}.items():
        for seed, name in enumerate(names):
            stems = simulate((seed,), 1.0, rate=8000)
            song = tmp_path / side / side / name
            song.mkdir(parents=True)
            for stem, samples in {**stems, "mixture": sum(stems.values())}.items():
                soundfile.write(song / f"{stem}.wav", samples.T, 8000)
    out = tmp_path / "prepared"
    prepared = run("prepare", tmp_path / "train", tmp_path / "test", "-o", out, "--rate", 8000)
    assert prepared.exit_code == 0, prepared.output
    index = json.loads((out / "index.json").read_text())
    assert sorted(track["split"] for track in index["tracks"]) == ["test", "train", "valid"]
    named = run("prepare", "excerpt", "-o", tmp_path / "none")
    assert "data set excerpt has no songs to train on" in named.output


def test_one_song_is_too_few(tmp_path: Path) -> None:
    song = tmp_path / "songs" / "One"
    song.mkdir(parents=True)
    for stem, samples in simulate((1,), 2.0, rate=8000).items():
        soundfile.write(song / f"{stem}.wav", samples.T, 8000)
    config = tmp_path / "tiny.yaml"
    config.write_text(BLSTM)
    refused = run("train", "blstm", "-d", song.parent, "-c", config, "-o", tmp_path / "run")
    assert refused.exit_code == 2
    assert "needs at least two songs" in " ".join(refused.output.split())


def _prepared(folder: Path, split: str) -> set[str]:
    index = json.loads((folder / "data" / "index.json").read_text())
    return {track["name"] for track in index["tracks"] if track["split"] == split}


@pytest.mark.slow
def test_wrong_methods_and_configs_are_one_line(corpus: Path, tmp_path: Path) -> None:
    untrained = run("train", "hpss", "-d", corpus).output
    assert "choose one of blstm, cdae, ibm-cnn, mask-cnn, unet" in untrained
    varied = run("train", "unet[full_band=false]", "-d", corpus).output
    assert "give its name without options, 'unet'" in varied
    assert "neither a file nor" in run("train", "unet", "-d", corpus, "-c", "none").output
    config = tmp_path / "odd.yaml"
    config.write_text(CONFIG + "colour: red\n")
    assert "expected the sections" in run("train", "unet", "-d", corpus, "-c", config).output
    config.write_text(CONFIG.replace("epochs", "epoches"))
    assert "no field 'epoches'" in run("train", "unet", "-d", corpus, "-c", config).output
    config.write_text(CONFIG.replace("rate: 8000, ", ""))
    missing = run("train", "unet", "-d", corpus, "-c", config)
    assert "its model does not describe a network of unet, no field 'rate'" in missing.output
    for before, after, reason in (
        ("rate: 8000", "rate: high", "'high' is not a number"),
        ("rate: 8000", "rate: 8000, colour: red", "unknown field 'colour'"),
        ("widths: [2, 2]", "widths: 7", "a value of the wrong kind"),
    ):
        config.write_text(CONFIG.replace(before, after))
        wrong = run("train", "unet", "-d", corpus, "-c", config, "-o", tmp_path / "run")
        assert wrong.exit_code == 2
        assert f"its model does not describe a network of unet, {reason}" in wrong.output
        assert not (tmp_path / "run").exists()
    config.write_text(CONFIG.replace("rate: 8000", "rate: '8000'"))
    refused = run("train", "unet", "-d", corpus, "-c", config, "-o", tmp_path / "run").output
    assert "rate '8000' is not an integer, in the section model" in refused
    config.write_text(CONFIG.replace("0.512}", "0.512, channels: 2}"))
    stereo = run("train", "unet", "-d", corpus, "-c", config, "-o", tmp_path / "run").output
    assert "unet learns from examples of one channel; write 1 for channels: 2" in stereo


@pytest.mark.slow
def test_wrong_data_and_folders_are_one_line(corpus: Path, tmp_path: Path) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text(CONFIG)
    nothing = run("train", "unet", "-d", tmp_path / "nowhere", "-c", config)
    assert nothing.exit_code == 2
    prepared = run("prepare", corpus, "-o", tmp_path / "prepared", "--rate", "16000")
    assert prepared.exit_code == 0
    wrong = run("train", "unet", "-d", tmp_path / "prepared", "-c", config)
    assert "prepared at 16000 Hz" in wrong.output
    data = ("-d", tmp_path / "prepared")
    assert "must be the only data" in run("train", "unet", *data, "-d", corpus, "-c", config).output
    again = run("prepare", corpus, "-o", tmp_path / "prepared", "--rate", "8000")
    assert again.exit_code == 2
    assert "prepared at 16000 Hz before, not at 8000 Hz" in again.output
    assert "the folder of the songs themselves" in run("prepare", corpus, "-o", corpus).output
    (tmp_path / "voices").mkdir()
    (tmp_path / "voices" / "one.wav").write_text("no audio")
    none = run("prepare", tmp_path / "voices", "-o", tmp_path / "none")
    assert none.exit_code == 2
    assert "none of 1 tracks could be prepared" in none.output
    config.write_text(CONFIG.replace("rate: 8000", "rate: 16000"))
    for command in (
        ("prepare", corpus, "-o", config),
        ("train", "unet", *data, "-c", config, "-o", config / "run"),
    ):
        blocked = run(*command)
        assert blocked.exit_code == 2
        assert "cannot make this folder" in blocked.output


def test_a_run_that_is_not_there_cannot_be_resumed_and_is_not_started(tmp_path: Path) -> None:
    refused = run("train", "unet", "-d", "simulated", "--resume", "-o", tmp_path / "run")
    assert refused.exit_code == 2
    assert "leave out --resume" in refused.output
    assert not (tmp_path / "run").exists()


def test_missing_data_are_reported_before_a_run_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "last.pt").touch()
    refused = run("train", "unet", "-d", "nosuch", "-o", tmp_path)
    assert "nosuch: no such folder, and no data set" in refused.output
    kept = run("train", "unet", "-d", "simulated", "-o", tmp_path)
    assert "holds a run already" in kept.output


def test_a_device_that_is_not_there_is_reported_before_songs_are_prepared(tmp_path: Path) -> None:
    refused = run("train", "unet", "-d", "simulated", "--device", "gpu", "-o", tmp_path / "run")
    assert refused.exit_code == 2
    assert "--device auto" in refused.output
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="process groups are those of POSIX")
def test_a_training_that_is_stopped_says_one_line(corpus: Path, tmp_path: Path) -> None:
    prepared, config = tmp_path / "prepared", tmp_path / "small.yaml"
    longer = CONFIG.replace("epochs: 1, examples: 4", "epochs: 9, examples: 40000")
    config.write_text(longer.replace("workers: 0", "workers: 2"))
    assert run("prepare", corpus, "-o", prepared, "--rate", 8000).exit_code == 0
    words = ("train", "unet", "-d", prepared, "-c", config, "-o", tmp_path / "run")
    told = tmp_path / "told.txt"
    with told.open("w") as output:
        training = subprocess.Popen(
            interruptible(*words), stdout=output, stderr=output, start_new_session=True
        )
        while training.poll() is None and not (tmp_path / "run" / "logs").exists():
            time.sleep(0.1)
        time.sleep(2)
        os.killpg(training.pid, signal.SIGINT)  # as a terminal does
        assert training.wait(60) == 130
    first, *rest = told.read_text().splitlines()
    assert "hours of data" in first
    assert len(rest) == 1
    assert rest[0].startswith("stopped; ")
