"""Tags and covers of songs in the files of their stems."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from songs import harmonics, write_in_blocks

from sepbench import audio
from sepbench.audio.tags import Tags

RATE = 44100


def picture() -> bytes:
    """Return a JPEG of noise, of some 30 kB."""
    codec = av.CodecContext.create("mjpeg", "w")
    codec.width = codec.height = 128
    codec.pix_fmt, codec.time_base = "yuvj420p", Fraction(1, 25)
    frame = av.VideoFrame(128, 128, "yuvj420p")
    for plane in frame.planes:
        plane.update(np.random.default_rng(0).bytes(plane.buffer_size))
    frame.pts = 0
    (packet,) = codec.encode(frame) + codec.encode(None)
    return bytes(packet)


@pytest.mark.parametrize("suffix", ["mp3", "m4a", "flac", "opus", "ogg", "wav"])
def test_tags_and_cover_go_from_the_song_to_its_stems(tmp_path: Path, suffix: str) -> None:
    tags = Tags({"title": "Tune", "artist": "Someone", "track": "7"}, picture())
    song = tmp_path / "song.mp3"
    write_in_blocks(song, harmonics(50, 2), tags=tags)
    read = audio.read_tags(song)
    assert read == tags
    assert audio.info(song).notes == ()
    stem = tmp_path / f"vocals.{suffix}"
    samples = write_in_blocks(stem, harmonics(50, 2), tags=read.of_stem("vocals"))
    assert samples.shape[1] >= RATE
    found = audio.read_tags(stem)
    assert found.texts["title"] == "Tune (vocals)"
    assert found.texts["artist"] == "Someone"
    if suffix != "wav":
        assert found.cover == tags.cover
        assert av.open(io.BytesIO(found.cover or b"")).streams.video[0].width == 128


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux counts what is read")
def test_tags_are_read_without_the_sound(tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    write_in_blocks(song, harmonics(50, 2, 30.0), tags=Tags({"title": "Tune"}))

    def read() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    before = read()
    assert audio.read_tags(song).texts == {"title": "Tune"}
    assert read() - before < 200_000 < song.stat().st_size


@pytest.mark.parametrize("suffix", ["ogg", "opus"])
def test_a_cover_changes_no_sample(tmp_path: Path, suffix: str) -> None:
    samples = harmonics(50, 2)
    bare = write_in_blocks(tmp_path / f"bare.{suffix}", samples)
    covered = write_in_blocks(tmp_path / f"covered.{suffix}", samples, tags=Tags({}, picture()))
    assert np.array_equal(bare, covered)


def test_a_cover_that_is_no_picture_costs_no_stem(tmp_path: Path) -> None:
    import base64

    from mutagen.flac import Picture
    from mutagen.oggvorbis import OggVorbis

    song = tmp_path / "song.ogg"
    write_in_blocks(song, harmonics(50, 2), tags=Tags({"title": "Tune"}))
    picture = Picture()
    picture.type, picture.mime, picture.data = 3, "image/png", b"no picture"
    file = OggVorbis(song)
    file["metadata_block_picture"] = base64.b64encode(picture.write()).decode("ascii")
    file.save()
    tags = audio.read_tags(song)
    assert tags == Tags({"title": "Tune"})
    write_in_blocks(tmp_path / "stem.mp3", harmonics(50, 2), tags=tags)


def test_flac_with_a_cover_is_still_exact(tmp_path: Path) -> None:
    samples = (harmonics(50, 2) * 2**23).round() / np.float32(2**23)
    read = write_in_blocks(tmp_path / "stem.flac", samples, tags=Tags({}, picture()))
    assert np.array_equal(read, samples)
    assert soundfile.info(tmp_path / "stem.flac").frames == RATE
    assert [path.name for path in tmp_path.iterdir()] == ["stem.flac"]
