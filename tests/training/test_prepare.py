from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import locked_elsewhere
from numpy.typing import NDArray

from sepbench.errors import SepbenchError
from sepbench.training.data.discover import find_tracks
from sepbench.training.data.prepare import prepare
from sepbench.training.data.prepared import PreparedDataset, open_prepared
from sepbench.training.data.recording import Recording


def even(level: float, *parts: str) -> Recording:
    clip = np.full(800, level, np.float32)
    return Recording("songs", "one", parts, lambda rate: {part: [clip] for part in parts})


def test_reading_beyond_the_ends_gives_silence(dataset: PreparedDataset) -> None:
    track = dataset.tracks[0]
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


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_two_processes_do_not_prepare_in_one_folder(tmp_path: Path) -> None:
    with locked_elsewhere(tmp_path / ".lock"):
        with pytest.raises(SepbenchError, match="another process prepares data there"):
            prepare([even(0.5, "vocals")], tmp_path, rate=8000)
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    assert len(prepare([even(0.5, "vocals")], tmp_path, rate=8000)[0].tracks) == 1


@pytest.mark.parametrize("is_labelled", [False, True])
@pytest.mark.parametrize("reason", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_stopped_run_is_not_taken_for_whole_and_goes_on(
    tmp_path: Path, is_labelled: bool, reason: Any
) -> None:
    plain = even(0.5, "vocals")
    track = dataclasses.replace(plain, identity="teacher") if is_labelled else plain
    tracks = [track] * 70

    def stop(file: str) -> None:
        if file.endswith("(67).npy"):
            raise reason

    with pytest.raises((KeyboardInterrupt, SepbenchError)):
        prepare(tracks, tmp_path, rate=8000, on_track=stop)
    with pytest.raises(SepbenchError, match="has not finished here, so songs are missing"):
        open_prepared(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    dataset, _ = prepare(tracks, tmp_path, rate=8000)
    assert len(dataset.tracks) == 70
    assert len(times) == 66
    assert times == {path: path.stat().st_mtime_ns for path in times}


def test_every_label_is_noted_at_once_so_that_a_kill_loses_none(tmp_path: Path) -> None:
    known: list[int] = []

    def look(file: str) -> None:
        index = tmp_path / "index.json"
        known.append(len(json.loads(index.read_text())["tracks"]) if index.exists() else 0)

    label = dataclasses.replace(even(0.5, "vocals"), identity="teacher")
    prepare([label] * 4, tmp_path, rate=8000, on_track=look)
    assert known == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "change",
    [
        {"tracks": [1]},
        {"tracks": 7},
        {"rate": "x"},
        {"rate": 0},
        {"layout": 9},
        {"cuts": [0, -5]},
        {"cuts": []},
        {"cuts": [0, "x"]},
        {"parts": []},
        {"parts": "vocals"},
        {"split": "somewhere"},
        {"name": 5},
        {"file": "../other.npy"},
        {"file": "/etc/other.npy"},
        {"sha256": None},
    ],
)
def test_an_index_with_a_wrong_value_is_refused_and_left_alone(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    prepare([even(0.5, "vocals")], tmp_path, rate=8000)
    file = tmp_path / "index.json"
    index = json.loads(file.read_text())
    for name, value in change.items():
        (index if name in index else index["tracks"][0])[name] = value
    file.write_text(text := json.dumps(index))
    with pytest.raises(SepbenchError, match=r"damaged|not prepared training data"):
        open_prepared(tmp_path)
    with pytest.raises(SepbenchError, match=r"index\.json: damaged, or not an index"):
        prepare([even(0.5, "vocals")], tmp_path, rate=8000)
    assert file.read_text() == text


@pytest.mark.parametrize("text", ["7", "[]", "{", '{"tracks": "of another program"}'])
def test_an_index_of_another_program_is_not_overwritten(tmp_path: Path, text: str) -> None:
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(SepbenchError, match="not an index of prepared data"):
        prepare([even(0.5, "vocals")], tmp_path, rate=8000)
    assert (tmp_path / "index.json").read_text() == text


@pytest.mark.parametrize(
    "array", [np.zeros((1, 9), np.float64), np.zeros(9, np.int16), np.zeros((2, 9), np.int16)]
)
def test_an_array_of_another_kind_is_not_taken_for_audio(
    tmp_path: Path, array: NDArray[Any]
) -> None:
    dataset, _ = prepare([even(0.5, "vocals")], tmp_path, rate=8000)
    whole = dataset.tracks[0].file.read_bytes()
    np.save(dataset.tracks[0].file, array)
    with pytest.raises(SepbenchError, match="another array; run 'sepbench prepare' again"):
        open_prepared(tmp_path)
    prepare([even(0.5, "vocals")], tmp_path, rate=8000)
    assert dataset.tracks[0].file.read_bytes() == whole


def test_tracks_of_one_name_have_an_array_each(tmp_path: Path) -> None:
    levels = [0.25, 0.5, 0.75]
    tracks = [even(level, "vocals") for level in levels]
    for _ in range(2):
        dataset, _skipped = prepare(tracks, tmp_path, rate=8000)
        read = [float(track.read("vocals", 0, 1)[0]) for track in dataset.tracks]
        assert read == pytest.approx(levels, abs=1e-3)
    open_prepared(tmp_path, verify=True)


def test_a_song_with_other_parts_than_before_is_decoded_again(tmp_path: Path) -> None:
    prepare([even(0.25, "vocals", "bass")], tmp_path, rate=8000)
    dataset, _ = prepare([even(0.5, "vocals", "drums")], tmp_path, rate=8000)
    assert dataset.tracks[0].read("drums", 0, 1)[0] == pytest.approx(0.5, abs=1e-3)


def test_what_cannot_be_decoded_is_skipped_with_its_reason(corpus: Path, tmp_path: Path) -> None:
    voices = tmp_path / "voices"
    voices.mkdir()
    (voices / "broken.wav").write_bytes(b"RIFF")
    dataset, skipped = prepare(
        [*find_tracks(corpus), *find_tracks(voices)], tmp_path / "out", rate=8000
    )
    assert len(dataset.tracks) == len(find_tracks(corpus))
    assert len(skipped) == 1
    assert "broken" in skipped[0]


def test_damage_is_noticed(corpus: Path, tmp_path: Path) -> None:
    dataset, _ = prepare(find_tracks(corpus), tmp_path, rate=8000)
    file = dataset.tracks[0].file
    whole = file.read_bytes()
    file.write_bytes(whole[:-1000])
    with pytest.raises(SepbenchError, match="cut short"):
        open_prepared(tmp_path)
    file.write_bytes(whole[:-2] + b"\x55\x55")
    with pytest.raises(SepbenchError, match="damaged"):
        open_prepared(tmp_path, verify=True)
    with pytest.raises(SepbenchError, match="prepare"):
        open_prepared(tmp_path / "nowhere")
    for damage in ("[]", '{"layout": 1}', '{"layout": 1, "tracks": [{}], "rate": 8000}'):
        (tmp_path / "index.json").write_text(damage)
        with pytest.raises(SepbenchError, match="run 'sepbench prepare'"):
            open_prepared(tmp_path)
