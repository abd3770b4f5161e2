"""Headers that are wrong, unfinished or too small for their file."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from songs import RATE, clicks, harmonics, write

from sepbench import audio
from sepbench.audio import reader as reader_module
from sepbench.errors import SepbenchError

CONTAINERS = {"wav": "WAV", "aiff": "AIFF", "au": "AU", "caf": "CAF", "w64": "W64", "rf64": "RF64"}
WRAPPED = ("longer than its header can express (4 GiB); read to the end",)
CUT = ("cut short: it holds 66.7% of the samples that its header announces",)


def test_flac_of_unknown_length_is_read(tmp_path: Path) -> None:
    samples = (clicks(4, channels=2) * 2**15).round() / np.float32(2**15)
    path = write(tmp_path / "song.flac", samples, subtype="PCM_24")
    data = bytearray(path.read_bytes())
    assert int.from_bytes(data[21:26], "big") & 0xF_FFFF_FFFF == 4 * RATE
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    read = audio.read(path)
    assert np.array_equal(read.samples, samples)
    assert read.notes == ()


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_a_file_that_was_cut_says_how_much_it_holds(tmp_path: Path, suffix: str) -> None:
    samples = clicks(2)
    path = write(tmp_path / f"song.{suffix}", samples, format=CONTAINERS[suffix], subtype="PCM_16")
    assert audio.read(path).notes == ()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - RATE * 2])
    read = audio.read(path)
    assert read.samples.shape[1] == pytest.approx(RATE, abs=10)
    assert np.abs(read.samples - samples[:, : read.samples.shape[1]]).max() < 1e-4
    assert read.notes == ("cut short: it holds 50.0% of the samples that its header announces",)


def unfinished(path: Path) -> None:
    """Set every length in a header to 0, as a recorder leaves it that dies."""
    data = bytearray(path.read_bytes())
    lengths = {
        b"RIFF": [(4, 4), (data.find(b"data") + 4, 4)],
        b"RF64": [(20, 8), (28, 8), (36, 8)],
        b"riff": [(16, 8), (data.find(b"data", 24) + 16, 8)],
        b"FORM": [(4, 4), (data.find(b"COMM") + 10, 4), (data.find(b"SSND") + 4, 4)],
        b".snd": [(8, 4)],
        b"caff": [(data.find(b"data") + 4, 8)],
    }
    for at, size in lengths[bytes(data[:4])]:
        data[at : at + size] = bytes(size)
    path.write_bytes(data)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_a_header_that_was_never_finished_costs_no_sound(
    tmp_path: Path, suffix: str, subtype: str
) -> None:
    samples = (harmonics(200, 2, 1) * 2**15).round() / np.float32(2**15)
    path = write(tmp_path / f"song.{suffix}", samples, format=CONTAINERS[suffix], subtype=subtype)
    unfinished(path)
    read = audio.read(path)
    assert read.samples.shape[1] == pytest.approx(RATE, abs=8)
    assert np.array_equal(read.samples[:, :RATE], samples)
    assert read.notes == ("its header was never finished (length 0); read to the end of the file",)
    part = audio.read(path, start=0.5, duration=0.25).samples
    assert np.array_equal(part, samples[:, RATE // 2 : RATE // 2 + RATE // 4])


@pytest.mark.parametrize(
    ("announced", "held", "notes"),
    [
        pytest.param(4 * RATE, (1 << 32) + 4 * RATE, WRAPPED, id="wrapped"),
        pytest.param(0xFFFFFFFF, (1 << 32) + 4 * RATE, (), id="ffmpeg to a pipe, beyond 4 GiB"),
        pytest.param(0x7FFFF000, 3 << 30, (), id="sox to a pipe, beyond 2 GiB"),
        pytest.param(0x80000000, 1 << 20, (), id="arecord that was killed"),
        pytest.param(0xFFFFFFFF, 1 << 20, (), id="ffmpeg to a pipe"),
        pytest.param(3 << 30, 2 << 30, CUT, id="cut beyond 2 GiB"),
        pytest.param(0x7FFFF000, 0x7FFFF000, (), id="as long as it says"),
    ],
)
@pytest.mark.parametrize("channels", [2, 4])
def test_a_wav_beyond_its_header_is_read_to_its_end(
    tmp_path: Path, channels: int, announced: int, held: int, notes: tuple[str, ...]
) -> None:
    samples = (harmonics(200, channels, 1024 / RATE) * 2**15).round() / np.float32(2**15)
    path = write(tmp_path / "song.wav", samples, subtype="PCM_16")
    with path.open("r+b") as file:
        # A hole takes no room on the disk.
        first = path.stat().st_size - samples.size * 2
        file.seek(first - 4)
        file.write(struct.pack("<I", announced))
        file.write(bytes(4096))
        file.truncate(first + held)
        file.seek(first + held - samples.size * 2)
        file.write((samples.T * 2**15).astype("<i2").tobytes())
    with audio.Reader(path) as reader:
        assert reader.info.samples == held // 2 // channels
        assert reader.info.notes == notes
        start = reader.info.samples - samples.shape[1]
        assert np.array_equal(reader.read(start=start / RATE).samples, samples)


def test_a_header_that_lies_about_its_length_takes_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "song.flac", clicks(1))
    data = bytearray(path.read_bytes())
    data[21] |= 0x0F
    data[22:26] = b"\xff" * 4
    path.write_bytes(data)
    asked = []
    empty = np.empty
    monkeypatch.setattr(
        reader_module.np,
        "empty",
        lambda shape, *how, **more: asked.append(shape) or empty(shape, *how, **more),
    )
    with pytest.raises(SepbenchError, match=f"{path}"):
        audio.read(path)
    assert max(np.prod(shape) for shape in asked) <= 2**24


@pytest.mark.parametrize(
    ("bits", "rate", "kind"), [(0, RATE, 1), (255, RATE, 1), (16, 1, 1), (16, RATE, 0)]
)
def test_a_header_of_nonsense_is_one_line(tmp_path: Path, bits: int, rate: int, kind: int) -> None:
    data = bytearray(write(tmp_path / "song.wav", clicks(1)).read_bytes())
    data[20:36] = struct.pack("<HHIIHH", kind, 1, rate, rate * 2, 2, bits)
    (tmp_path / "song.wav").write_bytes(data)
    with pytest.raises(SepbenchError, match=r"song.wav: ") as caught:
        audio.read(tmp_path / "song.wav")
    assert "\n" not in str(caught.value)
