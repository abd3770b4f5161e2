from __future__ import annotations

import dataclasses
from importlib import import_module
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from sepbench import registry
from sepbench.errors import SepbenchError
from sepbench.training.config import read_config
from sepbench.training.examples import draw_level

SEPARATORS = {
    entry.name: entry.separator
    for entry in registry.plugins()
    if hasattr(entry.separator, "trainable")
}
CONFIGS = [
    (method, file.stem)
    for method in SEPARATORS
    for file in sorted((Path(str(files("sepbench_configs"))) / method).glob("*.yaml"))
]


@pytest.mark.parametrize(("method", "name"), CONFIGS)
def test_every_bundled_config_describes_a_network_and_its_examples(method: str, name: str) -> None:
    config = read_config(method, name)
    module, _, kind = SEPARATORS[method].trainable.partition(":")
    trainable = getattr(import_module(module), kind)(config.model)
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in trainable.network().parameters()) > 1000
    assert config.training.steps_per_epoch > 0
    assert config.examples.seconds * trainable.rate > 1024


def test_every_method_that_can_be_trained_has_a_default_config() -> None:
    assert [method for method, name in CONFIGS if name == "default"] == list(SEPARATORS)


def test_an_unknown_config_names_those_of_the_method_and_of_its_plugin(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "mine.yaml").write_text("model: {}")
    names = "'nosuch'.* config of cdae; it has default, four-stems, mine, produced, published$"
    with pytest.raises(SepbenchError, match=names):
        read_config("cdae", "nosuch", folder=tmp_path)
    with pytest.raises(SepbenchError, match="config of nobody; it has none, so give a file"):
        read_config("nobody", "nosuch")


def test_what_is_given_replaces_what_the_file_says(tmp_path: Path) -> None:
    config = read_config("unet", "default", {"epochs": 3, "schedule": "noam"})
    assert (config.training.epochs, config.training.schedule) == (3, "noam")
    assert config.training.batch_size == read_config("unet", "default").training.batch_size


def test_a_config_is_its_base_but_for_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "first.yaml").write_text(
        "base: default\nexamples: {weights: {mir1k: 1}, exclude: [a, b]}"
    )
    (tmp_path / "second.yaml").write_text(
        "base: first.yaml\nexamples: {weights: {mine: 2}, exclude: [c]}\ntraining: {epochs: 3}"
    )
    base, made = (
        read_config("unet", where) for where in ("default", str(tmp_path / "second.yaml"))
    )
    assert made.model == base.model
    assert made.examples.weights == {**base.examples.weights, "mir1k": 1, "mine": 2}
    assert made.examples.exclude == ("c",)
    assert made.training == dataclasses.replace(base.training, epochs=3)
    assert made.license == base.license


def test_an_included_config_states_the_license_of_the_data_that_it_names(tmp_path: Path) -> None:
    included = read_config("blstm", "default")
    assert "MedleyDB" in included.license_for({"medleydb", "mir1k"})
    assert included.license_for({"medleydb", "my-songs"}) == "as the training data's"
    config = tmp_path / "mine.yaml"
    config.write_text("base: default\n")
    assert "MedleyDB" not in read_config("blstm", str(config)).license_for({"my-songs"})
    config.write_text("base: default\nlicense: CC0-1.0\n")
    assert read_config("blstm", str(config)).license_for({"my-songs"}) == "CC0-1.0"


