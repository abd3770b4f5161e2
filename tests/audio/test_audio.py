from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from songs import encode, tone, white, write

from sepbench import audio
from sepbench.audio import encoders as encode_module
from sepbench.errors import SepbenchError

RATE = 44100
LSB = 1 / 32768


@pytest.fixture(scope="module")
def example(museval: ModuleType) -> Path:
    import stempeg

    return Path(stempeg.example_stem_path())


# Reading


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


# Input that cannot be read


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


# Writing


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


# Resampling


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 48000, 96000])
def test_there_and_back_keeps_tone_and_length(rate: int) -> None:
    samples = tone((1000, 700), 1 + 17 / RATE, level=0.5)
    there = audio.resample(samples, RATE, rate)
    assert there.shape == (2, audio.resampled_length(samples.shape[1], RATE, rate))
    inside = slice(2000, -2000)
    wanted = tone((1000, 700), there.shape[1] / rate, rate, level=0.5)
    assert np.abs(there - wanted)[:, inside].max() < 1e-5
    back = audio.resample(there, rate, RATE)
    assert abs(back.shape[1] - samples.shape[1]) <= RATE / rate
    assert np.abs(back[:, : samples.shape[1]] - samples[:, : back.shape[1]])[:, inside].max() < 1e-5


def test_a_tone_above_the_new_band_is_gone() -> None:
    there = audio.resample(tone(9000), RATE, 16000)
    assert np.abs(there[:, 1000:-1000]).max() < 1e-4


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([16000, 48000, 8000]))
def test_chunks_do_not_change_the_result(samples: int, size: int, rate: int) -> None:
    song = white(2, samples)
    resampler = audio.StreamResampler(RATE, rate)
    pieces = [resampler.process(song[:, at : at + size]) for at in range(0, samples, size)]
    joined = np.concatenate([*pieces, resampler.finish()], axis=1)
    assert joined.shape[1] == audio.resampled_length(samples, RATE, rate) > 0
    assert np.array_equal(joined, audio.resample(song, RATE, rate))


# Paths


def test_folders_and_globs_come_in_natural_order_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "album").mkdir()
    names = ["10 End.wav", "2 Middle.flac", "1 Start.WAV", "album/a.mp3"]
    for name in [*names, "cover.jpg", "._1 Start.wav", "notes.txt"]:
        (tmp_path / name).touch()
    in_order = ["1 Start.WAV", "2 Middle.flac", "10 End.wav", "album/a.mp3"]
    assert audio.find_songs([tmp_path]).songs == [tmp_path / name for name in in_order]
    assert audio.find_songs([tmp_path / "2*", tmp_path]).songs == [
        tmp_path / name for name in ("2 Middle.flac", "1 Start.WAV", "10 End.wav", "album/a.mp3")
    ]
    assert audio.find_songs([str(tmp_path / "**" / "*.mp3")]).songs == [tmp_path / "album/a.mp3"]


def test_a_file_whose_name_looks_like_a_glob_is_itself(tmp_path: Path) -> None:
    for name in ("song [live].wav", "song l.wav"):
        (tmp_path / name).touch()
    assert audio.find_songs([tmp_path / "song [live].wav"]).songs == [tmp_path / "song [live].wav"]


def test_a_name_without_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match="no audio file in this folder"):
        audio.find_songs([tmp_path])
    with pytest.raises(SepbenchError, match="no file matches"):
        audio.find_songs([tmp_path / "*.wav"])


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("AC/DC", "AC_DC"),
        ("../../etc/passwd", "_.._.._etc_passwd"),
        ("..", "_"),
        ("", "_"),
        ("   ", "_"),
        ("con", "_con"),
        ("aux.wav", "_aux.wav"),
        ("Song 🎵 für dich", "Song 🎵 für dich"),
        ("tab\tnew\nline\0", "tab_new_line_"),
        ("What?", "What_"),
        ("The End...", "The End"),
    ],
)
def test_names_become_safe_and_stay_readable(name: str, safe: str) -> None:
    assert audio.safe_name(name) == safe


@given(st.text(st.characters()))
def test_any_name_is_one_safe_component(name: str) -> None:
    safe = audio.safe_name(name)
    assert 0 < len(safe.encode()) <= 150
    assert not set(safe) & set('<>:"/\\|?*')
    assert not any(unicodedata.category(letter) == "Cc" for letter in safe)
    assert not safe.startswith((".", " "))
    assert not safe.endswith((".", " "))
    assert audio.safe_name(safe) == safe


def test_audio_is_light_to_import() -> None:
    program = (
        "import sys, sepbench.audio; "
        "sys.exit(sorted({'torch', 'scipy', 'soundfile', 'av', 'soxr'} & set(sys.modules)) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
