from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from sepbench.cli.main import main
from sepbench.errors import SepbenchError
from sepbench.weights import container
from sepbench.weights.averaging import average

MODEL = {"rate": 16000}


def saved(path: Path, value: float, **more: object) -> Path:
    tensors = {"level": torch.full((3,), value), "steps": torch.tensor(int(value))}
    header = {"method": "unet", "model": MODEL, "validation": {"mean": value}, **more}
    container.save(path, tensors, header)
    return path


def test_the_mean_is_weighted_and_says_what_it_is_of(tmp_path: Path) -> None:
    heard = {"trained_on": ["a/train"], "songs": {"first": 3.0}, "sounds": ["f0"], "license": "MIT"}
    old = saved(tmp_path / "old.safetensors", 1.0, steps=10, **heard)
    new = saved(
        tmp_path / "new.safetensors", 3.0, trained_on=["b/train"], steps=20, license="CC0-1.0"
    )
    out = tmp_path / "mean.safetensors"
    header = average([old, new], [3, 1], out)
    tensors = load_file(out)
    assert tensors["level"].tolist() == [1.5, 1.5, 1.5]
    assert tensors["steps"].item() == 3
    assert container.read_header(out) == header
    assert header["trained_on"] == ["a/train", "b/train"]
    assert header["songs"] == {"first": 3.0}
    assert header["sounds"] == ["f0"]
    assert header["license"] == "MIT; CC0-1.0"
    assert [(part["share"], part["steps"]) for part in header["averaged"]] == [
        (0.75, 10),
        (0.25, 20),
    ]
    assert header["averaged"][0]["sha256"] == container.sha256(old)
    assert "validation" not in header


@pytest.mark.parametrize("value", [1 / 3, 1e5])
def test_imported_weights_keep_their_precision(tmp_path: Path, value: float) -> None:
    file, out = tmp_path / "imported.safetensors", tmp_path / "mean.safetensors"
    tensors = {"level": torch.full((3,), value)}
    container.save(file, tensors, {"method": "unet", "model": MODEL}, half=False)
    average([file, file], [1, 1], out)
    assert load_file(out)["level"].equal(tensors["level"])


def test_one_of_several_networks_of_a_file_is_averaged_alone(tmp_path: Path) -> None:
    files = []
    for value in (1.0, 3.0):
        files.append(tmp_path / f"{value}.safetensors")
        tensors = {f"{stem}.level": torch.full((2,), value) for stem in ("vocals", "harmonic")}
        container.save(files[-1], tensors, {"method": "cdae", "model": MODEL})
    out = tmp_path / "mean.safetensors"
    header = average(files, [1, 1], out, only="vocals.*")
    tensors = load_file(out)
    assert tensors["vocals.level"].tolist() == [2, 2]
    assert tensors["harmonic.level"].tolist() == [1, 1]
    assert header["averaged_tensors"] == "vocals.*"
    with pytest.raises(SepbenchError, match=r"no tensor 'voice\.\*'; .*harmonic.*vocals"):
        average(files, [1, 1], out, only="voice.*")


def test_only_weights_of_one_network_have_a_mean(tmp_path: Path) -> None:
    one = saved(tmp_path / "one.safetensors", 1.0)
    other = saved(tmp_path / "other.safetensors", 1.0, model={"rate": 8000})
    out = tmp_path / "mean.safetensors"
    with pytest.raises(SepbenchError, match=r"other\.safetensors: not of the same network"):
        average([one, other], [1, 1], out)
    with pytest.raises(SepbenchError, match="one weight file: give two or more"):
        average([one], [1], out)
    with pytest.raises(SepbenchError, match="2 weight files and 1 share: give one share a file"):
        average([one, one], [1], out)
    for shares in ([0, 0], [-1, 2], [1e308, 1e308], [float("nan"), 1]):
        with pytest.raises(SepbenchError, match="numbers from 0, not all of them 0"):
            average([one, one], shares, out)
    assert not out.exists()


@pytest.mark.parametrize("level", [torch.zeros(1), torch.zeros(7), None])
def test_only_tensors_of_one_shape_have_a_mean(tmp_path: Path, level: torch.Tensor | None) -> None:
    one = saved(tmp_path / "one.safetensors", 1.0)
    other, out = tmp_path / "other.safetensors", tmp_path / "mean.safetensors"
    tensors = {"steps": torch.tensor(1), **({} if level is None else {"level": level})}
    container.save(other, tensors, {"method": "unet", "model": MODEL})
    for files in ([one, other], [other, one]):
        with pytest.raises(SepbenchError, match="its tensors are not those of"):
            average(files, [1, 1], out)
    assert not out.exists()


def test_damaged_files_without_a_hash_are_one_line(tmp_path: Path) -> None:
    file, out = tmp_path / "old.safetensors", tmp_path / "mean.safetensors"
    header = {"sepbench": json.dumps({"method": "unet", "model": MODEL})}
    save_file({"level": torch.zeros(3)}, file, header)
    file.write_bytes(file.read_bytes().replace(b"F32", b"F99"))
    with pytest.raises(SepbenchError, match=r"old\.safetensors: damaged weights"):
        average([file, file], [1, 1], out)
    save_file({"level": torch.zeros(3)}, file, {"sepbench": "{}"})
    with pytest.raises(SepbenchError, match=r"old\.safetensors: its header names no method"):
        average([file, file], [1, 1], out)
    assert not out.exists()


def test_the_command_takes_equal_shares_where_none_are_given(tmp_path: Path) -> None:
    files = [str(saved(tmp_path / f"{value}.safetensors", value)) for value in (1.0, 2.0)]
    out = str(tmp_path / "mean.safetensors")
    made = CliRunner().invoke(main, ["weights", "average", *files, "-o", out])
    assert made.exit_code == 0, made.output
    assert load_file(out)["level"][0] == 1.5
    wrong = CliRunner().invoke(main, ["weights", "average", *files, "--shares", "x", "-o", out])
    assert "write numbers such as 0.6,0.4" in wrong.output
    wrong = CliRunner().invoke(main, ["weights", "average", *files, "-o", "mean.pth"])
    assert "NAME.safetensors" in wrong.output
