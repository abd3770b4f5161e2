"""What is read is what the file holds, whatever its kind, its header, and where reading begins."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from songs import Samples, encode, harmonics, loudest, white, write

from sepbench import audio
from sepbench.audio import mp3
from sepbench.audio import reader as reader_module
from sepbench.errors import SepbenchError

RATE = 44100


def clicks(seconds: float, rate: int = RATE, channels: int = 1) -> NDArray[np.float32]:
    """Clicks four times a second: a codec's frames before and after one differ much."""
    samples = np.zeros((channels, round(seconds * rate)), np.float32)
    samples[:, :: rate // 4] = 0.9
    return samples


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


@pytest.mark.parametrize("suffix", ["mp3", "ogg"])
def test_joined_files_are_both_there(tmp_path: Path, suffix: str) -> None:
    one = write(tmp_path / f"one.{suffix}", harmonics(200, 1, 2)).read_bytes()
    other = write(tmp_path / f"two.{suffix}", harmonics(200, 2, 3)[1:]).read_bytes()
    (tmp_path / f"both.{suffix}").write_bytes(one + other)
    read = audio.read(tmp_path / f"both.{suffix}").samples
    assert read.shape[1] / RATE == pytest.approx(5, abs=0.1)
    assert loudest(read[:, :RATE], RATE, 100) == [200]
    assert loudest(read[:, -RATE:], RATE, 100) == [400]


def test_a_start_beyond_a_join_of_other_formats_is_right(tmp_path: Path) -> None:
    one = write(tmp_path / "one.mp3", harmonics(200, 1, 2), format="MP3")
    other = write(tmp_path / "other.mp3", harmonics(200, 1, 2, 22050), 22050, format="MP3")
    path = tmp_path / "joined.mp3"
    path.write_bytes(one.read_bytes() + other.read_bytes())
    whole = audio.read(path).samples
    for start in (0.5, 1.9, 2.2, 3.1):
        first = round(start * RATE)
        np.testing.assert_allclose(
            audio.read(path, start=start, duration=0.5).samples,
            whole[:, first : first + RATE // 2],
            atol=1e-5,
        )


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


# Uncompressed files whose header says what is not so

CONTAINERS = {"wav": "WAV", "aiff": "AIFF", "au": "AU", "caf": "CAF", "w64": "W64", "rf64": "RF64"}


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


def encode_beside_picture(path: Path, samples: Samples, codec: str, *, has_picture: bool) -> None:
    """Write stereo sound of 48 kHz in any container, and 3 s of a black picture."""
    with av.open(str(path), "w") as container:
        if has_picture:
            picture = container.add_stream("mpeg4", rate=10)
            picture.width = picture.height = 64
        stream = container.add_stream(codec, rate=48000, layout="stereo")
        container.start_encoding()
        if has_picture:
            frames = [av.VideoFrame(64, 64, "yuv420p") for _ in range(30)]
            container.mux([packet for each in frames for packet in picture.encode(each)])
        sound = np.ascontiguousarray(samples.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(sound, format="flt", layout="stereo")
        frame.rate = 48000
        for each in av.AudioResampler(stream.format.name).resample(frame):
            container.mux(stream.encode(each))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("suffix", "codec", "note"),
    [
        ("ogg", "vorbis", "its last page is missing"),
        ("opus", "libopus", "its last page is missing"),
        ("mka", "libopus", r"it ends [12]\.\d\d s before its header says"),
        ("webm", "libopus", r"it ends [12]\.\d\d s before its header says"),
        ("mkv", "libopus", r"it ends [12]\.\d\d s before its header says"),
    ],
)
def test_a_stream_that_was_cut_says_so(tmp_path: Path, suffix: str, codec: str, note: str) -> None:
    path = tmp_path / f"song.{suffix}"
    samples = np.float32(0.1) * white(2, 3 * 48000)
    if codec == "vorbis":
        write(path, samples, 48000)
    else:
        encode_beside_picture(path, samples, codec, has_picture=suffix == "mkv")
    assert audio.read(path).notes == ()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    read = audio.read(path)
    assert 0.5 < read.samples.shape[1] / 48000 < 2.5
    (said,) = read.notes
    assert re.fullmatch(f"cut short: {note}", said)


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


WRAPPED = ("longer than its header can express (4 GiB); read to the end",)
CUT = ("cut short: it holds 66.7% of the samples that its header announces",)


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


# Channels


@pytest.mark.parametrize(
    ("suffix", "subtype", "rate"), [("ogg", "VORBIS", RATE), ("opus", "OPUS", 48000)]
)
def test_vorbis_order_of_channels_becomes_the_order_of_wav(
    tmp_path: Path, suffix: str, subtype: str, rate: int
) -> None:
    # Vorbis keeps front left, centre, front right, back left, back right, bass.
    vorbis = harmonics(200, 6, 1, rate)
    path = tmp_path / f"song.{suffix}"
    with soundfile.SoundFile(path, "w", rate, 6, subtype, format="OGG") as file:
        for block in np.split(vorbis, 10, axis=1):
            file.write(np.ascontiguousarray(block.T))
    read = audio.read(path)
    # The bass channel may be empty: the codec keeps what is below 120 Hz.
    assert loudest(read.samples, rate, 100)[:3] == [200, 600, 400]
    assert loudest(read.samples, rate, 100)[4:] == [800, 1000]
    assert audio.info(path).layout == "5.1"


# Several streams, and videos


def film(
    path: Path,
    *,
    late: tuple[float, ...] = (0.0, 0.0),
    languages: tuple[str, ...] = ("eng",),
    kinds: tuple[str, str] = ("mpeg4", "aac"),
) -> Path:
    with av.open(str(path), "w") as container:
        picture = container.add_stream(kinds[0], rate=25)
        picture.width = picture.height = 32
        picture.pix_fmt = "yuv420p"
        sounds = [container.add_stream(kinds[1], rate=48000, layout="mono") for _ in languages]
        for sound, language in zip(sounds, languages, strict=True):
            sound.metadata["language"] = language
        for number in range(50):
            image = av.VideoFrame(32, 32, "yuv420p")
            image.pts = number
            container.mux(picture.encode(image))
        container.mux(picture.encode(None))
        for number, sound in enumerate(sounds):
            samples = harmonics(200, number + 1, 2, 48000)[number:]
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples), format="flt", layout="mono"
            )
            frame.rate, frame.pts = 48000, round(late[number] * 48000)
            container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    return path


