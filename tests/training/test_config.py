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
        ("model: [", "while parsing"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(SepbenchError, match=message) as caught:
        read_config("unet", str(file))
    assert "\n" not in str(caught.value)
