from __future__ import annotations

from pathlib import Path

import pytest

from sepbench.errors import SepbenchError
from sepbench.training.config import read_config


@pytest.mark.parametrize("method", ["mask-cnn", "unet"])
@pytest.mark.parametrize("name", ["default", "published"])
def test_every_config_that_comes_along_is_whole(method: str, name: str) -> None:
    config = read_config(method, name)
    assert config.model["n_fft"] == 1024
    assert config.plan.steps_per_epoch > 0
    assert config.recipe.seconds * config.model["rate"] > config.model["n_fft"]


def test_what_is_given_replaces_what_the_file_says(tmp_path: Path) -> None:
    config = read_config("unet", "default", {"epochs": 3, "schedule": "noam"})
    assert (config.plan.epochs, config.plan.schedule) == (3, "noam")
    assert config.plan.batch_size == read_config("unet", "default").plan.batch_size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a list", "expected the sections"),
        ("model: {}\ntraining: {epochs: many}", "is no int"),
        ("model: {}\nexamples: {loudness: 3}", "no field 'loudness'"),
        ("model: [", "not YAML: line 1: "),
        ("model: " + "[" * 3000, "brackets within brackets"),
        ("model: 2020-13-45", "not YAML"),
        ("model: [1]", "model: write it as 'field: value' lines"),
        ("model: {}\ntraining: 5", "training: write it as"),
        ("model: {}\ntraining: {1: 2}", "no field 1"),
        ("model: {}\ntraining: {epochs: 0}", "epochs=0: must be at least 1"),
        ("model: {}\ntraining: {examples: 4, batch_size: 8}", "fewer than one batch"),
        ("model: {}\ntraining: {learning_rate: .nan}", "must be a number above 0"),
        ("model: {}\ntraining: {schedule: steep}", "choose one of fixed"),
        ("model: {}\nexamples: {seconds: 0}", "must be a number above 0"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(SepbenchError, match=message) as caught:
        read_config("unet", str(file))
    assert "\n" not in str(caught.value)


def test_what_is_no_file_of_yaml_is_told(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(b"\xff\xfe\x00model")
    with pytest.raises(SepbenchError, match=f"{file}: not a text file; give a file of YAML"):
        read_config("unet", str(file))
    with pytest.raises(SepbenchError, match=f"{tmp_path}: cannot read: "):
        read_config("unet", str(tmp_path))