def test_other_audio_streams_are_named_and_can_be_chosen(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mkv", languages=("eng", "deu"))
    (note,) = audio.info(path).notes
    assert note == (
        "2 audio streams (0: eng mono, 1: deu mono); this is the first; "
        "choose another with --stream N"
    )
    assert loudest(audio.read(path).samples, 48000, 100) == [200]
    with audio.Reader(path, stream=1) as reader:
        assert reader.info.notes == ()
        assert loudest(reader.read().samples, 48000, 100) == [400]


def test_a_sound_that_begins_after_the_picture_is_reported(tmp_path: Path) -> None:
    assert audio.info(film(tmp_path / "film.mkv")).notes == ()
    (note,) = audio.info(film(tmp_path / "late.mkv", late=(0.5,))).notes
    assert note.startswith("its audio begins 0.5")


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov", "webm", "ts"])
def test_a_second_sound_that_is_late_is_reported_where_it_is_chosen(
    tmp_path: Path, suffix: str
) -> None:
    kinds = {"webm": ("libvpx", "libopus")}.get(suffix, ("mpeg4", "aac"))
    path = film(tmp_path / f"film.{suffix}", late=(0.0, 0.5), languages=("eng", "deu"), kinds=kinds)
    with audio.Reader(path, stream=0) as reader:
        assert reader.info.notes == ()
    with audio.Reader(path, stream=1) as reader:
        (note,) = reader.info.notes
        assert note.startswith(("its audio begins 0.5", "its audio begins 0.4"))
        samples = reader.read().samples
        assert samples.shape[1] == pytest.approx(2 * 48000, abs=4096)
        assert loudest(samples, 48000, 100) == [400]


# What is no file, and damage


def test_a_pipe_is_reported(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "song.wav")
    with pytest.raises(SepbenchError, match="a pipe, not a file; save it to a file first"):
        audio.read(tmp_path / "song.wav")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bytes(100_000), "it begins with zeros; get it again"),
        (b"<!DOCTYPE html><html>log in</html>", "a web page, not audio; download the file itself"),
        (b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(3000), "damaged or incomplete; get it again"),
        (b"la la la " * 100, "convert it to wav or flac"),
    ],
)
def test_the_cure_fits_the_cause(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(content)
    with pytest.raises(SepbenchError, match=message):
        audio.read(path)


def test_the_place_of_damage_is_where_the_sound_ends(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, (1, 10 * RATE)).astype(np.float32)
    path = encode(tmp_path / "song.m4a", samples, "aac", movflags="faststart")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.6)])
    with pytest.raises(SepbenchError) as caught:
        audio.read(path)
    seconds = float(str(caught.value).split("damaged near ")[1].split()[0])
    assert 5.5 < seconds < 6.5
    usable = float(str(caught.value).split("--duration ")[1])
    assert seconds - 0.11 < usable <= seconds
    assert audio.read(path, duration=usable).samples.shape[1] == round(usable * RATE)


