"""What is read is what the file holds, whatever its kind, its header, and where reading begins."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from songs import RATE, Samples, clicks, encode, harmonics, loudest, white, write

from sepbench import audio
from sepbench.errors import SepbenchError


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


# Uncompressed files whose header says what is not so


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
