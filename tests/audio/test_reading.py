"""Files are read as they are, whole or in spans."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
from songs import encode, tone, white, write

from sepbench import audio

RATE = 44100
LSB = 1 / 32768


@pytest.fixture(scope="module")
def example(museval: ModuleType) -> Path:
    import stempeg

    return Path(stempeg.example_stem_path())


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", [8000, 44100, 96000])
@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff"])
def test_uncompressed_samples_are_read_exactly(
    tmp_path: Path, suffix: str, rate: int, channels: int
) -> None:
    samples = white(channels, 2000)
    path = write(tmp_path / f"song.{suffix}", samples, rate)
    read = audio.read(path)
    assert read.rate == rate
    assert read.samples.dtype == np.float32
    assert np.array_equal(read.samples, samples)
    told = audio.info(path)
    assert (told.rate, told.channels, told.samples, told.exact) == (rate, channels, 2000, True)


def test_eight_bit_is_read_within_its_step(tmp_path: Path) -> None:
    samples = tone((1000, 700), 0.02, level=0.5)
    read = audio.read(write(tmp_path / "song.wav", samples, subtype="PCM_U8")).samples
    assert np.abs(read - samples).max() <= 1 / 128


def test_one_sample_is_a_song(tmp_path: Path) -> None:
    path = write(tmp_path / "click.wav", white(2, 1))
    assert np.array_equal(audio.read(path).samples, white(2, 1))
    assert [block.shape for block in audio.blocks(path, 1024)] == [(2, 1)]


def test_float_files_keep_what_is_beyond_full_scale(tmp_path: Path) -> None:
    samples = tone((1000, 700), 0.01, level=1.5)
    path = write(tmp_path / "hot.wav", samples, subtype="FLOAT")
    assert np.array_equal(audio.read(path).samples, samples)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "m4a", "stem.mp4"])
def test_blocks_and_spans_are_pieces_of_the_whole(tmp_path: Path, suffix: str) -> None:
    samples = white(2, 3 * RATE)
    path = tmp_path / f"song.{suffix}"
    if suffix in {"m4a", "stem.mp4"}:
        encode(path, samples)
    else:
        write(path, samples)
    whole = audio.read(path).samples
    for size in (1000, 65536, 10 * RATE):
        pieces = list(audio.blocks(path, size))
        assert {piece.shape[1] for piece in pieces[:-1]} <= {size}
        assert np.array_equal(np.concatenate(pieces, axis=1), whole)
    for start, duration in ((0.1, 0.5), (1.23456, 1.0), (2.5, 60.0)):
        first, last = round(start * RATE), round((start + duration) * RATE)
        span = audio.read(path, start=start, duration=duration).samples
        assert np.array_equal(span, whole[:, first:last])


@pytest.mark.parametrize("suffix", ["m4a", "mp4", "aac"])
def test_aac_begins_where_the_song_begins(tmp_path: Path, suffix: str) -> None:
    samples = tone((1000, 700), level=0.5) * np.clip(np.arange(RATE) / 256, 0, 1).astype(np.float32)
    read = audio.read(encode(tmp_path / f"song.{suffix}", samples)).samples
    # A bare aac stream has no place to say that its first frame is the encoder's.
    delay = 1024 if suffix == "aac" else 0
    for frame in (slice(0, 1024), slice(20480, 21504)):
        error = read[:, delay:][:, frame] - samples[:, frame]
        assert np.square(error).sum() < 0.2 * np.square(samples[:, frame]).sum()


def test_alac_is_read_exactly(tmp_path: Path) -> None:
    samples = white(2, 5000)
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("alac", rate=RATE, layout="stereo", format="s16p")
        whole = np.ascontiguousarray((samples * 32768).astype(np.int16))
        frame = av.AudioFrame.from_ndarray(whole, format="s16p", layout="stereo")
        frame.rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert np.array_equal(audio.read(path).samples[:, :5000], samples)


@pytest.mark.slow
def test_stems_file_equals_stempeg(example: Path) -> None:
    import stempeg

    wanted, rate = stempeg.read_stems(str(example), ffmpeg_format="s16le")
    assert audio.info(example).streams == 5
    assert audio.info(example).samples == 268288
    for stream in range(5):
        read = audio.read(example, stream=stream)
        assert read.rate == rate
        assert read.samples.shape == (2, 268288)
        difference = np.abs(read.samples.T - wanted[stream])
        # Two releases of the AAC decoder may round a sample in 50 000 to either side.
        assert difference.max() <= LSB
        assert np.count_nonzero(difference) < 1e-4 * difference.size
        assert np.array_equal(read.samples, np.rint(read.samples * 32768) / 32768)


def test_excerpt_of_stems_file_equals_stempeg(example: Path) -> None:
    import stempeg

    wanted, _ = stempeg.read_stems(
        str(example), start=1.23456, duration=0.5, stem_id=4, ffmpeg_format="s16le"
    )
    read = audio.read(example, start=1.23456, duration=0.5, stream=4).samples
    assert np.abs(read.T - wanted).max() <= LSB


def test_long_file_is_read_in_bounded_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = write(tmp_path / "long.wav", np.zeros((2, 40 * RATE), np.float32) + LSB)
    tracemalloc.start()
    samples = sum(block.shape[1] for block in audio.blocks(path, RATE))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert samples == 40 * RATE
    assert peak < 8 * 40 * RATE / 4