def test_a_name_that_is_not_utf_8_is_read(tmp_path: Path) -> None:
    for suffix in ("wav", "mp3", "ogg"):
        path = Path(os.fsdecode(os.fsencode(tmp_path / "caf") + b"\xe9." + suffix.encode()))
        written = write(tmp_path / f"song.{suffix}", clicks(1))
        expected = audio.read(written).samples
        written.rename(path)
        assert np.array_equal(audio.read(path).samples, expected)


@pytest.mark.parametrize("kind", ["damaged", "zeros", "text"])
def test_no_library_prints_of_a_damaged_file(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "song.mp3", clicks(2))
    data = bytearray(path.read_bytes())
    data[200:2000] = np.random.default_rng(0).bytes(1800)
    path.write_bytes({"zeros": bytes(100_000), "text": b"la la " * 9999}.get(kind, bytes(data)))
    code = (
        "from sepbench import audio\n"
        f"try: audio.read({str(path)!r})\nexcept audio.reader.SepbenchError: pass"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_channels_are_named_by_the_stream_that_is_chosen(tmp_path: Path) -> None:
    path, rate = tmp_path / "film.mkv", 48_000
    with av.open(str(path), "w", format="matroska") as container:
        streams = [
            container.add_stream("ac3", rate=rate, layout=name) for name in ("stereo", "5.1")
        ]
        for stream, name in zip(streams, ("stereo", "5.1"), strict=True):
            sound = 0.1 * white(av.AudioLayout(name).nb_channels, rate, seed=1)
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(sound.T).reshape(1, -1), format="flt", layout=name
            )
            frame.rate, frame.pts = rate, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    with audio.Reader(path, stream=1) as reader:
        assert (reader.info.channels, reader.info.layout) == (6, "5.1(side)")


def test_a_tag_that_is_not_utf_8_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    write(tmp_path / "song.wav", 0.1 * white(2, RATE, seed=1), RATE)
    with audio.Writer(path, RATE, 2, tags=audio.Tags({"title": "CafeXX", "artist": "B"})) as made:
        made.write(0.1 * white(2, RATE, seed=1))
    content = path.read_bytes()
    assert content.count(b"CafeXX") == 1
    path.write_bytes(content.replace(b"CafeXX", b"Caf\xe9X\xff"))
    assert audio.read(path).samples.shape == (2, RATE)
    assert audio.read_tags(path).texts["artist"] == "B"


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100])
def test_a_start_in_the_last_page_of_ogg_is_exact(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "song.ogg"
    song = white(1, round(4.3 * rate), seed=3, peak=0.3)
    soundfile.write(path, song.T, rate, format="OGG", subtype="VORBIS")
    whole = audio.read(path).samples
    for start in (0.5, 2.0, 3.0, 3.9, 4.1, 4.25):
        part = audio.read(path, start=start).samples
        np.testing.assert_array_equal(part, whole[:, round(start * rate) :])
