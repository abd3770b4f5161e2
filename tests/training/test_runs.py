"""A run from the command line: what it writes, how it goes on, and its weights as a method."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import Result
from commands import locked_elsewhere, run

from sepbench import registry
from sepbench.inference import runner
from sepbench.weights.container import read_header, sha256

from .conftest import CONFIG

pytestmark = pytest.mark.slow


def train(folder: Path, out: Path, *options: str | Path) -> Result:
    """Train on the prepared songs of a folder."""
    data, config = folder / "prepared", folder / "tiny.yaml"
    return run("train", "unet", "-d", data, "-c", config, "-o", out, *options)


@pytest.fixture(scope="module")
def work(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config, prepared songs, and a run of one epoch."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "tiny.yaml").write_text(CONFIG)
    prepared = run("prepare", corpus, "-o", folder / "prepared", "--rate", "8000")
    assert prepared.exit_code == 0, prepared.output
    trained = train(folder, folder / "run")
    assert trained.exit_code == 0, trained.output
    return folder


@pytest.fixture(scope="module")
def trained(work: Path) -> Path:
    """The run, continued for a second epoch."""
    out = shutil.copytree(work / "run", work / "longer")
    longer = train(work, out, "--resume", "--epochs", "2")
    assert "epoch 2/2" in longer.output
    assert "epoch 1/2" not in longer.output
    return out


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be changed."""
    return shutil.copytree(trained, tmp_path / "run")


def test_a_run_leaves_weights_with_their_origin_scores_and_pictures(work: Path) -> None:
    out = work / "run"
    header = read_header(out / "weights.safetensors")
    assert header["steps"] == 2
    assert header["license"] == "CC0-1.0"
    assert "songs/train" in header["trained_on"]
    assert "Total params: " in (out / "summary.txt").read_text()
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    scores = json.loads((out / "scores.json").read_text())
    assert set(scores) == {"train", "valid", "test"}
    assert set(scores["test"]) == {"loss", "mir1k", "songs", "mean"}


def test_a_run_is_not_overwritten(work: Path) -> None:
    before = (work / "run" / "last.pt").read_bytes()
    again = train(work, work / "run")
    assert again.exit_code == 2
    assert "--resume" in again.output
    assert (work / "run" / "last.pt").read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_two_trainings_at_once_do_not_mix_in_one_folder(work: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    with locked_elsewhere(out / ".lock"):
        refused = train(work, out)
        assert refused.exit_code == 2
        assert "another training writes there" in refused.output
        assert [file.name for file in out.iterdir()] == [".lock"]
    assert train(work, out).exit_code == 0  # Who is killed keeps nothing.


def test_weights_to_begin_with_are_in_the_header(work: Path, tmp_path: Path) -> None:
    initial = work / "run" / "weights.safetensors"
    further = train(work, tmp_path / "further", "--init", initial)
    assert further.exit_code == 0, further.output
    begun = read_header(tmp_path / "further" / "weights.safetensors")
    assert begun["init"] == {"sha256": sha256(initial), "steps": read_header(initial)["steps"]}


def test_prepared_songs_have_their_labels(work: Path) -> None:
    refused = run("train", "unet", "-d", work / "prepared", "--teacher", "mixture")
    assert refused.exit_code == 2
    assert "label songs by 'sepbench prepare --teacher'" in refused.output


def test_a_run_and_its_checkpoints_can_be_exported(copied: Path, tmp_path: Path) -> None:
    best = (copied / "weights.safetensors").read_bytes()
    exported = tmp_path / "exported.safetensors"
    assert run("weights", "export", "safetensors", copied, "--out", exported).exit_code == 0
    assert read_header(exported)["method"] == "unet"
    assert run("weights", "export", copied / "last.pt").exit_code == 0
    assert (copied / "weights.safetensors").read_bytes() == best
    assert read_header(copied / "last.safetensors")["method"] == "unet"
    shown = run("weights", "show", copied / "best.pt")
    assert "checkpoint of sepbench" in shown.output
    (copied / "weights.safetensors").unlink()
    assert run("weights", "verify", f"unet[weights={copied / 'best.pt'}]").exit_code == 0
    assert run("weights", "export", copied).exit_code == 0
    assert read_header(copied / "weights.safetensors")["model"]["rate"] == 8000


def test_the_weights_of_a_run_are_those_of_its_best_epoch(trained: Path, tmp_path: Path) -> None:
    without_file = shutil.copytree(trained, tmp_path / "run")
    (without_file / "weights.safetensors").unlink()
    noise = np.random.default_rng(0).standard_normal((1, 8000)).astype(np.float32)
    vocals = {}
    for weights in (
        without_file, trained / "best.pt", trained / "last.pt", trained / "weights.safetensors"
    ):  # fmt: skip
        (method,) = registry.resolve(f"unet[weights={weights}]")
        separator = method.create()
        runner.load(separator, torch.device("cpu"))
        known = read_header(trained / "weights.safetensors")["trained_on"]
        assert separator.trained_on == tuple(known)
        made = runner.separate(separator, noise, rate=8000, device=torch.device("cpu"))
        vocals[weights.name] = made.stems["vocals"]
    np.testing.assert_array_equal(vocals["best.pt"], vocals["run"])
    # Weight files are in half precision.
    np.testing.assert_allclose(vocals["weights.safetensors"], vocals["run"], atol=2e-2)
    assert not np.array_equal(vocals["last.pt"], vocals["run"])


def test_a_run_separates_a_song(trained: Path, corpus: Path, tmp_path: Path) -> None:
    song = corpus / "songs" / "First" / "vocals.wav"
    method = f"unet[weights={trained}]"
    separated = run("separate", "-m", method, song, "-o", tmp_path / "stems", "--stem", "vocals")
    assert separated.exit_code == 0, separated.output
    stem = next((tmp_path / "stems").rglob("vocals.wav"))
    assert soundfile.info(stem).frames == soundfile.info(song).frames


def test_files_that_are_no_weights_are_one_line(corpus: Path, tmp_path: Path) -> None:
    song = corpus / "songs" / "First" / "vocals.wav"
    (tmp_path / "empty").mkdir()
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"PK")
    for weights, message in {
        tmp_path / "empty": "not a run, it has no weights.safetensors, best.pt or last.pt",
        tmp_path / "none.pt": "cannot be read: No such file",
        broken: "not a checkpoint of sepbench, or damaged",
    }.items():
        wrong = run("separate", "-m", f"unet[weights={weights}]", song, "-o", tmp_path / "no")
        assert wrong.exit_code == 2
        assert message in " ".join(wrong.output.split())


def test_a_damaged_checkpoint_and_one_of_another_method_are_named(copied: Path) -> None:
    content = bytearray((copied / "last.pt").read_bytes())
    middle = len(content) // 2  # Single bytes may lie between the entries of the archive.
    content[middle : middle + 1024] = bytes(1024)
    (copied / "last.pt").write_bytes(content)
    assert "damaged" in run("weights", "verify", f"unet[weights={copied / 'last.pt'}]").output
    other = run("methods", f"blstm[weights={copied / 'best.pt'}]")
    assert "weights of unet, not of blstm" in " ".join(other.output.split())
