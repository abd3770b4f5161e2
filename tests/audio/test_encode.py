"""What is written is the song's sound, channels, tags and cover, the same in every run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
import soundfile
from songs import harmonics, loudest, write_in_blocks

from sepbench import audio
from sepbench._util.partial import partial_path, remove_abandoned
from sepbench.errors import SepbenchError

RATE = 44100


@pytest.mark.parametrize("suffix", ["mp3", "m4a", "opus", "ogg"])
@pytest.mark.parametrize("channels", [1, 2])
def test_lossy_formats_keep_length_lag_and_level(
    tmp_path: Path, suffix: str, channels: int
) -> None:
    rate = 48000 if suffix == "opus" else RATE
    samples = harmonics(440, channels, 2 + 123 / rate, rate)
    read = write_in_blocks(tmp_path / f"stem.{suffix}", samples, rate)
    # AAC decoders give the last frame whole.
    assert 0 <= read.shape[1] - samples.shape[1] < (1024 if suffix == "m4a" else 1)
    inner = slice(4096, 2 * rate - 4096)
    assert np.abs(read[:, inner] - samples[:, inner]).max() < 0.02


@pytest.mark.parametrize("suffix", ["mp3", "m4a", "opus", "ogg"])
@pytest.mark.parametrize("length", [200, 31 * 1024 + 2])
def test_the_last_samples_of_a_lossy_file_are_kept(
    tmp_path: Path, suffix: str, length: int
) -> None:
    rate = 48000
    path = tmp_path / f"stem.{suffix}"
    read = write_in_blocks(path, harmonics(440, 1, length / rate, rate), rate)
    assert read.shape[1] >= length
    if suffix == "m4a":  # Players end where the header says.
        assert audio.info(path).samples == length


@pytest.mark.parametrize(
    ("channels", "length", "bitrate"), [(2, 400, None), (1, 1000, 320), (2, 40, None)]
)
def test_an_mp3_of_a_few_frames_is_read_as_mp3(
    tmp_path: Path, channels: int, length: int, bitrate: int | None
) -> None:
    # By their content, FFmpeg takes the first two for video.
    noise = 0.1 * np.random.default_rng(length).standard_normal((channels, length))
    samples = noise.astype(np.float32)
    read = write_in_blocks(tmp_path / "stem.mp3", samples, bitrate=bitrate)
    assert abs(read.shape[1] - length) <= 7
    tail = slice(length // 4, length)
    error = np.square(read[:, tail] - samples[:, tail]).sum()
    assert length < 400 or error < 0.25 * np.square(samples[:, tail]).sum()


@pytest.mark.parametrize("length", [100, 12345, 96001])
def test_the_header_of_an_opus_file_says_how_many_samples_are_read(
    tmp_path: Path, length: int
) -> None:
    path = tmp_path / "stem.opus"
    assert write_in_blocks(path, harmonics(440, 2, length / 48000, 48000), 48000).shape[1] == length
    assert audio.info(path).samples == length == soundfile.info(path).frames


@pytest.mark.parametrize(("suffix", "rate"), [("mp3", 96000), ("opus", 44100)])
def test_a_song_shorter_than_the_delay_of_resampling_is_not_lost(
    tmp_path: Path, suffix: str, rate: int
) -> None:
    samples = harmonics(2000, 1, 400 / rate, rate)
    read = write_in_blocks(tmp_path / f"stem.{suffix}", samples, rate)
    assert read.shape[1] == pytest.approx(400 * 48000 / rate, abs=1)
    assert np.square(read).mean() == pytest.approx(np.square(samples).mean(), rel=0.3)


def test_a_higher_bit_rate_makes_a_larger_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 2 * RATE)).astype(np.float32)
    for suffix in ("mp3", "m4a", "opus"):
        sizes = []
        for bitrate in (96, 192):
            write_in_blocks(tmp_path / f"stem.{suffix}", noise, bitrate=bitrate)
            sizes.append((tmp_path / f"stem.{suffix}").stat().st_size)
        assert sizes[1] / sizes[0] == pytest.approx(2, rel=0.25)


@pytest.mark.parametrize("rate", [8000, 96000])
@pytest.mark.parametrize("suffix", ["mp3", "m4a", "opus"])
def test_a_rate_that_a_format_lacks_becomes_one_that_it_has(
    tmp_path: Path, suffix: str, rate: int
) -> None:
    samples = harmonics(50, 2, 1, rate)
    path = tmp_path / f"stem.{suffix}"
    write_in_blocks(path, samples, rate)
    info = audio.info(path)
    assert info.seconds == pytest.approx(1, abs=0.1)
    assert loudest(audio.read(path).samples, info.rate, 50) == [50, 100]


def test_bit_rates_are_for_lossy_formats(tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match="wav has no bit rate; use --format mp3"):
        audio.Writer(tmp_path / "stem.wav", RATE, 2, bitrate=192)


@pytest.mark.parametrize(
    ("suffix", "channels", "rate", "most"),
    [
        ("mp3", 1, RATE, 320),
        ("mp3", 2, RATE, 320),
        ("mp3", 2, 22050, 160),
        ("mp3", 1, 8000, 64),
        ("opus", 1, RATE, 256),
    ],
)
def test_a_bit_rate_that_a_format_lacks_is_refused_not_lowered(
    tmp_path: Path, suffix: str, channels: int, rate: int, most: int
) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (channels, 2 * rate)).astype(np.float32)
    path = tmp_path / f"stem.{suffix}"
    with audio.Writer(path, rate, channels, bitrate=most) as writer:
        writer.write(noise)
    assert path.stat().st_size * 8 / 2 == pytest.approx(1000 * most, rel=0.15)
    with (
        pytest.raises(SepbenchError, match=f"at most {most} kbit/s"),
        audio.Writer(path, rate, channels, bitrate=most + 1) as writer,
    ):
        writer.write(noise)


def test_mp3_of_six_channels_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(SepbenchError, match="mp3 does not support 6 channels"),
        audio.Writer(tmp_path / "stem.mp3", RATE, 6),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_channels_that_aac_has_no_place_for_are_refused_with_a_cure(tmp_path: Path) -> None:
    layout = "FL+FR+LFE+BL+BR"
    with (
        pytest.raises(SepbenchError, match=r"not support FL\+FR\+LFE\+BL\+BR; use --format wav$"),
        audio.Writer(tmp_path / "stem.m4a", RATE, 5, layout=layout),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "opus", "m4a"])
@pytest.mark.parametrize("channels", [3, 4, 5, 6, 7, 8])
def test_every_channel_comes_back_in_its_place(tmp_path: Path, suffix: str, channels: int) -> None:
    samples = harmonics(50, channels)
    path = tmp_path / f"stem.{suffix}"
    write_in_blocks(path, samples)
    read = audio.read(path)
    found = loudest(read.samples, read.rate, 50)
    expected = [50 * (1 + channel) for channel in range(channels)]
    assert found == expected


@pytest.mark.parametrize("layout", ["5.1", "5.1(side)", "quad", "7.1"])
def test_channels_keep_their_names_in_wav(tmp_path: Path, layout: str) -> None:
    channels = av.AudioLayout(layout).nb_channels
    path = tmp_path / "stem.wav"
    samples = harmonics(50, channels, 5000 / RATE)
    for depth in ("16", "24", "32f"):
        read = write_in_blocks(path, samples, layout=layout, bit_depth=depth)
        assert np.abs(read - samples).max() < 2**-15
        assert audio.info(path).layout == layout


def test_two_runs_are_equal_to_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = harmonics(50, 2)
    for suffix, how in [("wav", {"bit_depth": "32f"}), ("mp3", {}), ("m4a", {}), ("opus", {})]:
        one, other = tmp_path / f"one.{suffix}", tmp_path / f"other.{suffix}"
        write_in_blocks(one, samples, **how)
        if suffix == "wav":
            # libsndfile stamps the second in which it writes.
            data = one.read_bytes()
            peak = data.find(b"PEAK")
            assert peak > 0
            assert data[peak + 12 : peak + 16] == bytes(4)
        write_in_blocks(other, samples, **how)
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("layout", ["5.0(side)", "5.1(side)"])
def test_side_channels_are_kept_in_opus(tmp_path: Path, layout: str) -> None:
    channels = av.AudioLayout(layout).nb_channels
    path = tmp_path / "stem.opus"
    write_in_blocks(path, harmonics(50, channels), layout=layout)
    read = audio.read(path)
    assert loudest(read.samples, read.rate, 50) == [
        50 * (1 + channel) for channel in range(channels)
    ]


def test_partial_files_of_dead_processes_are_removed_and_no_others(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from sepbench._util.partial import partial_path; "
        f"print(partial_path(Path({str(tmp_path)!r}, 'a')).name)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    own = partial_path(tmp_path / "stem.wav").name
    others = [own, ".download.part", "song.part", "vocals.wav"]
    for name in [ended, *others]:
        (tmp_path / name).touch()
    assert [path.name for path in remove_abandoned(tmp_path)] == [ended]
    assert {path.name for path in tmp_path.iterdir()} == set(others)


def test_a_number_that_another_process_got_since_is_not_the_writer(tmp_path: Path) -> None:
    machine, number, started, rest = partial_path(tmp_path / "a").name.split("-")
    assert int(number) == os.getpid()
    assert int(started) == int(psutil.Process().create_time())
    old = tmp_path / f"{machine}-{number}-{int(started) - 5}-{rest}"
    old.touch()
    assert remove_abandoned(tmp_path) == [old]


def test_ogg_above_200_khz_is_refused_and_ends_no_process(tmp_path: Path) -> None:
    sound = np.zeros((2, 1000), np.float32)
    with (
        pytest.raises(SepbenchError, match="ogg does not support 2 channels at 352800 Hz"),
        audio.Writer(tmp_path / "stem.ogg", 352_800, 2) as writer,
    ):
        writer.write(sound)


@pytest.mark.parametrize("suffix", ["mp3", "m4a", "opus"])
def test_what_a_lossy_format_clips_is_counted(tmp_path: Path, suffix: str) -> None:
    samples = np.zeros((2, RATE), np.float32)
    samples[:, 100:103] = 1.5
    with audio.Writer(tmp_path / f"stem.{suffix}", RATE, 2) as writer:
        writer.write(samples)
    assert writer.peak == 1.5
    assert writer.clipped >= 6
