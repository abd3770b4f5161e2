from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sepbench import registry
from sepbench.errors import SepbenchError
from sepbench.weights import container

HEADER = {"method": "tiny", "model": {"rate": 8000}, "steps": 3}


def written(folder: Path) -> Path:
    file = folder / "tiny.safetensors"
    container.save(file, torch.nn.Linear(4, 2).state_dict(), HEADER)
    return file


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = written(tmp_path)
    assert container.read_header(file) == HEADER
    network = torch.nn.Linear(4, 2)
    container.load_into(network, file)
    again = tmp_path / "again.safetensors"
    container.save(again, network.state_dict(), HEADER)
    assert again.read_bytes() == file.read_bytes()


def test_no_bit_of_a_file_turns_unnoticed(tmp_path: Path) -> None:
    file = written(tmp_path)
    whole = file.read_bytes()
    # Without its name the digest is one more word of the header, and all else as it was.
    name = whole.index(b"sha256")
    for place in {*range(len(whole))} - {*range(name, name + 6)}:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        file.write_bytes(damaged)
        with pytest.raises(SepbenchError, match=str(file)) as caught:
            container.load_into(torch.nn.Linear(4, 2), file)
        assert "\n" not in str(caught.value)


def test_a_file_of_former_times_that_knows_no_digest_is_read(tmp_path: Path) -> None:
    file = tmp_path / "old.safetensors"
    state = torch.nn.Linear(4, 2).half().state_dict()
    save_file(state, file, metadata={"sepbench": json.dumps(HEADER)})
    assert container.read_header(file) == HEADER
    network = torch.nn.Linear(4, 2).half()
    container.load_into(network, file)
    assert torch.equal(network.weight, state["weight"])


@pytest.mark.parametrize("kept", [0, 5, 60, -1])
def test_a_cut_file_is_one_line(tmp_path: Path, kept: int) -> None:
    file = written(tmp_path)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(SepbenchError, match=r"empty|cut short|not safetensors"):
        container.read_header(file)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"These are no weights, they are words.", "not a weight file"),
        (struct.pack("<Q", 2) + b"{}", "not a weight file of sepbench"),
        (struct.pack("<Q", 2) + b"[]", "not a weight file"),
        (struct.pack("<Q", 5) + b"{{{{{", "damaged weights, or other"),
        (b"\x80\x02}q\x00.PK\x03\x04" * 9, "not a weight file"),
    ],
)
def test_other_files_are_reported_with_the_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    file = tmp_path / "other.safetensors"
    file.write_bytes(content)
    with pytest.raises(SepbenchError, match=reason) as caught:
        container.read_header(file)
    assert not re.search("unpack|codec|Expecting|KeyError|metadata", str(caught.value))


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match="a folder; give the weight file"):
        container.read_header(tmp_path)


def test_weights_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("no folder")
    with pytest.raises(SepbenchError, match=r"cannot write: .*; choose another --out"):
        written(tmp_path / "a")
    file = written(tmp_path)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "a", file]


def test_other_tensors_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match="do not fit"):
        container.load_into(torch.nn.Linear(5, 2), written(tmp_path))


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match="no such"):
        container.read_header(tmp_path / "none.safetensors")


def test_what_overflows_half_precision_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match="float16"):
        container.save(tmp_path / "x.safetensors", {"big": torch.tensor([1e6])}, HEADER)


def test_the_digest_ignores_the_order_of_keys() -> None:
    assert container.digest({"a": 1, "b": 2}) == container.digest({"b": 2, "a": 1})
    assert container.digest({"a": 1}) != container.digest({"a": 2})


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"method": "mask-cnn"}, "weights of mask-cnn, not of unet"),
        ({"method": "unet"}, "its header lacks facts"),
        ({"model": {}, "method": "unet", "context": 0, "trained_on": []}, "its header lacks facts"),
        (
            {"method": "unet", "model": {"rate": 8000}, "context": 0, "trained_on": []},
            "does not describe a network of unet",
        ),
    ],
)
def test_a_header_that_says_too_little_is_one_line(
    tmp_path: Path, said: dict[str, object], reason: str
) -> None:
    file = tmp_path / "some.safetensors"
    container.save(file, {"a": torch.zeros(1)}, said)
    (method,) = registry.resolve(f"unet[weights={file}]")
    with pytest.raises(SepbenchError, match=f"{file}: {reason}"):
        method.create().load(torch.device("cpu"))


@pytest.mark.parametrize(
    "model",
    [
        {"rate": 2**70},
        {"rate": 1.5},
        {"rate": "fast"},
        {"rate": 8000, "n_fft": 10**9},
        {"rate": 8000, "n_fft": 1024, "hop": 512.5},
        {"rate": 8000, "n_fft": 1024, "hop": 2048},
        {"rate": 8000, "hidden_size": 10**8},
        {"rate": 8000, "floor": float("nan")},
    ],
)
def test_a_header_with_sizes_out_of_range_is_refused(tmp_path: Path, model: dict) -> None:
    file, header = tmp_path / "w.safetensors", {**HEADER, "model": model}
    tensors = torch.nn.Linear(4, 2).state_dict()
    with pytest.raises(SepbenchError, match="not written, as it could not be read again"):
        container.save(file, tensors, header)
    assert not file.exists()
    save_file(tensors, file, {"sepbench": json.dumps(header)})
    with pytest.raises(SepbenchError, match="its header is not one of sepbench"):
        container.read_header(file)


def test_a_header_of_brackets_within_brackets_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    text = b'{"__metadata__":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    file.write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(SepbenchError, match="damaged"):
        container.read_header(file)
