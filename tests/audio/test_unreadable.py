"""What cannot be read is named with its cure."""

from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np
import pytest
from songs import encode, white, write

from sepbench import audio
from sepbench.errors import SepbenchError

RATE = 44100


def bad(path: Path) -> str:
    with pytest.raises(SepbenchError) as caught:
        audio.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_what_is_no_audio_is_named_with_its_cure(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("la la la\n" * 100)
    (tmp_path / "text.mp4").write_text("la la la\n" * 100)
    whole = write(tmp_path / "song.wav", white(2, RATE)).read_bytes()
    (tmp_path / "header.wav").write_bytes(whole[:20])
    write(tmp_path / "none.wav", white(2, 0))
    with av.open(str(tmp_path / "film.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    not_audio = "not readable audio; convert it to wav or flac"
    assert bad(tmp_path / "missing.wav") == "no such file"
    assert bad(tmp_path) == "a folder, not an audio file"
    assert bad(tmp_path / "empty.wav") == "an empty file; get it again"
    assert bad(tmp_path / "text.wav") == not_audio
    assert bad(tmp_path / "text.mp4") == not_audio
    assert bad(tmp_path / "header.wav") == (
        "not readable audio: its wav data is damaged or incomplete; get it again"
    )
    assert bad(tmp_path / "none.wav") == "no samples in this file"
    assert bad(tmp_path / "film.mp4") == "no audio in this file"


@pytest.mark.parametrize(("value", "name"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_first_sample_that_is_no_number_is_named(tmp_path: Path, value: float, name: str) -> None:
    samples = white(2, 3 * RATE)
    samples[1, 2 * RATE :] = value
    message = bad(write(tmp_path / "song.wav", samples, subtype="FLOAT"))
    assert message == f"sample 88200 of channel 1 (2.000 s) is {name}; repair or re-export the file"


def test_truncated_wav_is_read_as_far_as_it_goes_with_a_note(tmp_path: Path) -> None:
    samples = white(2, RATE)
    path = write(tmp_path / "song.wav", samples)
    path.write_bytes(path.read_bytes()[: 44 + 4 * 11025])
    read = audio.read(path)
    assert read.samples.shape[1] == pytest.approx(11025, abs=10)
    assert np.array_equal(read.samples, samples[:, : read.samples.shape[1]])
    assert re.fullmatch(r"cut short: it holds 25\.0% of the samples .*", read.notes[0])
    assert audio.info(path).notes == read.notes


def test_truncated_mp3_is_noted_once_read(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    write(path, white(2, RATE))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (note,) = audio.read(path).notes
    assert re.fullmatch(r"cut short: it ends 0\.\d\d s before its header says", note)
    assert audio.read(path, duration=0.1).notes == ()


def test_damaged_flac_is_an_error_that_says_where(tmp_path: Path) -> None:
    path = write(tmp_path / "song.flac", white(2, RATE))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert re.match(r"damaged near \d\.\d\d s: .*; get it again", bad(path))


@pytest.mark.parametrize("suffix", ["wav", "m4a"])
def test_a_span_outside_the_song_is_an_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"song.{suffix}"
    if suffix == "wav":
        write(path, white(2, RATE))
    else:
        encode(path, white(2, RATE))
    with pytest.raises(SepbenchError, match=r"cannot start at 5 s; it is 1\.0\d s long"):
        audio.read(path, start=5)
    with pytest.raises(SepbenchError, match=r"cannot start at -1 s; start at 0 or later"):
        audio.read(path, start=-1)
    with pytest.raises(SepbenchError, match=r"a duration of 0 s is empty"):
        audio.read(path, duration=0)
    with pytest.raises(SepbenchError, match=r"no audio stream 2; it has 1, counted from 0"):
        audio.read(path, stream=2)
