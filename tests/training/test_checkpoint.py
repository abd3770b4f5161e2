from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sepbench.errors import SepbenchError
from sepbench.training import checkpoint
from sepbench.training.curves import draw_curves
from sepbench.training.data.prepared import PreparedDataset
from sepbench.training.export import export_run
from sepbench.training.initial import load_initial
from sepbench.training.log import Log
from sepbench.training.training_config import TrainingConfig
from sepbench.weights import container
from tests.training.test_loop import CPU, PerBin, Tiny, examples, run, songs

ONE_EPOCH = TrainingConfig(epochs=1, examples=4, batch_size=4, workers=0)


@pytest.fixture(scope="module")
def whole(dataset: PreparedDataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the state of a run of one epoch."""
    folder = tmp_path_factory.mktemp("run")
    run(folder, ONE_EPOCH).train(examples(dataset), songs(dataset))
    return checkpoint.load(folder / "last.pt", CPU, whole=True)


DAMAGED = [
    ("method", 1, "method is not a name"),
    ("model", [1], "model is not a table"),
    ("model", {"hop": -1}, "hop -1 is not between"),
    ("config", [1], "config is not a table"),
    ("config", {"training": 7}, "training is not a table"),
    ("config", {"training": {"examples": 7}}, "a section that is not a table"),
    ("config", {"songs": [1]}, "songs is not a table of seconds"),
    ("config", {"license": [1, 2]}, "license is not a text"),
    ("weights", [1], "weights is not a table of tensors"),
    ("weights", {"level": 1}, "weights is not a table of tensors"),
    ("epoch", "x", "epoch is not a count"),
    ("best_epoch", -1, "best_epoch is not a count"),
    ("best", "x", "best is not a number"),
    ("history", {}, "history is not a list of epochs"),
    ("history", [{"loss": "low"}], "history is not a list of epochs"),
    ("averaged", 3, "averaged is not a table"),
]


@pytest.mark.parametrize(("name", "value", "message"), DAMAGED)
def test_a_checkpoint_with_a_wrong_value_is_refused_wherever_it_is_read(
    whole: dict[str, Any], tmp_path: Path, name: str, value: Any, message: str
) -> None:
    for file in ("last.pt", "best.pt"):
        torch.save(whole | {name: value}, tmp_path / file)
    with pytest.raises(SepbenchError, match=message):
        run(tmp_path).resume()
    with pytest.raises(SepbenchError, match=message):
        load_initial(PerBin(), tmp_path, method="tiny")
    with pytest.raises(SepbenchError, match=message):
        export_run(tmp_path, tmp_path / "out.safetensors")


@pytest.mark.parametrize("name", ["network", "averaged", "optimiser", "half", "best", "history"])
def test_a_run_goes_on_only_with_all_of_its_state(
    whole: dict[str, Any], tmp_path: Path, name: str
) -> None:
    rest = {key: value for key, value in whole.items() if key != name}
    torch.save(rest, tmp_path / "last.pt")
    with pytest.raises(SepbenchError, match=f"{name} is missing in this checkpoint"):
        run(tmp_path).resume()


@pytest.mark.parametrize(
    ("name", "value"),
    [("network", {"level": torch.zeros(2)}), ("optimiser", {}), ("averaged", {"x": 1})],
)
def test_a_state_of_another_network_is_one_line(
    whole: dict[str, Any], tmp_path: Path, name: str, value: Any
) -> None:
    torch.save(whole | {name: value}, tmp_path / "last.pt")
    with pytest.raises(SepbenchError, match="do not fit the network"):
        run(tmp_path).resume()


def test_a_run_of_another_method_is_not_resumed(whole: dict[str, Any], tmp_path: Path) -> None:
    torch.save(whole | {"method": "unet"}, tmp_path / "last.pt")
    with pytest.raises(SepbenchError, match="a run of unet, not tiny"):
        run(tmp_path).resume()


def test_a_run_begins_with_any_checkpoint_of_another(whole: dict[str, Any], tmp_path: Path) -> None:
    level = torch.full((65, 1), 3.0)
    torch.save(whole | {"weights": {"level": level}}, tmp_path / "last.pt")
    network = PerBin()
    known = load_initial(network, tmp_path / "last.pt", method="tiny")
    assert torch.equal(network.level, level)
    assert known["steps"] == 1


def test_a_file_that_is_no_checkpoint_is_answered_with_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "song.wav").write_bytes(b"RIFF")
    with pytest.raises(SepbenchError, match=r"give the folder or a checkpoint of a run$"):
        export_run(tmp_path / "song.wav", tmp_path / "out.safetensors")


def test_the_file_that_is_named_is_exported(tmp_path: Path) -> None:
    model = {"architecture": "dilated", "rate": 16000, "n_fft": 1024, "hop": 512}
    from sepbench.training.build import trainable_of, trained_separator

    network = trainable_of(trained_separator("mask-cnn"), model, "test").network()
    state = {"method": "mask-cnn", "model": model, "epoch": 4, "weights": network.state_dict()}
    torch.save(state, tmp_path / "old.ckpt")
    torch.save(state | {"epoch": 9}, tmp_path / "old.pt")
    assert export_run(tmp_path / "old.ckpt", tmp_path / "out.safetensors")["epochs"] == 4
    assert container.read_header(tmp_path / "out.safetensors")["epochs"] == 4


def test_a_place_that_cannot_be_written_is_one_line_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(SepbenchError, match=r"logs: cannot write: .*go on with --resume"):
        Log(tmp_path, Tiny(), first=0)
    (tmp_path / "curves.png").mkdir()
    history = [{"epoch": 1, "loss": 1.0, "seconds": 1.0, "validation loss": 2.0, "mean": 1.0}]
    with pytest.raises(SepbenchError, match=r"curves\.png: cannot write"):
        draw_curves({"tiny": history}, tmp_path / "curves.png")
