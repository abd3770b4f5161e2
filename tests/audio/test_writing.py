"""Stems are written whole or not at all."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from songs import tone, white, write

from sepbench import audio
from sepbench.audio import encoders as encode_module
from sepbench.errors import SepbenchError

RATE = 44100
LSB = 1 / 32768


@pytest.mark.parametrize(
    ("suffix", "bit_depth", "step"),
    [("wav", "16", 2**-15), ("wav", "24", 2**-23), ("flac", "16", 2**-15), ("flac", "24", 2**-23)],
)
def test_whole_numbers_are_rounded_to_the_nearest(
    tmp_path: Path, suffix: str, bit_depth: str, step: float
) -> None:
    samples = np.random.default_rng(3).uniform(-0.9, 0.9, (2, 5000)).astype(np.float32)
    path = tmp_path / "deep" / f"stem.{suffix}"
    with audio.Writer(path, RATE, 2, bit_depth=bit_depth) as writer:
        writer.write(samples[:, :1234])
        writer.write(samples[:, 1234:])
    assert np.abs(audio.read(path).samples - samples).max() <= step / 2
    assert (writer.clipped, writer.samples) == (0, 5000)
    assert writer.peak == np.abs(samples).max()


def test_float_wav_and_sixteen_bit_samples_come_back_exactly(tmp_path: Path) -> None:
    for bit_depth, samples in (
        ("32f", tone((1000, 700), 0.1, level=1.0)),
        ("16", white(2, RATE)),
        ("24", white(2, RATE)),
    ):
        with audio.Writer(tmp_path / "stem.wav", RATE, 2, bit_depth=bit_depth) as writer:
            writer.write(samples)
        assert np.array_equal(audio.read(tmp_path / "stem.wav").samples, samples)
        assert writer.clipped == 0


def test_what_clips_is_counted_and_does_not_wrap(tmp_path: Path) -> None:
    samples = np.array([[0.5, 1.0, 1.5, -1.0, -1.5, -0.5]], np.float32)
    with audio.Writer(tmp_path / "stem.wav", RATE, 1, bit_depth="16") as writer:
        writer.write(samples)
    assert (writer.clipped, writer.peak) == (2, 1.5)
    read = audio.read(tmp_path / "stem.wav").samples
    assert np.abs(read - np.clip(samples, -1, 1)).max() <= LSB


def test_vorbis_keeps_level_and_length(tmp_path: Path) -> None:
    samples = tone((1000, 700), 3, level=0.5)
    with audio.Writer(tmp_path / "stem.ogg", RATE, 2) as writer:
        writer.write(samples)
    read = audio.read(tmp_path / "stem.ogg").samples
    assert read.shape == samples.shape
    assert np.square(read).mean() == pytest.approx(np.square(samples).mean(), rel=0.03)


def test_a_wav_that_outgrows_its_header_becomes_rf64(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode_module, "WAV_LIMIT", 10_000)
    for bit_depth in ("16", "24", "32f"):
        path = tmp_path / f"{bit_depth}.wav"
        with audio.Writer(path, RATE, 2, bit_depth=bit_depth) as writer:
            for start in range(0, 10_000, 1000):
                writer.write(white(2, 10_000)[:, start : start + 1000])
        assert soundfile.info(path).format == "RF64"
        assert np.array_equal(audio.read(path).samples, white(2, 10_000))
    assert len(list(tmp_path.iterdir())) == 3


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "stem.wav"
    path.write_bytes(b"old")
    samples = white(2, RATE)
    samples[0, -1] = np.nan
    source = write(tmp_path / "song.wav", samples, subtype="FLOAT")

    def copy() -> None:
        with audio.Writer(path, RATE, 2) as writer:
            for block in audio.blocks(source, RATE // 2):
                writer.write(block)

    with pytest.raises(SepbenchError):
        copy()
    assert path.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == [source, path]


def test_the_file_appears_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "stem.wav"
    with audio.Writer(path, RATE, 2) as writer:
        writer.write(white(2, RATE))
        assert not path.exists()
    assert list(tmp_path.iterdir()) == [path]


def test_where_nothing_can_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.wav").mkdir()
    for path in (tmp_path / "file" / "stem.wav", tmp_path / "folder.wav"):
        with (
            pytest.raises(SepbenchError, match=f"^{re.escape(str(path))}: cannot be written: "),
            audio.Writer(path, RATE, 2) as writer,
        ):
            writer.write(white(2, RATE))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.wav"]


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    program = f"""
import resource, signal
from pathlib import Path
import numpy as np
from sepbench.audio import Writer
from sepbench.errors import SepbenchError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with Writer(Path({str(tmp_path)!r}) / "stem.wav", 44100, 2) as writer:
        for _ in range(10):
            writer.write(np.zeros((2, 44100), np.float32))
except SepbenchError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "stem.wav: cannot be written: " in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_channels_that_a_format_does_not_take_are_refused(tmp_path: Path) -> None:
    message = "stem.flac: cannot be written: flac does not support 9 channels at 44100 Hz"
    with (
        pytest.raises(SepbenchError, match=message),
        audio.Writer(tmp_path / "stem.flac", RATE, 9) as writer,
    ):
        writer.write(white(9, 10))
    assert list(tmp_path.iterdir()) == []


def test_formats_without_the_bit_depth_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match="flac has no bit depth 32f; choose 16 or 24"):
        audio.Writer(tmp_path / "stem.flac", RATE, 2, bit_depth="32f")
    with pytest.raises(SepbenchError, match="cannot write 'wma' files; choose wav, flac, ogg"):
        audio.check_format("wma", "16")
    with pytest.raises(SepbenchError, match="mp3 has no bit depth 32f; leave it out"):
        audio.check_format("mp3", "32f")