def test_a_base_that_is_missing_or_the_config_itself_is_named(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("base: two.yaml")
    with pytest.raises(SepbenchError, match=r"one.yaml: base: config '.*two.yaml': neither"):
        read_config("unet", str(one))
    two.write_text(f"base: ../{tmp_path.name}/one.yaml")
    with pytest.raises(SepbenchError, match=r"one.yaml: based on itself, by .*; give another base"):
        read_config("unet", str(one))


def test_levels_without_a_range_are_constant(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("model: {}\nexamples: {ratio: [0, 0, 0], gain: [0, 0], exclude: [a, b]}")
    mixing = read_config("unet", str(file)).examples
    assert draw_level(mixing.ratio, np.random.default_rng(0)) == 0
    assert mixing.exclude == ("a", "b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a list", "expected the sections"),
        ("model: {}\ntraining: {epochs: many}", "field epochs=many: expected a whole number"),
        ("model: {}\nexamples: {loudness: 3}", "no field 'loudness'"),
        ("model: [", "not YAML: line 1: "),
        ("model: " + "[" * 3000, "brackets are nested too deeply"),
        ("model: 2020-13-45", "not YAML"),
        ("model: [1]", "model: write it as 'field: value' lines"),
        ("model: {}\ntraining: 5", "training: write it as"),
        ("model: {}\nlicense: [1, 2]", r"license: '\[1, 2\]' is not a text"),
        ("model: {}\nexamples: {weights: {mir1k: -1}}", "mir1k: -1: write 0 to leave it out"),
        ("base: ''", "base: '' is not a text"),
        ("model: {}\nexamples: {seconds: 1e9}", "must be from 0.01 to 600"),
        ("model: {}\ntraining: {1: 2}", "no field 1;"),
        ("model: {}\ntraining: {epochs: 0}", "field epochs=0: must be at least 1"),
        ("model: {}\ntraining: {examples: 4, batch_size: 8}", "fewer than one batch"),
        ("model: {}\ntraining: {seed: 99999999999999999999}", "field seed=9999"),
        ("model: {}\ntraining: {learning_rate: .nan}", "must be a finite number"),
        ("model: {}\ntraining: {learning_rate: 0}", "must be at least 1e-12"),
        ("model: {}\nexamples: {fade: 1.5}", "field fade=1.5: must be from 0 to 1"),
        ("model: {}\nexamples: {ratio: [1, 2]}", "expected a list of 3 values, each a number"),
        (
            "model: {}\nexamples: {weights: [1]}",
            "expected lines of 'name: value', each value a number",
        ),
        ("model: {}\ntraining: {schedule: steep}", "choose one of fixed"),
        ("model: {}\nexamples: {seconds: 0}", "must be from 0.01 to 600"),
        ("model: {}\nexamples: {ratio: [-10, 5, 8]}", "between them, the most likely"),
        ("model: {}\nexamples: {gain: [10, -10]}", "write the lowest first"),
        ("model: {}\nexamples: {gain: [.nan, 1]}", "must be a finite number"),
        ("model: {}\nexamples: {tempo: [0, 1]}", "must be above 0"),
        ("model: {}\nexamples: {exclude: Music*}", "expected a list of values, each a text"),
        ("model: {}\ntraining: {epochs: 1.9}", "field epochs=1.9: expected a whole number"),
        (
            "model: {}\ntraining: {batch_size: true}",
            "field batch_size=True: expected a whole number",
        ),
        ("model: {}\ntraining: {learning_rate: true}", "learning_rate=True: expected a number"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(SepbenchError, match=message) as caught:
        read_config("unet", str(file))
    assert "\n" not in str(caught.value)


def test_a_section_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("base: default\ntraining: {epochs: 3}\ntraining: {batch_size: 4}\n")
    with pytest.raises(SepbenchError, match=r"line 3: 'training' is there twice; keep one"):
        read_config("unet", str(file))
    file.write_text("base: default\ntraining:\n  epochs: 3\n  epochs: 4\n")
    with pytest.raises(SepbenchError, match=r"line 4: 'epochs' is there twice"):
        read_config("unet", str(file))


def test_a_file_that_is_not_yaml_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(b"\xff\xfe\x00model")
    with pytest.raises(SepbenchError, match=f"{file}: not a text file; give a YAML file"):
        read_config("unet", str(file))
    with pytest.raises(SepbenchError, match=f"{tmp_path}: cannot read: "):
        read_config("unet", str(tmp_path))
