from __future__ import annotations

import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sepbench.datasets import open_dataset
from sepbench.datasets.base import Dataset
from sepbench.datasets.dsd100 import Dsd100
from sepbench.datasets.musdb18 import Musdb18, Musdb18Hq, Musdb18Sample
from sepbench.datasets.musdb_facts import musdb_facts
from sepbench.errors import SepbenchError

from .layouts import STEMS, song, write_stems_file, write_wavs

SONGS = {
    "train": ("A Classic Education - NightOwl", "Actions - One Minute Smile"),
    "test": ("AM Contra - Heart Peripheral",),
}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("musdb") / "MUSDB18-7"
    for folder, names in SONGS.items():
        for number, name in enumerate(names):
            write_stems_file(root / folder / f"{name}.stem.mp4", song(0.5, seed=number))
    return root


@pytest.fixture(scope="module")
def hq(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("musdb18hq")
    for folder, names in SONGS.items():
        for number, name in enumerate(names):
            write_wavs(root / folder / name, song(seed=number))
    return root


def names(dataset: Dataset, subset: str) -> list[str]:
    return [track.name for track in dataset.tracks(subset)]


@pytest.mark.parametrize("kind", [Musdb18Sample, Musdb18Hq])
def test_validation_tracks_are_taken_out_of_the_training_tracks(
    kind: type[Musdb18Sample | Musdb18Hq], sample: Path, hq: Path
) -> None:
    dataset = kind(hq if kind is Musdb18Hq else sample)
    assert names(dataset, "test") == ["AM Contra - Heart Peripheral"]
    assert names(dataset, "train") == ["A Classic Education - NightOwl"]
    assert names(dataset, "valid") == ["Actions - One Minute Smile"]
    assert len(names(dataset, "all")) == 3
    (valid,) = dataset.tracks("valid")
    assert {"musdb18", "musdb18/train", "musdb18/valid", f"{kind.name}/train"} <= set(valid.part_of)
    assert "musdb18/test" not in valid.part_of


@pytest.mark.slow
def test_stems_files_are_read_as_musdb_reads_them(sample: Path, museval: ModuleType) -> None:
    import musdb

    theirs = {track.name: track for track in musdb.DB(root=str(sample))}
    tracks = Musdb18Sample(sample).tracks("all")
    assert {track.name for track in tracks} == set(theirs)
    for track in tracks:
        audio = track.load()
        wanted = theirs[track.name]
        assert track.rate == wanted.rate
        assert np.abs(audio.mixture.T - wanted.audio).max() <= 1 / 32768
        for name in STEMS:
            ours, target = audio.references[name].T, wanted.targets[name].audio
            assert ours.shape == target.shape
            assert np.abs(ours - target).max() <= 1 / 32768
        backing = wanted.targets["accompaniment"].audio
        assert np.abs(audio.references["accompaniment"].T - backing).max() <= 3 / 32768


def test_wav_folders_are_read_exactly(hq: Path) -> None:
    (track,) = Musdb18Hq(hq).tracks()
    audio = track.load()
    for name, samples in song(seed=0).items():
        assert np.array_equal({"mixture": audio.mixture, **audio.references}[name], samples)


def test_a_missing_stem_costs_its_track_alone(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_wavs(tmp_path / "test" / name, song())
    (tmp_path / "test" / "two" / "bass.wav").unlink()
    one, two = Musdb18Hq(tmp_path).tracks()
    assert one.load()
    assert two.digest() != one.digest()
    with pytest.raises(SepbenchError, match=r"^track two: no bass: .*bass\.wav is missing$"):
        two.load()


def test_the_sample_is_not_taken_for_the_whole_nor_the_reverse(
    sample: Path, tmp_path: Path
) -> None:
    with pytest.raises(SepbenchError, match="use --dataset musdb18-7s"):
        Musdb18(sample).tracks()
    parts = {name: np.zeros((2, 9 * 44100), np.float32) for name in ("mixture", *STEMS)}
    write_stems_file(tmp_path / "test" / "one.stem.mp4", parts)
    with pytest.raises(SepbenchError, match=r"use --dataset musdb18$"):
        Musdb18Sample(tmp_path).tracks()
    assert names(Musdb18(tmp_path), "test") == ["one"]


@pytest.mark.parametrize("junk", ["._a.stem.mp4", ".a.stem.mp4"])
def test_hidden_files_are_no_songs(junk: str, tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / junk).write_bytes(b"x")
    assert not Musdb18Sample(tmp_path).is_available
    write_stems_file(tmp_path / "test" / "b.stem.mp4", song(0.5))
    assert names(Musdb18Sample(tmp_path), "test") == ["b"]


def test_a_broken_file_costs_its_track_alone(tmp_path: Path) -> None:
    write_stems_file(tmp_path / "test" / "b.stem.mp4", song(0.5))
    (tmp_path / "test" / "a.stem.mp4").touch()
    broken, whole = Musdb18Sample(tmp_path).tracks()
    assert whole.load().mixture.size
    with pytest.raises(SepbenchError, match=r"a\.stem\.mp4"):
        broken.load()
    (tmp_path / "test" / "b.stem.mp4").unlink()
    assert names(Musdb18Sample(tmp_path), "test") == ["a"]


def test_a_missing_root_says_where_it_looked_and_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("MUSDB_PATH", str(tmp_path / "variable"))
    monkeypatch.setenv("SEPBENCH_DATA", str(tmp_path / "data"))
    with pytest.raises(SepbenchError) as caught:
        open_dataset("musdb18").tracks()
    message = str(caught.value)
    for place in ("variable", "data/musdb18", "MUSDB18", "musdb18"):
        assert str(tmp_path / place) in message
    assert "https://zenodo.org/records/1117372" in message
    with pytest.raises(SepbenchError) as caught:
        open_dataset("musdb18-hq", tmp_path / "here").tracks()
    assert f"{tmp_path / 'here'}: no such folder" in str(caught.value)


def test_a_root_is_found_by_argument_then_variables(
    sample: Path, hq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEPBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("MUSDBHQ_PATH", str(tmp_path / "nothing"))
    assert not open_dataset("musdb18-hq").is_available
    (tmp_path / "musdb18-hq").symlink_to(hq)
    assert open_dataset("musdb18-hq").find_root() == tmp_path / "musdb18-hq"
    monkeypatch.setenv("MUSDBHQ_PATH", str(hq))
    assert open_dataset("musdb18-hq").find_root() == hq
    assert open_dataset("musdb18-hq", tmp_path).find_root() is None


def test_facts_are_those_of_the_package() -> None:
    facts = musdb_facts()
    assert list(facts.streams) == ["mixture", "drums", "bass", "other", "vocals"]
    assert len(facts.validation_tracks) == 14
    assert facts.sample_url.endswith(".zip")


# Download


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def test_the_sample_is_fetched_whole(
    server: tuple[Path, str], sample: Path, tmp_path: Path
) -> None:
    folder, address = server
    with zipfile.ZipFile(folder / "sample.zip", "w") as archive:
        for file in sample.rglob("*.stem.mp4"):
            archive.write(file, file.relative_to(sample))
    told: list[tuple[int, int | None]] = []
    place = tmp_path / "home" / "MUSDB18-7"
    dataset = Musdb18Sample(place)
    assert not dataset.is_available
    found = dataset.download(
        url=f"{address}/sample.zip", on_progress=lambda done, total: told.append((done, total))
    )
    assert found == place == dataset.find_root()
    size = (folder / "sample.zip").stat().st_size
    assert told[-1] == (size, size)
    assert names(dataset, "all") == names(Musdb18Sample(sample), "all")
    assert list(place.parent.iterdir()) == [place]
    assert dataset.download(url="http://127.0.0.1:1/never-asked") == place


@pytest.mark.parametrize("member", ["../evil.txt", "/evil.txt", "train/../../evil.txt", "C:\\evil"])
def test_an_archive_that_would_leave_its_folder_is_refused(
    server: tuple[Path, str], tmp_path: Path, member: str
) -> None:
    folder, address = server
    with zipfile.ZipFile(folder / "sample.zip", "w") as archive:
        archive.writestr(member, "evil")
    with pytest.raises(SepbenchError, match="unsafe zip file"):
        Musdb18Sample(tmp_path / "home" / "m").download(url=f"{address}/sample.zip")
    assert list((tmp_path / "home").iterdir()) == []
    assert not list(tmp_path.rglob("evil*"))


def test_a_broken_or_missing_archive_leaves_nothing(
    server: tuple[Path, str], tmp_path: Path
) -> None:
    folder, address = server
    with zipfile.ZipFile(folder / "whole.zip", "w") as archive:
        archive.writestr("train/a.txt", "text" * 1000)
    whole = (folder / "whole.zip").read_bytes()
    (folder / "half.zip").write_bytes(whole[: len(whole) // 2])
    dataset = Musdb18Sample(tmp_path / "home" / "m")
    with pytest.raises(SepbenchError, match="not a complete zip file; try again"):
        dataset.download(url=f"{address}/half.zip")
    with pytest.raises(SepbenchError, match=r"ot found; try again later.* unzip it into .*/m$"):
        dataset.download(url=f"{address}/none.zip")
    with pytest.raises(SepbenchError, match="the download is not musdb18-7s"):
        dataset.download(url=f"{address}/whole.zip")
    with pytest.raises(SepbenchError, match="already exists with other content; move it away"):
        dataset.download(url=f"{address}/whole.zip")


@pytest.mark.parametrize("wrong", ["home", "home/download", "home/download/hq/test/Song"])
def test_a_root_some_folders_too_high_or_too_deep_is_met_with_the_right_one(
    wrong: str, tmp_path: Path
) -> None:
    right = tmp_path / "home" / "download" / "hq"
    write_wavs(right / "test" / "Song", song(0.2))
    with pytest.raises(SepbenchError, match=rf"it is in {right}; give --root {right}$"):
        Musdb18Hq(tmp_path / wrong).tracks()


def test_a_root_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match=r"musdb18-hq not found: .*/none: no such folder"):
        Musdb18Hq(tmp_path / "none").tracks()


def test_another_form_or_data_set_at_the_root_is_named(tmp_path: Path) -> None:
    wavs, stems = tmp_path / "my hq", tmp_path / "stems"
    write_wavs(wavs / "test" / "Song", song(0.2))
    write_stems_file(stems / "train" / "Song.stem.mp4", song(0.2))
    with pytest.raises(SepbenchError, match=r"my hq is musdb18-hq; give --dataset musdb18-hq$"):
        Musdb18(wavs).tracks()
    with pytest.raises(SepbenchError, match=r"stems is musdb18-7s; give --dataset musdb18-7s$"):
        Musdb18Hq(stems).tracks()
    cure = rf"my hq is musdb18-hq; give --dataset musdb18-hq --root '{wavs}'$"
    with pytest.raises(SepbenchError, match=cure):
        Dsd100(wavs / "test").tracks()


def test_a_root_one_folder_too_high_or_too_deep_or_in_other_case_is_met_with_a_hint(
    tmp_path: Path,
) -> None:
    right = tmp_path / "download" / "musdb18hq"
    write_wavs(right / "test" / "Song", song(0.2))
    for wrong in (right.parent, right / "test"):
        with pytest.raises(SepbenchError, match=rf"give --root {right}$"):
            Musdb18Hq(wrong).tracks()
    (right / "test").rename(right / "Test")
    with pytest.raises(SepbenchError, match=r"rename .*Test to test$"):
        Musdb18Hq(right).tracks()
    write_wavs(right / "train" / "Other song", song(0.2))  # So that the data set is found.
    with pytest.raises(SepbenchError, match=r"no tracks in subset 'test': rename .*Test to test$"):
        Musdb18Hq(right).tracks()
