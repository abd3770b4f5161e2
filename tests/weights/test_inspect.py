from __future__ import annotations

import json
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from sepbench.activity.shipped import DEFAULT
from sepbench.cli.main import main
from sepbench.errors import SepbenchError
from sepbench.weights.inspect import inspect


def test_our_own_header_is_shown() -> None:
    found = inspect(DEFAULT)
    assert found["format"] == "sepbench"
    assert found["header"]["model"]["architecture"] == "activity"
    done = CliRunner().invoke(main, ["weights", "show", str(DEFAULT)])
    assert done.exit_code == 0
    assert "enter.0.weight 96 x 320 x 1" in done.output


def test_files_of_others_show_their_tensors(tmp_path: Path) -> None:
    tensors = {"layer.weight": torch.zeros(3, 4)}
    save_file(tensors, tmp_path / "other.safetensors", metadata={"made by": "someone"})
    torch.save({"state": tensors, "epoch": 7}, tmp_path / "other.pth")
    plain = inspect(tmp_path / "other.safetensors")
    assert (plain["header"], plain["tensors"]) == ({"made by": "someone"}, {"layer.weight": [3, 4]})
    pickled = inspect(tmp_path / "other.pth")
    assert (pickled["header"], pickled["tensors"]) == (
        {"epoch": 7}, {"state.layer.weight": [3, 4]}
    )  # fmt: skip


def test_tensors_in_lists_are_shown(tmp_path: Path) -> None:
    file = tmp_path / "other.pt"
    torch.save([torch.zeros(3), {"a": torch.ones(2, 1), "steps": [1, 2]}], file)
    assert inspect(file)["tensors"] == {"0": [3], "1.a": [2, 1]}


def test_an_archive_of_keras_is_not_called_damaged(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("model.weights.h5", b"")
    with pytest.raises(SepbenchError, match=r"archive of Keras 3; unzip it, give its model\.weig"):
        inspect(tmp_path / "a.keras")


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("exploded"),))  # type: ignore[return-value]


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bomb.pt"
    file.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(SepbenchError, match="not a checkpoint of torch, or damaged"):
        inspect(file)
    assert not Path("exploded").exists()


def test_objects_beside_tensors_are_passed_by_and_not_made(tmp_path: Path) -> None:
    file = tmp_path / "other.pth"
    torch.save({"weights": {"a": torch.zeros(2)}, "by": Bomb(), "epoch": 3}, file)
    found = inspect(file)
    assert (found["header"], found["tensors"]) == ({"epoch": 3}, {"weights.a": [2]})
    assert not Path("exploded").exists()


def test_a_folder_and_a_missing_file_are_distinguished(tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match=r"a folder; give a weight file in it"):
        inspect(tmp_path)
    with pytest.raises(SepbenchError, match="no such file"):
        inspect(tmp_path / "none.pt")


def test_noise_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "noise.safetensors"
    file.write_bytes(b"\xff" * 64)
    with pytest.raises(SepbenchError, match="not a known format of weights"):
        inspect(file)


@pytest.mark.parametrize(
    "table",
    [
        {"a": {"shape": 5}},
        {"a": {"shape": ["x"]}},
        {"a": {}},
        {"a": 1},
        {"__metadata__": ["x"]},
        [1],
    ],
)
def test_tables_of_another_form_are_one_line(tmp_path: Path, table: object) -> None:
    text = json.dumps(table).encode()
    file = tmp_path / "odd.safetensors"
    file.write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(SepbenchError, match=r"odd\.safetensors: damaged, or its suffix"):
        inspect(file)
