from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sepbench.errors import SepbenchError
from sepbench.training import weights
from sepbench.training.learned import extend

HEADER = {"method": "tiny", "model": {"rate": 8000}, "steps": 3}


def written(folder: Path) -> Path:
    file = folder / "tiny.safetensors"
    weights.save(file, torch.nn.Linear(4, 2).state_dict(), HEADER)
    return file


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = written(tmp_path)
    assert weights.read_header(file) == HEADER
    network = torch.nn.Linear(4, 2)
    weights.load_into(network, file)
    again = tmp_path / "again.safetensors"
    weights.save(again, network.state_dict(), HEADER)
    assert again.read_bytes() == file.read_bytes()


@pytest.mark.parametrize("kept", [0, 5, 60, -1])
def test_a_cut_file_is_one_line(tmp_path: Path, kept: int) -> None:
    file = written(tmp_path)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(SepbenchError, match="not a weight file"):
        weights.read_header(file)


def test_other_tensors_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match="do not fit"):
        weights.load_into(torch.nn.Linear(5, 2), written(tmp_path))


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match="no such"):
        weights.read_header(tmp_path / "none.safetensors")


def test_what_overflows_half_precision_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match="float16"):
        weights.save(tmp_path / "x.safetensors", {"big": torch.tensor([1e6])}, HEADER)


def test_the_digest_ignores_the_order_of_keys() -> None:
    assert weights.digest({"a": 1, "b": 2}) == weights.digest({"b": 2, "a": 1})
    assert weights.digest({"a": 1}) != weights.digest({"a": 2})


def test_a_mask_goes_on_above_its_rows_as_its_top() -> None:
    mask = torch.zeros(1, 32, 5)
    mask[:, 30:] = torch.tensor([0.4, 0.6])[:, None]
    wide = extend(mask, 100)
    assert wide.shape == (1, 100, 5)
    assert torch.equal(wide[:, :32], mask)
    assert wide[:, 32:].eq(0.5).all()
