from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sepbench.errors import SepbenchError
from sepbench.training.cache import Cache, open_cache, prepare
from sepbench.training.material import find_tracks


def test_every_layout_of_a_collection_is_found(corpus: Path) -> None:
    found = {(t.source, t.name): (set(t.parts), t.split) for t in find_tracks(corpus)}
    assert found["mir1k", "Ani_1"] == ({"vocals", "accompaniment"}, "train")
    assert found["mir1k", "Bea_2"][1] == "val"
    assert found["songs", "First"] == ({"vocals", "drums", "bass"}, "train")
    assert found["songs", "Third"][1] == "test"
    assert found["voices/soprano", "one"] == ({"vocals"}, "train")
    assert found["backgrounds/band", "one"] == ({"accompaniment"}, "train")


def test_a_folder_of_something_else_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match="no training data"):
        find_tracks(tmp_path)


def test_the_right_channel_of_mir1k_is_the_voice(cache: Cache) -> None:
    track = next(track for track in cache.tracks if track.name == "Ani_1")
    voice = track.read("vocals", 0, 8000)
    spectrum = np.abs(np.fft.rfft(voice))
    assert spectrum.argmax() == 440


def test_reading_beyond_the_ends_gives_silence(cache: Cache) -> None:
    track = cache.tracks[0]
    piece = track.read(track.parts[0], -100, track.samples + 50)
    assert len(piece) == track.samples + 150
    assert not piece[:100].any()
    assert not piece[-50:].any()


def test_a_second_run_decodes_nothing(corpus: Path, tmp_path: Path) -> None:
    first, _ = prepare(find_tracks(corpus), tmp_path, rate=8000)
    times = {track.file: track.file.stat().st_mtime_ns for track in first.tracks}
    second, _ = prepare(find_tracks(corpus), tmp_path, rate=8000)
    assert {track.file: track.file.stat().st_mtime_ns for track in second.tracks} == times
    assert first.digest == second.digest


def test_what_cannot_be_decoded_is_skipped_with_its_reason(corpus: Path, tmp_path: Path) -> None:
    voices = tmp_path / "voices"
    voices.mkdir()
    (voices / "broken.wav").write_bytes(b"RIFF")
    cache, skipped = prepare(
        [*find_tracks(corpus), *find_tracks(voices)], tmp_path / "out", rate=8000
    )
    assert len(cache.tracks) == len(find_tracks(corpus))
    assert len(skipped) == 1
    assert "broken" in skipped[0]


def test_damage_is_noticed(corpus: Path, tmp_path: Path) -> None:
    cache, _ = prepare(find_tracks(corpus), tmp_path, rate=8000)
    file = cache.tracks[0].file
    whole = file.read_bytes()
    file.write_bytes(whole[:-1000])
    with pytest.raises(SepbenchError, match="cut short"):
        open_cache(tmp_path)
    file.write_bytes(whole[:-2] + b"\x55\x55")
    with pytest.raises(SepbenchError, match="damaged"):
        open_cache(tmp_path, verify=True)
    with pytest.raises(SepbenchError, match="prepare"):
        open_cache(tmp_path / "nowhere")
    for damage in ("[]", '{"layout": 1}', '{"layout": 1, "tracks": [{}], "rate": 8000}'):
        (tmp_path / "index.json").write_text(damage)
        with pytest.raises(SepbenchError, match="run 'sepbench prepare'"):
            open_cache(tmp_path)
