"""Starts, lengths and damage of mp3 files."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from songs import RATE, clicks, encode, harmonics, write

from sepbench import audio
from sepbench.audio import mp3


def one_decode(path: Path) -> NDArray[np.float32]:
    """All that the file holds, decoded by libsndfile in a single read."""
    with soundfile.SoundFile(path) as file:
        samples: NDArray[np.float32] = file.read(dtype="float32", always_2d=True).T
    return samples


@pytest.mark.parametrize("bitrate_mode", ["CONSTANT", "VARIABLE"])
def test_mp3_has_no_seams_and_no_start_changes_it(tmp_path: Path, bitrate_mode: str) -> None:
    path = write(tmp_path / "song.mp3", clicks(6), bitrate_mode=bitrate_mode, compression_level=0.9)
    whole = one_decode(path)
    read = audio.read(path).samples
    assert read.shape == whole.shape == (1, 6 * RATE)
    assert np.abs(read - whole).max() < 1e-5
    for start in np.arange(0.1, 5.8, 0.37):
        first = round(start * RATE)
        part = audio.read(path, start=start, duration=0.2).samples
        assert np.abs(part - whole[:, first : first + part.shape[1]]).max() < 1e-5


def low_rate_song(path: Path, kind: str) -> Path:
    """Write 170 s of mp3 at 8 kHz, in which a start can be beyond the frames decoded before it."""
    rate, seconds = 8000, 170
    if kind != "UNTAGGED":
        return write(path, clicks(seconds, rate), rate, bitrate_mode=kind, compression_level=0.9)
    untagged = {"write_xing": "0", "id3v2_version": "0"}
    return encode(path, clicks(seconds, rate), "libmp3lame", rate=rate, **untagged)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["CONSTANT", "VARIABLE", "UNTAGGED"])
def test_a_start_deep_in_mp3_is_exact_though_little_before_it_is_decoded(
    tmp_path: Path, kind: str
) -> None:
    path = low_rate_song(tmp_path / "song.mp3", kind)
    whole = audio.read(path)
    for start in (155.1, 163.77, 169.95):
        first = round(start * whole.rate)
        with mp3.near(path, first) as found:
            assert found is not None
            assert 0 < first - found[0] <= 1100 * 576
        part = audio.read(path, start=start).samples
        assert part.shape == whole.samples[:, first:].shape
        assert np.abs(part - whole.samples[:, first:]).max() < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["header", "side information", "joined"])
def test_a_start_beyond_frames_that_cannot_be_counted_is_exact(tmp_path: Path, damage: str) -> None:
    path = low_rate_song(tmp_path / "song.mp3", "UNTAGGED")
    data = bytearray(path.read_bytes())
    frame = data.index(data[:2], len(data) // 4)
    if damage == "joined":
        data[frame:frame] = b"TAG" + bytes(125) + b"ID3\4\0\0\0\0\0\x20" + bytes(32)
    else:
        place = frame if damage == "header" else frame + 5
        data[place : place + 4] = b"\xff" * 4 if damage == "side information" else bytes(4)
    path.write_bytes(data)
    whole = audio.read(path).samples
    first = whole.shape[1] - 4000
    with mp3.near(path, first) as found:
        assert found is None
    part = audio.read(path, start=first / 8000).samples
    assert np.abs(part - whole[:, first:]).max() < 1e-5


def test_mp3_is_known_by_content(tmp_path: Path) -> None:
    whole = audio.read(write(tmp_path / "song.mp3", clicks(2))).samples
    (tmp_path / "song.mp3").rename(tmp_path / "song.wav")
    assert np.array_equal(audio.read(tmp_path / "song.wav").samples, whole)


def test_mp3_without_a_length_is_read_whole_and_its_length_is_counted(tmp_path: Path) -> None:
    # Quiet first, loud after: what the first frames' bit rate says of the length is far off.
    samples = np.zeros((1, 20 * RATE), np.float32)
    samples[:, 10 * RATE :] = np.random.default_rng(0).normal(0, 0.2, 10 * RATE)
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w", options={"write_xing": "0", "id3v2_version": "0"}) as container:
        stream = container.add_stream("libmp3lame", rate=RATE, layout="mono", options={"q": "9"})
        stream.codec_context.qscale = True
        stream.codec_context.global_quality = 9 * 118
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.rate, frame.pts = RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    read = audio.read(path)
    assert read.samples.shape[1] / RATE == pytest.approx(20, abs=0.1)
    assert audio.info(path).samples == read.samples.shape[1]
    assert read.notes == ()


def test_a_damaged_frame_of_mp3_costs_itself_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "song.mp3", harmonics(200, 1, 4), bitrate_mode="CONSTANT")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
    path.write_bytes(data)
    assert audio.read(path).samples.shape[1] / RATE == pytest.approx(4, abs=0.2)


def test_a_download_that_was_allocated_and_not_finished_is_reported(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.2, (1, 4 * RATE)).astype(np.float32)
    path = encode(tmp_path / "song.aac", noise, "aac")
    path.write_bytes(path.read_bytes() + bytes(1 << 14))
    assert "ends in zeros, as a download that did not finish" in " ".join(audio.read(path).notes)


@pytest.mark.parametrize("quiet", [0, 6])
def test_a_guessed_length_is_no_promise(tmp_path: Path, quiet: int) -> None:
    samples = np.random.default_rng(0).normal(0, 0.2, (1, 8 * RATE)).astype(np.float32)
    samples[:, : quiet * RATE] = 0
    path = encode(tmp_path / "song.aac", samples, "aac")
    read = audio.read(path)
    assert read.samples.shape[1] / RATE == pytest.approx(8, abs=0.1)
    assert read.notes == ()
    assert audio.info(path).seconds == pytest.approx(8, abs=0.1)
